"""`python -m benchmarks.queue_order`: what the order of the queue is worth.

Alerts come as the platform makes them: a LightGBM of its registry is fitted on the first weeks,
calibrated on later ones, and scores the weeks after; what it scores highest joins the open alert of
its entity. As many alerts come as the detector declares (`costs.capacity` of its events a day), but
only half, a quarter or an eighth of the minutes that they would take are there. From 8:00 on the
first alert of an order is taken again and again until the day's minutes are used up; an alert that
waits three days is lost. What counts is the fraud amount of the alerts that were worked on. Two
histories: the handbook's transactions (RISK_DATA_DIR) and the simulator's payments.

Nobody publishes how long analysts take, so handling times are drawn, in four ways, the noise of an
alert being the same under every order. The default order knows only what `cases.handling_time`
learns day by day from the alerts finished in this very run, by level and number of events:

- `predictable`: 3 min x events ** 0.5 x 1 to 1.75 by level, times log-normal noise (sigma 0.5);
- `noise`: log-normal around 4 min (sigma 0.7), whatever the alert: there is nothing to learn;
- `fraud is slow`: as noise, and twice as long where it is fraud, which the order is not told;
- `large is slow`: as noise, times (amount / median amount) ** 0.3: it speaks against the order.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import handbook
from benchmarks.measure import table
from benchmarks.queue_histories import (
    DAY,
    SEED,
    Floats,
    Scored,
    handbook_events,
    simulated_events,
)
from cases.handling_time import (
    SIZES,
    Cell,
    Handled,
    estimate,
    loss_per_minute,
    predict,
    size_of,
)
from models_registry.core.metrics import interval
from scoring.core.decision import RULES_ALONE
from scoring.core.types import RISK_LEVELS

OPENS: Final = 8 * 3600.0
EXPIRES: Final = 3 * DAY
TYPICAL: Final = 5.0
"""Minutes that an alert takes on average, to set how many there are."""
STAFFED: Final = (0.125, 0.25, 0.5)
"""Minutes that are there, as a share of those that all alerts would take."""
RIVALS: Final = ("score", "FIFO")
RESAMPLES: Final = 4000


# --- One day after the other, one order ----------------------------------------------------------

Draw = Callable[[int, int, float, bool, float], float]
"""Minutes of an alert: (events, level, amount, is fraud, its noise from a standard normal)."""


def handling(kind: str, median_amount: float) -> Draw:
    """The four ways of the module's text."""

    def noise(events: int, level: int, amount: float, fraud: bool, z: float) -> float:
        return float(4.0 * np.exp(0.7 * z))

    def predictable(events: int, level: int, amount: float, fraud: bool, z: float) -> float:
        return float(3.0 * events**0.5 * (1.0 + 0.25 * level) * np.exp(0.5 * z))

    def slow_fraud(events: int, level: int, amount: float, fraud: bool, z: float) -> float:
        return noise(events, level, amount, fraud, z) * (2.0 if fraud else 1.0)

    def slow_large(events: int, level: int, amount: float, fraud: bool, z: float) -> float:
        return noise(events, level, amount, fraud, z) * (amount / median_amount) ** 0.3

    ways = {
        "predictable": predictable, "noise": noise, "fraud is slow": slow_fraud,
        "large is slow": slow_large,
    }  # fmt: skip
    return ways[kind]


HANDLING: Final = ("predictable", "noise", "fraud is slow", "large is slow")


@dataclass
class Waiting:
    """Alerts, one slot each; those of `open` wait."""

    size: int
    opened: Floats = field(init=False)
    risk: Floats = field(init=False)
    amount: Floats = field(init=False)
    level: NDArray[np.int64] = field(init=False)
    sizes: NDArray[np.int64] = field(init=False)
    rows: list[list[int]] = field(default_factory=list)
    of_entity: dict[int, int] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.opened, self.risk, self.amount = (np.zeros(self.size) for _ in range(3))
        self.level, self.sizes = (np.zeros(self.size, np.int64) for _ in range(2))

    def take_in(self, row: int, stream: Scored) -> None:
        """The event joins the open alert of its entity, else opens one."""
        entity = int(stream.entity[row])
        slot = self.of_entity.get(entity)
        if slot is None:
            slot = len(self.rows)
            self.rows.append([])
            self.of_entity[entity] = slot
            self.open.append(slot)
            self.opened[slot] = stream.time[row]
        self.rows[slot].append(row)
        self.risk[slot] = max(self.risk[slot], stream.risk[row])
        self.amount[slot] += stream.amount[row]
        self.level[slot] = level_of(self.risk[slot])
        self.sizes[slot] = size_of(len(self.rows[slot]))

    def leave(self, slots: set[int], stream: Scored) -> None:
        """Decided, or too late."""
        self.open = [slot for slot in self.open if slot not in slots]
        for slot in slots:
            del self.of_entity[int(stream.entity[self.rows[slot][0]])]


def level_of(risk: float) -> int:
    return RISK_LEVELS.index(RULES_ALONE.level(risk))


Order = Callable[[Waiting, NDArray[np.intp], Floats], Floats]


def by_default(waiting: Waiting, slots: NDArray[np.intp], minutes: Floats) -> Floats:
    """Expected loss a minute, as the platform computes it."""
    taken = minutes[waiting.level[slots], waiting.sizes[slots]]
    loss: Any = waiting.risk[slots] * waiting.amount[slots]
    found: Any = loss_per_minute(loss, 1.0, taken)  # type: ignore[arg-type]
    return np.asarray(found)


def known_minutes(finished: list[Handled]) -> Floats:
    """float64[levels, sizes]: what `cases.handling_time` predicts from these alerts."""
    cells: dict[Cell, float] = {cell: one.minutes for cell, one in estimate(finished).items()}
    least = (1, *SIZES)
    return np.array(
        [
            [predict(cells, 0, level, events) for events in least]
            for level in range(len(RISK_LEVELS))
        ]
    )


ORDERS: Final[dict[str, Order]] = {
    "default": by_default,
    "expected loss": lambda w, slots, _: w.risk[slots] * w.amount[slots],
    "score": lambda w, slots, _: w.risk[slots],
    "amount": lambda w, slots, _: w.amount[slots],
    "FIFO": lambda w, slots, _: -w.opened[slots],
}
"""Higher comes first."""


def work(stream: Scored, order: Order, draw: Draw, minutes_a_day: float) -> NDArray[np.bool_]:
    """Which events were in alerts that somebody worked on."""
    z = np.random.default_rng(SEED).standard_normal(stream.time.size)
    waiting = Waiting(stream.time.size)
    seen = np.zeros(stream.time.size, bool)
    finished: list[Handled] = []
    upcoming = 0
    for day in range(int(stream.time[0] // DAY), int(stream.time[-1] // DAY) + 1):
        minutes = known_minutes(finished)
        now, end = day * DAY + OPENS, day * DAY + OPENS + minutes_a_day * 60.0
        while now < end:
            while upcoming < stream.time.size and stream.time[upcoming] <= now:
                waiting.take_in(upcoming, stream)
                upcoming += 1
            late = {slot for slot in waiting.open if waiting.opened[slot] < now - EXPIRES}
            waiting.leave(late, stream)
            if not waiting.open:
                now = stream.time[upcoming] if upcoming < stream.time.size else end
                continue
            slots = np.array(waiting.open)
            slot = int(slots[np.argmax(order(waiting, slots, minutes))])
            rows = waiting.rows[slot]
            level, events = int(waiting.level[slot]), len(rows)
            fraud = bool((stream.fraud[rows] == 1).any())
            taken = draw(events, level, float(waiting.amount[slot]), fraud, float(z[rows[0]]))
            finished.append(Handled(0, level, events, taken * 60.0))
            seen[rows] = True
            waiting.leave({slot}, stream)
            now += taken * 60.0
    return seen


# --- Figures -------------------------------------------------------------------------------------


def by_week(stream: Scored, seen: NDArray[np.bool_]) -> Floats:
    """Fraud amount worked on, by the week in which it happened."""
    week = ((stream.time - stream.time[0]) // (7 * DAY)).astype(np.int64)
    counted = stream.amount * (stream.fraud == 1) * seen
    return np.asarray(np.bincount(week, counted, minlength=int(week.max()) + 1), np.float64)


def resampled(*histories: Floats) -> tuple[float, float]:
    """95 % interval of the sum, over weeks drawn with replacement within each history."""
    rng = np.random.default_rng(SEED)
    sums = np.zeros(RESAMPLES)
    for weeks in histories:
        sums += weeks[rng.integers(0, weeks.size, (RESAMPLES, weeks.size))].sum(axis=1)
    return interval(sums)


def compare(name: str, events: Scored, staffed: float, kind: str) -> list[dict[str, Any]]:
    """One line an order: what it recovered, and how much more the default did."""
    stream, minutes_a_day = events.flagged(), staffed * events.alerts_a_day * TYPICAL
    draw = handling(kind, float(np.median(stream.amount)))
    weeks = {
        how: by_week(stream, work(stream, order, draw, minutes_a_day))
        for how, order in ORDERS.items()
    }
    whole = float(stream.amount[stream.fraud == 1].sum())
    lines = []
    for how, found in weeks.items():
        low, high = resampled(weeks["default"] - found)
        lines.append(
            {
                "data": name, "staffed": staffed, "handling": kind, "order": how,
                "recovered": float(found.sum()), "share": float(found.sum()) / whole,
                "default recovers more": float((weeks["default"] - found).sum()),
                "from": low, "to": high, "alerted fraud": whole,
                "by week": (weeks["default"] - found).tolist(),
                "minutes a day": minutes_a_day,
            }
        )  # fmt: skip
    return lines


def run() -> list[dict[str, Any]]:
    """Every history, staffing and way of handling."""
    histories: dict[str, Callable[[], Scored]] = {
        "simulated fraud": lambda: simulated_events("fraud"),
        "simulated payments": lambda: simulated_events("payments"),
    }
    if handbook.is_there():
        histories["handbook"] = handbook_events
    lines: list[dict[str, Any]] = []
    for name, make in histories.items():
        events = make()
        for staffed in STAFFED:
            for kind in HANDLING:
                lines += compare(name, events, staffed, kind)
    return lines


def pooled(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The default against score and FIFO for each history and staffing, the ways as one."""
    settings = dict.fromkeys((line["data"], line["staffed"]) for line in lines)
    return [
        {"data": name, "staffed": staffed, "against": rival, **lead(lines, [name], rival, staffed)}
        for name, staffed in settings
        for rival in RIVALS
    ]


def overall(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The default against score and FIFO in all that was simulated, and in all of the handbook."""
    names = list(dict.fromkeys(line["data"] for line in lines))
    kinds = {
        "simulated": [name for name in names if name.startswith("simulated")],
        "handbook": [name for name in names if name == "handbook"],
    }
    return [
        {"data": kind, "against": rival, **lead(lines, own, rival)}
        for kind, own in kinds.items()
        if own
        for rival in RIVALS
    ]


def lead(
    lines: list[dict[str, Any]], names: list[str], rival: str, staffed: float | None = None
) -> dict[str, float]:
    """How much more the default recovers than `rival` in these histories, every setting as one (or
    those of one staffing), in parts of what it recovers; weeks are drawn with all their settings.
    """
    own = [
        line
        for line in lines
        if line["data"] in names and (staffed is None or line["staffed"] == staffed)
    ]
    reached = sum(line["recovered"] for line in own if line["order"] == "default")
    against = [line for line in own if line["order"] == rival]
    weeks = [
        np.sum([line["by week"] for line in against if line["data"] == name], axis=0)
        for name in names
    ]
    low, high = resampled(*weeks)
    more = sum(float(one.sum()) for one in weeks)
    return {"more": more / reached, "from": low / reached, "to": high / reached}


def verdicts(lines: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Against each rival, in how many settings the interval is above 0, holds it, is below."""
    found = {}
    for rival in RIVALS:
        own = [line for line in lines if line["order"] == rival]
        above, below = sum(x["from"] > 0 for x in own), sum(x["to"] < 0 for x in own)
        found[rival] = {"better": above, "open": len(own) - above - below, "worse": below}
    return found


def _in_percent(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**one, **{name: f"{100.0 * one[name]:+.1f} %" for name in ("more", "from", "to")}}
        for one in found
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue_order", description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lines = run()
    columns = (
        "data", "staffed", "handling", "order", "recovered", "share", "default recovers more",
        "from",
        "to",
    )  # fmt: skip
    print(table("Fraud amount that was worked on, by the order of the queue", lines, columns))
    one, whole = pooled(lines), overall(lines)
    shown = ("data", "staffed", "against", "more", "from", "to")
    title = "The default's lead as a part of what it recovers, 95 % over weeks"
    print(table(title, _in_percent(one), shown))
    title = "The same over every setting of a kind of data"
    print(table(title, _in_percent(whole), ("data", "against", "more", "from", "to")))
    for rival, counted in verdicts(lines).items():
        told = ", ".join(f"{how} in {n}" for how, n in counted.items())
        print(f"Against {rival}, by the 95 % interval of each setting: {told}.")
    if options.json:
        found = {"lines": lines, "pooled": one, "overall": whole, "verdicts": verdicts(lines)}
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
