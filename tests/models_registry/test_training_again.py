"""Training in a process that has trained before does not hang, forked or not.

OpenMP's threads do not survive a fork: a child that asks them for work waits for ever. Learners
therefore use one thread unless told otherwise, and workers train on threads, not in forks.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from tests.models_registry.training_worker import train_all

LONGEST_SECONDS = 180.0


def write_scores(path):
    path.write_text(json.dumps(train_all()))


def test_a_process_trains_twice_and_so_does_its_fork(tmp_path):
    first = train_all()
    assert train_all() == first
    child = multiprocessing.get_context("fork").Process(
        target=write_scores, args=(tmp_path / "scores",)
    )
    child.start()
    child.join(LONGEST_SECONDS)
    hung = child.is_alive()
    child.kill()
    assert not hung
    assert json.loads((tmp_path / "scores").read_text()) == first


@pytest.mark.worker
@pytest.mark.slow
@pytest.mark.parametrize(
    ("pool", "before"), [("prefork", ""), ("prefork", "1"), ("threads", ""), ("threads", "1")]
)
def test_a_worker_that_has_trained_trains_again(pool, before, tmp_path):
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    environment = os.environ | {"TRAINING_FOLDER": str(tmp_path), "TRAIN_BEFORE_FORK": before}
    celery = [sys.executable, "-m", "celery", "-A", "tests.models_registry.training_worker"]
    options = ["--pool", pool, "--concurrency", "1", "--without-gossip", "--without-mingle"]
    worker = subprocess.Popen([*celery, "--quiet", "worker", *options], env=environment)
    try:
        for number in (1, 2):
            subprocess.run(
                [*celery, "--quiet", "call", "train", "--args", f"[{number}]"],
                env=environment | {"TRAIN_BEFORE_FORK": ""},
                check=True,
                stdout=subprocess.DEVNULL,
            )
        found = [wait_for(tmp_path / f"{number}.json", worker) for number in (1, 2)]
    finally:
        worker.terminate()
        try:
            worker.wait(timeout=20)
        except subprocess.TimeoutExpired:
            worker.kill()
    assert found[0]["process"] == found[1]["process"]
    assert found[0]["scores"] == found[1]["scores"]


def wait_for(path, worker):
    until = time.monotonic() + LONGEST_SECONDS
    while not path.exists():
        assert worker.poll() is None, "the worker ended"
        assert time.monotonic() < until, "the worker hangs"
        time.sleep(0.1)
    return json.loads(path.read_text())
