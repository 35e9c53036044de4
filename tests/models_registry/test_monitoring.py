"""A drift check measures the champion's newest predictions, keeps what it found, and tells once."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from jobs.models import Job
from jobs.progress import JobCancelled, JobProgress
from jobs.services import claim_job, requeue_lost, run_job
from models_registry.core.threshold_curve import threshold_curve
from models_registry.drift_models import DriftCheck, DriftStatistic
from models_registry.models import PromotionDecision
from models_registry.monitoring import (
    BURST,
    CHECK_DRIFT,
    NO_WEEK,
    PAUSED,
    check_drift,
    forget_old_checks,
    measure,
    request_drift_check,
    run_drift_check,
)
from models_registry.promotion import promote
from models_registry.recent_predictions import read_recent
from models_registry.tasks import check_drift_everywhere, check_drift_task
from models_registry.threshold_moves import publish_thresholds
from scoring import deployment
from scoring.core.bundle import read_files, write_bundle
from scoring.models import Label, Prediction
from tests.models_registry.drifting import (
    ROWS,
    drifting_digest,
    kept_check,
    serve,
    stored_events,
    trained_risk,
)
from tests.models_registry.factories import VersionFactory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
CALENDAR = ("hour", "weekend")


@pytest.fixture
def watched(payments_detector):
    return serve(payments_detector)


def check(detector, *, after=timedelta(0)):
    return check_drift(detector, now=timezone.now() + after)


def measured(detector):
    """What a check of the newest events finds, judged."""
    bundle = deployment.serving_of(detector).bundle
    return measure(detector, bundle, read_recent(detector, bundle), now=timezone.now())


def kept(detector, drifts, *, after):
    """The check that found these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models_registry.monitoring.measure", lambda *_, **__: drifts)
        return check(detector, after=after)


def status_of(found, name):
    return found.statistics.get(name=name).status


def label_all(rows, *, frauds):
    Label.objects.bulk_create(
        Label(
            prediction=row, detector=row.detector, is_fraud=i < frauds, source="import",
            event_time=row.event_time, label_time=row.event_time,
        )
        for i, row in enumerate(rows)
    )  # fmt: skip


def test_events_like_those_of_training_are_stable(watched):
    stored_events(watched)
    found = check(watched)
    assert (found.rows, found.model_version, found.alarm_since) == (ROWS, "v1", None)
    assert status_of(found, "amount") == status_of(found, "score") == "stable"
    assert status_of(found, "alert rate") == "stable"
    assert found.first_at < found.last_at


def test_amounts_that_grew_move_the_feature_the_score_and_the_alerts(watched):
    stored_events(watched, times_amount=5.0)
    found = check(watched)
    assert found.status == status_of(found, "amount") == status_of(found, "score") == "major"
    assert status_of(found, "alert rate") == "major"
    amount = found.statistics.get(name="amount")
    assert amount.psi > 0.25 and amount.wasserstein > 0.5 and amount.p < 1e-6


def test_too_few_events_are_unknown_and_say_how_many_are_needed(watched):
    stored_events(watched, 312, times_amount=50.0)
    found = check(watched)
    assert (found.status, found.max_psi) == ("unknown", None)
    reasons = set(found.statistics.filter(role="feature").values_list("reason", flat=True))
    assert reasons == {"Needs 1,000 events, has 312."}


def test_what_follows_the_calendar_is_told_once_a_whole_week_was_served(watched):
    rows = stored_events(watched)
    found = check(watched)
    assert found.status == "stable"
    for name in CALENDAR:
        told = found.statistics.get(name=name)
        assert (told.status, told.reason) == ("unknown", NO_WEEK)
    now = timezone.now()
    for i, row in enumerate(rows):
        row.event_time = row.received_at = now - i * timedelta(minutes=8)
    Prediction.objects.bulk_update(rows, ["event_time", "received_at"])
    found = check(watched)
    assert {found.statistics.get(name=name).reason for name in CALENDAR} == {""}
    assert found.statistics.get(name="hour").rows == 7 * 24 * 60 // 8


def test_a_pause_in_traffic_is_no_drift_of_the_calendar(watched):
    rows = stored_events(watched, 3000)
    now = timezone.now()
    for i, row in enumerate(rows):
        row.event_time = row.received_at = now - i * timedelta(minutes=8)
    Prediction.objects.bulk_update(rows, ["event_time", "received_at"])
    assert status_of(check(watched), "hour") != "unknown"
    pause = (now - timedelta(hours=60), now - timedelta(hours=47))
    Prediction.objects.filter(event_time__range=pause).delete()
    found = check(watched)
    for name in CALENDAR:
        told = found.statistics.get(name=name)
        assert (told.status, told.reason) == ("unknown", PAUSED.format("13 hours"))


def test_a_burst_of_traffic_is_no_drift_of_the_calendar(watched):
    rows = stored_events(watched, 3000)
    now = timezone.now()
    for i, row in enumerate(rows):
        row.event_time = row.received_at = now - i * timedelta(minutes=8)
    for i, row in enumerate(rows[-500:]):
        row.event_time = row.received_at = now - timedelta(hours=50, seconds=i)
    Prediction.objects.bulk_update(rows, ["event_time", "received_at"])
    found = check(watched)
    for name in CALENDAR:
        told = found.statistics.get(name=name)
        assert told.status == "unknown"
        assert told.reason in {BURST.format("1 hour"), BURST.format("2 hours")}


def test_the_fraud_rate_counts_matured_labels_alone(watched):
    rows = stored_events(watched)
    label_all(rows, frauds=900)
    assert "has 0" in check(watched).statistics.get(name="fraud rate").reason
    Prediction.objects.update(event_time=timezone.now() - timedelta(days=60))
    found = check(watched).statistics.get(name="fraud rate")
    assert (found.rows, found.status) == (ROWS, "major")
    assert found.rate == pytest.approx(900 / ROWS)


def test_where_nobody_labels_the_fraud_rate_is_unknown(watched):
    stored_events(watched)
    Prediction.objects.update(event_time=timezone.now() - timedelta(days=60))
    assert status_of(check(watched), "fraud rate") == "unknown"


def moved(detector, curves=None, *, review=0.2):
    """The detector served by a version with the same model and another review threshold."""
    version = VersionFactory(detector=detector, digest=drifting_digest(), curves=curves or {})
    promote(version, actor=None)
    made = publish_thresholds(version, review=review, block=None, actor=None, reason="Calmer")
    promote(made, actor=None)
    PromotionDecision.objects.update(at=timezone.now() - HOUR)
    return detector


def curve_of_training(detector):
    risk = trained_risk()
    labels = np.zeros(risk.size)
    costs = detector.spec().costs
    return {"thresholds": threshold_curve(labels, risk, None, days=9.0, costs=costs)}


@pytest.mark.parametrize("with_curve", [True, False])
@pytest.mark.parametrize("review", [0.2, 0.02])
def test_moved_thresholds_alone_are_no_drift(payments_detector, with_curve, review):
    curves = curve_of_training(payments_detector) if with_curve else {}
    stored_events(moved(payments_detector, curves, review=review))
    found = check(payments_detector)
    rate = found.statistics.get(name="alert rate")
    assert (found.status, rate.status) == ("stable", "stable")
    assert rate.reference_rate == pytest.approx(rate.rate, rel=0.05)
    assert rate.rate == pytest.approx((trained_risk() >= review).mean())


def test_alerts_of_which_nothing_tells_at_moved_thresholds_are_unknown(
    payments_detector, monkeypatch
):
    monkeypatch.setattr("models_registry.threshold_moves.share_from", lambda *given: None)
    stored_events(moved(payments_detector))
    found = check(payments_detector)
    assert found.status == "stable"
    assert "thresholds that were moved" in found.statistics.get(name="alert rate").reason


def test_an_older_move_left_alerts_of_other_thresholds_that_are_not_compared(watched):
    manifest, files = read_files(deployment.bundle_root() / drifting_digest(), drifting_digest())
    manifest |= {"moved_from": {"digest": "0" * 64, "version": "v1"}}
    digest = write_bundle(deployment.bundle_root(), manifest, files)
    deployment.install(watched, slot="champion", digest=digest, version="v2")
    stored_events(watched)
    assert status_of(check(watched), "alert rate") == "unknown"


def test_events_of_another_bundle_do_not_count(watched):
    stored_events(watched)
    Prediction.objects.update(bundle_digest="another")
    assert check(watched).rows == 0


def test_distributions_are_kept_for_the_newest_check_alone(watched):
    stored_events(watched)
    first, second = check(watched), check(watched, after=HOUR)
    assert not first.statistics.exclude(histogram={}).exists()
    kept = second.statistics.get(name="amount").histogram
    assert sum(kept["reference"]) == pytest.approx(1.0, abs=1e-4)
    assert sum(kept["recent"]) == pytest.approx(1.0, abs=1e-4)


def test_an_alarm_is_told_when_it_begins_and_when_it_is_over_and_not_every_hour(watched):
    old = stored_events(watched, times_amount=5.0)
    began = check(watched).alarm_since
    for hours in (1, 2, 3):
        assert check(watched, after=hours * HOUR).alarm_since == began
    told = AuditEntry.objects.get(action="drift.alarm")
    assert '"amount": "major"' in told.detail_json
    Prediction.objects.filter(pk__in=[row.pk for row in old]).delete()
    stored_events(watched)
    assert check(watched, after=4 * HOUR).alarm_since is None
    assert AuditEntry.objects.filter(action="drift.over").count() == 1


def test_an_alarm_is_not_over_because_nothing_can_be_said(watched):
    stored_events(watched, times_amount=5.0)
    began = check(watched).alarm_since
    Prediction.objects.all().delete()
    assert check(watched, after=HOUR).alarm_since == began
    assert not AuditEntry.objects.filter(action="drift.over").exists()


def test_an_alarm_is_not_over_because_what_raised_it_cannot_be_told(watched, client, owner):
    stored_events(watched, times_amount=5.0)
    first = check(watched)
    moved = list(first.statistics.exclude(status="stable").exclude(status="unknown"))
    Prediction.objects.all().delete()
    stored_events(watched)
    found = measured(watched)
    hidden = [replace(d, status="unknown") if d.name == moved[0].name else d for d in found]
    second = kept(watched, hidden, after=HOUR)
    assert (second.status, second.alarm_since) == ("unknown", first.alarm_since)
    assert not AuditEntry.objects.filter(action="drift.over").exists()
    client.force_login(owner)
    page = client.get(reverse("drift", args=["payments"])).content.decode()
    assert "Nothing can be said of what was in alarm" in page and "In alarm since" in page
    third = kept(watched, found, after=2 * HOUR)
    assert (third.status, third.alarm_since) == ("stable", None)
    assert AuditEntry.objects.filter(action="drift.over").count() == 1


def test_older_events_with_steady_labels_make_no_check_stable_and_end_no_alarm(watched):
    old = stored_events(watched, times_amount=5.0)
    began = check(watched).alarm_since
    share = deployment.serving_of(watched).bundle.manifest["outcome_reference"]["labels"]["share"]
    label_all(old, frauds=round(share * ROWS))
    aged = {"event_time": timezone.now() - timedelta(days=60), "bundle_digest": "1" * 64}
    for rows in (Prediction, Label):
        known = {name: at for name, at in aged.items() if hasattr(rows, name)}
        rows.objects.update(**known)
    stored_events(watched, 1)
    found = check(watched, after=HOUR)
    assert (status_of(found, "fraud rate"), found.rows) == ("stable", 1)
    assert (found.status, found.alarm_since) == ("unknown", began)
    assert not AuditEntry.objects.filter(action="drift.over").exists()


def test_beat_checks_every_model_that_serves_once(watched, fraud_detector, monkeypatch):
    sent = []
    monkeypatch.setattr("models_registry.tasks.announce_job", sent.append)
    check_drift_everywhere()
    check_drift_everywhere()
    assert {job.pk for job in sent} == {Job.objects.get(kind=CHECK_DRIFT).pk}
    assert sent[0].params == {"detector": "payments"}


def test_a_message_that_comes_twice_makes_one_check(watched):
    stored_events(watched)
    job = request_drift_check(watched, requested_by=None)
    for _ in range(2):
        check_drift_task(job.pk)
    assert DriftCheck.objects.get().job == job


def test_an_attempt_after_one_that_died_at_the_end_makes_no_second_check(watched):
    stored_events(watched)
    job = claim_job(request_drift_check(watched, requested_by=None).pk)
    run_drift_check(job, JobProgress(job))
    requeue_lost(timezone.now() + HOUR)
    assert run_job(job.pk, run_drift_check).status == "succeeded"
    assert DriftCheck.objects.count() == 1


def test_an_attempt_that_lost_its_job_keeps_nothing(watched):
    stored_events(watched)
    job = claim_job(request_drift_check(watched, requested_by=None).pk)
    requeue_lost(timezone.now() + HOUR)
    claim_job(job.pk)
    with pytest.raises(JobCancelled):
        check_drift(watched, now=timezone.now(), job=job, progress=Deaf(job))
    assert not DriftCheck.objects.exists()


class Deaf(JobProgress):
    """Finds out only at the very end that its job is another's."""

    def check_cancelled(self):
        pass


def test_old_checks_are_forgotten_with_their_jobs(watched, settings):
    settings.DRIFT_KEPT_DAYS = 30
    stored_events(watched)
    run_job(request_drift_check(watched, requested_by=None).pk, run_drift_check)
    kept_check(watched, hours_ago=24 * 29)
    later = timezone.now() + timedelta(days=31)
    Job.objects.update(finished_at=timezone.now())
    assert forget_old_checks(later) == 2
    assert not Job.objects.exists() and not DriftStatistic.objects.exists()


def test_a_check_reads_what_it_needs_in_the_same_queries(watched, django_assert_max_num_queries):
    stored_events(watched, 1500)
    with django_assert_max_num_queries(24):
        check(watched)


def test_vectors_are_read_in_their_own_order(watched):
    [row] = stored_events(watched, 1)
    assert np.isfinite(row.vector_array()[0])
