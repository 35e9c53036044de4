"""Drift checks: recent predictions against what their champion learnt on, as background jobs."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from jobs.models import Job
from jobs.progress import JobProgress
from jobs.services import enqueue_job
from jobs.workflow import JobStatus
from models_registry.core.drift import UNKNOWN, feature_drifts, overall
from scoring.core.bundle import Bundle
from scoring.deployment import serving_of
from scoring.models import Detector, Prediction

CHECK_DRIFT = "models_registry.check_drift"
MOST_ROWS = 10_000
CHUNK = 2000


class NoModel(ValueError):
    """Rules alone serve the detector: there is nothing that could drift."""


def drift_key(slug: str) -> str:
    """The unique key of a detector's drift checks: one at a time."""
    return f"drift:{slug}"


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


def run_drift_check(job: Job, progress: JobProgress) -> dict[str, Any]:
    """The work of a drift job; see `check_drift`."""
    detector = Detector.objects.get(slug=job.params["detector"])
    progress.report(0.1, "Reading recent predictions")
    return check_drift(detector, now=timezone.now())


def check_drift(detector: Detector, *, now: datetime) -> dict[str, Any]:
    """PSI of every feature over the champion's newest predictions. JSON-able. Raises NoModel."""
    bundle, version = _champion(detector)
    vectors, first, last = _recent(detector, bundle)
    drifts = feature_drifts(vectors, bundle.plan.names, bundle.reference)
    found = [drift.psi for drift in drifts if drift.psi is not None]
    return {
        "detector": detector.slug,
        "model_version": version,
        "bundle_digest": bundle.digest,
        "checked_at": now.isoformat(),
        "rows": len(vectors),
        "from": first.isoformat() if first else None,
        "to": last.isoformat() if last else None,
        "status": overall(drifts),
        "max_psi": max(found, default=None),
        "features": [
            {"feature": d.name, "psi": d.psi, "bound": d.bound, "status": d.status} for d in drifts
        ],
    }


def _champion(detector: Detector) -> tuple[Bundle, str]:
    serving = serving_of(detector)
    if serving.bundle.predictor is None:
        raise NoModel(f"No model serves {detector.slug}: there is nothing that could drift.")
    return serving.bundle, serving.version


def _recent(
    detector: Detector, bundle: Bundle
) -> tuple["np.ndarray[Any, np.dtype[np.float64]]", datetime | None, datetime | None]:
    """Vectors float64[n, k] of the bundle's newest predictions; first and last event time."""
    rows = (
        Prediction.objects.filter(detector=detector, bundle_digest=bundle.digest)
        .order_by("-received_at")
        .values_list("vector", "event_time")[:MOST_ROWS]
    )
    vectors, times = [], []
    for vector, event_time in rows.iterator(chunk_size=CHUNK):
        vectors.append(bytes(vector))
        times.append(event_time)
    matrix = np.frombuffer(b"".join(vectors), "<f8").reshape(-1, len(bundle.plan.names))
    return matrix, min(times, default=None), max(times, default=None)


def newest_checks(slugs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The result of each detector's newest finished check, by slug. Two queries at most."""
    keys = {drift_key(slug): slug for slug in slugs}
    newest = (
        Job.objects.filter(unique_key__in=keys, kind=CHECK_DRIFT, status=JobStatus.SUCCEEDED)
        .order_by()
        .values("unique_key")
        .annotate(newest=Max("pk"))
    )
    jobs = Job.objects.filter(pk__in=newest.values("newest"))
    return {keys[job.unique_key]: dict(job.result or {}) for job in jobs}


def drift_status(detector: Detector) -> dict[str, Any]:
    """The newest finished check with the job that is under way, if any; `unknown` without one."""
    found = newest_checks([detector.slug]).get(detector.slug)
    live = Job.objects.live().filter(unique_key=drift_key(detector.slug)).first()
    nothing: dict[str, Any] = {
        "detector": detector.slug,
        "model_version": None,
        "bundle_digest": None,
        "checked_at": None,
        "rows": 0,
        "from": None,
        "to": None,
        "status": UNKNOWN,
        "max_psi": None,
        "features": [],
    }
    return {**(found or nothing), "job_id": None if live is None else live.pk}
