"""The live comparison: matured labels, the champion of today, and what is kept of it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Job
from jobs.services import run_job
from models_registry.approvals import evidence_for
from models_registry.core import live
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.shadow_judging import (
    is_due,
    judge_shadow,
    read_live,
    request_judgement,
    run_shadow_job,
)
from models_registry.shadow_scoring import shadow_some
from scoring.models import Label, Prediction
from tests.factories import payments, scored_many
from tests.models_registry.rivals import other_digest, rivals, shadow_of, tell_truths, traffic
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(payments_detector, payments_digest):
    # The challenger reviews far more than the champion, which blocks the largest amounts alone.
    return rivals(payments_detector, payments_digest)


@pytest.fixture
def shadow(pair):
    return shadow_of(pair[1])


def judged(shadow):
    now = timezone.now() + timedelta(seconds=30)
    shadow_some(shadow, now=now, most=100_000)
    return judge_shadow(shadow, now=now)


def spread(n, days=10):
    """Traffic over several days, as it would have come."""
    raws = payments(n, users=60)
    for i, raw in enumerate(raws):
        raw["timestamp"] = f"2020-06-{1 + i * days // n:02d}T12:{i % 60:02d}:00+00:00"
    return scored_many("payments", raws)


def test_a_challenger_that_finds_more_fraud_is_better_on_matured_labels(shadow):
    rows = spread(900)
    tell_truths(rows)
    found = judged(shadow)
    assert found["verdict"] == live.BETTER, found
    assert (found["rows"], found["days"], found["coverage"]) == (900, 10, "complete")
    assert found["champion"] == "v1"
    shadow.refresh_from_db()
    assert shadow.comparison["verdict"] == live.BETTER
    evidence = evidence_for(shadow.version, ModelVersion.objects.get(number=1))
    assert (evidence.kind, evidence.passed) == ("live", True)


def test_without_labels_there_is_no_verdict_and_the_reason_is_said(shadow):
    traffic(20)
    found = judged(shadow)
    assert found["verdict"] == live.NOT_ENOUGH
    assert "500 are needed" in found["reason"]
    assert found["unlabelled"] == 20


def test_labels_that_have_not_matured_do_not_count(shadow):
    rows = traffic(12)
    tell_truths(rows)
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=100)
    newest = max(row.event_time for row in rows)
    champion = shadow.detector.versions.get(number=1)
    found = read_live(shadow, champion, matured_before=newest, known_at=timezone.now())
    assert len(found) == sum(row.event_time < newest for row in rows)


def test_the_newest_label_that_was_known_counts(shadow):
    row = traffic(1)[0]
    for is_fraud, hours in ((True, 1), (False, 2), (True, 30)):
        Label.objects.create(
            prediction=row,
            detector=shadow.detector,
            is_fraud=is_fraud,
            event_time=row.event_time,
            label_time=row.event_time + timedelta(hours=hours),
            source=Label.Source.ANALYST,
        )
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=100)
    champion = shadow.detector.versions.get(number=1)
    known_at = row.event_time + timedelta(hours=3)
    found = read_live(shadow, champion, matured_before=timezone.now(), known_at=known_at)
    assert found.labels.tolist() == [0]


def test_degraded_events_and_those_of_another_champion_are_left_out(shadow):
    rows = traffic(10)
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=100)
    Prediction.objects.filter(pk=rows[0].pk).update(degraded=True, score=None)
    Prediction.objects.filter(pk=rows[1].pk).update(bundle_digest="e" * 64)
    champion = shadow.detector.versions.get(number=1)
    found = read_live(shadow, champion, matured_before=timezone.now(), known_at=timezone.now())
    assert len(found) == 8


def test_a_job_catches_up_and_compares_one_at_a_time(shadow, owner, monkeypatch):
    monkeypatch.setattr("models_registry.shadow_scoring.SETTLE", timedelta(0))
    traffic(15)
    job = request_judgement(shadow.version, requested_by=owner)
    assert request_judgement(shadow.version, requested_by=None).pk == job.pk
    run_job(job.pk, run_shadow_job)
    job = Job.objects.get()
    assert (job.status, job.result["verdict"]) == ("succeeded", live.NOT_ENOUGH), job.error
    shadow.refresh_from_db()
    assert shadow.rows == 15
    run_job(job.pk, run_shadow_job)  # told twice: there is nothing to claim
    assert Job.objects.count() == 1


def test_it_is_compared_again_when_there_is_more_to_see(shadow):
    now = timezone.now()
    assert not is_due(shadow, now=now)
    shadow.scored_at = now
    assert is_due(shadow, now=now)
    shadow.compared_at = now - timedelta(hours=1)
    assert not is_due(shadow, now=now)
    assert is_due(shadow, now=now + timedelta(hours=6))
    shadow.compared_at = now + timedelta(seconds=1)
    assert not is_due(shadow, now=now + timedelta(days=9))


def test_a_version_that_serves_is_compared_with_nobody(shadow, pair):
    promote(pair[1], actor=None, reason="test")
    assert judge_shadow(shadow, now=timezone.now()) == {}
    third = VersionFactory(detector=pair[0].detector, number=3, digest=other_digest(review=0.3))
    assert judge_shadow(shadow_of(third), now=timezone.now())["champion"] == "v2"
