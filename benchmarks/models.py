"""Bundles to measure: each learner fitted on simulated events of each detector, no database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from models_registry.core.calibration import fit_calibration
from models_registry.core.encoding import fit_encoder
from models_registry.core.export import arrays_to_bytes
from models_registry.core.learners.base import Learner
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.reference import describe_features
from scoring.core.bundle import EXPLAIN, MODEL, Bundle, load_bundle, write_bundle
from scoring.core.decision import Thresholds
from scoring.core.features import FeaturePlan
from scoring.core.schema import EventParser
from scoring.core.spec import DetectorSpec, parse_spec
from scoring.core.types import Event
from scoring.core.vectors import build_many
from scoring.core.windows import EntityWindow
from scoring.simulation.stream import history

DETECTORS = ("fraud", "payments", "cards", "anomaly")
LEARNERS = ("logistic_regression", "lightgbm", "isolation_forest")
DECLARATIONS = Path(__file__).resolve().parent.parent / "scoring" / "detectors"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 40
EVENTS = 4000
SEED = 11


@dataclass(frozen=True, slots=True)
class Material:
    """What a detector's learners are fitted on: parsed events, their vectors and their truth."""

    config: dict[str, Any]
    spec: DetectorSpec
    payloads: list[dict[str, object]]
    events: list[Event]
    vectors: NDArray[np.float64]
    labels: NDArray[np.int8]


def gather(slug: str) -> Material:
    """A simulated history of one detector, with its feature vectors."""
    config = yaml.safe_load((DECLARATIONS / f"{slug}.yaml").read_text(encoding="utf-8"))
    spec = parse_spec(config)
    end = START + timedelta(days=DAYS)
    made = list(islice(history(slug, start=START, end=end, seed=SEED, events=EVENTS), EVENTS))
    parser = EventParser(spec)
    events = [parser.parse(item.payload, end.timestamp()) for item in made]
    order = sorted(range(len(events)), key=lambda i: events[i].time)
    events = [events[i] for i in order]
    plan = FeaturePlan(spec)
    return Material(
        config=config,
        spec=spec,
        payloads=[made[i].payload for i in order],
        events=events,
        vectors=build_many(plan, events, empty_windows(plan, events)),
        labels=np.array([made[i].is_fraud for i in order], np.int8),
    )


def empty_windows(
    plan: FeaturePlan, events: Sequence[Event]
) -> dict[tuple[str, str], EntityWindow]:
    """A window without history for every entity of the events."""
    widths = {entity.key: entity.width for entity in plan.entities}
    return {key: EntityWindow.empty(widths[key[0]]) for event in events for key in plan.keys(event)}


def fit(material: Material, name: str, root: Path, **parameters: object) -> tuple[Bundle, Learner]:
    """Fit a learner, with its own defaults but for `parameters`; write its bundle under `root` and
    load it back."""
    spec, vectors = material.spec, material.vectors
    encoder = fit_encoder(spec.features, vectors, {})
    matrix = encoder.matrix(vectors)
    learner = make_learner(name, **parameters)
    learner.fit(matrix, material.labels if learner.supervised else None)
    exported = learner.export()
    categories = {f.name for f in spec.features if f.kind == "category"}
    manifest = {
        "detector": material.config,
        "learner": name,
        "link": exported.link,
        "encoder": encoder.to_dict(),
        "calibration": fit_calibration(learner.margin(matrix), material.labels).to_dict(),
        "thresholds": Thresholds(0.5, 0.9, 0.2, 0.5, 0.9).to_dict(),
        "reference": describe_features(vectors, spec.feature_names, categorical=categories),
        "metrics": {},
    }
    files = {MODEL: exported.onnx, EXPLAIN: arrays_to_bytes(exported.arrays)}
    return load_bundle(root, write_bundle(root, manifest, files)), learner
