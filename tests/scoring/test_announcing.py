"""With the broker gone: alerts are left to the sweep, a line in the log, a number in /metrics."""

import pytest
from kombu.exceptions import OperationalError
from prometheus_client import REGISTRY

from accounts.seldom import Seldom
from scoring import announcing, breakers
from scoring.models import Prediction
from scoring.services import score_event
from tests.factories import risky_payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(monkeypatch):
    """Each try to tell the workers, which fails; what was told before this test is forgotten."""
    found = []

    def fail(**told):
        found.append(told)
        raise OperationalError("Connection refused.")

    monkeypatch.setattr(announcing.predictions_recorded, "send", fail)
    monkeypatch.setattr(announcing, "_told", Seldom(announcing.logger))
    return found


def score(count, capture):
    with capture(execute=True):
        for i in range(count):
            score_event("payments", risky_payment(transaction_id=f"e{i}"))
            announcing.send_announcements()


def left():
    return REGISTRY.get_sample_value("riskplatform_announced_predictions_total", {"result": "left"})


def test_it_is_one_line_without_a_traceback_however_many_are_flagged(
    payments_detector, asked, caplog, django_capture_on_commit_callbacks
):
    score(12, django_capture_on_commit_callbacks)
    lines = [record for record in caplog.records if record.name == announcing.logger.name]
    assert Prediction.objects.count() == 12
    assert [bool(line.exc_info) for line in lines] == [False]
    assert "wait for the sweep" in caplog.text and "Connection refused." in caplog.text


def test_a_broker_that_keeps_failing_is_left_alone_and_what_was_left_is_counted(
    payments_detector, asked, django_capture_on_commit_callbacks
):
    before = left() or 0.0
    score(12, django_capture_on_commit_callbacks)
    assert len(asked) == breakers.breaker("broker").failures
    assert breakers.states()["broker"] == "OPEN"
    assert left() == before + 12


def test_a_fault_of_ours_is_told_with_its_traceback(
    payments_detector, asked, monkeypatch, caplog, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(announcing.predictions_recorded, "send", lambda **told: 1 / 0)
    score(7, django_capture_on_commit_callbacks)
    assert "ZeroDivisionError" in caplog.text and "Traceback" in caplog.text
    assert breakers.states()["broker"] == "CLOSED"
