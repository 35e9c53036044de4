import time
from datetime import timedelta
from threading import Event

import pytest
from django.db import transaction
from django.utils import timezone

from jobs import dispatch
from jobs.dispatch import announce_job
from jobs.models import Job
from jobs.services import LOST_AFTER, claim_job, requeue_lost
from jobs.tasks import UNHEARD_AFTER, requeue_lost_jobs, start_queued_jobs
from tests.jobs.factories import JobFactory

pytestmark = pytest.mark.django_db
LONG_AGO = UNHEARD_AFTER + timedelta(seconds=1)


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(
        dispatch.current_app, "send_task", lambda name, args: messages.append((name, *args))
    )
    return messages


def test_a_job_is_announced_by_its_kind_after_the_commit(sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        job = JobFactory()
        announce_job(job)
        assert sent == []
    assert sent == [("test.work", job.pk)]
    job.refresh_from_db()
    assert job.announced_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_rolled_back_is_not_announced(sent):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        announce_job(JobFactory())
        raise ZeroDivisionError
    assert sent == []


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_gone_does_not_fail_the_request(monkeypatch):
    def refuse(name, args):
        raise ConnectionRefusedError

    monkeypatch.setattr(dispatch.current_app, "send_task", refuse)
    job = JobFactory()
    announce_job(job)
    job.refresh_from_db()
    assert job.announced_at is None


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_silent_holds_nobody_up(monkeypatch):
    asked, speaks = [], Event()

    def wait_for_it(name, args):
        asked.append(args)
        speaks.wait(30)

    monkeypatch.setattr(dispatch.current_app, "send_task", wait_for_it)
    jobs, began = [JobFactory(), JobFactory()], time.monotonic()
    for job in jobs:
        announce_job(job)
    waited = time.monotonic() - began
    speaks.set()
    assert waited < 5
    assert list(Job.objects.values_list("announced_at", flat=True)) == [None, None]
    monkeypatch.setattr(dispatch.current_app, "send_task", lambda name, args: asked.append(args))
    announce_job(jobs[1])
    assert asked == [[jobs[0].pk], [jobs[1].pk]], "what waited behind the first was given up"


def test_the_sweep_announces_what_no_worker_heard_of(sent, django_capture_on_commit_callbacks):
    lost = JobFactory(queued_at=timezone.now() - LONG_AGO)
    again = JobFactory(announced_at=timezone.now() - LONG_AGO)
    JobFactory()
    JobFactory(queued_at=timezone.now() - LONG_AGO, announced_at=timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        assert start_queued_jobs() == 2
    assert {job_id for _, job_id in sent} == {lost.pk, again.pk}


def test_a_clock_that_was_set_back_holds_no_announcement_up(
    sent, django_capture_on_commit_callbacks
):
    times = {"queued_at": timezone.now() + LONG_AGO}
    waiting = {JobFactory(**times).pk, JobFactory(**times, announced_at=times["queued_at"]).pk}
    with django_capture_on_commit_callbacks(execute=True):
        assert start_queued_jobs() == 2
    assert {job_id for _, job_id in sent} == waiting


def test_a_clock_that_is_set_back_holds_no_requeue_up():
    silent, lively = claim_job(JobFactory().pk), claim_job(JobFactory().pk)
    now = timezone.now() - timedelta(hours=1)
    assert requeue_lost(now) == []
    Job.objects.filter(pk=lively.pk).update(heartbeat_at=now + LOST_AFTER)
    assert requeue_lost(now + LOST_AFTER + timedelta(seconds=1)) == [silent]
    lively.refresh_from_db()
    assert lively.status == "running"


def test_the_reaper_requeues_and_announces(sent, django_capture_on_commit_callbacks):
    job = claim_job(JobFactory().pk)
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    with django_capture_on_commit_callbacks(execute=True):
        assert requeue_lost_jobs() == 1
    assert sent == [("test.work", job.pk)]
