"""What any pair of review and block thresholds would have meant on judged rows.

The curve holds, at many cuts of the risk, what lies at or above the cut: rows, positives, what
approving them loses. Costs and rates of any two thresholds follow by subtraction, so a page can
answer "and at 0.42?" without reading an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.costs import losses
from models_registry.core.metrics import count_of
from models_registry.core.thresholds import plain_cut
from scoring.core.shares import wilson
from scoring.core.spec import CostSpec

CUTS: Final = 400
EVERY_CUT_OF: Final = 100
HARDLY_BELOW: Final = 1.0 - 1e-6
"""Where the next risk below a cut was not kept, as if it were this share of it."""

FloatArray = NDArray[np.float64]


def threshold_curve(
    labels: NDArray[Any],
    risk: FloatArray,
    amounts: FloatArray | None,
    *,
    days: float,
    costs: CostSpec,
    size: int = CUTS,
    everything: FloatArray | None = None,
) -> dict[str, Any]:
    """JSON-able: `cuts` [[threshold, rows, positives, loss, events], ...], falling, and the totals.

    Every distinct risk among the 100 riskiest rows is a cut, after them ever fewer, `size` in all.
    `days` is how long the rows took to come. `loss` is None without amounts. `events` counts all
    events, by their risk `everything` [m], labelled or not; by default the rows.
    """
    order = np.argsort(-risk, kind="stable")
    ranked = np.sort(risk if everything is None else everything)[::-1]
    ends = _ends(ranked, size)
    rows = np.searchsorted(-risk[order], -ranked[ends], side="right")
    positives = np.append(0, np.cumsum(labels[order] == 1))
    lost = None
    if amounts is not None:
        lost = np.append(0.0, np.cumsum(losses(labels, amounts, costs)[order]))
    return {
        "days": days,
        "events": int(ranked.size),
        "rows": int(risk.size),
        "positives": int(positives[-1]),
        "lost_if_approved": None if lost is None or not risk.size else float(lost[-1]),
        "cuts": [
            [
                *(float(ranked[i]), n, int(positives[n]), None if lost is None else float(lost[n])),
                i + 1,
            ]
            for i, n in zip(ends.tolist(), rows.tolist(), strict=True)
        ],
    }


def _ends(ranked: FloatArray, size: int) -> NDArray[np.intp]:
    """The last place of each distinct risk in `ranked`, falling; at most `size` of them."""
    if not ranked.size:
        return np.empty(0, np.intp)
    ends: NDArray[np.intp] = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    if ends.size > size:
        wanted = np.geomspace(EVERY_CUT_OF, ends.size, size - EVERY_CUT_OF).astype(int) - 1
        ends = ends[np.unique(np.concatenate([np.arange(EVERY_CUT_OF), wanted]))]
    return ends


@dataclass(frozen=True)
class AtThresholds:
    """What two thresholds give. `flagged` counts rows, blocked or reviewed, `hits` the positives
    among them. `cost` is money per event, None without amounts; `precision` None where nothing is
    flagged, nothing is positive or nothing is legitimate."""

    review: float
    block: float
    flagged: int
    hits: int
    alerts_a_day: float
    blocked_a_day: float
    alert_rate: float
    precision: float | None
    recall: float | None
    recall_interval: tuple[float, float]
    cost: float | None


class Curve:
    """A stored curve, ready to be asked."""

    def __init__(self, stored: Mapping[str, Any], costs: CostSpec) -> None:
        self._costs = costs
        self.rows, self.positives = int(stored["rows"]), int(stored["positives"])
        # Curves that were kept before all events were counted know of the labelled ones alone.
        self.events = int(stored.get("events", self.rows))
        self.days = float(stored["days"])
        self._lost = stored["lost_if_approved"]
        cuts = stored["cuts"]
        self.thresholds = np.array([cut[0] for cut in cuts], float)
        counts = [(c[1], c[2], c[3] or 0.0, c[4] if len(c) > 4 else c[1]) for c in cuts]
        self._counts = np.array([(0, 0, 0.0, 0), *counts], float)

    @property
    def capacity_a_day(self) -> float:
        """Alerts a day that people can see."""
        return self._costs.capacity * self.events / self.days

    def is_within_capacity(self, one: AtThresholds) -> bool:
        """Whether people can see all that these thresholds flag."""
        return round(one.alerts_a_day * self.days) <= count_of(self._costs.capacity, self.events)

    @property
    def cost_without_model(self) -> float | None:
        """Money per event of the cheaper of approving and of reviewing everything."""
        if self._lost is None or not self.rows:
            return None
        return min(float(self._lost) / self.rows, self._costs.review_cost)

    def _above(self, threshold: float) -> FloatArray:
        """(rows, positives, loss, events) from the nearest cut that is not below the threshold."""
        place = np.searchsorted(-self.thresholds, -threshold, side="right")
        return np.asarray(self._counts[place], float)

    def at(self, review: float, block: float) -> AtThresholds:
        """The outcome of reviewing from `review` on and blocking from `block` on."""
        flagged, hits, kept, alerts = self._above(min(review, block))
        blocked, blocked_hits, _, stopped = self._above(block)
        cost = None
        if self._lost is not None and self.rows:
            spent = self._costs.review_cost * (flagged - blocked)
            spent += self._costs.false_block_cost * (blocked - blocked_hits)
            cost = float(self._lost - kept + spent) / self.rows
        telling = flagged and 0 < self.positives < self.rows
        return AtThresholds(
            review=review,
            block=block,
            flagged=int(flagged),
            hits=int(hits),
            alerts_a_day=float(alerts) / self.days,
            blocked_a_day=float(stopped) / self.days,
            alert_rate=float(alerts) / self.events if self.events else 0.0,
            precision=float(hits / flagged) if telling else None,
            recall=float(hits) / self.positives if self.positives else None,
            recall_interval=wilson(float(hits), float(self.positives)),
            cost=cost,
        )

    def flags_the_same(self, one: float, other: float) -> bool:
        """Whether two thresholds flag as many events."""
        return bool(self._above(one)[3] == self._above(other)[3])

    @property
    def above_all(self) -> float:
        """A review threshold that flags none of these events; above 1 where a risk is 1."""
        return float(np.nextafter(self.thresholds[0], np.inf))

    def _plain(self, place: int) -> float:
        """A threshold with few decimals that flags what the cut at `place` does, and no more."""
        cut = float(self.thresholds[place])
        if place + 1 == self.thresholds.size:
            return plain_cut(0.0, cut)
        below = float(self.thresholds[place + 1])
        # `_counts` begins with nothing flagged: it is one place ahead.
        is_next = self._counts[place + 2, 3] - self._counts[place + 1, 3] == 1
        if place + 1 >= EVERY_CUT_OF and not is_next:
            below = max(below, cut * HARDLY_BELOW)
        return plain_cut(below, cut)

    def cheapest(self, block: float) -> AtThresholds | None:
        """The cheapest review threshold, from what training chooses from: no tie is split, at most
        capacity is flagged (the first tie may be taken although it is more), or nothing is
        (`above_all`), where no cut pays for itself. It lies in the gap below the last flagged
        event, with few decimals. None without amounts or cuts."""
        if self._lost is None or not self.thresholds.size:
            return None
        limit = count_of(self._costs.capacity, self.events)
        allowed = max(1, int(np.sum(self._counts[1:, 3] <= limit)))
        tried = [self.above_all, *map(self._plain, range(allowed))]
        found = [self.at(t, max(block, t)) for t in tried]
        return min(found, key=lambda one: one.cost or 0.0)

    def bands(self, lows: Mapping[str, float]) -> list[dict[str, Any]]:
        """Events a day and share of positives in each risk band, from the highest down.

        `lows`: the lower bound of each band but the lowest, which is everything else.
        """
        found, above = [], np.zeros(4)
        ordered = sorted(lows.items(), key=lambda band: -band[1])
        for name, low, counts in [
            *((name, low, self._above(low)) for name, low in ordered),
            ("LOW", 0.0, np.array([self.rows, self.positives, 0.0, self.events], float)),
        ]:
            rows, positives, _, events = counts - above
            found.append(
                {
                    "level": name,
                    "from": low,
                    "a_day": float(events) / self.days,
                    "share": float(positives / rows) if rows else None,
                    "of_positives": (float(positives) / self.positives if self.positives else None),
                }
            )
            above = counts
        return found
