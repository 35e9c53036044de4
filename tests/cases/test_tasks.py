"""From a recorded prediction to an alert, through the message."""

import pytest

from cases.models import Alert
from cases.receivers import MESSAGE
from cases.tasks import open_alerts_task
from scoring.services import score_events
from tests.cases.alerts import flagged
from tests.factories import payment, risky_payment, scored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


def test_a_flagged_event_becomes_an_alert_when_it_is_committed(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        scored("payments", payment())
        row = scored("payments", risky_payment())
        assert not Alert.objects.exists()
    alert = Alert.objects.get()
    assert (alert.entity, alert.top_prediction_id) == (row.entity, row.pk)


def test_the_task_may_run_twice():
    ids = [str(row.pk) for row in flagged("a", "b")]
    open_alerts_task(ids)
    open_alerts_task(ids)
    assert list(Alert.objects.values_list("predictions_count", flat=True)) == [1, 1]


def test_a_large_batch_is_told_in_bounded_messages(django_capture_on_commit_callbacks, monkeypatch):
    sent = []
    monkeypatch.setattr(open_alerts_task, "delay", sent.append)
    with django_capture_on_commit_callbacks(execute=True):
        score_events("payments", [risky_payment() for _ in range(MESSAGE + 1)])
    assert [len(ids) for ids in sent] == [MESSAGE, 1]


def test_history_that_is_imported_opens_no_alert(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        score_events("payments", [risky_payment()], announce=False)
    assert not Alert.objects.exists()
