"""The simulator's two doors: `history` for the past, `live` for a stream that goes on.

Both run the same loop over blocks of time.  The crowd of a world fills a block with ordinary
events, scenarios start campaigns in it, and campaigns that last longer wait for the blocks to come.
A block stays in columns until the last moment; dictionaries are built once, for the events that are
handed out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.campaigns import (
    FRAUD_SHARE,
    LIVE_FRAUD_SHARE,
    LIVE_LONGEST_MS,
    LIVE_WAIT,
    UNDISPUTED,
    Scenario,
    Starts,
    squeeze,
)
from scoring.simulation.cards import CardsWorld
from scoring.simulation.draws import Columns, concat, run_digest, take
from scoring.simulation.fraud import FraudWorld
from scoring.simulation.geography import EPOCH, HOUR_MS
from scoring.simulation.hosts import HostsWorld
from scoring.simulation.payments import PaymentsWorld
from scoring.simulation.rhythm import Crowd
from scoring.simulation.stand_ins import FewFields, Kind, PublicCards

LIVE_BLOCK: Final = 64  # events looked ahead in a live stream
LIVE_PAUSE_MS: Final = 6 * HOUR_MS  # a live customer who was just seen is passed over, if possible


@dataclass(frozen=True, slots=True)
class SimulatedEvent:
    """One event with its ground truth.  Times are aware and UTC; `scenario` is '' when legitimate;
    `label_time` is when the truth becomes known and is always after `time`."""

    detector: str
    payload: dict[str, object]
    time: datetime
    is_fraud: bool
    scenario: str
    label_time: datetime


class World(Protocol):
    """What a detector's world offers to the loop.  Tables are columns with at least `t` (epoch
    milliseconds), `who` (the member of the crowd) and `fraud`."""

    @property
    def code(self) -> int: ...
    @property
    def detector(self) -> str: ...
    @property
    def resolution_ms(self) -> int: ...
    @property
    def crowd(self) -> Crowd: ...
    @property
    def scene(self) -> Any: ...
    @property
    def scenarios(self) -> tuple[Scenario, ...]: ...

    def legitimate(
        self, t: NDArray[np.int64], who: NDArray[np.int64], rng: np.random.Generator
    ) -> Columns: ...

    def forget(self, start_ms: int, tempo: float, rng: np.random.Generator) -> None: ...

    def finish(self, table: Columns) -> Columns: ...

    def payloads(self, table: Columns, ids: list[int]) -> list[dict[str, object]]: ...


WORLDS: Final[dict[str, Callable[[int], World]]] = {
    "payments": PaymentsWorld,
    "fraud": FraudWorld,
    "cards": CardsWorld,
}
DETECTORS: Final = (*WORLDS, "anomaly")
"""What can be simulated live."""
STAND_INS: Final[dict[str, Callable[[int], PublicCards | FewFields]]] = {
    "creditcard": PublicCards,
    "credit_card_fraud": FewFields,
}
"""What has a past only."""


def history(
    detector: str, *, start: datetime, end: datetime, seed: int, events: int | None = None
) -> Iterator[SimulatedEvent]:
    """Events of `detector` in [start, end), in the order of their times.

    `events` sets about how many; without it the crowd keeps its natural tempo (for `anomaly`: a
    sample per host every five minutes).  The same arguments give the same events.  Raises
    ValueError for an unknown detector, naive times or an empty span.
    """
    first, last = _milliseconds(start), _milliseconds(end)
    if last <= first:
        raise ValueError("the end of a history must be after its start")
    if events is not None and events < 1:
        raise ValueError("a history needs at least one event")
    digest = run_digest(detector, seed, first, last, events)
    if detector == "anomaly":
        hosts = HostsWorld(seed)
        tables = hosts.history(first, last, events)
        return _events(hosts, tables, digest, seed)
    if detector in STAND_INS:
        stand_in = STAND_INS[detector](seed)
        return _events(stand_in, stand_in.history(first, last, events), digest, seed)
    world = _world(detector, seed)
    return _events(world, _past(world, first, last, seed, events), digest, seed)


def live(detector: str, *, start: datetime, rate: float, seed: int) -> Iterator[SimulatedEvent]:
    """Endless events from `start` on, `rate` per second of event time on average.

    The population is that of `history` with the same seed.  Fraud is more frequent than in a
    history and its campaigns are squeezed into minutes.  Never sleeps: the caller sets the pace.
    """
    first = _milliseconds(start)
    if not rate > 0:
        raise ValueError("the rate of a live stream must be positive")
    digest = run_digest(detector, seed, first, "live", rate)
    if detector == "anomaly":
        hosts = HostsWorld(seed)
        return _events(hosts, hosts.live(first, rate), digest, seed)
    world = _world(detector, seed)
    return _events(world, _present(world, first, rate, seed), digest, seed)


def _world(detector: str, seed: int) -> World:
    if detector not in WORLDS:
        raise ValueError(f"unknown detector {detector!r}: one of {', '.join(DETECTORS)}")
    return WORLDS[detector](seed)


def _milliseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError("the simulator needs aware times")
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _past(world: World, first: int, last: int, seed: int, events: int | None) -> Iterator[Columns]:
    """Blocks of one day, from the intensities of the crowd."""
    hours = np.arange(first // HOUR_MS, -(-last // HOUR_MS))
    begin = np.maximum(hours * HOUR_MS, first)
    length = (np.minimum((hours + 1) * HOUR_MS, last) - begin).astype(np.int64)
    natural = np.concatenate(
        [world.crowd.group_intensity(part).sum(axis=0) for part in _parts(hours, 24 * 28)]
    )
    natural = natural * length / HOUR_MS
    tempo = 1.0 if events is None else events / float(natural.sum())
    expected = natural * tempo
    rng = np.random.default_rng([seed, world.code, 0])
    world.forget(first, tempo, rng)
    loop = _Loop(world, Starts(world.scenarios, rng))
    for part in _parts(np.arange(hours.size), 24):
        rng = np.random.default_rng([seed, world.code, int(hours[part[0]])])
        counts = rng.poisson(expected[part] * (1.0 - FRAUD_SHARE))
        which = np.repeat(part, counts)
        times = begin[which] + (rng.random(which.size) * length[which]).astype(np.int64)
        times = np.sort(times // world.resolution_ms * world.resolution_ms)
        who = world.crowd.draw(times, rng)
        span = (int(begin[part[0]]), int(begin[part[-1]] + length[part[-1]]))
        fraud = float(expected[part].sum()) * FRAUD_SHARE
        yield loop.block(times, who, span, fraud, None, rng)


def _present(world: World, first: int, rate: float, seed: int) -> Iterator[Columns]:
    """Blocks of LIVE_BLOCK events, endlessly."""
    rng = np.random.default_rng([seed, world.code, 1, first % (1 << 62)])
    world.forget(first, 1.0, rng)
    loop = _Loop(world, Starts(world.scenarios, rng, wait=LIVE_WAIT))
    seen = np.full(world.crowd.activity.size, -(1 << 60), dtype=np.int64)
    pace = 1000.0 / (rate * (1.0 - LIVE_FRAUD_SHARE))
    now = float(first)
    while True:
        clock = now + np.cumsum(rng.exponential(pace, LIVE_BLOCK))
        times = clock.astype(np.int64) // world.resolution_ms * world.resolution_ms
        who = world.crowd.draw(times, rng)
        for _ in range(3):
            again = np.flatnonzero(times - seen[who] < LIVE_PAUSE_MS)
            if again.size == 0:
                break
            who[again] = world.crowd.draw(times[again], rng)
        seen[who] = times
        # At a high rate a whole block may lie within one step of the resolution.
        span = (int(now), max(int(now), int(times[-1])) + 1)
        fraud = LIVE_BLOCK * LIVE_FRAUD_SHARE / (1.0 - LIVE_FRAUD_SHARE)
        yield loop.block(times, who, span, fraud, LIVE_LONGEST_MS, rng)
        now = float(clock[-1])


def _parts(values: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    for at in range(0, len(values), size):
        yield values[at : at + size]


class _Loop:
    """Merges ordinary events with campaigns; what lies beyond a block waits in `_waiting`."""

    def __init__(self, world: World, starts: Starts) -> None:
        self.world = world
        self.starts = starts
        self._waiting: Columns | None = None

    def block(
        self,
        times: NDArray[np.int64],
        who: NDArray[np.int64],
        span: tuple[int, int],
        fraud_events: float,
        longest_ms: int | None,
        rng: np.random.Generator,
    ) -> Columns:
        """All events of [span), ordered by time (ties keep the order of drawing)."""
        ordinary = self.world.legitimate(times, who, rng)
        tables = [{**ordinary, "scenario": np.full(times.size, -1, dtype=np.int64)}]
        for index in self.starts.due(fraud_events):
            begin = int(rng.integers(span[0], span[1]))
            table = self.world.scenarios[index].make(self.world.scene, begin, rng)
            if longest_ms is not None:
                table = squeeze(table, begin, longest_ms)
            table["t"] = table["t"] // self.world.resolution_ms * self.world.resolution_ms
            tables.append({**table, "scenario": np.where(table["fraud"], index, -1)})
        if self._waiting is not None:
            tables.append(self._waiting)
        merged = concat(tables)
        merged = take(merged, np.argsort(merged["t"], kind="stable"))
        cut = int(np.searchsorted(merged["t"], span[1], side="left"))
        self._waiting = take(merged, np.arange(cut, merged["t"].size))
        table = take(merged, np.arange(cut))
        table["t"] = np.maximum(table["t"], span[0])
        return self.world.finish(table)


Source = World | HostsWorld | PublicCards | FewFields


def _events(
    world: Source, tables: Iterator[Columns], digest: int, seed: int
) -> Iterator[SimulatedEvent]:
    """Tables to events: numbers, payloads, labels."""
    names = ["", *(scenario.name for scenario in world.scenarios)]
    rng = np.random.default_rng([seed, world.code, 2, digest])
    number = (digest << 32) + (1 << 32)
    for table in tables:
        size = table["t"].size
        known = (table["t"] + _label_delays(world, table["scenario"], rng)).tolist()
        payloads = world.payloads(table, list(range(number, number + size)))
        number += size
        for payload, t, scenario, fraud, label in zip(
            payloads,
            table["t"].tolist(),
            table["scenario"].tolist(),
            table["fraud"].tolist(),
            known,
            strict=True,
        ):
            yield SimulatedEvent(
                detector=world.detector,
                payload=payload,
                time=EPOCH + timedelta(milliseconds=t),
                is_fraud=fraud,
                scenario=names[scenario + 1],
                label_time=EPOCH + timedelta(milliseconds=label),
            )


def _label_delays(
    world: Source, scenario: NDArray[Any], rng: np.random.Generator
) -> NDArray[np.int64]:
    quiet = getattr(world, "quiet_delay", UNDISPUTED)
    delay = quiet.draw(scenario.size, rng)
    kinds: Sequence[Scenario | Kind] = world.scenarios
    for index, kind in enumerate(kinds):
        rows = np.flatnonzero(scenario == index)
        if rows.size:
            delay[rows] = kind.delay.draw(rows.size, rng)
    return np.asarray(delay)
