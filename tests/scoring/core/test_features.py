"""One event at a time or columns of them: the same vectors, to 1e-9."""

import numpy as np
import pytest

from scoring.core.features import FeaturePlan, calendar, category_code
from scoring.core.vectors import build, build_many, teach
from scoring.core.windows import EntityWindow
from tests.factories import START, empty_windows, parse_all, payment, payments, spec_of

SPEC = spec_of("payments")
PLAN = FeaturePlan(SPEC)
EVENTS = parse_all(SPEC, payments(250))
NOON = 1_591_012_800.0  # Monday 2020-06-01, 12:00 UTC
assert START.timestamp() == NOON


def restarted(windows):
    """The windows as they come back from a store."""
    plans = {entity.key: entity for entity in PLAN.entities}
    return {
        key: EntityWindow.from_bytes(
            window.to_bytes(signature=plans[key[0]].signature),
            columns=plans[key[0]].width,
            signature=plans[key[0]].signature,
        )
        for key, window in windows.items()
    }


def one_by_one(events, windows):
    vectors = []
    for event in events:
        vectors.append(build(PLAN, event, windows))
        teach(PLAN, event, windows)
    return np.array(vectors)


def vector_of(**changed):
    (event,) = parse_all(SPEC, [payment(**changed)])
    return dict(zip(PLAN.names, build(PLAN, event, empty_windows(PLAN, [event])), strict=True))


@pytest.mark.parametrize("size", [1, 7, 250])
def test_online_equals_offline_in_chunks_of_any_size(size):
    offline = empty_windows(PLAN, EVENTS)
    parts = [
        build_many(PLAN, EVENTS[first : first + size], offline)
        for first in range(0, len(EVENTS), size)
    ]
    online = empty_windows(PLAN, EVENTS)
    expected = one_by_one(EVENTS, online)
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=1e-9, atol=1e-9)
    for key, window in online.items():
        assert np.array_equal(offline[key].rows, window.rows, equal_nan=True)


def test_a_restart_in_the_middle_changes_no_vector():
    expected = build_many(PLAN, EVENTS, empty_windows(PLAN, EVENTS))
    windows = empty_windows(PLAN, EVENTS)
    first = one_by_one(EVENTS[:90], windows)
    second = build_many(PLAN, EVENTS[90:], restarted(windows))
    np.testing.assert_allclose(np.concatenate([first, second]), expected, rtol=1e-9, atol=1e-9)


def test_a_batch_leaves_the_windows_that_its_events_leave_one_by_one():
    far = [payment(timestamp="2020-09-20T12:00:00+00:00", device_id="dev-far")]
    events = [*EVENTS[90:], *parse_all(SPEC, far)]
    begun = empty_windows(PLAN, [*EVENTS, *events])
    build_many(PLAN, EVENTS[:90], begun)
    together, singly = restarted(begun), restarted(begun)
    build_many(PLAN, events, together)
    for event in events:
        teach(PLAN, event, singly)
    for key, window in singly.items():
        assert together[key].tail == window.tail
        assert together[key].rows.tobytes() == window.rows.tobytes()


def test_events_of_one_instant_see_those_that_came_before_them():
    events = parse_all(SPEC, [payment(timestamp=START.isoformat()) for _ in range(4)])
    place = PLAN.names.index("user_id_count_1h")
    assert one_by_one(events, empty_windows(PLAN, events))[:, place].tolist() == [1, 2, 3, 4]
    assert build_many(PLAN, events, empty_windows(PLAN, events))[:, place].tolist() == [1, 2, 3, 4]


def test_a_late_event_inside_the_windows_gets_the_same_vector_both_ways():
    late = parse_all(SPEC, [payment(user_id="user-1", timestamp="2020-06-01T15:00:00Z")])
    online, offline = empty_windows(PLAN, EVENTS + late), empty_windows(PLAN, EVENTS + late)
    build_many(PLAN, EVENTS, offline)
    one_by_one(EVENTS, online)
    np.testing.assert_allclose(
        build_many(PLAN, late, offline), one_by_one(late, online), rtol=1e-9, atol=1e-9
    )


def test_building_a_vector_teaches_nothing():
    windows = empty_windows(PLAN, EVENTS)
    build(PLAN, EVENTS[0], windows)
    assert all(len(window.rows) == 0 for window in windows.values())


def test_a_missing_field_is_nan_and_an_entity_never_seen_is_far_away():
    vector = vector_of(device_id=None)
    assert np.isnan(vector["country"])
    assert np.isnan(vector["device_id_count_24h"])
    assert vector["user_id_seconds_since_last"] == 30 * 86400
    assert np.isnan(vector["user_id_amount_ratio_7d"])


def test_the_ratio_compares_with_the_mean_of_the_past_only():
    events = parse_all(SPEC, [payment(amount=a) for a in (10.0, 30.0, 100.0)])
    vectors = one_by_one(events, empty_windows(PLAN, events))
    assert vectors[2, PLAN.names.index("user_id_amount_ratio_7d")] == 5.0


def test_categories_are_stable_and_blind_to_case():
    assert category_code("Berlin") == category_code(" berlin ") != category_code("Paris")
    assert category_code("Berlin") == 3970026665.0


def test_the_calendar_is_the_events_own_local_time():
    assert vector_of(timestamp="2020-06-01T23:30:00+02:00")["hour"] == 23.0
    assert vector_of(timestamp="2020-06-07T01:00:00Z")["weekend"] == 1.0
    monday = calendar(NOON)
    assert (monday["weekday"], monday["weekend"], monday["night"]) == (0.0, 0.0, 0.0)
    assert monday["hour_cos"] == pytest.approx(-1.0)
    assert monday["weekday_sin"] == pytest.approx(np.sin(np.pi / 7))


@pytest.mark.parametrize(("minutes", "night"), [(0, 1.0), (6 * 60 + 59, 1.0), (7 * 60, 0.0)])
def test_the_night_ends_at_seven(minutes, night):
    assert calendar(60.0 * minutes)["night"] == night
