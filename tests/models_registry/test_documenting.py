"""What training leaves beside a version, and that none of it can fail a training."""

from pathlib import Path

import lightgbm
import numpy as np
import pytest
import sklearn
import xgboost
from django.conf import settings

from jobs.models import Job
from jobs.services import cancel_job, run_job
from models_registry import (
    datasets,
    documenting,
    explaining,
    fitting,
    publishing,
    training,
    tuning,
)
from models_registry.artefacts import ArtefactError, artefact_path, read_artefact
from models_registry.core.global_explanation import ExplanationError
from models_registry.documenting import code_version
from models_registry.explaining import explanation_of, request_explanation, run_explanation
from models_registry.fitting import QuietProgress
from models_registry.promotion import promote
from models_registry.registry_models import Artefact, Lineage
from models_registry.tasks import explain_version_task
from models_registry.training import train_version
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def detector(db):
    made = detector_of(learning_config())
    history(made, events=400)
    return made


def train(detector, learner="logistic_regression"):
    return train_version(
        detector, learner=learner, trained_by=None, job=None,
        progress=QuietProgress(), now=KNOWN_AT,
    )  # fmt: skip


def test_lineage_names_code_and_parent(detector):
    first = train(detector)
    promote(first, actor=None)
    second = train(detector)
    assert (first.lineage.parent, second.lineage.parent) == (None, first)
    assert second.lineage.origin == Lineage.Origin.TRAINED
    assert len(second.lineage.code["digest"]) == 64
    assert second.lineage.code["packages"]["numpy"] == np.__version__


def test_the_code_of_a_version_tells_every_library_that_a_learner_comes_from():
    told = code_version()["packages"]
    assert (told["lightgbm"], told["scikit-learn"]) == (lightgbm.__version__, sklearn.__version__)
    # Its package may be named xgboost-cpu.
    assert [v for name, v in told.items() if "xgboost" in name] == [xgboost.__version__]


def test_training_explains_the_version_by_events_it_had_not_learnt_from(detector):
    version = train(detector)
    artefact, found, problem = explanation_of(version)
    assert problem == ""
    assert found.rows == version.metrics["rows"] == artefact.detail["rows"]
    by_name = {row["feature"]: row["direction"] for row in artefact.detail["features"]}
    assert by_name["TX_AMOUNT"] > 0.9
    assert artefact.detail["additivity_error"] < 1e-6
    assert not (artefact_path(artefact.digest).parent / version.digest).exists()


def test_a_failing_explanation_fails_no_training(detector, monkeypatch):
    def fail(*args):
        raise ExplanationError("too deep to be explained")

    monkeypatch.setattr(documenting, "explain_version", fail)
    version = train(detector)
    assert version.pk
    assert version.lineage.explanation_fault == "too deep to be explained"
    assert explanation_of(version) == (None, None, "")


def test_an_older_version_is_explained_by_a_job(detector):
    version = train(detector)
    Artefact.objects.all().delete()
    job = request_explanation(version, requested_by=None)
    assert request_explanation(version, requested_by=None) == job
    explain_version_task(job.pk)
    job.refresh_from_db()
    # The events were scored by the rules alone, whose bundle declares the same features.
    assert (job.status, job.error) == ("succeeded", "")
    assert explanation_of(version)[1].rows == job.result["rows"] > 20


@pytest.mark.parametrize("stage", ["unseen_vectors", "explain_globally"])
def test_a_cancelled_explanation_stops_and_leaves_what_was_there(detector, monkeypatch, stage):
    version = train(detector)
    before = Artefact.objects.get()
    asked, work = request_explanation(version, requested_by=None), getattr(explaining, stage)

    def cancel_after(*args, **kwargs):
        found = work(*args, **kwargs)
        cancel_job(asked, actor=None)
        return found

    monkeypatch.setattr(explaining, stage, cancel_after)
    assert run_job(asked.pk, run_explanation).status == "cancelled"
    assert Artefact.objects.get().detail == before.detail


def test_a_version_without_its_events_says_so(payments_detector, payments_digest):
    version = VersionFactory(detector=payments_detector, digest=payments_digest)
    job = run_job(request_explanation(version, requested_by=None).pk, run_explanation)
    assert job.status == "failed"
    assert "No stored event" in Job.objects.get().error


def test_a_changed_artefact_is_not_read(detector):
    version = train(detector)
    artefact = Artefact.objects.get()
    path = artefact_path(artefact.digest)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtefactError, match="was changed"):
        read_artefact(artefact)
    assert "was changed" in explanation_of(version)[2]


def test_a_missing_artefact_is_told(detector):
    version = train(detector)
    artefact_path(Artefact.objects.get().digest).unlink()
    assert "cannot be read" in explanation_of(version)[2]


def test_all_code_that_a_version_is_made_by_counts_for_its_digest():
    for place in documenting.CODE:
        assert (Path(settings.BASE_DIR) / place).exists(), place
    for module in (datasets, fitting, publishing, training, tuning):
        assert f"models_registry/{Path(module.__file__).name}" in documenting.CODE


@pytest.mark.parametrize("learner", ["lightgbm", "isolation_forest"])
def test_its_data_says_how_many_events_of_each_part_counted(detector, learner):
    version = train(detector, learner)
    spans = {part["name"]: part for part in version.dataset.divided}
    assert list(spans) == ["training", "validation", "test"]
    assert spans["test"]["events"] == version.metrics["rows"]
    assert spans["test"]["positives"] == version.metrics["positives"]
    assert version.dataset.counted_in_training == spans["training"]["events"]
    assert 0 < version.dataset.counted_in_training < version.dataset.rows
