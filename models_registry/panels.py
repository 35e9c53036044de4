"""What the models page shows of one detector: its versions, its training, what may be done."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.models import Job
from jobs.workflow import JobStatus
from models_registry.core.kept_metrics import as_told
from models_registry.forms import LEARNER_TITLES, TrainForm
from models_registry.models import ModelVersion
from models_registry.promotion import review_over
from models_registry.promotion_panels import Notice, promotion_notices, shadow_state
from models_registry.rare_class import TITLES
from models_registry.selectors import (
    DriftAlarm,
    drift_alarm_of,
    earlier_champions,
    labels_by_digest,
    latest_trainings,
    newest_versions,
)
from models_registry.verdicts import (
    Verdict,
    alike,
    per_thousand,
    ratio,
    share,
    signed,
    small,
    sure_of,
    verdict_of,
)
from scoring.models import Detector

LOG_LINES = 6
Stage = ModelVersion.Stage


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A line of the table; numbers as text. `better` is None where nothing is sure."""

    version: ModelVersion
    learner: str
    average_precision: str
    recall: str
    value: str
    cost: str
    brier: str
    change: str
    better: bool | None
    is_moved: bool
    alike: str
    shadow_state: str


@dataclass(frozen=True, slots=True)
class Training:
    """The newest training of a detector. `state`: live, failed, cancelled, ready; or empty."""

    job: Job
    state: str
    log: Sequence[dict[str, Any]]
    error: str
    version: ModelVersion | None

    @property
    def learner(self) -> str:
        """The algorithm's title."""
        return LEARNER_TITLES.get(self.job.params.get("learner", ""), "")

    @property
    def imbalance(self) -> str:
        """What is done about a rare class; empty where nothing is."""
        method = self.job.params.get("imbalance", "none")
        return "" if method == "none" else TITLES.get(method, method)


@dataclass(slots=True)
class DetectorPanel:
    """One detector on the models page."""

    detector: Detector
    rows: list[VersionRow]
    total: int
    champion: ModelVersion | None
    earlier: ModelVersion | None
    waiting: ModelVersion | None
    verdict: Verdict | None
    training: Training | None
    form: TrainForm
    notice: Notice | None = None
    drift: DriftAlarm | None = None
    review_over: str = ""
    """What a roll-back would mean, where the earlier version is past its review date."""

    @property
    def is_live(self) -> bool:
        """A training waits or runs."""
        return self.training is not None and self.training.state == "live"


def detector_panels(detectors: Sequence[Detector], *, most: int = 5) -> list[DetectorPanel]:
    """A panel per detector, first where a champion broke its guard and serves still: nobody but a
    person ends that. The number of queries does not depend on how many there are."""
    versions = newest_versions(detectors, most=most)
    trainings = latest_trainings(detectors)
    earlier = earlier_champions(detectors)
    notices = promotion_notices(detectors)
    rivals = labels_by_digest([v for found in versions.values() for v in found])
    panels = [
        _panel(
            detector,
            versions.get(detector.pk, []),
            trainings.get(detector.slug),
            earlier.get(detector.pk),
            rivals,
            notices.get(detector.pk),
        )
        for detector in detectors
    ]
    return sorted(panels, key=lambda panel: not _broke(panel.notice))


def _broke(notice: Notice | None) -> bool:
    """Whether a champion broke its guard and serves still; one that is not watched may be sound."""
    return bool(notice and notice.stuck and notice.stuck.not_rolled_back)


def _panel(
    detector: Detector,
    versions: list[ModelVersion],
    job: Job | None,
    earlier: ModelVersion | None,
    rivals: dict[str, str],
    notice: Notice | None,
) -> DetectorPanel:
    currency = detector.currency()
    champion = next((v for v in versions if v.stage == Stage.CHAMPION), None)
    waiting = _newest_challenger(versions, champion)
    verdict = None
    if waiting is not None:
        rival = rivals.get(waiting.comparison.get("champion_digest", ""), "the champion")
        verdict = verdict_of(waiting, rival=rival, currency=currency)
    return DetectorPanel(
        detector=detector,
        rows=[version_row(version, currency=currency) for version in versions],
        total=versions[0].total if versions else 0,  # type: ignore[attr-defined]
        champion=champion,
        earlier=earlier,
        waiting=waiting,
        verdict=verdict,
        training=training_of(job, versions),
        form=TrainForm.of(detector),
        notice=notice,
        drift=drift_alarm_of(champion),
        review_over=review_over(earlier, detector),
    )


def _newest_challenger(
    versions: list[ModelVersion], champion: ModelVersion | None
) -> ModelVersion | None:
    """The newest challenger, if it was trained after the champion: an older one is history."""
    waiting = [v for v in versions if v.stage == Stage.CHALLENGER]
    newest = max(waiting, key=lambda v: v.number, default=None)
    if newest is None or (champion is not None and newest.number < champion.number):
        return None
    return newest


def version_row(version: ModelVersion, *, currency: str) -> VersionRow:
    """The numbers of a version for a table."""
    found, compared = as_told(version.metrics), version.comparison
    difference = compared["average_precision"]["difference"] if compared else None
    shadow = getattr(version, "shadow", None)
    is_moved = bool(found.get("moved_from"))
    return VersionRow(
        version=version,
        learner=LEARNER_TITLES.get(version.learner, version.learner),
        average_precision=ratio(found.get("average_precision")),
        recall=share(found.get("recall_at_1pct_fpr")),
        value=share(found.get("value_detection_rate")),
        cost=per_thousand(found.get("cost_per_event"), currency),
        brier=small(found.get("brier")),
        change="" if difference is None else signed(difference),
        better=sure_of(compared["verdict"]) if compared and not is_moved else None,
        is_moved=is_moved,
        alike=alike(shadow.agreed, shadow.rows) if shadow else "",
        shadow_state=shadow_state(shadow, version.stage) if shadow else "",
    )


def training_of(job: Job | None, versions: Sequence[ModelVersion]) -> Training | None:
    """What to say of the newest training; nothing once a training after it made a version."""
    if job is None:
        return None
    made = (job.result or {}).get("version")
    version = next((v for v in versions if v.pk == made), None)
    # The demo trains without a job. What was imported or moved is no answer.
    here = [v for v in versions if v.was_trained]  # type: ignore[attr-defined]
    newest = max((v.trained_at for v in here), default=None)
    state = ""
    if job.is_live:
        state = "live"
    elif job.status in (JobStatus.FAILED, JobStatus.CANCELLED):
        unanswered = newest is None or job.finished_at is None or newest < job.finished_at
        state = job.status if unanswered else ""
    elif version is not None and version.stage == Stage.CHALLENGER and version == _last(versions):
        state = "ready"
    return Training(job, state, job.log[-LOG_LINES:], plain_error(job.error), version)


def _last(versions: Sequence[ModelVersion]) -> ModelVersion | None:
    return max(versions, key=lambda version: version.number, default=None)


def plain_error(text: str) -> str:
    """A job's error without the exception's name: `DatasetError: Only 3` -> `Only 3`."""
    return re.sub(r"^\w+: ", "", text)
