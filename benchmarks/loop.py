"""`python -m benchmarks.loop`: does the loop pay? The handbook's June to August 14, day by day.

Each day 100 cards are alerted, the riskiest first. Analysts label the transactions of an alerted
card by the next morning, and of the others a random slice; all other labels come after 7 days.
Four ways to live through the same days, each with the labels that its own alerts brought:

- `loop`: every Monday it learns again from what it knows, and the new model serves;
- `loop by comparison`: every Monday it learns again, but only from what was known two weeks ago,
  and the new model serves where it ranks the week after that, whose labels are all known by now,
  surely better than the one that serves. That is the rule that backs a promotion, without the half
  of it that weighs costs: the hundred riskiest cards need no threshold;
- `first model`: the model of May 31 left alone (what is known of terminals still grows);
- `no learning`: an isolation forest, fitted once, without any label.

What counts is the fraud value of the alerted cards' transactions of the day. Vectors come from the
platform's own windows (`cards` with features that look at labels after one day), learners and the
comparison from its registry. The same seed gives the same result.
"""

import argparse
import copy
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.aims import Aim, judged
from benchmarks.handbook import DAY, FIRST_DAY, FIRST_SECOND, read_transactions
from benchmarks.measure import table
from benchmarks.models import DECLARATIONS, empty_windows
from models_registry.core.comparison import Contender, backs_promotion, compare
from models_registry.core.encoding import fit_encoder, training_matrix
from models_registry.core.learners.base import Learner
from models_registry.core.learners.catalogue import make_learner
from models_registry.core.metrics import interval
from models_registry.core.resampling import blocks_of
from scoring.core.encoder import Encoder
from scoring.core.features import FeaturePlan
from scoring.core.spec import DetectorSpec, parse_spec
from scoring.core.types import Event
from scoring.core.vectors import build_many, teach_label

ALERTS_A_DAY: Final = 100
AUDITED: Final = 0.005
LABEL_DAYS: Final = 7
LEARNT_DAYS: Final = 35
FIRST: Final = (date(2018, 6, 1) - FIRST_DAY).days
LAST: Final = (date(2018, 8, 14) - FIRST_DAY).days
MONDAY: Final = 0
WARM_UP: Final = 100_000
RESAMPLES: Final = 2000
NEVER: Final = np.inf
LOOP, COMPARED = "loop", "loop by comparison"
ARMS: Final = {
    LOOP: "lightgbm",
    COMPARED: "lightgbm",
    "first model": "lightgbm",
    "no learning": "isolation_forest",
}
QUICK: Final = {
    "type": "label_risk",
    "config": {
        "entity_key": "TERMINAL_ID",
        "windows": ["3d", "7d", "28d"],
        "delay": "1d",
        "figures": ["risk", "newest_risk", "seconds_since_first_risk"],
    },
}
Floats = NDArray[np.float64]


def declaration() -> DetectorSpec:
    """`cards`, and what is known of a terminal's events of yesterday and before."""
    config = copy.deepcopy(
        yaml.safe_load((DECLARATIONS / "cards.yaml").read_text(encoding="utf-8"))
    )
    config["features"]["transformations"].append(QUICK)
    return parse_spec(config)


@dataclass
class Days:
    """All transactions in time order, and their events made for the windows."""

    time: Floats
    day: NDArray[np.int64]
    card: NDArray[np.int64]
    amount: Floats
    fraud: NDArray[np.int8]
    events: list[Event]

    def of(self, day: int) -> NDArray[np.intp]:
        return np.flatnonzero(self.day == day)


@dataclass(frozen=True)
class Model:
    """What was learnt, of no event from day `until` on."""

    encoder: Encoder
    learner: Learner
    until: int

    def margin(self, vectors: Floats) -> Floats:
        return self.learner.margin(self.encoder.matrix(vectors))


@dataclass
class Arm:
    """One way to live: its windows, what it has seen and learnt, what it caught; how often a new
    model was compared, and how often that let it serve."""

    name: str
    spec: DetectorSpec
    windows: dict[Any, Any]
    known_at: Floats
    vectors: Floats
    model: "Model | None" = None
    compared: int = 0
    promoted: int = 0
    caught: dict[int, float] = field(default_factory=dict)
    true_alerts: dict[int, int] = field(default_factory=dict)

    def see(self, days: Days, rows: NDArray[np.intp], plan: FeaturePlan) -> None:
        """Vectors of the rows, in time order; the windows learn them."""
        events = [days.events[i] for i in rows]
        self.windows = empty_windows(plan, events) | self.windows
        self.vectors[rows] = build_many(plan, events, self.windows)

    def hear(self, days: Days, rows: NDArray[np.intp], plan: FeaturePlan, now: float) -> None:
        """The truth of these rows is known from `now` on, unless it was known before."""
        new = rows[self.known_at[rows] > now]
        self.known_at[new] = now
        for i in new[days.fraud[new] == 1]:
            event = days.events[i]
            teach_label(plan, plan.keys(event), event.external_id, (now, NEVER), self.windows)

    def learn(self, days: Days, today: int) -> Model:
        """Fit on the last LEARNT_DAYS days: what has matured, and what is known of the rest."""
        now = FIRST_SECOND + today * DAY
        rows = np.flatnonzero((days.day >= today - LEARNT_DAYS) & (days.day < today))
        rows = rows[self.known_at[rows] <= now]
        labels = days.fraud[rows]
        encoder = fit_encoder(self.spec.features, self.vectors[rows], {}, labels)
        matrix = training_matrix(
            encoder, self.spec.features, self.vectors[rows], labels, days.time[rows],
            label_delay=self.spec.training.label_delay,
        )  # fmt: skip
        learner = make_learner(ARMS[self.name])
        return Model(encoder, learner.fit(matrix, labels if learner.supervised else None), today)

    def compare(self, days: Days, today: int) -> None:
        """Let a model of two weeks ago serve if it is surely better on the week after that."""
        first = today - 2 * LABEL_DAYS
        if self.model is None or self.model.until > first:
            return  # The one that serves has learnt from these very events.
        candidate = self.learn(days, first)
        rows = np.flatnonzero((days.day >= first) & (days.day < today - LABEL_DAYS))
        champion, challenger = (
            Contender(one.margin(self.vectors[rows]), np.inf, np.inf)
            for one in (self.model, candidate)
        )
        found = compare(
            days.fraud[rows], champion, challenger, amounts=None, costs=self.spec.costs,
            least_positives=self.spec.training.minimum_positives,
            blocks=blocks_of(days.card[rows], days.day[rows]),
        )  # fmt: skip
        self.compared += 1
        if backs_promotion(found.verdict, found.cheaper):
            self.model = candidate
            self.promoted += 1

    def alert(self, days: Days, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The day's transactions of the riskiest cards; counts what they caught."""
        if self.model is None:
            raise RuntimeError("Nothing was learnt yet.")
        risk = self.model.margin(self.vectors[rows])
        cards, owner = np.unique(days.card[rows], return_inverse=True)
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, owner, risk)
        alerted = np.zeros(len(cards), bool)
        alerted[np.argsort(-highest, kind="stable")[:ALERTS_A_DAY]] = True
        found = rows[alerted[owner]]
        bad = found[days.fraud[found] == 1]
        day = int(days.day[rows[0]])
        self.caught[day] = float(days.amount[bad].sum())
        self.true_alerts[day] = len(np.unique(days.card[bad]))
        return found


def run() -> dict[str, Any]:
    """Live through the days in every way; plain numbers by day."""
    spec = declaration()
    plan = FeaturePlan(spec)
    days = read_days()
    arms = [
        Arm(name, spec, {}, np.full(len(days.time), NEVER),
            np.full((len(days.time), len(plan.names)), np.nan))
        for name in ARMS
    ]  # fmt: skip
    _before(days, arms, plan)
    rng = np.random.default_rng(1)
    for today in range(FIRST, LAST + 1):
        rows = days.of(today)
        audited = rows[rng.random(len(rows)) < AUDITED]
        tomorrow = FIRST_SECOND + (today + 1) * DAY
        for arm in arms:
            if (FIRST_DAY.toordinal() + today - 1) % 7 == MONDAY:
                if arm.name == LOOP:
                    arm.model = arm.learn(days, today)
                elif arm.name == COMPARED:
                    arm.compare(days, today)
            arm.see(days, rows, plan)
            looked_at = np.union1d(arm.alert(days, rows), audited)
            arm.hear(days, looked_at, plan, tomorrow)
            arm.hear(days, days.of(today + 1 - LABEL_DAYS), plan, tomorrow)
    return _summary(days, arms)


def read_days() -> Days:
    """The handbook's transactions as events of the `cards` detector."""
    frame, time, fraud = read_transactions()
    names = ("TRANSACTION_ID", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT")
    columns = [frame[name].to_list() for name in names]
    events = [
        Event(
            external_id=str(ident), time=at, received=at, utc_offset=0.0, amount=amount,
            currency="EUR", fields={"TX_AMOUNT": float(amount)},
            keys={"CUSTOMER_ID": str(customer), "TERMINAL_ID": str(terminal)},
        )
        for at, ident, customer, terminal, amount in zip(time.tolist(), *columns, strict=True)
    ]  # fmt: skip
    return Days(
        time=time,
        day=((time - FIRST_SECOND) // DAY).astype(np.int64),
        card=np.array(columns[1], np.int64),
        amount=np.array(columns[3], float),
        fraud=fraud,
        events=events,
    )


def _before(days: Days, arms: list[Arm], plan: FeaturePlan) -> None:
    """April and May: nobody alerts yet, labels come after 7 days; then everybody learns once."""
    first, *others = arms
    for day in range(FIRST):
        first.see(days, days.of(day), plan)
        now = FIRST_SECOND + (day + 1) * DAY
        first.hear(days, days.of(day + 1 - LABEL_DAYS), plan, now)
    for arm in others:
        arm.windows = dict(first.windows)
        arm.known_at, arm.vectors = first.known_at.copy(), first.vectors.copy()
    for arm in arms:
        arm.model = arm.learn(days, FIRST)


def _summary(days: Days, arms: list[Arm]) -> dict[str, Any]:
    inside = (days.day >= FIRST) & (days.day <= LAST)
    whole = float(days.amount[inside & (days.fraud == 1)].sum())
    found: dict[str, Any] = {"fraud value": whole, "arms": {}, "against": {}}
    lived = range(FIRST, LAST + 1)
    caught = {arm.name: np.array([arm.caught[day] for day in lived]) for arm in arms}
    for arm in arms:
        alerts = sum(arm.true_alerts.values())
        found["arms"][arm.name] = {
            "value caught": float(caught[arm.name].sum()),
            "share": float(caught[arm.name].sum()) / whole,
            "true alerts a day": alerts / len(caught[arm.name]),
            "compared": arm.compared,
            "promoted": arm.promoted,
            "by day": caught[arm.name].tolist(),
        }
    others = [name for name in caught if name not in (LOOP, COMPARED)]
    for loop, other in [(loop, other) for loop in (LOOP, COMPARED) for other in others]:
        more = caught[loop] - caught[other]
        low, high = interval(np.array(list(_resampled(more))))
        found["against"][f"{loop} / {other}"] = {
            "more value caught": float(more.sum()),
            "from": low,
            "to": high,
        }
    return found


def _resampled(by_day: Floats) -> Iterator[float]:
    """Sums over weeks drawn with replacement: neighbouring days are alike."""
    weeks = [by_day[i : i + 7] for i in range(0, len(by_day), 7)]
    sums, sizes = np.array([w.sum() for w in weeks]), np.array([len(w) for w in weeks])
    rng = np.random.default_rng(2)
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(weeks), len(weeks))
        yield float(sums[drawn].sum() * len(by_day) / sizes[drawn].sum())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = run()
    rows = [{"arm": name, **row} for name, row in found["arms"].items()]
    columns = ("arm", "value caught", "share", "true alerts a day", "compared", "promoted")
    print(f"Fraud value from June 1 to August 14: {found['fraud value']:,.0f}")
    print(table("What 100 alerts a day caught", rows, columns))
    rows = [{"of / than": name, **row} for name, row in found["against"].items()]
    title = "How much more was caught, and the 95 % interval over weeks"
    print(table(title, rows, ("of / than", "more value caught", "from", "to")))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return judged(
        [
            Aim(f"more value caught: {name}, low end", 0.0, row["from"])
            for name, row in found["against"].items()
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
