"""A search for parameters belongs to its data: kept trial by trial, taken up again, never on the
test part."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from jobs.remaining import SEARCHED, USUAL, foretell, told_since
from jobs.services import run_job
from models_registry.core.learners.gradient_boosting import GradientBoosting
from models_registry.core.splits import LabelHistory
from models_registry.core.tuning import Trial
from models_registry.fitting import QuietProgress
from models_registry.models import ModelVersion
from models_registry.retraining import request_training
from models_registry.selectors import usual_training
from models_registry.training import run_training
from models_registry.tuning import (
    MOST_FOLDS,
    _how_far,
    _study_key,
    fold_times,
    kept_trials,
    make_folds,
    tune_parameters,
)
from models_registry.tuning_models import TuningTrial
from scoring.labelling import record_truths
from scoring.models import Label
from tests.factories import START, card, scored
from tests.models_registry.learning import detector_of, history, learning_config
from tests.models_registry.versions import VersionFactory, moved_from

DAY = 86400.0
ONE_DAY = timedelta(days=1)
pytestmark = pytest.mark.django_db


@pytest.fixture
def detector(db):
    return detector_of(learning_config())


def rows_of(spec, n=1200, days=60.0):
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(n, len(spec.features)))
    fraud = vectors[:, 0] + rng.normal(size=n) > 1.5
    time = np.sort(rng.uniform(0.0, days * DAY, n))
    row = np.flatnonzero(fraud)
    labels = LabelHistory(row, np.ones(len(row), np.int8), time[row] + DAY)
    known_at = datetime.fromtimestamp(days * DAY, UTC)
    return SimpleNamespace(vectors=vectors, event_time=time, labels=labels, known_at=known_at)


def tune(detector, rows, *, seconds=0.5, digest="a" * 64, progress=None, spec=None):
    return tune_parameters(
        detector, learner="lightgbm", spec=spec or detector.spec(), rows=rows, start=0.0,
        end=50.0 * DAY, data_digest=digest, seconds=seconds, progress=progress or QuietProgress(),
    )  # fmt: skip


@pytest.mark.parametrize("delay", [0.0, 2.0, 7.0])
def test_folds_wait_for_labels_and_end_where_they_should(delay):
    found = fold_times(10.0, 70.0, delay=delay)
    assert len(found) == MOST_FOLDS
    assert found[0][0] == 10.0
    assert found[-1][3] == pytest.approx(70.0)
    for learnt_from, learnt_to, judged_from, judged_to in found:
        assert judged_from == pytest.approx(learnt_to + delay)
        assert judged_to - judged_from == pytest.approx((60.0 - delay) / 6)
        assert learnt_to - learnt_from == pytest.approx((60.0 - delay) / 3)
    assert [f[2] for f in found[1:]] == pytest.approx([f[3] for f in found[:-1]])


def test_a_short_history_has_no_folds():
    assert fold_times(0.0, 7.0, delay=7.0) == []


def test_folds_read_labels_as_they_were_known(detector):
    spec = detector.spec()
    rows = rows_of(spec)
    late = LabelHistory(rows.labels.row, rows.labels.value, rows.labels.time + 1000 * DAY)
    times = fold_times(0.0, 50.0 * DAY, delay=spec.training.label_delay)
    assert len(make_folds(spec, rows, times)) == MOST_FOLDS
    rows.labels = late
    assert make_folds(spec, rows, times) == []


def test_trials_are_kept_and_a_second_attempt_takes_them_over(detector):
    rows, told = rows_of(detector.spec()), []
    first = tune(detector, rows)
    kept = TuningTrial.objects.count()
    assert kept == first["trials"] == len(kept_trials(first["study"])) >= 1
    again = tune(detector, rows, progress=QuietProgress(lambda fraction, stage: told.append(stage)))
    assert any(f"{kept} trials of an earlier attempt" in stage for stage in told)
    assert (again["study"], again["trials"]) == (first["study"], kept)


def test_what_is_learned_with_is_kept_with_the_numbers_of_its_trials(detector):
    rows = rows_of(detector.spec())
    before = tune(detector, rows)
    first, count = TuningTrial.objects.get(number=before["chosen"][0]), before["trials"]
    for number, more in ((count, 0.004), (count + 1, -0.02)):
        first.pk, first.number, first.value = None, number, before["best"] + more
        first.save(force_insert=True)
    found = tune(detector, rows)
    best, second, *_ = (kept_trials(found["study"])[number] for number in found["chosen"])
    assert (best.number, best.value) == (count, found["best"])
    assert second.number == before["chosen"][0]
    assert count + 1 not in found["chosen"]
    assert found["parameters"]["mean_with"][0] == second.parameters


def test_other_data_is_another_study(detector):
    rows = rows_of(detector.spec())
    first, second = tune(detector, rows), tune(detector, rows, digest="b" * 64)
    assert first["study"] != second["study"]


def test_features_prepared_otherwise_are_another_study(detector):
    spec, rows = detector.spec(), rows_of(detector.spec())
    first = spec.features[0]
    logged = replace(first, prepared=replace(first.prepared, log=True))
    other = replace(spec, features=(logged, *spec.features[1:]))
    assert tune(detector, rows)["study"] != tune(detector, rows, spec=other)["study"]


def test_the_settings_that_it_was_given_tell_a_study_not_those_of_today(detector):
    spec = detector.spec()
    other = replace(spec, training=replace(spec.training, unlabelled_is_legitimate=False))
    found = [_study_key(detector, "lightgbm", one, "a" * 64, []) for one in (spec, other)]
    assert found[0] != found[1]


def test_why_a_trial_failed_is_kept_and_told(detector, monkeypatch):
    def fail(*args):
        raise MemoryError("no room")

    told = []
    monkeypatch.setattr(GradientBoosting, "_fit", fail)
    found = tune(
        detector, rows_of(detector.spec()), seconds=1e-9,
        progress=QuietProgress(lambda fraction, stage: told.append(stage)),
    )  # fmt: skip
    [kept] = kept_trials(found["study"])
    assert (found["failed"], found["given_up"], kept.error) == (1, 0, "MemoryError: no room")
    assert "Trial 1 failed: MemoryError: no room" in told
    assert (found["parameters"], found["best"]) == ({}, None)


def test_no_time_and_no_space_mean_no_search(detector):
    rows = rows_of(detector.spec())
    assert tune(detector, rows, seconds=0.0) == {}
    found = tune_parameters(
        detector, learner="isolation_forest", spec=detector.spec(), rows=rows, start=0.0,
        end=50.0 * DAY, data_digest="", seconds=60.0, progress=QuietProgress(),
    )  # fmt: skip
    assert found == {}
    assert not TuningTrial.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_second_attempt_goes_on_searching_whatever_has_come_since(detector, monkeypatch):
    """A detector that is in use has new events, late ones and labels by then."""
    history(detector, events=400)
    job = request_training(detector, requested_by=None, learner="lightgbm", tune_for=0.5)

    def dies(*given):
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("models_registry.training.fit_parts", dies)
        run_job(job.pk, run_training)
    kept = TuningTrial.objects.count()
    assert kept >= 1
    late = scored(detector.slug, card(9999, TX_DATETIME=(START + 5 * ONE_DAY).isoformat()))
    truth = (True, late.event_time + ONE_DAY)
    record_truths(detector.pk, {late.external_id: truth}, source=Label.Source.IMPORT)
    ended = run_job(job.pk, run_training)
    assert (ended.status, ended.error) == ("succeeded", "")
    said = [line["text"] for line in ended.log]
    assert f"{kept} trials of an earlier attempt are taken over." in said
    version = ModelVersion.objects.get()
    assert (version.dataset.rows, version.metrics["tuning"]["trials"]) == (400, kept)


class Told(QuietProgress):
    """`reports` (fraction, stage) and the numbers of the log, in order."""

    def __init__(self):
        self.reports, self.numbers = [], []
        super().__init__(lambda fraction, stage: self.reports.append((fraction, stage)))

    def log(self, text, **told):
        self.numbers.append(told)


def trials(count, seconds):
    return [Trial(number, {}, (0.5,), 0.5, seconds) for number in range(count)]


@pytest.mark.parametrize(
    ("tried", "each", "left"),
    [
        (0, 1.0, 100.0),
        (1, 10.0, 90.0),
        (4, 20.0, 20.0),
        (3, 30.0, 30.0),  # The trial that uses the time up is not cut short.
        (1, 300.0, 0.0),
        (400, 0.1, 10.0),  # 500 trials are the most.
        (500, 0.1, 0.0),
    ],
)
def test_a_search_tells_how_much_of_its_time_is_left(tried, each, left):
    found = foretell(min(_how_far(trials(tried, each), 100.0), 0.39999), 0.0, tune_for=100.0)
    assert found.seconds == pytest.approx(left, abs=0.1)


def test_a_search_that_goes_on_begins_where_the_earlier_one_stopped(detector):
    rows, told = rows_of(detector.spec()), Told()
    spent = tune(detector, rows)["seconds"]
    tune(detector, rows, seconds=4 * spent, progress=told)
    assert told.reports[0][0] > 0.3
    assert told.numbers[-1][SEARCHED] > 0.0


@pytest.mark.parametrize(("learner", "delay"), [("isolation_forest", "1d"), ("lightgbm", "60d")])
def test_a_search_that_cannot_be_tells_that_it_took_no_time(learner, delay):
    detector, told = detector_of(learning_config(label_delay=delay)), Told()
    found = tune_parameters(
        detector, learner=learner, spec=detector.spec(), rows=rows_of(detector.spec()), start=0.0,
        end=50.0 * DAY, data_digest="", seconds=60.0, progress=told,
    )  # fmt: skip
    assert (found, told.numbers) == ({}, [{SEARCHED: 0.0}])


@pytest.mark.django_db(transaction=True)
def test_a_training_tells_what_its_end_is_foretold_from(detector):
    """Outside the search earlier ones took what a later one is expected to take; the second and the
    third take over the trials of the first."""
    history(detector, events=400)
    for number in (1, 2, 3):
        job = request_training(detector, requested_by=None, learner="lightgbm", tune_for=0.3)
        ended = run_job(job.pk, run_training)
        told = told_since(ended.log, ended.started_at)
        assert 0.0 < told[SEARCHED] < ModelVersion.objects.get(number=number).training_seconds
        assert (USUAL in told) is (number > 1)
    outside = [
        version.training_seconds - version.metrics["tuning"]["took"]
        for version in ModelVersion.objects.filter(number__in=(1, 2))
    ]
    assert told[USUAL] == pytest.approx(sum(outside) / 2)


def test_what_is_usual_leaves_out_what_tells_nothing(payments_detector):
    """A version whose thresholds were moved, one of another algorithm, and an older one most of
    whose trials an earlier attempt made."""
    new = partial(VersionFactory, detector=payments_detector, training_seconds=50.0)
    made = partial(new, learner="lightgbm")
    assert usual_training(payments_detector, "lightgbm") is None
    made(metrics={})
    made(metrics={"tuning": {"seconds": 30.0}})
    made(metrics={"tuning": {"seconds": 30.0, "took": 20.0}})
    made(metrics={"tuning": {"seconds": 60.0}})
    moved_from(new(learner="xgboost"), made(training_seconds=0.1))
    assert usual_training(payments_detector, "lightgbm") == 30.0
