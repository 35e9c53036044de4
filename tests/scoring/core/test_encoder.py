"""Raw vectors into the model's matrix: missing numbers filled, categories spread out."""

import json

import numpy as np

from models_registry.core.encoding import fit_encoder
from scoring.core.encoder import LARGEST, Encoder
from scoring.core.spec import FeatureSpec

FEATURES = (FeatureSpec("amount", "numeric", "amount"), FeatureSpec("city", "category", "city"))
BERLIN, PARIS, ROME = 11.0, 22.0, 33.0
ROWS = np.array([[1.0, BERLIN]] * 6 + [[3.0, PARIS]] * 5 + [[np.nan, ROME]])
ENCODER = fit_encoder(FEATURES, ROWS, {"city": {BERLIN: "berlin"}})


def encode(*rows):
    return ENCODER.matrix(np.array(rows)).tolist()


def test_frequent_levels_get_a_column_and_all_share_one():
    assert ENCODER.names == ("amount", "city=berlin", "city=22", "city share")
    assert ENCODER.source.tolist() == [0, 1, 1, 1]


def test_a_known_row_is_spread_out():
    assert encode([2.0, BERLIN]) == [[2.0, 1.0, 0.0, 0.5]]


def test_a_level_never_seen_and_a_missing_one_are_in_no_column():
    assert encode([2.0, 99.0], [2.0, np.nan]) == [[2.0, 0.0, 0.0, 0.0]] * 2


def test_a_missing_number_becomes_the_median():
    assert encode([np.nan, BERLIN])[0][0] == 1.0


def test_no_number_is_too_large_for_the_model():
    matrix = ENCODER.matrix(np.array([[1e300, BERLIN], [-np.inf, BERLIN]]))
    assert matrix.dtype == np.float32
    assert matrix[:, 0].tolist() == [np.float32(LARGEST), np.float32(-LARGEST)]


def test_it_survives_json():
    again = Encoder.from_dict(json.loads(json.dumps(ENCODER.to_dict())))
    assert np.array_equal(again.matrix(ROWS), ENCODER.matrix(ROWS))
