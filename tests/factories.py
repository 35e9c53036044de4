"""Events, people and small trained bundles for the tests."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_registry.core.bands import describe_bands
from models_registry.core.calibration import fit_calibration
from models_registry.core.encoding import fit_encoder
from models_registry.core.export import arrays_to_bytes
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.reference import describe_features
from models_registry.core.thresholds import choose_thresholds
from scoring.core.bundle import EXPLAIN, MODEL
from scoring.core.features import FeaturePlan, category_code
from scoring.core.schema import EventParser
from scoring.core.spec import AUDIT_RATE, DetectorSpec, parse_spec
from scoring.core.types import Event
from scoring.core.vectors import build_many
from scoring.core.windows import EntityWindow
from scoring.declarations import SHIPPED, load_detector, read_config
from scoring.models import Detector, Prediction
from scoring.recording import audit_draw
from scoring.services import Scored, score_event, score_events

START = datetime(2020, 6, 1, 12, tzinfo=UTC)
RISKY_AMOUNT = 900.0
_numbers = count(1)


def config_of(slug: str) -> dict[str, Any]:
    """A shipped declaration as a dict of its own, free to change."""
    return read_config(SHIPPED / f"{slug}.yaml")


def spec_of(slug: str) -> DetectorSpec:
    return parse_spec(config_of(slug))


def shipped_detector(slug: str) -> Detector:
    return load_detector(SHIPPED / f"{slug}.yaml")[0]


def undrawn_id() -> str:
    """An id of its own that the random audit of `payments` does not draw: which ids a test gets
    depends on the tests before it, and one payment of 200 would be an alert."""
    ids = (f"tx-{number}" for number in _numbers)
    return next(found for found in ids if audit_draw("payments", found) >= AUDIT_RATE)


def payment(**changed: Any) -> dict[str, Any]:
    """A harmless payment; every call has an id of its own. A field set to None is left out."""
    event = {
        "transaction_id": undrawn_id(),
        "user_id": "user-1",
        "user_name": "Ada Lovelace",
        "amount": 25.0,
        "location": "Berlin",
        "timestamp": START.isoformat(),
        "merchant_type": "grocery",
    } | changed
    return {name: value for name, value in event.items() if value is not None}


def card(number: int, **changed: Any) -> dict[str, Any]:
    """A card transaction in the layout of the handbook."""
    return {
        "TRANSACTION_ID": number,
        "TX_DATETIME": START.isoformat(),
        "CUSTOMER_ID": 1,
        "TERMINAL_ID": 2,
        "TX_AMOUNT": 30.0,
    } | changed


def fraud(**changed: Any) -> dict[str, Any]:
    """An event of the `fraud` contract: five fields, no id."""
    return {
        "transaction_amount": 120.5,
        "merchant_type": "travel",
        "country": "DE",
        "time_delta": 3.0,
        "device_type": "mobile",
    } | changed


def payments(n: int, *, seed: int = 7, users: int = 5) -> list[dict[str, Any]]:
    """`n` payments in event-time order, a few minutes apart, of a few users in a few cities."""
    rng = np.random.default_rng(seed)
    when = START + np.cumsum(rng.integers(0, 900, n)) * timedelta(seconds=1)
    return [
        payment(
            user_id=f"user-{rng.integers(users)}",
            amount=round(float(rng.lognormal(3.5, 1.5)), 2),
            location=str(rng.choice(["Berlin", "Paris", "Rome"])),
            merchant_type=str(rng.choice(["grocery", "travel", "gaming"])),
            device_id=str(rng.choice(["a", "b"])) if rng.random() < 0.7 else None,
            merchant_id=f"m{rng.integers(4)}",
            timestamp=moment.isoformat(),
        )
        for moment in when
    ]


def risky_payment(**changed: Any) -> dict[str, Any]:
    """A payment that the rules send to review, whatever the model says."""
    return payment(**({"amount": 20_000.0} | changed))


def parse_all(spec: DetectorSpec, raws: Sequence[Mapping[str, Any]]) -> list[Event]:
    parser = EventParser(spec)
    return [parser.parse(raw, START.timestamp() + 400 * 86400) for raw in raws]


def empty_windows(
    plan: FeaturePlan, events: Sequence[Event]
) -> dict[tuple[str, str], EntityWindow]:
    width = {entity.key: entity.width for entity in plan.entities}
    keys = {key for event in events for key in plan.keys(event)}
    return {key: EntityWindow.empty(width[key[0]]) for key in keys}


def train_bundle(
    config: Mapping[str, Any],
    raws: Sequence[Mapping[str, Any]],
    labels: NDArray[Any],
    *,
    learner: str = "logistic_regression",
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and files of a bundle that learnt from raw events and their labels."""
    spec = parse_spec(config)
    events = parse_all(spec, raws)
    plan = FeaturePlan(spec)
    vectors = build_many(plan, events, empty_windows(plan, events))
    encoder = fit_encoder(spec.features, vectors, _level_names(spec, raws))
    model = make_learner(learner)
    matrix = encoder.matrix(vectors)
    model.fit(matrix, labels)
    exported, margin = model.export(), model.margin(matrix)
    calibration = fit_calibration(margin, labels)
    risk = calibration.probability(margin)
    amounts = np.array([event.amount for event in events], float)
    thresholds = choose_thresholds(risk, labels, amounts, spec.costs)
    manifest = {
        "detector": dict(config),
        "learner": learner,
        "link": exported.link,
        "encoder": encoder.to_dict(),
        "calibration": calibration.to_dict(),
        "calibration_band": describe_bands(risk, labels, np.arange(len(labels))),
        "thresholds": thresholds.to_dict(),
        "reference": describe_features(
            vectors,
            spec.feature_names,
            categorical={f.name for f in spec.features if f.kind == "category"},
        ),
    }
    return manifest, {MODEL: exported.onnx, EXPLAIN: arrays_to_bytes(exported.arrays)}


def _level_names(
    spec: DetectorSpec, raws: Sequence[Mapping[str, Any]]
) -> dict[str, dict[float, str]]:
    """Names of category codes, as training takes them from events."""
    return {
        f.field: {
            category_code(str(raw[f.field])): str(raw[f.field]) for raw in raws if f.field in raw
        }
        for f in spec.features
        if f.kind == "category"
    }


def trained_payments(
    learner: str = "logistic_regression",
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A payments bundle that finds large amounts risky: trained once, to each caller its own."""
    manifest, files = _trained_payments(learner)
    return deepcopy(manifest), dict(files)


@cache
def _trained_payments(learner: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    raws = payments(800, users=40)
    amounts = np.array([raw["amount"] for raw in raws])
    noise = np.random.default_rng(1).normal(0.0, 30.0, len(raws))
    return train_bundle(
        config_of("payments"), raws, (amounts + noise > 150.0).astype(int), learner=learner
    )


def scored(slug: str, raw: Mapping[str, Any]) -> Prediction:
    """The stored prediction of an event that must be valid and new or repeated."""
    outcome = score_event(slug, raw)
    assert isinstance(outcome, Scored), outcome
    return outcome.prediction


def scored_many(slug: str, raws: Sequence[Mapping[str, Any]]) -> list[Prediction]:
    """Like `scored`, in one batch that opens no alerts."""
    outcomes = score_events(slug, raws, announce=False)
    assert all(isinstance(outcome, Scored) for outcome in outcomes), outcomes
    return [outcome.prediction for outcome in outcomes if isinstance(outcome, Scored)]
