"""What the integrity page leaves alone: the young, the finished, the neighbours'."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.models import Job
from models_registry import integrity
from models_registry.integrity import check_integrity
from models_registry.promotion import promote
from models_registry.registry_models import Lineage, TrackedRun
from scoring.core.bundle import write_bundle
from scoring.deployment import bundle_root
from scoring.models import Prediction
from tests.factories import payments, scored_many, trained_payments
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def beat(db):
    every, _ = IntervalSchedule.objects.get_or_create(every=30, period="seconds")
    PeriodicTask.objects.all().delete()
    return PeriodicTask.objects.create(
        name="sweep", task="t", interval=every, last_run_at=timezone.now()
    )


@pytest.fixture
def version(beat, payments_detector, bundle_dir, monkeypatch):
    """A champion that holds in every way, trained just now; a worker answers."""
    monkeypatch.setattr(integrity, "workers_answering", lambda: 1)
    digest = write_bundle(bundle_root(), *trained_payments())
    rows = scored_many("payments", payments(3))
    made = VersionFactory(
        detector=payments_detector, number=1, digest=digest, trained_at=timezone.now(),
        dataset__first_event_at=rows[0].event_time, dataset__last_event_at=rows[-1].event_time,
    )  # fmt: skip
    promote(made, actor=None)
    return made


def subjects(kind, *, now=None):
    return [found.subject for found in check_integrity(now=now).findings if found.kind == kind]


def test_jobs_that_wait_or_were_heard_of_a_moment_ago_are_not_stuck(version):
    now = timezone.now()
    Job.objects.create(kind="x", queued_at=now - 4 * MINUTE)
    Job.objects.create(kind="x", status="running", heartbeat_at=now)
    old = {"queued_at": now - 60 * MINUTE, "heartbeat_at": now - 60 * MINUTE}
    for status in ("succeeded", "failed", "cancelled"):
        Job.objects.create(kind="x", status=status, **old)
    assert subjects("job", now=now) == []
    assert len(subjects("job", now=now + 2 * MINUTE)) == 2


def test_of_very_many_stuck_jobs_the_ten_that_are_stuck_longest_are_told(version):
    now = timezone.now()
    waiting = [
        Job.objects.create(kind="x", queued_at=now - timedelta(hours=1 + hours))
        for hours in range(12)
    ]
    told = subjects("job", now=now)
    assert [text.partition(":")[0] for text in told] == [f"Job {job.pk}" for job in waiting[:1:-1]]


@pytest.mark.parametrize(("silent", "told"), [(9 * MINUTE, []), (11 * MINUTE, ["Beat"])])
def test_beat_may_be_silent_for_ten_minutes(version, beat, silent, told):
    now = timezone.now()
    PeriodicTask.objects.update(last_run_at=now - silent)
    assert subjects("beat", now=now) == told


def test_a_task_that_was_switched_off_is_no_sign_of_beat(version, beat):
    PeriodicTask.objects.update(enabled=False)
    assert subjects("beat") == ["Beat"]


def test_what_is_not_with_the_tracking_server_yet_is_no_fault(version):
    run = TrackedRun.objects.create(version=version, status="waiting", error="refused")
    assert subjects("tracking") == []
    TrackedRun.objects.filter(pk=run.pk).update(status="failed")
    assert subjects("tracking") == [str(version)]


def test_the_data_is_gone_when_either_end_is(version):
    dataset = version.dataset
    ends = dataset.first_event_at, dataset.last_event_at
    for moved in ("first_event_at", "last_event_at"):
        dataset.first_event_at, dataset.last_event_at = ends
        setattr(dataset, moved, getattr(dataset, moved) + timedelta(days=400))
        dataset.save()
        assert subjects("data") == [str(version)]
    dataset.first_event_at, dataset.last_event_at = ends
    dataset.save()
    assert subjects("data") == []


def test_events_of_another_detector_are_no_data_of_a_version(version, cards_detector):
    Prediction.objects.update(detector=cards_detector)
    assert subjects("data") == [str(version)]
    Lineage.objects.update_or_create(version=version, defaults={"origin": Lineage.Origin.IMPORTED})
    assert subjects("data") == []  # Nobody has the data of what came from elsewhere.


def test_only_what_serves_or_may_is_compared_with_the_declaration(version):
    waits, served = (
        VersionFactory(
            detector=version.detector, dataset=version.dataset, digest=version.digest, stage=stage
        )
        for stage in ("challenger", "retired")
    )
    del version.detector.config["features"]["transformations"][2]
    version.detector.save(update_fields=["config"])
    assert subjects("feature") == [str(version), str(waits)]
    assert str(served) not in subjects("feature")


def test_a_rejected_version_is_looked_for_no_more(version):
    other = {"detector": version.detector, "dataset": version.dataset}
    VersionFactory(stage="rejected", **other)
    gone = VersionFactory(stage="retired", **other)
    assert subjects("bundle") == [str(gone)]


@pytest.mark.parametrize(("hours", "told"), [(2 * 168, False), (2 * 168 + 1, True)])
def test_twice_the_time_of_the_policy_is_not_too_old_yet(version, hours, told):
    """The declaration says a week."""
    version.detector.config["training"]["retrain_every"] = "7d"
    version.detector.save(update_fields=["config"])
    now = version.trained_at + timedelta(hours=hours)
    VersionFactory(
        detector=version.detector, dataset=version.dataset, digest=version.digest,
        trained_at=version.trained_at - timedelta(days=400),
    )  # fmt: skip
    assert subjects("stale", now=now) == ([str(version)] if told else [])
