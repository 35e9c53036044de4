"""The search for parameters: better than the defaults, never longer than allowed, resumable."""

from dataclasses import replace

import numpy as np
import pytest

from models_registry.core import tuning
from models_registry.core.learners.base import LearnerError, TrainingCancelledError
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.search_spaces import SPACES
from models_registry.core.tuning import (
    Fold,
    Search,
    Trial,
    _distributions,
    best_of,
    can_be_tuned,
    chosen_of,
    parameters_of,
    search,
)


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


def trials_of(*values):
    return [Trial(i, {"n_trees": i}, (), value, 1.0) for i, value in enumerate(values)]


def numbers(trials, learner="lightgbm"):
    return [trial.number for trial in chosen_of(learner, trials)]


def test_the_best_three_are_averaged_unless_they_can_be_told_apart():
    assert numbers(trials_of(0.69, 0.70, None, 0.694, 0.695)) == [1, 4, 3]
    assert numbers(trials_of(0.60, 0.70, None, 0.694, 0.65)) == [1, 3]
    assert numbers(trials_of(0.60, 0.70)) == [1]
    assert numbers(trials_of(0.70, 0.70, 0.70, 0.70)) == [0, 1, 2]
    assert numbers(trials_of(None)) == []


def test_a_learner_that_is_a_mean_already_learns_with_the_best_alone():
    assert numbers(trials_of(0.69, 0.70, 0.695), "random_forest") == [1]


def test_what_was_chosen_makes_one_learner():
    assert parameters_of([]) == {}
    assert parameters_of(trials_of(0.7)) == {"n_trees": 0}
    found = parameters_of(trials_of(0.7, 0.7, 0.7))
    assert found == {"n_trees": 0, "mean_with": [{"n_trees": 1}, {"n_trees": 2}]}
    assert len(make_learner("lightgbm", **found).members) == 3


def test_a_search_that_was_stopped_chooses_as_one_that_was_not():
    whole = search(task(most=8))
    assert parameters_of(chosen_of("lightgbm", search(task(most=8), known=whole))) == parameters_of(
        chosen_of("lightgbm", whole)
    )


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


@pytest.mark.parametrize("learner", sorted(SPACES))
def test_the_defaults_of_every_learner_lie_inside_its_space(learner):
    defaults = make_learner(learner).parameters()
    for name, space in _distributions(learner).items():
        assert space._contains(space.to_internal_repr(defaults[name])), name


def test_defaults_outside_the_space_are_tried_and_taken_over():
    def make(parameters):
        return make_learner("logistic_regression", **({"positive_weight": 500.0} | parameters))

    wide = Search("logistic_regression", FOLDS, make, 1e9, 16, clock=Clock())
    with pytest.warns(UserWarning, match="out of range"):
        kept = search(replace(wide, most_trials=2))
    assert kept[0].parameters["positive_weight"] == 500.0
    assert [t.number for t in search(wide, known=kept)] == list(range(16))


def failing(stage, error):
    """Makes LightGBM, whose second trial fails at `stage`."""
    made = iter(range(100))

    def fail(*args, **kwargs):
        raise error

    def make(parameters):
        learner = make_learner("lightgbm", **parameters)
        if parameters and next(made) == 2:  # Two folds of the defaults come before it.
            setattr(learner, stage, fail)
        return learner

    return make


@pytest.mark.parametrize("stage", ["_fit", "_margin"])
def test_a_trial_at_which_the_library_fails_ends_alone_and_says_why(stage):
    broken = replace(task(most=4), make=failing(stage, MemoryError("no room")))
    trials = search(broken)
    assert [t.error for t in trials] == ["", "MemoryError: no room", "", ""]
    assert (trials[1].value, trials[1].folds) == (None, ())
    assert None not in [t.value for t in trials if t.number != 1]
    assert search(replace(task(most=5)), known=trials)[1] == trials[1]


def test_a_learner_that_was_stopped_ends_the_search():
    with pytest.raises(TrainingCancelledError):
        search(replace(task(most=4), make=failing("_fit", TrainingCancelledError())))


def test_whatever_the_check_raises_ends_the_search():
    def check():
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        search(task(most=4), check=check)


def test_a_trial_that_the_learner_refuses_is_kept_without_a_value():
    some = FOLDS[0]
    one_class = Fold(some.train, np.zeros(300, np.int8), some.validation, some.validation_labels)
    [refused] = search(task(most=1, folds=[one_class]))
    assert (refused.value, refused.folds, best_of([refused])) == (None, (), None)
    assert "both classes" in refused.error


def test_what_could_not_be_explained_is_an_error_of_its_trial(monkeypatch):
    monkeypatch.setattr(tuning, "MAX_TABLE_BYTES", 100_000)
    [first] = search(task("random_forest", most=1))
    assert first.value is None
    assert "contributions would need more than 80% of the" in first.error
