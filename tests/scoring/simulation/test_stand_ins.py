"""The stand-ins for data that may not be shipped: right layout, rare fraud, in order."""

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from scoring.core.schema import EventParser
from scoring.simulation.stand_ins import LACKING
from scoring.simulation.stream import STAND_INS, history
from tests.factories import spec_of

START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
END = START + timedelta(days=20)
SHARE = {"creditcard": 0.00172, "credit_card_fraud": 0.012}


@cache
def past(detector):
    return tuple(history(detector, start=START, end=END, seed=7, events=20_000))


@pytest.mark.parametrize("detector", sorted(STAND_INS))
def test_events_fit_their_detector_and_come_in_order(detector):
    parser, events = EventParser(spec_of(detector)), past(detector)
    assert 19_000 < len(events) < 21_000
    times = [parser.parse(e.payload, END.timestamp()).time for e in events]
    assert times == sorted(times)
    assert START.timestamp() <= times[0] < times[-1] < END.timestamp()
    assert len({e.payload["transaction_id"] for e in events}) == len(events)
    assert all(e.label_time > e.time for e in events)


@pytest.mark.parametrize("detector", sorted(STAND_INS))
def test_fraud_is_as_rare_as_it_should_be(detector):
    share = sum(e.is_fraud for e in past(detector)) / len(past(detector))
    assert share == pytest.approx(SHARE[detector], rel=0.4)


@pytest.mark.parametrize("detector", sorted(STAND_INS))
def test_the_same_seed_gives_the_same_events(detector):
    span = {"start": START, "end": START + timedelta(days=2), "events": 300}
    one = list(history(detector, seed=3, **span))
    assert one == list(history(detector, seed=3, **span)) != list(history(detector, seed=4, **span))


def test_the_layout_is_that_of_the_public_data():
    payload = past("creditcard")[0].payload
    assert {"Time", "Amount", *(f"V{i}" for i in range(1, 29))} < set(payload)


def test_some_fields_are_not_known():
    lacking = sum("time_of_day" not in e.payload for e in past("credit_card_fraud"))
    assert lacking / len(past("credit_card_fraud")) == pytest.approx(LACKING, rel=0.3)
