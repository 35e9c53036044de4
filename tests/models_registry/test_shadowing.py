"""Challengers score live traffic after the fact: once, resumably, and never instead of anybody."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEntry
from models_registry import shadow_scoring
from models_registry.models import ModelVersion
from models_registry.promotion import promote, reject
from models_registry.shadow_models import Shadow, ShadowScore
from models_registry.shadow_scoring import Turn, shadow_some
from models_registry.shadowing import (
    ShadowRefused,
    choose_shadows,
    forget_scores,
    start_shadow,
    stop_shadow,
)
from models_registry.tasks import shadow_traffic
from scoring.core.bundle import write_bundle
from scoring.core.pipeline import judge
from scoring.deployment import bundle_root, loaded
from scoring.models import Deployment, Prediction
from tests.factories import config_of, payment, payments, scored, train_bundle
from tests.models_registry.rivals import other_digest, rivals, shadow_of, traffic
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


def later():
    """A moment at which everything was committed long enough ago."""
    return timezone.now() + timedelta(seconds=30)


@pytest.fixture
def pair(payments_detector, payments_digest):
    return rivals(payments_detector, payments_digest)


@pytest.fixture
def shadow(pair):
    return shadow_of(pair[1])


def run(shadow, most=100_000):
    shadow.refresh_from_db()
    return shadow_some(shadow, now=later(), most=most)


def test_every_prediction_gets_what_the_challenger_would_have_said(shadow):
    rows = traffic(60)
    assert run(shadow) is Turn.DONE
    scores = {s.prediction_id: s for s in ShadowScore.objects.all()}
    assert scores.keys() == {row.pk for row in rows}
    # The same model under other thresholds: equal scores, other decisions.
    assert all(scores[row.pk].score == pytest.approx(row.score, abs=1e-9) for row in rows)
    flagged = {pk for pk, s in scores.items() if s.decision != "APPROVE"}
    assert flagged > {row.pk for row in rows if row.decision != "APPROVE"}


def test_the_totals_say_how_the_decisions_differ(shadow):
    rows = traffic(60)
    run(shadow)
    decided = dict(ShadowScore.objects.values_list("prediction_id", "decision"))
    more = sum(r.decision == "APPROVE" != decided[r.pk] for r in rows)
    assert more > 0
    assert (shadow.rows, shadow.more, shadow.less) == (60, more, 0)
    assert shadow.agreed == sum(r.decision == decided[r.pk] for r in rows)
    assert sum(shadow.histogram["champion"]) == sum(shadow.histogram["challenger"]) == 60


def test_rules_and_screening_count_for_the_challenger_as_they_did(shadow):
    row = scored("payments", payment(amount=20_000.0))
    assert row.rule_hits
    run(shadow)
    assert ShadowScore.objects.get().decision in ("REVIEW", "BLOCK")


def test_twice_is_once(shadow):
    traffic(30)
    run(shadow)
    run(shadow)
    assert ShadowScore.objects.count() == shadow.rows == 30


def test_an_interrupted_run_goes_on_where_it_was(shadow, monkeypatch):
    monkeypatch.setattr(shadow_scoring, "BATCH", 10)
    traffic(25)
    assert run(shadow, most=10) is Turn.MORE
    assert ShadowScore.objects.count() == 10
    assert run(shadow) is Turn.DONE
    assert ShadowScore.objects.count() == shadow.rows == 25


def test_of_two_runs_at_once_one_finds_that_the_other_stored(shadow, monkeypatch):
    traffic(20)
    other, score = Shadow.objects.get(pk=shadow.pk), shadow_scoring._score
    turns = []

    def overtaken(mine, rows, champion):
        if mine is other:
            turns.append(run(shadow))
        return score(mine, rows, champion)

    monkeypatch.setattr(shadow_scoring, "_score", overtaken)
    assert shadow_some(other, now=later(), most=100) is Turn.LOST
    assert turns == [Turn.DONE]
    assert ShadowScore.objects.count() == 20
    assert Shadow.objects.get().rows == other.rows == 20


def test_a_prediction_that_was_committed_late_is_found(shadow):
    rows = traffic(10)
    run(shadow)
    # It arrived before the others, and its group was committed after them.
    late = scored("payments", payment())
    Prediction.objects.filter(pk=late.pk).update(
        received_at=rows[0].received_at - timedelta(seconds=20)
    )
    run(shadow)
    assert ShadowScore.objects.filter(prediction=late).exists()
    assert shadow.rows == 11


def test_what_came_before_the_training_is_not_scored(pair):
    shadow = shadow_of(pair[1])
    Shadow.objects.update(watermark=later())
    traffic(5)
    run(shadow)
    assert not ShadowScore.objects.exists()


def test_scoring_itself_asks_nothing_more_for_a_shadow(pair):
    scored("payments", payment())
    with CaptureQueriesContext(connection) as before:
        scored("payments", payment())
    shadow_of(pair[1])
    with CaptureQueriesContext(connection) as after:
        scored("payments", payment())
    assert len(after) == len(before)
    assert not any("shadow" in query["sql"] for query in after)


def test_a_batch_is_one_short_transaction_whatever_its_size(shadow):
    spent = []
    for n in (1, 5, 50):  # The first turn of all has nothing behind it to look back at.
        traffic(n, seed=n)
        shadow.refresh_from_db()
        with CaptureQueriesContext(connection) as queries:
            run(shadow)
        spent.append(len(queries))
    assert spent[1] == spent[2] <= 12


def challenger_with(version, transformations):
    """The version with a bundle that was trained on other features."""
    config = config_of("payments")
    config["features"]["transformations"] = transformations(config["features"]["transformations"])
    raws = payments(400, users=40)
    labels = np.array([int(raw["amount"] > 150.0) for raw in raws])
    manifest, files = train_bundle(config, raws, labels)
    version.digest = write_bundle(bundle_root(), manifest, files)
    version.save(update_fields=["digest"])
    return shadow_of(version)


def longer_windows(steps):
    step = next(step for step in steps if step["type"] == "time_window_aggregation")
    longer = step | {"config": step["config"] | {"windows": ["45d"]}}
    return [*steps, longer]


def test_a_challenger_whose_features_are_not_logged_says_which(pair):
    shadow = challenger_with(pair[1], longer_windows)
    traffic(5)
    run(shadow)
    assert shadow.state == "blocked"
    assert "champion does not log" in shadow.fault
    assert "45d" in shadow.fault
    assert not ShadowScore.objects.exists()


def test_what_was_blocked_starts_again_beside_a_champion_that_logs_enough(pair):
    shadow = challenger_with(pair[1], longer_windows)
    traffic(5)
    run(shadow)
    next_one = VersionFactory(detector=pair[0].detector, number=0, digest=pair[1].digest)
    promote(next_one, actor=None, reason="It logs the longer windows.")
    choose_shadows(pair[0].detector, now=timezone.now())
    traffic(4, seed=9)
    run(shadow)
    assert (shadow.state, shadow.rows) == ("running", 4)


def test_features_in_another_order_are_put_in_order(pair, payments_digest):
    shadow = challenger_with(pair[1], lambda steps: list(reversed(steps)))
    challenger, champion = loaded(pair[1].digest), loaded(payments_digest)
    layout = shadow_scoring.layout_of(challenger, payments_digest)
    assert challenger.plan.names != champion.plan.names
    assert [champion.plan.names[i] for i in layout] == list(challenger.plan.names)
    row = traffic(1)[0]
    run(shadow)
    expected = judge(challenger.predictor, row.vector_array()[layout][None, :])
    assert ShadowScore.objects.get().score == pytest.approx(float(expected.score[0]), abs=1e-9)


def test_a_damaged_bundle_blocks_the_shadow_with_the_reason(pair, bundle_dir):
    VersionFactory(detector=pair[0].detector, number=3, digest="f" * 64)
    shadow = shadow_of(ModelVersion.objects.get(number=3))
    Prediction.objects.update(received_at=timezone.now())
    traffic(3)
    run(shadow)
    assert (shadow.state, "cannot be read" in shadow.fault) == ("blocked", True)


# --- Who is in shadow ---------------------------------------------------------------------------


def states(detector):
    return dict(Shadow.objects.filter(detector=detector).values_list("version__number", "state"))


def test_the_newest_challengers_start_by_themselves_and_displace_older_ones(pair, settings):
    settings.SHADOW_MOST = 2
    detector = pair[0].detector
    choose_shadows(detector, now=timezone.now())
    assert states(detector) == {2: "running"}
    for number in (3, 4):
        VersionFactory(detector=detector, number=number, digest=other_digest(review=0.02))
    choose_shadows(detector, now=timezone.now())
    assert states(detector) == {2: "displaced", 3: "running", 4: "running"}


def test_what_a_person_started_keeps_its_place_until_a_verdict_is_possible(pair, owner, settings):
    settings.SHADOW_MOST = 2
    detector, now = pair[0].detector, timezone.now()
    start_shadow(pair[1], actor=owner)
    for number in (3, 4):
        VersionFactory(detector=detector, number=number, digest=other_digest(review=0.02))
    choose_shadows(detector, now=now + timedelta(days=9))  # Labels take 7 days, a verdict 3 more.
    assert states(detector) == {2: "running", 4: "running"}
    choose_shadows(detector, now=now + timedelta(days=11))
    assert states(detector) == {2: "displaced", 3: "running", 4: "running"}


def test_what_a_person_started_begins_its_time_anew_with_another_champion(pair, owner, settings):
    settings.SHADOW_MOST = 1
    detector, now = pair[0].detector, timezone.now()
    start_shadow(pair[1], actor=owner)
    VersionFactory(detector=detector, number=3, digest=other_digest(review=0.02))
    later = now + timedelta(days=11)
    champion = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION)
    assert champion.update(installed_at=later - timedelta(hours=1)) == 1
    choose_shadows(detector, now=later)
    assert states(detector) == {2: "running"}


def test_a_declaration_that_cannot_be_read_holds_what_people_started(pair, owner, settings):
    settings.SHADOW_MOST = 1
    detector, now = pair[0].detector, timezone.now()
    start_shadow(pair[1], actor=owner)
    VersionFactory(detector=detector, number=3, digest=other_digest(review=0.02))
    detector.config["training"]["label_delay"] = "nonsense"
    detector.save()
    choose_shadows(detector, now=now + timedelta(days=11))
    assert states(detector) == {2: "running"}


def test_where_people_took_every_place_newer_ones_wait_and_start_once_there_is_room(
    pair, owner, settings
):
    settings.SHADOW_MOST = 1
    detector, now = pair[0].detector, timezone.now()
    start_shadow(pair[1], actor=owner)
    VersionFactory(detector=detector, number=3, digest=other_digest(review=0.02))
    for days in (0, 9):
        choose_shadows(detector, now=now + timedelta(days=days))
        assert states(detector) == {2: "running"}
    stop_shadow(pair[1], actor=owner)
    choose_shadows(detector, now=now + timedelta(days=9))
    assert states(detector) == {2: "stopped", 3: "running"}


def test_nothing_is_in_shadow_while_rules_alone_serve(payments_detector, payments_digest):
    VersionFactory(detector=payments_detector, number=1, digest=payments_digest)
    choose_shadows(payments_detector, now=timezone.now())
    assert not Shadow.objects.exists()


def test_what_a_person_stopped_stays_stopped_until_a_person_starts_it(pair, owner):
    detector = pair[0].detector
    choose_shadows(detector, now=timezone.now())
    stop_shadow(pair[1], actor=owner)
    choose_shadows(detector, now=timezone.now())
    assert states(detector) == {2: "stopped"}
    start_shadow(pair[1], actor=owner)
    assert states(detector) == {2: "running"}
    assert list(
        AuditEntry.objects.filter(action__startswith="model.shadow")
        .order_by("number")
        .values_list("action", "actor__username")
    ) == [("model.shadow_stopped", "owner"), ("model.shadow_started", "owner")]


def test_only_so_many_at_once(pair, owner, settings):
    settings.SHADOW_MOST = 1
    start_shadow(pair[1], actor=owner)
    third = VersionFactory(detector=pair[0].detector, number=3, digest=other_digest(review=0.02))
    with pytest.raises(ShadowRefused, match="stop one first"):
        start_shadow(third, actor=owner)
    with pytest.raises(ShadowRefused, match="in shadow already"):
        start_shadow(pair[1], actor=owner)
    with pytest.raises(ShadowRefused, match="Only a challenger"):
        start_shadow(pair[0], actor=owner)


def test_a_rejected_or_promoted_challenger_leaves_the_shadow(pair, owner):
    detector = pair[0].detector
    choose_shadows(detector, now=timezone.now())
    reject(pair[1], actor=owner)
    choose_shadows(detector, now=timezone.now())
    assert states(detector) == {2: "ended"}


def test_a_new_champion_starts_the_totals_anew(pair):
    shadow = shadow_of(pair[1])
    third = VersionFactory(
        detector=pair[0].detector, number=3, digest=other_digest(review=0.02, medium=0.02)
    )
    traffic(20)
    run(shadow)
    promote(third, actor=None, reason="test")
    traffic(8, seed=9)
    run(shadow)
    assert (shadow.rows, shadow.champion_digest) == (8, third.digest)
    assert ShadowScore.objects.count() == 28


# --- Tasks and forgetting -----------------------------------------------------------------------


def test_the_beat_scores_and_asks_for_a_comparison(pair, monkeypatch):
    traffic(12)
    announced = []
    monkeypatch.setattr("models_registry.tasks.announce_job", announced.append)
    monkeypatch.setattr("models_registry.shadow_scoring.SETTLE", timedelta(0))
    shadow_traffic()
    shadow_traffic()
    assert ShadowScore.objects.count() == 12
    assert {job.kind for job in announced} == {"models_registry.shadow"}
    assert len({job.pk for job in announced}) == 1


def test_scores_are_forgotten_after_their_time_and_with_their_version(shadow, settings):
    settings.SHADOW_KEEP_DAYS = 30
    rows = traffic(10)
    run(shadow)
    ShadowScore.objects.update(event_time=timezone.now() - timedelta(days=36))
    assert forget_scores(now=timezone.now()) == 0  # 30 days and the 7 that labels take
    old = [row.pk for row in rows[:4]]
    ShadowScore.objects.filter(prediction__in=old).update(
        event_time=timezone.now() - timedelta(days=38)
    )
    assert forget_scores(now=timezone.now()) == 4
    version = shadow.version
    version.delete()
    assert not ShadowScore.objects.exists()
