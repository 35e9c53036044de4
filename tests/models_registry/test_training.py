"""A training run registers an honest challenger, or nothing at all."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from jobs.services import run_job
from models_registry.core.learners.base import LearnerError
from models_registry.core.splits import LabelHistory, SplitError
from models_registry.datasets import DatasetError, Rows
from models_registry.judging import finite
from models_registry.models import Dataset, ModelVersion
from models_registry.promotion import promote
from models_registry.retraining import request_training
from models_registry.training import QuietProgress, _plan, _split, run_training, train_version
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


@pytest.mark.parametrize("learner", ["lightgbm", "isolation_forest"])
def test_every_learner_can_be_trained_and_serve(detector, learner):
    history(detector, events=400)
    version = train(detector, learner)
    promote(version, actor=None)
    row = scored("cards", card(9999))
    assert 0 < row.score < 1
    assert row.additivity_error < 1e-6
    assert not row.degraded


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
    assert finite(given) == {"auc": None, "curve": [[1.0, None]], "deep": {"n": 3, "x": None}}


def test_a_wrong_clock_does_not_stretch_the_history():
    days = np.concatenate(([0.0], 18_000.0 + np.linspace(0.0, 60.0, 3000))) * 86400.0
    rows = np.arange(days.size)
    labels = LabelHistory(rows, (rows % 10 == 0).astype(np.int8), days + 86400.0)
    spec = detector_spec(learning_config())
    nothing = np.empty((days.size, 0))
    known_at = datetime.fromtimestamp(days[-1] + 86400.0, UTC)
    found = Rows(nothing, days, days, rows, labels, known_at)
    parts = _split(spec, found, _plan(spec, found))
    assert len(parts.train.rows) > 1500
    assert 0 not in parts.train.rows


def test_where_nobody_reports_what_nobody_labelled_is_not_learnt_from():
    days = np.linspace(0.0, 60.0, 3000) * 86400.0
    rows = np.arange(days.size)
    # Every tenth event is bad, every tenth is known to be good, of the others nobody spoke.
    spoken = rows[(rows % 10 == 0) | (rows % 10 == 1)]
    values = (spoken % 10 == 0).astype(np.int8)
    labels = LabelHistory(spoken, values, days[spoken] + 3600.0)
    known_at = datetime.fromtimestamp(days[-1] + 86400.0, UTC)
    found = Rows(np.empty((days.size, 0)), days, days, rows, labels, known_at)
    sizes = {}
    for silence in (True, False):
        spec = detector_spec(learning_config(unlabelled_is_legitimate=silence))
        parts = _split(spec, found, _plan(spec, found))
        sizes[silence] = len(parts.train.rows)
        assert parts.train.positives == pytest.approx(
            len(parts.train.rows) * (0.1, 0.5)[not silence], rel=0.05
        )
    assert sizes[False] == pytest.approx(sizes[True] / 5, rel=0.02)


def test_a_version_carries_what_its_numbers_were_made_of(detector):
    history(detector)
    metrics = train(detector).metrics
    assert metrics["known_at"] == KNOWN_AT.isoformat()
    assert metrics["calibration"]["chosen"] in ("platt", "isotonic")
    assert metrics["intervals"]["average_precision"][0] < metrics["average_precision"]
    assert metrics["thresholds"]["review"] > 0
