"""Incidents of hosts: when, where, how long, and what they do to the four metrics."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.campaigns import LabelDelay, Scenario
from scoring.simulation.draws import Columns, Floats
from scoring.simulation.geography import MINUTE_MS
from scoring.simulation.merchants import rows


@dataclass(frozen=True, slots=True)
class Fleet:
    """The role of each host, and the roles that face the public."""

    roles: tuple[int, ...]
    public: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """How densely hosts are sampled.  No incident is shorter than four samples of a host."""

    interval_ms: float
    shrink: float


@dataclass(slots=True)
class Metrics:
    """Milliseconds, share, percent, percent; changed in place while incidents are applied."""

    response: Floats
    error: Floats
    cpu: Floats
    memory: Floats


@dataclass(frozen=True, slots=True)
class IncidentParameters:
    """Length (lognormal, minutes), reach and strength of one kind of incident."""

    median_minutes: float
    spread: float = 0.45
    whole_tier: bool = False  # strikes every public host of one role
    severity: tuple[float, float] = (0.25, 1.0)


PARAMETERS: Final[dict[str, IncidentParameters]] = {
    "cpu_saturation": IncidentParameters(40),
    "memory_leak": IncidentParameters(180),
    "error_burst": IncidentParameters(25),
    "latency_degradation": IncidentParameters(60),
    "traffic_spike": IncidentParameters(45, whole_tier=True),
    "quiet_failure": IncidentParameters(50, severity=(0.6, 1.0)),
}


def _envelope(progress: Floats) -> Floats:
    return np.clip(np.minimum(progress / 0.15, (1.0 - progress) / 0.10), 0.0, 1.0)


def _cpu_saturation(m: Metrics, at: Any, p: Floats, s: Floats, rng: np.random.Generator) -> None:
    level = _envelope(p)
    ceiling = 86.0 + 12.0 * s + rng.normal(0.0, 1.5, p.size)
    m.cpu[at] += np.maximum(ceiling - m.cpu[at], 0.0) * level
    m.response[at] *= 1.0 + (0.6 + 3.0 * s) * level
    m.error[at] += 0.02 * s * level * rng.random(p.size)


def _memory_leak(m: Metrics, at: Any, p: Floats, s: Floats, rng: np.random.Generator) -> None:
    m.memory[at] += np.maximum(80.0 + 18.0 * s - m.memory[at], 0.0) * p
    m.cpu[at] += 16.0 * s * p**2
    m.response[at] *= 1.0 + 3.5 * s * p**4
    m.error[at] += 0.06 * s * p**6 * rng.random(p.size)


def _error_burst(m: Metrics, at: Any, p: Floats, s: Floats, rng: np.random.Generator) -> None:
    level = _envelope(p)
    m.error[at] += (0.03 + 0.35 * s**2) * level * rng.uniform(0.6, 1.4, p.size)
    m.response[at] *= 1.0 + rng.uniform(-0.4, 0.4, p.size) * level


def _latency(m: Metrics, at: Any, p: Floats, s: Floats, rng: np.random.Generator) -> None:
    level = _envelope(p)
    m.response[at] *= 1.0 + (1.2 + 8.0 * s) * level * rng.uniform(0.7, 1.3, p.size)
    m.cpu[at] -= 0.2 * m.cpu[at] * level
    m.error[at] += 0.04 * s * level * rng.random(p.size)


def _traffic_spike(m: Metrics, at: Any, p: Floats, s: Floats, rng: np.random.Generator) -> None:
    level = _envelope(p)
    m.cpu[at] += (18.0 + 38.0 * s) * level
    m.response[at] *= 1.0 + (0.5 + 4.0 * s**2) * level
    m.memory[at] += 9.0 * s * level
    m.error[at] += 0.09 * s**2 * level * rng.random(p.size)


def _quiet_failure(m: Metrics, at: Any, p: Floats, s: Floats, rng: np.random.Generator) -> None:
    level = np.where((p > 0.0) & (p < 1.0), 1.0, 0.0) * (0.85 + 0.15 * s)
    m.cpu[at] *= 1.0 - level * 0.92
    m.response[at] *= 1.0 - level * 0.9
    m.error[at] *= 1.0 - level
    m.memory[at] -= 14.0 * s * level + rng.normal(0.0, 0.3, p.size)


_Effect = Callable[[Metrics, Any, Floats, Floats, np.random.Generator], None]
_EFFECTS: Final[tuple[_Effect, ...]] = (
    _cpu_saturation,
    _memory_leak,
    _error_burst,
    _latency,
    _traffic_spike,
    _quiet_failure,
)


def strike(
    fleet: Fleet,
    t: int,
    rng: np.random.Generator,
    *,
    parameters: IncidentParameters,
    pace: Pace,
) -> Columns:
    """One incident from `t` on: rows of host, start, end and severity."""
    length = parameters.median_minutes * np.exp(rng.normal(0.0, parameters.spread)) * pace.shrink
    length_ms = int(max(length * MINUTE_MS, 4.0 * pace.interval_ms))
    roles = np.array(fleet.roles)
    hosts = rng.integers(0, roles.size, 1)
    if parameters.whole_tier:
        hosts = np.flatnonzero(roles == rng.choice(fleet.public))
    severity = rng.uniform(*parameters.severity)
    return rows(host=hosts, start=t, end=t + length_ms, severity=severity)


def scenarios_at(pace: Pace, fleet: Fleet) -> tuple[Scenario, ...]:
    """The scenarios with their length counted in samples at this pace."""
    roles = np.array(fleet.roles)
    tier = float(np.mean([np.sum(roles == role) for role in fleet.public]))
    out = []
    for scenario in SCENARIOS:
        p = PARAMETERS[scenario.name]
        minutes = p.median_minutes * np.exp(p.spread**2 / 2) * pace.shrink
        samples = max(float(minutes) * MINUTE_MS / pace.interval_ms, 4.0)
        make = partial(strike, parameters=p, pace=pace)
        mean = samples * (tier if p.whole_tier else 1.0)
        out.append(replace(scenario, mean_events=mean, make=make))
    return tuple(out)


def apply_incident(
    metrics: Metrics,
    scenario: NDArray[np.int64],
    t: NDArray[np.int64],
    host: NDArray[np.int64],
    incident: Columns,
    rng: np.random.Generator,
) -> None:
    """Change the metrics of the samples that the incident covers and name it in `scenario`."""
    for which, start, end, severity, kind in zip(
        *(incident[name].tolist() for name in ("host", "start", "end", "severity", "kind")),
        strict=True,
    ):
        low, high = np.searchsorted(t, [start, end])
        at = low + np.flatnonzero(host[low:high] == which)
        progress = (t[at] - start) / (end - start)
        _EFFECTS[kind](metrics, at, progress, np.full(at.size, severity), rng)
        scenario[at] = kind


_NATURAL: Final = Pace(interval_ms=5.0 * MINUTE_MS, shrink=1.0)


def _scenario(name: str, share: float, hours: float) -> Scenario:
    make = partial(strike, parameters=PARAMETERS[name], pace=_NATURAL)
    return Scenario(name, share, 1.0, LabelDelay(hours, 0.6), make)


SCENARIOS: Final = (
    _scenario("cpu_saturation", 0.18, 0.8),
    _scenario("memory_leak", 0.20, 3.0),
    _scenario("error_burst", 0.14, 0.4),
    _scenario("latency_degradation", 0.18, 1.2),
    _scenario("traffic_spike", 0.16, 0.7),
    _scenario("quiet_failure", 0.14, 5.0),
)
