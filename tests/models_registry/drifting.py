"""A champion with enough of a reference for a verdict, and events that moved or did not."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from models_registry.core.drift import Drift
from models_registry.core.reference import outcomes
from models_registry.drift_models import DriftCheck, DriftStatistic
from scoring import deployment
from scoring.core.bundle import Predictor, load_bundle, write_bundle
from scoring.core.features import FeaturePlan
from scoring.core.pipeline import judge
from scoring.core.spec import parse_spec
from scoring.core.vectors import build_many
from scoring.models import Detector, Prediction
from tests.factories import config_of, empty_windows, parse_all, payments, train_bundle

SEED = 3
TRAINED_ON = 1500
ROWS = TRAINED_ON


@cache
def drifting_digest() -> str:
    """A payments bundle with references of features and outcomes, written once."""
    config = config_of("payments")
    raws = payments(TRAINED_ON, users=400, seed=SEED)
    amounts = np.array([raw["amount"] for raw in raws])
    noise = np.random.default_rng(1).normal(0.0, 30.0, len(raws))
    labels = (amounts + noise > 150.0).astype(int)
    manifest, files = train_bundle(config, raws, labels)
    root = deployment.bundle_root()
    spec = parse_spec(config)
    plan = FeaturePlan(spec)
    events = parse_all(spec, raws)
    vectors = build_many(plan, events, empty_windows(plan, events))
    predictor = load_bundle(root, write_bundle(root, manifest, files)).predictor
    assert predictor is not None
    risk = _risk_of(predictor, vectors)
    manifest["outcome_reference"] = outcomes(
        risk,
        review=predictor.thresholds.review,
        positives=int(labels.sum()),
        rows=len(labels),
    )
    return write_bundle(root, manifest, files)


@cache
def trained_risk() -> NDArray[np.float64]:
    """The risk of the events that the reference of that bundle was made of."""
    bundle = load_bundle(deployment.bundle_root(), drifting_digest())
    plan, predictor = bundle.plan, bundle.predictor
    assert predictor is not None
    events = parse_all(bundle.spec, payments(TRAINED_ON, users=400, seed=SEED))
    return _risk_of(predictor, build_many(plan, events, empty_windows(plan, events)))


def _risk_of(predictor: Predictor, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    judged = judge(predictor, vectors)
    assert judged is not None
    return judged.score if judged.probability is None else judged.probability


def serve(detector: Detector) -> Detector:
    """The detector with that bundle as its champion, v1."""
    deployment.install(detector, slot="champion", digest=drifting_digest(), version="v1")
    return detector


def stored_events(
    detector: Detector, rows: int = ROWS, *, times_amount: float = 1.0, seed: int = SEED
) -> list[Prediction]:
    """Predictions of recent payments, their vectors as scoring would build them, written at once.

    Unless told otherwise the very events of training come again: nothing moved.
    Scoring a thousand events takes seconds; here only what a drift check reads is right.
    """
    bundle = deployment.serving_of(detector).bundle
    raws = payments(rows, users=400, seed=seed)
    for raw in raws:
        raw["amount"] = round(raw["amount"] * times_amount, 2)
    events = parse_all(bundle.spec, raws)
    vectors = build_many(bundle.plan, events, empty_windows(bundle.plan, events))
    assert bundle.predictor is not None
    judged = judge(bundle.predictor, vectors)
    assert judged is not None
    probability = judged.score if judged.probability is None else judged.probability
    now = timezone.now()
    return Prediction.objects.bulk_create(
        Prediction(
            **prediction_columns(
                detector, bundle.digest, event.external_id, now - i * timedelta(seconds=1)
            ),
            vector=vectors[i].astype("<f8").tobytes(),
            score=float(judged.score[i]),
            probability=float(probability[i]),
        )
        for i, event in enumerate(events)
    )


def prediction_columns(
    detector: Detector, digest: str, external_id: str, at: datetime
) -> dict[str, Any]:
    """All that a stored prediction needs but its vector, of an event at that time."""
    return {
        "id": uuid4(),
        "detector": detector,
        "external_id": f"{external_id}-{uuid4().hex[:8]}",
        "body_digest": "0" * 32,
        "event_time": at,
        "received_at": at,
        "event": {},
        "entity": "e" * 32,
        "risk_level": "LOW",
        "decision": "APPROVE",
        "bundle_digest": digest,
        "model_version": "v1",
        "latency_us": 100,
    }


def kept_check(detector: Detector, *, hours_ago: float = 0.0, **changed: Any) -> DriftCheck:
    """A stored check of two features and the fraud rate, without any events."""
    check = DriftCheck.objects.create(
        **{
            "detector": detector,
            "bundle_digest": "0" * 64,
            "model_version": "v1",
            "checked_at": timezone.now() - timedelta(hours=hours_ago),
            "rows": 2000,
            "first_at": timezone.now() - timedelta(days=2),
            "last_at": timezone.now(),
            "status": "major",
            "max_psi": 0.41,
            "alarm_since": timezone.now(),
        }
        | changed
    )
    bars = {"bars": [[0.0, 1.0], [1.0, 2.0]], "reference": [0.6, 0.4], "recent": [0.3, 0.7]}
    found = [
        Drift("calm", status="stable", psi=0.01, ks=0.02, wasserstein=0.02, p=1.0, histogram=bars),
        Drift("amount", status="major", psi=0.41, ks=0.3, wasserstein=0.6, p=0.0, histogram=bars),
        Drift("fraud rate", "rate", "rate", "unknown", "Needs 1,000 events, has 3."),
    ]
    DriftStatistic.objects.bulk_create(
        DriftStatistic(
            drift_check=check, place=i,
            **{name: getattr(one, name) for name in one.__dataclass_fields__},
        )
        for i, one in enumerate(found)
    )  # fmt: skip
    return check
