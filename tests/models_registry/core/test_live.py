"""The verdict on live traffic: what counts, what it says, and what it refuses to say."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.ab_simulation import COSTS, World, rows_of, run
from models_registry.core import live
from models_registry.core.live import compare_live, coverage_of, decided_costs, representative

EQUAL = World("equal", 1.0, days=30, events_a_day=600, entities=800, fraud=0.02)
BETTER = replace(EQUAL, challenger_noise=0.2, champion_noise=1.5)


def rows(world=BETTER, seed=1):
    return rows_of(world, np.random.default_rng(seed))


def compare(found, **given):
    return compare_live(found, costs=COSTS, **({"least_positives": 20, "resamples": 50} | given))


def test_a_better_challenger_is_called_better_and_the_reason_says_why():
    found = compare(rows())
    assert found.verdict == live.BETTER
    assert "cost less" in found.reason
    assert found.sequence.low > 0.0 > found.cost.high
    assert found.mcnemar.candidate_only > found.mcnemar.champion_only
    assert found.mcnemar.p < 0.01


def test_who_was_right_where_one_alone_was_is_counted():
    found = rows()
    bad = found.labels == 1
    theirs = (found.champion_decision != live.APPROVE) == bad
    ours = (found.challenger_decision != live.APPROVE) == bad
    told = compare(found).mcnemar
    assert told.champion_only == (theirs & ~ours).sum() > 0
    assert told.candidate_only == (ours & ~theirs).sum() > 0


def test_with_the_roles_exchanged_it_is_worse():
    found = rows()
    swapped = replace(
        found,
        champion_risk=found.challenger_risk,
        challenger_risk=found.champion_risk,
        champion_decision=found.challenger_decision,
        challenger_decision=found.champion_decision,
    )
    assert compare(swapped).verdict == live.WORSE


def test_equal_challengers_are_seldom_called_better_under_daily_looks():
    promoted = sum(run(EQUAL, seed).promoted is not None for seed in range(40))
    assert promoted <= 4  # 2 are promised on average; more than 4 of 40 has a chance of 5 %


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found.only(np.arange(len(found)) < 300), "500 are needed"),
        (lambda found: found.only(found.labels == 0), "both scored: 0; 5 are needed"),
        (lambda found: found.only(found.event_time < 2 * live.DAY), "of 2 days; 3 are needed"),
    ],
    ids=["few rows", "no fraud", "two days"],
)
def test_too_little_is_said_to_be_too_little(change, said):
    found = compare(change(rows()), least_positives=5)
    assert found.verdict == live.NOT_ENOUGH
    assert said in found.reason
    assert found.sequence is None


def test_an_event_without_a_label_is_not_legitimate():
    found = rows(replace(BETTER, events_a_day=3000))
    # Nobody labels what the champion approved, unless it comes back as fraud.
    biased = np.where(found.selected | (found.labels == 1), found.labels, live.UNKNOWN)
    said = compare(replace(found, labels=biased.astype(np.int8)))
    assert said.verdict == live.NOT_ENOUGH
    assert "audit" in said.reason
    assert said.unlabelled == int((biased == live.UNKNOWN).sum())


def test_random_audits_stand_for_what_they_were_drawn_from():
    found = rows(replace(BETTER, events_a_day=2000))
    rng = np.random.default_rng(2)
    audited = ~found.selected & (rng.random(len(found)) < 0.1)
    labels = np.where(found.selected | audited, found.labels, live.UNKNOWN).astype(np.int8)
    partly = replace(
        found,
        labels=labels,
        audited=audited,
        propensity=np.where(found.selected, 1.0, 0.1),
    )
    coverage = coverage_of(partly)
    _, weights = representative(partly, coverage)
    assert coverage.kind == live.AUDITED
    assert weights.sum() == pytest.approx(len(found))
    said, whole = compare(partly), compare(found)
    assert (said.cards, said.ceiling, said.mcnemar) == (None, None, None)
    assert max(whole.cards.champion, whole.cards.candidate) <= whole.ceiling < 1.0
    assert said.cost.difference == pytest.approx(whole.cost.difference, rel=0.6)
    assert said.cost.difference < 0.0


def test_the_cost_of_a_decision_is_what_the_declaration_says():
    labels = np.array([1, 1, 1, 0, 0, 0])
    decided = np.array([0, 1, 2, 0, 1, 2], np.int8)
    spent = decided_costs(labels, decided, np.full(6, 100.0), COSTS)
    assert spent.tolist() == [100.0, 5.0, 0.0, 0.0, 5.0, 20.0]


def test_without_amounts_a_missed_event_costs_the_reviews_that_the_capacity_allows():
    spent = decided_costs(np.array([1, 0]), np.zeros(2, np.int8), np.full(2, np.nan), COSTS)
    assert spent.tolist() == [500.0, 0.0]


def test_a_challenger_that_decides_alike_is_undecided():
    found = rows()
    same = replace(
        found,
        challenger_risk=found.champion_risk,
        challenger_decision=found.champion_decision,
    )
    said = compare(same)
    assert (said.verdict, said.reason) == (
        live.UNDECIDED, "Both decided every labelled event alike.",
    )  # fmt: skip


def test_cheaper_but_finding_fewer_cards_is_not_better():
    found = rows()
    # It decides well and ranks at random.
    shuffled = np.random.default_rng(0).permutation(found.challenger_risk)
    said = compare(replace(found, challenger_risk=shuffled), k=10)
    assert said.verdict == live.UNDECIDED
    assert "fewer bad entities" in said.reason
