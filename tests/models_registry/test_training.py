"""A training run registers an honest challenger, or nothing at all."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from jobs.models import Job
from jobs.progress import JobCancelled, JobProgress
from jobs.services import cancel_job, claim_job, requeue_lost, run_job
from models_registry.core.learners.base import LearnerError
from models_registry.core.learners.catalogue import LEARNERS
from models_registry.core.learners.logistic_regression import LogisticRegression
from models_registry.core.splits import LabelHistory, SplitError
from models_registry.datasets import DatasetError, Rows
from models_registry.fitting import QuietProgress
from models_registry.forms import LEARNER_TITLES
from models_registry.judging import finite, knowledge_ends
from models_registry.models import Dataset, ModelVersion
from models_registry.promotion import promote
from models_registry.retraining import TRAIN, request_training
from models_registry.training import _plan, _split, run_training, train_version
from models_registry.tuning_models import TuningTrial
from scoring.core.bundle import load_bundle
from scoring.core.spec import LEARNERS as DECLARABLE
from scoring.core.spec import parse_spec as detector_spec
from scoring.deployment import bundle_root, serving
from scoring.models import Label
from tests.factories import START, card, scored, scored_many
from tests.models_registry.learning import (
    KNOWN_AT,
    detector_of,
    history,
    learning_config,
)

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
    bands = bundle.manifest["calibration_band"]["groups"]
    assert sum(group["rows"] for group in bands) == version.metrics["rows"]
    assert {"Reading logged events", "Registering"} <= set(told)
    assert serving("cards").version == "rules-only"


def test_parameters_are_searched_first_where_that_is_asked_for(detector):
    history(detector)
    version = train(detector, learner="lightgbm", tune_for=0.01)
    found = version.metrics["tuning"]
    assert found["trials"] == TuningTrial.objects.count() >= 1
    assert {k: version.parameters[k] for k in found["parameters"]} == found["parameters"]
    assert load_bundle(bundle_root(), version.digest).manifest["parameters"] == version.parameters


def test_a_job_searches_for_as_long_as_it_was_asked_to_or_as_declared(detector):
    asked = request_training(detector, requested_by=None, tune_for=300.0)
    assert asked.params["tune_for"] == 300.0
    Job.objects.update(status="succeeded")
    detector.config["training"]["tune_for"] = "10m"
    detector.save(update_fields=["config"])
    assert request_training(detector, requested_by=None).params["tune_for"] == 600.0


def test_every_learner_is_offered_by_its_own_title():
    assert set(LEARNER_TITLES) == set(LEARNERS) == set(DECLARABLE)


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


def test_a_label_in_dispute_weighs_less_in_training(detector, monkeypatch):
    given = {}
    fit = LogisticRegression.fit

    def seen(self, matrix, labels=None, **more):
        given["weights"], given["labels"] = more["weights"], labels
        return fit(self, matrix, labels, **more)

    monkeypatch.setattr(LogisticRegression, "fit", seen)
    history(detector)
    train(detector)
    assert given["weights"] is None
    Label.objects.filter(is_fraud=True).update(confidence=0.5)
    version = train(detector)
    assert (given["weights"][given["labels"] == 1] == 0.5).all()
    assert (given["weights"][given["labels"] == 0] == 1.0).all()
    assert version.dataset.detail["unsure"] == Label.objects.filter(is_fraud=True).count()


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
    monkeypatch.setattr("models_registry.publishing.check_parity", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(detector)
    assert nothing_is_registered()


@pytest.mark.django_db(transaction=True)
def test_a_job_trains_and_tells_where_the_version_is(detector, owner):
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


class Deaf(JobProgress):
    """An attempt that finds out only at the very end that its job is another's."""

    def check_cancelled(self):
        pass


@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_lost_its_job_registers_no_version(detector):
    history(detector, events=400)
    job = claim_job(request_training(detector, requested_by=None).pk)
    requeue_lost(timezone.now() + timedelta(seconds=61))
    claim_job(job.pk)
    with pytest.raises(JobCancelled, match="no longer ours"):
        train(detector, job=job, progress=Deaf(job))
    assert nothing_is_registered()


@pytest.mark.django_db(transaction=True)
def test_a_job_cancelled_while_its_version_is_written_registers_none(detector, owner):
    history(detector, events=400)
    job = claim_job(request_training(detector, requested_by=None).pk)
    cancel_job(Job.objects.get(pk=job.pk), actor=owner)
    with pytest.raises(JobCancelled):
        train(detector, job=job, progress=Deaf(job))
    assert nothing_is_registered()


@pytest.mark.django_db(transaction=True)
def test_an_attempt_after_one_that_died_at_the_end_finds_its_version(detector):
    history(detector, events=400)
    job = claim_job(request_training(detector, requested_by=None).pk)
    version = train(detector, job=job, progress=JobProgress(job))
    Job.objects.update(status="queued")
    again = run_job(job.pk, run_training)
    assert (again.status, again.result["version"]) == ("succeeded", version.pk)
    assert ModelVersion.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_training_is_cancelled_while_its_learner_is_deep_in_a_library(
    detector, owner, monkeypatch
):
    history(detector, events=400)
    deep, free = threading.Event(), threading.Event()

    def stuck(self, *given):
        deep.set()
        free.wait(30)

    monkeypatch.setattr(LogisticRegression, "_fit", stuck)
    job = request_training(detector, requested_by=owner)

    def cancel():
        deep.wait(30)
        cancel_job(job, actor=owner)
        connection.close()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    begun = time.monotonic()
    ended = run_job(job.pk, run_training)
    free.set()
    canceller.join()
    assert (ended.status, ended.error) == ("cancelled", "Cancelled on request.")
    assert time.monotonic() - begun < 20
    assert nothing_is_registered()


@pytest.mark.django_db(transaction=True)
def test_of_eight_owners_who_click_at_once_one_training_comes(detector, owner, monkeypatch):
    monkeypatch.setattr("models_registry.views.announce_job", lambda job: None)

    def click(_):
        client = Client()
        client.force_login(owner)
        try:
            return client.post("/models/train/cards/", {"learner": "lightgbm"}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(click, range(8))) == {302}
    assert Job.objects.filter(kind=TRAIN).count() == 1


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


def of_long_ago(*, events=(), labels=(), n=3000):
    """60 days of events of some ten years ago, labelled within a day, and a few `events` and
    `labels` beside them; all in days since 1970. Read today."""
    days = np.sort(np.concatenate((17_000.0 + np.linspace(0.0, 60.0, n), events))) * 86400.0
    rows = np.arange(days.size)
    known = np.concatenate((days + 86400.0, np.array(labels) * 86400.0))
    which = np.concatenate((rows, rows[: len(labels)]))
    history = LabelHistory(which, (which % 10 == 0).astype(np.int8), known)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return Rows(np.empty((days.size, 0)), days, days, rows, history, now)


TODAY = datetime(2026, 1, 1, tzinfo=UTC).timestamp() / 86400.0


@pytest.mark.parametrize("n", [600, 3000])
@pytest.mark.parametrize(
    "strays", [{"events": [TODAY]}, {"labels": [TODAY]}, {"events": [TODAY], "labels": [TODAY]}]
)
def test_an_event_or_label_of_today_does_not_stretch_an_imported_history(strays, n):
    spec = detector_spec(learning_config())
    plain, found = of_long_ago(n=n), of_long_ago(**strays, n=n)
    parts = _split(spec, found, _plan(spec, found))
    expected = len(_split(spec, plain, _plan(spec, plain)).train.rows)
    assert len(parts.train.rows) == pytest.approx(expected, abs=3)


def test_many_labels_of_today_speak_for_events_up_to_the_newest_only():
    found = of_long_ago(labels=[TODAY] * 500)
    assert knowledge_ends(found, delay=86400.0) == pytest.approx(17_061.0 * 86400.0, abs=9000.0)


def test_in_live_use_knowledge_ends_now():
    found = replace(of_long_ago(), known_at=datetime.fromtimestamp(17_058.0 * 86400.0, UTC))
    assert knowledge_ends(found, delay=86400.0) == found.known_at.timestamp()


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
