"""Count days for the dashboards. A day is made anew as a whole, so counting twice changes nothing.

Days are those of UTC. Events lie on the day when they happened, alerts on the days when they were
opened and closed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import (
    BooleanField,
    Count,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import TruncDate
from django.utils import timezone

from cases.case_models import CaseMerge
from cases.dashboard_models import DailyTally, TallyRun, WaitingTally
from cases.durations import bucket_of
from cases.models import Alert, AlertPrediction, CaseEvent
from cases.queue_models import Closing
from cases.second_look_models import SecondLook
from cases.selectors import handling_stays
from cases.workflow import AlertStatus, SecondLookStatus
from scoring.core.reader import SpecError
from scoring.core.types import RISK_LEVELS
from scoring.models import Detector, Label, Prediction

FRAUD, LEGITIMATE, UNLABELLED = "fraud", "legitimate", ""
TRUTHS: Final = {True: FRAUD, False: LEGITIMATE, None: UNLABELLED}
WAITING_HOURS: Final = (0, 1, 8, 24, 72, 168)
"""The waiting times that are counted: those that the queue can be narrowed to."""
LATE = timedelta(minutes=10)
"""How long a transaction may have been open when others were counted."""
LONGEST_STAY = timedelta(hours=2)
"""What a stay counts for at most: whoever leaves a page open is not at work on it."""
FOLLOWED = timedelta(days=2)
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
Kind = DailyTally.Kind
MOVES: Final = (CaseEvent.Kind.ALERT_ADDED, CaseEvent.Kind.ALERT_REMOVED)
BATCH = 500


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """[start, end) of a day in UTC."""
    start = datetime.combine(day, time.min, UTC)
    return start, start + timedelta(days=1)


def tally_days(days: Iterable[date], *, now: datetime | None = None) -> int:
    """Count these days anew; returns how many there were. One short transaction a day."""
    now, done = now or timezone.now(), 0
    detectors = list(Detector.objects.order_by("pk").values_list("pk", flat=True))
    for day in sorted(set(days)):
        with transaction.atomic():
            # Of two runs at once the later one counts last: nothing stale is left.
            TallyRun.objects.select_for_update().get_or_create(pk=1, defaults={"as_of": NEVER})
            DailyTally.objects.filter(day=day).delete()
            DailyTally.objects.bulk_create(_count_day(day, detectors, now), batch_size=500)
        done += 1
    return done


def _count_day(day: date, detectors: list[int], now: datetime) -> Iterator[DailyTally]:
    start, end = day_bounds(day)
    for detector in detectors:
        yield from _events(day, detector, start, end)
    yield from _opened(day, start, end)
    yield from _closed(day, start, end)
    yield from _backlog(day, min(end, now))
    yield from _handled(day, start, end)


def with_truth(rows: "QuerySet[Prediction]") -> "QuerySet[Prediction]":
    """Predictions with `truth`: what their newest label says; None without any."""
    newest = Label.objects.filter(prediction=OuterRef("pk")).order_by("-label_time", "-id")
    truth = Subquery(newest.values("is_fraud")[:1], output_field=BooleanField())
    return rows.annotate(truth=truth)


def _events(day: date, detector: int, start: datetime, end: datetime) -> Iterator[DailyTally]:
    own = Prediction.objects.filter(
        detector=detector, event_time__gte=start, event_time__lt=end
    ).order_by()
    told: QuerySet[Any] = with_truth(own)
    grouped = told.values_list("risk_level", "decision", "truth", "currency")
    for level, decision, truth, currency, count, amount in grouped.annotate(
        n=Count("pk"), total=Sum("exposure")
    ):
        yield DailyTally(
            day=day,
            kind=Kind.EVENT,
            detector_id=detector,
            level=RISK_LEVELS.index(level),
            decision=decision,
            outcome=TRUTHS[truth],
            currency=currency,
            count=count,
            amount=amount or 0,
        )


def _opened(day: date, start: datetime, end: datetime) -> Iterator[DailyTally]:
    rows = Alert.objects.filter(opened_at__gte=start, opened_at__lt=end).order_by()
    grouped = rows.values_list("detector_id", "level", "status", "disposition")
    found: Counter[tuple[int, int, str]] = Counter()
    for detector, level, status, disposition, count in grouped.annotate(n=Count("pk")):
        stands = disposition if status == AlertStatus.CLOSED else status
        found[detector, level, stands] += count
    for (detector, level, stands), count in found.items():
        yield DailyTally(
            day=day, kind=Kind.OPENED, detector_id=detector, level=level, outcome=stands,
            count=count,
        )  # fmt: skip


def _closed_on(start: datetime, end: datetime) -> "QuerySet[Alert]":
    return Alert.objects.filter(
        status=AlertStatus.CLOSED, closed_at__gte=start, closed_at__lt=end
    ).order_by()


def _closed(day: date, start: datetime, end: datetime) -> Iterator[DailyTally]:
    found: Counter[tuple[int, int]] = Counter()
    rows = _closed_on(start, end).values_list("detector_id", "opened_at", "closed_at")
    for detector, opened, closed in rows.iterator():
        if closed is not None:
            found[detector, bucket_of((closed - opened).total_seconds())] += 1
    for (detector, bucket), count in found.items():
        yield DailyTally(
            day=day, kind=Kind.CLOSED, detector_id=detector, bucket=bucket, count=count
        )


def waiting_at(moment: datetime) -> Q:
    """Alerts that were open, in the queue or in a case, at a moment."""
    not_yet = Q(closed_at=None) | Q(closed_at__gte=moment)
    return Q(opened_at__lt=moment) & not_yet


def _backlog(day: date, end: datetime) -> Iterator[DailyTally]:
    rows = Alert.objects.filter(waiting_at(end)).order_by().values_list("detector_id", "level")
    for detector, level, count in rows.annotate(n=Count("pk")):
        yield DailyTally(day=day, kind=Kind.BACKLOG, detector_id=detector, level=level, count=count)


def _handled(day: date, start: datetime, end: datetime) -> Iterator[DailyTally]:
    """By whoever closed it; the time is what they spent on its page before, unknown where none is
    kept."""
    closed = _closed_on(start, end).exclude(closed_by=None)
    spent: Counter[tuple[int, int]] = Counter()
    stays = handling_stays().filter(alert__in=closed).order_by()
    for user, alert, begun, until in stays.values_list("user_id", "alert_id", "opened_at", "until"):
        stay = min(until - begun, LONGEST_STAY).total_seconds()
        spent[user, alert] += max(int(stay), 0)
    found: Counter[tuple[int, int, int | None]] = Counter()
    for detector, user, alert in closed.values_list("detector_id", "closed_by_id", "pk"):
        seconds = spent.get((user, alert))
        found[detector, user, None if seconds is None else bucket_of(seconds)] += 1
    for (detector, user, bucket), count in found.items():
        yield DailyTally(
            day=day, kind=Kind.HANDLED, detector_id=detector, user_id=user, bucket=bucket,
            count=count,
        )  # fmt: skip


# --- Which days ----------------------------------------------------------------------------------


def tally_changed(now: datetime | None = None) -> int:
    """Count the days that anything has changed on since the last run, and today; may run twice.

    Returns how many days were counted.
    """
    now = now or timezone.now()
    return _finish(_uncounted_days(now), now)


def tally_everything(now: datetime | None = None, *, since: date | None = None) -> int:
    """Count every day that has events or alerts, from `since` on where that is given; then earlier
    days that changed are still counted by the next run."""
    now = now or timezone.now()
    if since is None:
        return _finish(_every_day(now), now)
    done = tally_days(_every_day(now, since), now=now)
    _count_waiting(now)
    return done


def tally_maturing(now: datetime | None = None) -> int:
    """Count the days again whose labels may still come: what no change told of is mended so.

    Days that changed since the last run are counted too: the mark that moves covers them.
    """
    now = now or timezone.now()
    delay = timedelta(0)
    for detector in Detector.objects.all():
        try:
            delay = max(delay, timedelta(seconds=detector.spec().training.label_delay))
        except SpecError:
            continue
    today = now.astimezone(UTC).date()
    return _finish(_uncounted_days(now) | set(_days_from(today - delay - FOLLOWED, today)), now)


def _finish(days: set[date], now: datetime) -> int:
    """Count days, among which all are that changed since the last run, and say that it is so up to
    now; a later run that was faster keeps its word."""
    done = tally_days(days, now=now)
    _count_waiting(now)
    TallyRun.objects.get_or_create(pk=1, defaults={"as_of": now})
    TallyRun.objects.filter(pk=1, as_of__lt=now).update(as_of=now)
    return done


def _uncounted_days(now: datetime) -> set[date]:
    """Days that changed since the last run; every day before the first."""
    last = TallyRun.objects.filter(pk=1).first()
    if last is None or last.as_of == NEVER:
        return _every_day(now)
    # A clock that was ahead once must not stop the counting until then.
    return _changed_days(min(last.as_of, now) - LATE, now)


def _every_day(now: datetime, since: date | None = None) -> set[date]:
    """Days that have events or alerts, and those between alerts, from `since` on."""
    found = set(_days_from(_first_day(now), now.astimezone(UTC).date()))
    for detector in Detector.objects.values_list("pk", flat=True):
        events = Prediction.objects.filter(detector=detector)
        if since is not None:
            events = events.filter(event_time__gte=day_bounds(since)[0])
        found |= _days(events, "event_time")
    return {day for day in found if since is None or day >= since}


def _first_day(now: datetime) -> date:
    """When the first alert was opened; today without any."""
    first: datetime | None = Alert.objects.aggregate(at=Min("opened_at"))["at"]
    return (first or now).astimezone(UTC).date()


def _days_from(first: date, last: date) -> list[date]:
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def _days(rows: "QuerySet[Any]", field: str) -> set[date]:
    """The days of a column."""
    days = rows.order_by().annotate(of=TruncDate(field, tzinfo=UTC)).values_list("of", flat=True)
    return {day for day in days.distinct() if day is not None}


def _changed_days(since: datetime, now: datetime) -> set[date]:
    """Days with something new since then: events, labels given or taken back, alerts opened,
    closed, opened again or settled otherwise.

    The days between two runs are among them even when nothing happened: a backlog lasts.
    """
    found = set(_days_from(since.astimezone(UTC).date(), now.astimezone(UTC).date()))
    for detector in Detector.objects.values_list("pk", flat=True):
        arrived = Prediction.objects.filter(detector=detector, received_at__gte=since)
        found |= _days(arrived, "event_time")
        told = Label.objects.filter(detector=detector, recorded_at__gte=since)
        found |= _days(told, "event_time")
    found |= _days(Label.history.filter(retracted_at__gte=since), "event_time")
    closed = Alert.objects.filter(closed_at__gte=since)
    found |= _days(closed, "opened_at") | _days(closed, "closed_at")
    # Level, detector and standing of alerts that are still open change without a time of their own.
    # Not by the time of the event: a late or imported one may raise an alert too.
    added = AlertPrediction.objects.filter(added_at__gte=since).order_by().values("alert")
    live = Alert.objects.exclude(status=AlertStatus.CLOSED).filter(pk__in=added)
    found |= _days(live, "opened_at")
    return found | _days_of_moves(since) | _days_of_new_judgements(since, now)


def _days_of_moves(since: datetime) -> set[date]:
    """Opening days of alerts that went into a case or out, that were settled, or whose closing was
    undone; then also the days from the closing on, whose backlog they are back in."""
    moved = CaseEvent.objects.filter(at__gte=since, kind__in=MOVES).order_by()
    named = {int(detail["alert"]) for detail in moved.values_list("detail", flat=True)}
    found: set[date] = set()
    ids = sorted(named)
    for first in range(0, len(ids), BATCH):
        found |= _days(Alert.objects.filter(pk__in=ids[first : first + BATCH]), "opened_at")
    settled = SecondLook.objects.filter(status=SecondLookStatus.SETTLED, settled_at__gte=since)
    found |= _days(Alert.objects.filter(second_looks__in=settled), "opened_at")
    undone = Closing.objects.filter(undone_at__gte=since)
    found |= _days(Alert.objects.filter(closings__in=undone), "opened_at")
    for at, until in undone.values_list("at", "undone_at"):
        found |= set(_days_from(at.astimezone(UTC).date(), (until or at).astimezone(UTC).date()))
    return found


def _days_of_new_judgements(since: datetime, now: datetime) -> set[date]:
    """Days from the former closing on of alerts that a reopened case closed again: in all of them
    the alert counts as not closed.

    The alert tells of its last closing only; the timelines of the cases that it was in tell of the
    earlier ones. The earliest is taken: one in between may have left the alert as it was.
    """
    again = Alert.objects.filter(closed_at__gte=since).exclude(case=None).order_by()
    merges = CaseMerge.objects.filter(alerts__in=again).order_by()
    cases = {*again.values_list("case", flat=True)}
    for pair in merges.values_list("source", "target"):
        cases |= {*pair}
    ids, former = sorted(cases), []
    for first in range(0, len(ids), BATCH):
        closed = CaseEvent.objects.filter(
            case__in=ids[first : first + BATCH], kind=CaseEvent.Kind.CLOSED, at__lt=since
        )
        former.append(closed.aggregate(at=Min("at"))["at"])
    # An entry is written a moment after its closing, which may lie before midnight.
    begun = min((at - LATE for at in former if at is not None), default=now)
    return set(_days_from(begun.astimezone(UTC).date(), now.astimezone(UTC).date()))


@transaction.atomic
def _count_waiting(now: datetime) -> None:
    """How long the open alerts wait, in place of what was counted before."""
    ages = {
        f"h{hours}": Count("pk", filter=Q(opened_at__lte=now - timedelta(hours=hours)))
        for hours in WAITING_HOURS
    }
    live: QuerySet[Any] = Alert.objects.filter(status=AlertStatus.OPEN).order_by()
    rows: Iterable[dict[str, Any]] = live.values("detector_id", "level").annotate(**ages)
    found = [
        WaitingTally(
            detector_id=row["detector_id"], level=row["level"], hours=hours, count=row[f"h{hours}"]
        )
        for row in rows
        for hours in WAITING_HOURS
    ]
    WaitingTally.objects.all().delete()
    WaitingTally.objects.bulk_create(found)


def newest_event_day(detectors: Iterable[int]) -> date | None:
    """The last day that has events of these detectors; None without any."""
    rows = DailyTally.objects.filter(kind=Kind.EVENT, detector__in=list(detectors))
    found: date | None = rows.aggregate(day=Max("day"))["day"]
    return found
