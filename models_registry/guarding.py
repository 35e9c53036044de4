"""After a promotion: watch the new champion, and roll back by itself where a guard breaks.

It does not flap. A roll-back is not watched, so nothing takes it back; the version that broke its
guard has no passing comparison any more (models_registry.approvals), so only people can bring it
back, as an override with a reason.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.services import record_audit
from models_registry.core import live
from models_registry.core.guard import Breach, FloatArray, Sample, breaches
from models_registry.core.live import decided_costs
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion import PromotionRefused, roll_back
from models_registry.promotion_models import COULD_NOT_LOOK, PromotionGuard, faults_in
from models_registry.telling import tell_not_rolled_back, tell_not_watched
from scoring.core.bundle import BundleError
from scoring.core.spec import DetectorSpec
from scoring.core.types import DECISIONS, Decision, SelectionReason
from scoring.models import Detector, Label, Prediction

logger = logging.getLogger(__name__)
MOST_EVENTS = 5000
MOST_LABELS = 20_000
SPANS = 10
"""Parts of a champion's service of which an even share of its events is read."""
NOT_ON_RECORD = "The audit trail could not take that in yet"
AGAIN = f"{COULD_NOT_LOOK} twice in a row"
State = PromotionGuard.State
CODES = {str(decision): code for code, decision in enumerate(DECISIONS)}


class Seen(NamedTuple):
    """What is read of a prediction."""

    id: UUID
    event_time: datetime
    latency_us: int
    degraded: bool
    decision: str
    exposure: Decimal | None
    currency: str
    selection_reason: str


class Labelled(NamedTuple):
    """A matured event with its newest label."""

    flagged: bool
    fraud: bool


class Looked(NamedTuple):
    """What is read of one champion: its newest events, the newest of which the label delay has
    passed with their labels, and the newest labels of such: alerts and fraud are too rare to be
    found among the newest events. Of the former one, what it flagged of an even share of all."""

    newest: list[Seen]
    matured: list[Seen]
    truth: dict[UUID, bool]
    labelled: list[Labelled]
    over_time: Sequence[bool] = ()


def watch_promotions(*, now: datetime) -> list[PromotionGuard]:
    """Look at every new champion; the guards that broke."""
    rows = PromotionGuard.objects.filter(state=State.WATCHING).select_related(
        "detector", "version", "former"
    )
    return [guard for guard in rows if _checked(guard, now=now)]


def _checked(guard: PromotionGuard, *, now: datetime) -> bool:
    """`check_guard`; a fault of one detector keeps nobody from watching the others."""
    fault = guard.fault
    try:
        return check_guard(guard, now=now)
    except Exception as error:
        logger.exception("The guard of %s could not look.", guard.version)
        try:
            _keep_blind(guard, error, before=fault, now=now)
        except Exception:
            logger.exception("That the guard of %s could not look is not kept.", guard.version)
        return False


@transaction.atomic
def _keep_blind(guard: PromotionGuard, error: Exception, *, before: str, now: datetime) -> None:
    """Keep on the guard that it could not look; `before`: its fault until now. The second time in
    a row that is put on record and told: one look may have met a database that was away. So a
    guard whose time is over ends at the second too, which is put on record and told in any case.

    A roll-back that failed stays told before it: it still is what people have to mend. Of the
    error its type alone: the words of one may quote an event. The log has all of it.
    """
    failed, blind = faults_in(before)
    over = bool(blind) and now >= guard.until
    what = AGAIN if blind else COULD_NOT_LOOK
    why = f"{what} ({type(error).__name__}; the log of the worker says where)."
    label = guard.version.label
    then = f"Until it can, nothing rolls {label} back by itself."
    if over:
        then = f"Nothing rolls {label} back by itself any more."
    guard.fault = f"{failed} {why} {then}".strip()
    held = PromotionGuard.objects.filter(pk=guard.pk, state=State.WATCHING)
    if not held.update(fault=guard.fault):
        return
    if over:
        _end(guard, State.ENDED, now=now)
    if over or (blind and not blind.startswith(AGAIN)):
        detail = {"fault": guard.fault, "state": guard.state}
        record_audit(actor=None, action="model.not_watched", subject=guard.version, detail=detail)
    if blind:
        tell_not_watched(guard, day=now.date())


def check_guard(guard: PromotionGuard, *, now: datetime) -> bool:
    """Measure both champions; roll back where a bound is broken. Whether it was.

    A guard whose time is over passes, if it could judge; one whose version no longer serves ends.
    """
    guard.version.refresh_from_db(fields=["stage"])
    if guard.version.stage != ModelVersion.Stage.CHAMPION:
        _end(guard, State.ENDED, now=now)
        return False
    spec = guard.detector.spec()
    matured = now - timedelta(seconds=spec.training.label_delay)
    before, after = _samples(*_looks(guard, matured, now), spec)
    found = breaches(before, after, spec.training.guard)
    guard.before, guard.after, guard.checked_at = before.levels(), after.levels(), now
    known = guard.not_rolled_back and NOT_ON_RECORD not in guard.fault
    guard.fault = ""
    guard.save(update_fields=["before", "after", "checked_at", "fault"])
    over = now >= guard.until
    if found:
        rolled_back = _roll_back(guard, found, now=now)
        if guard.fault and not known:
            _make_known(guard, found, now=now)
        if over and not rolled_back and NOT_ON_RECORD not in guard.fault:
            _end(guard, State.ENDED, now=now)
        return rolled_back
    if over:
        least = min(before.latency_us.size, after.latency_us.size)
        judged = least >= spec.training.guard.events
        _end(guard, State.PASSED if judged else State.ENDED, now=now)
    return False


def _looks(guard: PromotionGuard, matured: datetime, now: datetime) -> tuple[Looked, Looked]:
    """What the former champion did while it served, and the new one since."""
    mine = Prediction.objects.filter(detector=guard.detector)
    served, until = _served_since(guard), min(guard.since, matured)
    theirs = mine.filter(bundle_digest=guard.former.digest)
    former = _look(
        theirs.filter(received_at__gte=served, received_at__lt=guard.since),
        theirs.filter(event_time__gte=served, event_time__lt=until),
        _labelled(guard, Q(prediction__bundle_digest=guard.former.digest), served, until, now),
        now,
    )._replace(over_time=_flagged_over(theirs, served, guard.since))
    # A damaged bundle scores under no digest of its own: whatever came since counts, except what
    # the former champion still finished.
    ours = mine.exclude(bundle_digest=guard.former.digest)
    new = _look(
        ours.filter(received_at__gte=guard.since),
        ours.filter(event_time__gte=guard.since, event_time__lt=matured),
        _labelled(
            guard, ~Q(prediction__bundle_digest=guard.former.digest), guard.since, matured, now
        ),
        now,
    )
    return former, new


def _served_since(guard: PromotionGuard) -> datetime:
    """When the former champion began to serve: older events cannot be its own, and need not be
    read."""
    began = PromotionDecision.objects.filter(version=guard.former, at__lt=guard.since)
    newest = began.order_by("-at").values_list("at", flat=True).first()
    return newest or guard.former.trained_at


def _roll_back(guard: PromotionGuard, found: list[Breach], *, now: datetime) -> bool:
    """Whether this worker did; a fault is kept on the guard, which goes on watching."""
    texts = " ".join(breach.text for breach in found)
    try:
        if not _restored(guard, found, f"Rolled back by its guard: {texts}", now=now):
            return False
    except (PromotionRefused, BundleError) as problem:
        logger.error("%s broke its guard, and cannot be rolled back: %s", guard.version, problem)
        fault = f"{texts} It could not be rolled back: {problem}"
        PromotionGuard.objects.filter(pk=guard.pk, state=State.WATCHING).update(fault=fault)
        guard.refresh_from_db()
        return False
    logger.warning("%s was rolled back by its guard: %s", guard.version, texts)
    guard.refresh_from_db()
    return True


def _make_known(guard: PromotionGuard, found: list[Breach], *, now: datetime) -> None:
    """That it could not be rolled back, when that begins: only people can help.

    Why stays on the guard, and is told, where it cannot be put on record: the next look tries that
    again.
    """
    try:
        _put_on_record(guard, found)
    except Exception as error:
        logger.exception("That %s was not rolled back is not on record.", guard.version)
        guard.fault = f"{guard.fault} {NOT_ON_RECORD} ({type(error).__name__})."
        held = PromotionGuard.objects.filter(pk=guard.pk, state=State.WATCHING)
        held.update(fault=guard.fault)
    tell_not_rolled_back(guard, day=now.date())


@transaction.atomic
def _put_on_record(guard: PromotionGuard, found: list[Breach]) -> None:
    detail = {"breaches": [breach.guard for breach in found], "fault": guard.fault}
    record_audit(actor=None, action="model.not_rolled_back", subject=guard.version, detail=detail)


@transaction.atomic
def _restored(guard: PromotionGuard, found: list[Breach], reason: str, *, now: datetime) -> bool:
    """Bring the former champion back, all on record or nothing; False where another worker did."""
    Detector.objects.select_for_update(no_key=True).get(pk=guard.detector_id)
    held = PromotionGuard.objects.filter(pk=guard.pk, state=State.WATCHING)
    told = [{"guard": breach.guard, "text": breach.text} for breach in found]
    if not held.update(state=State.BROKEN, ended_at=now, breaches=told):
        return False
    guard.version.refresh_from_db(fields=["stage"])
    if guard.version.stage != ModelVersion.Stage.CHAMPION:
        raise PromotionRefused("It no longer serves.")
    decision = roll_back(guard.detector, actor=None, reason=reason, expected=guard.version_id)
    detail = {
        "restored": decision.version.label,
        "breaches": [breach.guard for breach in found],
        "before": guard.before,
        "after": guard.after,
    }
    record_audit(actor=None, action="model.guard_broken", subject=guard.version, detail=detail)
    return True


def _end(guard: PromotionGuard, state: PromotionGuard.State, *, now: datetime) -> None:
    PromotionGuard.objects.filter(pk=guard.pk, state=State.WATCHING).update(
        state=state, ended_at=now
    )
    guard.refresh_from_db()


def _look(
    rows: "QuerySet[Prediction]",
    old_enough: "QuerySet[Prediction]",
    labelled: list[Labelled],
    now: datetime,
) -> Looked:
    """Each is read along the index of its order, inside the span in which the champion served."""
    newest = _read(rows.order_by("-received_at"))
    matured = _read(old_enough.order_by("-event_time"))
    return Looked(newest, matured, _truths([row.id for row in matured], now), labelled)


def _labelled(
    guard: PromotionGuard, whose: Q, begin: datetime, end: datetime, now: datetime
) -> list[Labelled]:
    """Of the newest MOST_LABELS labels those of a champion's events between two moments, an event
    by its newest one. Along the index of when labels came, from when the first such event did."""
    labels = (
        Label.history.known_at(now)
        .filter(whose, detector=guard.detector, label_time__gte=begin)
        .filter(event_time__gte=begin, event_time__lt=end)
        .order_by("-label_time", "-id")
        .values_list("prediction_id", "prediction__decision", "is_fraud")
    )
    found: dict[UUID, Labelled] = {}
    for event, decision, fraud in labels[:MOST_LABELS]:
        found.setdefault(event, Labelled(decision != Decision.APPROVE, fraud))
    return list(found.values())


def _flagged_over(rows: "QuerySet[Prediction]", begin: datetime, end: datetime) -> list[bool]:
    """What was flagged of MOST_EVENTS events at most, the newest of each of SPANS equal spans."""
    edges = [begin + (end - begin) * (part / SPANS) for part in range(SPANS + 1)]
    found: list[bool] = []
    for low, high in pairwise(edges):
        inside = rows.filter(received_at__gte=low, received_at__lt=high).order_by("-received_at")
        decisions = inside.values_list("decision", flat=True)[: MOST_EVENTS // SPANS]
        found += [decision != Decision.APPROVE for decision in decisions]
    return found


def _read(rows: "QuerySet[Prediction]") -> list[Seen]:
    return [Seen(*row) for row in rows.values_list(*Seen._fields)[:MOST_EVENTS]]


def _samples(before: Looked, after: Looked, spec: DetectorSpec) -> tuple[Sample, Sample]:
    costs = _costs(before, after, spec)
    return _sample(before, costs[0]), _sample(after, costs[1])


def _sample(side: Looked, costs: FloatArray) -> Sample:
    return Sample(
        latency_us=np.array([row.latency_us for row in side.newest], np.float64),
        degraded=np.array([row.degraded for row in side.newest], bool),
        alerted=np.array([row.decision != Decision.APPROVE for row in side.newest], bool),
        precise=np.array([event.fraud for event in side.labelled if event.flagged], bool),
        caught=np.array([event.flagged for event in side.labelled if event.fraud], bool),
        costs=costs,
        over_time=np.array(side.over_time, bool),
    )


def _costs(before: Looked, after: Looked, spec: DetectorSpec) -> tuple[FloatArray, FloatArray]:
    """Cost of each labelled event. Both sides at once: an unknown amount counts as the same one on
    either."""
    sides = [(side, _told(side)) for side in (before, after)]
    rows = [row for _, told in sides for row in told]
    found = decided_costs(
        np.array([side.truth[row.id] for side, told in sides for row in told], np.int8),
        np.array([CODES[row.decision] for row in rows], np.int8),
        np.array([spec.own_amount(row.exposure, row.currency) for row in rows], np.float64),
        spec.costs,
    )
    count = len(sides[0][1])
    return found[:count], found[count:]


def _told(side: Looked) -> list[Seen]:
    """The labelled events; none where labels come for what was flagged only."""
    left = [row for row in side.matured if row.selection_reason == SelectionReason.NONE]
    told = sum(row.id in side.truth for row in left)
    if left and told < live.NEARLY_ALL * len(left):
        return []
    return [row for row in side.matured if row.id in side.truth]


def _truths(ids: Iterable[UUID], known_at: datetime) -> dict[UUID, bool]:
    """The newest label of each that was given by then, and not taken back by then."""
    found: dict[UUID, bool] = {}
    wanted = list(ids)
    for first in range(0, len(wanted), 500):
        labels = (
            Label.history.known_at(known_at)
            .filter(prediction__in=wanted[first : first + 500])
            .order_by("label_time", "id")
        )
        found.update(labels.values_list("prediction_id", "is_fraud"))
    return found
