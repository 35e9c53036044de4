"""Known fraud of an entity: only labels known at the time, late events, labels in any order."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.core.features import FeaturePlan, identity_of, known_span
from scoring.core.spec import parse_spec
from scoring.core.types import Event
from scoring.core.vectors import build, build_many, teach, teach_label
from scoring.core.windows import SHORT
from tests.factories import config_of, empty_windows

HOUR = 3600.0
DELAY, WINDOWS = 2 * HOUR, (1 * HOUR, 5 * HOUR)


def plan_of(**changed):
    config = config_of("cards")
    step = {
        "entity_key": "TERMINAL_ID",
        "windows": ["1h", "5h"],
        "delay": "2h",
        "figures": ["count", "risk", "newest_risk", "seconds_since_first_risk"],
    } | changed
    config["features"]["labels"] = {}
    config["features"]["transformations"] = [{"type": "label_risk", "config": step}]
    return FeaturePlan(parse_spec(config))


PLAN = plan_of()


def event(i, time, terminal, span=None):
    return Event(
        external_id=f"e{i}", time=time, received=0.0, utc_offset=0.0, amount=None, currency="",
        fields={}, keys={"TERMINAL_ID": terminal}, known_fraud=span,
    )  # fmt: skip


def span_of(label):
    """(when known, is fraud, when cleared) -> what the windows are told."""
    if label is None:
        return None
    known, cleared = label
    labels = [(known, True)] + ([(cleared, False)] if cleared is not None else [])
    return known_span(labels)


def oracle(now, past):
    """All figures of each window, by hand; `past` are (event, span) in time order."""
    found = []
    for length in WINDOWS:
        inside = [
            (other.time, span)
            for other, span in past
            if other.keys == now.keys and now.time - DELAY - length < other.time <= now.time - DELAY
        ]
        known = [s is not None and s[0] <= now.time < s[1] for _, s in inside]
        found += [len(inside), sum(known) / len(inside) if inside else 0.0]
        found += [float(known[-1]) if inside else 0.0]
        found += [now.time - inside[known.index(True)][0] if any(known) else DELAY + length]
    return found


labels = st.none() | st.tuples(
    st.integers(0, 30).map(lambda n: n * 1800.0),
    st.none() | st.integers(0, 30).map(lambda n: n * 1800.0 + 900.0),
)
steps = st.lists(
    st.tuples(st.integers(0, 6).map(lambda n: n * 900.0), st.sampled_from("ab"), labels),
    min_size=1,
    max_size=30,
)


def history(drawn):
    times = np.cumsum([gap for gap, _, _ in drawn]).tolist()
    return [
        (event(i, time, terminal), span_of(label))
        for i, (time, (_, terminal, label)) in enumerate(zip(times, drawn, strict=True))
    ]


@given(steps)
@settings(max_examples=80, deadline=None)
def test_labels_taught_when_they_are_known_give_what_counting_by_hand_gives(drawn):
    past, online = [], []
    rows = history(drawn)
    windows = empty_windows(PLAN, [e for e, _ in rows])
    expected = [oracle(e, rows[:i]) for i, (e, _) in enumerate(rows)]
    for now, span in rows:
        for other, truth in past:
            # Taught again and again, as labels come in any order and more than once.
            if truth is not None and truth[0] <= now.time:
                teach_label(PLAN, PLAN.keys(other), other.external_id, truth, windows)
        online.append(build(PLAN, now, windows).tolist())
        teach(PLAN, now, windows)
        past.append((now, span))
    assert online == pytest.approx(np.array(expected), abs=1e-12)


@given(steps, st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_read_again_in_columns_they_give_the_same(drawn, size):
    rows = history(drawn)
    events = [event(i, e.time, e.keys["TERMINAL_ID"], span) for i, (e, span) in enumerate(rows)]
    windows = empty_windows(PLAN, events)
    parts = [build_many(PLAN, events[i : i + size], windows) for i in range(0, len(events), size)]
    expected = [oracle(e, rows[:i]) for i, (e, _) in enumerate(rows)]
    assert np.concatenate(parts).tolist() == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize("n", [SHORT - 20, SHORT + 20, 3 * SHORT])
def test_a_busy_entity_gets_what_counting_by_hand_gives(n):
    rng = np.random.default_rng(n)
    times = np.cumsum(rng.uniform(1.0, 2 * 8 * HOUR / n, n)).tolist()
    spans = [(time + rng.uniform(0, 6 * HOUR), math.inf) if rng.random() < 0.1 else None
             for time in times]  # fmt: skip
    events = [
        event(i, time, "a", span) for i, (time, span) in enumerate(zip(times, spans, strict=True))
    ]
    windows = empty_windows(PLAN, events)
    build_many(PLAN, events[:-1], windows)
    expected = oracle(events[-1], list(zip(events[:-1], spans[:-1], strict=True)))
    assert len(windows["TERMINAL_ID", "a"]) > 0.5 * n
    assert build(PLAN, events[-1], windows).tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [4, SHORT + 20])
def test_a_label_counts_from_the_moment_it_is_known_until_the_moment_it_is_cleared(n):
    now = event(n, DELAY + 10.0 * n, "a")
    spans = [(0.0, now.time), (now.time, math.inf), *[None] * (n - 3), (0.0, math.inf)]
    events = [event(i, 10.0 * (i + 1), "a", spans[i]) for i in range(n)]
    windows = empty_windows(PLAN, events)
    for one in events:
        teach(PLAN, one, windows)
    first = now.time - events[1].time
    assert len(windows["TERMINAL_ID", "a"]) == n
    assert build(PLAN, now, windows).tolist() == [n, 2 / n, 1.0, first] * 2


def test_a_late_event_does_not_see_a_label_that_was_not_known_at_its_time():
    first, late, on_time = event(1, 0.0, "a"), event(2, 2.5 * HOUR, "a"), event(3, 2.9 * HOUR, "a")
    windows = empty_windows(PLAN, [first])
    teach(PLAN, first, windows)
    span = (2.7 * HOUR, math.inf)
    teach_label(PLAN, PLAN.keys(first), "e1", span, windows)
    nothing_known = [1.0, 0.0, 0.0, 3 * HOUR, 1.0, 0.0, 0.0, 7 * HOUR]
    assert build(PLAN, late, windows).tolist() == nothing_known
    assert build(PLAN, on_time, windows).tolist() == [1.0, 1.0, 1.0, 2.9 * HOUR] * 2


def test_a_label_of_an_event_that_is_forgotten_changes_nothing():
    old, new = event(1, 0.0, "a"), event(2, 90 * HOUR, "a")
    windows = empty_windows(PLAN, [old])
    for each in (old, new):
        teach(PLAN, each, windows)
    before = dict(windows)
    teach_label(PLAN, PLAN.keys(old), "e1", (1.0, math.inf), windows)
    assert windows == before


@pytest.mark.parametrize(
    ("labels", "span"),
    [
        ([], (math.nan, math.nan)),
        ([(1.0, False)], (math.nan, math.nan)),
        ([(1.0, True)], (1.0, math.inf)),
        ([(1.0, True), (2.0, True)], (1.0, math.inf)),
        ([(1.0, True), (2.0, False)], (1.0, 2.0)),
        ([(1.0, True), (2.0, False), (3.0, True)], (3.0, math.inf)),
        ([(1.0, False), (2.0, True)], (2.0, math.inf)),
    ],
)
def test_the_newest_label_counts_from_its_time_on(labels, span):
    assert known_span(labels) == pytest.approx(span, nan_ok=True)


def test_an_identity_is_a_whole_number_that_float64_holds():
    found = {identity_of(f"tx-{i}") for i in range(2000)}
    assert len(found) == 2000
    assert all(value == int(value) < 2**52 for value in found)


def test_the_state_of_labels_is_told_from_one_without():
    without = config_of("cards")
    step = {"entity_key": "TERMINAL_ID", "windows": ["5h"], "aggregations": ["count"]}
    without["features"]["labels"] = {}
    without["features"]["transformations"] = [
        {"type": "time_window_aggregation", "config": step | {"offset": "2h"}}
    ]
    (with_labels,), (plain,) = PLAN.entities, FeaturePlan(parse_spec(without)).entities
    assert with_labels.horizon == plain.horizon
    assert with_labels.signature != plain.signature
    assert with_labels.width == plain.width + 3
