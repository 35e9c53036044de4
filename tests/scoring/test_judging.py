"""The model is asked once for a vector, and left alone when it keeps failing."""

import numpy as np
import pytest

from scoring import breakers, deployment, judging
from scoring.core import pipeline
from scoring.models import Detector, Prediction
from tests.factories import fraud, payment, scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def stateless(champion, monkeypatch):
    """A bundle that reads no windows, with the payments model inside."""
    bundle = deployment.serving("payments").bundle
    monkeypatch.setattr(bundle.plan, "entities", ())
    return bundle


@pytest.fixture
def asked(monkeypatch):
    """How many vectors the model was asked about, call by call."""
    found, judge = [], pipeline.judge

    def count(predictor, vectors):
        found.append(len(vectors))
        return judge(predictor, vectors)

    monkeypatch.setattr(pipeline, "judge", count)
    return found


def vectors_of(bundle, *values):
    rows = np.full((len(values), len(bundle.plan.names)), np.nan)
    rows[:, 0] = values
    return rows


def test_the_same_vector_is_judged_once(stateless, asked):
    judge = judging.judge_for("payments", stateless, 0)
    first = judge(stateless.predictor, vectors_of(stateless, 1.0, 2.0))
    again = judge(stateless.predictor, vectors_of(stateless, 2.0, 3.0, 1.0))
    assert asked == [2, 1]
    assert again.score[[2, 0]].tolist() == first.score.tolist()
    assert again.contributions[[2, 0]].tolist() == first.contributions.tolist()
    assert (judging.cache.hits, judging.cache.misses) == (2, 3)


def test_what_is_remembered_equals_what_the_model_says(stateless):
    vectors = vectors_of(stateless, *range(20))
    plain = pipeline.judge(stateless.predictor, vectors)
    judge = judging.judge_for("payments", stateless, 0)
    for _ in range(2):
        found = judge(stateless.predictor, vectors)
        assert found.score.tobytes() == plain.score.tobytes()
        assert found.probability.tobytes() == plain.probability.tobytes()
        assert found.contributions.tobytes() == plain.contributions.tobytes()
        assert found.error.tobytes() == plain.error.tobytes()


def test_a_raised_epoch_empties_the_cache(stateless, asked):
    for epoch in (0, 0, 1):
        judging.judge_for("payments", stateless, epoch)(
            stateless.predictor, vectors_of(stateless, 1.0)
        )
    assert asked == [1, 1]


def test_with_windows_nothing_is_remembered(champion):
    scored("payments", payment())
    assert len(judging.cache) == 0


def test_the_cache_is_bounded_and_keeps_what_is_used(stateless):
    small = judging.PredictionCache(most=2)
    said = judging.Remembered(0.5, None, np.zeros(1), 0.0)
    for name in ("a", "b"):
        small.keep((name, 0, b""), said)
    small.find([("a", 0, b"")])
    small.keep(("c", 0, b""), said)
    assert [known is not None for known in small.find([(n, 0, b"") for n in "abc"])] == [
        True, False, True,
    ]  # fmt: skip


def test_a_model_that_keeps_failing_leaves_the_rules_alone(champion, monkeypatch):
    calls = []

    def broken(predictor, vectors):
        calls.append(1)
        raise RuntimeError("onnxruntime")

    monkeypatch.setattr(pipeline, "judge", broken)
    rows = [scored("payments", payment()) for _ in range(8)]
    assert all(row.degraded and row.score is None for row in rows)
    assert len(calls) == 5
    assert breakers.states()["model:payments"] == "OPEN"


def test_a_model_that_recovers_scores_again(champion, monkeypatch):
    circuit = breakers.breaker("model:payments")
    for _ in range(circuit.failures):
        circuit.failed()
    assert scored("payments", payment()).degraded
    monkeypatch.setattr(circuit, "pause", 0.0)
    assert not scored("payments", payment()).degraded
    assert circuit.state == "CLOSED"


def test_a_detector_without_a_model_has_nothing_to_remember(fraud_detector):
    assert scored("fraud", fraud()).degraded
    assert (Prediction.objects.count(), len(judging.cache)) == (1, 0)
    assert Detector.objects.get(slug="fraud").cache_epoch == 0
