"""Days counted for the dashboards: against rows counted by hand, twice, and after changes."""

from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from cases.dashboard_models import DailyTally, TallyRun, WaitingTally
from cases.durations import bucket_of
from cases.models import Alert, Touch
from cases.services import label_alert
from cases.tallying import tally_changed, tally_days, tally_everything, tally_maturing
from scoring.labelling import record_label
from scoring.models import Label, Prediction
from tests.cases.alerts import alert_of
from tests.factories import START, payment, scored_many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
EVENT_DAY = START.date()
DAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
FALSE = {"disposition": "false_positive", "reason_code": "travel"}


def counted(kind, day=DAY, **narrow):
    rows = DailyTally.objects.filter(kind=kind, day=day, **narrow)
    return sum(row.count for row in rows)


def alert_on(user, opened, closed=None, *, actor=None, found=FRAUD):
    """An alert opened (and closed) at these moments."""
    alert = alert_of(user)
    if closed is not None:
        label_alert(alert, actor=actor, **found)
    Alert.objects.filter(pk=alert.pk).update(opened_at=opened, closed_at=closed)
    return Alert.objects.get(pk=alert.pk)


def test_events_are_counted_by_level_decision_and_newest_label(analyst):
    flagged, harmless = alert_of("a").top_prediction, scored_many("payments", [payment()])[0]
    record_label(flagged, is_fraud=False, source=Label.Source.IMPORT)
    record_label(flagged, is_fraud=True, source=Label.Source.ANALYST, author=analyst)
    tally_days([EVENT_DAY])
    rows = DailyTally.objects.filter(kind="event").order_by("decision")
    assert [(row.decision, row.outcome, row.count, row.amount) for row in rows] == [
        (harmless.decision, "", 1, harmless.exposure),
        (flagged.decision, "fraud", 1, flagged.exposure),
    ]


def test_alerts_are_counted_where_they_were_opened_and_where_they_were_closed(analyst):
    later = NOON + timedelta(days=1)
    alert_on("a", NOON, later, actor=analyst)
    alert_on("b", NOON, later, actor=analyst, found=FALSE)
    alert_on("c", NOON)
    tally_days([DAY, later.date()], now=later + timedelta(days=3))
    assert counted("opened", outcome="fraud") == 1
    assert counted("opened", outcome="false_positive") == 1
    assert counted("opened", outcome="open") == 1
    assert (counted("backlog"), counted("backlog", later.date())) == (3, 1)
    assert counted("closed") == 0
    assert counted("closed", later.date(), bucket=bucket_of(86400.0)) == 2


def test_who_closed_it_is_counted_with_the_minutes_it_was_before_them(analyst, lead):
    alert = alert_on("a", NOON, NOON + timedelta(hours=1), actor=analyst)
    other = alert_on("b", NOON, NOON + timedelta(hours=1), actor=lead)
    for minutes in (4, 6):
        Touch.objects.create(
            user=analyst, alert=alert, opened_at=NOON, closed_at=NOON + timedelta(minutes=minutes)
        )
    Touch.objects.create(
        user=analyst, alert=other, opened_at=NOON, closed_at=NOON + timedelta(hours=9)
    )
    tally_days([DAY])
    assert counted("handled", user=analyst, bucket=bucket_of(600.0)) == 1
    assert counted("handled", user=lead, bucket=None) == 1
    assert counted("handled") == 2


def test_counting_twice_changes_nothing(analyst):
    alert_on("a", NOON, NOON + timedelta(minutes=5), actor=analyst)

    def rows():
        kept = DailyTally.objects.order_by("day", "kind", "count")
        return list(kept.values("day", "kind", "level", "outcome", "bucket", "count", "amount"))

    tally_everything()
    once = rows()
    tally_everything()
    tally_changed()
    assert rows() == once


def test_a_day_whose_alerts_are_gone_has_no_count_left():
    alert = alert_on("a", NOON)
    tally_days([DAY])
    assert counted("opened") == 1
    alert.delete()
    tally_days([DAY])
    assert DailyTally.objects.filter(day=DAY).count() == 0


def test_a_late_label_makes_the_day_of_its_event_be_counted_again(analyst):
    prediction = alert_of("a").top_prediction
    tally_changed()
    assert counted("event", EVENT_DAY, outcome="") == 1
    Prediction.objects.update(received_at=timezone.now() - timedelta(days=9))
    TallyRun.objects.update(as_of=timezone.now() - timedelta(hours=1))
    record_label(prediction, is_fraud=True, source=Label.Source.ANALYST, author=analyst)
    tally_changed()
    assert counted("event", EVENT_DAY, outcome="fraud") == 1
    assert counted("event", EVENT_DAY, outcome="") == 0


def test_closing_an_old_alert_counts_the_day_of_its_opening_again(analyst):
    alert = alert_on("a", NOON)
    Alert.objects.update(last_event_at=NOON)
    tally_changed()
    label_alert(alert, actor=analyst, **FRAUD)
    tally_changed()
    assert counted("opened", outcome="fraud") == 1
    assert counted("closed", timezone.now().astimezone(UTC).date()) == 1


def test_what_waits_is_counted_by_age_and_the_run_says_until_when():
    now = timezone.now()
    alert_on("a", now - timedelta(hours=9))
    alert_on("b", now - timedelta(minutes=1))
    tally_changed(now)
    waiting = {row.hours: row.count for row in WaitingTally.objects.all()}
    assert waiting == {0: 2, 1: 1, 8: 1, 24: 0, 72: 0, 168: 0}
    assert TallyRun.objects.get().as_of == now


def test_days_whose_labels_may_still_come_are_counted_every_night():
    assert tally_maturing() >= 7
    assert TallyRun.objects.count() == 1


def test_the_command_counts_everything_and_refuses_what_is_no_day():
    alert_on("a", NOON)
    out = StringIO()
    call_command("tally_days", since="2026-03-01", stdout=out)
    assert "days" in out.getvalue()
    assert (counted("opened"), counted("event", EVENT_DAY)) == (1, 0)
    call_command("tally_days", stdout=out)
    assert counted("event", EVENT_DAY) == 1
    with pytest.raises(CommandError, match="2026-01-31"):
        call_command("tally_days", since="tomorrow")
