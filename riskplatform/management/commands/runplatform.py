"""`manage.py runplatform`: web, worker and beat under one supervisor."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from riskplatform.preparing import forget_old_measurements, prepare
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
        parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
        parser.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"))
        parser.add_argument("--workers", type=int, default=1, help="Web processes.")
        parser.add_argument("--threads", type=int, default=2, help="Threads of the worker.")
        parser.add_argument("--live", type=float, default=0.0, metavar="N",
                            help="Also simulate N events a second.")  # fmt: skip

        parser.add_argument("--prepared", action="store_true",
                            help="`manage.py prepare` has just been run.")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        if not 0 < port < 65536:
            raise CommandError(f"PORT must lie between 1 and 65535, not {port}.")
        if not options["prepared"]:
            prepare()
        forget_old_measurements()
        children = [
            Child("web", web_command(host, port, options["workers"]), WEB_ENVIRONMENT),
            Child("worker", worker_command(options["threads"])),
            Child("beat", beat_command()),
        ]
        if options["live"] > 0:
            rate = str(options["live"])
            command = [sys.executable, "manage.py", "simulate", "--live", rate]
            children.append(Child("simulator", command))
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared only
        address = f"http://{shown}:{port}"
        Supervisor(children).run(
            ready_url=f"{address}/readyz",
            on_ready=lambda: self._say(address),
        )

    def _say(self, address: str) -> None:
        self.stdout.write(f"\nriskplatform is running at {address}  (Ctrl-C stops it)")
        self.stdout.flush()
