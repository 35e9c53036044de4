"""Challengers score live traffic in shadow, after the fact: no response ever waits for it.

A stored prediction holds its feature vector and whatever rules, screening and lists said, so a
background task can say what a challenger would have made of it. Each batch is one short
transaction that moves the cursor and writes its rows: whatever is interrupted is done again,
whatever runs twice finds that somebody stored a batch meanwhile and drops its own.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from numpy.typing import NDArray

from models_registry.models import ModelVersion
from models_registry.shadow_models import Shadow, ShadowScore
from scoring.core.bundle import Bundle, BundleError, Predictor
from scoring.core.decision import decide
from scoring.core.inference import ModelError, score_of
from scoring.core.types import (
    Decision,
    ListHit,
    Orders,
    RiskLevel,
    RuleHit,
    ScreeningHit,
    Stage,
)
from scoring.deployment import RULES_ONLY, loaded
from scoring.models import Prediction

logger = logging.getLogger(__name__)
BATCH = 1000
BINS = 20
SETTLE = timedelta(seconds=5)
"""Younger predictions may not be committed yet, though others that came later are."""
LOOK_BACK = timedelta(minutes=2)
"""A prediction that was committed late lies before the cursor; it is found within this."""
State = Shadow.State


class Turn(Enum):
    """How a turn at the waiting predictions ended."""

    DONE = "nothing waits, or it cannot go on"
    MORE = "more may wait"
    LOST = "somebody else stored a batch, or stopped it, meanwhile"


class CannotShadow(Exception):
    """The challenger cannot score what is logged; the message says why."""


class Logged(NamedTuple):
    """What is read of a prediction."""

    id: UUID
    received_at: datetime
    event_time: datetime
    vector: bytes
    bundle_digest: str
    score: float | None
    probability: float | None
    decision: str
    rule_hits: list[dict[str, Any]]
    screening_hits: list[dict[str, Any]]
    list_hits: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Shadow scores of some predictions, and what they add to the totals beside `champion`.

    `champion` is the digest that the totals were counted for.
    """

    champion: str
    scores: list[ShadowScore]
    totals: dict[str, int]
    histogram: dict[str, list[int]]


def shadow_some(shadow: Shadow, *, now: datetime, most: int) -> Turn:
    """Look at up to `most` predictions, a batch at a time, and pass by what cannot be scored.

    Raises nothing for a challenger that cannot: it is marked as blocked, with the reason.
    """
    done = 0
    for waiting in (_late, _next):
        rows = waiting(shadow, now)
        while rows:
            champion = _champion_digest(shadow)
            try:
                batch = _score(shadow, rows, champion)
            except (CannotShadow, BundleError) as problem:
                _block(shadow, str(problem), champion)
                return Turn.DONE
            # What was late lies before the cursor, which stays.
            if not _store(shadow, batch, rows[-1] if waiting is _next else None):
                return Turn.LOST
            done += len(rows)
            if done >= most:
                return Turn.MORE
            rows = waiting(shadow, now) if len(rows) == BATCH else []
    return Turn.DONE


def _late(shadow: Shadow, now: datetime) -> list[Logged]:
    """Predictions that were committed after the cursor had passed them, if they can be scored.

    What cannot be scored never gets a score, and would be read again at every turn.
    """
    if shadow.cursor_id is None and shadow.scored_at is None:
        return []
    at = shadow.watermark
    since = max(at - LOOK_BACK, shadow.version.trained_at)
    missed = _unscored(shadow).filter(received_at__range=(since, at))
    if shadow.cursor_id is not None:
        missed = missed.exclude(received_at=at, id__gt=shadow.cursor_id)
    logged = missed.values_list("bundle_digest", flat=True).distinct()
    able = [digest for digest in logged if _is_able(shadow, digest)]
    return _read(missed.filter(bundle_digest__in=able)) if able else []


def _next(shadow: Shadow, now: datetime) -> list[Logged]:
    """The predictions after the cursor, in order of arrival."""
    at = shadow.watermark
    after = Q(received_at__gt=at)
    if shadow.cursor_id is not None:
        after |= Q(received_at=at, id__gt=shadow.cursor_id)
    # The range says it twice, so that the index is used whatever `after` is made of.
    return _read(_unscored(shadow).filter(after, received_at__range=(at, now - SETTLE)))


def _unscored(shadow: Shadow) -> QuerySet[Prediction]:
    mine = ShadowScore.objects.filter(version=shadow.version_id, prediction=OuterRef("pk"))
    return Prediction.objects.filter(~Exists(mine), detector=shadow.detector_id).order_by()


def _read(rows: QuerySet[Prediction]) -> list[Logged]:
    ordered = rows.order_by("received_at", "id").values_list(*Logged._fields)[:BATCH]
    return [Logged(*row) for row in ordered]


def _is_able(shadow: Shadow, digest: str) -> bool:
    """Whether the challenger can score what was logged under `digest`."""
    try:
        layout_of(loaded(shadow.version.digest), digest)
    except (CannotShadow, BundleError):
        return False  # What comes next tells of it.
    return True


def _score(shadow: Shadow, rows: list[Logged], champion: str) -> Batch:
    """What the challenger makes of them. Raises CannotShadow, BundleError."""
    challenger = loaded(shadow.version.digest)
    predictor = challenger.predictor
    if predictor is None:
        raise CannotShadow("Its bundle has no model: it would decide by rules, as now.")
    scores: list[ShadowScore] = []
    totals = dict.fromkeys(("rows", "agreed", "more", "less"), 0)
    risks: dict[str, list[float]] = {"champion": [], "challenger": []}
    for digest in dict.fromkeys(row.bundle_digest for row in rows):
        mine = [row for row in rows if row.bundle_digest == digest]
        try:
            layout = layout_of(challenger, digest)
        except CannotShadow:
            if digest == champion:
                raise
            continue  # An earlier champion did not log what this one does.
        found = _judge(predictor, mine, layout)
        scores += [_shadow_score(shadow, row, *said) for row, said in zip(mine, found, strict=True)]
        if digest == champion:
            _count(mine, found, totals, risks)
    bins = {name: _histogram(values) for name, values in risks.items()}
    return Batch(champion, scores, totals, bins)


def _champion_digest(shadow: Shadow) -> str:
    rows = ModelVersion.objects.filter(
        detector=shadow.detector_id, stage=ModelVersion.Stage.CHAMPION
    )
    return rows.values_list("digest", flat=True).first() or ""


def layout_of(challenger: Bundle, digest: str) -> NDArray[np.intp]:
    """Where the challenger's features lie in vectors logged under `digest`. Raises CannotShadow.

    A feature that was not logged could only be had by reading the detector's whole history again
    in order (models_registry.datasets does, for a training), which is no work for every minute.
    """
    try:
        logged = () if digest == RULES_ONLY else loaded(digest).plan.features
    except BundleError as error:
        raise CannotShadow(f"What serves cannot be read: {error}") from error
    places = {feature.raw: i for i, feature in enumerate(logged)}
    missing = [f.name for f in challenger.spec.features if f.raw not in places]
    if missing:
        named = ", ".join(missing[:5]) + (" and others" if len(missing) > 5 else "")
        raise CannotShadow(
            f"It needs features that the champion does not log ({named}), and windows cannot be "
            "read again for every event. It can be compared on the test part of its training only."
        )
    return np.array([places[f.raw] for f in challenger.spec.features], np.intp)


def _judge(
    predictor: Predictor, rows: list[Logged], layout: NDArray[np.intp]
) -> list[tuple[float, float | None, Decision]]:
    """(score, probability, decision) of each: its model under the rules that applied then."""
    vectors = np.array([np.frombuffer(row.vector, "<f8")[layout] for row in rows])
    try:
        margin = predictor.model.margin(predictor.encoder.matrix(vectors))
    except ModelError as error:
        raise CannotShadow(f"Its model fails: {error}") from error
    score = score_of(margin, predictor.model.link)
    probability = predictor.calibration.probability(margin)
    found = []
    for i, row in enumerate(rows):
        p = None if probability is None else float(probability[i])
        ruling = decide(
            float(score[i]) if p is None else p,
            predictor.thresholds,
            tuple(rule_hit_of(hit) for hit in row.rule_hits),
            screening=tuple(screening_hit_of(hit) for hit in row.screening_hits),
            orders=orders_of(row.list_hits),
        )
        found.append((float(score[i]), p, ruling.decision))
    return found


def rule_hit_of(hit: dict[str, Any]) -> RuleHit:
    """A stored match of a rule, as `decide` wants it."""
    outcome = hit.get("outcome")
    return RuleHit(
        code=str(hit["code"]),
        version=int(hit["version"]),
        outcome=None if outcome is None else Decision(outcome),
        text="",
        values={},
        weight=float(hit.get("weight", 0.0)),
        stage=Stage(hit.get("stage", Stage.LIVE)),
        snoozed=hit.get("snoozed"),
    )


def screening_hit_of(hit: dict[str, Any]) -> ScreeningHit:
    """A stored match of screening."""
    plain = {name: hit[name] for name in ScreeningHit.__dataclass_fields__}
    return ScreeningHit(
        **plain | {"severity": RiskLevel(hit["severity"]), "outcome": Decision(hit["outcome"])}
    )


def orders_of(hits: Iterable[dict[str, Any]]) -> Orders:
    """Stored matches of the allow and deny lists: those that stood when the event came."""
    found = [ListHit(**hit) for hit in hits]
    return Orders(
        allowed=tuple(hit for hit in found if hit.kind == "allow"),
        denied=tuple(hit for hit in found if hit.kind == "deny"),
    )


def _shadow_score(
    shadow: Shadow, row: Logged, score: float, probability: float | None, decision: Decision
) -> ShadowScore:
    return ShadowScore(
        version_id=shadow.version_id,
        prediction_id=row.id,
        event_time=row.event_time,
        score=score,
        probability=probability,
        decision=decision,
    )


def _count(
    rows: list[Logged],
    found: list[tuple[float, float | None, Decision]],
    totals: dict[str, int],
    risks: dict[str, list[float]],
) -> None:
    for row, (score, probability, decision) in zip(rows, found, strict=True):
        if row.score is None:
            continue  # Degraded: the champion's model said nothing to compare with.
        theirs, ours = row.decision != Decision.APPROVE, decision != Decision.APPROVE
        totals["rows"] += 1
        totals["agreed"] += row.decision == decision
        totals["more"] += ours and not theirs
        totals["less"] += theirs and not ours
        risks["champion"].append(row.score if row.probability is None else row.probability)
        risks["challenger"].append(score if probability is None else probability)


def _histogram(risks: list[float]) -> list[int]:
    counted: list[int] = np.histogram(np.clip(risks, 0.0, 1.0), BINS, (0.0, 1.0))[0].tolist()
    return counted


def _store(shadow: Shadow, batch: Batch, last: Logged | None) -> bool:
    """Write a batch and move the cursor to `last`, both or neither; False when somebody else did.

    The totals go with the champion that they were counted for, whoever serves by now.
    """
    anew = shadow.champion_digest != batch.champion
    changed: dict[str, Any] = {
        name: count if anew else F(name) + count for name, count in batch.totals.items()
    }
    if last is not None:
        changed |= {"watermark": last.received_at, "cursor_id": last.id}
    if batch.scores:
        changed["scored_at"] = timezone.now()
    with transaction.atomic():
        # The cursor is claimed first: of two runs over the same rows one finds a batch stored.
        moved = Shadow.objects.filter(
            pk=shadow.pk,
            state=State.RUNNING,
            watermark=shadow.watermark,
            cursor_id=shadow.cursor_id,
            batches=shadow.batches,
        ).update(
            batches=F("batches") + 1,
            champion_digest=batch.champion,
            histogram=batch.histogram if anew else _added(shadow.histogram, batch.histogram),
            fault="",
            **changed,
        )
        if moved:
            ShadowScore.objects.bulk_create(batch.scores, ignore_conflicts=True)
    shadow.refresh_from_db()
    return bool(moved)


def _added(one: dict[str, list[int]], other: dict[str, list[int]]) -> dict[str, list[int]]:
    empty = [0] * BINS
    return {
        name: [a + b for a, b in zip(one.get(name, empty), counts, strict=True)]
        for name, counts in other.items()
    }


def _block(shadow: Shadow, fault: str, champion: str) -> None:
    logger.warning("%s cannot shadow: %s", shadow.version, fault)
    Shadow.objects.filter(pk=shadow.pk, state=State.RUNNING).update(
        state=State.BLOCKED,
        fault=fault,
        stopped_at=timezone.now(),
        champion_digest=champion,
    )
    shadow.refresh_from_db()
