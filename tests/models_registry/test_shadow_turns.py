"""No turn of a shadow goes round in circles, mixes two champions, or stops another shadow."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Job
from jobs.services import run_job
from models_registry import shadow_judging, shadow_scoring, shadowing, tasks
from models_registry.promotion import promote
from models_registry.shadow_judging import request_judgement, run_shadow_job
from models_registry.shadow_models import Shadow, ShadowScore
from models_registry.shadow_scoring import Turn, shadow_some
from models_registry.shadowing import forget_scores
from models_registry.tasks import shadow_traffic
from scoring.deployment import RULES_ONLY
from scoring.models import Prediction
from tests.models_registry.rivals import other_digest, rivals, shadow_of, traffic
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(payments_detector, payments_digest):
    return rivals(payments_detector, payments_digest)


@pytest.fixture
def shadow(pair):
    return shadow_of(pair[1])


@pytest.fixture(autouse=True)
def _small_and_at_once(monkeypatch):
    monkeypatch.setattr(shadow_scoring, "BATCH", 10)
    monkeypatch.setattr(shadow_scoring, "SETTLE", timedelta(0))
    monkeypatch.setattr(shadow_judging, "AT_ONCE", 10)
    monkeypatch.setattr(tasks, "announce_job", lambda _job: None)


def run(shadow, most=10):
    shadow.refresh_from_db()
    return shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=most)


def unscorable(n):
    """Rules alone scored them, and logged no feature."""
    keys = [row.pk for row in traffic(n, seed=n)]
    Prediction.objects.filter(pk__in=keys).update(bundle_digest=RULES_ONLY)
    return keys


def test_what_cannot_be_scored_is_passed_by_however_much_it_is(shadow):
    unscorable(35)
    rows = traffic(5)
    assert [run(shadow) for _ in range(4)] == [Turn.MORE, Turn.MORE, Turn.MORE, Turn.MORE]
    assert run(shadow) is Turn.DONE
    assert {s.prediction_id for s in ShadowScore.objects.all()} == {row.pk for row in rows}


def test_what_was_passed_by_is_not_read_again(shadow):
    traffic(5)
    unscorable(15)
    run(shadow, most=100)
    stored, at = shadow.batches, shadow.watermark
    assert run(shadow, most=100) is Turn.DONE
    assert (shadow.batches, shadow.watermark) == (stored, at)
    traffic(1, seed=3)
    assert run(shadow, most=100) is Turn.DONE
    assert (shadow.batches, shadow.rows) == (stored + 1, 6)


def test_a_job_ends_though_nothing_can_be_scored(shadow, monkeypatch):
    turns = []

    def counted(*args, **given):
        turns.append(shadow_some(*args, **given))
        assert len(turns) < 20, "It goes round in circles."
        return turns[-1]

    monkeypatch.setattr(shadow_judging, "shadow_some", counted)
    traffic(1)
    unscorable(45)
    job = run_job(request_judgement(shadow.version, requested_by=None).pk, run_shadow_job)
    assert job.status == "succeeded", job.error
    assert turns == [*[Turn.MORE] * 4, Turn.DONE]


def test_a_job_stops_when_nothing_moves(shadow, monkeypatch):
    monkeypatch.setattr(shadow_judging, "shadow_some", lambda *_args, **_given: Turn.MORE)
    job = run_job(request_judgement(shadow.version, requested_by=None).pk, run_shadow_job)
    assert job.status == "succeeded", job.error


def test_what_arrived_in_the_same_moment_is_told_apart_by_its_id(shadow):
    rows = traffic(25)
    Prediction.objects.update(received_at=timezone.now())
    assert run(shadow) is Turn.MORE
    assert ShadowScore.objects.count() == 10
    assert shadow.cursor_id == sorted(row.pk for row in rows)[9]
    assert run(shadow, most=100) is Turn.DONE
    assert ShadowScore.objects.count() == shadow.rows == 25


def test_what_came_late_is_found_among_much_that_cannot_be_scored(shadow):
    traffic(1)
    unscorable(30)
    run(shadow, most=100)
    at, cursor = shadow.watermark, shadow.cursor_id
    late = traffic(3, seed=5)
    Prediction.objects.filter(pk__in=[row.pk for row in late]).update(
        received_at=at - timedelta(seconds=30)
    )
    assert run(shadow) is Turn.DONE
    assert (shadow.rows, shadow.watermark, shadow.cursor_id) == (4, at, cursor)


def test_a_promotion_in_between_mixes_no_totals_of_two_champions(pair, shadow, monkeypatch):
    third = VersionFactory(
        detector=pair[0].detector, number=3, digest=other_digest(review=0.02, medium=0.02)
    )
    score = shadow_scoring._score

    def meanwhile(*args):
        batch = score(*args)
        promote(third, actor=None, reason="test")
        return batch

    traffic(8)
    with monkeypatch.context() as patched:
        patched.setattr(shadow_scoring, "_score", meanwhile)
        run(shadow)
    assert (shadow.rows, shadow.champion_digest) == (8, pair[0].digest)
    traffic(3, seed=9)
    run(shadow)
    assert (shadow.rows, shadow.champion_digest) == (3, third.digest)


# --- The beat -----------------------------------------------------------------------------------


def test_the_beat_leaves_a_shadow_to_the_job_that_is_at_it(shadow):
    traffic(5)
    job = request_judgement(shadow.version, requested_by=None)
    shadow_traffic()
    assert not ShadowScore.objects.exists()
    run_job(job.pk, run_shadow_job)
    assert ShadowScore.objects.count() == 5


@pytest.mark.parametrize(("turn", "jobs"), [(Turn.MORE, 1), (Turn.LOST, 0), (Turn.DONE, 0)])
def test_the_beat_asks_for_a_job_where_more_waits_and_nobody_is_at_it(
    shadow, monkeypatch, turn, jobs
):
    monkeypatch.setattr(tasks, "shadow_some", lambda *_args, **_given: turn)
    shadow_traffic()
    assert Job.objects.count() == jobs


def test_a_shadow_that_breaks_stops_no_other(pair, shadow, monkeypatch, caplog):
    third = VersionFactory(
        detector=pair[0].detector, number=3, digest=other_digest(review=0.02, medium=0.02)
    )
    shadow_of(third)  # the newest, and so the first

    def broken(one, **given):
        if one.version_id == third.pk:
            raise OSError("disk")
        return shadow_some(one, **given)

    traffic(5)
    monkeypatch.setattr(tasks, "shadow_some", broken)
    shadow_traffic()
    assert set(ShadowScore.objects.values_list("version", flat=True)) == {shadow.version_id}
    assert "payments v3 could not score in shadow" in caplog.text


def test_a_detector_whose_challengers_cannot_be_chosen_stops_no_shadow(shadow, monkeypatch, caplog):
    def broken(*_args, **_given):
        raise OSError("disk")

    traffic(5)
    monkeypatch.setattr(tasks, "choose_shadows", broken)
    shadow_traffic()
    assert ShadowScore.objects.count() == 5
    assert "of payments could not be chosen" in caplog.text


def test_scores_that_cannot_be_forgotten_keep_none_of_the_others(pair, shadow, monkeypatch, caplog):
    other = shadow_of(VersionFactory(detector=pair[0].detector, number=3, digest="f" * 64))
    forget = shadowing._forget

    def broken(one, now):
        if one.pk == other.pk:
            raise OSError("disk")
        return forget(one, now)

    traffic(5)
    run(shadow)
    monkeypatch.setattr(shadowing, "_forget", broken)
    assert Shadow.objects.first() == other
    assert forget_scores(now=timezone.now() + timedelta(days=4000)) == 5
    assert "could not be forgotten" in caplog.text
