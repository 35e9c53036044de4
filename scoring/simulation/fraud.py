"""The world of the `fraud` detector: account holders, seen through five fields per transaction."""

from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.accounts import (
    COUNTRIES,
    DEVICES,
    KIND_NAMES,
    LOG_MEDIAN_USD,
    SPREAD_USD,
    build_accounts,
)
from scoring.simulation.draws import Columns, pick
from scoring.simulation.fraud_scenarios import SCENARIOS
from scoring.simulation.geography import EPOCH, HOUR_MS
from scoring.simulation.rhythm import Crowd

SPLURGE_SHARE: Final = 0.008
FOREIGN_SHOP_SHARE: Final = 0.05


class FraudWorld:
    """Accounts and six scenarios; `time_delta` is kept by `finish`, event after event."""

    code: Final = 2
    detector: Final = "fraud"
    resolution_ms: Final = 1

    def __init__(self, seed: int) -> None:
        self.scene = build_accounts(seed)
        self.crowd: Crowd = self.scene.crowd
        self.scenarios = SCENARIOS
        self._seen = np.zeros(self.crowd.activity.size, dtype=np.int64)

    def forget(self, start_ms: int, tempo: float, rng: np.random.Generator) -> None:
        """Draw when each account was last used before `start_ms`: an exponential time ago."""
        hours = np.clip(24.0 / (self.crowd.activity * tempo), 2.0, 24.0 * 45)
        ago = rng.exponential(hours) + 0.2
        self._seen = start_ms - (ago * HOUR_MS).astype(np.int64)

    def legitimate(
        self, t: NDArray[np.int64], who: NDArray[np.int64], rng: np.random.Generator
    ) -> Columns:
        """One ordinary transaction for each (time in ms, account)."""
        accounts, n = self.scene, t.size
        mine = rng.random(n) < 0.8
        rank = (rng.random(n) ** 1.7 * accounts.habits.shape[1]).astype(np.int64)
        other = pick(accounts.kind_cumulative, rng.random(n))
        kind = np.where(mine, accounts.habits[who, rank], other)
        noise = rng.normal(0.0, 1.0, n) * SPREAD_USD[kind]
        amount = np.exp(LOG_MEDIAN_USD[kind] + accounts.wealth[who] + noise)
        splurge = rng.random(n) < SPLURGE_SHARE
        amount = np.where(splurge, amount * rng.uniform(4.0, 20.0, n), amount)
        foreign = rng.random(n) < FOREIGN_SHOP_SHARE
        shop_country = pick(accounts.country_cumulative, rng.random(n))
        country = np.where(foreign, shop_country, accounts.whereabouts(who, t))
        device = np.where(
            rng.random(n) < 0.84, accounts.device[who], rng.integers(0, len(DEVICES), n)
        )
        return {
            "t": t,
            "who": who,
            "amount": amount,
            "kind": kind,
            "country": country,
            "device": device,
            "fraud": np.zeros(n, dtype=bool),
        }

    def finish(self, table: Columns) -> Columns:
        """Round amounts and add `delta`: hours since the account's previous transaction."""
        table["amount"] = np.maximum(np.round(table["amount"], 2), 0.5)
        who, t = table["who"], table["t"]
        order = np.argsort(who, kind="stable")
        sorted_who, sorted_t = who[order], t[order]
        first = np.ones(who.size, dtype=bool)
        first[1:] = sorted_who[1:] != sorted_who[:-1]
        before = np.empty(who.size, dtype=np.int64)
        before[1:] = sorted_t[:-1]
        before[first] = self._seen[sorted_who[first]]
        delta = np.empty(who.size)
        delta[order] = (sorted_t - before) / HOUR_MS
        self._seen[sorted_who] = sorted_t  # the last assignment wins: the latest time
        table["delta"] = np.round(delta, 4)
        return table

    def payloads(self, table: Columns, ids: list[int]) -> list[dict[str, object]]:
        """JSON bodies of the events, in row order."""
        columns: list[list[Any]] = [
            table[name].tolist() for name in ("t", "who", "amount", "kind", "country", "delta")
        ]
        return [
            {
                "transaction_id": f"ftx_{number:012x}",
                "account_id": f"acct_{who + 1000}",
                "timestamp": (EPOCH + timedelta(milliseconds=t)).isoformat(timespec="milliseconds"),
                "transaction_amount": amount,
                "merchant_type": KIND_NAMES[kind],
                "country": COUNTRIES[country],
                "time_delta": delta,
                "device_type": DEVICES[device],
            }
            for number, t, who, amount, kind, country, delta, device in zip(
                ids, *columns, table["device"].tolist(), strict=True
            )
        ]
