"""What every feature store must keep, asked of each in turn."""

import numpy as np
import pytest
from django.db import transaction

from scoring.core.features import FeaturePlan, teach
from scoring.core.spec import parse_spec
from scoring.core.windows import EntityWindow, WindowStateError
from scoring.feature_store.database import DatabaseFeatureStore
from tests.factories import config_of, parse_all, payment, spec_of

pytestmark = pytest.mark.django_db
STORES = {"database": DatabaseFeatureStore}
SPEC = spec_of("payments")
PLAN = FeaturePlan(SPEC)


@pytest.fixture(params=STORES)
def store(request):
    return STORES[request.param]()


def taught(store, detector, *raws):
    """Windows as the store keeps them after these events."""
    events = parse_all(SPEC, raws)
    keys = [key for event in events for key in PLAN.keys(event)]
    with transaction.atomic():
        windows = store.load(detector.pk, PLAN, keys, lock=True)
        for event in events:
            teach(PLAN, event, windows)
        store.save(detector.pk, PLAN, windows)
    return windows


def test_an_entity_never_seen_has_an_empty_window(store, payments_detector):
    found = store.load(payments_detector.pk, PLAN, [("user_id", "nobody")], lock=False)
    assert len(found["user_id", "nobody"].rows) == 0


def test_what_is_saved_is_loaded(store, payments_detector):
    saved = taught(store, payments_detector, payment(device_id="d"), payment(user_id="user-2"))
    found = store.load(payments_detector.pk, PLAN, list(saved), lock=False)
    assert found.keys() == saved.keys()
    for key, window in saved.items():
        assert np.array_equal(found[key].rows, window.rows, equal_nan=True)


def test_a_second_save_replaces_the_first(store, payments_detector):
    taught(store, payments_detector, payment())
    saved = taught(store, payments_detector, payment())
    found = store.load(payments_detector.pk, PLAN, list(saved), lock=False)
    assert [len(window.rows) for window in found.values()] == [2]


def test_detectors_and_fields_do_not_mix(store, payments_detector, cards_detector):
    taught(store, payments_detector, payment(user_id="same", device_id="same"))
    keys = [("user_id", "same"), ("merchant_id", "same")]
    here = store.load(payments_detector.pk, PLAN, keys, lock=False)
    there = store.load(cards_detector.pk, PLAN, keys, lock=False)
    assert [len(window.rows) for window in here.values()] == [1, 0]
    assert [len(window.rows) for window in there.values()] == [0, 0]


def test_what_is_rolled_back_is_not_kept(store, payments_detector):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        taught(store, payments_detector, payment())
        raise ZeroDivisionError
    found = store.load(payments_detector.pk, PLAN, [("user_id", "user-1")], lock=False)
    assert len(found["user_id", "user-1"].rows) == 0


def test_thousands_of_entities_at_once(store, payments_detector):
    width = next(entity.width for entity in PLAN.entities if entity.key == "user_id")
    keys = [("user_id", f"u{i}") for i in range(12_000)]
    row = np.ones((1, width))
    with transaction.atomic():
        store.load(payments_detector.pk, PLAN, keys[:3000], lock=True)
        store.save(payments_detector.pk, PLAN, {key: EntityWindow(row) for key in keys[:3000]})
        found = store.load(payments_detector.pk, PLAN, keys, lock=True)
    assert sum(len(window.rows) for window in found.values()) == 3000


def test_state_that_other_features_wrote_is_refused(store, payments_detector):
    taught(store, payments_detector, payment())
    config = config_of("payments")
    config["features"]["transformations"][3]["config"]["distinct"] = ["merchant_type"]
    other = FeaturePlan(parse_spec(config))
    with pytest.raises(WindowStateError, match="other columns"):
        store.load(payments_detector.pk, other, [("user_id", "user-1")], lock=False)
