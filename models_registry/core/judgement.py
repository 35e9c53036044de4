"""What is judged: labelled rows with their risk, decided by thresholds, and what is counted there.

Every metric but the rankings is a ratio of sums (`ratios`), of all rows or of a resample of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.costs import decision_costs, losses
from models_registry.core.metrics import NAN, count_of
from scoring.core.decision import Thresholds
from scoring.core.spec import CostSpec
from scoring.core.types import RISK_LEVELS

PROPORTIONS: Final = {
    "precision": ("hits", "flagged"),
    "recall": ("hits", "positives"),
    "alert_rate": ("flagged", "rows"),
}
DAY: Final = 86400.0

FloatArray = NDArray[np.float64]
Sums = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Traffic:
    """All events of the judged time, whatever is known of them; all arrays [m].

    `event_time` in seconds, UTC.
    """

    risk: FloatArray
    entities: NDArray[Any]
    event_time: FloatArray

    @property
    def days(self) -> NDArray[np.int64]:
        """The day of each event."""
        return (self.event_time // DAY).astype(np.int64)


@dataclass(frozen=True)
class Judgement:
    """Judged rows; all arrays [n]. `amounts` None where none is known, `days` any codes of days.

    `calibrated`: `risk` is a probability. `traffic` where only some of its events are judged.
    """

    labels: NDArray[Any]
    risk: FloatArray
    calibrated: bool
    amounts: FloatArray | None
    entities: NDArray[Any]
    days: NDArray[Any]
    thresholds: Thresholds
    costs: CostSpec
    entities_a_day: int
    traffic: Traffic | None = None

    @property
    def alert_rate(self) -> float:
        """Share of all events at or above the review threshold."""
        everything = self.risk if self.traffic is None else self.traffic.risk
        return float((everything >= self.thresholds.review).mean()) if everything.size else NAN

    @property
    def seen(self) -> float:
        """The share of the rows that lies among the `capacity` riskiest of all events."""
        capacity = self.costs.capacity
        if self.traffic is None or not self.risk.size:
            return capacity
        everything = np.sort(self.traffic.risk)[::-1]
        places = count_of(capacity, everything.size)
        if not places:
            return 0.0
        last = everything[places - 1]
        # Of those that tie at the last place as many as there is room for.
        ties = (places - (everything > last).sum()) / (everything == last).sum()
        seen = (self.risk > last).sum() + count_of(ties, (self.risk == last).sum())
        return float(min(1.0, (seen + 0.5) / self.risk.size))

    @property
    def bands(self) -> dict[str, NDArray[np.intp]]:
        """The rows of each risk band that has any, the lowest band first."""
        bounds = self.thresholds
        place = np.zeros(self.risk.size, np.intp)
        for number, low in enumerate((bounds.medium, bounds.high, bounds.critical), start=1):
            place[self.risk >= low] = number
        found = {str(level): np.flatnonzero(place == i) for i, level in enumerate(RISK_LEVELS)}
        return {level: rows for level, rows in found.items() if rows.size}

    def columns(self) -> dict[str, FloatArray]:
        """What is added up, one value a row: every metric but the rankings is a ratio of sums."""
        flagged, positive = self.risk >= self.thresholds.review, self.labels == 1
        found = {
            "rows": np.ones(self.labels.size),
            "positives": positive.astype(np.float64),
            "flagged": flagged.astype(np.float64),
            "hits": (flagged & positive).astype(np.float64),
        }
        if self.calibrated:
            found["squared_error"] = (self.risk - self.labels) ** 2
        if self.amounts is not None:
            found["lost_if_approved"] = losses(self.labels, self.amounts, self.costs)
            found["cost"] = decision_costs(
                self.labels,
                self.risk,
                self.amounts,
                review=self.thresholds.review,
                block=self.thresholds.block,
                costs=self.costs,
            )
        return found


def ratios(sums: Sums, costs: CostSpec) -> dict[str, FloatArray]:
    """Metrics from sums; every entry has the shape of the sums. NaN where nothing can be said:
    of precision and F1 that is where nothing is bad, nothing is legitimate or nothing is flagged,
    of false alerts where nothing is legitimate or nothing is rightly flagged."""
    rows, positives, flagged, hits = (
        np.asarray(sums[name], float) for name in ("rows", "positives", "flagged", "hits")
    )
    found = {name: divide(sums[part], sums[whole]) for name, (part, whole) in PROPORTIONS.items()}
    fallible = rows > positives
    telling = (positives > 0) & (flagged > 0) & fallible
    found["precision"] = np.where(telling, found["precision"], NAN)
    found["f1"] = divide(2 * hits, np.where(telling, flagged + positives, 0.0))
    found["false_alerts_per_true_alert"] = divide(flagged - hits, np.where(fallible, hits, 0.0))
    if "squared_error" in sums:
        found["brier"] = divide(sums["squared_error"], rows)
    if "cost" in sums:
        # Doing without a model: the cheaper of approving and of reviewing everything. Of these rows
        # alone, as the cost is: what approving the unlabelled ones loses nobody knows.
        without = np.minimum(sums["lost_if_approved"], costs.review_cost * rows)
        found["cost_per_event"] = divide(sums["cost"], rows)
        found["savings"] = 1.0 - divide(sums["cost"], without)
    return found


def divide(part: Any, whole: Any) -> FloatArray:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    found: FloatArray = np.divide(part, whole, out=np.full(whole.shape, NAN), where=whole > 0)
    return found
