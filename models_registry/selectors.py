"""Reads of versions and promotions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
    Window,
)
from django.db.models.functions import RowNumber

from jobs.models import Job
from models_registry.core.drift import MAJOR_DRIFT, MODERATE_DRIFT
from models_registry.drift_models import DriftCheck
from models_registry.evaluation_models import ThresholdMove
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion_models import PromotionGuard, faults_in
from models_registry.registry_models import Lineage, TrackedRun
from scoring.models import Detector

BROKEN = PromotionGuard.State.BROKEN
USUAL_OF = 5
"""So many of the newest trainings say how long one usually takes."""


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """What the newest drift check says of a champion whose events have moved."""

    model_version: str
    status: str
    alarm_since: datetime


def version_list(detector: Detector | None = None) -> QuerySet[ModelVersion]:
    """Versions, newest first, of one detector or of all."""
    rows = ModelVersion.objects.select_related("detector", "dataset", "trained_by", "shadow")
    if detector is not None:
        rows = rows.filter(detector=detector)
    return rows.order_by("detector__name", "-number")


def detectors_with_models() -> QuerySet[Detector]:
    """Those that are on, or have a version, by name: who uses none of the shipped ones switches
    them off, and is not to look for their own among them."""
    versions = ModelVersion.objects.filter(detector=OuterRef("pk"))
    return Detector.objects.filter(Q(enabled=True) | Exists(versions)).order_by("name")


def champion_of(detector: Detector) -> ModelVersion | None:
    """The version that serves, if a model does."""
    return ModelVersion.objects.filter(detector=detector, stage=ModelVersion.Stage.CHAMPION).first()


def trained_here() -> QuerySet[ModelVersion]:
    """Versions that a training on this platform made. An imported one tells nothing of when its
    detector learnt, nor does one whose thresholds were moved: it has the model of another."""
    rows = ModelVersion.objects.filter(threshold_move=None)
    return rows.exclude(lineage__origin=Lineage.Origin.IMPORTED)


def usual_training(detector: Detector, learner: str) -> float | None:
    """Seconds that trainings of this detector and learner took outside a search for parameters:
    the median of the newest ones; None without any. One query."""
    rows = trained_here().filter(detector=detector, learner=learner).order_by("-trained_at")
    found = rows.values_list(
        "training_seconds", "metrics__tuning__took", "metrics__tuning__seconds"
    )[:USUAL_OF]
    # An older version tells the seconds of its trials alone, some maybe of an earlier attempt.
    outside = [spent - (trials or 0.0 if took is None else took) for spent, took, trials in found]
    outside = [seconds for seconds in outside if seconds > 0.0]
    return median(outside) if outside else None


def last_trained() -> dict[int, datetime]:
    """When each detector was last trained here, by its id. One query."""
    rows = trained_here().order_by().values_list("detector_id")
    return dict(rows.annotate(last=Max("trained_at")))


def promotion_history(detector: Detector) -> QuerySet[PromotionDecision]:
    """Who put what into service, newest first."""
    return PromotionDecision.objects.filter(detector=detector).select_related(
        "version", "previous", "actor", "request__requested_by"
    )


def documented_versions() -> QuerySet[ModelVersion]:
    """Versions with all that their pages show of where they came from, in one query; champions
    with their newest drift check (`drift_alarm_of`)."""
    return ModelVersion.objects.select_related(
        *("detector", "dataset", "trained_by", "job"),
        *("shadow", "lineage__parent__detector", "tracked_run"),
        *("threshold_move__base", "threshold_move__actor"),
    ).annotate(drift_status=_newest_check("status"), drift_since=_newest_check("alarm_since"))


def move_of(version: ModelVersion) -> ThresholdMove | None:
    """How the version came from another one by other thresholds; None if it did not."""
    found: ThresholdMove | None = getattr(version, "threshold_move", None)
    return found


def lineage_of(version: ModelVersion) -> Lineage | None:
    """Where a version came from; None for versions older than that record."""
    found: Lineage | None = getattr(version, "lineage", None)
    return found


def tracked_run_of(version: ModelVersion) -> TrackedRun | None:
    """The version at the tracking server; None where it is not to be there."""
    found: TrackedRun | None = getattr(version, "tracked_run", None)
    return found


def newest_versions(
    detectors: Iterable[Detector], *, most: int = 5
) -> dict[int, list[ModelVersion]]:
    """Per detector its champion and then its newest versions, at most `most` in all.

    One query for any number of versions. Each carries `total`: how many the detector has, and
    `was_trained`: whether a training here made it (`trained_here`); a champion its newest drift
    check too (`drift_alarm_of`).
    """
    brought = Q(threshold_move__isnull=False) | Q(lineage__origin=Lineage.Origin.IMPORTED)
    first = Case(When(stage=ModelVersion.Stage.CHAMPION, then=0), default=1)
    rows = (
        ModelVersion.objects.filter(detector__in=list(detectors))
        .select_related("detector", "shadow")
        .defer("curves", "parameters", "detector__config", "shadow__histogram")
        .annotate(
            place=Window(
                RowNumber(), partition_by=F("detector"), order_by=[first.asc(), F("number").desc()]
            ),
            total=Window(Count("*"), partition_by=F("detector")),
            was_trained=Case(When(brought, then=Value(False)), default=Value(True)),
            drift_status=_newest_check("status"),
            drift_since=_newest_check("alarm_since"),
        )
        .filter(place__lte=most)
        .order_by("detector_id", "place")
    )
    found: dict[int, list[ModelVersion]] = {}
    for version in rows:
        found.setdefault(version.detector_id, []).append(version)
    return found


def _newest_check(column: str) -> Case:
    """A column of the newest drift check of a champion; null for any other version."""
    checks = DriftCheck.objects.filter(
        detector=OuterRef("detector"), bundle_digest=OuterRef("digest")
    ).order_by("-checked_at", "-id")
    return Case(When(stage=ModelVersion.Stage.CHAMPION, then=Subquery(checks.values(column)[:1])))


GUARD = ("state", "fault", "since", "until")


def with_guards(rows: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
    """Versions with what `told_guard` tells of them, in the same query."""
    guards = PromotionGuard.objects.filter(version=OuterRef("pk")).order_by("-since", "-id")
    return rows.annotate(**{f"guard_{name}": Subquery(guards.values(name)[:1]) for name in GUARD})


def told_guard(version: Any) -> dict[str, Any] | None:
    """The newest guard of a version for API clients; None where it never had one.

    `not_rolled_back`: why it serves still though it broke its guard; `not_watched`: why its guard
    cannot tell whether it did. Empty otherwise. One query, none for a row of `with_guards`.
    """
    if hasattr(version, "guard_state"):
        found = {name: getattr(version, f"guard_{name}") for name in GUARD}
    else:
        found = version.guards.values(*GUARD).first() or dict.fromkeys(GUARD)
    if found["state"] is None:
        return None
    stuck = version.stage == ModelVersion.Stage.CHAMPION and found["state"] != BROKEN
    failed, blind = faults_in(found["fault"]) if stuck else ("", "")
    return {
        "state": found["state"],
        "since": found["since"],
        "until": found["until"],
        "not_rolled_back": failed,
        "not_watched": blind,
    }


def drift_alarm_of(version: Any) -> DriftAlarm | None:
    """The alarm of a version from `newest_versions` or `documented_versions`, if there is one."""
    if version is None or version.drift_status not in (MODERATE_DRIFT, MAJOR_DRIFT):
        return None
    return DriftAlarm(version.label, version.drift_status, version.drift_since)


def latest_trainings(detectors: Iterable[Detector]) -> dict[str, Job]:
    """The newest training job of each detector that ever had one, by slug."""
    slugs = {training_key(detector): detector.slug for detector in detectors}
    return {slugs[key]: job for key, job in newest_jobs(slugs).items()}


def newest_jobs(keys: Iterable[str]) -> dict[str, Job]:
    """The newest job of each of these unique keys that ever had one. One query."""
    newest = (
        Job.objects.filter(unique_key__in=list(keys))
        .order_by()
        .values("unique_key")
        .annotate(newest=Max("pk"))
    )
    jobs = Job.objects.filter(pk__in=newest.values("newest")).select_related("requested_by")
    return {job.unique_key: job for job in jobs}


def recent_trainings(detector: Detector, *, most: int) -> list[Job]:
    """The detector's newest training jobs with who asked for them, newest first."""
    jobs = Job.objects.filter(unique_key=training_key(detector)).select_related("requested_by")
    return list(jobs.defer("log")[:most])


def training_key(detector: Detector) -> str:
    """The unique key of a detector's training jobs: one at a time."""
    return f"train:{detector.slug}"


def earlier_champions(detectors: Iterable[Detector]) -> dict[int, ModelVersion]:
    """By detector id, the version that a roll-back would bring back. One query.

    Each carries `promoted_at`, when it was last promoted: from then its review term counts.
    """
    heavy = ("curves", "metrics", "comparison", "parameters")
    rows = (
        PromotionDecision.objects.filter(detector__in=list(detectors))
        .select_related("version", "previous")
        .defer(*(f"{which}__{name}" for which in ("version", "previous") for name in heavy))
    )
    piles: dict[int, list[ModelVersion]] = {}
    promoted: dict[int, datetime] = {}
    for decision in rows.order_by("at", "id"):
        _pile(piles.setdefault(decision.detector_id, []), decision)
        if decision.action == PromotionDecision.Action.PROMOTE:
            promoted[decision.version_id] = decision.at
    found = {detector: pile[-2] for detector, pile in piles.items() if len(pile) > 1}
    for version in found.values():
        # Of one from before decisions were kept it is only known that it was made before.
        version.promoted_at = promoted.get(version.pk, version.trained_at)
    return found


def _pile(pile: list[ModelVersion], decision: PromotionDecision) -> None:
    """A promotion lays its version on the pile of what served, a roll-back takes the topmost away
    (in place)."""
    if decision.action == PromotionDecision.Action.PROMOTE:
        if not pile and decision.previous is not None:
            pile.append(decision.previous)
        pile.append(decision.version)
        return
    del pile[-1:]
    if pile[-1:] != [decision.version]:  # Of decisions from before the pile was kept like this.
        pile.append(decision.version)


def learnt_until(version: ModelVersion) -> datetime:
    """Until when events and labels had been stored that a version could learn from; for versions
    from before that was kept, when it was made."""
    read_at = version.dataset.detail.get("read_at")
    return datetime.fromisoformat(read_at) if read_at else version.trained_at


def labels_by_digest(versions: Iterable[ModelVersion]) -> dict[str, str]:
    """Labels (`v2`) of the champions that these versions were compared with, by bundle digest."""
    digests = {version.comparison.get("champion_digest", "") for version in versions} - {""}
    rows = ModelVersion.objects.filter(digest__in=digests).order_by("number") if digests else ()
    return {row.digest: row.label for row in rows}


def compared_champion(version: ModelVersion) -> ModelVersion | None:
    """The champion that a version was compared with when it was trained, if it is known."""
    digest = version.comparison.get("champion_digest")
    if not digest:
        return None
    rows = ModelVersion.objects.filter(detector=version.detector_id, digest=digest)
    return rows.order_by("number").first()
