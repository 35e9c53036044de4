"""Reads of the running totals: what would otherwise be counted over millions of predictions.

A tally row is an hour of one detector, level and decision in one shard: a few thousand rows a
month. They are written with the predictions they count, in the same transaction.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Min, Sum

from scoring.models import ScoreTally


@dataclass(frozen=True, slots=True)
class Totals:
    """Of one detector since its first prediction. Means are 0.0 where there was nothing yet."""

    count: int = 0
    degraded: int = 0
    latency_us: int = 0
    risk_sum: float = 0.0
    risk_count: int = 0
    since: datetime | None = None

    @property
    def mean_latency_ms(self) -> float:
        """Of the scoring itself."""
        return self.latency_us / self.count / 1000.0 if self.count else 0.0

    @property
    def mean_risk(self) -> float:
        """Of the predictions that a model scored, in [0, 1]."""
        return min(self.risk_sum / self.risk_count, 1.0) if self.risk_count else 0.0


@dataclass(frozen=True, slots=True)
class Slice:
    """Predictions of one detector, level and decision."""

    detector: str
    risk_level: str
    decision: str
    count: int
    degraded: int
    latency_us: int


def totals_by_detector(slugs: Collection[str]) -> dict[str, Totals]:
    """Totals by slug; a detector that never scored is left out. One query."""
    rows = (
        ScoreTally.objects.filter(detector__slug__in=slugs)
        .values("detector__slug")
        .annotate(
            n=Sum("count"),
            bad=Sum("degraded"),
            us=Sum("latency_us"),
            risk=Sum("risk_sum"),
            risks=Sum("risk_count"),
            since=Min("hour"),
        )
    )
    return {
        row["detector__slug"]: Totals(
            row["n"], row["bad"], row["us"], row["risk"], row["risks"], row["since"]
        )
        for row in rows
    }


def slices() -> list[Slice]:
    """Totals of every detector by level and decision. One query."""
    rows = (
        ScoreTally.objects.values("detector__slug", "risk_level", "decision")
        .annotate(n=Sum("count"), bad=Sum("degraded"), us=Sum("latency_us"))
        .order_by("detector__slug", "risk_level", "decision")
    )
    return [
        Slice(
            row["detector__slug"],
            row["risk_level"],
            row["decision"],
            row["n"],
            row["bad"],
            row["us"],
        )
        for row in rows
    ]
