"""Whoever waits for a learner may stop waiting at any moment."""

import threading
import time

import numpy as np
import pytest

from models_registry.core.learners.base import Learner, LearnerError
from models_registry.core.learners.gradient_boosting import GradientBoosting
from models_registry.core.watched import fit_watched

MATRIX = np.random.default_rng(1).normal(size=(400, 3)).astype(np.float32)
LABELS = (MATRIX[:, 0] > 0).astype(np.int8)


class Stopped(Exception):
    pass


class Endless(Learner):
    """A single call of a library that nobody can interrupt; asks nothing."""

    name, title, supervised, link = "endless", "Endless", False, "logit"
    free = threading.Event()

    def _fit(self, matrix, labels, weights, on_progress, should_stop):
        self.free.wait(30)

    def _margin(self, matrix):
        return np.zeros(len(matrix))

    def export(self):
        raise NotImplementedError


def nothing(*_):
    pass


def watch(learner, labels=LABELS, **how):
    def fit(on_progress, should_stop):
        return learner.fit(MATRIX, labels, on_progress=on_progress, should_stop=should_stop)

    return fit_watched(fit, name=learner.name, **how)


def test_it_fits_as_by_itself_and_tells_how_far_it_is():
    told = []
    learner = GradientBoosting(n_trees=20)
    watch(learner, on_progress=told.append, check=nothing, every=0.01)
    alone = GradientBoosting(n_trees=20).fit(MATRIX, LABELS)
    assert (learner.margin(MATRIX) == alone.margin(MATRIX)).all()
    assert told == sorted(told) and told[-1] == 1.0


def test_what_the_learner_raises_comes_out():
    with pytest.raises(LearnerError, match="both classes"):
        zeros = np.zeros(400, np.int8)
        watch(GradientBoosting(), zeros, on_progress=nothing, check=nothing)


def test_a_learner_that_asks_stops_with_its_caller():
    def stop():
        raise Stopped

    learner = GradientBoosting(n_trees=100_000)
    with pytest.raises(Stopped):
        watch(learner, on_progress=nothing, check=stop, every=0.05)
    until = time.monotonic() + 10
    while any(thread.name == "fit-lightgbm" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert not hasattr(learner, "n_columns_")


def test_nobody_waits_for_a_learner_that_does_not_ask():
    def stop():
        raise Stopped

    begun = time.monotonic()
    with pytest.raises(Stopped):
        watch(Endless(), None, on_progress=nothing, check=stop, every=0.05)
    assert time.monotonic() - begun < 5
    Endless.free.set()
