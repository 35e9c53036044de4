"""A report by e-mail with real processes: two that tick at one moment, and one mail."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, running_stack
from tests.notifications.receivers import mail_sink

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.xdist_group("processes")]
SUBSCRIBE = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import User
from cases.report_models import ReportSubscription
from cases.report_subscribing import save_subscription
from cases.tallying import tally_everything
lead = User.objects.get(username="lead")
lead.email = "lead@bank.example"
lead.save()
half_a_day_off = (timezone.now().hour + 12) % 24  # midnight may come while it is made
report = ReportSubscription(owner=lead, often="daily", hour=half_a_day_off)
save_subscription(report, recipients=[], actor=lead)
ReportSubscription.objects.update(handled_until=timezone.now() - timedelta(days=2))
tally_everything()
"""
TICK = """
import sys
from cases.tasks import make_reports_task
from notifications.sending import send_due
print("ready", flush=True)
sys.stdin.readline()
print("made", make_reports_task(), flush=True)
send_due(most=10)
"""


def test_two_processes_that_tick_at_one_moment_send_one_mail(tmp_path: Path) -> None:
    with mail_sink() as sink:
        env = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": f"{sink.port}"}
        with running_stack(tmp_path, env) as stack:
            stack.run(SUBSCRIBE)
            workers = [
                subprocess.Popen(
                    [sys.executable, "-c", _prepared(TICK)],
                    cwd=ROOT, env=stack.environ(), text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                )
                for _ in range(2)
            ]  # fmt: skip
            for worker in workers:
                assert worker.stdout is not None and worker.stdin is not None
                assert worker.stdout.readline() == "ready\n"
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("\n")
                worker.stdin.flush()
            done = [worker.communicate(timeout=60) for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], done
        assert sorted(out for out, _ in done) == ["made 0\n", "made 1\n"], done
        assert sink.recipients == ["lead@bank.example"]


def _prepared(script: str) -> str:
    return (
        "import os, django\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'riskplatform.settings')\n"
        "django.setup()\n" + script
    )
