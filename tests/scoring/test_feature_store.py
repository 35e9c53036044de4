"""What every feature store must keep, asked of each in turn."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import transaction

from accounts import vault
from scoring.core.features import FeaturePlan
from scoring.core.spec import parse_spec
from scoring.core.vectors import build, teach
from scoring.core.windows import EntityWindow, WindowStateError
from scoring.services import score_events
from tests.factories import START, config_of, parse_all, payment, spec_of

pytestmark = pytest.mark.django_db
SPEC = spec_of("payments")
PLAN = FeaturePlan(SPEC)
DAY = 86400.0


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


def at(seconds, **changed):
    return payment(timestamp=(START + timedelta(seconds=seconds)).isoformat(), **changed)


def rows_of(store, detector, user="user-1"):
    """What the store knows of a user whom scoring has seen."""
    key = ("user_id", vault.token("user_id", user))
    return store.load(detector.pk, PLAN, [key], lock=False)[key].rows


def naive(raws, user="user-1"):
    """The rows of a user by the definition: all events by time, then arrival; old ones gone."""
    entity = next(entity for entity in PLAN.entities if entity.key == "user_id")
    events = [event for event in parse_all(SPEC, raws) if event.keys["user_id"] == user]
    rows = [entity.values(event) for event in events]
    rows.sort(key=lambda row: row[0])
    return np.array([row for row in rows if row[0] >= rows[-1][0] - entity.horizon])


def test_late_events_take_their_place(store, payments_detector):
    raws = [at(60, amount=2.0), at(0, amount=1.0), at(30, amount=3.0), at(60, amount=4.0)]
    for raw in raws:
        score_events("payments", [raw])
    assert np.array_equal(rows_of(store, payments_detector), naive(raws), equal_nan=True)
    assert [row[0] - START.timestamp() for row in naive(raws)] == [0, 30, 60, 60]


def test_what_no_window_can_hold_is_forgotten(store, payments_detector):
    horizon = next(entity.horizon for entity in PLAN.entities if entity.key == "user_id")
    raws = [at(0), at(10), at(10 + horizon), at(5)]
    for raw in raws:
        score_events("payments", [raw])
    times = rows_of(store, payments_detector)[:, 0] - START.timestamp()
    assert times.tolist() == [10, 10 + horizon]


def test_of_a_busy_entity_what_no_feature_reads_is_not_stored(store, payments_detector):
    entity, key = PLAN.entities[0], ("user_id", "busy")
    rows = np.random.default_rng(5).uniform(1.0, 9.0, (1000, entity.width))
    rows[:, 0] = START.timestamp() - np.linspace(30 * DAY, 60.0, 1000)
    with transaction.atomic():
        store.load(payments_detector.pk, PLAN, [key], lock=True)
        store.save(payments_detector.pk, PLAN, {key: EntityWindow(rows)})
    found = store.load(payments_detector.pk, PLAN, [key], lock=False)[key]
    [event] = parse_all(SPEC, [at(0)])
    event = event._replace(keys={"user_id": "busy"})
    oldest = found.rows[:2, 0] - rows[-1, 0]
    assert oldest[0] < -8 * DAY <= oldest[1]  # Seven days, a day for late events, and one before.
    assert np.array_equal(
        build(PLAN, event, {key: found}), build(PLAN, event, {key: EntityWindow(rows)}), True
    )


@pytest.mark.parametrize("size", [1, 7])
def test_any_history_leaves_what_a_naive_reader_finds(store, payments_detector, size):
    rng = np.random.default_rng(11)
    offsets = np.cumsum(rng.integers(0, 90_000, 80)) - rng.integers(0, 2, 80) * 200_000
    raws = [
        at(int(offset), user_id=f"u{rng.integers(3)}", amount=float(i + 1), location=str(i % 4))
        for i, offset in enumerate(offsets)
    ]
    for first in range(0, len(raws), size):
        part = raws[first : first + size]
        score_events("payments", part)
    for user in ("u0", "u1", "u2"):
        found, expected = rows_of(store, payments_detector, user), naive(raws, user)
        assert np.array_equal(found, expected, equal_nan=True)
