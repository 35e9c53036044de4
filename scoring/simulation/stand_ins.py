"""Stand-ins for two data sets that we may not ship: same layout, same rarity of fraud, made up.

`PublicCards` has the layout of the well-known card data of two days in September 2013 (284,807
rows, Time, V1 to V28, Amount, 0.172 % fraud; Dal Pozzolo et al., "Calibrating Probability with
Undersampling for Unbalanced Classification", 2015). Its V columns there are principal components of
secret features; here they are independent normal numbers whose spread falls from V1 to V28. Fraud
moves some of them, loudly in most cases and hardly in the rest, so that a good model finds most of
it and no model all. `FewFields` has cards of which a client knows little: entity, amount, category
of the merchant, time of day, some of them missing.

Both only know a past: nobody watches them live.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.campaigns import LabelDelay
from scoring.simulation.draws import Columns, Floats, pick
from scoring.simulation.geography import DAY_MS, EPOCH, HOUR_MS

NATURAL_PER_DAY: Final = 1000
TWO_DAYS: Final = 172_800
COMPONENTS: Final = 28
PUBLIC_FRAUD: Final = 0.00172
SPREAD: Final[Floats] = 1.95 * np.exp(-np.arange(COMPONENTS) * 0.063)
QUIET_SHARE: Final = 0.2
QUIET: Final = 0.2  # of the loud shift
SHIFT: Final[dict[int, float]] = {
    1: -1.2, 3: -2.6, 4: 2.4, 7: -2.2, 9: -1.6, 10: -3.0, 11: 2.6, 12: -3.4, 14: -4.0, 16: -2.6,
    17: -3.2, 18: -1.5,
}  # fmt: skip
"""By how many of its spreads a loud fraud moves a component (counted from 1)."""
HOURS: Final[Floats] = np.cumsum(
    [2, 1, 1, 1, 1, 2, 3, 6, 9, 11, 12, 12, 12, 12, 12, 12, 12, 12, 12, 11, 10, 8, 6, 4]
) / np.float64(189.0)
CATEGORIES: Final = (
    *("grocery", "restaurant", "fuel", "travel", "electronics", "fashion", "pharmacy"),
    *("entertainment", "gift_cards", "utilities"),
)
MEDIAN: Final[Floats] = np.array([38, 24, 45, 210, 160, 70, 18, 30, 60, 85], dtype=np.float64)
USUAL: Final[Floats] = np.cumsum([30, 20, 12, 4, 6, 9, 6, 7, 1, 5], dtype=np.float64)
STOLEN: Final[Floats] = np.cumsum([3, 3, 4, 14, 32, 12, 1, 5, 25, 1], dtype=np.float64)
CARDS: Final = 600
FEW_FRAUD: Final = 0.012
LACKING: Final = 0.04


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to defraud and when it becomes known."""

    name: str
    delay: LabelDelay


class _Past:
    """Blocks of a day each; `_table` draws one."""

    code = 0

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def history(self, first: int, last: int, events: int | None) -> Iterator[Columns]:
        """About `events` rows in [first, last) milliseconds; by nature a thousand a day."""
        pace = NATURAL_PER_DAY / DAY_MS if events is None else events / (last - first)
        for begin in range(first, last, DAY_MS):
            end = min(begin + DAY_MS, last)
            rng = np.random.default_rng([self.seed, self.code, begin % (1 << 62)])
            yield self._table(self._times(begin, end, pace, rng), rng)

    def _times(
        self, begin: int, end: int, pace: float, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Sorted times, few at night."""
        size = int(rng.poisson(pace * (end - begin)))
        hour = pick(HOURS, rng.random(size)) * HOUR_MS
        at = hour + (rng.random(size) * HOUR_MS).astype(np.int64)
        # The block may begin at any hour of the day.
        return np.sort(begin + (at - begin) % DAY_MS * (end - begin) // DAY_MS)

    def _table(self, t: NDArray[np.int64], rng: np.random.Generator) -> Columns:
        raise NotImplementedError


class PublicCards(_Past):
    """The layout of the public card data, for the detector `creditcard`."""

    code = 5
    detector: Final = "creditcard"
    quiet_delay: Final = LabelDelay(median_hours=0.5, spread=0.2)
    scenarios: Final = (Kind("card_fraud", LabelDelay(median_hours=0.5, spread=0.2)),)

    def _table(self, t: NDArray[np.int64], rng: np.random.Generator) -> Columns:
        size = t.size
        fraud = rng.random(size) < PUBLIC_FRAUD
        loudness = np.where(rng.random(size) < QUIET_SHARE, QUIET, rng.uniform(0.6, 1.3, size))
        shift = np.zeros(COMPONENTS)
        for component, spreads in SHIFT.items():
            shift[component - 1] = spreads
        noise = rng.normal(size=(size, COMPONENTS)) * rng.choice(
            [1.0, 2.2], size=(size, 1), p=[0.93, 0.07]
        )
        v = (noise + np.outer(fraud * loudness, shift)) * SPREAD
        usual = np.exp(rng.normal(3.1, 1.45, size))
        tested = np.where(rng.random(size) < 0.4, 1.0, np.exp(rng.normal(4.2, 1.3, size)))
        return {
            "t": t,
            "v": np.round(v, 6),
            "amount": np.round(np.where(fraud, tested, usual), 2),
            "scenario": np.where(fraud, 0, -1),
            "fraud": fraud,
        }

    def payloads(self, table: Columns, ids: list[int]) -> list[dict[str, object]]:
        """JSON bodies of the events, in row order."""
        rows: list[Any] = table["v"].tolist()
        return [
            {
                "transaction_id": f"ctx_{number:012x}",
                "timestamp": (EPOCH + timedelta(milliseconds=t)).isoformat(timespec="milliseconds"),
                "Time": float(t // 1000 % TWO_DAYS),
                **{f"V{i + 1}": value for i, value in enumerate(v)},
                "Amount": amount,
            }
            for number, t, v, amount in zip(
                ids, table["t"].tolist(), rows, table["amount"].tolist(), strict=True
            )
        ]


class FewFields(_Past):
    """Cards of which four fields are known, for the detector `credit_card_fraud`."""

    code = 6
    detector: Final = "credit_card_fraud"
    quiet_delay: Final = LabelDelay(median_hours=5 * 24.0, spread=0.2)
    scenarios: Final = (Kind("stolen_card", LabelDelay(median_hours=3 * 24.0, spread=0.5)),)

    def _table(self, t: NDArray[np.int64], rng: np.random.Generator) -> Columns:
        size = t.size
        fraud = rng.random(size) < FEW_FRAUD
        at_night = fraud & (rng.random(size) < 0.6)
        hour = np.where(at_night, rng.integers(0, 6, size), t // HOUR_MS % 24)
        moved = t // DAY_MS * DAY_MS + hour * HOUR_MS + t % HOUR_MS
        if size:
            # The block may begin at any hour: the night before it is over, the next one counts.
            moved = np.where(moved < t[0], moved + DAY_MS, moved)
            t = np.where(at_night & (moved <= t[-1]), moved, t)
        draw = rng.random(size)
        category = np.where(fraud, pick(STOLEN, draw), pick(USUAL, draw))
        amount = MEDIAN[category] * np.exp(rng.normal(0.0, 0.7, size))
        amount = np.where(fraud, amount * rng.uniform(1.5, 6.0, size), amount)
        table = {
            "t": t,
            "card": rng.integers(0, CARDS, size),
            "category": np.where(rng.random(size) < LACKING, -1, category),
            "amount": np.round(np.maximum(amount, 0.5), 2),
            "clock": rng.random(size) >= LACKING,
            "scenario": np.where(fraud, 0, -1),
            "fraud": fraud,
        }
        order = np.argsort(t, kind="stable")
        return {name: column[order] for name, column in table.items()}

    def payloads(self, table: Columns, ids: list[int]) -> list[dict[str, object]]:
        """JSON bodies of the events, in row order; what is not known is left out."""
        names = ("t", "card", "category", "amount", "clock")
        columns: list[list[Any]] = [table[name].tolist() for name in names]
        found = []
        for number, t, card, category, amount, clock in zip(ids, *columns, strict=True):
            moment = EPOCH + timedelta(milliseconds=t)
            event: dict[str, object] = {
                "transaction_id": f"few_{number:012x}",
                "timestamp": moment.isoformat(timespec="milliseconds"),
                "entity_id": f"card-{card + 1}",
                "amount": amount,
            }
            if category >= 0:
                event["merchant_category"] = CATEGORIES[category]
            if clock:
                event["time_of_day"] = f"{moment:%H:%M}"
            found.append(event)
        return found
