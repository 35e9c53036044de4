"""Recall corrected by the random audit: unbiased where the naive one is not."""

import numpy as np
import pytest

from models_registry.core.audit import correct
from models_registry.core.selection import AUDITED, NOT_SELECTED, SELECTED


def population(rng, *, n=20_000, rate=0.05, answers=1.0, other_model=False):
    """(truth, flagged, selection, propensity, labels) of events that a served model selected."""
    truth = (rng.random(n) < 0.02).astype(int)
    signal = rng.normal(size=n) + 1.6 * truth
    served = signal > 2.3
    drawn = ~served & (rng.random(n) < rate)
    selection = np.where(served, SELECTED, np.where(drawn, AUDITED, NOT_SELECTED))
    flagged = signal + 0.6 * rng.normal(size=n) > 2.2 if other_model else served
    seen = (selection != NOT_SELECTED) & (rng.random(n) < answers)
    return truth, flagged, selection, np.where(served, 1.0, rate), np.where(seen, truth, -1)


def small():
    """1,000 events: 20 selected (12 bad), 10 % of the other 980 audited (98, of them 2 bad)."""
    selection = np.repeat([SELECTED, AUDITED, NOT_SELECTED], [20, 98, 882])
    labels = np.full(1000, -1)
    labels[:118] = 0
    labels[:12] = labels[20:22] = 1
    propensity = np.where(selection == SELECTED, 1.0, 0.1)
    return labels, selection == SELECTED, selection, propensity


def test_each_audited_fraud_stands_for_those_that_nobody_saw():
    found = correct(*small(), minimum=50)
    assert found.naive_recall == pytest.approx(12 / 14)
    assert found.recall.value == pytest.approx(12 / (12 + 20), abs=1e-9)
    assert found.prevalence.value == pytest.approx(32 / 1000, abs=1e-9)
    assert found.precision.value == pytest.approx(12 / 20, abs=1e-9)
    assert (found.audited, found.audited_positives, found.drawn) == (98, 2, 98)
    assert found.effective_size == pytest.approx(1000**2 / (20 + 98 * 100), abs=1e-9)


def test_an_event_that_was_drawn_at_a_lower_rate_stands_for_more():
    """20 selected (12 bad); 40 of 400 audited (1 bad), and 290 of 580 (4 bad)."""
    selection = np.repeat([SELECTED, AUDITED, AUDITED, NOT_SELECTED], [20, 40, 290, 650])
    propensity = np.repeat([1.0, 0.1, 0.5, 0.1], [20, 40, 290, 650])
    labels = np.where(selection == NOT_SELECTED, -1, 0)
    labels[np.r_[0:12, 20, 60:64]] = 1
    found = correct(labels, selection == SELECTED, selection, propensity)
    assert found.recall.value == pytest.approx(12 / (12 + 10 + 8), abs=1e-9)
    assert found.prevalence.value == pytest.approx(30 / 1000, abs=1e-9)


def test_precision_is_certain_where_every_flagged_event_was_looked_at():
    found = correct(*small(), minimum=50)
    assert found.precision.low == pytest.approx(found.precision.value, abs=1e-9)
    assert found.precision.high == pytest.approx(found.precision.value, abs=1e-9)


def test_too_few_audits_say_nothing():
    found = correct(*small())
    assert found.recall is found.precision is found.prevalence is None
    assert found.audited == 98
    assert correct(*small(), minimum=99).recall is None
    assert correct(*small(), minimum=98).recall is not None


def test_an_audit_that_found_nothing_still_bounds_what_is_missed():
    labels, *others = small()
    labels = np.where(np.arange(1000) < 20, labels, np.minimum(labels, 0))
    found = correct(labels, *others, minimum=50)
    assert found.recall.value == found.recall.high == 1.0
    assert 0.1 < found.recall.low < 0.5


def test_unanswered_events_are_made_up_for_by_their_kind():
    labels, *others = small()
    labels[np.r_[0:6, 12:16, 20:21, 22:70]] = -1
    found = correct(labels, *others, minimum=10)
    assert found.answered == pytest.approx(59 / 118)
    assert found.recall.value == pytest.approx(12 / (12 + 20), abs=1e-9)


@pytest.mark.parametrize(
    "world",
    [{}, {"rate": 0.2}, {"other_model": True, "rate": 0.1}, {"answers": 0.8}],
    ids=["audit 5 %", "audit 20 %", "another model", "a fifth unanswered"],
)
def test_the_corrected_recall_holds_the_truth_as_often_as_promised(world):
    rng, rounds, held, corrected, naive, true = np.random.default_rng(2), 400, 0, [], [], []
    for _ in range(rounds):
        truth, flagged, selection, propensity, labels = population(rng, **world)
        found = correct(labels, flagged, selection, propensity)
        recall = (flagged & (truth == 1)).sum() / truth.sum()
        held += found.recall.low <= recall <= found.recall.high
        corrected.append(found.recall.value)
        naive.append(found.naive_recall)
        true.append(recall)
    # Three standard errors below 0.95.
    assert held / rounds >= 0.917
    assert np.mean(corrected) == pytest.approx(np.mean(true), abs=0.02)
    assert np.mean(naive) > np.mean(true) + 0.15
