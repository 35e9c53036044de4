"""A version judged again: with newer labels, over earlier weeks, or with moved thresholds."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job
from jobs.progress import JobCancelled, JobProgress
from jobs.services import cancel_job, claim_job, requeue_lost, run_job
from models_registry.core.kept_metrics import OF_POSITIVES, cards_in
from models_registry.core.splits import TimeSplit
from models_registry.evaluating import (
    EvaluationError,
    _over,
    evaluate_as_of,
    evaluate_folds,
    run_evaluation,
    searched_until,
)
from models_registry.evaluation_jobs import request_evaluation
from models_registry.evaluation_models import Evaluation
from models_registry.fitting import QuietProgress, told_while_reading
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.threshold_moves import publish_thresholds
from scoring.labelling import record_label
from scoring.models import Label, Prediction
from tests.models_registry.learning import (
    KNOWN_AT,
    CancelledAt,
    detector_of,
    first_version,
    history,
    learning_config,
)
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


def judge(version, by=evaluate_as_of, **changed):
    given = {"requested_by": None, "job": None, "progress": QuietProgress(), "now": KNOWN_AT}
    return by(version, **(given | changed))


@pytest.fixture
def trained(db):
    """v1 of a detector with 40 days of history."""
    detector = detector_of(learning_config())
    history(detector)
    return first_version(detector)


def test_on_the_same_events_and_labels_it_finds_what_training_found(trained):
    found = judge(trained)
    for name in ("average_precision", "brier", "cost_per_event", "recall"):
        assert found.metrics[name] == pytest.approx(trained.metrics[name], abs=1e-6), name
    assert found.metrics["rows"] == trained.metrics["rows"]


def test_newer_labels_change_what_is_known_and_both_times_are_told(trained):
    before = trained.metrics["positives"]
    row = Prediction.objects.filter(labels__is_fraud=False).order_by("-event_time")[60]
    later = KNOWN_AT + timedelta(days=2)
    record_label(
        row, is_fraud=True, source=Label.Source.ANALYST, label_time=KNOWN_AT + timedelta(days=1)
    )
    found = judge(trained, now=later)
    assert found.metrics["positives"] >= before + 1
    assert found.metrics["known_at"] == later.isoformat()
    assert trained.metrics["known_at"] == KNOWN_AT.isoformat()
    assert "average_precision" in found.metrics["intervals"]


def test_a_label_of_today_counts_though_the_history_ended_years_ago(trained):
    before = trained.metrics["positives"]
    row = Prediction.objects.filter(labels__is_fraud=False).order_by("-event_time")[60]
    years = timedelta(days=3650)
    record_label(row, is_fraud=True, source=Label.Source.ANALYST, label_time=KNOWN_AT + years)
    found = judge(trained, now=KNOWN_AT + years + timedelta(hours=1))
    assert found.metrics["positives"] == before + 1
    assert found.last_event_at < KNOWN_AT


def test_events_that_it_learnt_from_are_never_judged(trained):
    found = judge(trained)
    split = trained.dataset.detail["split"]
    assert found.first_event_at.timestamp() >= split["validation_end"] + split["delay"]


def test_a_young_event_is_not_judged_however_early_its_label_came(trained):
    found = judge(trained, now=KNOWN_AT + timedelta(days=5))
    newest = Label.objects.order_by("-label_time").first().label_time
    assert found.last_event_at < newest - timedelta(days=1)


def test_without_a_matured_event_it_says_so(trained):
    split = trained.dataset.detail["split"]
    trained.dataset.detail["split"] = split | {"validation_end": KNOWN_AT.timestamp()}
    with pytest.raises(EvaluationError, match=r"had not learnt from and that are \d+ \w+ old"):
        judge(trained)
    assert not Evaluation.objects.exists()


def test_folds_tell_mean_and_spread_of_the_algorithm(trained):
    found = judge(trained, evaluate_folds)
    folds = found.metrics["folds"]
    assert len(folds) == 4
    values = [fold["average_precision"] for fold in folds]
    assert found.metrics["mean"]["average_precision"] == pytest.approx(np.mean(values))
    assert found.metrics["std"]["average_precision"] == pytest.approx(np.std(values))
    assert min(values) < 1.0
    for fold in folds:
        low, high = fold["intervals"]["average_precision"]
        if fold["average_precision"] == pytest.approx(1.0):
            assert low is high is None, "a perfect fold is not made certain"
        else:
            assert low <= fold["average_precision"] <= high
        [card] = cards_in(fold)
        assert fold["ceilings"][card] >= fold[card]
    assert len({name for fold in folds for name in cards_in(fold)}) == 1
    assert cards_in(found.metrics["mean"]) == cards_in(folds[0])
    assert ModelVersion.objects.count() == 1


def test_the_mean_f1_is_that_of_the_folds():
    folds = [{"precision": 1.0, "recall": 0.2, "f1": 1 / 3}, {"precision": 0.2, "recall": 1.0}]
    folds[1]["f1"] = 1 / 3
    mean = _over(folds)["mean"]
    assert mean == {"precision": 0.6, "recall": 0.6, "f1": pytest.approx(1 / 3)}


def test_folds_without_a_value_leave_the_mean_to_the_others():
    folds = [{"recall": 0.5, "f1": math.nan}, {"recall": math.nan, "f1": math.nan}, {"recall": 0.7}]
    folds[2]["f1"] = math.nan
    found = _over(folds)
    assert found["mean"]["recall"] == pytest.approx(0.6)
    assert found["std"]["recall"] == pytest.approx(0.1)
    assert math.isnan(found["mean"]["f1"]) and math.isnan(found["std"]["f1"])
    assert found["mean"].keys() == {"recall", "f1"}


def test_a_fold_with_nothing_to_find_has_no_recall(trained, monkeypatch):
    def nothing(split, *rest, **how):
        parts = apply(split, *rest, **how)
        return replace(parts, test=replace(parts.test, labels=np.zeros_like(parts.test.labels)))

    apply = TimeSplit.apply
    monkeypatch.setattr(TimeSplit, "apply", nothing)
    found = judge(trained, evaluate_folds).metrics
    for name in (*OF_POSITIVES, *cards_in(found["mean"])):
        assert [fold[name] for fold in found["folds"]] == [None] * 4
        assert found["mean"][name] is None


def test_folds_on_days_that_chose_the_parameters_say_so(trained):
    plain = judge(trained, evaluate_folds).metrics["folds"]
    trained.metrics["tuning"] = {"parameters": {}}
    folds = judge(trained, evaluate_folds).metrics["folds"]
    end = trained.dataset.detail["split"]["validation_end"]
    assert [fold["chose_parameters"] for fold in plain] == [False] * 4
    assert [fold["chose_parameters"] for fold in folds] == [f["test_start"] < end for f in folds]
    assert [fold["chose_parameters"] for fold in folds] == [True, True, False, False]


def test_where_nobody_knows_which_days_chose_the_parameters_all_may_have(trained):
    trained.metrics["tuning"], trained.dataset.detail = {"parameters": {}}, {}
    assert searched_until(trained) == np.inf


def test_moved_thresholds_are_compared_with_those_that_they_replace(trained):
    promote(trained, actor=None)
    stand = trained.metrics["thresholds"]
    made = publish_thresholds(
        trained, review=stand["review"] / 2, block=None, actor=None, reason="See more"
    )
    judge(made)
    made.refresh_from_db()
    assert made.comparison["champion_digest"] == trained.digest
    assert made.comparison["average_precision"]["difference"] == 0.0
    assert made.comparison["cost"]["low"] <= made.comparison["cost"]["difference"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", Evaluation.Kind.values)
def test_a_job_evaluates_and_tells_where_to_look(trained, owner, monkeypatch, kind):
    monkeypatch.setattr("models_registry.evaluating.timezone.now", lambda: KNOWN_AT)
    job = run_job(request_evaluation(trained, kind=kind, requested_by=owner).pk, run_evaluation)
    assert (job.status, job.error) == ("succeeded", "")
    found = Evaluation.objects.get()
    assert (found.kind, found.job_id, found.requested_by) == (kind, job.pk, owner)
    assert job.result["url"] == trained.get_absolute_url()


class Deaf(JobProgress):
    """An attempt that finds out only at the very end that its job was cancelled."""

    def check_cancelled(self):
        pass


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by", [evaluate_as_of, evaluate_folds])
def test_a_cancelled_evaluation_keeps_nothing(trained, owner, by):
    job = claim_job(request_evaluation(trained, kind="as_of", requested_by=owner).pk)
    cancel_job(Job.objects.get(), actor=owner)
    with pytest.raises(JobCancelled):
        judge(trained, by=by, job=job, progress=Deaf(job))
    assert not Evaluation.objects.exists()


@pytest.mark.parametrize("by", [evaluate_as_of, evaluate_folds])
def test_an_evaluation_is_cancelled_while_events_are_read(trained, monkeypatch, by):
    begun, progress = [], CancelledAt("Reading logged events")
    monkeypatch.setattr("models_registry.datasets._labels", lambda *given: begun.append(given))
    monkeypatch.setattr("models_registry.fitting.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("models_registry.logged_vectors.CHUNK", 100)
    with pytest.raises(JobCancelled):
        judge(trained, by=by, progress=progress)
    assert begun == []


def test_while_events_are_read_it_is_looked_a_few_times_a_second_whether_to_stop():
    looks, progress = [], CancelledAt("never")
    progress.check_cancelled = lambda: looks.append(1)
    report = told_while_reading(progress, "Reading", low=0.2, high=0.4)
    for part in range(100):
        report(part / 100)
    assert (len(looks), len(progress.stages)) == (1, 101)


@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_lost_its_job_compares_no_moved_thresholds(trained):
    promote(trained, actor=None)
    review = trained.metrics["thresholds"]["review"] / 2
    made = publish_thresholds(trained, review=review, block=None, actor=None, reason="See more")
    job = claim_job(request_evaluation(made, kind="as_of", requested_by=None).pk)
    requeue_lost(timezone.now() + timedelta(seconds=61))
    claim_job(job.pk)
    with pytest.raises(JobCancelled, match="no longer ours"):
        judge(made, job=job, progress=Deaf(job))
    made.refresh_from_db()
    assert made.comparison == {}


def test_an_attempt_after_one_that_died_at_the_end_finds_its_evaluation(trained):
    job = claim_job(request_evaluation(trained, kind="as_of", requested_by=None).pk)
    found = judge(trained, job=job)
    Job.objects.update(status="queued")
    again = run_job(job.pk, run_evaluation)
    assert (again.status, again.result["evaluation"]) == ("succeeded", found.pk)
    assert Evaluation.objects.count() == 1


def test_two_requests_at_once_are_one_job(trained, owner):
    first = request_evaluation(trained, kind="as_of", requested_by=owner)
    assert request_evaluation(trained, kind="as_of", requested_by=owner).pk == first.pk


def test_an_evaluation_of_another_kind_under_way_is_told(client, owner, payments_detector):
    version = VersionFactory(detector=payments_detector)
    job = request_evaluation(version, kind="as_of", requested_by=owner)
    client.force_login(owner)
    url = reverse("model_evaluate", args=[version.pk])
    page = client.post(url, {"kind": "folds"}, follow=True).content.decode()
    assert f"Job {job.pk} is evaluating {version.label} already (How: as of today)" in page
    assert Job.objects.get().params["kind"] == "as_of"


def test_the_random_audit_corrects_recall_where_it_drew_enough(trained, monkeypatch):
    rows = Prediction.objects.filter(selection_reason="")
    ids = list(rows.values_list("pk", flat=True))[::2]
    Prediction.objects.filter(pk__in=ids).update(selection_reason="random_audit", propensity=0.5)
    few = judge(trained).metrics["audited"]
    assert few["recall"] is None
    monkeypatch.setattr("models_registry.core.audit.correct.__kwdefaults__", {"minimum": 20})
    found = judge(trained).metrics["audited"]
    assert found["recall"]["low"] <= found["recall"]["value"] <= found["recall"]["high"]
