"""Calibration where decisions are made: one point for each risk band, with its interval."""

from dataclasses import replace

import numpy as np
import pytest

from scoring.core.types import RISK_LEVELS
from tests.models_registry.core.test_evaluation import BOUNDS, drawn, judge

LEVELS = [str(level) for level in RISK_LEVELS]


def rare(n=20_000, seed=2):
    """Events of which one in 300 is bad; nine tenths of them have hardly any risk."""
    given = drawn(n, entities=n // 10, seed=seed)
    given["risk"] = given["risk"] ** 3
    given["labels"] = (np.random.default_rng(seed).random(n) < given["risk"]).astype(int)
    return given


def bands_of(given, **more):
    return judge(given, **more)[1]["calibration_bands"]


def test_each_risk_band_is_a_point_with_its_interval():
    given, level_of = rare(), np.array([BOUNDS.level(risk) for risk in rare()["risk"]])
    found = bands_of(given)
    assert [point["level"] for point in found] == LEVELS
    for point in found:
        inside = level_of == point["level"]
        assert point["count"] == inside.sum()
        assert point["observed"] == pytest.approx(given["labels"][inside].mean())
        assert point["probability"] == pytest.approx(given["risk"][inside].mean())
        assert point["low"] < point["high"]
        assert point["low"] <= point["observed"] <= point["high"]


def test_where_few_are_bad_the_groups_of_equal_size_show_one_point_where_decisions_are_made():
    _, curves = judge(rare(), resamples=0)
    assert sum(point["probability"] > 0.01 for point in curves["calibration"]) == 1
    high = [point["level"] for point in curves["calibration_bands"] if point["probability"] > 0.3]
    assert high == LEVELS[1:]


def test_a_band_that_is_wrong_is_seen_to_be():
    given = rare()
    flagged = given["risk"] >= BOUNDS.review
    given["labels"] = np.where(flagged, 0, given["labels"])
    for point in bands_of(given)[1:]:
        assert point["observed"] == 0.0
        assert point["high"] < point["probability"]


def test_a_band_without_events_is_no_point_and_uncalibrated_there_is_none():
    given = rare() | {"risk": np.minimum(rare()["risk"], 0.4)}
    assert [point["level"] for point in bands_of(given, resamples=0)] == LEVELS[:2]
    assert "calibration_bands" not in judge(rare(), calibrated=False, resamples=0)[1]


def test_events_of_one_entity_tell_less_than_those_of_many():
    given = rare()
    own = np.arange(20_000)
    alone = bands_of(given | {"entities": own}, resamples=60)
    shared = bands_of(given | {"entities": np.where(given["risk"] > 0.8, 7, own)}, resamples=60)
    assert shared[3]["high"] - shared[3]["low"] > alone[3]["high"] - alone[3]["low"]


@pytest.mark.slow
def test_intervals_of_bands_hold_the_truth_about_as_often_as_they_say():
    told, held, rounds = dict.fromkeys(LEVELS, 0), dict.fromkeys(LEVELS, 0), 100
    for seed in range(rounds):
        for point in bands_of(rare(4000, seed=seed), resamples=200, seed=seed):
            told[point["level"]] += 1
            held[point["level"]] += point["low"] <= point["probability"] <= point["high"]
    # The upper bands hold three to five events each; three standard errors are 0.07 to 0.1.
    assert min(told.values()) > 20
    assert all(held[level] / told[level] >= 0.83 for level in LEVELS), (held, told)


def test_bounds_that_meet_leave_no_band_between():
    meeting = replace(BOUNDS, high=0.3, critical=0.3, block=0.3)
    levels = [point["level"] for point in bands_of(rare(), bounds=meeting, resamples=0)]
    assert levels == ["LOW", "CRITICAL"]
