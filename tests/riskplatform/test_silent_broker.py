"""A Redis that is frozen or cut off takes connections and never answers: nobody waits for it."""

import socket
from pathlib import Path

import pytest

from tests.deploy.processes import machine_environment, run

SEND = """
import time
import django
django.setup()
from celery import current_app
from kombu.exceptions import OperationalError
for ask in (lambda: current_app.send_task("jobs.start_queued"), current_app.control.ping):
    began = time.monotonic()
    try:
        ask()
    except OperationalError:
        print(time.monotonic() - began)
"""


@pytest.mark.slow
def test_a_silent_redis_holds_up_neither_a_message_nor_a_ping(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        given = {
            "DJANGO_SETTINGS_MODULE": "riskplatform.settings",
            "REDIS_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
            "RISK_VAR_DIR": str(tmp_path),
        }
        done = run(["python", "-c", SEND], machine_environment(given))
    waited = [float(line) for line in done.stdout.split()]
    assert len(waited) == 2, done.stderr
    assert max(waited) < 20
