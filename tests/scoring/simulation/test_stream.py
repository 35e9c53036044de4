"""The promises of the simulator: repeatable, ordered, plausible rates, every scenario present."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.simulation.stream import DETECTORS, SimulatedEvent, history, live

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=60)
EVENTS = 20_000
ID_FIELD = {
    "payments": "transaction_id",
    "fraud": "transaction_id",
    "cards": "TRANSACTION_ID",
    "anomaly": "sample_id",
}
ENTITY_FIELD = {
    "payments": "user_id",
    "fraud": "account_id",
    "cards": "CUSTOMER_ID",
    "anomaly": "host",
}

every_detector = pytest.mark.parametrize("detector", DETECTORS)


@cache
def past(detector: str) -> tuple[SimulatedEvent, ...]:
    return tuple(history(detector, start=START, end=END, seed=7, events=EVENTS))


@cache
def present(detector: str) -> tuple[SimulatedEvent, ...]:
    return tuple(islice(live(detector, start=END, rate=1.0, seed=7), 3_000))


def timestamp(event: SimulatedEvent) -> datetime:
    value = event.payload.get("timestamp", event.payload.get("TX_DATETIME"))
    assert isinstance(value, str)
    return datetime.fromisoformat(value)


@every_detector
def test_the_same_seed_gives_the_same_events(detector: str) -> None:
    span = {"start": START, "end": START + timedelta(days=3)}
    one = list(history(detector, **span, seed=3, events=800))
    assert one == list(history(detector, **span, seed=3, events=800))
    assert one != list(history(detector, **span, seed=4, events=800))


@every_detector
def test_the_same_seed_gives_the_same_live_stream(detector: str) -> None:
    again = tuple(islice(live(detector, start=END, rate=1.0, seed=7), 300))
    assert again == present(detector)[:300]


@every_detector
def test_events_come_in_the_order_of_their_times(detector: str) -> None:
    for events in (past(detector), present(detector)):
        assert all(a.time <= b.time for a, b in pairwise(events))


@every_detector
def test_a_history_stays_within_its_span_and_close_to_its_size(detector: str) -> None:
    events = past(detector)
    assert events[0].time >= START and events[-1].time < END
    assert abs(len(events) - EVENTS) < 0.03 * EVENTS


@every_detector
def test_the_payload_carries_the_time_of_the_event(detector: str) -> None:
    assert all(timestamp(event) == event.time for event in past(detector))


@every_detector
def test_payloads_are_json_and_ids_never_repeat(detector: str) -> None:
    events = past(detector) + present(detector)
    assert all(orjson.loads(orjson.dumps(event.payload)) == event.payload for event in events)
    assert len({event.payload[ID_FIELD[detector]] for event in events}) == len(events)


@every_detector
def test_the_truth_is_known_after_the_event(detector: str) -> None:
    assert all(event.label_time > event.time for event in past(detector) + present(detector))


@every_detector
def test_the_share_of_fraud_is_realistic(detector: str) -> None:
    share = sum(event.is_fraud for event in past(detector)) / len(past(detector))
    assert 0.008 <= share <= 0.018


@every_detector
def test_the_live_stream_shows_something_within_minutes(detector: str) -> None:
    events = present(detector)
    assert any(event.is_fraud for event in events[:400])
    assert 0.01 <= sum(event.is_fraud for event in events) / len(events) <= 0.06


@every_detector
def test_every_scenario_appears_in_a_history(detector: str) -> None:
    counts = Counter(event.scenario for event in past(detector) if event.is_fraud)
    assert len(counts) == 6 and "" not in counts
    assert min(counts.values()) >= 5


@every_detector
def test_legitimate_events_have_no_scenario(detector: str) -> None:
    assert {event.scenario for event in past(detector) if not event.is_fraud} == {""}


@every_detector
def test_the_live_stream_keeps_its_rate(detector: str) -> None:
    events = present(detector)
    span = (events[-1].time - events[0].time).total_seconds()
    assert 0.9 <= len(events) / span <= 1.1


@every_detector
def test_live_entities_are_those_of_the_history(detector: str) -> None:
    field = ENTITY_FIELD[detector]
    known = {event.payload[field] for event in past(detector)}
    seen = [event.payload[field] in known for event in present(detector)]
    assert sum(seen) / len(seen) > 0.8


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown detector 'weather'"):
        history("weather", start=START, end=END, seed=1)


def test_naive_times_and_empty_spans_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        live("fraud", start=datetime(2026, 1, 1), rate=1.0, seed=1)
    with pytest.raises(ValueError, match="after its start"):
        history("fraud", start=START, end=START, seed=1)


@settings(max_examples=15, deadline=None)
@given(
    detector=st.sampled_from(DETECTORS),
    seed=st.integers(0, 2**31),
    minutes=st.integers(1, 4_000),
    events=st.integers(1, 300),
)
def test_any_span_and_size_gives_ordered_events_inside_it(
    detector: str, seed: int, minutes: int, events: int
) -> None:
    start = START + timedelta(seconds=seed % 86_400)
    end = start + timedelta(minutes=minutes)
    made = list(history(detector, start=start, end=end, seed=seed, events=events))
    assert all(a.time <= b.time for a, b in pairwise(made))
    assert all(start - timedelta(seconds=1) < event.time < end for event in made)
