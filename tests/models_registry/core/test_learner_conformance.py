"""What every learner must keep, asked of each in turn."""

from functools import cache

import numpy as np
import pytest

from models_registry.core.export import (
    ExportedModel,
    ExportError,
    arrays_from_bytes,
    arrays_to_bytes,
    check_parity,
)
from models_registry.core.learners.base import Learner, LearnerError, TrainingCancelledError
from models_registry.core.learners.catalogue import LEARNERS, make_learner
from models_registry.core.learners.isolation_forest import average_path_length
from models_registry.core.metrics import roc_auc
from scoring.core.explain import Explainer, additivity_error
from scoring.core.inference import Model
from scoring.core.spec import LEARNERS as DECLARED
from tests.models_registry.core.data import risky_rows

MATRIX, LABELS = risky_rows()
SMALL = {
    "lightgbm": {"n_trees": 40},
    "xgboost": {"n_trees": 40},
    "random_forest": {"n_trees": 15, "max_depth": 7, "max_leaves": 32},
    "voting_ensemble": {"n_boosted": 20, "n_trees": 12, "max_depth": 7, "max_leaves": 32},
    "isolation_forest": {"n_trees": 20, "n_samples": 64},
    "one_class_svm": {"n_samples": 1500},
    "autoencoder": {"n_epochs": 8},
}


def test_every_learner_can_be_declared():
    assert sorted(DECLARED) == sorted(LEARNERS)


def new(name: str, **parameters: object) -> Learner:
    return make_learner(name, **{**SMALL.get(name, {}), **parameters})


@cache
def fitted(name: str) -> tuple[Learner, ExportedModel]:
    learner = new(name).fit(MATRIX, LABELS)
    return learner, learner.export()


@pytest.fixture(params=sorted(LEARNERS))
def name(request):
    return request.param


def test_the_constructor_only_stores(name):
    learner = new(name, seed=5)
    assert learner.parameters()["seed"] == 5
    assert not [attribute for attribute in vars(learner) if attribute.endswith("_")]


def test_the_same_seed_gives_the_same_scores_and_bytes(name):
    learner, exported = fitted(name)
    again = new(name).fit(MATRIX, LABELS)
    assert np.array_equal(again.score(MATRIX), learner.score(MATRIX))
    assert again.export().onnx == exported.onnx
    assert arrays_to_bytes(again.export().arrays) == arrays_to_bytes(exported.arrays)


def test_the_export_scores_as_the_original(name):
    learner, exported = fitted(name)
    assert check_parity(learner, exported, MATRIX) < 1e-9
    model = Model(exported.onnx, link=exported.link)
    assert np.allclose(model.score(MATRIX), learner.score(MATRIX), atol=1e-12)


def test_the_export_scores_as_the_original_on_the_very_thresholds(name):
    learner, exported = fitted(name)
    edges = exported.arrays.get("threshold", np.array([0.0])).astype(np.float32)
    around = np.concatenate([np.nextafter(edges, np.float32(s)) for s in (-np.inf, np.inf)])
    rows = np.concatenate([edges, around])[:, None].repeat(MATRIX.shape[1], axis=1)
    assert check_parity(learner, exported, rows) < 1e-9


def test_a_single_column_is_exported_exactly_too(name):
    rng = np.random.default_rng(2)
    column = rng.lognormal(size=(1000, 1)).astype(np.float32)
    column[::100] = 500.0
    labels = (column[:, 0] > 3.0).astype(np.int8)
    learner = make_learner(name).fit(column, labels)
    assert check_parity(learner, learner.export(), column) < 1e-9


def test_one_row_scores_as_among_many(name):
    model = Model(fitted(name)[1].onnx, link=fitted(name)[1].link)
    single = [model.margin(MATRIX[i : i + 1])[0] for i in range(50)]
    assert np.allclose(single, model.margin(MATRIX)[:50], rtol=0, atol=1e-12)


def test_contributions_and_base_add_up_to_the_margin(name):
    learner, exported = fitted(name)
    explainer = Explainer.from_arrays(exported.arrays)
    contributions = explainer.contributions(MATRIX)
    assert contributions.shape == MATRIX.shape
    assert additivity_error(explainer.base, contributions, learner.margin(MATRIX)).max() < 1e-9


def test_a_column_that_never_varies_contributes_nothing(name):
    explainer = Explainer.from_arrays(fitted(name)[1].arrays)
    assert not explainer.contributions(MATRIX)[:, 5].any()


def test_higher_is_riskier(name):
    learner, _ = fitted(name)
    odd = np.float32([[400.0, 6.0, 5.0, 5.0, 1.0, 7.0]])
    assert learner.score(odd)[0] >= np.quantile(learner.score(MATRIX), 0.99)
    assert roc_auc(LABELS, learner.score(MATRIX)) > (0.8 if learner.supervised else 0.55)


def test_scores_lie_between_0_and_1(name):
    scores = fitted(name)[0].score(MATRIX)
    assert scores.min() >= 0
    assert scores.max() <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(name, bad):
    rows = MATRIX.copy()
    rows[3, 2] = bad
    with pytest.raises(LearnerError, match="NaN"):
        new(name).fit(rows, LABELS)
    with pytest.raises(LearnerError, match="NaN"):
        fitted(name)[0].margin(rows)


def test_another_number_of_columns_is_refused(name):
    with pytest.raises(LearnerError, match="columns"):
        fitted(name)[0].margin(MATRIX[:, :4])


def test_an_unfitted_learner_does_not_score(name):
    with pytest.raises(LearnerError, match="fitted"):
        new(name).margin(MATRIX)


def test_the_state_survives_as_npz_and_onnx_bytes(name):
    learner, exported = fitted(name)
    arrays = arrays_from_bytes(arrays_to_bytes(exported.arrays))
    loaded = ExportedModel(bytes(exported.onnx), arrays, exported.link)
    assert arrays.keys() == exported.arrays.keys()
    assert check_parity(learner, loaded, MATRIX) < 1e-9


def test_supervised_learners_need_labels_of_both_classes(name):
    if not LEARNERS[name].supervised:
        assert new(name).fit(MATRIX).n_columns_ == 6
        return
    with pytest.raises(LearnerError, match="labels"):
        new(name).fit(MATRIX)
    with pytest.raises(LearnerError, match="both classes"):
        new(name).fit(MATRIX, np.zeros(len(MATRIX)))


def test_progress_rises_to_1(name):
    heard: list[float] = []
    new(name).fit(MATRIX, LABELS, on_progress=heard.append)
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (0.0, 1.0)


def test_training_stops_when_asked(name):
    with pytest.raises(TrainingCancelledError):
        new(name).fit(MATRIX, LABELS, should_stop=lambda: True)


def test_a_row_of_weight_0_is_not_learned(name):
    if name == "isolation_forest":
        pytest.skip("its random samples differ with the number of rows")
    if not LEARNERS[name].supervised:
        weights = (np.arange(len(MATRIX)) < 1500).astype(float)
        weighted = new(name).fit(MATRIX, weights=weights).margin(MATRIX)
        assert np.allclose(weighted, new(name).fit(MATRIX[:1500]).margin(MATRIX), rtol=0.1)
        return
    weights = np.ones(len(MATRIX))
    weights[2000:] = 0.0
    noise = LABELS.copy()
    noise[2000:] = 1 - noise[2000:]
    weighted = new(name).fit(MATRIX, noise, weights=weights)
    assert roc_auc(LABELS, weighted.score(MATRIX)) > 0.8


def test_a_model_that_was_changed_after_the_fit_fails_the_parity_check(name):
    learner, exported = fitted(name)
    shifted = {"offset", "intercept", "dual", "typical"} & exported.arrays.keys()
    moved = exported.arrays | {key: exported.arrays[key] + 0.01 for key in shifted}
    with pytest.raises(ExportError, match="differs"):
        check_parity(learner, ExportedModel(exported.onnx, moved, exported.link), MATRIX)


class Scaled:
    """A learner whose margins are off by a share of themselves."""

    def __init__(self, learner, share):
        self.learner, self.share = learner, share

    def margin(self, matrix):
        return self.learner.margin(matrix) * (1.0 + self.share)


def test_parity_of_large_margins_is_a_share_of_them():
    learner, exported = fitted("logistic_regression")
    far = MATRIX * np.float32(1e5)
    assert np.abs(learner.margin(far)).max() > 1e4
    assert check_parity(Scaled(learner, 1e-8), exported, far) == pytest.approx(1e-8, rel=0.1)
    with pytest.raises(ExportError, match="differs"):
        check_parity(Scaled(learner, 1e-5), exported, far)


def test_lightgbm_can_be_stopped_between_trees():
    answers = iter([False] * 4 + [True] * 100)
    heard: list[float] = []
    with pytest.raises(TrainingCancelledError):
        new("lightgbm").fit(
            MATRIX, LABELS, should_stop=lambda: next(answers), on_progress=heard.append
        )
    assert len(heard) == 4


def test_contributions_equal_lightgbms_own():
    learner, exported = fitted("lightgbm")
    theirs = learner.booster_.predict(MATRIX, pred_contrib=True)
    explainer = Explainer.from_arrays(exported.arrays)
    assert np.abs(explainer.contributions(MATRIX) - theirs[:, :-1]).max() < 1e-9
    assert abs(explainer.base - theirs[0, -1]) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lightgbm", "isolation_forest"])
def test_contributions_equal_those_of_shap(name):
    shap = pytest.importorskip("shap")
    learner, exported = fitted(name)
    ours = Explainer.from_arrays(exported.arrays).contributions(MATRIX[:200])
    model = learner.booster_ if name == "lightgbm" else learner.model_
    tree_explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    theirs = tree_explainer.shap_values(MATRIX[:200])
    if name == "isolation_forest":
        # shap explains the mean path length, ours is that length over -c(n_samples).
        theirs = -theirs / average_path_length(learner.model_.max_samples_)
    assert np.abs(ours - theirs).max() < 1e-6


def test_a_heavier_rare_class_does_not_break_calibration():
    plain = new("logistic_regression").fit(MATRIX, LABELS)
    heavy = new("logistic_regression", positive_weight=10.0).fit(MATRIX, LABELS)
    assert heavy.score(MATRIX).mean() == pytest.approx(plain.score(MATRIX).mean(), rel=0.3)


def test_trees_too_large_to_explain_are_refused():
    with pytest.raises(LearnerError, match="num_leaves"):
        new("lightgbm", num_leaves=64).fit(MATRIX, LABELS)


def test_boosting_that_finds_no_split_exports_a_constant():
    learner = new("lightgbm", min_child_samples=5000).fit(MATRIX, LABELS)
    assert check_parity(learner, learner.export(), MATRIX) < 1e-9


def test_an_unknown_algorithm_or_parameter_is_named():
    with pytest.raises(LearnerError, match="'magic'"):
        make_learner("magic")
    with pytest.raises(LearnerError, match="depth_of_thought"):
        make_learner("lightgbm", depth_of_thought=3)
