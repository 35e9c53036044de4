"""A training on the command line has a job: seen, cancelled, and never two side by side."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job
from jobs.progress import JobCancelled
from jobs.services import LOST_AFTER, cancel_job, claim_job, requeue_lost
from models_registry import running_here
from models_registry.fitting import QuietProgress
from models_registry.models import ModelVersion
from models_registry.retraining import TrainingUnderWay, request_training
from models_registry.running_here import train_here
from tests.models_registry.learning import detector_of, history, learning_config

pytestmark = pytest.mark.django_db
LEARNER = "logistic_regression"


@pytest.fixture
def cards():
    detector = detector_of(learning_config())
    history(detector, events=400)
    return detector


class Watching(QuietProgress):
    """Does `act` once, at the first stage that tells of training."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def report(self, fraction, stage):
        if stage.startswith("Training"):
            self.act()


def train(detector, *, watched=None, learner=LEARNER, refusals=()):
    watched = watched or QuietProgress()
    by = "the command line"
    return train_here(detector, by=by, watched=watched, refusals=refusals, learner=learner)


def command():
    call_command("train", detector="cards", learner=LEARNER)


def test_a_training_on_the_command_line_has_a_job_that_everybody_sees(client, owner, cards):
    command()
    job, version = Job.objects.get(), ModelVersion.objects.get()
    assert (job.status, job.result["version"], version.job) == ("succeeded", version.pk, job)
    assert any("events; train" in line["text"] for line in job.log)
    client.force_login(owner)
    for url in (
        reverse("job_detail", args=[job.pk]),
        reverse("job_list"),
        reverse("retraining", args=["cards"]),
        version.get_absolute_url(),
    ):
        text = client.get(url).content.decode().lower()
        assert "the command line" in text and "by the schedule" not in text, url


def test_a_training_whose_process_was_killed_is_in_nobodys_way(cards):
    """Nor where no beat runs, which looks after the others."""
    dead = request_training(cards, requested_by=None, learner=LEARNER, max_attempts=1)
    claim_job(dead.pk)
    with pytest.raises(CommandError, match="is training"):
        command()
    Job.objects.update(heartbeat_at=timezone.now() - LOST_AFTER - timedelta(seconds=1))
    command()
    dead.refresh_from_db()
    assert (dead.status, ModelVersion.objects.count()) == ("failed", 1)
    assert "Its worker died" in dead.error


def test_while_it_runs_the_models_page_shows_it_and_another_is_refused(client, owner, cards):
    client.force_login(owner)
    seen = []

    def look():
        seen.append(client.get(reverse("model_list")).content.decode())
        with pytest.raises(CommandError, match=r"Job \d+ is training .* already") as refused:
            command()
        seen.append(refused.value.returncode)
        with pytest.raises(TrainingUnderWay):
            request_training(cards, requested_by=owner, learner="ecod")

    train(cards, watched=Watching(look))
    assert "asked for by the command line" in seen[0] and seen[1] == 1
    assert ModelVersion.objects.count() == 1 and Job.objects.count() == 1


def test_of_two_that_begin_at_once_one_is_refused(cards, monkeypatch):
    """Both saw that nothing runs."""
    monkeypatch.setattr(running_here, "check_idle", lambda detector: None)

    def begin():
        with pytest.raises(TrainingUnderWay, match="is training"):
            train(cards)

    train(cards, watched=Watching(begin))
    assert ModelVersion.objects.count() == 1


def test_who_cancels_its_job_stops_it(cards, owner):
    stop = Watching(lambda: cancel_job(Job.objects.get(), actor=owner))
    with pytest.raises(JobCancelled):
        train(cards, watched=stop)
    assert Job.objects.get().status == "cancelled"
    assert not ModelVersion.objects.exists()


def test_stopped_at_the_keyboard_it_is_cancelled_and_not_done_by_a_worker(cards):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(JobCancelled, match="where it was started"):
        train(cards, watched=Watching(interrupt))
    assert Job.objects.get().status == "cancelled"


def test_stopped_after_it_was_registered_it_is_done(cards, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("models_registry.training.document_version", interrupt)
    version = train(cards)
    job = Job.objects.get()
    assert (ModelVersion.objects.get(), job.status) == (version, "succeeded")
    assert job.result["version"] == version.pk


def test_taken_for_dead_it_fails_and_no_worker_takes_it_over(cards):
    taken = []
    sweep = Watching(lambda: taken.extend(requeue_lost(timezone.now() + timedelta(minutes=2))))
    with pytest.raises(JobCancelled, match="no longer ours"):
        train(cards, watched=sweep)
    assert (taken, Job.objects.get().status) == ([], "failed")
    assert not ModelVersion.objects.exists()


def test_a_refusal_is_one_line_and_stands_on_the_job(caplog):
    detector_of(learning_config())
    with pytest.raises(CommandError) as refused:
        command()
    assert str(refused.value) in Job.objects.get().error
    assert not [record for record in caplog.records if record.exc_info]
