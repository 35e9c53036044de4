"""What a backtest found: events as they are read, and what is kept of them at the end."""

import heapq
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_registry.backtest_arms import NAMES, Told
from models_registry.backtest_models import Backtest
from models_registry.backtest_sampling import YOUNG, Census, Drawn
from models_registry.core import audit
from models_registry.core.backtest import (
    BAD,
    GOOD,
    UNKNOWN,
    Sampled,
    by_day,
    changes,
    confusion,
    costs_of,
    saving,
    volume,
)
from models_registry.core.selection import AUDITED, NOT_SELECTED, SELECTED
from scoring.core.spec import CostSpec, DetectorSpec
from scoring.models import Prediction

EXAMPLES = 20
CELLS = ("tp", "fp", "fn", "tn", "unlabelled")


@dataclass
class Found:
    """What was read, event by event; the lists have one entry for each that could be read."""

    spec: DetectorSpec
    told: list[Told] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    young: list[bool] = field(default_factory=list)
    amounts: list[float] = field(default_factory=list)
    entities: list[int] = field(default_factory=list)
    days: list[int] = field(default_factory=list)
    unreadable: int = 0
    other_currency: int = 0
    examples: dict[str, list[tuple[float, int, dict[str, Any]]]] = field(
        default_factory=lambda: {cell: [] for cell in CELLS}
    )
    names: dict[str, int] = field(default_factory=dict)

    def add(self, place: int, weight: float, row: Prediction, told: Told, label: int, *,
            young: bool) -> None:  # fmt: skip
        """Take one event in."""
        self.told.append(told)
        self.places.append(place)
        self.weights.append(weight)
        self.labels.append(label)
        self.young.append(young)
        amount = self.spec.own_amount(row.exposure, row.currency)
        self.amounts.append(amount)
        self.other_currency += int(row.exposure is not None and np.isnan(amount))
        self.entities.append(self.names.setdefault(row.entity, len(self.names)))
        self.days.append(row.event_time.astimezone(UTC).date().toordinal())
        cell = _cell(told.found, label, young=young)
        if cell:
            entry = (float(np.nan_to_num(amount)), len(self.told), _example(row, told))
            kept = self.examples[cell]
            if len(kept) < EXAMPLES:
                heapq.heappush(kept, entry)
            else:
                heapq.heappushpop(kept, entry)

    def sampled(self) -> Sampled:
        """As the arithmetic wants it."""
        return Sampled(
            labels=np.array(self.labels, np.int8),
            young=np.array(self.young, bool),
            weights=np.array(self.weights, float),
            amounts=np.array(self.amounts, float),
            entities=np.array(self.entities, np.int64),
            days=np.array(self.days, np.int64),
        )


def _cell(found: bool, label: int, *, young: bool) -> str:
    if young:
        return ""
    if label == UNKNOWN:
        return "unlabelled" if found else ""
    return ("tp" if found else "fn") if label == BAD else ("fp" if found else "tn")


def _example(row: Prediction, told: Told) -> dict[str, Any]:
    return {
        "prediction": str(row.pk),
        "external_id": row.external_id,
        "event_time": row.event_time.isoformat(),
        "amount": None if row.exposure is None else str(row.exposure),
        "currency": row.currency,
        "then": NAMES[told.then],
        "today": NAMES[told.today],
        "proposed": NAMES[told.proposed],
        "values": [[name, value] for name, value in told.values],
    }


def result_of(
    test: Backtest, spec: DetectorSpec, census: Census, drawn: Drawn, found: Found
) -> dict[str, Any]:
    """What is kept; see the templates of backtests for how it is told."""
    rows = found.sampled()
    matched = np.array([told.found for told in found.told], bool)
    found_today = np.array([told.found_today for told in found.told], bool)
    return {
        **_counts(census, drawn, found),
        "label_delay": spec.training.label_delay,
        "currency": spec.currency,
        "has_amounts": bool(np.isfinite(rows.amounts).any()),
        "days": census.days(test.first_day, test.last_day),
        "matrix": confusion(matched, rows),
        "matrix_today": confusion(found_today, rows) if test.today else None,
        **_beside(found, rows, spec.costs),
        "bias": _bias(census, drawn, found, matched),
        "costs": {
            name: getattr(spec.costs, name)
            for name in ("review_cost", "false_block_cost", "loss_share", "capacity")
        },
        "examples": {
            cell: [example for _, _, example in sorted(kept, reverse=True)]
            for cell, kept in found.examples.items()
        },
        "learnt_until": test.learnt_until(),
    }


def _counts(census: Census, drawn: Drawn, found: Found) -> dict[str, Any]:
    """How many events there are, and how many of them were read."""
    young = census.kinds == YOUNG
    return {
        "events": int(census.kinds.size),
        "labelled": int((~young & (census.labels != UNKNOWN)).sum()),
        "young": int(young.sum()),
        "cut": census.first.isoformat() if census.cut and census.first else None,
        "read": len(found.told),
        "unreadable": found.unreadable,
        "lacking": sum(told.lacks for told in found.told),
        "other_currency": found.other_currency,
        "kinds": drawn.kinds,
        "sampled": any(kind["read"] < kind["events"] for kind in drawn.kinds),
    }


def _beside(found: Found, rows: Sampled, costs: CostSpec) -> dict[str, Any]:
    """The arms beside each other: what was decided then, would be today, and as proposed."""
    arms = {
        name: np.array([getattr(told, name) for told in found.told], np.int8)
        for name in ("then", "today", "proposed")
    }
    today, proposed = arms["today"], arms["proposed"]
    return {
        "arms": {
            name: volume(decided, rows)
            | {"costs": costs_of(decided, rows, costs)}
            | {"flagged_matrix": _rates(confusion(decided > 0, rows))}
            for name, decided in arms.items()
        },
        "saving": saving(today, proposed, rows, costs),
        "changes": changes(today, proposed, rows),
        "by_day": by_day(list(arms.items()), rows),
    }


def _rates(matrix: dict[str, Any]) -> dict[str, Any]:
    return {name: matrix[name] for name in ("precision", "recall")}


def _bias(census: Census, drawn: Drawn, found: Found, matched: NDArray[np.bool_]) -> dict[str, Any]:
    """Whose labels these are: of what people were to look at, and of the rest; and recall and
    precision corrected by the random audits, where everything to be looked at was read."""
    old = census.kinds != YOUNG
    looked_at = old & (census.selection == SELECTED)
    rest = old & (census.selection != SELECTED)
    known = census.labels != UNKNOWN
    audited = old & (census.selection == AUDITED) & known
    whole = all(kind["read"] == kind["events"] for kind in drawn.kinds[0:6:2])
    corrected = None
    if whole and not found.unreadable and old.any():
        flagged = np.zeros(census.kinds.size, bool)
        flagged[found.places] = matched
        corrected = audit.correct(
            census.labels[old], flagged[old], census.selection[old], census.propensity[old]
        ).to_dict()
    return {
        "looked_at": int(looked_at.sum()),
        "looked_at_known": int((looked_at & known).sum()),
        "rest": int(rest.sum()),
        "rest_known": int((rest & known).sum()),
        "audited": int(audited.sum()),
        "drawn": int((old & (census.selection == AUDITED)).sum()),
        "unseen": int((old & (census.selection == NOT_SELECTED) & ~known).sum()),
        "good": int((old & (census.labels == GOOD)).sum()),
        "corrected": corrected,
    }
