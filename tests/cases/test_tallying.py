"""Days counted for the dashboards: against rows counted by hand, twice, and after changes."""

from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from cases.casework import close_case, move_case
from cases.dashboard_models import DailyTally, TallyRun, WaitingTally
from cases.durations import bucket_of
from cases.merging import merge_case
from cases.models import Alert, Touch
from cases.services import label_alert
from cases.tallying import tally_changed, tally_days, tally_everything, tally_maturing
from scoring.labelling import record_label
from scoring.models import Label, Prediction
from tests.cases.alerts import alert_of, case_of
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


def rows():
    """All that is counted."""
    kept = DailyTally.objects.order_by("day", "kind", "level", "outcome", "bucket", "count")
    return list(kept.values("day", "kind", "level", "outcome", "bucket", "count", "amount"))


@pytest.fixture
def clock(monkeypatch):
    """Lets it be so many days (or any timedelta) after noon of DAY."""

    def turn(days=0.0, **more):
        moment = NOON + timedelta(days=days, **more)
        monkeypatch.setattr(timezone, "now", lambda: moment)
        return moment

    return turn


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


def test_what_is_read_after_the_closing_is_no_time_spent_on_it(analyst):
    closed = NOON + timedelta(minutes=5)
    alert, read_only = (alert_on(name, NOON, closed, actor=analyst) for name in "ab")
    for one, begun, ended in (
        (alert, NOON, closed + timedelta(seconds=50)),
        (alert, closed + timedelta(days=1), closed + timedelta(days=1, hours=1)),
        (read_only, closed, closed + timedelta(minutes=9)),
    ):
        Touch.objects.create(user=analyst, alert=one, opened_at=begun, closed_at=ended)
    tally_days([DAY])
    assert counted("handled", user=analyst, bucket=bucket_of(300.0)) == 1
    assert counted("handled", user=analyst, bucket=None) == 1


def test_a_stay_that_nobody_ended_counts_up_to_the_closing(analyst):
    alert = alert_on("a", NOON, NOON + timedelta(minutes=5), actor=analyst)
    Touch.objects.create(user=analyst, alert=alert, opened_at=NOON)
    tally_days([DAY])
    assert counted("handled", user=analyst, bucket=bucket_of(300.0)) == 1


def test_counting_twice_changes_nothing(analyst):
    alert_on("a", NOON, NOON + timedelta(minutes=5), actor=analyst)
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
    call_command("tally_days", "--since=2026-03-01", stdout=out)
    assert "days" in out.getvalue()
    assert (counted("opened"), counted("event", EVENT_DAY)) == (1, 0)
    call_command("tally_days", stdout=out)
    assert counted("event", EVENT_DAY) == 1
    with pytest.raises(CommandError, match="2026-01-31"):
        call_command("tally_days", "--since=tomorrow")


# --- Nothing is counted twice, or missed ---------------------------------------------------------


def judged_anew(case, actor):
    return close_case(move_case(case, move="reopen", actor=actor), actor=actor, **FALSE)


def assert_all_counted():
    found = rows()
    tally_everything()
    assert found == rows()


def test_an_alert_judged_anew_in_a_reopened_case_is_counted_once(analyst, lead, clock):
    clock(0)
    case = case_of(analyst, "a")
    clock(3)
    close_case(case, actor=analyst, **FRAUD)
    for day in (3, 39):
        clock(day)
        tally_changed()
    clock(40)
    judged_anew(case, lead)
    clock(40, minutes=5)
    tally_changed()
    assert [sum(row["count"] for row in rows() if row["kind"] == kind)
            for kind in ("closed", "handled", "backlog")] == [1, 1, 40]  # fmt: skip
    assert_all_counted()


def test_an_alert_judged_anew_in_another_case_is_counted_once(analyst, lead, clock):
    clock(0)
    source = close_case(case_of(analyst, "a"), actor=analyst, **FRAUD)
    for day in (0, 5):
        clock(day)
        tally_changed()
    target = case_of(analyst, "b")
    merge_case(move_case(source, move="reopen", actor=lead), target=target, actor=lead)
    close_case(target, actor=lead, **FALSE)
    tally_changed()
    assert sum(row["count"] for row in rows() if row["kind"] == "closed") == 2
    assert_all_counted()


def test_an_old_event_that_raises_an_alert_is_seen_on_the_day_of_its_opening(clock):
    clock(0)
    alert_of("a")
    Alert.objects.update(level=0, risk=None)
    for day in (0, 5):
        clock(day)
        tally_changed()
    assert alert_of("a").level > 0
    tally_changed()
    assert counted("opened", level=0) == 0
    assert counted("opened", level=Alert.objects.get().level) == 1


@pytest.mark.parametrize("count", [tally_maturing, lambda: tally_everything(since=DAY)])
def test_no_count_of_some_days_hides_what_changed_on_others(analyst, clock, count):
    clock(0)
    prediction = alert_of("a").top_prediction
    Prediction.objects.update(received_at=NOON)
    for hours in (0, 2):
        clock(hours=hours)
        tally_changed()
    clock(hours=3)
    record_label(prediction, is_fraud=True, source=Label.Source.IMPORT)
    clock(hours=5)
    count()
    clock(hours=5, minutes=5)
    tally_changed()
    assert counted("event", EVENT_DAY, outcome="fraud") == 1


def test_until_when_it_is_counted_only_moves_forward():
    tally_changed(NOON)
    tally_changed(NOON - timedelta(hours=1))
    tally_everything(NOON + timedelta(hours=1), since=DAY)
    assert TallyRun.objects.get().as_of == NOON


def test_days_before_the_first_alert_are_counted_from_the_day_that_is_asked_for():
    alert_on("a", NOON)
    tally_everything(since=EVENT_DAY)
    assert counted("event", EVENT_DAY) == 1
