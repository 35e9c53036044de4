"""`manage.py runplatform`: web, worker and beat under one supervisor."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.argument_types import number, whole
from riskplatform.alone import RunsAlready, alone
from riskplatform.listening import CannotListen, host_name, refuse_taken, url_host
from riskplatform.measurement_files import forget_old_measurements
from riskplatform.preparing import prepare
from riskplatform.supervisor import (
    WEB_ENVIRONMENT,
    Child,
    Supervisor,
    beat_command,
    web_command,
    worker_command,
)


class Command(BaseCommand):
    help = "Run web, worker and beat; restart what dies; stop all on SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", type=host_name, default=settings.HOST)
        parser.add_argument("--port", type=whole(1, 65535), default=settings.PORT)
        parser.add_argument("--workers", type=whole(1, 1000), default=1, help="Web processes.")
        parser.add_argument(
            "--threads", type=whole(1, 1000), default=2, help="Threads of the worker."
        )
        parser.add_argument("--live", type=number(0, 1e5), default=0.0, metavar="N",
                            help="Also simulate N events a second.")  # fmt: skip

        parser.add_argument("--prepared", action="store_true",
                            help="`manage.py prepare` has just been run.")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with alone(settings.VAR_DIR):
                refuse_taken(options["host"], options["port"])
                if not options["prepared"]:
                    prepare()
                forget_old_measurements()
                self._run(options)
        except (RunsAlready, CannotListen) as problem:
            raise CommandError(str(problem)) from problem

    def _run(self, options: dict[str, Any]) -> None:
        host, port = options["host"], options["port"]
        children = [
            Child("web", web_command(host, port, options["workers"]), WEB_ENVIRONMENT),
            Child("worker", worker_command(options["threads"])),
            Child("beat", beat_command()),
        ]
        if options["live"] > 0:
            rate = str(options["live"])
            command = [sys.executable, "manage.py", "simulate", "--live", rate]
            children.append(Child("simulator", command))
        address = f"http://{url_host(host)}:{port}"
        Supervisor(children).run(
            web=children[0],
            ready_url=f"{address}/readyz",
            on_ready=lambda: self._say(address),
        )

    def _say(self, address: str) -> None:
        self.stdout.write(f"\nriskplatform is running at {address}  (Ctrl-C stops it)")
        self.stdout.flush()
