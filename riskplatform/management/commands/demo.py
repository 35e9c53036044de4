"""`manage.py demo`: an empty folder -> a running platform with data, champions and logins."""

import os
import secrets
import signal
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from riskplatform import demo
from riskplatform.alone import RunsAlready, alone, tied
from riskplatform.demo_marks import NotTheDemos, claim, is_filled
from riskplatform.listening import CannotListen, refuse_taken
from riskplatform.preparing import prepare
from riskplatform.var_dir import keep_secret

LIVE_RATE = 0.5


class Command(BaseCommand):
    help = "Fill an empty installation with a demo and run it. Honours HOST, PORT, DEMO_PASSWORD."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fill-only", action="store_true", help="Do not start anything.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["fill_only"]:
            self._fill()
            return
        try:
            with alone(settings.VAR_DIR):
                refuse_taken(settings.HOST, settings.PORT)
                prepare()
                claim()
                self._set_up()
        except (RunsAlready, CannotListen, NotTheDemos) as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.flush()
        call_command("runplatform", live=LIVE_RATE, prepared=True)

    def _set_up(self) -> None:
        say = self.stdout.write
        password = os.environ.get("DEMO_PASSWORD") or keep_secret(
            Path(settings.VAR_DIR) / "demo_password", lambda: secrets.token_urlsafe(9)
        )
        if not is_filled():
            demo.make_people(password)
            say("Filling the demo: simulated events, training, alerts ...")
            # In a process of its own: training libraries must not live in the one that supervises.
            command = [sys.executable, "manage.py", "demo", "--fill-only"]
            # Ends this process by an exception, on whose way out `run` kills the other one.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
            subprocess.run(tied(command), check=True)
        self._say_logins(password)
        if settings.FOUR_EYES:
            say("Promotions take two people: let owner ask and admin approve.")
        else:
            say("RISK_FOUR_EYES is off: one person decides alone about models and rules.")

    def _say_logins(self, password: str) -> None:
        say, people = self.stdout.write, demo.logins(password)
        if not people:
            say("\nNone of the demo's people may log in any more.")
        elif all(is_theirs for _, _, is_theirs in people):
            say(f"\nLogins (password for all: {password})")
        elif any(is_theirs for _, _, is_theirs in people):
            say(f"\nLogins (password: {password}, but where another is said)")
        else:
            say("\nLogins (passwords stay as they are; DEMO_PASSWORD counts when people are made)")
        for name, roles, is_theirs in people:
            say(f"  {name:<10} {roles}" + ("" if is_theirs else "  (has a password of their own)"))

    def _fill(self) -> None:
        demo.fill(lambda text: self.stdout.write(f"  {text}"))
