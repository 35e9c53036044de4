"""Each fraud scenario leaves the traces that its documentation promises."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from scoring.simulation import cards, fraud_scenarios, payments_fraud
from scoring.simulation.accounts import Accounts, build_accounts
from scoring.simulation.cards import CardHolders, build_card_holders
from scoring.simulation.draws import Columns
from scoring.simulation.geography import DAY_MS, DISTANCE_KM, HOUR_MS, MINUTE_MS
from scoring.simulation.merchants import CHANNELS, TYPES
from scoring.simulation.payments import PaymentsWorld
from scoring.simulation.payments_fraud import Scene

MONDAY = 20_500 * DAY_MS + 10 * HOUR_MS


@pytest.fixture(scope="module")
def scene() -> Scene:
    return PaymentsWorld(5).scene


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    return build_accounts(5)


@pytest.fixture(scope="module")
def holders() -> CardHolders:
    return build_card_holders(5)


def campaigns(make: Callable[..., Columns], world: object) -> list[Columns]:
    return [make(world, MONDAY, np.random.default_rng(seed)) for seed in range(40)]


def span_hours(table: Columns) -> float:
    return float(table["t"].max() - table["t"].min()) / HOUR_MS


def test_card_testing_is_a_burst_of_tiny_online_payments(scene: Scene) -> None:
    for table in campaigns(payments_fraud.card_testing, scene):
        tiny = table["amount"] < 5.0
        assert tiny.mean() > 0.6 and tiny.sum() >= 5
        assert np.ptp(table["t"][tiny]) < 60 * MINUTE_MS * len(set(table["who"].tolist()))
        assert {CHANNELS[c] for c in table["channel"]} == {"online"}
        assert len(set(table["device"].tolist())) == 1


def test_a_stolen_card_is_used_in_the_city_of_its_owner(scene: Scene) -> None:
    for table in campaigns(payments_fraud.stolen_card, scene):
        who = table["who"][:1]
        assert set(table["city"]) == set(scene.people.whereabouts(who, np.array([MONDAY])))
        assert span_hours(table) <= 30 and len(set(table["who"].tolist())) == 1


def test_a_compromised_terminal_meets_many_customers_of_its_city(scene: Scene) -> None:
    for table in campaigns(payments_fraud.compromised_terminal, scene):
        assert len(set(table["merchant"].tolist())) == 1
        assert len(set(table["who"].tolist())) >= 3
        assert (scene.people.home[table["who"]] == table["city"]).all()


def test_an_account_takeover_comes_from_a_new_device(scene: Scene) -> None:
    for table in campaigns(payments_fraud.account_takeover, scene):
        who = table["who"]
        for second in (True, False):
            known = scene.people.device(who, table["t"], np.full(who.size, second))
            assert not set(table["device"].tolist()) & set(known.tolist())
        kinds = {TYPES[k].name for k in scene.merchants.kind[table["merchant"]]}
        assert kinds <= {"crypto", "money_transfer", "bank_transfer"}


def test_impossible_travel_is_faster_than_any_plane(scene: Scene) -> None:
    for table in campaigns(payments_fraud.impossible_travel, scene):
        own, clone = ~table["fraud"], table["fraud"]
        hours = (table["t"][clone].min() - table["t"][own].min()) / HOUR_MS
        km = DISTANCE_KM[table["city"][own][0], table["city"][clone][0]]
        assert km / hours > 1_200


@pytest.mark.parametrize("threshold", [10_000.0, 3_000.0])
def test_structuring_stays_just_below_a_threshold(scene: Scene, threshold: float) -> None:
    parameters = payments_fraud.Structuring(thresholds=(threshold,))
    table = payments_fraud.structuring(scene, MONDAY, np.random.default_rng(1), parameters)
    assert ((table["amount"] < threshold) & (table["amount"] > 0.9 * threshold)).all()
    assert len(set(table["merchant"].tolist())) <= 2


def test_mean_events_of_the_scenarios_are_what_is_declared(
    scene: Scene, accounts: Accounts, holders: CardHolders
) -> None:
    for scenarios, world in (
        (payments_fraud.SCENARIOS, scene),
        (fraud_scenarios.SCENARIOS, accounts),
        (cards.SCENARIOS, holders),
    ):
        assert sum(scenario.share for scenario in scenarios) == pytest.approx(1.0)
        for scenario in scenarios:
            sizes = [int(table["fraud"].sum()) for table in campaigns(scenario.make, world)]
            assert np.mean(sizes) == pytest.approx(scenario.mean_events, rel=0.25)


def test_account_testing_is_seconds_apart(accounts: Accounts) -> None:
    for table in campaigns(fraud_scenarios.card_testing, accounts):
        tiny = table["amount"] < 6.01
        assert np.median(np.diff(table["t"][tiny])) < 60_000


def test_account_impossible_travel_crosses_a_border(accounts: Accounts) -> None:
    for table in campaigns(fraud_scenarios.impossible_travel, accounts):
        assert not set(table["country"][table["fraud"]]) & set(table["country"][~table["fraud"]])


def test_a_compromised_card_terminal_is_one_terminal(holders: CardHolders) -> None:
    for table in campaigns(cards.compromised_terminal, holders):
        assert len(set(table["terminal"].tolist())) == 1
        assert table["who"].size >= 10


def test_card_structuring_stays_below_the_contactless_limit(holders: CardHolders) -> None:
    for table in campaigns(cards.structuring, holders):
        assert ((table["amount"] < 50.0) & (table["amount"] > 45.0)).all()


def test_local_time_follows_daylight_saving() -> None:
    world = PaymentsWorld(5)
    berlin = int(np.flatnonzero(world.people.home == 0)[0])
    days = [datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC)]
    t = np.array([int(day.timestamp() * 1000) for day in days])
    table = world.legitimate(t, np.array([berlin, berlin]), np.random.default_rng(0))
    table["city"][:] = 0
    stamps = [str(body["timestamp"])[-6:] for body in world.payloads(world.finish(table), [1, 2])]
    assert stamps == ["+01:00", "+02:00"]
