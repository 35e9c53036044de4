"""Reads of drift checks: the newest of each detector, one over time, as API clients see it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet

from jobs.models import Job
from models_registry.core.drift import FEATURE, UNKNOWN
from models_registry.drift_models import DriftCheck, DriftStatistic
from scoring.models import Detector

MOST_POINTS = 500
NUMBERS = (
    *("psi", "bound", "ks", "ks_error", "wasserstein", "wasserstein_error", "chi2", "p"),
    *("missing", "reference_missing", "rate", "reference_rate", "change"),
)
"""The measured columns of DriftStatistic, in the order of CSV and API."""


def drift_key(slug: str) -> str:
    """The unique key of a detector's drift checks: one at a time."""
    return f"drift:{slug}"


def newest_check(detector: Detector) -> DriftCheck | None:
    """The detector's newest finished check."""
    return DriftCheck.objects.filter(detector=detector).first()


def live_check(detector: Detector) -> Job | None:
    """The job of the check that waits or runs, if there is one."""
    return Job.objects.live().filter(unique_key=drift_key(detector.slug)).first()


def newest_statistics(slugs: Iterable[str]) -> QuerySet[DriftStatistic]:
    """All that the newest check of each detector measured, in one query."""
    checks = DriftCheck.objects.filter(detector__slug__in=list(slugs)).order_by()
    newest = checks.values("detector").annotate(newest=Max("pk")).values("newest")
    return (
        DriftStatistic.objects.filter(drift_check__in=newest)
        .select_related("drift_check__detector")
        .defer("histogram", "drift_check__detector__config")
        .order_by("drift_check__detector__slug", "place")
    )


def over_time(
    detector: Detector, *, name: str, role: str, since: datetime
) -> QuerySet[DriftStatistic]:
    """One feature, the score or a rate in the checks since then, newest first, MOST_POINTS."""
    return (
        DriftStatistic.objects.filter(
            drift_check__detector=detector, drift_check__checked_at__gte=since, name=name, role=role
        )
        .select_related("drift_check")
        .defer("histogram")
        .order_by("-drift_check__checked_at")[:MOST_POINTS]
    )


def drift_status(detector: Detector) -> dict[str, Any]:
    """The newest finished check with the job that is under way, if any; `unknown` without one."""
    check, live = newest_check(detector), live_check(detector)
    found = _nothing(detector) if check is None else check_body(check, detector)
    return {**found, "job_id": None if live is None else live.pk}


def check_body(check: DriftCheck, detector: Detector) -> dict[str, Any]:
    """A check as API clients see it; JSON-able."""
    rows = list(check.statistics.defer("histogram"))
    return {
        "detector": detector.slug,
        "model_version": check.model_version,
        "bundle_digest": check.bundle_digest,
        "checked_at": check.checked_at.isoformat(),
        "rows": check.rows,
        "from": check.first_at.isoformat() if check.first_at else None,
        "to": check.last_at.isoformat() if check.last_at else None,
        "status": check.status,
        "alarm_since": check.alarm_since.isoformat() if check.alarm_since else None,
        "max_psi": check.max_psi,
        "features": [{"feature": row.name} | _measured(row) for row in rows if row.role == FEATURE],
        "outcomes": [{"name": row.name} | _measured(row) for row in rows if row.role != FEATURE],
    }


def _measured(row: DriftStatistic) -> dict[str, Any]:
    numbers = {name: getattr(row, name) for name in NUMBERS}
    return {
        "kind": row.kind,
        "status": row.status,
        "reason": row.reason,
        "rows": row.rows,
        "reference_rows": row.reference_rows,
        "basis": row.basis,
        **numbers,
    }


def _nothing(detector: Detector) -> dict[str, Any]:
    empty = ("model_version", "bundle_digest", "checked_at", "from", "to", "alarm_since", "max_psi")
    return {
        "detector": detector.slug,
        **dict.fromkeys(empty),
        "rows": 0,
        "status": UNKNOWN,
        "features": [],
        "outcomes": [],
    }
