"""After a promotion: what gets worse is rolled back, once, and told; the rest is left alone."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from models_registry.evidence import evidence_for
from models_registry.guarding import _looks, check_guard, watch_promotions
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion import PromotionRefused, promote, roll_back
from models_registry.promotion_models import PromotionGuard
from models_registry.tasks import watch_promotions_task
from scoring.deployment import serving
from scoring.models import Prediction
from tests.factories import card, scored_many
from tests.models_registry.guards import EVENTS, LATENCY_US, worsen
from tests.models_registry.rivals import other_digest, traffic
from tests.models_registry.versions import VersionFactory, make_detector

pytestmark = pytest.mark.django_db


def now():
    return timezone.now()


def stages():
    return list(ModelVersion.objects.order_by("number").values_list("stage", flat=True))


def test_the_first_champion_has_nobody_to_be_held_against(guarded):
    assert not PromotionGuard.objects.exists()


def test_a_promotion_is_watched_for_the_label_delay_and_a_week(guard, guarded):
    assert (guard.former, guard.version, guard.state) == (*guarded, "watching")
    assert guard.until - guard.since == timedelta(days=14)


def test_the_declaration_can_switch_it_off(guarded):
    detector = guarded[0].detector
    detector.config["training"]["guard"] = {"enabled": False}
    detector.save(update_fields=["config"])
    promote(ModelVersion.objects.get(number=2), actor=None, reason="test")
    assert not PromotionGuard.objects.exists()


@pytest.mark.parametrize(
    ("columns", "broken"),
    [
        ({"latency_us": 900_000}, "latency"),
        ({"degraded": True, "score": None}, "degraded"),
        ({"decision": "REVIEW"}, "alert_rate"),
    ],
)
def test_what_gets_worse_is_rolled_back_and_on_record(guard, columns, broken):
    worsen(**columns)
    assert watch_promotions_task() == 1
    assert serving("payments").version == "v1"
    assert stages() == ["champion", "retired"]
    guard.refresh_from_db()
    assert (guard.state, guard.breaches[0]["guard"]) == ("broken", broken)
    decision = PromotionDecision.objects.first()
    assert (decision.action, decision.actor) == ("roll_back", None)
    assert decision.reason.startswith("Rolled back by its guard: ")
    entry = AuditEntry.objects.order_by("-number")[0]
    assert (entry.action, entry.detail["restored"]) == ("model.guard_broken", "v1")
    assert (entry.object_id, guard.ended_at) == (str(guard.version_id), guard.checked_at)


def test_an_equal_champion_goes_on_and_the_levels_are_kept(guard):
    worsen()
    assert watch_promotions(now=now()) == []
    guard.refresh_from_db()
    assert (guard.state, guard.before["events"], guard.after["events"]) == ("watching", 60, 60)
    assert serving("payments").version == "v2"


def test_too_few_events_break_nothing(guard):
    traffic(20, seed=11)
    Prediction.objects.filter(received_at__gte=guard.since).update(latency_us=9_000_000)
    assert watch_promotions(now=now()) == []


def test_it_does_not_flap(guard, guarded):
    worsen(latency_us=900_000)
    watch_promotions(now=now())
    for _ in range(3):
        assert watch_promotions(now=now()) == []
    assert PromotionDecision.objects.filter(action="roll_back").count() == 1
    assert PromotionGuard.objects.filter(state="watching").count() == 0
    assert not evidence_for(guarded[1], guarded[0]).passed


def test_two_workers_roll_back_once(guard):
    worsen(latency_us=900_000)
    other = PromotionGuard.objects.select_related("detector", "version", "former").get()
    assert check_guard(guard, now=now())
    assert not check_guard(other, now=now())
    assert PromotionDecision.objects.filter(action="roll_back").count() == 1


def test_when_its_time_is_over_it_passes(guard):
    worsen()
    assert not check_guard(guard, now=guard.until)
    assert guard.state == "passed"


def test_without_enough_events_it_ends_and_says_that_it_did_not_judge(guard, client, analyst):
    assert not check_guard(guard, now=guard.until)
    assert guard.state == "ended"
    client.force_login(analyst)
    page = client.get(guard.version.get_absolute_url()).content.decode()
    assert "over without a judgement" in page


def test_degraded_answers_need_no_level_of_the_former_champion(guard):
    Prediction.objects.all().delete()
    worsen(degraded=True, score=None)
    assert check_guard(guard, now=now())
    assert [breach["guard"] for breach in guard.breaches] == ["degraded"]


def test_a_fault_of_one_guard_keeps_nobody_from_watching_the_others(guard, monkeypatch):
    def fails(*given, **named):
        raise KeyError("old shape")

    monkeypatch.setattr("models_registry.guarding._sample", fails)
    assert watch_promotions(now=now()) == []
    guard.refresh_from_db()
    assert guard.state == "watching"


def test_what_its_guard_took_out_comes_back_by_promotion_alone(guard, guarded, owner):
    first = guarded[0]
    promote(first, actor=None, reason="v1 again")
    again = PromotionGuard.objects.get(version=first)
    PromotionGuard.objects.filter(pk=again.pk).update(state="broken")
    roll_back(guard.detector, actor=None, reason="its guard broke")
    assert serving("payments").version == "v2"
    with pytest.raises(PromotionRefused, match="rolled back by its guard"):
        roll_back(guard.detector, actor=owner)
    assert serving("payments").version == "v2"


def test_what_people_promoted_again_is_gone_back_to(guard, guarded):
    """By the guard of the next champion too: that its own broke once was known and outweighed."""
    worsen(latency_us=900_000)
    watch_promotions(now=now())
    promote(guarded[1], actor=None, reason="The host was slow that day, not the model")
    traffic(EVENTS, seed=12)
    third = VersionFactory(detector=guard.detector, number=3, digest=other_digest(review=0.4))
    promote(third, actor=None, reason="test")
    worsen(latency_us=900_000)
    assert [broken.version for broken in watch_promotions(now=now())] == [third]
    assert serving("payments").version == "v2"


def test_a_person_who_rolls_back_first_ends_it(guard, owner):
    roll_back(guard.detector, actor=owner)
    assert not check_guard(guard, now=now())
    assert guard.state == "ended"


def test_the_next_promotion_ends_the_guard_of_the_last(guard, guarded):
    third = VersionFactory(detector=guard.detector, number=3, digest=other_digest(review=0.4))
    promote(third, actor=None, reason="test")
    guard.refresh_from_db()
    assert guard.state == "ended"
    assert PromotionGuard.objects.get(state="watching").version == third


def test_a_former_champion_that_does_not_load_is_told_and_the_new_one_goes_on(guard, monkeypatch):
    ModelVersion.objects.filter(number=1).update(digest="f" * 64)
    Prediction.objects.update(bundle_digest="f" * 64)
    worsen(latency_us=900_000)
    assert watch_promotions(now=now()) == []
    guard.refresh_from_db()
    assert guard.state == "watching"
    assert "could not be rolled back" in guard.fault
    assert serving("payments").version == "v2"


def test_what_another_detector_scores_moves_no_level(guard, cards_detector):
    worsen()
    scored_many("cards", [card(i) for i in range(EVENTS)])
    mine = {"bundle_digest": guard.former.digest, "latency_us": 900_000}
    Prediction.objects.filter(detector=cards_detector).update(**mine)
    before = guard.since - timedelta(seconds=0.01)
    half = Prediction.objects.filter(detector=cards_detector).values("pk")[: EVENTS // 2]
    Prediction.objects.filter(pk__in=list(half.values_list("pk", flat=True))).update(
        received_at=before
    )
    assert not check_guard(guard, now=now())
    assert (guard.before["events"], guard.after["events"]) == (EVENTS, EVENTS)
    assert guard.before["p99_ms"] < 900


def test_a_guard_that_breaks_breaks_no_other(guard, guarded):
    elsewhere = make_detector("elsewhere")
    for number, version in enumerate(guarded, start=1):
        same = VersionFactory(detector=elsewhere, number=number, digest=version.digest)
        promote(same, actor=None, reason="test")
    worsen(latency_us=900_000)
    Prediction.objects.filter(received_at__gte=guard.since).update(received_at=now())
    assert watch_promotions(now=now()) == [guard]
    states = PromotionGuard.objects.order_by("id").values_list("detector__slug", "state")
    assert list(states) == [("payments", "broken"), ("elsewhere", "watching")]


def test_a_guard_that_passes_ends_no_other(guard):
    elsewhere = make_detector("elsewhere")
    for number, digest in enumerate((guard.former.digest, guard.version.digest), start=1):
        same = VersionFactory(detector=elsewhere, number=number, digest=digest)
        promote(same, actor=None, reason="test")
    worsen()
    Prediction.objects.filter(received_at__gte=guard.since).update(received_at=now())
    assert not check_guard(guard, now=guard.until)
    assert (guard.state, guard.ended_at) == ("passed", guard.until)
    assert PromotionGuard.objects.get(detector=elsewhere).state == "watching"


def test_of_very_many_events_the_newest_are_looked_at(guard, monkeypatch):
    monkeypatch.setattr("models_registry.guarding.MOST_EVENTS", 50)
    worsen()
    for served in (
        Prediction.objects.filter(received_at__lt=guard.since),
        Prediction.objects.filter(received_at__gte=guard.since),
    ):
        first = served.order_by("received_at")[:10]
        # A batch arrives at one moment, and which of its rows then are the oldest nobody can say.
        Prediction.objects.filter(pk__in=[row.pk for row in first]).update(
            received_at=first[0].received_at - timedelta(microseconds=1), latency_us=900_000
        )
    assert not check_guard(guard, now=now())
    assert (guard.before["events"], guard.after["events"]) == (50, 50)
    assert max(guard.before["p99_ms"], guard.after["p99_ms"]) < 900


def test_each_champion_is_measured_while_it_served(guard):
    """Not by what the former one had scored before, nor by what it still finished after."""
    worsen()
    rows = list(Prediction.objects.order_by("received_at"))
    early, late = rows[:4], rows[-7:]
    mine = Prediction.objects.filter
    mine(pk__in=[row.pk for row in early]).update(received_at=guard.since - timedelta(days=30))
    mine(pk__in=[row.pk for row in late]).update(bundle_digest=guard.former.digest)
    check_guard(guard, now=now())
    assert (guard.before["events"], guard.after["events"]) == (EVENTS - 4, EVENTS - 7)


def test_a_guard_that_is_over_looks_no_more(guard):
    PromotionGuard.objects.update(state="passed")
    worsen(latency_us=900_000)
    assert watch_promotions(now=now()) == []
    guard.refresh_from_db()
    assert (guard.state, guard.checked_at) == ("passed", None)


def test_who_looks_with_an_old_copy_sees_that_it_serves_no_more(guard, owner):
    old = PromotionGuard.objects.select_related("version", "detector").get()
    roll_back(guard.detector, actor=owner)
    PromotionGuard.objects.update(state="watching")
    assert not check_guard(old, now=now())
    assert (old.state, old.checked_at) == ("ended", None)


def test_a_guard_that_cannot_roll_back_ends_with_its_time_and_keeps_the_fault(guard):
    ModelVersion.objects.filter(number=1).update(digest="f" * 64)
    Prediction.objects.update(bundle_digest="f" * 64)
    worsen(latency_us=900_000)
    for when, state in ((now(), "watching"), (guard.until, "ended")):
        assert not check_guard(PromotionGuard.objects.get(), now=when)
        guard.refresh_from_db()
        assert (guard.state, guard.checked_at) == (state, when)
        assert "could not be rolled back" in guard.fault
        assert AuditEntry.objects.filter(action="model.not_rolled_back").count() == 1


def test_owners_are_told_once_that_it_could_not_be_rolled_back(guard, client, owner):
    ModelVersion.objects.filter(number=1).update(digest="f" * 64)
    Prediction.objects.update(bundle_digest="f" * 64)
    worsen(latency_us=900_000)
    client.force_login(owner)
    for when in (now(), guard.until):
        assert not check_guard(PromotionGuard.objects.get(), now=when)
        told = owner.notification_receipts.filter(kind="model.not_rolled_back")
        assert [receipt.notification.critical for receipt in told] == [True]
        for page in (reverse("model_list"), guard.version.get_absolute_url()):
            shown = client.get(page).content.decode()
            assert "could not be rolled back" in shown and "are too few" not in shown


def test_a_fault_is_told_only_as_long_as_it_lasts(guard):
    PromotionGuard.objects.update(fault="It could not be rolled back.")
    worsen()
    assert watch_promotions(now=now()) == []
    guard.refresh_from_db()
    assert guard.fault == ""


@pytest.mark.parametrize(("events", "state"), [(49, "ended"), (50, "passed")])
def test_as_many_events_as_declared_are_enough_to_pass(guard, events, state):
    former = Prediction.objects.values_list("pk", flat=True)
    Prediction.objects.exclude(pk__in=list(former[:50])).delete()
    traffic(events, seed=11)
    Prediction.objects.update(latency_us=LATENCY_US)
    assert not check_guard(guard, now=guard.until)
    assert guard.state == state


def test_what_was_flagged_is_read_of_all_the_former_champion_served(guard, guarded, monkeypatch):
    """Of ten equal spans alike, however many events each had."""
    monkeypatch.setattr("models_registry.guarding.MOST_EVENTS", 20)
    PromotionDecision.objects.filter(version=guarded[0]).update(at=guard.since - timedelta(days=9))
    rows = list(Prediction.objects.order_by("received_at", "id"))
    for place, row in enumerate(rows):
        day = 0 if place < 40 else (place - 40) % 10 * 0.9
        Prediction.objects.filter(pk=row.pk).update(
            received_at=guard.since - timedelta(days=day, seconds=1 + (place >= 40)),
            decision="REVIEW" if place < 40 else "APPROVE",
        )
    former, new = _looks(guard, guard.since, now())
    assert (len(former.over_time), sum(former.over_time), new.over_time) == (20, 2, ())
    assert [seen.decision for seen in former.newest] == ["REVIEW"] * 20
