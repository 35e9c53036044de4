"""Callers share one run, get their own outcomes, and none sleeps for ever."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoring.grouping import Grouping

CALLERS = 8


def test_a_lone_caller_runs_its_own_work_at_once():
    groups = []
    grouping = Grouping(groups.append, most=4)
    grouping.submit("a")
    assert groups == [["a"]]


def test_who_comes_while_a_group_runs_shares_the_next_one():
    started, go_on, groups = threading.Event(), threading.Event(), []

    def run(works):
        groups.append(sorted(works))
        if works == [0]:
            started.set()
            go_on.wait(5)

    grouping = Grouping(run, most=64)
    with ThreadPoolExecutor(CALLERS) as pool:
        first = pool.submit(grouping.submit, 0)
        started.wait(5)
        others = [pool.submit(grouping.submit, i) for i in range(1, CALLERS)]
        while len(grouping._queue) < CALLERS - 1:
            time.sleep(0.001)
        go_on.set()
        for waiting in (first, *others):
            waiting.result(5)
    assert groups == [[0], list(range(1, CALLERS))]


def test_a_group_is_never_larger_than_allowed():
    sizes = []
    grouping = Grouping(lambda works: sizes.append(len(works)), most=3)
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(grouping.submit, range(200)))
    assert sum(sizes) == 200
    assert max(sizes) <= 3


def test_nobody_returns_before_the_group_is_done():
    done = []

    def run(works):
        time.sleep(0.005)
        done.extend(works)

    grouping = Grouping(run, most=64)

    def ask(i):
        grouping.submit(i)
        return i in done

    with ThreadPoolExecutor(CALLERS) as pool:
        assert all(pool.map(ask, range(100)))


def test_a_leader_that_is_killed_wakes_everybody_with_the_error():
    def run(works):
        raise SystemExit("killed")

    grouping = Grouping(run, most=64)

    def ask(i):
        with pytest.raises(SystemExit):
            grouping.submit(i)
        return True

    with ThreadPoolExecutor(CALLERS) as pool:
        assert all(pool.map(ask, range(50)))


def test_after_a_failure_the_next_group_runs():
    fail = iter([True, False])

    def run(works):
        if next(fail):
            raise ValueError("no")

    grouping = Grouping(run, most=64)
    with pytest.raises(ValueError, match="no"):
        grouping.submit("a")
    grouping.submit("b")


def test_waiting_clients_soon_share_one_group_each_round():
    sizes = []

    def run(works):
        sizes.append(len(works))
        time.sleep(0.003)

    grouping = Grouping(run, most=64)

    def client(_):
        for i in range(20):
            grouping.submit(i)

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(client, range(CALLERS)))
    assert sum(sizes) == CALLERS * 20
    assert len(sizes) <= CALLERS * 20 / 2
