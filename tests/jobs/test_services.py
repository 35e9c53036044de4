import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from accounts.models import AuditEntry
from jobs import progress as progress_module
from jobs import services
from jobs.models import Job
from jobs.progress import LOG_LINES_KEPT, JobCancelled
from jobs.services import cancel_job, claim_job, enqueue_job, requeue_lost, run_job
from jobs.workflow import LIVE, MOVES, JobStatus
from tests.accounts.factories import UserFactory
from tests.jobs.factories import JobFactory

pytestmark = pytest.mark.django_db
LATER = timedelta(seconds=61)


def do_nothing(job, progress):
    return {}


def test_every_status_has_its_moves_and_ended_is_ended():
    assert set(MOVES) == set(JobStatus)
    assert all(not MOVES[status] for status in JobStatus if status not in LIVE)


def test_a_job_is_queued_with_what_it_needs():
    user = UserFactory()
    job = enqueue_job(kind="test.work", params={"a": 1}, requested_by=user, subject="cards")
    job.refresh_from_db()
    assert (job.status, job.params, job.requested_by) == ("queued", {"a": 1}, user)


def test_never_two_live_jobs_of_one_key():
    first = enqueue_job(kind="test.work", unique_key="train:cards")
    assert enqueue_job(kind="test.work", unique_key="train:cards") == first
    claim_job(first.pk)
    assert enqueue_job(kind="test.work", unique_key="train:cards") == first
    assert enqueue_job(kind="test.work", unique_key="train:fraud") != first


def test_a_key_is_free_again_when_its_job_is_over():
    first = enqueue_job(kind="test.work", unique_key="train:cards")
    run_job(first.pk, do_nothing)
    assert enqueue_job(kind="test.work", unique_key="train:cards") != first


def test_jobs_without_a_key_do_not_meet():
    assert enqueue_job(kind="test.work") != enqueue_job(kind="test.work")


def test_a_refused_twin_leaves_the_callers_transaction_whole():
    with transaction.atomic():
        first = enqueue_job(kind="test.work", unique_key="k")
        enqueue_job(kind="test.work", unique_key="k")
        user = UserFactory()
    assert user.pk and Job.objects.get() == first


@pytest.mark.django_db(transaction=True)
def test_of_ten_workers_one_claims_the_job():
    job = JobFactory()

    def claim(_):
        try:
            return claim_job(job.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        claimed = [found for found in pool.map(claim, range(10)) if found]
    assert [found.attempt for found in claimed] == [1]


@pytest.mark.django_db(transaction=True)
def test_of_ten_callers_all_get_the_same_job():
    def enqueue(_):
        try:
            return enqueue_job(kind="test.work", unique_key="k").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(enqueue, range(10)))) == 1


def test_work_succeeds_with_its_result():
    job = run_job(JobFactory().pk, lambda job, progress: {"answer": 42})
    assert (job.status, job.result, job.progress) == ("succeeded", {"answer": 42}, 1.0)
    assert job.started_at <= job.finished_at


def test_work_runs_once_however_often_it_is_told():
    calls = []
    job = JobFactory()
    for _ in range(3):
        run_job(job.pk, lambda job, progress: calls.append(1) or {})
    assert calls == [1]


def test_an_error_ends_in_the_row_and_not_in_the_caller():
    def work(job, progress):
        raise ValueError("no matured labels\0")

    job = run_job(JobFactory().pk, work)
    assert (job.status, job.error) == ("failed", "ValueError: no matured labels")


def failing_with(error):
    def work(job, progress):
        raise error

    return run_job(JobFactory().pk, work).error


def test_of_a_long_error_the_beginning_and_the_end_are_kept():
    error = failing_with(ValueError(f"bad file {'x' * 5000} in line 7"))
    assert len(error) == services.LONGEST_ERROR
    assert error.startswith("ValueError: bad file xxx") and error.endswith("xxx in line 7")


def test_the_row_that_a_database_refused_is_not_in_the_error():
    refused = "null value in column\nDETAIL:  Failing row contains (4, Jane Doe, DE89 3704 0044)."
    assert failing_with(IntegrityError(refused)) == "IntegrityError: null value in column"


def test_a_result_that_cannot_be_kept_is_a_failure():
    job = run_job(JobFactory().pk, lambda job, progress: {"x": object()})
    assert job.status == "failed"
    assert "not JSON serializable" in job.error


def test_an_error_that_no_database_keeps_as_it_is_ends_in_the_row_all_the_same(caplog):
    # What was logged goes with the test's report, which half a character cannot.
    caplog.set_level(logging.CRITICAL + 1, logger="jobs.services")

    def work(job, progress):
        progress.log("trial 3\0 \udce4")
        progress.report(0.5, "file \udce4.csv")
        raise ValueError("file \udce4.csv")

    job = run_job(JobFactory().pk, work)
    assert (job.status, job.error) == ("failed", "ValueError: file ?.csv")
    assert (job.stage, job.log[0]["text"]) == ("file ?.csv", "trial 3 ?")


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_work_that_loses_the_database_is_tried_again_while_attempts_are_left(error):
    def work(job, progress):
        raise error("the connection is closed")

    job = JobFactory(max_attempts=2)
    assert run_job(job.pk, work).status == "queued"
    job = run_job(job.pk, work)
    assert (job.status, job.error) == ("failed", f"{error.__name__}: the connection is closed")


def test_who_is_given_back_though_cancelled_stays_cancelled():
    def work(job, progress):
        cancel_job(Job.objects.get(pk=job.pk), actor=None)
        raise OperationalError("the connection is closed")

    assert run_job(JobFactory().pk, work).status == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_work_that_is_done_is_kept_though_the_connection_was_cut_meanwhile(monkeypatch):
    moves, move = [], services._move

    def cut_once(job, status, **columns):
        moves.append(status)
        if len(moves) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return move(job, status, **columns)

    monkeypatch.setattr(services, "_move", cut_once)
    job = run_job(JobFactory().pk, lambda job, progress: {"answer": 42})
    assert (job.status, job.result, len(moves)) == ("succeeded", {"answer": 42}, 2)


@pytest.mark.django_db(transaction=True)
def test_a_report_that_finds_the_connection_cut_ends_no_work(monkeypatch):
    def refuse(handle):
        raise InterfaceError("connection already closed")

    def work(job, progress):
        monkeypatch.setattr(progress_module.JobProgress, "_write", refuse)
        progress.report(0.5, "fitting")

    assert run_job(JobFactory().pk, work).status == "succeeded"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_ends_ends_no_job():
    def work(job, progress):
        with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        progress.report(0.5, "half")
        progress.check_cancelled()
        return {"answer": 42}

    job = run_job(JobFactory().pk, work)
    assert (job.status, job.result, job.stage) == ("succeeded", {"answer": 42}, "half")


def test_a_stopped_worker_gives_its_job_back():
    def work(job, progress):
        raise SystemExit

    job = JobFactory()
    with pytest.raises(SystemExit):
        run_job(job.pk, work)
    job.refresh_from_db()
    assert job.status == "queued"
    assert run_job(job.pk, do_nothing).attempt == 2


def test_progress_stage_and_log_end_in_the_row():
    def work(job, progress):
        progress.report(0.5, "fitting")
        progress.log("tree 1")
        raise RuntimeError("stop here")

    job = run_job(JobFactory().pk, work)
    assert (job.progress, job.stage, job.percent) == (0.5, "fitting", 50)
    assert [line["text"] for line in job.log] == ["tree 1"]


def test_a_log_keeps_its_newest_lines():
    def work(job, progress):
        for n in range(LOG_LINES_KEPT + 5):
            progress.log(f"line {n}")

    log = run_job(JobFactory().pk, work).log
    assert len(log) == LOG_LINES_KEPT
    assert log[-1]["text"] == f"line {LOG_LINES_KEPT + 4}"


@pytest.mark.django_db(transaction=True)
def test_a_new_stage_is_seen_while_the_work_runs():
    seen = []

    def work(job, progress):
        progress.report(0.5, "fitting")
        seen.append(Job.objects.get(pk=job.pk).stage)

    run_job(JobFactory().pk, work)
    assert seen == ["fitting"]


@pytest.mark.django_db(transaction=True)
def test_the_heart_beats_while_the_work_says_nothing(monkeypatch):
    monkeypatch.setattr(progress_module, "HEARTBEAT_SECONDS", 0.05)
    beats = []

    def work(job, progress):
        until = time.monotonic() + 30
        while len(set(beats)) < 2 and time.monotonic() < until:
            time.sleep(0.1)
            beats.append(Job.objects.get(pk=job.pk).heartbeat_at)

    job = JobFactory()
    run_job(job.pk, work)
    assert beats[0] < beats[-1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError, InterfaceError, ValueError])
def test_the_heart_outlives_a_beat_that_failed(monkeypatch, error):
    monkeypatch.setattr(progress_module, "HEARTBEAT_SECONDS", 0.02)
    beats, write, third = [], progress_module.JobProgress._write, threading.Event()

    def fail_once(handle):
        beats.append(1)
        if len(beats) == 1:
            raise error("no beat")
        write(handle)
        third.set()

    monkeypatch.setattr(progress_module.JobProgress, "_write", fail_once)
    run_job(JobFactory().pk, lambda job, progress: {"beats": third.wait(30)})
    assert third.is_set()


def test_a_queued_job_is_cancelled_at_once_and_that_is_audited():
    user, job = UserFactory(), JobFactory()
    assert cancel_job(job, actor=user)
    assert job.status == "cancelled"
    assert run_job(job.pk, do_nothing) is None
    assert AuditEntry.objects.get(action="job.cancelled").actor == user


def test_a_running_job_stops_at_its_next_check():
    def work(job, progress):
        progress.check_cancelled()
        cancel_job(job, actor=None)
        progress.check_cancelled()

    job = run_job(JobFactory().pk, work)
    assert (job.status, job.error) == ("cancelled", "Cancelled on request.")


def test_what_is_over_cannot_be_cancelled():
    job = run_job(JobFactory().pk, do_nothing)
    assert not cancel_job(job, actor=None)
    assert job.status == "succeeded"


def test_a_silent_job_is_requeued_and_a_lively_one_is_not():
    silent, lively = claim_job(JobFactory().pk), claim_job(JobFactory().pk)
    Job.objects.filter(pk=silent.pk).update(heartbeat_at=timezone.now() - LATER)
    assert requeue_lost(timezone.now()) == [silent]
    lively.refresh_from_db()
    assert lively.status == "running"
    assert claim_job(silent.pk).attempt == 2


def test_a_lost_job_out_of_attempts_fails_and_says_why():
    job = claim_job(JobFactory(max_attempts=1).pk)
    assert requeue_lost(timezone.now() + LATER) == []
    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", f"Its worker died. {services.MOST_OFTEN}")


def test_a_lost_job_that_was_to_stop_is_cancelled():
    job = claim_job(JobFactory().pk)
    cancel_job(job, actor=None)
    requeue_lost(timezone.now() + LATER)
    job.refresh_from_db()
    assert job.status == "cancelled"


def test_a_worker_taken_for_dead_cannot_overwrite_the_next_one():
    def work(job, progress):
        requeue_lost(timezone.now() + LATER)
        claim_job(job.pk)
        with pytest.raises(JobCancelled):
            progress.check_cancelled()
        return {"from": "the dead"}

    job = run_job(JobFactory().pk, work)
    assert (job.status, job.attempt, job.result) == ("running", 2, None)


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (0.01, ""),
        (0.1, "about 9 min left"),
        (0.5, "about 60 s left"),
        (0.95, "a few seconds left"),
    ],
)
def test_how_long_it_still_takes_is_told_once_it_can_be(progress, text):
    job = claim_job(JobFactory().pk)
    job.progress, job.started_at = progress, timezone.now() - timedelta(seconds=60)
    assert job.remaining_text == text
    job.status = JobStatus.SUCCEEDED
    assert job.remaining_text == ""


@pytest.mark.worker
@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_loses_nothing():
    name = str(connection.settings_dict["NAME"])
    if "memory" in name:
        pytest.skip("another process cannot see a database in memory")
    job = JobFactory()
    command = [sys.executable, "-m", "tests.jobs.dying_worker", name, str(job.pk)]
    worker = subprocess.Popen(command, env=os.environ)
    try:
        until = time.monotonic() + 30
        while Job.objects.get(pk=job.pk).stage != "halfway to half":
            assert worker.poll() is None and time.monotonic() < until
            time.sleep(0.05)
    finally:
        worker.kill()
        worker.wait()
    assert requeue_lost(timezone.now()) == []
    assert requeue_lost(timezone.now() + LATER) == [job]
    assert run_job(job.pk, do_nothing).status == "succeeded"
