"""A rare class made to count for more: in training rows only, and as declared."""

import numpy as np
import pytest

from models_registry.core.export import check_parity
from models_registry.core.imbalance import (
    add_positives,
    applies,
    drop_negatives,
    fit_balanced,
    recorded,
    weigh,
)
from models_registry.core.learners.base import LearnerError, TrainingCancelledError
from models_registry.core.learners.catalogue import LEARNERS, make_learner
from models_registry.core.metrics import roc_auc
from scoring.core.imbalance import ImbalanceSpec
from tests.models_registry.core.data import risky_rows

MATRIX, LABELS = risky_rows()
METHODS = ("class_weights", "smote", "under_sampling", "balanced_bagging")
SUPERVISED = sorted(name for name, learner in LEARNERS.items() if learner.supervised)
SMALL = {
    "lightgbm": {"n_trees": 20},
    "xgboost": {"n_trees": 20},
    "random_forest": {"n_trees": 8, "max_depth": 5},
    "voting_ensemble": {"n_boosted": 10, "n_trees": 8, "max_depth": 5},
}


def how(method, **settings):
    return ImbalanceSpec(method, **({"ratio": 0.5} | settings))


def new(name="logistic_regression", **parameters):
    return make_learner(name, **(SMALL.get(name, {}) | parameters))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SUPERVISED)
def test_every_learner_learns_from_balanced_rows_and_exports(name, method):
    given, labels = MATRIX.copy(), LABELS.copy()
    learner = fit_balanced(new(name), how(method, **bags(method)), MATRIX, LABELS)
    assert roc_auc(LABELS, learner.score(MATRIX)) > 0.8
    assert check_parity(learner, learner.export(), MATRIX) < 1e-9
    assert np.array_equal(given, MATRIX) and np.array_equal(labels, LABELS)


def bags(method):
    return {"bags": 3} if method == "balanced_bagging" else {}


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_model(method):
    first, second = (fit_balanced(new(), how(method), MATRIX, LABELS) for _ in range(2))
    assert np.array_equal(first.score(MATRIX), second.score(MATRIX))


@pytest.mark.parametrize("method", METHODS)
def test_the_rare_class_counts_for_more(method):
    plain = new().fit(MATRIX, LABELS).score(MATRIX).mean()
    assert fit_balanced(new(), how(method), MATRIX, LABELS).score(MATRIX).mean() > 2 * plain


def test_weights_reach_the_ratio():
    _, labels, weights = weigh(MATRIX, LABELS, how("class_weights"), 0)
    assert weights[labels == 1].sum() / weights[labels == 0].sum() == pytest.approx(0.5)


def test_made_up_positives_reach_the_ratio_and_lie_between_real_ones():
    rows, labels, _ = add_positives(MATRIX, LABELS, how("smote"), 0)
    assert np.array_equal(rows[: len(MATRIX)], MATRIX)
    made = rows[len(MATRIX) :]
    assert labels[len(MATRIX) :].all()
    assert (labels == 1).sum() / (labels == 0).sum() == pytest.approx(0.5, abs=0.01)
    low, high = MATRIX[LABELS == 1].min(axis=0), MATRIX[LABELS == 1].max(axis=0)
    assert (made >= low - 1e-4).all() and (made <= high + 1e-4 * np.abs(high)).all()


def test_a_flag_stays_a_flag():
    rows, _, _ = add_positives(MATRIX, LABELS, how("smote"), 0)
    assert set(np.unique(rows[:, 4])) == {0.0, 1.0}
    assert set(np.unique(rows[:, 5])) == {7.0}


def test_under_sampling_keeps_all_positives_in_their_order():
    rows, labels, _ = drop_negatives(MATRIX, LABELS, how("under_sampling"), 0)
    assert np.array_equal(rows[labels == 1], MATRIX[LABELS == 1])
    assert (labels == 1).sum() / (labels == 0).sum() == pytest.approx(0.5, abs=0.01)


def test_bags_drop_other_negatives():
    bag = fit_balanced(new(), how("balanced_bagging", bags=4), MATRIX, LABELS)
    one, other = (member.margin(MATRIX) for member in bag.members_[:2])
    assert not np.array_equal(one, other)
    assert np.allclose(bag.margin(MATRIX), np.mean([m.margin(MATRIX) for m in bag.members_], 0))


def test_rows_that_are_balanced_enough_stay_as_they_are():
    assert not applies(new(), how("smote", ratio=0.01), LABELS)
    left = fit_balanced(new(), how("smote", ratio=0.01), MATRIX, LABELS)
    assert np.array_equal(left.score(MATRIX), new().fit(MATRIX, LABELS).score(MATRIX))


def test_smote_leaves_rows_alone_that_lack_less_than_one_positive():
    positives = int(LABELS.sum())
    ratio = (positives + 0.5) / (len(LABELS) - positives)
    assert not applies(new(), how("smote", ratio=ratio), LABELS)
    assert applies(new(), how("class_weights", ratio=ratio), LABELS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("short", [1, 2, 5])
def test_hardly_too_few_positives_are_balanced_too(method, short):
    """The wanted ratio lies half a positive, and more, above what there is."""
    positives = int(LABELS.sum())
    ratio = (positives + short / 2) / (len(LABELS) - positives)
    learner = fit_balanced(new(), how(method, ratio=ratio, **bags(method)), MATRIX, LABELS)
    assert roc_auc(LABELS, learner.score(MATRIX)) > 0.8


def test_what_learns_without_labels_is_not_touched():
    forest = new("isolation_forest", n_trees=10)
    learner = fit_balanced(forest, how("smote"), MATRIX, np.zeros(len(MATRIX), np.int8))
    assert "imbalance" not in recorded(learner, how("smote"))


def test_what_was_done_is_on_record():
    found = recorded(new(), how("smote"))["imbalance"]
    assert found == {"method": "smote", "ratio": 0.5, "neighbours": 5, "bags": 5}
    assert "imbalance" not in recorded(new(), ImbalanceSpec())


def test_a_single_positive_has_nothing_between():
    labels = np.zeros(len(MATRIX), np.int8)
    labels[3] = 1
    with pytest.raises(LearnerError, match="two positives"):
        fit_balanced(new(), how("smote"), MATRIX, labels)


def test_bagging_tells_its_progress_and_stops_when_asked():
    heard: list[float] = []
    fit_balanced(new(), how("balanced_bagging"), MATRIX, LABELS, on_progress=heard.append)
    assert heard == sorted(heard) and heard[-1] == 1.0
    with pytest.raises(TrainingCancelledError):
        fit_balanced(new(), how("balanced_bagging"), MATRIX, LABELS, should_stop=lambda: True)


@pytest.mark.parametrize("method", ["none", *METHODS])
@pytest.mark.parametrize("name", SUPERVISED)
def test_a_label_that_nobody_is_sure_of_moves_the_learner_less(name, method):
    """Half of the positives turned into slips of the pen: the less sure they are, the less harm."""
    rng = np.random.default_rng(5)
    wrong = (LABELS == 1) & (rng.random(len(LABELS)) < 0.5)
    said = np.where(wrong, 0, LABELS).astype(np.int8)
    sure = np.where(wrong, 0.02, 1.0)
    balance = how(method, **bags(method)) if method != "none" else ImbalanceSpec("none")
    plain = fit_balanced(new(name), balance, MATRIX, said)
    weighed = fit_balanced(new(name), balance, MATRIX, said, weights=sure)
    assert weighed.score(MATRIX)[wrong].mean() > plain.score(MATRIX)[wrong].mean()


def test_rows_made_of_others_are_as_sure_as_those():
    sure = np.where(LABELS == 1, 0.5, 1.0)
    _, labels, weights = add_positives(MATRIX, LABELS, how("smote"), 0, sure)
    assert len(weights) == len(labels)
    assert weights[len(MATRIX) :] == pytest.approx(0.5)
    kept, labels, weights = drop_negatives(MATRIX, LABELS, how("under_sampling"), 0, sure)
    assert (weights[labels == 1] == 0.5).all() and len(weights) == len(kept)
    _, _, weights = weigh(MATRIX, LABELS, how("class_weights"), 0, sure)
    assert weights[LABELS == 0] == pytest.approx(1.0)
    assert np.unique(weights[LABELS == 1]).size == 1


def test_a_learner_without_labels_does_not_ask_how_sure_they_are():
    forest = make_learner("isolation_forest", n_trees=10)
    plain = fit_balanced(forest, how("smote"), MATRIX, LABELS).score(MATRIX)
    again = make_learner("isolation_forest", n_trees=10)
    unsure = fit_balanced(again, how("smote"), MATRIX, LABELS, weights=np.full(len(MATRIX), 0.1))
    assert np.array_equal(unsure.score(MATRIX), plain)
