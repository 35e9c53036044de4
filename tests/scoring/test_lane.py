"""The lane: many requests on one thread, scored together, each with its own answer."""

import threading

import pytest

from scoring import lane as lanes
from scoring.lane import Job, Lane

PATIENCE = 5


class Handed:
    """What a lane handed over, and the groups that it scored."""

    def __init__(self, most=64, score=None):
        self.groups, self.answers, self.done = [], {}, threading.Semaphore(0)
        self.lane = Lane(score or self.groups.append, most=most, hand_over=self._take)

    def _take(self, ready):
        for job, answer in ready:
            job.deliver(answer)
        self.done.release(len(ready))

    def enter(self, requests):
        """`requests`: functions of the lane; their answers are kept by number."""
        self.lane.enter(
            [
                Job(
                    lambda ask=ask: ask(self.lane),
                    lambda answer, i=i: self.answers.update({i: answer}),
                )
                for i, ask in enumerate(requests)
            ]
        )
        for _ in requests:
            assert self.done.acquire(timeout=PATIENCE)


@pytest.fixture
def handed():
    made = []

    def make(**options):
        made.append(Handed(**options))
        return made[-1]

    yield make
    for one in made:
        one.lane.stop()


def asks_for(name):
    def ask(lane):
        lane.wait_for(name)
        return f"answer to {name}"

    return ask


def test_requests_that_came_together_are_scored_as_one_group(handed):
    found = handed()
    found.enter([asks_for(i) for i in range(8)])
    assert found.groups == [list(range(8))]
    assert found.answers == {i: f"answer to {i}" for i in range(8)}


def test_a_request_goes_on_only_when_its_group_is_scored(handed):
    seen, scored = [], set()

    def ask(lane):
        lane.wait_for("event")
        seen.append("event" in scored)

    found = handed(score=scored.update)
    found.enter([ask])
    assert seen == [True]


def test_a_group_is_never_larger_than_allowed(handed):
    found = handed(most=3)
    found.enter([asks_for(i) for i in range(10)])
    assert sum(map(len, found.groups)) == 10
    assert max(map(len, found.groups)) == 3


def test_a_request_that_asks_for_nothing_is_answered_beside_the_others(handed):
    found = handed()
    found.enter([asks_for(0), lambda lane: "refused", asks_for(1)])
    assert found.groups == [[0, 1]]
    assert found.answers[1] == "refused"


def test_a_request_that_fails_takes_no_neighbour_with_it(handed):
    def fail(lane):
        lane.wait_for("bad")
        raise ValueError("after scoring")

    found = handed()
    found.enter([asks_for(0), fail])
    assert found.answers[0] == "answer to 0"
    assert isinstance(found.answers[1], ValueError)


def test_a_request_may_ask_again(handed):
    def ask_twice(lane):
        lane.wait_for("first")
        lane.wait_for("second")
        return "both"

    found = handed()
    found.enter([ask_twice, asks_for("other")])
    assert found.groups == [["first", "other"], ["second"]]
    assert found.answers[0] == "both"


def test_only_requests_of_the_lane_see_it(handed):
    found = handed()
    found.enter([lambda lane: lanes.current() is lane])
    assert found.answers == {0: True}
    assert lanes.current() is None


def test_what_has_entered_is_answered_before_the_end(handed):
    found, answers = handed(), []
    found.lane.enter([Job(lambda: "late", answers.append) for _ in range(100)])
    found.lane.stop()
    assert answers == ["late"] * 100


def test_nobody_else_can_step_aside():
    lane = Lane(lambda calls: None, most=1, hand_over=lambda ready: None)
    with pytest.raises(RuntimeError, match="lane"):
        lane.wait_for("event")
