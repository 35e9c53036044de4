"""What legitimate people and healthy hosts do, and how risk shows in the fields."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from scoring.simulation.accounts import COUNTRIES, DEVICES, KIND_NAMES
from scoring.simulation.geography import ZONES
from scoring.simulation.rhythm import ARCHETYPES, WEEK, Crowd
from scoring.simulation.stream import SimulatedEvent, history

START = datetime(2026, 3, 2, tzinfo=UTC)
METRICS = ("response_time", "error_rate", "cpu_usage", "memory_usage")


@cache
def past(detector: str) -> tuple[SimulatedEvent, ...]:
    end = START + timedelta(days=42)
    return tuple(history(detector, start=START, end=end, seed=7, events=30_000))


def local_hours(events: tuple[SimulatedEvent, ...]) -> list[int]:
    return [datetime.fromisoformat(str(e.payload["timestamp"])).hour for e in events]


def fraud_row(payload: dict[str, object]) -> list[float]:
    return [
        float(str(payload["transaction_amount"])),
        KIND_NAMES.index(str(payload["merchant_type"])),
        COUNTRIES.index(str(payload["country"])),
        float(str(payload["time_delta"])),
        DEVICES.index(str(payload["device_type"])),
    ]


def test_people_rarely_pay_between_two_and_five_in_their_own_time() -> None:
    hours = np.array(local_hours(past("payments")))
    assert 0.001 < np.mean((hours >= 2) & (hours < 5)) < 0.03
    assert np.mean((hours >= 9) & (hours < 22)) > 0.75


def test_fridays_are_busier_than_sundays() -> None:
    days = np.array([event.time.weekday() for event in past("payments")])
    assert np.sum(days == 4) > 1.2 * np.sum(days == 6)


def test_customers_return_to_their_merchants_and_devices() -> None:
    merchants, devices = defaultdict(list), defaultdict(set)
    for event in past("payments"):
        if not event.is_fraud:
            merchants[event.payload["user_id"]].append(event.payload["merchant_id"])
            devices[event.payload["user_id"]].add(event.payload["device_id"])
    busy = [user for user, visits in merchants.items() if len(visits) >= 20]
    repeats = [1 - len(set(merchants[user])) / len(merchants[user]) for user in busy]
    assert len(busy) > 100 and np.mean(repeats) > 0.35
    assert np.mean([len(devices[user]) for user in busy]) < 4


def test_honest_customers_also_travel_and_buy_dear_things() -> None:
    honest = [event.payload for event in past("payments") if not event.is_fraud]
    cities = defaultdict(set)
    for payload in honest:
        cities[payload["user_id"]].add(payload["location"])
    assert np.mean([len(places) > 1 for places in cities.values()]) > 0.1
    assert sum(float(str(payload["amount"])) > 2_000 for payload in honest) > 20


def test_a_crowd_draws_its_members_by_activity() -> None:
    zone = np.full(3, ZONES.index("Europe/Paris"))
    crowd = Crowd.build(np.array([1.0, 2.0, 7.0]), np.zeros(3, dtype=np.int64), zone)
    times = np.full(20_000, 20_500 * 86_400_000, dtype=np.int64)
    shares = np.bincount(crowd.draw(times, np.random.default_rng(1)), minlength=3) / 20_000
    assert shares == pytest.approx([0.1, 0.2, 0.7], abs=0.02)


def test_every_archetype_has_a_week_of_mean_one() -> None:
    assert WEEK.shape == (len(ARCHETYPES), 168)
    assert WEEK.mean(axis=1) == pytest.approx(np.ones(len(ARCHETYPES)))


def test_time_delta_is_the_time_since_the_previous_transaction() -> None:
    last: dict[object, datetime] = {}
    for event in past("fraud"):
        account, delta = event.payload["account_id"], float(str(event.payload["time_delta"]))
        assert delta >= 0
        if account in last:
            hours = (event.time - last[account]).total_seconds() / 3600
            assert delta == pytest.approx(hours, abs=1e-4)
        last[account] = event.time


def test_a_model_learns_which_transaction_is_far_riskier() -> None:
    rows = np.array([fraud_row(event.payload) for event in past("fraud")])
    model = HistGradientBoostingClassifier(random_state=0, categorical_features=[1, 2, 4])
    model.fit(rows, [event.is_fraud for event in past("fraud")])
    risky = [9999.99, KIND_NAMES.index("gaming"), COUNTRIES.index("NG"), 0.1, 0]
    safe = [25.0, KIND_NAMES.index("grocery"), COUNTRIES.index("US"), 48.0, 1]
    risk = model.predict_proba(np.array([risky, safe]))[:, 1]
    assert risk[0] > 0.5 and risk[1] < 0.01


def samples(*, incident: bool) -> np.ndarray:
    chosen = [event.payload for event in past("anomaly") if event.is_fraud is incident]
    return np.array([[float(str(p[metric])) for metric in METRICS] for p in chosen])


def test_the_textbook_sample_is_normal_and_the_bad_one_is_not() -> None:
    healthy = samples(incident=False)
    low, high = np.quantile(healthy, [0.02, 0.98], axis=0)
    assert ((low < [120, 0.01, 40, 55]) & (high > [120, 0.01, 40, 55])).all()
    assert (np.quantile(healthy, 0.999, axis=0)[:3] < [950, 0.12, 91]).all()


def test_hosts_have_a_daily_and_a_weekly_rhythm() -> None:
    end = START + timedelta(days=28)
    size = 28 * 24 * 16
    cpu: dict[int, list[float]] = defaultdict(list)
    for event in history("anomaly", start=START, end=end, seed=7, events=size):
        if str(event.payload["host"]).startswith("api"):
            hour = int((event.time - START) / timedelta(hours=1))
            cpu[hour].append(float(str(event.payload["cpu_usage"])))
    series = np.array([np.mean(cpu[hour]) for hour in range(28 * 24)])
    series -= series.mean()
    correlation = [np.corrcoef(series[:-lag], series[lag:])[0, 1] for lag in (12, 24, 168)]
    assert correlation[0] < 0 < 0.5 < correlation[1] < correlation[2]


@pytest.mark.parametrize(
    ("kind", "metric", "direction"),
    [
        ("cpu_saturation", 2, 1),
        ("memory_leak", 3, 1),
        ("error_burst", 1, 1),
        ("latency_degradation", 0, 1),
        ("traffic_spike", 2, 1),
        ("quiet_failure", 2, -1),
    ],
)
def test_each_incident_moves_its_metric(kind: str, metric: int, direction: int) -> None:
    chosen = [event.payload for event in past("anomaly") if event.scenario == kind]
    bad = np.median([float(str(payload[METRICS[metric]])) for payload in chosen])
    middle = np.quantile(samples(incident=False)[:, metric], [0.25, 0.75])
    assert bad > middle[1] if direction > 0 else bad < middle[0]
