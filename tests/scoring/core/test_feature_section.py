"""The features of a declaration: what would never be read is told."""

import pytest

from scoring.core.reader import SpecError
from scoring.core.spec import parse_spec
from tests.factories import config_of


def test_a_label_of_no_feature_is_told():
    config = config_of("fraud")
    config["features"]["labels"] = {"contry": "land"}
    with pytest.raises(SpecError) as caught:
        parse_spec(config)
    said = "'contry' is no feature of this pipeline; did you mean country?"
    assert caught.value.problems == [("features.labels.contry", said)]


def test_a_label_of_no_feature_that_was_taken_in_before_is_passed_over():
    config = config_of("fraud")
    config["features"]["labels"] = {"contry": "land", "country": "land"}
    labels = {feature.name: feature.label for feature in parse_spec(config, stored=True).features}
    assert labels["country"] == "land"
