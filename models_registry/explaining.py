"""Global explanations of versions: made in the worker, kept as an artefact, read by pages."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray

from accounts.models import User
from jobs.models import Job
from jobs.progress import JobProgress
from jobs.services import enqueue_job
from models_registry.artefacts import ArtefactError, read_artefact, store_artefact
from models_registry.core.global_explanation import (
    MOST_ROWS,
    ExplanationError,
    GlobalExplanation,
    explain_globally,
)
from models_registry.datasets import read_vectors
from models_registry.models import ModelVersion
from models_registry.registry_models import Artefact, Lineage
from scoring.core.bundle import Bundle, BundleError
from scoring.deployment import RULES_ONLY, loaded
from scoring.models import Prediction

EXPLAIN_VERSION = "models_registry.explain_version"
CANDIDATES = 50_000
"""Newest predictions of a version's data that are looked at for vectors to explain."""
FloatArray = NDArray[np.float64]


def request_explanation(version: ModelVersion, *, requested_by: User | None) -> Job:
    """Queue the making of a version's global explanation; the one under way, if there is one."""
    return enqueue_job(
        kind=EXPLAIN_VERSION,
        params={"version": version.pk},
        unique_key=explanation_key(version),
        requested_by=requested_by,
        subject=str(version),
    )


def explanation_key(version: ModelVersion) -> str:
    """The unique key of a version's explanation jobs: one at a time."""
    return f"explain:{version.pk}"


def live_explanation(version: ModelVersion) -> Job | None:
    """The job that makes the explanation now, if there is one."""
    return Job.objects.live().filter(unique_key=explanation_key(version)).first()


def run_explanation(job: Job, progress: JobProgress) -> dict[str, Any]:
    """The work of an explanation job; a cancelled one leaves the explanation that was there.

    Raises BundleError, ExplanationError, ExplainError, JobCancelled.
    """
    version = ModelVersion.objects.select_related("detector", "dataset").get(
        pk=job.params["version"]
    )
    progress.report(0.1, "Reading events that it had not learnt from")
    bundle = loaded(version.digest)
    vectors = unseen_vectors(version, bundle)
    progress.report(0.4, f"Explaining {min(len(vectors), MOST_ROWS):,} events")
    explain_version(version, vectors, progress=progress)
    return {"version": version.pk, "rows": min(len(vectors), MOST_ROWS)}


def explain_version(
    version: ModelVersion, vectors: FloatArray, *, progress: JobProgress | None = None
) -> Artefact:
    """Explain raw vectors float64[n, k] by a version's bundle, and keep what was found.

    `progress` of the job that it is the work of, if there is one. Raises BundleError,
    ExplanationError, ExplainError, ModelError, OSError, JobCancelled.
    """
    bundle = loaded(version.digest)
    if bundle.predictor is None:
        raise ExplanationError("The bundle has no model, only rules.")
    if progress is None:
        return _keep(version, bundle, explain_globally(bundle.predictor, vectors))
    found = explain_globally(bundle.predictor, vectors, check=progress.check_cancelled)
    with transaction.atomic():
        progress.hold()
        return _keep(version, bundle, found)


def _keep(version: ModelVersion, bundle: Bundle, found: GlobalExplanation) -> Artefact:
    artefact = store_artefact(
        version,
        kind=Artefact.Kind.EXPLANATION,
        content=found.to_bytes(),
        detail=_summary(bundle, found),
    )
    Lineage.objects.filter(version=version).update(explanation_fault="")
    return artefact


def _summary(bundle: Bundle, found: GlobalExplanation) -> dict[str, Any]:
    """What the page ranks by, in plain JSON, the strongest feature first."""
    rows = [
        {
            "feature": feature.name,
            "mean_abs": float(found.mean_abs[i]),
            "mean": float(found.mean[i]),
            # The codes of a category have no order.
            "direction": float(found.direction[i])
            if feature.kind != "category" and np.isfinite(found.direction[i])
            else None,
        }
        for i, feature in enumerate(bundle.plan.features)
    ]
    return {
        "features": sorted(rows, key=lambda row: -float(str(row["mean_abs"]))),
        "rows": found.rows,
        "base": found.base,
        "link": bundle.manifest["link"],
        "additivity_error": found.error,
        "made_at": timezone.now().isoformat(),
    }


def unseen_vectors(version: ModelVersion, bundle: Bundle) -> FloatArray:
    """Vectors float64[n, k], n <= 5,000, of the version's data after its last fitted event.

    As they were logged by bundles whose features were the same; where there is none, computed from
    the stored events as for a training. Raises ExplanationError when no event is left.
    """
    after = float(bundle.manifest.get("training", {}).get("last_fitted_at") or 0.0)
    rows = Prediction.objects.filter(
        detector=version.detector_id,
        event_time__gt=datetime.fromtimestamp(after, UTC),
        event_time__lte=version.dataset.last_event_at,
    ).order_by("-event_time")
    logged = rows.values_list("bundle_digest", "vector")[:CANDIDATES]
    alike: dict[str, bool] = {}
    found = []
    for digest, vector in logged.iterator(chunk_size=2000):
        if digest not in alike:
            alike[digest] = _same_features(digest, bundle)
        if alike[digest]:
            found.append(np.frombuffer(vector, "<f8"))
    if not found:
        return _computed(version, bundle, list(rows.values_list("pk", flat=True)[:MOST_ROWS]))
    step = max(1, len(found) // MOST_ROWS)
    return np.stack(found[::step][:MOST_ROWS])


def _computed(version: ModelVersion, bundle: Bundle, ids: list[UUID]) -> FloatArray:
    """The bundle's features of stored events, whatever was logged with them."""
    if not ids:
        raise ExplanationError("No stored event is left of its test days.")
    return read_vectors(
        version.detector,
        bundle.spec,
        np.array([pk.bytes for pk in ids], "V16"),
        known_at=version.dataset.known_at,
        report=lambda share: None,
    )


def _same_features(digest: str, bundle: Bundle) -> bool:
    wanted = [feature.raw for feature in bundle.plan.features]
    if digest == RULES_ONLY:
        return False
    try:
        return [feature.raw for feature in loaded(digest).plan.features] == wanted
    except BundleError:
        return False  # Nobody can say what the numbers of its vectors mean.


def explanation_of(version: ModelVersion) -> tuple[Artefact | None, GlobalExplanation | None, str]:
    """(row, explanation, what is wrong with the file); the first is None before it was made."""
    artefact = Artefact.objects.filter(version=version, kind=Artefact.Kind.EXPLANATION).first()
    if artefact is None:
        return None, None, ""
    try:
        return artefact, GlobalExplanation.from_bytes(read_artefact(artefact)), ""
    except (ArtefactError, ExplanationError) as error:
        return artefact, None, str(error)
