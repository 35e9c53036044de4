"""What training found, written as a bundle: exported, proven equal, described."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_registry.core.bands import describe_bands
from models_registry.core.export import arrays_to_bytes, check_parity
from models_registry.core.imbalance import recorded
from models_registry.core.reference import describe_once_full, outcomes
from models_registry.core.splits import Part, Parts
from models_registry.datasets import Rows
from models_registry.fitting import Fitted
from models_registry.judging import finite, history_starts
from models_registry.models import Dataset
from scoring.core.band import KEY as BANDS
from scoring.core.bundle import EXPLAIN, MODEL, write_bundle
from scoring.core.spec import DetectorSpec
from scoring.deployment import bundle_root
from scoring.models import Detector

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """What the test part says: `risk` float64[n] of its rows, `everywhere` float64[m] of its span;
    `comparison` is empty without a champion."""

    risk: FloatArray
    everywhere: FloatArray
    metrics: dict[str, Any]
    curves: dict[str, Any]
    comparison: dict[str, Any]


def publish_bundle(
    detector: Detector,
    spec: DetectorSpec,
    rows: Rows,
    parts: Parts,
    fitted: Fitted,
    dataset: Dataset,
    found: Found,
) -> str:
    """Export, prove that the export gives the learner's numbers, write the bundle; its digest.

    Raises ExportError where the two differ.
    """
    exported = fitted.learner.export()
    check_parity(fitted.learner, exported, fitted.encoder.matrix(rows.vectors[parts.test.span]))
    manifest = {
        "detector": detector.config,
        "learner": fitted.learner.name,
        "parameters": recorded(fitted.learner, spec.training.imbalance),
        "link": exported.link,
        "encoder": fitted.encoder.to_dict(),
        "calibration": fitted.calibration.to_dict(),
        "thresholds": fitted.thresholds.to_dict(),
        "reference": _reference(spec, rows, parts.train),
        "outcome_reference": outcomes(
            found.everywhere,
            review=fitted.thresholds.review,
            positives=parts.train.positives,
            rows=parts.train.labelled,
        ),
        BANDS: _bands(rows, parts, fitted, found),
        "training": _training(rows, parts, dataset),
        "metrics": found.metrics,
        "created_at": datetime.now(UTC).isoformat(),
    }
    files = {MODEL: exported.onnx, EXPLAIN: arrays_to_bytes(exported.arrays)}
    return write_bundle(bundle_root(), finite(manifest), files)


def _training(rows: Rows, parts: Parts, dataset: Dataset) -> dict[str, Any]:
    """What it was fitted on, and up to when (seconds since 1970, UTC)."""
    return {
        "dataset_digest": dataset.digest,
        "rows": len(parts.train.rows),
        "positives": parts.train.positives,
        "known_at": rows.known_at.isoformat(),
        "last_fitted_at": float(rows.event_time[parts.validation.span[-1]]),
    }


def _reference(spec: DetectorSpec, rows: Rows, train: Part) -> dict[str, dict[str, Any]]:
    """What the features of the training part looked like."""
    return describe_once_full(
        rows.vectors[train.span],
        spec.feature_names,
        age=rows.event_time[train.span] - history_starts(rows),
        reaches=[feature.reach for feature in spec.features],
        categorical={f.name for f in spec.features if f.kind == "category"},
    )


def _bands(rows: Rows, parts: Parts, fitted: Fitted, found: Found) -> dict[str, Any]:
    """What the test events of each band of probability turned out to be; none uncalibrated."""
    if fitted.calibration.kind == "none":
        return {}
    test = parts.test
    return describe_bands(found.risk, test.labels, rows.entities[test.rows])
