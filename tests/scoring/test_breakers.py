"""A circuit opens after failures, lets one trial through, and closes on success."""

import pytest

from scoring import breakers
from scoring.breakers import Breaker, State


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def circuit(clock):
    return Breaker(failures=3, pause=10.0, clock=clock)


def fail(circuit, times):
    for _ in range(times):
        assert circuit.allows()
        circuit.failed()


def test_it_opens_after_so_many_failures_in_a_row(circuit):
    fail(circuit, 2)
    assert circuit.state is State.CLOSED
    fail(circuit, 1)
    assert circuit.state is State.OPEN
    assert not circuit.allows()


def test_a_success_in_between_starts_the_count_again(circuit):
    fail(circuit, 2)
    circuit.succeeded()
    fail(circuit, 2)
    assert circuit.state is State.CLOSED


def test_after_the_pause_one_trial_goes_through(circuit, clock):
    fail(circuit, 3)
    assert circuit.wait() == 10.0
    clock.now += 10.0
    assert circuit.state is State.HALF_OPEN
    assert [circuit.allows(), circuit.allows()] == [True, False]


def test_a_trial_that_works_closes_it(circuit, clock):
    fail(circuit, 3)
    clock.now += 10.0
    assert circuit.allows()
    circuit.succeeded()
    assert circuit.state is State.CLOSED
    assert circuit.wait() == 0.0


def test_a_trial_that_fails_opens_it_again_at_once(circuit, clock):
    fail(circuit, 3)
    clock.now += 10.0
    fail(circuit, 1)
    assert circuit.state is State.OPEN
    clock.now += 9.9
    assert not circuit.allows()


def test_a_trial_that_never_ends_does_not_keep_it_shut(circuit, clock):
    fail(circuit, 3)
    clock.now += 10.0
    assert circuit.allows()
    clock.now += 10.0
    assert circuit.allows()


def test_states_are_told_by_name():
    for _ in range(5):
        breakers.breaker("model:fraud").failed()
    breakers.breaker("database")
    assert breakers.states() == {"database": "CLOSED", "model:fraud": "OPEN"}
