"""Workers are asked seldom, and nobody waits for a broker that says nothing."""

import threading
import time

import pytest
from django.core.cache import cache

from models_registry import workers
from models_registry.workers import workers_answering


@pytest.fixture
def asked(monkeypatch):
    """What stands in for the broker; `asked.ping` is what it does."""

    class Broker:
        times = 0

        def ping(self):
            return []

    broker = Broker()

    def ping(timeout, limit):
        broker.times += 1
        return broker.ping()

    monkeypatch.setattr(workers.current_app.control, "ping", ping)
    cache.clear()
    return broker


@pytest.mark.parametrize(("answers", "found"), [([], 0), ([{"w": {"ok": "pong"}}], 1)])
def test_a_ping_is_remembered(asked, answers, found):
    asked.ping = lambda: answers
    assert (workers_answering(), workers_answering(), asked.times) == (found, found, 1)


def test_a_broker_that_is_gone_is_asked_each_time(asked):
    def refuse():
        raise OSError("no broker")

    asked.ping = refuse
    assert (workers_answering(), workers_answering(), asked.times) == (None, None, 2)


def test_a_silent_broker_is_waited_for_a_second_and_by_one_at_a_time(asked):
    """It took 6 s, of each thread that served the page."""
    silent = threading.Event()
    asked.ping = lambda: silent.wait(20) and []
    began = time.monotonic()
    assert (workers_answering(), workers_answering()) == (None, None)
    assert (asked.times, time.monotonic() - began < 2) == (1, True)
    silent.set()
    while workers._asking.locked():
        time.sleep(0.01)
    assert workers_answering() == 0
