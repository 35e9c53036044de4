"""A clock that was ahead and is set right again holds no sweep up."""

import time
from datetime import timedelta

import pytest
from celery.beat import Scheduler, SchedulingError, event_t
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from django_celery_beat import schedulers
from django_celery_beat.models import PeriodicTask
from kombu.utils.imports import symbol_by_name

from riskplatform.celery import app

pytestmark = pytest.mark.django_db
AHEAD = timedelta(hours=1)


@pytest.fixture
def sent(monkeypatch):
    """The tasks that beat sends."""
    found = []
    monkeypatch.setattr(
        Scheduler, "apply_async", lambda self, entry, **more: found.append(entry.task)
    )
    return found


@pytest.fixture(autouse=True)
def three_tasks(monkeypatch):
    """Of every thirty seconds."""
    monkeypatch.setattr(schedulers, "close_old_connections", lambda: None)
    kept = PeriodicTask.objects.filter(interval__every=30).values_list("pk", flat=True)[:3]
    PeriodicTask.objects.exclude(pk__in=list(kept)).delete()


def start_beat(*, last_run):
    """What the settings name as beat, over tasks that all ran then."""
    PeriodicTask.objects.update(last_run_at=last_run)
    beat = symbol_by_name(settings.CELERY_BEAT_SCHEDULER)(app=app)
    beat._finalize.cancel()  # It would write into a database that is gone.
    return beat


def waits(beat):
    """Seconds until each task is looked at."""
    return sorted(event.time - time.time() for event in beat._heap)


def test_a_last_run_that_is_still_to_come_is_taken_for_one_of_now(sent):
    beat = start_beat(last_run=timezone.now() + AHEAD)
    beat.tick()
    assert len(waits(beat)) == 3
    assert max(waits(beat)) <= 31 and sent == []


def test_a_last_run_to_come_is_set_right_in_the_database_too_so_that_rare_tasks_run():
    """Beat reads the rows again every five minutes: what is rarer would never be due."""
    start = timezone.now()
    start_beat(last_run=start + timedelta(days=1))
    last_runs = list(PeriodicTask.objects.values_list("last_run_at", flat=True))
    assert len(last_runs) == 3
    assert all(start <= at <= timezone.now() for at in last_runs)


def test_a_clock_that_is_set_back_under_beat_orders_all_tasks_anew(sent):
    beat = start_beat(last_run=timezone.now())
    beat.tick()
    beat._ticked_at += AHEAD.total_seconds()
    beat._heap = [event_t(time + 3600, *rest) for time, *rest in beat._heap]
    for entry in beat._schedule.values():
        entry.last_run_at += AHEAD
    beat.tick()
    assert len(waits(beat)) == 3
    assert max(waits(beat)) <= 31 and sent == []


def test_what_is_due_is_sent_as_ever(sent):
    beat = start_beat(last_run=timezone.now() - AHEAD)
    assert [beat.tick() for _ in range(3)] == [0, 0, 0]
    assert len(set(sent)) == 3


def test_a_task_that_cannot_be_sent_is_a_line_in_the_log(monkeypatch, caplog):
    def full(self, entry, **more):
        raise SchedulingError("No space left on device")

    monkeypatch.setattr(Scheduler, "apply_async", full)
    beat = start_beat(last_run=timezone.now() - AHEAD)
    beat.tick()
    records = [record for record in caplog.records if record.levelname == "ERROR"]
    assert records and not any(record.exc_info for record in records)
    assert all(record.getMessage().endswith("No space left on device") for record in records)
    assert "Traceback" not in caplog.text


def test_a_task_that_is_sent_is_told(sent, caplog):
    caplog.set_level("INFO", "riskplatform.beat")
    beat = start_beat(last_run=timezone.now() - AHEAD)
    beat.tick()
    (entry,) = [entry for entry in beat.schedule.values() if entry.task == sent[0]]
    assert f"Scheduler: Sending due task {entry.name} ({entry.task})" in caplog.messages


def last_runs():
    return sorted(PeriodicTask.objects.values_list("last_run_at", flat=True))


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_last_run_that_could_not_be_written_is_written_later(sent, monkeypatch, error):
    def away(*args, **more):
        raise error("the database is away")

    start = timezone.now()
    beat = start_beat(last_run=start - AHEAD)
    with monkeypatch.context() as patched:
        patched.setattr(PeriodicTask, "save", away)
        for _ in range(3):
            beat.tick()
            beat.sync()
    assert last_runs()[-1] < start
    beat.sync()
    assert last_runs()[0] >= start


def test_what_ran_is_not_run_again_where_rows_can_be_read_and_not_written(sent, monkeypatch):
    def full(*args, **more):
        raise OperationalError("database or disk is full")

    beat = start_beat(last_run=timezone.now() - AHEAD)
    monkeypatch.setattr(PeriodicTask, "save", full)
    for _ in range(3):
        beat.tick()
        beat.sync()
    beat._initial_read = True  # As every five minutes.
    beat._heap = None
    beat.tick()
    assert len(sent) == 3 and max(waits(beat)) <= 31


def test_a_full_disk_is_a_line_when_beat_writes_and_when_it_reads(sent, monkeypatch, caplog):
    def full(*args, **more):
        raise OperationalError("database or disk is full")

    beat = start_beat(last_run=timezone.now() - AHEAD)
    beat.tick()
    monkeypatch.setattr(PeriodicTask, "save", full)
    beat.sync()
    monkeypatch.setattr(beat.Changes, "last_change", full)
    beat.schedule_changed()
    records = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(records) == 2 and "Traceback" not in caplog.text
    assert all("database or disk is full" in record.getMessage() for record in records)
