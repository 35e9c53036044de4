"""The live comparison: matured labels, the champion of today, and what is kept of it."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from django.utils import timezone

from jobs.models import Job
from jobs.services import cancel_job, run_job
from models_registry.core import live
from models_registry.evidence import evidence_for
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.shadow_judging import (
    is_due,
    judge_shadow,
    request_judgement,
    run_shadow_job,
)
from models_registry.shadow_models import Shadow, ShadowScore
from models_registry.shadow_reading import read_live
from models_registry.shadow_scoring import shadow_some
from models_registry.shadowing import displaced_shadows, forget_scores
from models_registry.tasks import shadow_traffic
from scoring.core.types import DECISIONS, SelectionReason
from scoring.models import Label, Prediction
from tests.factories import payments, scored_many
from tests.models_registry.rivals import other_digest, rivals, shadow_of, tell_truths, traffic
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
EPOCH = date(1970, 1, 1).toordinal()


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
    assert len(found.rows) == sum(row.event_time < newest for row in rows)


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
    assert found.rows.labels.tolist() == [0]


def test_degraded_events_and_those_of_another_champion_are_left_out(shadow):
    rows = traffic(10)
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=100)
    Prediction.objects.filter(pk=rows[0].pk).update(degraded=True, score=None)
    Prediction.objects.filter(pk=rows[1].pk).update(bundle_digest="e" * 64)
    champion = shadow.detector.versions.get(number=1)
    found = read_live(shadow, champion, matured_before=timezone.now(), known_at=timezone.now())
    assert found.coverage.events == 8


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
    shadow.attempted_at = now + timedelta(hours=1)  # and it came to nothing
    assert not is_due(shadow, now=now + timedelta(hours=6))
    assert is_due(shadow, now=now + timedelta(hours=7))
    shadow.compared_at = now + timedelta(seconds=1)
    assert not is_due(shadow, now=now + timedelta(days=9))


def test_one_that_made_room_is_compared_until_all_its_labels_have_matured(shadow):
    now = timezone.now()
    shadow.state, shadow.scored_at, shadow.stopped_at = Shadow.State.DISPLACED, now, now
    shadow.compared_at = now + timedelta(minutes=1)  # Nothing had matured; labels take 7 days.
    days = [day for day in range(12) if is_due(shadow, now=now + timedelta(days=day, hours=1))]
    assert days == list(range(1, 12))
    shadow.compared_at = now + timedelta(days=7, hours=1)
    assert not is_due(shadow, now=now + timedelta(days=12))


def test_the_beat_judges_those_that_made_room_while_their_labels_mature(shadow, monkeypatch):
    rows = spread(900)
    tell_truths(rows)
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=100_000)
    announced = []
    monkeypatch.setattr("models_registry.tasks.announce_job", announced.append)
    monkeypatch.setattr("models_registry.tasks.choose_shadows", lambda *_given, **_named: None)
    told = timezone.now() - timedelta(days=2)
    Shadow.objects.update(state="displaced", stopped_at=told, compared_at=told, attempted_at=told)
    shadow_traffic()
    assert [job.params["version"] for job in announced] == [shadow.version_id]
    assert run_job(announced[0].pk, run_shadow_job).result["verdict"] == live.BETTER
    shadow_traffic()
    assert len(announced) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"stopped_at": timezone.now() - timedelta(days=8)},
        {"champion_digest": "e" * 64},
        {"state": "stopped"},
        {"scored_at": None},
    ],
)
def test_those_of_which_no_more_can_be_told_are_left_alone(pair, changed):
    told = timezone.now() - timedelta(days=1)
    kept = {"scored_at": told, "stopped_at": told, "compared_at": told, "state": "displaced"}
    shadow = shadow_of(pair[1], champion_digest=pair[0].digest, **kept)
    assert displaced_shadows(shadow.detector, now=timezone.now()) == [shadow]
    Shadow.objects.update(**changed)
    assert displaced_shadows(shadow.detector, now=timezone.now()) == []


def test_a_version_that_serves_is_compared_with_nobody(shadow, pair):
    promote(pair[1], actor=None, reason="test")
    assert judge_shadow(shadow, now=timezone.now()) == {}
    third = VersionFactory(detector=pair[0].detector, number=3, digest=other_digest(review=0.3))
    assert judge_shadow(shadow_of(third), now=timezone.now())["champion"] == "v2"


def test_one_that_failed_is_held_back_and_not_tried_with_every_beat(shadow, monkeypatch):
    def broken(*_args, **_given):
        raise MemoryError

    traffic(5)
    monkeypatch.setattr("models_registry.shadow_scoring.SETTLE", timedelta(0))
    monkeypatch.setattr("models_registry.tasks.announce_job", lambda _job: None)
    shadow_traffic()
    with monkeypatch.context() as patched:
        patched.setattr("models_registry.shadow_judging.compare_live", broken)
        run_job(Job.objects.get().pk, run_shadow_job)
    assert Job.objects.get().status == "failed"
    shadow_traffic()
    assert Job.objects.count() == 1
    Shadow.objects.update(attempted_at=timezone.now() - timedelta(hours=6))
    shadow_traffic()
    assert Job.objects.count() == 2


def test_a_job_that_only_catches_up_compares_if_a_person_asks_meanwhile(shadow, owner):
    just_now = timezone.now()
    Shadow.objects.update(compared_at=just_now, attempted_at=just_now)
    job = request_judgement(shadow.version, requested_by=None)
    assert "a short while ago" in run_job(job.pk, run_shadow_job).result["reason"]
    job = request_judgement(shadow.version, requested_by=None)
    assert request_judgement(shadow.version, requested_by=owner).pk == job.pk
    assert run_job(job.pk, run_shadow_job).result["verdict"] == live.NOT_ENOUGH


def test_a_job_that_was_cancelled_while_it_caught_up_compares_nothing(shadow, owner, monkeypatch):
    job = request_judgement(shadow.version, requested_by=owner)
    monkeypatch.setattr(
        "models_registry.shadow_judging._catch_up",
        lambda *_given: cancel_job(Job.objects.get(), actor=owner),
    )
    assert run_job(job.pk, run_shadow_job).status == "cancelled"
    shadow.refresh_from_db()
    assert (shadow.attempted_at, shadow.compared_at) == (None, None)


def read(shadow):
    champion = shadow.detector.versions.get(number=1)
    return read_live(shadow, champion, matured_before=timezone.now(), known_at=timezone.now())


def test_only_what_counts_is_read_and_the_rest_is_counted(shadow):
    rows = spread(60)
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=100)
    Prediction.objects.filter(selection_reason=SelectionReason.RANDOM_AUDIT).update(
        selection_reason=SelectionReason.NONE
    )
    approved = [row for row in rows if row.decision == "APPROVE"]
    drawn, others = approved[:20], approved[20:25]
    keys = [row.pk for row in drawn]
    Prediction.objects.filter(pk__in=keys).update(
        selection_reason=SelectionReason.RANDOM_AUDIT, propensity=0.25
    )
    tell_truths([*drawn[:15], *others])
    found = read(shadow)
    assert found.coverage.kind == live.AUDITED
    assert (found.coverage.drawn, found.coverage.answered) == (20, 15)
    assert (found.coverage.events, found.coverage.unlabelled) == (60, 40)
    assert (len(found.rows), int(found.rows.audited.sum())) == (15, 15)
    assert set(found.rows.propensity) == {0.25}


def test_columns_hold_what_was_stored(shadow):
    rows = spread(40)
    tell_truths(rows)
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=100)
    found = read(shadow).rows
    told = {row.event_time.timestamp(): row for row in rows}
    assert len(found) == 40
    for i, at in enumerate(found.event_time.tolist()):
        assert found.amounts[i] == float(told[at].exposure)
        assert found.champion_risk[i] == told[at].risk
        assert DECISIONS[found.champion_decision[i]] == told[at].decision
    assert np.unique(found.entities).size == len({row.entity for row in rows})


def test_of_too_many_the_newest_whole_days_are_read(shadow, monkeypatch):
    rows = spread(100)
    tell_truths(rows)
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=100)
    monkeypatch.setattr("models_registry.shadow_reading.MOST_ROWS", 35)
    found = read(shadow)
    assert (len(found.rows), found.coverage.events) == (30, 30)
    assert found.since == datetime(2020, 6, 8, tzinfo=UTC)


def test_the_sequence_begins_where_it_began_though_scores_are_forgotten(shadow, settings):
    settings.SHADOW_KEEP_DAYS = 30
    tell_truths(spread(900))
    before = judged(shadow)
    # 30 days and the 7 that labels take: what came before the morning of the fourth goes.
    assert forget_scores(now=datetime(2020, 7, 11, 6, tzinfo=UTC)) == 270
    shadow.refresh_from_db()
    after = judge_shadow(shadow, now=timezone.now())
    assert (before["rows"], after["rows"]) == (900, 630)
    assert after["sequence"] == pytest.approx(before["sequence"])
    assert sorted(shadow.sequence["days"])[0] == str(date(2020, 6, 1).toordinal() - EPOCH)
    Shadow.objects.update(sequence={})
    shadow.refresh_from_db()
    slid = judge_shadow(shadow, now=timezone.now())
    assert slid["sequence"]["units"] < before["sequence"]["units"]


def test_what_days_told_beside_another_champion_counts_for_nothing(pair, shadow):
    tell_truths(spread(900))
    judged(shadow)
    assert len(shadow.sequence["days"]) == 10
    Shadow.objects.update(sequence=shadow.sequence | {"champion_digest": "e" * 64})
    ShadowScore.objects.filter(event_time__lt=datetime(2020, 6, 4, tzinfo=UTC)).delete()
    Shadow.objects.update(forgotten_to=datetime(2020, 6, 3, 12, tzinfo=UTC))
    shadow.refresh_from_db()
    judge_shadow(shadow, now=timezone.now())
    assert len(shadow.sequence["days"]) == 7
    assert shadow.sequence["champion_digest"] == pair[0].digest
