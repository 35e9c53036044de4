"""The sweep repairs what a lost message left, and leaves the rest alone."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from cases.models import Alert
from cases.selectors import SWEEP_GRACE, SWEEP_REACH
from cases.services import open_alerts
from cases.tasks import open_missed_alerts
from scoring.import_models import QuietImport
from scoring.labelling import record_label
from scoring.models import Detector, Label, Prediction
from scoring.quiet_imports import alerts_from_days, without_alerts
from scoring.selectors import opens_alerts
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


def imported(alert_days, **changed):
    """A flagged event of long ago as a run of that option leaves it, after the sweep's minute."""
    with without_alerts(Detector.objects.get(), alerts_from_days(alert_days)) as still:
        still()
        rows = flagged("a", **changed)
    back = SWEEP_GRACE * 2
    Prediction.objects.update(received_at=F("received_at") - back)
    QuietImport.objects.update(began_at=F("began_at") - back, ends_at=F("ends_at") - back)
    open_missed_alerts()
    return rows


@pytest.mark.parametrize(
    ("alert_days", "age", "opens"),
    [(None, 400, 1), (30, 400, 0), (30, 3, 1), (0, 400, 0), (0, 0.01, 0)],
)
def test_an_import_opens_alerts_for_events_of_so_many_days(alert_days, age, opens):
    when = timezone.now() - timedelta(days=age)
    imported(alert_days, timestamp=when.isoformat())
    assert Alert.objects.count() == opens


def test_what_comes_after_a_quiet_import_opens_its_alert_however_old():
    imported(0)
    aged(flagged("b"), SWEEP_GRACE * 1.5)
    open_missed_alerts()
    assert Alert.objects.get().predictions_count == 1


def test_an_import_that_is_cut_short_still_opens_none():
    with pytest.raises(KeyboardInterrupt), without_alerts(Detector.objects.get(), timezone.now()):
        flagged("a")
        assert QuietImport.objects.get().ends_at > timezone.now()
        raise KeyboardInterrupt
    assert QuietImport.objects.get().ends_at <= timezone.now()


def test_history_that_opens_no_alert_keeps_nobody_from_being_erased():
    row = imported(0)[0]
    waiting = Prediction.objects.filter(pk=row.pk, alert_link=None, labels=None)
    assert waiting.exists() and not waiting.filter(opens_alerts()).exists()
