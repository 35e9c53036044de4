"""A metric that has nothing to divide by has no value, in new evaluations and in kept ones."""

from dataclasses import replace

import numpy as np
import pytest

from models_registry.core.evaluation import evaluate
from models_registry.core.judgement import ratios
from models_registry.core.kept_metrics import OF_LEGITIMATE, OF_POSITIVES, as_told
from models_registry.core.metrics import at_threshold
from models_registry.core.threshold_curve import Curve, threshold_curve
from tests.models_registry.core.test_evaluation import BOUNDS, TIGHT, drawn, judge

NOTHING_BAD = drawn() | {"labels": np.zeros(4000, int)}
NOTHING_GOOD = drawn() | {"labels": np.ones(4000, int)}
NOTHING_FLAGGED = replace(BOUNDS, review=1.0, block=1.0, medium=1.0, high=1.0, critical=1.0)


def test_without_positives_nothing_can_be_told_of_finding_them():
    found, _ = judge(NOTHING_BAD, resamples=50)
    for name in (*OF_POSITIVES, "entity_precision_at_100"):
        assert np.isnan(found[name]), name
        assert np.isnan(found["intervals"][name]).all(), name
    assert found["alert_rate"] > 0.0


def test_without_legitimate_events_nothing_can_be_told_of_false_alarms():
    found, _ = judge(NOTHING_GOOD, resamples=50)
    for name in (*OF_LEGITIMATE, "entity_precision_at_100"):
        assert np.isnan(found[name]), name
        assert np.isnan(found["intervals"][name]).all(), name
    assert "ceilings" not in found
    assert found["recall"] > 0.0


def test_with_nothing_flagged_there_is_neither_precision_nor_f1():
    found, _ = judge(drawn(), bounds=NOTHING_FLAGGED, resamples=50)
    assert np.isnan([found["precision"], found["f1"]]).all()
    assert np.isnan(found["intervals"]["f1"]).all()
    assert found["recall"] == 0.0


def test_alerts_that_are_all_wrong_have_a_precision_and_an_f1_of_0():
    given = drawn()
    given["risk"] = np.where(given["labels"] == 1, 0.0, 0.9)
    found, _ = judge(given, resamples=0)
    assert (found["precision"], found["recall"], found["f1"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("labels", "review"),
    [(np.zeros(4, int), 0.5), (np.array([1, 0, 0, 0]), 2.0), (np.ones(4, int), 0.5)],
)
def test_counts_and_curves_say_the_same_as_the_evaluation(labels, review):
    risk = np.array([0.9, 0.8, 0.2, 0.1])
    found = at_threshold(labels, risk, review)
    stored = threshold_curve(labels, risk, None, days=1.0, costs=TIGHT)
    assert np.isnan([found.precision, found.f1]).all()
    assert Curve(stored, TIGHT).at(review, 2.0).precision is None
    sums = {
        "rows": 4.0,
        "positives": float(labels.sum()),
        "flagged": float((risk >= review).sum()),
        "hits": float(((risk >= review) & (labels == 1)).sum()),
    }
    told = ratios({name: np.array(value) for name, value in sums.items()}, TIGHT)
    assert np.isnan([told["precision"], told["f1"]]).all()


def test_an_evaluation_of_before_is_read_as_one_of_today():
    kept = {
        "positives": 0, "rows": 9, "precision": 0.0, "recall": None, "f1": 0.0, "alert_rate": 0.1,
        "entity_precision_at_100": 0.0, "intervals": {"f1": [0.0, 0.0], "alert_rate": [0.0, 0.2]},
    }  # fmt: skip
    told = as_told(kept)
    assert [told[name] for name in OF_POSITIVES] == [None] * len(OF_POSITIVES)
    assert told["entity_precision_at_100"] is None
    assert told["intervals"] == {"alert_rate": [0.0, 0.2]}
    assert (told["alert_rate"], told["rows"], kept["f1"]) == (0.1, 9, 0.0)


def test_an_evaluation_of_before_without_legitimate_events_is_read_as_one_of_today():
    perfect = dict.fromkeys(OF_LEGITIMATE, 1.0) | {"entity_precision_at_2": 1.0, "recall": 0.4}
    kept = {"positives": 9, "rows": 9, "intervals": {"precision": [0.7, 1.0]}} | perfect
    told = as_told(kept)
    assert [told[name] for name in (*OF_LEGITIMATE, "entity_precision_at_2")] == [None] * 5
    assert (told["intervals"], told["recall"]) == ({}, 0.4)
    assert as_told(kept | {"rows": 10})["precision"] == 1.0
    means = as_told({"folds": [kept], "mean": {"precision": 1.0}})["mean"]
    assert means == {"precision": None}


def test_an_f1_of_before_without_a_precision_is_none():
    kept = {"positives": 3, "precision": None, "recall": 0.0, "f1": 0.0}
    assert as_told(kept)["f1"] is None
    whole = {"positives": 3, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert as_told(whole) == whole


def test_folds_of_before_are_read_one_by_one():
    fold = {"positives": 3, "precision": None, "recall": 0.0, "f1": 0.0}
    folds = [fold, fold | {"precision": 0.5, "f1": 0.4}]
    told = as_told({"folds": folds, "mean": {"f1": 0.2, "brier": 0.1}, "std": {"f1": 0.2}})
    assert [one["f1"] for one in told["folds"]] == [None, 0.4]
    assert (told["mean"], told["std"]) == ({"f1": 0.4, "brier": 0.1}, {"f1": 0.0})
    assert as_told({"folds": [fold], "mean": {"f1": 0.0}})["mean"] == {"f1": None}


def test_an_evaluation_of_today_is_told_as_it_is():
    found, _ = evaluate(**drawn(), calibrated=True, thresholds=BOUNDS, costs=TIGHT, resamples=20)
    assert as_told(found) == found
