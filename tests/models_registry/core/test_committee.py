"""Several models of one algorithm, heard as one: averaged, exported, made again from the record."""

import json

import numpy as np
import pytest

from models_registry.core.export import check_parity
from models_registry.core.imbalance import fit_balanced, recorded
from models_registry.core.learners.base import LearnerError, TrainingCancelledError
from models_registry.core.learners.catalogue import make_learner
from scoring.core.explain import Explainer
from scoring.core.imbalance import NOTHING, ImbalanceSpec
from tests.models_registry.core.data import risky_rows

MATRIX, LABELS = risky_rows()
SMALL = {
    "lightgbm": {"n_trees": 20},
    "xgboost": {"n_trees": 20},
    "random_forest": {"n_trees": 8, "max_depth": 5},
    "voting_ensemble": {"n_boosted": 10, "n_trees": 8, "max_depth": 5},
    "logistic_regression": {},
}
OTHERS = {
    "lightgbm": [{"num_leaves": 4}, {"learning_rate": 0.1}],
    "xgboost": [{"max_depth": 2}],
    "random_forest": [{"max_depth": 3}],
    "voting_ensemble": [{"booster_weight": 0.3}],
    "logistic_regression": [{"inverse_penalty": 0.01}],
}


def committee(name="lightgbm", **parameters):
    return make_learner(name, mean_with=OTHERS[name], **(SMALL[name] | parameters))


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_its_margin_is_the_mean_and_so_are_graph_and_contributions(name):
    one = committee(name).fit(MATRIX, LABELS)
    alone = [make_learner(name, **(SMALL[name] | other)) for other in ({}, *OTHERS[name])]
    mean = np.mean([each.fit(MATRIX, LABELS).margin(MATRIX) for each in alone], axis=0)
    assert one.margin(MATRIX) == pytest.approx(mean, abs=1e-12)
    assert check_parity(one, one.export(), MATRIX) < 1e-9


def test_its_contributions_are_the_mean_of_its_members_own():
    one = committee().fit(MATRIX, LABELS)
    own = [Explainer.from_arrays(m.export().arrays).contributions(MATRIX) for m in one.members]
    ours = Explainer.from_arrays(one.export().arrays).contributions(MATRIX)
    assert np.abs(ours - np.mean(own, axis=0)).max() < 1e-9


def test_the_record_makes_it_again():
    one = committee(seed=3).fit(MATRIX, LABELS)
    record = json.loads(json.dumps(recorded(one, NOTHING)))
    assert record["mean_with"] == OTHERS["lightgbm"]
    again = make_learner("lightgbm", **record).fit(MATRIX, LABELS)
    assert np.array_equal(again.margin(MATRIX), one.margin(MATRIX))
    assert again.export().onnx == one.export().onnx


@pytest.mark.parametrize("method", ["class_weights", "balanced_bagging"])
def test_a_rare_class_can_count_for_more_in_it(method):
    how = ImbalanceSpec(method, ratio=0.5, bags=2)
    one = fit_balanced(committee(), how, MATRIX, LABELS)
    assert check_parity(one, one.export(), MATRIX) < 1e-9


def test_another_seed_is_another_seed_of_every_member():
    assert [m.parameters()["seed"] for m in committee().with_seed(7).members] == [7, 7, 7]


def test_it_tells_how_far_it_is_and_can_be_stopped_between_members():
    heard: list[float] = []
    committee().fit(MATRIX, LABELS, on_progress=heard.append)
    assert heard == sorted(heard) and heard[-1] == 1.0
    with pytest.raises(TrainingCancelledError):
        committee().fit(
            MATRIX, LABELS, should_stop=lambda: len(heard) > 65, on_progress=heard.append
        )


def test_a_member_with_an_unknown_parameter_is_refused():
    with pytest.raises(LearnerError, match="depth_of_thought"):
        make_learner("lightgbm", mean_with=[{"depth_of_thought": 3}])
