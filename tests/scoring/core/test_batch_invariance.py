"""An event gets the same bits alone and in any batch: what was scored together replays singly."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_registry.core.export import ForestBuilder, export_forest, export_linear
from models_registry.core.learners.catalogue import make_learner
from scoring.core.bundle import assemble
from scoring.core.encoder import Encoder
from scoring.core.explain import Explainer
from scoring.core.inference import Calibration, Model
from scoring.core.pipeline import judge
from tests.factories import trained_payments

LEARNERS = (
    *("logistic_regression", "lightgbm", "isolation_forest"),
    *("one_class_svm", "autoencoder", "ecod"),
)
PLATT = Calibration(kind="platt", slope=1.3, intercept=-0.2)
STEPS = tuple(np.linspace(-9.0, 9.0, 41).tolist())
ISOTONIC = Calibration("isotonic", knots=STEPS, values=tuple(np.linspace(0.0, 1.0, 41).tolist()))


@cache
def predictor_of(learner):
    """Trained on payments."""
    return assemble("0" * 64, *trained_payments(learner)).predictor


def vectors(predictor, n, seed):
    """Raw vectors of every size of number, a fifth of them missing."""
    rng = np.random.default_rng(seed)
    width = int(predictor.encoder.source.max()) + 1
    found = rng.normal(size=(n, width)) * 10.0 ** rng.integers(-3, 6, (n, width))
    found[rng.random((n, width)) < 0.2] = np.nan
    return found


def assert_same_bits(predictor, rows, size):
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        batch = judge(predictor, part)
        for i in range(len(part)):
            alone = judge(predictor, part[i : i + 1])
            assert batch.score[i].tobytes() == alone.score[0].tobytes()
            assert batch.contributions[i].tobytes() == alone.contributions[0].tobytes()
            assert batch.error[i].tobytes() == alone.error[0].tobytes()
            if batch.probability is not None:
                assert batch.probability[i].tobytes() == alone.probability[0].tobytes()


@pytest.mark.parametrize("name", LEARNERS)
@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 60), size=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_any_batch_gives_the_bits_of_single_events(name, n, size, seed):
    assert_same_bits(predictor_of(name), vectors(predictor_of(name), n, seed), size)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_full_batch_of_the_api_gives_the_bits_of_single_events(name):
    assert_same_bits(predictor_of(name), vectors(predictor_of(name), 1000, 1), 1000)


def wide(exported, columns):
    encoder = Encoder(
        [{"name": f"c{i}", "source": i, "op": "number", "fill": 0.0} for i in range(columns)]
    )
    return replace(
        predictor_of("logistic_regression"),
        encoder=encoder,
        model=Model(exported.onnx, link=exported.link),
        explainer=Explainer.from_arrays(exported.arrays),
    )


@pytest.mark.parametrize("columns", [1, 3, 16, 57, 200])
def test_a_matrix_product_of_any_width_does_not_hang_on_the_batch(columns):
    rng = np.random.default_rng(columns)
    exported = export_linear(
        coef=rng.normal(size=columns), background=rng.normal(size=columns), intercept=0.3,
        link="logit",
    )  # fmt: skip
    assert_same_bits(wide(exported, columns), rng.normal(size=(300, columns)), 97)


@pytest.mark.parametrize("columns", [1, 2, 6, 33])
@pytest.mark.parametrize("name", ["one_class_svm", "autoencoder", "ecod"])
def test_what_learns_without_labels_does_not_hang_on_the_batch(name, columns):
    rng = np.random.default_rng(columns)
    rows = rng.normal(size=(300, columns))
    exported = make_learner(name).fit(rows[:203]).export()
    assert_same_bits(wide(exported, columns), rows, 97)


def grow(builder, rng, depth, columns):
    if depth == 0:
        return builder.add_leaf(value=float(rng.normal()), cover=1.0)
    node = builder.add_split(
        feature=int(rng.integers(columns)), threshold=float(rng.normal()), cover=2.0**depth
    )
    left, right = (grow(builder, rng, depth - 1, columns) for _ in range(2))
    builder.link(node, left=left, right=right)
    return node


@pytest.mark.parametrize(("trees", "depth"), [(1, 3), (40, 5), (300, 3)])
def test_a_forest_of_any_size_does_not_hang_on_the_batch(trees, depth):
    rng, builder = np.random.default_rng(trees), ForestBuilder()
    for _ in range(trees):
        builder.add_tree()
        grow(builder, rng, depth, 12)
    exported = export_forest(builder.build(), n_columns=12, link="logit")
    assert_same_bits(wide(exported, 12), rng.normal(size=(300, 12)), 130)


@pytest.mark.parametrize("calibration", [PLATT, ISOTONIC])
@given(st.lists(st.floats(-40.0, 40.0), min_size=1, max_size=200))
def test_a_calibration_does_not_hang_on_the_batch(calibration, margins):
    together = calibration.probability(np.array(margins))
    alone = [calibration.probability(np.array([margin]))[0] for margin in margins]
    assert together.tolist() == alone
