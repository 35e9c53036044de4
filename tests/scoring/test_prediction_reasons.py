"""What an explanation says of a time of day: two features, and one thing to say."""

from datetime import UTC, datetime

import numpy as np
import pytest

from scoring.core.spec import parse_spec
from scoring.models import Prediction
from scoring.prediction_reasons import explain_prediction
from tests.factories import config_of, spec_of


@pytest.fixture
def explained(tmp_path, settings):
    """An explanation with these contributions by feature, without its bundle, and its spec."""
    settings.BUNDLE_DIR = tmp_path
    spec = spec_of("credit_card_fraud")
    names = [feature.name for feature in spec.features]

    def explain(parts, told):
        row = np.array([parts.get(name, 0.0) for name in names])
        reasons = [
            {"feature": name, "contribution": parts[name], "text": text, "value": None}
            for name, text in told.items()
        ]
        return explain_prediction(
            Prediction(score=0.4, contributions=row.tobytes(), reasons=reasons), spec
        )

    return explain


PARTS = {"time_of_day_sin": 0.5, "time_of_day_cos": 0.75, "amount": 1.0}


def test_sine_and_cosine_are_one_line_with_what_both_weigh(explained):
    told = {
        "amount": "amount 812 USD, usually 40 to 95",
        "time_of_day_cos": "time of day 03:10",
        "time_of_day_sin": "time of day 03:10",
    }
    why = explained(PARTS, told)
    assert [(line["now"], line["amount"]) for line in why.reasons] == [
        ("Time of day 03:10", 1.25),
        ("Amount 812 USD", 1.0),
    ]


def test_the_waterfall_agrees_with_the_lines_also_where_one_of_both_is_told(explained):
    why = explained(PARTS, {"time_of_day_cos": "time of day 03:10"})
    assert [line["amount"] for line in why.reasons] == [1.25]
    bars = why.figure["data"][1]["y"]
    assert [label for label in bars if "ime of day" in label] == ["Time of day 03:10"]
    assert why.margin - why.base == pytest.approx(2.25)


def test_two_things_of_one_name_stay_apart(tmp_path, settings):
    settings.BUNDLE_DIR = tmp_path
    config = config_of("payments")
    config["event"]["schema"]["properties"]["hour"] = {"type": "number", "minimum": 0}
    config["features"]["labels"] = {}
    config["features"]["transformations"] = [
        {"type": "numeric", "config": {"fields": ["hour"]}},
        {"type": "cyclic_time", "config": {"periods": ["day"]}},
    ]
    spec = parse_spec(config)
    parts = np.array(
        [{"hour": 1.0, "hour_sin": 0.25, "hour_cos": 0.5}[f.name] for f in spec.features]
    )
    reasons = [
        {"feature": "hour", "contribution": 1.0, "text": "hour 7", "value": 7.0},
        {"feature": "hour_cos", "contribution": 0.75, "text": "at 03:10 local time", "value": 0.5},
    ]
    row = Prediction(score=0.4, contributions=parts.tobytes(), reasons=reasons)
    assert [line["amount"] for line in explain_prediction(row, spec).reasons] == [1.0, 0.75]


def test_a_bar_that_no_reason_told_says_what_the_event_had(tmp_path, settings):
    settings.BUNDLE_DIR = tmp_path
    spec = spec_of("payments")
    vector = np.zeros(len(spec.features))
    parts = np.zeros(len(spec.features))
    for place, feature in enumerate(spec.features):
        if feature.name in ("channel", "hour"):
            parts[place], vector[place] = 1.0, 2.0
    row = Prediction(
        score=0.4,
        contributions=parts.tobytes(),
        vector=vector.tobytes(),
        event={"channel": "transfer", "timestamp": "2026-11-23T02:05:00+02:00"},
        event_time=datetime(2026, 11, 23, 0, 5, tzinfo=UTC),
    )
    bars = explain_prediction(row, spec).figure["data"][1]["y"]
    assert bars[:2] == ["Channel transfer", "At 02:05 local time"]
    row.event["channel"], row.erased_at = None, row.event_time
    assert explain_prediction(row, spec).figure["data"][1]["y"][0] == "Channel"
