"""The local line: right where the model is one, and honest where it is not."""

from dataclasses import replace

import numpy as np
import pytest

from models_registry.core.export import ForestBuilder, export_forest, export_linear
from models_registry.core.reference import describe_features
from scoring.core.bundle import assemble
from scoring.core.encoder import Encoder
from scoring.core.explain import Explainer
from scoring.core.inference import Model
from scoring.core.surrogate import fit_surrogate
from tests.factories import config_of, trained_payments

MANIFEST, FILES = trained_payments()
BASE = assemble("0" * 64, MANIFEST, FILES)


def config(fields):
    found = config_of("anomaly")
    found["features"]["transformations"] = [{"type": "numeric", "config": {"fields": fields}}]
    return found


FIELDS = ["response_time", "error_rate", "cpu_usage", "memory_usage"]


def bundle_over(exported, *, seed=0):
    """Four plain numbers, normally distributed with spreads 10, 1, 5 and 2, under this model."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal([100.0, 5.0, 50.0, 50.0], [10.0, 1.0, 5.0, 2.0], (2000, 4))
    manifest = {
        "detector": config(FIELDS),
        "metrics": {},
        "reference": describe_features(vectors, FIELDS),
    }
    bundle = assemble("1" * 64, manifest, {})
    encoder = Encoder(
        [{"name": n, "source": i, "op": "number", "fill": 0.0} for i, n in enumerate(FIELDS)]
    )
    predictor = replace(
        BASE.predictor,
        encoder=encoder,
        model=Model(exported.onnx, link=exported.link),
        explainer=Explainer.from_arrays(exported.arrays),
    )
    return replace(bundle, predictor=predictor)


COEF = np.array([0.02, -1.5, 0.0, 0.3])
LINEAR = bundle_over(export_linear(coef=COEF, background=np.zeros(4), intercept=-2.0, link="logit"))
HERE = np.array([104.0, 5.5, 48.0, 50.0])


def stumps(*splits):
    """A forest of one split a tree: (column, threshold, value left, value right)."""
    builder = ForestBuilder()
    for column, threshold, low, high in splits:
        builder.add_tree()
        root = builder.add_split(feature=column, threshold=threshold, cover=10)
        left = builder.add_leaf(value=low, cover=5)
        right = builder.add_leaf(value=high, cover=5)
        builder.link(root, left=left, right=right)
    return bundle_over(export_forest(builder.build(), n_columns=4, link="logit"))


def test_a_linear_model_is_found_again():
    found = fit_surrogate(LINEAR, HERE)
    slopes = {w.feature: w.per_step / w.step for w in found.weights}
    assert [slopes[name] for name in FIELDS] == pytest.approx(COEF, abs=0.01)
    assert found.fit > 0.999
    assert found.predicted == pytest.approx(found.margin, abs=0.02)


def test_the_strongest_feature_of_a_forest_comes_first_with_its_sign():
    found = fit_surrogate(stumps((0, 104.0, -3.0, 3.0), (2, 48.0, 0.5, -0.5)), HERE)
    assert [w.feature for w in found.weights[:2]] == ["response_time", "cpu_usage"]
    assert found.weights[0].per_step > 0 > found.weights[1].per_step


def test_a_model_that_no_line_describes_has_a_poor_fit_and_says_so():
    found = fit_surrogate(stumps((0, 99.0, 4.0, -4.0), (0, 109.0, 0.0, 8.0)), HERE)
    assert found.fit < 0.3
    assert found.statement.startswith("No line describes the model here")


def test_where_nothing_moves_there_is_no_fit_to_tell():
    found = fit_surrogate(stumps((0, 900.0, -1.0, 1.0)), HERE)
    assert found.fit is None
    assert found.statement.startswith("Nothing near this event")


def test_what_is_missing_stays_missing_and_has_no_weight():
    found = fit_surrogate(LINEAR, np.array([104.0, np.nan, 48.0, 50.0]))
    assert {w.feature for w in found.weights} == set(FIELDS) - {"error_rate"}
    assert found.fit > 0.999


def test_the_same_seed_gives_the_same_line_and_another_seed_nearly_so():
    assert fit_surrogate(LINEAR, HERE, seed=3) == fit_surrogate(LINEAR, HERE, seed=3)
    one, other = (fit_surrogate(LINEAR, HERE, seed=seed) for seed in (1, 2))
    assert one != other
    assert one.weights[0].per_step == pytest.approx(other.weights[0].per_step, rel=0.05)


def test_a_category_weighs_being_as_it_is():
    vector = np.full(len(BASE.plan.names), np.nan)
    place = BASE.plan.names.index("merchant_type")
    levels = BASE.reference["merchant_type"]["levels"]
    vector[place] = levels[0]["value"]
    vector[BASE.plan.names.index("amount")] = 100.0
    found = fit_surrogate(BASE, vector)
    assert {"merchant_type", "amount"} == {w.feature for w in found.weights}
    assert next(w.step for w in found.weights if w.feature == "merchant_type") == 0.0


def test_without_a_model_there_is_no_surrogate():
    assert fit_surrogate(replace(LINEAR, predictor=None), HERE) is None
