"""Contributions of many events, summed up: ranked rightly, exact, and read back without pickle."""

import io

import numpy as np
import pytest

from models_registry.core.global_explanation import (
    ExplanationError,
    GlobalExplanation,
    dependence,
    explain_globally,
    level_steps,
    monotone_share,
    ranks,
    sample_of,
)
from models_registry.core.learners.catalogue import make_learner
from scoring.core.bundle import assemble
from scoring.core.explain import Explainer
from scoring.core.vectors import build_many
from tests.factories import empty_windows, parse_all, payments, trained_payments

NAN = float("nan")


@pytest.fixture(scope="module", params=["logistic_regression", "lightgbm"])
def bundle(request):
    manifest, files = trained_payments(request.param)
    return assemble("0" * 64, manifest, files)


def vectors_of(bundle, n=300):
    """Feature vectors of payments that it did not learn from, some numbers missing."""
    events = parse_all(bundle.spec, payments(n, seed=11, users=20))
    vectors = build_many(bundle.plan, events, empty_windows(bundle.plan, events))
    vectors[np.random.default_rng(1).random(vectors.shape) < 0.02] = np.nan
    return vectors


def test_the_feature_that_decides_ranks_first_and_raises(bundle):
    vectors = vectors_of(bundle)
    found = explain_globally(bundle.predictor, vectors)
    ranked = [bundle.plan.names[i] for i in np.argsort(-found.mean_abs)]
    assert "amount" in ranked[:3]
    assert found.direction[bundle.plan.names.index("amount")] > 0.3
    assert found.rows == 300


def test_the_points_are_the_contributions_of_single_events(bundle):
    vectors = vectors_of(bundle, 50)
    found = explain_globally(bundle.predictor, vectors)
    matrix = bundle.predictor.encoder.matrix(vectors)
    margin = bundle.predictor.model.margin(matrix)
    np.testing.assert_allclose(found.base + found.contributions.sum(axis=1), margin, atol=1e-4)
    assert found.error < 1e-6


def test_mean_sizes_equal_those_of_shap():
    shap = pytest.importorskip("shap")
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(600, 5)).astype(np.float32)
    labels = (matrix[:, 0] + 0.5 * matrix[:, 1] > 0.8).astype(int)
    learner = make_learner("lightgbm")
    learner.fit(matrix, labels)
    ours = np.abs(Explainer.from_arrays(learner.export().arrays).contributions(matrix)).mean(axis=0)
    tree = shap.TreeExplainer(learner.booster_, feature_perturbation="tree_path_dependent")
    theirs = tree.shap_values(matrix)
    theirs = theirs[-1] if isinstance(theirs, list) else theirs
    np.testing.assert_allclose(ours, np.abs(theirs).mean(axis=0), atol=1e-8)


def test_it_is_read_back_as_it_was_written(bundle):
    found = explain_globally(bundle.predictor, vectors_of(bundle, 60))
    again = GlobalExplanation.from_bytes(found.to_bytes())
    np.testing.assert_array_equal(again.values, found.values)
    assert (again.rows, again.base) == (found.rows, found.base)
    assert found.to_bytes() == again.to_bytes()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nothing", b"x" * 100])
def test_what_is_no_explanation_is_refused(content):
    with pytest.raises(ExplanationError):
        GlobalExplanation.from_bytes(content)


def test_objects_are_never_unpickled():
    buffer = io.BytesIO()
    np.savez(buffer, values=np.array([{}], dtype=object))
    with pytest.raises(ExplanationError):
        GlobalExplanation.from_bytes(buffer.getvalue())


def test_nothing_to_explain_is_said(bundle):
    with pytest.raises(ExplanationError, match="no events"):
        explain_globally(bundle.predictor, np.empty((0, len(bundle.plan.names))))


def test_a_sample_is_the_same_each_time_and_in_order():
    first = sample_of(100, most=10, seed=1)
    assert first.tolist() == sorted(set(sample_of(100, most=10, seed=1).tolist()))
    assert sample_of(5, most=10, seed=1).tolist() == [0, 1, 2, 3, 4]


def test_steps_hold_every_event_once_and_missing_ones_last():
    values = np.array([1, 1, 2, 3, 4, 5, NAN, 9], np.float32)
    steps = dependence(values, values * 2, steps=4)
    assert sum(step.count for step in steps) == 8
    assert np.isnan(steps[-1].low)
    assert [s.low for s in steps[:-1]] == sorted(s.low for s in steps[:-1])


def test_levels_stand_most_frequent_first():
    values = np.array([7, 7, 3, NAN], np.float32)
    steps = level_steps(values, np.array([1, 3, 5, 9], np.float32))
    assert [(s.count, s.mean) for s in steps] == [(2, 2.0), (1, 5.0), (1, 9.0)]


def test_ties_share_their_rank():
    assert ranks(np.array([5.0, 1.0, 5.0])).tolist() == [2.5, 1.0, 2.5]


def test_a_line_that_only_rises_tells_all_of_what_only_rises():
    values = np.arange(200, dtype=np.float32)
    assert monotone_share(values, np.sqrt(values)) == pytest.approx((1.0, 0.0))
    assert monotone_share(values, -values) == pytest.approx((0.0, 1.0))
    rising, falling = monotone_share(values, (values - 100) ** 2)
    assert max(rising, falling) < 0.7


def test_missing_values_have_no_place_in_an_order():
    values = np.array([1, 2, 3, 4, NAN], np.float32)
    parts = np.array([1, 2, 3, 4, -99], np.float32)
    assert monotone_share(values, parts)[0] == pytest.approx(1.0)
    assert np.isnan(monotone_share(values, np.ones(5, np.float32))).all()
    assert np.isnan(monotone_share(np.full(3, NAN, np.float32), parts[:3])).all()
