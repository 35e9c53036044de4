"""The search for parameters: better than the defaults, never longer than allowed, resumable."""

import numpy as np
import pytest

from models_registry.core.learners.base import LearnerError
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.search_spaces import SPACES
from models_registry.core.tuning import Fold, Search, Trial, best_of, can_be_tuned, search


class Clock:
    """A second passes at each look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def fold(seed, n=600):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 5)).astype(np.float32)
    risk = matrix[:, 0] * matrix[:, 1] + 0.5 * matrix[:, 2]
    labels = (risk + rng.normal(size=n) > 1.5).astype(np.int8)
    half = n // 2
    return Fold(matrix[:half], labels[:half], matrix[half:], labels[half:])


FOLDS = [fold(1), fold(2)]


def task(learner="lightgbm", seconds=1e9, most=6, folds=FOLDS, seed=0):
    return Search(
        learner, folds, lambda p: make_learner(learner, **p), seconds, most, seed, clock=Clock()
    )


@pytest.mark.parametrize("learner", sorted(SPACES))
def test_the_defaults_are_the_first_trial(learner):
    [first] = search(task(learner, most=1))
    defaults = make_learner(learner).parameters()
    assert first.parameters == {name: defaults[name] for name in first.parameters}
    assert first.value == pytest.approx(np.mean(first.folds))
    assert len(first.folds) == 2


def test_the_best_trial_is_the_one_with_the_highest_mean():
    trials = search(task(most=20))
    best = best_of(trials)
    assert best.value == max(t.value for t in trials if t.value is not None) >= trials[0].value
    given_up = [t for t in trials if t.value is None]
    assert all(len(t.folds) <= 2 for t in given_up)


def test_a_search_stops_when_its_time_is_up_but_tries_the_defaults():
    assert len(search(task(seconds=0.0))) == 1
    assert len(search(task(seconds=2.5))) == 3  # Each trial takes one second on this clock.


def test_a_search_goes_on_where_another_one_stopped():
    kept = []
    with pytest.raises(KeyboardInterrupt):
        search(task(most=9), on_trial=kept.append, check=stop_at(7))
    assert 0 < len(kept) < 9
    whole = search(task(most=9), known=kept)
    assert whole[: len(kept)] == kept
    assert [t.number for t in whole] == list(range(9))
    assert len({tuple(sorted(t.parameters.items())) for t in whole}) == 9


def stop_at(n):
    calls = iter(range(n))

    def check():
        if next(calls, None) is None:
            raise KeyboardInterrupt

    return check


def test_time_spent_before_counts():
    spent = Trial(0, search(task(most=1))[0].parameters, (0.5, 0.5), 0.5, seconds=100.0)
    assert search(task(seconds=100.0), known=[spent]) == [spent]


def test_the_same_seed_gives_the_same_trials():
    first, second = (search(task(most=4, seed=3)) for _ in range(2))
    assert [(t.parameters, t.folds) for t in first] == [(t.parameters, t.folds) for t in second]


def test_a_learner_without_a_space_is_refused():
    assert not can_be_tuned("isolation_forest")
    with pytest.raises(LearnerError, match="no parameters"):
        search(task("isolation_forest"))


def test_a_trial_that_the_learner_refuses_is_kept_without_a_value():
    some = FOLDS[0]
    one_class = Fold(some.train, np.zeros(300, np.int8), some.validation, some.validation_labels)
    [refused] = search(task(most=1, folds=[one_class]))
    assert (refused.value, refused.folds, best_of([refused])) == (None, (), None)
