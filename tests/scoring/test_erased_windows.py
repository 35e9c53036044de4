"""Who is erased stays one of those whom others' windows tell apart."""

import numpy as np
import pytest
from django.db import transaction
from django.utils import timezone

from accounts import vault
from scoring import deployment
from scoring.core.features import category_code
from scoring.core.spec import parse_spec
from scoring.deployment import serving
from scoring.erasing import (
    erase_some,
    forget_token,
    fresh_token,
    hold_still,
    person_named,
    windows_beside,
)
from scoring.feature_store.choosing import feature_store
from scoring.feature_store.history import said_of
from scoring.models import Detector, EntityEvent, EntityState, Prediction
from scoring.rebuilding import rebuild_windows
from tests.factories import config_of, payment, scored
from tests.models_registry.learning import detector_of

pytestmark = pytest.mark.django_db
USERS_OF_DEVICE = "device_id_distinct_user_id_24h"


@transaction.atomic
def erased(detector, user="user-1"):
    """Their token now."""
    person, fresh = person_named(detector, "user_id", user), fresh_token()
    hold_still(person)
    while erase_some(person, fresh, now=timezone.now()):
        pass
    forget_token(person, fresh, windows_beside(person))
    return fresh


def shared(users=("user-1", "user-2"), **said):
    """Payments of some users with one device."""
    return [scored("payments", payment(user_id=user, device_id="d", **said)) for user in users]


def feature(row, name=USERS_OF_DEVICE):
    place = serving("payments").bundle.plan.names.index(name)
    return np.frombuffer(bytes(Prediction.objects.get(pk=row.pk).vector), "<f8")[place]


def users_of_device():
    """How many users a payment of somebody else with the device meets, itself counted."""
    return feature(shared(["user-3"])[0])


@pytest.mark.parametrize("store", ["database", "redis"])
def test_no_window_keeps_a_code_of_their_value(request, payments_detector, store):
    """Who knows the value could compute it, and find the device, the time and so the event."""
    if store == "redis":
        request.getfixturevalue("redis_windows")
    shared()
    fresh = erased(payments_detector)
    plan, key = serving("payments").bundle.plan, ("device_id", vault.token("device_id", "d"))
    with transaction.atomic():
        window = feature_store().load(payments_detector.pk, plan, [key], lock=True)[key]
    assert set(window.rows[:, 1]) == {category_code("user-2"), category_code(fresh)}
    assert users_of_device() == 3


def test_windows_learnt_anew_tell_who_was_erased_apart(payments_detector):
    shared()
    erased(payments_detector)
    rebuild_windows(payments_detector)
    assert users_of_device() == 3


def test_who_was_erased_gets_no_windows_anew(payments_detector):
    shared()
    erased(payments_detector)
    rebuild_windows(payments_detector)
    found = EntityState.objects.filter(key_field="user_id").values_list("token", flat=True)
    assert list(found) == [vault.token("user_id", "user-2")]


def test_who_is_named_by_a_number_gets_a_number_to_stand_in():
    config = config_of("payments")
    config["event"]["schema"]["properties"]["user_id"] = {"type": "number"}
    token = fresh_token()
    said = said_of(parse_spec(config), {"user_id": None}, token)
    assert said == {"user_id": int(token[:13], 16)} and float(said["user_id"]) == said["user_id"]


def test_a_number_that_names_them_stays_in_no_window(db):
    """A window that counts numbers holds them as they are."""
    config = config_of("payments")
    config["event"]["schema"]["properties"]["user_id"] = {"type": "number"}
    payments_detector = detector_of(config)
    rows = shared((1234.0, 5678.0))
    plan, key = serving("payments").bundle.plan, ("device_id", vault.token("device_id", "d"))
    (device,) = (entity for entity in plan.entities if entity.key == "device_id")
    column = 1 + device.columns.index("user_id")
    assert not device.coded[column - 1] and rows
    fresh = erased(payments_detector, "1234")
    with transaction.atomic():
        window = feature_store().load(payments_detector.pk, plan, [key], lock=True)[key]
    assert set(window.rows[:, column]) == {5678.0, float(int(fresh[:13], 16))}


def test_who_was_a_number_is_erased_where_texts_are_declared_by_now(db, monkeypatch):
    config = config_of("payments")
    config["event"]["schema"]["properties"]["user_id"] = {"type": "number"}
    detector = detector_of(config)
    (row, _) = shared((1234.0, 5678.0))
    texts = Prediction.objects.filter(pk=row.pk).update(event=row.event | {"user_id": "a@b.org"})
    by_numbers = deployment.serving_of(detector)
    monkeypatch.setattr(deployment, "serving_of", lambda _: by_numbers)
    detector.config["event"]["schema"]["properties"]["user_id"] = {"type": "string"}
    Detector.objects.filter(pk=detector.pk).update(config=detector.config)
    person, fresh = person_named(detector, "user_id", "1234"), fresh_token()
    with transaction.atomic():
        assert erase_some(person, fresh, now=timezone.now()) == texts
    assert Prediction.objects.get(pk=row.pk).event["user_id"] is None


def test_what_was_learnt_anew_in_between_keeps_no_code_of_the_old_token(payments_detector):
    shared()
    person, fresh = person_named(payments_detector, "user_id", "user-1"), fresh_token()
    erase_some(person, fresh, now=timezone.now())
    rebuild_windows(payments_detector)  # The rows have no value any more, and the old token still.
    with transaction.atomic():
        hold_still(person)
        forget_token(person, fresh, windows_beside(person))
    plan, key = serving("payments").bundle.plan, ("device_id", vault.token("device_id", "d"))
    with transaction.atomic():
        window = feature_store().load(payments_detector.pk, plan, [key], lock=True)[key]
    assert set(window.rows[:, 1]) == {category_code("user-2"), category_code(fresh)}


def test_windows_lost_with_redis_tell_who_was_erased_apart(redis_windows, payments_detector):
    shared()
    erased(payments_detector)
    redis_windows.client.flushall()
    assert users_of_device() == 3


def test_what_their_events_taught_by_personal_fields_is_not_listed(
    redis_windows, payments_detector
):
    """Windows keyed by the erased person's phone cannot be learnt again from their events."""
    payments_detector.config["event"]["pii"].append("device_id")
    payments_detector.save()
    shared()
    erased(payments_detector)
    left = EntityEvent.objects.filter(key_field="device_id")
    (other,) = Prediction.objects.filter(erased_at=None)
    assert [one.prediction_id for one in left] == [other.pk]
