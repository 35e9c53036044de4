"""What single learners promise beyond the conformance suite."""

import json
from functools import cache
from itertools import permutations

import numpy as np
import pytest

from models_registry.core.export import ExportedModel, check_parity
from models_registry.core.learners.autoencoder import Autoencoder
from models_registry.core.learners.base import Learner, LearnerError
from models_registry.core.learners.catalogue import LEARNERS, make_learner
from models_registry.core.metrics import roc_auc
from scoring.core.bundle import BundleError, load_bundle, write_bundle
from scoring.core.explain import Explainer
from scoring.core.inference import Model
from tests.factories import trained_payments
from tests.models_registry.core.data import risky_rows

MATRIX, LABELS = risky_rows()


@cache
def fitted(name: str) -> tuple[Learner, ExportedModel]:
    learner = make_learner(name).fit(MATRIX, LABELS)
    return learner, learner.export()


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_the_parameters_make_the_same_learner_again(name):
    learner = make_learner(name, seed=7)
    stored = json.loads(json.dumps(learner.parameters()))
    assert make_learner(name, **stored).parameters() == learner.parameters()


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_a_bundle_with_one_changed_byte_is_refused(name, tmp_path):
    manifest, files = trained_payments(name)
    digest = write_bundle(tmp_path, manifest, files)
    assert load_bundle(tmp_path, digest).predictor is not None
    for file in sorted((tmp_path / digest).iterdir()):
        good = file.read_bytes()
        for place in (0, len(good) // 2, len(good) - 1):
            file.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            with pytest.raises(BundleError, match="changed"):
                load_bundle(tmp_path, digest)
        file.write_bytes(good)
    assert load_bundle(tmp_path, digest).digest == digest


def test_the_served_isolation_forest_is_scikit_learns():
    learner, exported = fitted("isolation_forest")
    served = Model(exported.onnx, link=exported.link).score(MATRIX)
    assert np.abs(served + learner.model_.score_samples(MATRIX)).max() < 1e-6


def test_xgboosts_margin_is_the_librarys_own():
    xgboost = pytest.importorskip("xgboost")
    learner, _ = fitted("xgboost")
    theirs = learner.booster_.predict(xgboost.DMatrix(MATRIX), output_margin=True)
    # The library adds up in float32.
    assert np.abs(learner.margin(MATRIX) - theirs).max() < 1e-4


def test_contributions_equal_xgboosts_own():
    xgboost = pytest.importorskip("xgboost")
    learner, exported = fitted("xgboost")
    theirs = learner.booster_.predict(xgboost.DMatrix(MATRIX), pred_contribs=True)
    ours = Explainer.from_arrays(exported.arrays)
    assert np.abs(ours.contributions(MATRIX) - theirs[:, :-1]).max() < 1e-4
    assert ours.base == pytest.approx(float(theirs[0, -1]), abs=1e-4)


def test_the_forests_votes_are_scikit_learns():
    learner, exported = fitted("random_forest")
    served = Model(exported.onnx, link=exported.link).score(MATRIX)
    assert np.abs(served - learner.model_.predict_proba(MATRIX)[:, 1]).max() < 1e-6


def test_votes_of_unseen_rows_are_more_modest_than_those_of_seen_ones():
    learner, _ = fitted("random_forest")
    unseen = learner.votes_of_unseen(MATRIX)
    assert roc_auc(LABELS, unseen) < roc_auc(LABELS, learner.margin(MATRIX))


def test_the_vote_is_the_mean_of_both_log_odds():
    learner, _ = fitted("voting_ensemble")
    voted = learner.slope_ * learner.forest_.margin(MATRIX) + learner.intercept_
    mean = (learner.booster_.margin(MATRIX) + voted) / 2
    assert np.abs(learner.margin(MATRIX) - mean).max() < 1e-12
    assert learner.slope_ > 0


def tail_sums(rows, sample):
    """The outlier score of Li et al. (2022), with each row added to the sample."""
    n = len(sample)
    left = (np.sum(sample[None] <= rows[:, None], axis=1) + 1) / (n + 1)
    right = (np.sum(sample[None] >= rows[:, None], axis=1) + 1) / (n + 1)
    skewed = np.mean((sample - sample.mean(axis=0)) ** 3, axis=0) > 0
    sides = (left, right, np.where(skewed, right, left))
    return np.max([-np.log(side).sum(axis=1) for side in sides], axis=0)


def test_ecod_is_the_papers_formula():
    sample = MATRIX[:400].astype(float)
    learner = make_learner("ecod", step=1.001).fit(MATRIX[:400])
    exact = tail_sums(sample, sample)
    assert np.allclose(learner.margin(MATRIX[:400]), exact / np.median(exact), atol=1e-9)


def test_ecods_tails_are_off_by_no_more_than_the_step():
    sample = MATRIX.astype(float)
    learner = make_learner("ecod", step=1.05).fit(MATRIX)
    found = learner.margin(MATRIX) * float(learner.arrays_["typical"])
    most = 5 * np.log(1.05)  # one of the six columns never varies
    assert np.abs(found - tail_sums(sample, sample)).max() <= most
    assert learner.arrays_["edges"].size < len(MATRIX)


def shapley(worth, m):
    """Shapley values by definition: the mean over all orders in which columns become known."""
    found = np.zeros(m)
    orders = list(permutations(range(m)))
    for order in orders:
        known: set[int] = set()
        for column in order:
            before = worth(known)
            known.add(column)
            found[column] += (worth(known) - before) / len(orders)
    return found


def test_contributions_of_support_vectors_are_shapley_values():
    rows = MATRIX[:300, :4]
    arrays = make_learner("one_class_svm").fit(rows).export().arrays
    for row in MATRIX[300:305, :4]:
        z = (row - arrays["center"]) * arrays["slope"]
        own = np.exp(-arrays["gamma"] * (z - arrays["support"]) ** 2)

        def worth(known, own=own):
            told = [j in known for j in range(4)]
            return -(arrays["dual"] * np.where(told, own, arrays["share"]).prod(axis=1)).sum()

        found = Explainer.from_arrays(arrays).contributions(row[None])[0]
        assert np.abs(found - shapley(worth, 4)).max() < 1e-12


def test_an_autoencoder_notices_what_never_goes_together():
    rng = np.random.default_rng(4)
    cause = rng.normal(size=(2000, 1))
    rows = np.hstack([cause, 2 * cause, -cause]) + 0.05 * rng.normal(size=(2000, 3))
    learner = make_learner("autoencoder").fit(rows.astype(np.float32))
    usual, odd = learner.score(np.float32([[1, 2, -1], [1, -2, -1]]))
    assert usual < 0.9 < odd


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("random_forest", {"max_depth": 30}),
        ("random_forest", {"column_share": 0}),
        ("xgboost", {"max_depth": 9}),
        ("voting_ensemble", {"booster_weight": 1}),
        ("one_class_svm", {"outlier_share": 0}),
        ("autoencoder", {"narrow": 2}),
        ("ecod", {"step": 1}),
    ],
)
def test_parameters_that_cannot_be_are_refused(name, wrong):
    with pytest.raises(LearnerError, match=next(iter(wrong))):
        make_learner(name, **wrong).fit(MATRIX, LABELS)


@pytest.mark.parametrize("name", ["one_class_svm", "autoencoder", "ecod"])
@pytest.mark.parametrize("value", [3e38, -3e38, 1e12])
def test_values_far_from_everything_are_scored_and_explained(name, value):
    rows = np.vstack([MATRIX[:50], np.full((1, 6), value, np.float32)])
    learner, exported = fitted(name)
    assert check_parity(learner, exported, rows) < 1e-6
    assert learner.score(rows)[-1] >= np.quantile(learner.score(MATRIX), 0.99)


@pytest.mark.parametrize(("n", "epochs"), [(2, 1000), (300, 500), (8000, 32), (30_000, 30)])
def test_an_autoencoder_gets_a_thousand_updates_and_not_many_more(n, epochs, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "models_registry.core.learners.autoencoder.MLPRegressor.partial_fit",
        lambda self, rows, target: seen.append(len(rows)),
    )
    monkeypatch.setattr(Autoencoder, "_errors", lambda self, matrix: np.ones(matrix.shape))
    Autoencoder().fit(np.random.default_rng(1).normal(size=(n, 3)).astype(np.float32))
    assert seen == [n] * epochs
