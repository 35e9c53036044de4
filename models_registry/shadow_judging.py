"""The verdict on a challenger from live traffic, and the job that catches up and judges."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import User
from jobs.models import Job
from jobs.progress import JobProgress
from jobs.services import enqueue_job
from models_registry.core import live
from models_registry.core.live import LiveRows, compare_live
from models_registry.models import ModelVersion
from models_registry.shadow_models import Shadow, ShadowScore
from models_registry.shadow_scoring import shadow_some
from scoring.core.types import DECISIONS, SelectionReason
from scoring.models import Detector, Label

SHADOW = "models_registry.shadow"
JUDGE_EVERY = timedelta(hours=6)
AT_ONCE = 5000
CHUNK = 5000
MOST_ROWS = 2_000_000
"""The newest that are compared: about 200 MB of a worker's memory."""
MOST_CARDS = 100
CODES = {str(decision): code for code, decision in enumerate(DECISIONS)}


class Both(NamedTuple):
    """What is read of one event that both scored."""

    prediction_id: UUID
    event_time: datetime
    entity: str
    exposure: Any
    decision: str
    score: float
    probability: float | None
    selection_reason: str
    propensity: float
    shadow_score: float
    shadow_probability: float | None
    shadow_decision: str


READ = (
    "prediction_id", "event_time", "prediction__entity", "prediction__exposure",
    "prediction__decision", "prediction__score", "prediction__probability",
    "prediction__selection_reason", "prediction__propensity", "score", "probability", "decision",
)  # fmt: skip


def shadow_key(version: ModelVersion) -> str:
    """The unique key of a version's shadow jobs: one at a time."""
    return f"shadow:{version.pk}"


def request_judgement(version: ModelVersion, *, requested_by: User | None) -> Job:
    """Queue a job that catches up with traffic and compares; the live one, if there is one."""
    return enqueue_job(
        kind=SHADOW,
        params={"version": version.pk},
        unique_key=shadow_key(version),
        requested_by=requested_by,
        subject=str(version),
    )


def is_due(shadow: Shadow, *, now: datetime) -> bool:
    """It scored something since it was last judged, and that was a while ago."""
    if shadow.scored_at is None:
        return False
    judged = shadow.compared_at
    return judged is None or (shadow.scored_at > judged and now - judged >= JUDGE_EVERY)


def run_shadow_job(job: Job, progress: JobProgress) -> dict[str, Any]:
    """The work of a shadow job: catch up, then compare."""
    shadow = Shadow.objects.select_related("version", "detector").get(version=job.params["version"])
    progress.report(0.05, "Scoring what came since")
    while shadow.state == Shadow.State.RUNNING and shadow_some(
        shadow, now=timezone.now(), most=AT_ONCE
    ):
        progress.check_cancelled()
        progress.report(0.5, f"Scoring what came since: {shadow.rows:,} events so far")
    progress.report(0.6, "Comparing with the champion")
    found = judge_shadow(shadow, now=timezone.now())
    return {"verdict": found.get("verdict", ""), "reason": found.get("reason", "")}


def judge_shadow(shadow: Shadow, *, now: datetime) -> dict[str, Any]:
    """Compare with the champion on matured labels, and keep what came of it; empty without one.

    Events that another champion scored are left out, and so are degraded ones.
    """
    champion = ModelVersion.objects.filter(
        detector=shadow.detector_id, stage=ModelVersion.Stage.CHAMPION
    ).first()
    if champion is None or champion.pk == shadow.version_id:
        return {}
    detector = shadow.detector
    spec = detector.spec()
    delay = timedelta(seconds=spec.training.label_delay)
    rows = read_live(shadow, champion, matured_before=now - delay, known_at=now)
    days = max(1, int(np.unique(rows.event_time // live.DAY).size))
    found = compare_live(
        rows,
        costs=spec.costs,
        least_positives=spec.training.minimum_positives,
        k=int(np.clip(round(spec.costs.capacity * len(rows) / days), 1, MOST_CARDS)),
    ).to_dict()
    found = {
        **_finite(found),
        "champion_digest": champion.digest,
        "champion": champion.label,
        "known_at": now.isoformat(),
        "label_delay": spec.training.label_delay,
    }
    Shadow.objects.filter(pk=shadow.pk).update(comparison=found, compared_at=now)
    shadow.comparison, shadow.compared_at = found, now
    return found


def read_live(
    shadow: Shadow, champion: ModelVersion, *, matured_before: datetime, known_at: datetime
) -> LiveRows:
    """Events that both scored and that are old enough for their labels to have come."""
    scores = (
        ShadowScore.objects.filter(
            version=shadow.version_id,
            event_time__lt=matured_before,
            prediction__bundle_digest=champion.digest,
            prediction__degraded=False,
            prediction__score__isnull=False,
        )
        .order_by("-event_time")
        .values_list(*READ)[:MOST_ROWS]
    )
    rows = [Both(*row) for row in scores.iterator(chunk_size=CHUNK)]
    truth = _truths(shadow.detector, shadow.version_id, known_at)
    entity = np.unique(np.array([row.entity for row in rows]), return_inverse=True)[1]
    audited = np.array([row.selection_reason == SelectionReason.RANDOM_AUDIT for row in rows], bool)
    selected = np.array([row.selection_reason != SelectionReason.NONE for row in rows], bool)
    column = partial(np.array, dtype=np.float64)
    return LiveRows(
        labels=np.array([truth.get(row.prediction_id, live.UNKNOWN) for row in rows], np.int8),
        selected=selected & ~audited,
        audited=audited,
        propensity=column([row.propensity for row in rows]),
        event_time=column([row.event_time.timestamp() for row in rows]),
        entities=entity.astype(np.int64),
        amounts=column([np.nan if row.exposure is None else float(row.exposure) for row in rows]),
        champion_risk=column(
            [row.score if row.probability is None else row.probability for row in rows]
        ),
        challenger_risk=column(
            [
                row.shadow_score if row.shadow_probability is None else row.shadow_probability
                for row in rows
            ]
        ),
        champion_decision=_codes([row.decision for row in rows]),
        challenger_decision=_codes([row.shadow_decision for row in rows]),
    )


def _codes(decisions: list[str]) -> NDArray[np.int8]:
    return np.array([CODES[decision] for decision in decisions], np.int8)


def _truths(detector: Detector, version_id: int, known_at: datetime) -> dict[UUID, int]:
    """The newest label of each shadowed prediction that was given by then."""
    labels = (
        Label.objects.filter(
            detector=detector,
            label_time__lte=known_at,
            prediction__shadow_scores__version=version_id,
        )
        .order_by("label_time", "id")
        .values_list("prediction_id", "is_fraud")
    )
    return {pk: int(truth) for pk, truth in labels.iterator(chunk_size=CHUNK)}


def _finite(value: Any) -> Any:
    """JSON knows no NaN: what could not be told becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
