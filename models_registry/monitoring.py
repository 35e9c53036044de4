"""Drift checks: recent predictions against what their champion learnt on, as background jobs.

Every hour by beat, when another champion begins to serve, or on request. A check is kept as rows,
so that pages show drift over time; an alarm is written into the audit trail once, when it begins,
and once when it is over.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from jobs.dispatch import announce_job
from jobs.models import Job
from jobs.services import enqueue_job
from models_registry.core.drift import (
    LEAST_ROWS,
    MAJOR_DRIFT,
    MODERATE_DRIFT,
    RANKS,
    SCORE,
    STABLE,
    UNKNOWN,
    Drift,
    judge_drifts,
    measure_rate,
    measure_values,
    overall,
    too_few,
)
from models_registry.core.reference import of_full_windows
from models_registry.drift_models import DriftCheck, DriftStatistic
from models_registry.drift_selectors import check_body, drift_key, newest_check
from models_registry.recent_predictions import MOST_ROWS, Recent, read_recent
from models_registry.telling import tell_drift
from scoring.core.bundle import Bundle
from scoring.core.transformations import FeatureSpec
from scoring.deployment import NothingServes, serving_of
from scoring.models import Detector, Label, Prediction

CHECK_DRIFT = "models_registry.check_drift"
ALARMS = (MODERATE_DRIFT, MAJOR_DRIFT)
SAME_ALARM = timedelta(days=1)
"""An alarm that comes back so soon is the one that was told: at a bound it comes and goes."""
CALENDAR = frozenset(("calendar", "clock_sin", "clock_cos"))
"""Kinds of features that say when an event was: of less than a whole week they say nothing."""
NO_WEEK = "The champion has not served for a whole week, as the calendar is told of."
PAUSED = "The champion scored nothing in {} of the week that would usually bring events."
BURST = "In {} of the week came many times as many events as usually then."
SCORE_NAME, ALERT_NAME, LABEL_NAME = "score", "alert rate", "fraud rate"


class NoModel(ValueError):
    """Rules alone serve the detector: there is nothing that could drift."""


class Progress(Protocol):
    """What a check tells about itself (jobs.progress.JobProgress is one)."""

    def report(self, fraction: float, stage: str = "") -> None: ...
    def check_cancelled(self) -> None: ...
    def hold(self) -> None: ...


def request_drift_check(detector: Detector, *, requested_by: User | None) -> Job:
    """Queue a check; the one that is under way already, if there is one. Raises NoModel."""
    _champion(detector)
    return enqueue_job(
        kind=CHECK_DRIFT,
        params={"detector": detector.slug},
        unique_key=drift_key(detector.slug),
        requested_by=requested_by,
        subject=detector.name,
    )


def check_new_champion(detector: Detector) -> None:
    """Queue a check of what begins to serve once that is committed; none of rules alone.

    Where a check of the former champion is under way, `was_outrun` sees to it when that is over.
    """

    def ask() -> None:
        with suppress(NoModel):
            announce_job(request_drift_check(detector, requested_by=None))

    # Robust: it serves even where no check can be asked for; beat asks again within the hour.
    transaction.on_commit(ask, robust=True)


def was_outrun(job: Job) -> bool:
    """Whether a check has ended and what it measured no longer serves."""
    if not job.result:
        return False
    try:
        serving = serving_of(Detector.objects.get(slug=job.params["detector"]))
    except NothingServes:
        return False
    return bool(serving.bundle.digest != job.result["bundle_digest"])


def run_drift_check(job: Job, progress: Progress) -> dict[str, Any]:
    """The work of a drift job; see `check_drift`. An attempt that finds the job's check made by
    one before it makes no second one."""
    detector = Detector.objects.get(slug=job.params["detector"])
    made = DriftCheck.objects.filter(job=job).first()
    check = made or check_drift(detector, now=timezone.now(), job=job, progress=progress)
    url = reverse("drift", args=[detector.slug])
    return check_body(check, detector) | {"label": "drift", "url": url}


def check_drift(
    detector: Detector,
    *,
    now: datetime,
    job: Job | None = None,
    progress: Progress | None = None,
) -> DriftCheck:
    """Measure the champion's newest predictions and keep what was found. Raises NoModel."""
    bundle, version = _champion(detector)
    if progress:
        progress.report(0.1, "Reading recent predictions")
    recent = read_recent(detector, bundle)
    if progress:
        progress.check_cancelled()
        progress.report(0.5, "Comparing with the training window")
    drifts = measure(detector, bundle, recent, now=now)
    if progress:
        progress.report(0.9, "Keeping what was found")
    found = [drift.psi for drift in drifts if drift.psi is not None and drift.change is None]
    check = DriftCheck(
        detector=detector,
        job=job,
        bundle_digest=bundle.digest,
        model_version=version,
        checked_at=now,
        rows=len(recent.vectors),
        first_at=recent.first_at,
        last_at=recent.last_at,
        status=overall(drifts),
        max_psi=max(found, default=None),
    )
    return _keep(check, drifts, progress)


def measure(detector: Detector, bundle: Bundle, recent: Recent, *, now: datetime) -> list[Drift]:
    """Every feature, the score, the alert rate and the fraud rate, judged together."""
    outcome: Mapping[str, Any] = bundle.manifest.get("outcome_reference", {})
    scored = recent.risk[np.isfinite(recent.risk)]
    review = bundle.predictor.thresholds.review if bundle.predictor else np.inf
    positives, matured = _matured(detector, bundle, now)
    return judge_drifts(
        [
            *(
                _measure_feature(
                    feature, i, recent, of_full_windows(bundle.reference.get(feature.name))
                )
                for i, feature in enumerate(bundle.plan.features)
            ),
            measure_values(SCORE_NAME, scored, outcome.get("score"), role=SCORE),
            measure_rate(
                ALERT_NAME,
                positives=int((scored >= review).sum()),
                rows=scored.size,
                reference=_alerts_reference(bundle),
                what="scored events",
            ),
            measure_rate(
                LABEL_NAME,
                positives=positives,
                rows=matured,
                reference=outcome.get("labels"),
                what="events with matured labels",
            ),
        ]
    )


def _measure_feature(
    feature: FeatureSpec, place: int, recent: Recent, reference: Mapping[str, Any] | None
) -> Drift:
    """What follows the calendar is told of a whole week, all else of the newest events."""
    if feature.kind not in CALENDAR or too_few(len(recent.vectors), LEAST_ROWS):
        return measure_values(feature.name, recent.vectors[:, place], reference)
    if recent.week is None or recent.paused or recent.burst:
        nothing = measure_values(feature.name, recent.vectors[:0, place], reference)
        return replace(nothing, reason=_why_no_week(recent))
    return measure_values(feature.name, recent.week[:, place], reference)


def _why_no_week(recent: Recent) -> str:
    """Why the calendar cannot be told of."""
    if recent.week is None:
        return NO_WEEK
    hours = recent.paused or recent.burst
    told = PAUSED if recent.paused else BURST
    return told.format("1 hour" if hours == 1 else f"{hours} hours")


def _alerts_reference(bundle: Bundle) -> Mapping[str, Any] | None:
    """None too where thresholds were moved by an earlier version of the platform, which left the
    alerts of the former ones."""
    outcome: Mapping[str, Any] = bundle.manifest.get("outcome_reference", {})
    alerts: Mapping[str, Any] | None = outcome.get("alerts")
    left = "moved_from" in bundle.manifest and "review" not in (alerts or {})
    return None if left else alerts


def _champion(detector: Detector) -> tuple[Bundle, str]:
    try:
        serving = serving_of(detector)
    except NothingServes as error:
        raise NoModel(str(error)) from error
    if serving.bundle.predictor is None:
        raise NoModel(f"No model serves {detector.slug}: there is nothing that could drift.")
    return serving.bundle, serving.version


def _matured(detector: Detector, bundle: Bundle, now: datetime) -> tuple[int, int]:
    """(frauds, events) among the newest events after training whose labels have matured.

    As in its training, an event of which nobody said anything until its label was due is
    legitimate, or left out where silence says nothing; but where nothing at all was labelled,
    nothing is known: (0, 0).
    """
    due = now - timedelta(seconds=detector.spec().training.label_delay)
    span = Q(detector=detector, event_time__lte=due)
    trained = bundle.manifest.get("training", {}).get("last_fitted_at")
    if trained is not None:
        span &= Q(event_time__gt=datetime.fromtimestamp(trained, UTC))
    if not bundle.spec.training.unlabelled_is_legitimate:
        return _labelled(Label.objects.filter(span, label_time__lte=now))
    newest = Prediction.objects.filter(span).order_by("-event_time").values("pk")[:MOST_ROWS]
    rows = Label.objects.filter(prediction__in=newest, label_time__lte=now)
    truth: dict[Any, bool] = dict(
        rows.order_by("label_time", "id").values_list("prediction_id", "is_fraud")
    )
    return (sum(truth.values()), newest.count()) if truth else (0, 0)


def _labelled(labels: QuerySet[Label]) -> tuple[int, int]:
    """(frauds, events) among the newest events that these labels are about.

    Read from the labels alone: joined with their events, PostgreSQL may look through all of them
    for each label.
    """
    rows = labels.order_by("-event_time", "-label_time", "-id")[:MOST_ROWS]
    truth: dict[Any, bool] = {}
    for prediction, is_fraud in rows.values_list("prediction_id", "is_fraud"):
        truth.setdefault(prediction, is_fraud)
    return sum(truth.values()), len(truth)


@transaction.atomic
def _keep(check: DriftCheck, drifts: Sequence[Drift], progress: Progress | None) -> DriftCheck:
    """Write the check down, if the job is still ours, and say in the audit trail what is new."""
    if progress:
        progress.hold()
    Detector.objects.select_for_update(no_key=True).get(pk=check.detector_id)
    before = (
        DriftCheck.objects.filter(detector=check.detector, bundle_digest=check.bundle_digest)
        .exclude(status=UNKNOWN)
        .first()
    )
    was = before.alarm_since if before else None
    if check.status == STABLE and before and _hides(drifts, before):
        check.status = UNKNOWN
    told = _told_of_late(check, drifts)
    if check.status in ALARMS:
        worse = before is None or RANKS[check.status] > RANKS[before.status]
        since = check.checked_at if worse or was is None else was
        check.alarm_since = since if told is None else told.alarm_since
    elif check.status == UNKNOWN:
        check.alarm_since = was  # Nothing can be said, so nothing is over.
    last = newest_check(check.detector)
    if last is not None:
        last.statistics.update(histogram={})
    check.save()
    DriftStatistic.objects.bulk_create(
        DriftStatistic(drift_check=check, place=i, **asdict(drift))
        for i, drift in enumerate(drifts)
    )
    _tell(check, before, drifts, ring=told is None)
    return check


def _told_of_late(check: DriftCheck, drifts: Sequence[Drift]) -> DriftCheck | None:
    """The newest check of the last day whose alarm was as bad as this one's, or worse; None where
    something is in alarm now that was not all that day."""
    if check.status not in ALARMS:
        return None
    as_bad = [status for status in ALARMS if RANKS[status] >= RANKS[check.status]]
    told = DriftCheck.objects.filter(
        detector=check.detector_id,
        bundle_digest=check.bundle_digest,
        status__in=as_bad,
        alarm_since__isnull=False,
        checked_at__gt=check.checked_at - SAME_ALARM,
    )
    moved = DriftStatistic.objects.filter(drift_check__in=told, status__in=ALARMS)
    known = set(moved.values_list("role", "name"))
    now = {(one.role, one.name) for one in drifts if one.status in ALARMS}
    return told.first() if now <= known else None


def _hides(drifts: Sequence[Drift], before: DriftCheck) -> bool:
    """Whether something cannot be told now that was in alarm then: that all else is stable does not
    end its alarm."""
    alarmed = set(before.statistics.filter(status__in=ALARMS).values_list("role", "name"))
    return any((one.role, one.name) in alarmed for one in drifts if one.status == UNKNOWN)


def _tell(
    check: DriftCheck, before: DriftCheck | None, drifts: Sequence[Drift], *, ring: bool
) -> None:
    """An alarm is news when it begins, when it gets worse, and when it is over; people are told of
    it (`ring`) where it is none that they were told of within a day."""
    was = before.status if before else UNKNOWN
    now = check.status
    if now in ALARMS and RANKS[now] > RANKS[was if was in ALARMS else UNKNOWN]:
        action = "drift.alarm"
    elif was in ALARMS and now not in (*ALARMS, UNKNOWN):
        action = "drift.over"
    else:
        return
    moved = sorted(
        (drift for drift in drifts if drift.status in ALARMS),
        key=lambda d: d.severity,
        reverse=True,
    )
    detail = {
        "status": now,
        "before": was,
        "model_version": check.model_version,
        "rows": check.rows,
        "moved": {drift.name: drift.status for drift in moved[:20]},
    }
    if action == "drift.alarm" and ring:
        tell_drift(check)
    record_audit(actor=None, action=action, subject=check.detector, detail=detail)


def forget_old_checks(now: datetime) -> int:
    """Delete checks, and the jobs that made them, older than DRIFT_KEPT_DAYS; how many checks."""
    until = now - timedelta(days=settings.DRIFT_KEPT_DAYS)
    Job.objects.filter(kind=CHECK_DRIFT, finished_at__lt=until).delete()
    found = DriftCheck.objects.filter(checked_at__lt=until)
    count = found.count()
    found.delete()
    return count
