"""The world of the `anomaly` detector: hosts whose load breathes with the day and the week."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.campaigns import LIVE_WAIT, LabelDelay, Starts
from scoring.simulation.draws import Columns, Floats, unit, wave
from scoring.simulation.geography import DAY_MS, EPOCH, HOUR_MS, MINUTE_MS
from scoring.simulation.incidents import (
    SCENARIOS,
    Fleet,
    Metrics,
    Pace,
    apply_incident,
    scenarios_at,
)

NATURAL_INTERVAL_MS: Final = 5 * MINUTE_MS  # of a host, when a history does not say how many
BLOCK: Final = 4_096
INCIDENT_SHARE: Final = 0.015  # of all samples of a history
LIVE_INCIDENT_SHARE: Final = 0.03
OUTLIER_SHARE: Final = 0.003  # single slow samples that mean nothing


@dataclass(frozen=True, slots=True)
class Role:
    """What a kind of host does.  Milliseconds, percent; `peaks` are (hour UTC, width, height)."""

    name: str
    hosts: int
    response_ms: float
    cpu_idle: float
    cpu_slope: float
    memory: float
    error_rate: float
    weekend: float  # load on Saturday and Sunday against a working day
    peaks: tuple[tuple[float, float, float], ...]


ROLES: Final = (
    Role("web", 5, 120, 14, 46, 52, 0.0060, 0.80, ((11.0, 3.0, 0.75), (19.5, 2.6, 0.95))),
    Role("api", 4, 90, 12, 52, 48, 0.0045, 0.62, ((10.5, 2.6, 0.95), (15.0, 2.8, 0.90))),
    Role("db", 3, 70, 18, 40, 63, 0.0015, 0.66, ((11.0, 3.4, 0.85), (16.0, 3.2, 0.80))),
    Role("cache", 2, 45, 8, 26, 58, 0.0010, 0.78, ((11.0, 3.2, 0.75), (19.5, 3.0, 0.85))),
    Role("worker", 2, 210, 20, 50, 45, 0.0080, 0.90, ((2.5, 1.8, 0.95), (13.0, 3.5, 0.45))),
)
HOST_NAMES: Final = tuple(
    f"{role.name}-{number:02d}" for role in ROLES for number in range(1, role.hosts + 1)
)
HOST_ROLE: Final = np.array([i for i, role in enumerate(ROLES) for _ in range(role.hosts)])
BACKUP_HOUR: Final = 2  # UTC; the databases are busy, and that is normal


def load_profiles() -> Floats:
    """Load by quarter of an hour, shape (roles, 96): about 0.1 at rest, 1 at the daily peak."""
    hours = (np.arange(96) + 0.5) / 4
    rows = []
    for role in ROLES:
        day = np.full(96, 0.10)
        for centre, width, height in role.peaks:
            gap = np.abs(hours - centre)
            day += height * np.exp(-0.5 * (np.minimum(gap, 24 - gap) / width) ** 2)
        rows.append(day / day.max())
    return np.stack(rows)


LOAD: Final = load_profiles()


class HostsWorld:
    """Sixteen hosts sampled in turn, and six kinds of incident."""

    code: Final = 4
    detector: Final = "anomaly"
    quiet_delay: Final = LabelDelay(median_hours=2.0, spread=0.5)
    scenarios: Final = SCENARIOS

    def __init__(self, seed: int) -> None:
        self.seed = seed
        roles = tuple(int(role) for role in HOST_ROLE)
        self.fleet = Fleet(roles=roles, public=(0, 1))
        self._scale = 0.85 + 0.3 * unit(seed, 51, np.arange(len(HOST_NAMES)))

    def history(self, first: int, last: int, events: int | None) -> Iterator[Columns]:
        """Samples in [first, last): `events` of them, spread evenly over time and hosts."""
        spacing = NATURAL_INTERVAL_MS / len(HOST_NAMES)
        if events is not None:
            spacing = (last - first) / events
        size = int((last - first) / spacing)
        rng = np.random.default_rng([self.seed, self.code, 0, first % (1 << 62)])
        pace = Pace(interval_ms=spacing * len(HOST_NAMES), shrink=1.0)
        tables = self._samples(first, spacing, INCIDENT_SHARE, pace, rng)
        for table in tables:
            size -= table["t"].size
            if size <= 0:
                yield {name: column[: column.size + size] for name, column in table.items()}
                return
            yield table

    def live(self, first: int, rate: float) -> Iterator[Columns]:
        """Samples for ever; incidents are more frequent and ten times shorter."""
        rng = np.random.default_rng([self.seed, self.code, 1, first % (1 << 62)])
        spacing = 1000.0 / rate
        pace = Pace(interval_ms=spacing * len(HOST_NAMES), shrink=0.1)
        return self._samples(first, spacing, LIVE_INCIDENT_SHARE, pace, rng, block=64)

    def _samples(
        self,
        first: int,
        spacing: float,
        share: float,
        pace: Pace,
        rng: np.random.Generator,
        block: int = BLOCK,
    ) -> Iterator[Columns]:
        wait = 0.35 if pace.shrink == 1.0 else LIVE_WAIT
        starts = Starts(scenarios_at(pace, self.fleet), rng, wait=wait)
        open_incidents: list[Columns] = []
        turn = rng.permutation(len(HOST_NAMES))
        at = 0
        while True:
            index = np.arange(at, at + block)
            at += block
            t = first + ((index + 0.5) * spacing).astype(np.int64)
            host = turn[index % len(turn)]
            span = (int(t[0]), int(t[-1]) + 1)
            for kind in starts.due(block * share):
                begin = int(rng.integers(*span))
                incident = starts.scenarios[kind].make(self.fleet, begin, rng)
                open_incidents.append({**incident, "kind": np.full(incident["host"].size, kind)})
            open_incidents = [i for i in open_incidents if int(i["end"].max()) > span[0]]
            yield self._measure(t, host, open_incidents, rng)

    def load(self, t: NDArray[np.int64], host: NDArray[np.int64]) -> Floats:
        """Load at each (time, host) without incidents: a fact of the seed, not of the run."""
        role = HOST_ROLE[host]
        quarter = t // (HOUR_MS // 4) % 96
        part = (t % (HOUR_MS // 4)) / (HOUR_MS // 4)
        curve = LOAD[role, quarter] * (1 - part) + LOAD[role, (quarter + 1) % 96] * part
        day = (t // DAY_MS + 3) % 7
        weekend = np.where(day >= 5, np.array([r.weekend for r in ROLES])[role], 1.0)
        drift = 0.07 * wave(self.seed, 52, host, t, 25 * MINUTE_MS)
        drift += 0.06 * wave(self.seed, 53, host, t, 4 * HOUR_MS)
        drift += 0.05 * wave(self.seed, 54, role, t, DAY_MS)
        return np.asarray(curve * weekend * self._scale[host] * (1.0 + drift))

    def _measure(
        self,
        t: NDArray[np.int64],
        host: NDArray[np.int64],
        incidents: list[Columns],
        rng: np.random.Generator,
    ) -> Columns:
        """Metrics of ordinary operation, then what the incidents do to them."""
        role, size = HOST_ROLE[host], t.size
        trait = {
            name: np.array([getattr(r, name) for r in ROLES], dtype=np.float64)[role]
            for name in ("response_ms", "cpu_idle", "cpu_slope", "memory", "error_rate")
        }
        load = self.load(t, host)
        backup = (role == 2) & (t // HOUR_MS % 24 == BACKUP_HOUR)
        cpu = trait["cpu_idle"] + trait["cpu_slope"] * load + 28.0 * backup
        uptime = (t + unit(self.seed, 55, host) * 7 * DAY_MS) % (7 * DAY_MS) / (7 * DAY_MS)
        memory = trait["memory"] + 9.0 * uptime + 5.0 * load - 5.0
        queue = 1.0 + 0.5 * load**2 / np.maximum(1.6 - load, 0.2) + 0.5 * backup
        response = trait["response_ms"] * queue * np.exp(rng.normal(0.0, 0.13, size))
        outlier = rng.random(size) < OUTLIER_SHARE
        response = np.where(outlier, response * rng.uniform(1.8, 4.0, size), response)
        error = trait["error_rate"] * (0.6 + 0.7 * load) * np.exp(rng.normal(0.0, 0.5, size))
        cpu = cpu + rng.normal(0.0, 2.6, size)
        metrics = Metrics(response, error, cpu, memory + rng.normal(0.0, 0.8, size))
        scenario = np.full(size, -1, dtype=np.int64)
        for incident in incidents:
            apply_incident(metrics, scenario, t, host, incident, rng)
        return {
            "t": t,
            "host": host,
            "response": np.round(np.clip(metrics.response, 0.8, 30_000.0), 2),
            "error": np.round(np.clip(metrics.error, 0.0, 1.0), 5),
            "cpu": np.round(np.clip(metrics.cpu, 0.3, 100.0), 2),
            "memory": np.round(np.clip(metrics.memory, 1.0, 99.5), 2),
            "scenario": scenario,
            "fraud": scenario >= 0,
        }

    def payloads(self, table: Columns, ids: list[int]) -> list[dict[str, object]]:
        """JSON bodies of the samples, in row order."""
        columns: list[list[Any]] = [
            table[name].tolist() for name in ("t", "host", "response", "error", "cpu", "memory")
        ]
        return [
            {
                "sample_id": f"smp_{number:012x}",
                "host": HOST_NAMES[host],
                "timestamp": (EPOCH + timedelta(milliseconds=t)).isoformat(timespec="milliseconds"),
                "response_time": response,
                "error_rate": error,
                "cpu_usage": cpu,
                "memory_usage": memory,
            }
            for number, t, host, response, error, cpu, memory in zip(ids, *columns, strict=True)
        ]
