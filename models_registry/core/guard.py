"""Does the new champion keep the level of the former one? Bounds with a margin, and no flicker.

A bound is broken only where chance cannot explain it: each look is tested at ALPHA = 1e-4, so that
a look a minute over two weeks (20,000 looks at overlapping windows) stays quiet, and only past a
margin that people would call worse. Binomial bounds are exact (Clopper and Pearson, Biometrika 26,
1934); the 99th percentile is bounded by how many events lie above it, which needs no distribution.
The former champion's level may be known of a few events only: then its own luck has to be ruled
out as well (Fisher's exact test; the spread of both champions together).
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accounts.quantities import in_percent
from scoring.core.guard_spec import GuardSpec

ALPHA: Final = 1e-4
LEAST_LABELLED: Final = 50
LEAST_FRAUD: Final = 20
"""Known frauds from which the share of them that was flagged is a level."""
ONE_SIDED: Final = 3.72
"""Standard errors of a normal mean that chance passes with ALPHA."""
LEAST_SPREAD_MS: Final = 5.0
"""A 99th percentile that rises by less than this is nobody's trouble."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Events of one champion, newest first; arrays need not be of one length.

    `latency_us` float64[n], `degraded` bool[n], `alerted` bool[n] (not approved); of matured
    labelled events: `precise` bool[m], whether an alert was right, `caught` bool[k], whether fraud
    was flagged, and `costs` float64[l], money. `over_time` bool[h]: what was flagged of an even
    share of all events that it served (of the former champion; empty elsewhere).
    """

    latency_us: FloatArray
    degraded: NDArray[np.bool_]
    alerted: NDArray[np.bool_]
    precise: NDArray[np.bool_]
    caught: NDArray[np.bool_]
    costs: FloatArray
    over_time: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def levels(self) -> dict[str, Any]:
        """What a page shows; None where there is nothing to tell."""
        return {
            "events": int(self.latency_us.size),
            "p99_ms": _p99(self.latency_us),
            "degraded": _mean(self.degraded),
            "alert_rate": _mean(self.alerted),
            "precision": _mean(self.precise),
            "labelled_alerts": int(self.precise.size),
            "recall": _mean(self.caught),
            "known_fraud": int(self.caught.size),
            "cost": _mean(self.costs),
            "labelled": int(self.costs.size),
        }


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken bound: `guard` names it, `text` says it to people."""

    guard: str
    text: str


def breaches(before: Sample, after: Sample, spec: GuardSpec) -> list[Breach]:
    """Every bound that the new champion breaks against the former one's level.

    Empty while the new one has fewer than `spec.events` events. Where the former one has fewer,
    its level is unknown: then degraded answers alone are judged, which need no level. Labels need
    LEAST_LABELLED a side, known frauds LEAST_FRAUD.
    """
    if after.latency_us.size < spec.events:
        return []
    found = [_degraded(before, after, spec)]
    if is_level(before, spec):
        found += [
            _latency(before, after, spec),
            _alert_rate(before, after, spec),
            _fewer_alerts(before, after, spec),
            _precision(before, after, spec),
            _recall(before, after, spec),
            _cost(before, after, spec),
        ]
    return [breach for breach in found if breach is not None]


def is_level(sample: Sample, spec: GuardSpec) -> bool:
    """Whether a champion was seen often enough to be measured by."""
    return sample.latency_us.size >= spec.events


def _latency(before: Sample, after: Sample, spec: GuardSpec) -> Breach | None:
    was = _p99(before.latency_us) or 0.0
    bound = max(spec.latency * was, was + LEAST_SPREAD_MS)
    slow = int((after.latency_us > 1000.0 * bound).sum())
    if not surely_above(slow, after.latency_us.size, 0.01):
        return None
    return Breach(
        "latency",
        f"The 99th percentile of its latency is {_p99(after.latency_us):.1f} ms, above "
        f"{bound:.1f} ms ({spec.latency:g} times the former champion's {was:.1f} ms).",
    )


def _degraded(before: Sample, after: Sample, spec: GuardSpec) -> Breach | None:
    was = _share(before.degraded) if is_level(before, spec) else 0.0
    bound = was + spec.degraded
    if not surely_above(int(after.degraded.sum()), after.degraded.size, bound):
        return None
    return Breach(
        "degraded",
        f"{in_percent(_share(after.degraded))} of its predictions are degraded; the former "
        f"champion had {in_percent(was)}, and {in_percent(spec.degraded)} more are tolerated.",
    )


def _alert_rate(before: Sample, after: Sample, spec: GuardSpec) -> Breach | None:
    was = _share(before.alerted)
    # One event in a hundred is added, so that a detector that hardly alerts is not held to nothing;
    # one that flags much is held to half of what it lets through.
    bound = min(spec.alert_rate * was + 0.01, (1.0 + was) / 2.0)
    if not surely_above(int(after.alerted.sum()), after.alerted.size, bound):
        return None
    return Breach(
        "alert_rate",
        f"It flags {in_percent(_share(after.alerted))} of the events; the former champion flagged "
        f"{in_percent(was)}, and up to {in_percent(bound)} is tolerated.",
    )


def _fewer_alerts(before: Sample, after: Sample, spec: GuardSpec) -> Breach | None:
    """A champion that hardly flags anything any more lets through what the former one stopped.

    Held against the lower of two levels: of the newest events alone, the end of an attack would
    be the new one's fault.
    """
    seen = min((before.over_time, before.alerted), key=_share)
    was = _share(seen)
    bound = was / spec.fewer_alerts
    if not _surely_less(seen, after.alerted, bound):
        return None
    return Breach(
        "fewer_alerts",
        f"It flags {in_percent(_share(after.alerted))} of the events only; the former champion "
        f"flagged {in_percent(was)}, and down to {in_percent(bound)} is tolerated.",
    )


def _precision(before: Sample, after: Sample, spec: GuardSpec) -> Breach | None:
    if min(before.precise.size, after.precise.size) < LEAST_LABELLED:
        return None
    was = _share(before.precise)
    bound = _lowered(was, spec.precision)
    if not _surely_less(before.precise, after.precise, bound):
        return None
    return Breach(
        "precision",
        f"{in_percent(_share(after.precise))} of its labelled alerts are right; the former "
        f"champion had {in_percent(was)}, and down to {in_percent(bound)} is tolerated.",
    )


def _recall(before: Sample, after: Sample, spec: GuardSpec) -> Breach | None:
    """By number, for amounts vary too much for the cost to show soon what is missed.

    A former champion that flagged all fraud that is known is no level: labels came for what it
    flagged alone, and the new one would answer for those that come otherwise since.
    """
    if min(before.caught.size, after.caught.size) < LEAST_FRAUD or before.caught.all():
        return None
    was = _share(before.caught)
    bound = _lowered(was, spec.recall)
    if not _surely_less(before.caught, after.caught, bound):
        return None
    return Breach(
        "recall",
        f"It flags {in_percent(_share(after.caught))} of the fraud that is known; the former "
        f"champion flagged {in_percent(was)}, and down to {in_percent(bound)} is tolerated.",
    )


def _lowered(was: float, by: float) -> float:
    """So many points less; half of a low share, for so many less would be none at all."""
    return was - min(by, was / 2.0)


def _cost(before: Sample, after: Sample, spec: GuardSpec) -> Breach | None:
    if min(before.costs.size, after.costs.size) < LEAST_LABELLED:
        return None
    was, now = float(before.costs.mean()), float(after.costs.mean())
    if now - spec.cost * was <= ONE_SIDED * _spread(spec.cost * before.costs, after.costs):
        return None
    return Breach(
        "cost",
        f"Its decisions cost {now:.2f} per labelled event; the former champion's cost {was:.2f}, "
        f"and up to {spec.cost:g} times as much is tolerated.",
    )


def _spread(tolerated: FloatArray, costs: FloatArray) -> float:
    """The standard error of the difference of two means, float64[n] and float64[m].

    The larger of two estimates: by the spread of each, and by that of both together. Costs are
    mostly nothing and now and then a missed event; a few events without one would seem to be sure
    that there never is one.
    """
    apart = tolerated.var() / tolerated.size + costs.var() / costs.size
    together = np.concatenate([tolerated, costs]).var() * (1 / tolerated.size + 1 / costs.size)
    return float(np.sqrt(max(apart, together)))


def _surely_less(before: NDArray[np.bool_], after: NDArray[np.bool_], bound: float) -> bool:
    """Whether the share of `after` [m] lies below `bound`, and below that of `before` [n], whose
    few may have been lucky."""
    missing = int((~after).sum())
    return surely_above(missing, after.size, 1.0 - bound) and surely_more(before, after)


def surely_more(before: NDArray[np.bool_], after: NDArray[np.bool_], alpha: float = ALPHA) -> bool:
    """Whether chance gives `before` [n] so many of the hits of both, or more, with less than alpha
    where `after` [m] is drawn alike (Fisher's exact test, one-sided)."""
    hits, of, others = int(before.sum()), before.size, after.size
    both = hits + int(after.sum())
    i = np.arange(hits, min(both, of) + 1)
    steps = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, of + others + 1)))])
    ways = steps[of] - steps[i] - steps[of - i]
    ways += steps[others] - steps[both - i] - steps[others - both + i]
    ways -= steps[of + others] - steps[both] - steps[of + others - both]
    return float(np.exp(ways).sum()) < alpha


def surely_above(hits: int, of: int, share: float, alpha: float = ALPHA) -> bool:
    """Whether chance gives `hits` of `of` or more with less than alpha where `share` is true.

    The same as that the exact lower bound of Clopper and Pearson lies above `share`.
    """
    if of == 0 or share >= 1.0 or hits <= share * of:
        return False
    return _tail(hits, of, share) < alpha


def _tail(hits: int, of: int, share: float) -> float:
    """P(X >= hits) of a binomial, summed in logs so that nothing underflows to a lie."""
    if share <= 0.0:
        return 0.0
    i = np.arange(hits, of + 1)
    steps = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, of + 1)))])
    chance = steps[of] - steps[i] - steps[of - i] + i * np.log(share) + (of - i) * np.log1p(-share)
    return float(np.exp(chance).sum())


def _share(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else 0.0


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if values.size else None


def _p99(latency_us: FloatArray) -> float | None:
    return float(np.quantile(latency_us, 0.99)) / 1000.0 if latency_us.size else None
