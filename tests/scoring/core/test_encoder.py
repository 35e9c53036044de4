"""Raw vectors into the model's matrix: missing numbers filled, categories spread out."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_registry.core.encoding import fit_encoder, training_matrix
from scoring.core.encoder import LARGEST, Encoder, EncoderError
from scoring.core.features import category_code
from scoring.core.transformations import FeatureSpec, Preparation

FEATURES = (FeatureSpec("amount", "numeric", "amount"), FeatureSpec("city", "category", "city"))
BERLIN, PARIS, ROME = 11.0, 22.0, 33.0
ROWS = np.array([[1.0, BERLIN]] * 6 + [[3.0, PARIS]] * 5 + [[np.nan, ROME]])
ENCODER = fit_encoder(FEATURES, ROWS, {"city": {BERLIN: "berlin"}})


def encode(*rows):
    return ENCODER.matrix(np.array(rows)).tolist()


def test_frequent_levels_get_a_column_and_all_share_one():
    assert ENCODER.names == ("amount", "city=berlin", "city=22", "city share")
    assert ENCODER.source.tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("how", ["both", "one_hot", "frequency", "target"])
def test_frequent_levels_have_their_names_whatever_the_encoding(how):
    city = FeatureSpec("city", "category", "city", prepared=Preparation(encode=how))
    names = {BERLIN: "berlin", PARIS: "paris", ROME: "rome"}
    encoder = fit_encoder([FEATURES[0], city], ROWS, {"city": names}, np.ones(len(ROWS), np.int8))
    again = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again.level_names == {1: {BERLIN: "berlin", PARIS: "paris"}}


def test_a_known_row_is_spread_out():
    assert encode([2.0, BERLIN]) == [[2.0, 1.0, 0.0, 0.5]]


def test_a_level_never_seen_and_a_missing_one_are_in_no_column():
    assert encode([2.0, 99.0], [2.0, np.nan]) == [[2.0, 0.0, 0.0, 0.0]] * 2


def test_a_missing_number_becomes_the_median():
    assert encode([np.nan, BERLIN])[0][0] == 1.0


@pytest.mark.parametrize("one", ["1", "1.0"])
def test_a_number_that_stands_for_a_missing_category_is_the_level_of_that_number(one):
    how = Preparation(impute="constant", fill=1.0)
    levels = np.array([[category_code(one)]] * 8 + [[category_code("2")]] * 4)
    encoder = fit_encoder([FeatureSpec("code", "category", "code", prepared=how)], levels, {})
    assert np.array_equal(encoder.matrix(np.array([[np.nan]])), encoder.matrix(levels[:1]))


def test_no_number_is_too_large_for_the_model():
    matrix = ENCODER.matrix(np.array([[1e300, BERLIN], [-np.inf, BERLIN]]))
    assert matrix.dtype == np.float32
    assert matrix[:, 0].tolist() == [np.float32(LARGEST), np.float32(-LARGEST)]


def test_it_survives_json():
    again = Encoder.from_dict(json.loads(json.dumps(ENCODER.to_dict())))
    assert np.array_equal(again.matrix(ROWS), ENCODER.matrix(ROWS))


numbers = st.one_of(st.just(math.nan), st.floats(-1e9, 1e9))
preparations = st.builds(
    Preparation,
    impute=st.sampled_from(["", "mean", "median", "most_frequent", "constant"]),
    fill=st.floats(-10, 10),
    scale=st.sampled_from(["none", "standard", "robust", "min_max"]),
    log=st.booleans(),
)
categories = st.builds(
    Preparation,
    impute=st.sampled_from(["", "most_frequent", "constant"]),
    fill=st.just("other"),
    encode=st.sampled_from(["both", "one_hot", "frequency", "target"]),
    smoothing=st.floats(0, 50),
)
rows = st.lists(
    st.tuples(numbers, st.sampled_from([BERLIN, PARIS, ROME, math.nan]), st.integers(-1, 1)),
    min_size=1,
    max_size=40,
)


@given(rows, preparations, categories)
@settings(max_examples=120, deadline=None)
def test_every_preparation_survives_json_and_gives_finite_numbers(drawn, number, category):
    features = (
        FeatureSpec("amount", "numeric", "amount", prepared=number),
        FeatureSpec("city", "category", "city", prepared=category),
    )
    vectors = np.array([row[:2] for row in drawn])
    labels = np.array([row[2] for row in drawn], np.int8)
    encoder = fit_encoder(features, vectors, {}, labels)
    again = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))
    strange = np.vstack([vectors, [[math.nan, 99.0], [1e300, math.nan]]])
    matrix = again.matrix(strange)
    assert np.array_equal(matrix, encoder.matrix(strange))
    assert np.isfinite(matrix).all()


def fitted(prepared, kind="numeric", labels=None, values=(1.0, 2.0, 2.0, 7.0, np.nan)):
    feature = FeatureSpec("x", kind, "x", prepared=prepared)
    return fit_encoder((feature,), np.array(values)[:, None], {}, labels)


@pytest.mark.parametrize(
    ("strategy", "filled"),
    [("mean", 3.0), ("median", 2.0), ("most_frequent", 2.0), ("constant", -1.0)],
)
def test_what_is_missing_is_imputed_as_declared(strategy, filled):
    encoder = fitted(Preparation(impute=strategy, fill=-1.0))
    assert encoder.matrix(np.array([[np.nan]]))[0, 0] == np.float32(filled)


@pytest.mark.parametrize(
    ("scale", "expected"), [("standard", 0.0), ("robust", 0.0), ("min_max", 0.0)]
)
def test_numbers_are_scaled_as_declared(scale, expected):
    values = (1.0, 3.0, 5.0)
    centre = {"standard": 3.0, "robust": 3.0, "min_max": 1.0}[scale]
    encoder = fitted(Preparation(scale=scale), values=values)
    assert encoder.matrix(np.array([[centre]]))[0, 0] == expected
    spread = {"standard": np.std(values), "robust": 2.0, "min_max": 4.0}[scale]
    assert encoder.matrix(np.array([[centre + spread]]))[0, 0] == pytest.approx(1.0)


def test_a_log_keeps_the_sign():
    encoder = fitted(Preparation(log=True))
    assert encoder.matrix(np.array([[np.e - 1], [1 - np.e]]))[:, 0] == pytest.approx([1.0, -1.0])


@pytest.mark.parametrize(
    ("prepared", "first", "second"),
    [
        ({"center": 2.0}, [-2.0, 5.0], [6.0, 5.0]),
        ({"scale": 4.0}, [0.0, 5.0], [2.0, 5.0]),
        ({"log": True}, [0.0, 5.0], [np.log(9.0), 5.0]),
        ({"log": True, "center": 1.0, "scale": 2.0}, [-0.5, 5.0], [np.log(3.0) - 0.5, 5.0]),
        ({}, [0.0, 5.0], [8.0, 5.0]),
    ],
)
def test_a_number_is_prepared_in_any_one_way_and_its_neighbour_is_left_alone(
    prepared, first, second
):
    plain = {"op": "number", "fill": 5.0}
    encoder = Encoder(
        [plain | {"name": "x", "source": 1} | prepared, plain | {"name": "y", "source": 0}]
    )
    found = encoder.matrix(np.array([[np.nan, 0.0], [5.0, 8.0]]))
    assert found == pytest.approx(np.array([first, second]), abs=1e-6)


def test_a_missing_category_counts_as_the_most_frequent():
    city = Preparation(impute="most_frequent", encode="frequency")
    encoder = fitted(city, "category", values=(BERLIN, BERLIN, PARIS, np.nan))
    assert encoder.matrix(np.array([[np.nan], [PARIS]])).tolist() == [[0.75], [0.25]]


def test_the_rate_of_a_level_is_pulled_towards_the_rate_of_all():
    labels = np.array([1, 0, 0, 0], np.int8)
    encoder = fitted(
        Preparation(encode="target", smoothing=2.0),
        "category",
        labels,
        (BERLIN,) * 2 + (PARIS,) * 2,
    )
    found = encoder.matrix(np.array([[BERLIN], [PARIS], [ROME], [np.nan]]))[:, 0]
    assert found == pytest.approx([1.5 / 4, 0.5 / 4, 0.25, 0.25])


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.sampled_from([BERLIN, PARIS]), st.integers(-1, 1)),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([0.0, 3.0]),
)
@settings(max_examples=100, deadline=None)
def test_a_training_row_sees_only_what_was_known_at_its_time(drawn, delay):
    times = np.array([row[0] for row in drawn], float)
    vectors = np.array([[row[1]] for row in drawn])
    labels = np.array([row[2] for row in drawn], np.int8)
    feature = FeatureSpec("x", "category", "x", prepared=Preparation(encode="target", delay=delay))
    encoder = fit_encoder((feature,), vectors, {}, labels)
    found = training_matrix(encoder, (feature,), vectors, labels, times, label_delay=99.0)
    prior = encoder.columns[0]["prior"]
    for i, (now, level, _) in enumerate(drawn):
        seen = [
            label
            for at, other, label in drawn
            if other == level and label >= 0 and at + delay <= now and at < now
        ]
        expected = (sum(seen) + 20.0 * prior) / (len(seen) + 20.0)
        assert found[i, 0] == pytest.approx(expected, abs=1e-6)


def test_an_operation_of_another_version_is_refused():
    with pytest.raises(EncoderError, match="quantile"):
        Encoder.from_dict({"columns": [{"name": "x", "source": 0, "op": "quantile"}]})
