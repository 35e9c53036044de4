"""A process of an installation that runs code: to start one for every piece takes seconds."""

import json
import subprocess
import sys
from dataclasses import dataclass, field

from tests.e2e.prepared import ROOT

SERVE = """
import contextlib, io, json, sys, traceback
import django
django.setup()
from django.db import connections
for line in sys.stdin:
    printed, failed = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed):
            exec(json.loads(line), {})
    except Exception:
        failed = traceback.format_exc()
    connections.close_all()
    print(json.dumps([printed.getvalue(), failed]), flush=True)
"""


@dataclass(slots=True)
class Shell:
    """Started when it is first asked; each piece of code has names of its own."""

    environment: dict[str, str]
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    def run(self, code: str) -> str:
        """What the code printed. Raises AssertionError with its traceback where it failed."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE], cwd=ROOT, env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "The process ended; why, it said on the standard error."
        printed, failed = json.loads(answer)
        assert not failed, failed
        return str(printed)

    def stop(self) -> None:
        """What was run is done; the process ends."""
        if self.process is not None:
            self.process.communicate()
            self.process = None
