"""What is written down beside a version when it is registered; none of it may fail a training."""

import hashlib
import logging
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np
from django.conf import settings
from django.db import DatabaseError
from numpy.typing import NDArray

from models_registry.core.global_explanation import ExplanationError
from models_registry.core.subgroups import level_names, subgroup_metrics
from models_registry.explaining import explain_version
from models_registry.models import ModelVersion
from models_registry.registry_models import Lineage
from models_registry.selectors import champion_of
from models_registry.tracked import note_tracking
from scoring.core.attribution import ExplainError
from scoring.core.bundle import BundleError
from scoring.core.inference import ModelError
from scoring.deployment import loaded

logger = logging.getLogger(__name__)
XGBOOST = ("xgboost", "xgboost-cpu")
PACKAGES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "lightgbm", *XGBOOST)
"""Those that are installed are told: XGBoost comes as either of two."""
CODE = (
    *("scoring/core", "models_registry/core", "models_registry/training.py"),
    *("models_registry/datasets.py", "models_registry/logged_vectors.py"),
    *("models_registry/fitting.py", "models_registry/tuning.py", "models_registry/publishing.py"),
)
FloatArray = NDArray[np.float64]


def document_version(
    version: ModelVersion,
    *,
    vectors: FloatArray,
    labels: NDArray[Any],
    risk: FloatArray,
) -> ModelVersion:
    """Write down a trained version's lineage, subgroups and global explanation, and track it.

    `vectors` float64[n, k], `labels` (-1: unknown) and `risk` [n] of events that it had not learnt
    from. What cannot be written down is noted on the version and in the log.
    """
    try:
        lineage = Lineage.objects.create(
            version=version, parent=champion_of(version.detector), code=code_version()
        )
        _describe(version, lineage, vectors, labels, risk)
        note_tracking(version)
    except DatabaseError:
        logger.exception("%s is registered, but not all of its lineage was kept.", version)
    return version


def _describe(
    version: ModelVersion,
    lineage: Lineage,
    vectors: FloatArray,
    labels: NDArray[Any],
    risk: FloatArray,
) -> None:
    try:
        bundle = loaded(version.digest)
        if bundle.predictor is not None:
            lineage.subgroups = subgroup_metrics(
                vectors,
                labels,
                risk,
                review=bundle.predictor.thresholds.review,
                names=bundle.plan.names,
                levels=level_names(bundle.predictor.encoder, bundle.plan.names),
            )
        explain_version(version, vectors)
    except (BundleError, ExplanationError, ExplainError, ModelError, OSError) as error:
        logger.warning("%s has no global explanation: %s", version, error)
        lineage.explanation_fault = str(error)
    lineage.save(update_fields=["subgroups", "explanation_fault"])


@lru_cache(maxsize=1)
def code_version() -> dict[str, Any]:
    """The platform's version, a digest of what trains and scores, versions of the libraries."""
    found = hashlib.sha256()
    for place in CODE:
        path = Path(settings.BASE_DIR) / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            found.update(str(file.relative_to(settings.BASE_DIR)).encode())
            found.update(file.read_bytes())
    return {
        "platform": settings.VERSION,
        "digest": found.hexdigest(),
        "python": python_version(),
        "packages": {name: v for name in PACKAGES if (v := _installed(name))},
    }


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
