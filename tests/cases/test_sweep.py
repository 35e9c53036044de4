"""The sweep repairs what a lost message left, and leaves the rest alone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from cases.models import Alert
from cases.selectors import SWEEP_GRACE, SWEEP_REACH
from cases.services import open_alerts
from cases.tasks import open_missed_alerts
from scoring.labelling import record_label
from scoring.models import Label, Prediction
from tests.cases.alerts import flagged
from tests.factories import payment, scored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


def aged(rows, age):
    """As if these had been received that long ago."""
    ids = [row.pk for row in rows]
    Prediction.objects.filter(pk__in=ids).update(received_at=timezone.now() - age)


def test_a_prediction_whose_message_was_lost_gets_its_alert():
    aged(flagged("a"), SWEEP_GRACE * 2)
    open_missed_alerts()
    open_missed_alerts()
    assert Alert.objects.get().predictions_count == 1


@pytest.mark.parametrize("age", [timedelta(0), SWEEP_REACH + timedelta(hours=1)])
def test_what_is_on_its_way_or_long_past_is_left_alone(age):
    aged(flagged("a"), age)
    open_missed_alerts()
    assert not Alert.objects.exists()


def test_history_whose_truth_is_known_needs_no_human():
    rows = flagged("a")
    aged(rows, SWEEP_GRACE * 2)
    record_label(rows[0], is_fraud=True, source=Label.Source.IMPORT)
    open_missed_alerts()
    assert not Alert.objects.exists()


def test_what_is_approved_or_in_an_alert_is_left_alone():
    rows = flagged("a")
    open_alerts([row.pk for row in rows])
    aged([*rows, scored("payments", payment())], SWEEP_GRACE * 2)
    open_missed_alerts()
    assert Alert.objects.get().predictions_count == 1
