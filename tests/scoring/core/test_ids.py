from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.core.ids import IdSequence, made_at

NOW = 1_800_000_000_000_000_000
STEPS = st.integers(-9_000_000_000, 9_000_000_000) | st.integers(-2000, 2000)


def rising(made):
    return all(a < b and a.hex < b.hex and a.bytes < b.bytes for a, b in pairwise(made))


@given(st.lists(STEPS, max_size=60))
def test_identifiers_rise_whatever_the_clock_does(steps):
    ids, now, latest, made = IdSequence(), NOW, NOW, []
    for step in steps:
        # A clock that is put back, by less than ten seconds of the furthest that it ever stood.
        now = max(now + step, latest - 9_000_000_000)
        latest = max(now, latest)
        made.append(ids.next(now))
    assert rising(made)


def test_identifiers_of_one_instant_rise_and_differ():
    ids = IdSequence()
    made = [ids.next(NOW) for _ in range(10_000)]
    assert rising(made)
    assert {(u.version, u.variant) for u in made} == {(7, "specified in RFC 4122")}


def test_identifiers_say_when_they_were_made():
    ids = IdSequence()
    assert made_at(ids.next(NOW + 7_000_000)) == NOW / 1e9 + 0.007


def test_a_clock_that_was_far_ahead_is_not_followed_for_ever():
    ids = IdSequence()
    ids.next(NOW + 3600 * 10**9)
    assert made_at(ids.next(NOW)) == NOW / 1e9


def test_threads_never_get_the_same_place():
    ids = IdSequence()
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda _: [ids.next(NOW) for _ in range(500)], range(8)))
    assert all(rising(part) for part in parts)
    assert len({u.int >> 62 for part in parts for u in part}) == 4000


@pytest.mark.parametrize("gap", [1_000, 1_000_000, 1_000_000_000])
def test_processes_on_one_clock_are_in_its_order(gap):
    one, other = IdSequence(), IdSequence()
    made = [(one, other)[i % 2].next(NOW + i * gap) for i in range(100)]
    assert rising(made)
