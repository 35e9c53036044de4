"""Worse champions that the guard has to catch, by the simulation that docs/evidence publishes."""

from dataclasses import replace

import pytest

from benchmarks.guard_power import FIRST, SEEN, Known, cell
from models_registry import guarding

FULL = Known(alerts=200, frauds=50, labelled=SEEN)


def caught(runs=20, former=FULL, known=FULL, **worse):
    new = replace(FIRST, **worse)
    return cell(new, was=FIRST, former=former, known=known, runs=runs).caught


def test_the_simulated_guard_reads_as_much_as_the_real_one():
    assert guarding.MOST_EVENTS == SEEN


def test_right_alerts_that_fall_from_60_to_20_percent_are_caught_with_200_labelled_alerts():
    assert caught(40, precision=0.2) >= 38


def test_a_champion_that_finds_a_quarter_as_much_fraud_is_caught_with_50_known_ones():
    assert caught(40, recall=0.2) >= 38


@pytest.mark.parametrize(
    "worse", [{"latency": 3.0}, {"degraded": 0.15}, {"flagged": 0.12}, {"flagged": 0.0}]
)
def test_what_needs_no_label_is_always_caught(worse):
    assert caught(**worse) == 20


def test_equal_champions_are_left_alone_with_few_and_with_many_labels():
    few = Known(events=500, alerts=50, frauds=20, labelled=100)
    assert caught() + caught(former=few) == 0


def test_the_more_of_the_former_ones_alerts_are_labelled_the_more_is_caught():
    few, many = (Known(alerts=alerts) for alerts in (50, 500))
    assert caught(former=few, known=few, precision=0.3) < caught(
        former=many, known=many, precision=0.3
    )
