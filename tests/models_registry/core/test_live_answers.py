"""Where people answer a part of what they were asked, equal challengers are still not better."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.ab_answers import (
    ALARMS,
    BETTER,
    MISSES,
    SHARES,
    WORSE,
    answered,
    verdict_of,
)
from benchmarks.ab_simulation import COSTS, rows_of
from models_registry.core import live
from models_registry.core.live import DAY, compare_live, coverage_of, representative
from models_registry.core.sequential import sequence_of_days

RUNS = 20
MOST = 3  # One in twenty is promised; more than three have a chance of 2 %.


def rows(world=ALARMS, seed=1, **shares):
    rng = np.random.default_rng(seed)
    return answered(
        rows_of(world, rng), rng, **({"flagged": 1.0, "good": 1.0, "bad": 1.0} | shares)
    )


def compare(found, **given):
    return compare_live(found, costs=COSTS, least_positives=5, resamples=2, **given)


@pytest.mark.parametrize("name", [name for name in SHARES if not name.startswith("all")])
def test_equal_challengers_keep_the_promise_whatever_is_answered(name):
    said = Counter(verdict_of(seed, ALARMS, **SHARES[name]) for seed in range(RUNS))
    assert said[live.BETTER] <= MOST, said
    assert said[live.WORSE] <= MOST, said


def test_a_better_challenger_is_found_though_half_the_alerts_are_answered():
    shares = SHARES["half of what was flagged"]
    assert Counter(verdict_of(seed, BETTER, **shares) for seed in range(5)) == {live.BETTER: 5}


def test_equal_challengers_are_not_called_worse_because_audits_are_few():
    shares = SHARES["all, of one audit in fifty"]
    said = Counter(verdict_of(seed, MISSES, **shares) for seed in range(RUNS))
    assert said[live.BETTER] + said[live.WORSE] <= MOST, said


def test_a_worse_challenger_is_found_by_audits():
    assert Counter(verdict_of(seed, WORSE, **SHARES["all"]) for seed in range(3)) == {live.WORSE: 3}


def test_audits_that_wait_are_asked_for():
    found = rows(good=0.5, bad=0.5)
    said = compare(found)
    assert said.verdict == live.NOT_ENOUGH
    drawn, told = found.audited, found.audited & (found.labels != live.UNKNOWN)
    assert f"Of {drawn.sum():,} events drawn at random" in said.reason
    assert f"{told.sum():,} are answered; 95% are needed" in said.reason


def test_weights_make_each_stratum_as_large_as_it_is():
    found = rows(flagged=0.4, good=0.96, bad=0.96)
    known, weights = representative(found, coverage_of(found))
    for selected in (False, True):
        for apart in (False, True):
            there, counted = (
                (some.selected == selected)
                & ((some.champion_decision != some.challenger_decision) == apart)
                for some in (found, known)
            )
            assert weights[counted].sum() == pytest.approx(there.sum())


def test_what_both_block_and_nobody_labels_makes_no_alert_count_for_more():
    found = rows()
    denied = np.arange(len(found)) % 10 == 0
    blocked = {
        name: np.where(denied, live.BLOCK, getattr(found, name)).astype(np.int8)
        for name in ("champion_decision", "challenger_decision")
    }
    labels = np.where(denied, live.UNKNOWN, found.labels).astype(np.int8)
    some = replace(
        found, **blocked, labels=labels, selected=found.selected | denied,
        audited=found.audited & ~denied,
    )  # fmt: skip
    known, weights = representative(some, coverage_of(some))
    apart = known.selected & (known.champion_decision != known.challenger_decision)
    assert weights[apart] == pytest.approx(1.0)


def test_nothing_is_said_where_nobody_labelled_what_they_decided_differently():
    found = rows()
    apart = found.selected & (found.champion_decision != found.challenger_decision)
    silent = replace(found, labels=np.where(apart, live.UNKNOWN, found.labels).astype(np.int8))
    said = compare(silent)
    assert said.verdict == live.NOT_ENOUGH
    assert f"flagged {apart.sum():,} events" in said.reason


def test_rows_without_a_label_may_be_counted_elsewhere():
    found = rows(flagged=0.7)
    coverage = coverage_of(found)
    labelled = found.only(found.labels != live.UNKNOWN)
    assert compare(labelled, coverage=coverage) == compare(found)
    assert coverage.unlabelled == len(found) - len(labelled)


def test_days_whose_rows_are_gone_stay_in_the_sequence():
    found = rows(MISSES)
    whole = compare(found)
    gone = 10
    kept = found.only(found.event_time >= gone * DAY)
    before = {day: totals for day, totals in whole.told.items() if day < gone}
    coverage = coverage_of(found)
    again = compare(kept, earlier=before)
    assert again.sequence.units == pytest.approx(whole.sequence.units, rel=0.01)
    assert again.sequence.high == pytest.approx(whole.sequence.high, rel=0.1)
    # Without them the first day slides, and with it the scale.
    assert compare(kept).sequence.units < 0.8 * whole.sequence.units
    assert sequence_of_days(whole.told) == whole.sequence
    assert sum(day.events for day in whole.told.values()) == pytest.approx(coverage.events)
