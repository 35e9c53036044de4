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


SECTION, STEP = "features.transformations", "features.transformations[3].config"


def problems(config):
    with pytest.raises(SpecError) as caught:
        parse_spec(config)
    return dict(caught.value.problems)


def many_windows(n, fields):
    """`payments`, whose first windows are so many, with so many fields counted in each."""
    config = config_of("payments")
    names = [f"field{i}" for i in range(fields)]
    config["event"]["schema"]["properties"] |= {name: {"type": "string"} for name in names}
    step = config["features"]["transformations"][3]["config"]
    step |= {"windows": [*step["windows"], *(f"{i}s" for i in range(100, 100 + n))]}
    step["distinct"] = [*step["distinct"], *names]
    return config


def test_a_few_lines_that_stand_for_a_million_features_are_refused_before_they_are_made():
    found = problems(many_windows(5_000, 5_000))
    assert found[STEP] == "makes 25,040,016 features: a detector has at most 2,000"


def test_steps_that_make_too_many_features_together_are_refused():
    config = many_windows(300, 0)
    step = config["features"]["transformations"][3]
    config["features"]["transformations"] = [
        {"type": step["type"], "config": step["config"] | {"offset": f"{i}m"}} for i in range(1, 3)
    ]
    assert problems(config)[SECTION] == "makes 2,432 features: a detector has at most 2,000"


def test_what_was_taken_in_before_may_have_more():
    assert len(parse_spec(many_windows(600, 0), stored=True).features) > 2_000


def test_features_are_not_prepared_very_many_times_over():
    config = config_of("fraud")
    encode = {"type": "encoding", "config": {"method": "both"}}
    config["features"]["transformations"] += [encode] * 20_000
    assert "times over: at most 50,000 times" in problems(config)[SECTION]
