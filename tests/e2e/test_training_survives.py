"""Training outlives its worker: killed, or frozen so long that it was taken for dead."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import Stack, running_stack

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.xdist_group("processes")]
PATIENCE = 240.0
HISTORY = """
from datetime import timedelta
from django.utils import timezone
from scoring.models import Detector
from scoring.simulating import simulate_history
now = timezone.now()
fraud = Detector.objects.get(slug="fraud")
simulate_history(fraud, start=now - timedelta(days=60), end=now, events=24000, seed=3)
"""
REQUEST = """
from jobs.dispatch import announce_job
from models_registry.retraining import request_training
from scoring.models import Detector
fraud = Detector.objects.get(slug="fraud")
announce_job(request_training(fraud, requested_by=None, tune_for=20.0))
"""
REAP = """
from datetime import timedelta
from django.utils import timezone
from jobs.dispatch import announce_job
from jobs.services import requeue_lost
for job in requeue_lost(timezone.now() + timedelta(seconds=61)):
    announce_job(job)
"""


@pytest.fixture(scope="module")
def with_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation with a history to learn from."""
    var = tmp_path_factory.mktemp("history")
    with running_stack(var, {}) as found:
        found.run(HISTORY)
    return var


@pytest.fixture
def stack(with_history: Path, tmp_path: Path) -> Iterator[Stack]:
    """A worker over that history; no beat, so that the test is the reaper."""
    with running_stack(tmp_path, {}, "worker", like=with_history) as found:
        yield found


def read(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{stack.var}/riskplatform.db?mode=ro", uri=True) as database:
        return database.execute(sql).fetchall()


def job(stack: Stack) -> tuple[str, int, str]:
    """(status, attempt, stage) of the one training job."""
    [found] = read(stack, "SELECT status, attempt, stage FROM jobs_job")
    return found


def has_ended(stack: Stack) -> bool:
    return job(stack)[0] not in ("queued", "running")


def versions(stack: Stack) -> list[tuple[Any, ...]]:
    return read(stack, "SELECT number, job_id FROM models_registry_modelversion")


def until_it_learns(stack: Stack) -> None:
    """Wait until learners are at work: the search for parameters takes long enough to be met.

    Its stage is told before its first trial has ended: the trials kept are what tells.
    """
    stack.wait_for(lambda: trials(stack) != [], "a trial of the search", PATIENCE)
    assert job(stack)[2].startswith("Searching parameters")


def trials(stack: Stack) -> list[int]:
    rows = read(stack, "SELECT number FROM models_registry_tuningtrial ORDER BY number")
    return [number for (number,) in rows]


def is_running(thread: Path) -> bool:
    """Whether a thread has not stopped yet: the signal reaches them one after another."""
    try:
        state = (thread / "stat").read_text()
    except OSError:  # It has ended meanwhile.
        return False
    return state.rpartition(")")[2].split()[0] not in ("T", "t", "Z")


def freeze(pid: int, stack: Stack) -> None:
    """Stop a worker at a moment at which it does not hold SQLite's lock: that would stay held."""
    while True:
        os.killpg(pid, signal.SIGSTOP)
        while any(is_running(thread) for thread in Path(f"/proc/{pid}/task").iterdir()):
            time.sleep(0.01)
        with closing(sqlite3.connect(stack.var / "riskplatform.db", timeout=0.2)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            except sqlite3.OperationalError:
                os.killpg(pid, signal.SIGCONT)
                time.sleep(0.05)
            else:
                return


def test_a_killed_worker_costs_an_attempt_and_no_version(stack: Stack) -> None:
    stack.run(REQUEST)
    until_it_learns(stack)
    os.killpg(stack.processes["worker"].pid, signal.SIGKILL)
    stack.processes["worker"].wait()
    assert job(stack)[:2] == ("running", 1)
    assert versions(stack) == []
    tried = trials(stack)
    stack.start("worker")
    stack.run(REAP)
    stack.wait_for(lambda: has_ended(stack), "the second attempt", PATIENCE)
    assert job(stack)[:2] == ("succeeded", 2)
    assert [number for number, _ in versions(stack)] == [1]
    assert trials(stack) == list(range(len(trials(stack))))
    assert len(trials(stack)) > len(tried)  # It went on where the first attempt stopped.


def test_a_frozen_worker_that_comes_back_registers_nothing(stack: Stack) -> None:
    stack.run(REQUEST)
    until_it_learns(stack)
    frozen = stack.processes.pop("worker")
    freeze(frozen.pid, stack)
    try:
        stack.start("worker")
        stack.run(REAP)
        stack.wait_for(lambda: job(stack)[0] == "succeeded", "the second attempt", PATIENCE)
        assert job(stack)[:2] == ("succeeded", 2)
        os.killpg(frozen.pid, signal.SIGCONT)
        log = stack.var / "worker.log"
        dropped = "had been given to another worker; our end is dropped"
        stack.wait_for(lambda: dropped in log.read_text(), "the first attempt to give up", PATIENCE)
    finally:
        os.killpg(frozen.pid, signal.SIGKILL)
        frozen.wait()
    assert job(stack)[:2] == ("succeeded", 2)
    assert [number for number, _ in versions(stack)] == [1]
