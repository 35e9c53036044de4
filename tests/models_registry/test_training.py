"""A training run registers an honest challenger, or nothing at all."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from jobs.services import run_job
from models_registry.core.learners.base import LearnerError
from models_registry.core.learners.catalogue import LEARNERS
from models_registry.core.splits import LabelHistory, SplitError
from models_registry.datasets import DatasetError, Rows
from models_registry.forms import LEARNER_TITLES
from models_registry.models import Dataset, ModelVersion
from models_registry.promotion import promote
from models_registry.retraining import request_training
from models_registry.training import QuietProgress, _finite, _split, run_training, train_version
from scoring.core.bundle import load_bundle
from scoring.core.spec import parse_spec as detector_spec
from scoring.deployment import bundle_root, serving
from scoring.models import Label
from tests.factories import START, card, scored, scored_many
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config

pytestmark = pytest.mark.django_db


@pytest.fixture
def detector(db):
    return detector_of(learning_config())


def train(detector, learner="logistic_regression", **changed):
    given = {"trained_by": None, "job": None, "progress": QuietProgress(), "now": KNOWN_AT}
    return train_version(detector, learner=learner, **(given | changed))


def nothing_is_registered():
    return not ModelVersion.objects.exists() and not Dataset.objects.exists()


def test_a_challenger_is_registered_with_all_that_is_asked_of_it(detector, owner):
    history(detector)
    told = []
    progress = QuietProgress(lambda fraction, stage: told.append(stage))
    version = train(detector, trained_by=owner, progress=progress)
    assert (version.stage, version.label, version.trained_by) == ("challenger", "v1", owner)
    assert version.metrics["roc_auc"] > 0.9, version.metrics
    assert version.dataset.rows == 700
    assert version.comparison == {}
    assert version.training_seconds > 0
    bundle = load_bundle(bundle_root(), version.digest)
    assert bundle.predictor is not None
    assert bundle.manifest["training"]["dataset_digest"] == version.dataset.digest
    assert {"Reading logged events", "Registering"} <= set(told)
    assert serving("cards").version == "rules-only"


def test_every_learner_is_offered_by_its_own_title():
    assert set(LEARNER_TITLES) == set(LEARNERS)


@pytest.mark.parametrize("learner", sorted(LEARNERS))
def test_every_learner_can_be_trained_and_serve(detector, learner):
    history(detector, events=400)
    version = train(detector, learner)
    promote(version, actor=None)
    row = scored("cards", card(9999))
    # No tree of a forest may vote against an event: 0 is a score, None would be a failure.
    assert row.score is not None and 0 <= row.score < 1
    assert row.additivity_error < 1e-6
    assert not row.degraded


@pytest.mark.parametrize(
    "learner", sorted(name for name, learner in LEARNERS.items() if not learner.supervised)
)
def test_a_detector_without_labels_learns_what_is_usual(detector, learner):
    history(detector, events=400)
    Label.objects.all().delete()
    version = train(detector, learner)
    predictor = load_bundle(bundle_root(), version.digest).predictor
    assert predictor.calibration.kind == "none"
    # What is merely unusual goes to people and is never blocked.
    assert predictor.thresholds.review < 1.0 < predictor.thresholds.block
    assert version.metrics["positives"] == 0


def test_a_rare_class_is_balanced_in_training_rows_only(db):
    told = {"method": "under_sampling", "ratio": 1.0}
    plain, balanced = (
        detector_of(learning_config(imbalance=how) | {"slug": slug})
        for slug, how in (("cards", {"method": "none"}), ("cards_two", told))
    )
    for one in (plain, balanced):
        history(one)
    first, second = train(plain), train(balanced)
    for key in ("rows", "positives"):
        assert first.metrics[key] == second.metrics[key]
    assert second.parameters["imbalance"] == {**told, "neighbours": 5, "bags": 5}
    assert "imbalance" not in first.parameters
    # Calibrated on validation rows as they came, so what it says still holds.
    assert second.metrics["calibration_error"] < 0.1
    manifest = load_bundle(bundle_root(), second.digest).manifest
    assert manifest["parameters"]["imbalance"]["method"] == "under_sampling"


def test_the_champions_numbers_stand_beside_the_candidates(detector):
    history(detector, events=400)
    promote(train(detector), actor=None)
    second = train(detector)
    assert second.label == "v2"
    assert second.comparison["champion_digest"] == serving("cards").bundle.digest
    assert second.comparison["champion_saw_test_rows"] is False


def test_the_same_data_gives_the_same_dataset(detector):
    history(detector, events=400)
    assert train(detector).dataset.digest == train(detector).dataset.digest


def test_too_few_labels_register_nothing_and_say_so(detector):
    history(detector, events=400)
    Label.objects.filter(is_fraud=True).delete()
    with pytest.raises(DatasetError, match=r"Only 0 labelled positives .* 20 are needed"):
        train(detector)
    assert nothing_is_registered()


def test_too_short_a_history_registers_nothing(detector):
    scored_many("cards", [card(i) for i in range(30)])
    with pytest.raises(SplitError, match="too few"):
        train(detector, now=START.replace(day=2))
    assert nothing_is_registered()


def test_an_unknown_learner_registers_nothing(detector):
    history(detector, events=400)
    with pytest.raises(LearnerError, match="magic"):
        train(detector, "magic")
    assert nothing_is_registered()


def test_a_learner_that_fails_registers_nothing(detector, monkeypatch):
    history(detector, events=400)
    monkeypatch.setattr("models_registry.training.check_parity", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(detector)
    assert not ModelVersion.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_job_trains_and_tells_where_the_version_is(detector, owner, monkeypatch):
    monkeypatch.setattr("models_registry.training.timezone.now", lambda: KNOWN_AT)
    history(detector, events=400)
    job = run_job(request_training(detector, requested_by=owner).pk, run_training)
    version = ModelVersion.objects.get()
    assert (job.status, job.error) == ("succeeded", "")
    assert job.result["version"] == version.pk
    assert (version.job_id, version.trained_by) == (job.pk, owner)
    assert any("positive" in line["text"] for line in job.log)


@pytest.mark.django_db(transaction=True)
def test_a_job_with_nothing_to_learn_from_fails_with_words(detector):
    job = run_job(request_training(detector, requested_by=None).pk, run_training)
    assert job.status == "failed"
    assert "No events" in job.error
    assert nothing_is_registered()


def test_what_is_not_finite_becomes_null():
    given = {"auc": math.nan, "curve": [(1.0, math.inf)], "deep": {"n": 3, "x": -math.inf}}
    assert _finite(given) == {"auc": None, "curve": [[1.0, None]], "deep": {"n": 3, "x": None}}


def test_a_wrong_clock_does_not_stretch_the_history():
    days = np.concatenate(([0.0], 18_000.0 + np.linspace(0.0, 60.0, 3000))) * 86400.0
    rows = np.arange(days.size)
    labels = LabelHistory(rows, (rows % 10 == 0).astype(np.int8), days + 86400.0)
    spec = detector_spec(learning_config())
    nothing = np.empty((days.size, 0))
    known_at = datetime.fromtimestamp(days[-1] + 86400.0, UTC)
    parts = _split(spec, Rows(nothing, days, days, rows, labels, known_at))
    assert len(parts.train.rows) > 1500
    assert 0 not in parts.train.rows
