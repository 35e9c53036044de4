"""Bounds that break where a champion got worse, and not where chance moved."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta, fisher_exact

from models_registry.core.guard import Sample, breaches, surely_above, surely_more
from scoring.core.guard_spec import GuardSpec

SPEC = GuardSpec()


def sample(
    seed=0, *, events=2000, latency=4000.0, degraded=0.0, alerts=0.02, precision=0.6, recall=0.8
):
    rng = np.random.default_rng(seed)
    latencies = rng.gamma(4.0, latency / 4.0, events)
    is_degraded = rng.random(events) < degraded
    return Sample(
        latency_us=latencies,
        degraded=is_degraded,
        alerted=(alerted := rng.random(events) < alerts),
        over_time=alerted,
        precise=rng.random(300) < precision,
        caught=rng.random(300) < recall,
        costs=rng.exponential(2.0, 1000),
    )


def guards(before, after, spec=SPEC):
    return [breach.guard for breach in breaches(before, after, spec)]


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({"latency": 12_000.0}, ["latency"]),
        ({"degraded": 0.12}, ["degraded"]),
        ({"alerts": 0.15}, ["alert_rate"]),
        ({"alerts": 0.0, "events": 5000}, ["fewer_alerts"]),
        ({"precision": 0.2}, ["precision"]),
        ({"recall": 0.4}, ["recall"]),
    ],
)
def test_what_got_worse_is_named(changed, broken):
    assert guards(sample(), sample(1, **changed)) == broken


def test_costs_that_double_break_the_guard():
    after = replace(sample(1), costs=2.5 * sample(1).costs)
    assert guards(sample(), after) == ["cost"]


def test_the_text_says_both_levels():
    text = breaches(sample(), sample(1, alerts=0.15), SPEC)[0].text
    assert "flags 1" in text
    assert "former champion flagged" in text


def test_an_equal_champion_is_left_alone_at_every_look():
    broken = [guards(sample(2 * i), sample(2 * i + 1)) for i in range(300)]
    assert [found for found in broken if found] == []


def test_a_margin_is_no_breach():
    before = sample()
    assert guards(before, sample(1, latency=5500.0, alerts=0.04, precision=0.55)) == []


def test_a_handful_of_events_breaks_nothing():
    assert guards(sample(), sample(1, events=100, degraded=1.0, latency=1e6)) == []


def steady(ms):
    return replace(sample(), latency_us=np.full(2000, 1000.0 * ms))


@pytest.mark.parametrize(
    ("was", "now", "broken"),
    [(1.0, 6.0, []), (1.0, 6.004, ["latency"]), (40.0, 79.0, []), (40.0, 81.0, ["latency"])],
)
def test_latency_may_double_and_of_a_fast_one_rise_by_five_milliseconds(was, now, broken):
    assert guards(steady(was), steady(now)) == broken


def test_of_a_former_champion_that_hardly_served_only_degraded_answers_are_measured():
    worse = {"alerts": 0.5, "latency": 90_000.0, "degraded": 0.12, "precision": 0.1}
    assert guards(sample(events=SPEC.events - 1, degraded=1.0), sample(1, **worse)) == ["degraded"]
    assert set(guards(sample(events=SPEC.events), sample(1, **worse))) >= {"latency", "alert_rate"}


def test_degraded_answers_are_held_against_the_former_champion_s_share():
    assert guards(sample(degraded=0.3), sample(1, degraded=0.3)) == []
    assert guards(sample(degraded=0.3), sample(1, degraded=0.45)) == ["degraded"]


@pytest.mark.parametrize(("labelled", "broken"), [(49, []), (50, ["precision", "cost"])])
def test_labels_speak_from_fifty_on(labelled, broken):
    wrong = np.zeros(labelled, bool)
    after = replace(sample(1), precise=wrong, costs=np.full(labelled, 20.0))
    assert guards(sample(), after) == broken
    few = replace(sample(), precise=~wrong, costs=np.full(labelled, 2.0))
    assert guards(few, replace(after, precise=np.zeros(300, bool))) == broken


def test_few_labelled_events_of_the_former_champion_may_have_been_lucky():
    """Of 60 events none was missed, of 5,000 one in a hundred: equal champions differ like that."""
    before = replace(sample(), costs=np.zeros(60), precise=np.arange(50) < 5)
    missed = np.where(np.arange(5000) % 100 == 0, 80.0, 0.0)
    after = replace(sample(1), costs=missed, precise=np.arange(2000) < 60)
    assert guards(before, after) == []
    many = replace(sample(), costs=np.zeros(5000), precise=np.arange(2000) < 200)
    assert guards(many, after) == ["precision", "cost"]


@pytest.mark.parametrize(("known", "broken"), [(19, []), (20, ["recall"])])
def test_missed_fraud_is_judged_from_twenty_known_ones_on(known, broken):
    missed = np.zeros(known, bool)
    assert guards(sample(), replace(sample(1), caught=missed)) == broken
    few, many = (
        replace(sample(), caught=exactly(0.95, known)),
        replace(sample(1), caught=np.zeros(300, bool)),
    )
    assert guards(few, many) == broken


def test_a_former_champion_that_may_have_been_lucky_holds_nobody_to_it():
    """4 alerts in 500 events, and 12 of 20 frauds, may be fewer in truth."""
    seen = np.arange(500) < 4
    before = replace(sample(), alerted=seen, over_time=seen, caught=np.arange(20) < 12)
    after = replace(sample(1), alerted=exactly(0.0006, 20_000), caught=exactly(0.25, 300))
    assert guards(before, after) == []
    seen = exactly(0.008, 5000)
    sure = replace(before, alerted=seen, over_time=seen, caught=exactly(0.6, 300))
    assert guards(sure, after) == ["fewer_alerts", "recall"]


def test_the_end_of_an_attack_is_not_the_new_champions_fault():
    """Eight in a hundred were flagged in the hours before, one in all the weeks before."""
    usual = exactly(0.01, 5000)
    before = replace(sample(), alerted=exactly(0.08, 5000), over_time=usual)
    after = replace(sample(1), alerted=exactly(0.01, 5000))
    assert guards(before, after) == []
    assert guards(replace(before, over_time=usual[:0]), after) == []
    assert guards(before, replace(after, alerted=exactly(0.0, 5000))) == ["fewer_alerts"]


def test_where_labels_came_for_alerts_alone_missed_fraud_is_no_breach():
    """What is known of the new one may have begun to come back since."""
    before, after = (replace(sample(), caught=exactly(share, 60)) for share in (1.0, 0.5))
    assert guards(before, after) == []
    assert guards(replace(before, caught=exactly(0.99, 600)), after) == ["recall"]


def test_equal_champions_are_left_alone_however_few_labels_the_former_one_has():
    rng = np.random.default_rng(3)
    for _ in range(300):
        few, many = (
            replace(
                sample(),
                costs=np.where(rng.random(events) < 0.01, rng.lognormal(4.0, 1.0, events), 0.0),
                precise=rng.random(alerts) < 0.02,
            )
            for events, alerts in ((60, 50), (5000, 2000))
        )
        assert guards(few, many) == []


@pytest.mark.parametrize(("was", "of"), [(5, 50), (0, 30), (30, 30), (12, 80)])
def test_the_former_champion_s_luck_is_judged_exactly(was, of):
    before, after = np.arange(of) < was, np.arange(300) < 18
    table = [[was, of - was], [18, 282]]
    p = float(fisher_exact(table, alternative="greater").pvalue)
    assert surely_more(before, after, 1.001 * p)
    assert not surely_more(before, after, 0.999 * p)


def test_a_level_without_events_is_told_as_unknown():
    nothing = Sample(*(np.array([], kind) for kind in (float, bool, bool, bool, bool, float)))
    told = nothing.levels()
    assert {told[name] for name in ("p99_ms", "degraded", "precision", "recall", "cost")} == {None}
    assert (told["events"], told["labelled"], told["known_fraud"]) == (0, 0, 0)


def exactly(share, n):
    return np.arange(n) < round(share * n)


@pytest.mark.parametrize(
    ("column", "n", "was", "now", "broken"),
    [
        # Three times as many alerts and one event in a hundred more, or half of what was let by.
        ("alerted", 20_000, 0.0, 0.0099, False),
        ("alerted", 20_000, 0.0, 0.014, True),
        ("alerted", 20_000, 0.02, 0.0699, False),
        ("alerted", 20_000, 0.02, 0.078, True),
        ("alerted", 20_000, 0.6, 0.7999, False),
        ("alerted", 20_000, 0.6, 0.82, True),
        # A fifth of the alerts.
        ("alerted", 20_000, 0.02, 0.00401, False),
        ("alerted", 20_000, 0.02, 0.0023, True),
        # Five degraded answers in a hundred more.
        ("degraded", 20_000, 0.1, 0.1499, False),
        ("degraded", 20_000, 0.1, 0.163, True),
        # Twenty points less of right alerts, or half of them.
        ("precise", 2000, 0.6, 0.401, False),
        ("precise", 2000, 0.6, 0.35, True),
        ("precise", 2000, 0.2, 0.101, False),
        ("precise", 2000, 0.2, 0.065, True),
        # Of the fraud that is known alike.
        ("caught", 2000, 0.8, 0.601, False),
        ("caught", 2000, 0.8, 0.55, True),
        ("caught", 2000, 0.2, 0.101, False),
        ("caught", 2000, 0.2, 0.065, True),
    ],
)
def test_each_share_may_move_as_far_as_declared(column, n, was, now, broken):
    before, after = (
        replace(sample(events=20_000), **{column: exactly(share, n)}) for share in (was, now)
    )
    before = replace(before, over_time=before.alerted)
    named = {
        "alerted": "fewer_alerts" if now < was else "alert_rate",
        "degraded": "degraded", "precise": "precision", "caught": "recall",
    }[column]  # fmt: skip
    assert guards(before, after) == ([named] if broken else [])


@pytest.mark.parametrize(
    ("before", "after", "broken"),
    [
        ([2.0] * 400, [3.0] * 400, False),
        ([2.0] * 400, [3.01] * 400, True),
        # Beyond that, 3.72 standard errors: of the former costs, half as much again, and the new.
        ([0.0, 4.0] * 200, [3.55] * 400, False),
        ([0.0, 4.0] * 200, [3.57] * 400, True),
        ([2.0] * 400, [1.73, 5.73] * 50, False),
        ([2.0] * 400, [1.76, 5.76] * 50, True),
    ],
)
def test_costs_may_rise_by_half_and_by_what_chance_does(before, after, broken):
    sides = (replace(sample(), costs=np.array(costs)) for costs in (before, after))
    assert guards(*sides) == (["cost"] if broken else [])


def test_as_many_events_as_declared_are_judged():
    assert guards(sample(), sample(1, events=SPEC.events, degraded=1.0)) == ["degraded"]
    assert guards(sample(), sample(1, events=SPEC.events - 1, degraded=1.0)) == []


def test_nothing_lies_above_all_and_anything_above_nothing():
    assert not surely_above(0, 0, 0.0)
    assert not surely_above(0, 10, 0.0)
    assert surely_above(1, 10, 0.0)
    assert not surely_above(10, 10, 1.0)


@pytest.mark.parametrize(("hits", "of"), [(1, 10), (30, 1000), (5, 5), (700, 5000)])
def test_the_bound_is_the_exact_one(hits, of):
    low = float(beta.ppf(1e-4, hits, of - hits + 1))
    assert surely_above(hits, of, 0.999 * low)
    assert not surely_above(hits, of, 1.001 * low)


def test_small_shares_are_not_told_as_nothing():
    spec = replace(SPEC, degraded=0.003)
    text = breaches(sample(), sample(1, events=20_000, degraded=0.009), spec)[0].text
    assert "0.30 % more are tolerated" in text
    assert text.startswith("0.9")
