"""A guard that cannot look: told once it lasts, ended late, and never in place of worse news."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from models_registry.guarding import watch_promotions
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.promotion_models import PromotionGuard
from scoring.deployment import serving
from scoring.models import Prediction
from tests.models_registry.guards import worsen
from tests.models_registry.versions import VersionFactory, make_detector

pytestmark = pytest.mark.django_db
BLIND = "Its guard could not look"


def now():
    return timezone.now()


@pytest.fixture
def blind(monkeypatch):
    """No guard can look."""
    with monkeypatch.context() as while_it_lasts:
        while_it_lasts.setattr("models_registry.guarding.breaches", lambda *_: 1 / 0)
        yield while_it_lasts


@pytest.fixture
def stuck(guard):
    """v2 breaks its guard, and v1 does not load."""
    ModelVersion.objects.filter(number=1).update(digest="f" * 64)
    Prediction.objects.update(bundle_digest="f" * 64)
    worsen(latency_us=900_000)


def audited(action):
    return AuditEntry.objects.filter(action=action).order_by("id")


def look(guard, when):
    """What is left of the guard after a look that rolls nothing back."""
    assert watch_promotions(now=when) == []
    guard.refresh_from_db()
    return guard


def test_owners_are_told_of_a_guard_that_cannot_look_once_it_lasts(guard, client, owner, blind):
    told = owner.notification_receipts.filter(kind="model.not_watched")
    client.force_login(owner)
    for times in range(3):
        look(guard, now())
        assert told.count() == audited("model.not_watched").count() == min(times, 1)
        for page in (reverse("model_list"), guard.version.get_absolute_url()):
            assert "guard could not look" in client.get(page).content.decode()
    blind.undo()
    look(guard, now())
    assert (guard.state, guard.fault) == ("watching", "")


def test_a_guard_that_cannot_look_ends_after_its_time_once_it_lasts(guard, client, owner, blind):
    assert look(guard, guard.until).state == "watching"
    assert guard.fault.startswith(f"{BLIND} (ZeroDivisionError")
    assert not audited("model.not_watched").exists()
    assert look(guard, guard.until).state == "ended"
    assert guard.fault.startswith(f"{BLIND} twice in a row (ZeroDivisionError")
    assert guard.fault.endswith(" Nothing rolls v2 back by itself any more.")
    assert audited("model.not_watched").get().detail == {"fault": guard.fault, "state": "ended"}
    client.force_login(owner)
    shown = client.get(guard.version.get_absolute_url()).content.decode()
    assert "Its guard is over. Its guard could not look twice" in " ".join(shown.split())


def test_the_end_of_a_guard_that_could_not_look_for_long_is_on_record_and_told(guard, owner, blind):
    for when in (now(), now(), now(), guard.until):
        look(guard, when)
    assert [entry.detail["state"] for entry in audited("model.not_watched")] == [
        "watching",
        "ended",
    ]
    told = owner.notification_receipts.filter(kind="model.not_watched").order_by("id")
    assert "any more" in told.last().notification.text
    assert told.count() == 2


def test_one_error_after_its_time_keeps_no_guard_from_passing(guard, blind):
    worsen()
    look(guard, guard.until)
    blind.undo()
    assert (look(guard, guard.until).state, guard.fault) == ("passed", "")


def test_one_error_after_its_time_loses_no_roll_back(guard, blind):
    worsen(latency_us=900_000)
    look(guard, guard.until)
    blind.undo()
    assert watch_promotions(now=guard.until) == [guard]
    assert serving("payments").version == "v1"


def test_why_it_could_not_be_rolled_back_stays_told_while_the_guard_cannot_look(
    guard, stuck, monkeypatch
):
    failed = look(guard, now()).fault
    assert "It could not be rolled back" in failed
    with monkeypatch.context() as while_it_lasts:
        while_it_lasts.setattr("models_registry.guarding.breaches", lambda *_: 1 / 0)
        assert look(guard, now()).fault.startswith(f"{failed} {BLIND} (Zero")
        for _ in range(2):
            assert look(guard, now()).fault.startswith(f"{failed} {BLIND} twice in a row (Zero")
        assert audited("model.not_watched").count() == 1
    assert look(guard, now()).fault == failed
    assert audited("model.not_rolled_back").count() == 1


def test_why_it_could_not_be_rolled_back_is_told_while_the_trail_takes_nothing_in(
    guard, stuck, owner, monkeypatch
):
    with monkeypatch.context() as while_it_lasts:
        while_it_lasts.setattr("models_registry.guarding.record_audit", lambda **_: 1 / 0)
        for when in (now(), guard.until):
            fault = look(guard, when).fault
            assert "It could not be rolled back: " in fault
            assert fault.endswith("The audit trail could not take that in yet (ZeroDivisionError).")
    assert guard.state == "watching"
    told = owner.notification_receipts.filter(kind="model.not_rolled_back")
    assert "It could not be rolled back: " in told.first().notification.text
    assert "yet" not in look(guard, guard.until).fault
    assert audited("model.not_rolled_back").count() == 1
    assert guard.state == "ended"


def test_nobody_is_sent_back_to_a_bundle_that_is_gone(guard, owner, blind):
    for when in (now(), now()):
        look(guard, when)
    told = owner.notification_receipts.filter(kind="model.not_watched").order_by("id")
    assert "roll it back by hand if they are bad" in told.last().notification.text
    ModelVersion.objects.filter(number=1).update(digest="f" * 64)
    look(guard, guard.until)
    assert "put the bundle of v1 back before you roll back" in told.last().notification.text
    assert "by hand" not in told.last().notification.text


def test_a_roll_back_that_fails_is_on_record_where_the_guard_could_not_look_before(guard, stuck):
    PromotionGuard.objects.update(fault=f"{BLIND} (SpecError).")
    look(guard, now())
    assert audited("model.not_rolled_back").count() == 1


@pytest.mark.parametrize("error", [ImproperlyConfigured, InterfaceError])
def test_a_fault_that_cannot_be_kept_keeps_no_other_guard_from_its_look(
    guard, guarded, blind, error, monkeypatch, caplog
):
    elsewhere = make_detector("elsewhere")
    for number, version in enumerate(guarded, start=1):
        same = VersionFactory(detector=elsewhere, number=number, digest=version.digest)
        promote(same, actor=None, reason="test")
    PromotionGuard.objects.update(fault=f"{BLIND} (SpecError).")
    tried = []

    def refuses(*, subject, **_):
        tried.append(subject.detector.slug)
        raise error("The trail is closed.")

    monkeypatch.setattr("models_registry.guarding.record_audit", refuses)
    look(guard, now())
    assert sorted(tried) == ["elsewhere", "payments"]
    kept = [row for row in caplog.records if "is not kept" in row.getMessage()]
    assert [row.exc_info[0] for row in kept] == [error, error]
