"""Each level judged by itself, with counts, and silence where too few tell."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score

from models_registry.core.subgroups import level_names, subgroup_metrics
from scoring.core.encoder import Encoder

NAMES = ("amount", "country")


def judged(labels, risk, levels, known):
    vectors = np.column_stack([np.zeros(len(levels)), levels])
    return subgroup_metrics(
        vectors, labels, risk, review=0.5, names=NAMES, levels={"country": known}
    )


def test_each_level_has_its_counts_and_metrics():
    levels = np.repeat([1.0, 2.0], [100, 60])
    labels = np.zeros(160, int)
    labels[:20] = 1
    risk = np.where(labels == 1, 0.9, 0.1)
    groups = judged(labels, risk, levels, {1.0: "de", 2.0: "fr"})[0]["groups"]
    assert [(g["level"], g["rows"], g["positives"]) for g in groups] == [
        ("de", 100, 20),
        ("fr", 60, 0),
    ]
    assert (groups[0]["recall"], groups[0]["precision"]) == (1.0, 1.0)
    assert groups[0]["alert_rate"] == pytest.approx(0.2)
    assert (groups[1]["recall"], groups[1]["average_precision"]) == (None, None)


def test_every_level_of_fifty_events_is_told_with_the_numbers_of_scikit_learn():
    rng = np.random.default_rng(3)
    levels = np.repeat(np.arange(16.0), np.arange(50, 130, 5))
    labels = (rng.random(levels.size) < 0.3).astype(int)
    risk = np.clip(0.3 * labels + rng.random(levels.size), 0.0, 1.0)
    groups = judged(labels, risk, levels, {float(i): f"c{i}" for i in range(16)})[0]["groups"]
    assert [group["level"] for group in groups] == [f"c{i}" for i in reversed(range(16))]
    for group in groups:
        inside = levels == float(group["level"][1:])
        truth, flagged = labels[inside], risk[inside] >= 0.5
        assert group["precision"] == pytest.approx(precision_score(truth, flagged))
        assert group["recall"] == pytest.approx(recall_score(truth, flagged))
        expected = average_precision_score(truth, risk[inside])
        assert group["average_precision"] == pytest.approx(expected)


def test_levels_without_a_name_and_missing_ones_are_one_group():
    levels = np.repeat([1.0, 7.0, 8.0, np.nan], [60, 30, 20, 10])
    labels = np.repeat([0, 1], [60, 60])
    groups = judged(labels, np.zeros(120), levels, {1.0: "de"})[0]["groups"]
    told = {(g["level"], g["rows"], g["positives"], g["recall"]) for g in groups}
    assert told == {("de", 60, 0, None), ("all others", 60, 60, 0.0)}


def test_a_level_without_legitimate_events_tells_its_recall_alone():
    risk = np.repeat([0.9, 0.1], 30)
    group = judged(np.ones(60, int), risk, np.ones(60), {1.0: "de"})[0]["groups"][0]
    assert (group["precision"], group["average_precision"]) == (None, None)
    assert group["recall"] == 0.5


def test_small_levels_are_left_out():
    labels = np.zeros(49, int)
    assert judged(labels, np.zeros(49), np.ones(49), {1.0: "de"}) == []


def test_levels_are_named_by_the_encoder():
    encoder = Encoder([
        {"name": "amount", "source": 0, "op": "number", "fill": 0.0},
        {"name": "country=de", "source": 1, "op": "level", "code": 7.0},
    ])  # fmt: skip
    assert level_names(encoder, NAMES) == {"country": {7.0: "de"}}


def test_levels_that_share_one_column_are_named_as_well():
    column = {"name": "country risk", "source": 1, "op": "target", "codes": [7.0, 9.0]}
    encoder = Encoder([column | {"rates": [0.1, 0.2], "prior": 0.1, "named": [[7.0, "de"]]}])
    assert level_names(encoder, NAMES) == {"country": {7.0: "de"}}
