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
from django.core.management.base import BaseCommand

from riskplatform import demo
from riskplatform.preparing import prepare
from riskplatform.var_dir import keep_secret

LIVE_RATE = 0.5


class Command(BaseCommand):
    help = "Fill an empty installation with a demo and run it. Honours HOST, PORT, DEMO_PASSWORD."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fill-only", action="store_true", help="Do not start anything.")

    def handle(self, *args: Any, **options: Any) -> None:
        say = self.stdout.write
        if options["fill_only"]:
            self._fill()
            return
        prepare()
        password = os.environ.get("DEMO_PASSWORD") or keep_secret(
            Path(settings.VAR_DIR) / "demo_password", lambda: secrets.token_urlsafe(9)
        )
        demo.make_people(password)
        if not demo.is_filled():
            say("Filling the demo: simulated events, training, alerts ...")
            # In a process of its own: training libraries must not live in the one that supervises.
            command = [sys.executable, "manage.py", "demo", "--fill-only"]
            # Ends this process by an exception, on whose way out `run` kills the other one.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
            subprocess.run(command, check=True)
        say("\nLogins (password for all: " + password + ")")
        for name, (role, _, _) in demo.PEOPLE.items():
            say(f"  {name:<10} {role}")
        if settings.FOUR_EYES:
            say("Promotions take two people: let owner ask and admin approve.")
        else:
            say("RISK_FOUR_EYES is off: one person decides alone about models and rules.")
        self.stdout.flush()
        call_command("runplatform", live=LIVE_RATE, prepared=True)

    def _fill(self) -> None:
        demo.fill(lambda text: self.stdout.write(f"  {text}"))
