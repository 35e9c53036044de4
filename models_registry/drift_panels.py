"""What the drift page shows: what moved, in words and numbers, and the one that is looked at."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

from accounts.csv_tables import Cell, safe
from accounts.quantities import chance, fine_percent, half_up
from models_registry.core.drift import (
    BINNED,
    FEATURE,
    LEAST_ROWS,
    MAJOR_DRIFT,
    MODERATE_DRIFT,
    SKETCH,
    UNKNOWN,
    Drift,
)
from models_registry.core.reference import ONCE_FULL
from models_registry.drift_figures import overlay, timeline
from models_registry.drift_models import DriftCheck, DriftStatistic
from models_registry.drift_selectors import NUMBERS, newest_check, over_time
from models_registry.verdicts import NARROW
from models_registry.verdicts import UNKNOWN as DASH
from scoring.core.bundle import Bundle, BundleError
from scoring.deployment import loaded
from scoring.models import Detector

HISTORY = timedelta(days=7)
ALARMS = (MODERATE_DRIFT, MAJOR_DRIFT)
HEAD = ("name", "role", "kind", "status", "reason", "rows", "reference_rows", "basis")


@dataclass(frozen=True, slots=True)
class DriftRow:
    """A line of the table, numbers as text. `key` names it in addresses: `feature.amount`."""

    found: DriftStatistic
    key: str
    psi: str
    ks: str
    wasserstein: str
    chi2: str
    p: str
    shares: str
    hints: dict[str, str]

    @property
    def moved(self) -> bool:
        """Whether it is in alarm."""
        return self.found.status in ALARMS


@dataclass(frozen=True, slots=True)
class Shown:
    """The one that is looked at: its line, both distributions, its statistic over time; `checks`:
    how many there were, whether or not they could measure it."""

    row: DriftRow
    sentence: str
    overlay: dict[str, Any] | None
    timeline: dict[str, Any] | None
    checks: int


@dataclass(frozen=True, slots=True)
class DriftPanel:
    """`rows` worst first; `check` None before the first. `needs`: why nothing can be said yet."""

    check: DriftCheck | None
    rows: Sequence[DriftRow]
    shown: Shown | None
    headline: str
    needs: str


def drift_panel(detector: Detector, *, key: str, now: datetime) -> DriftPanel:
    """The newest check; `key` picks what is looked at, else the worst."""
    check = newest_check(detector)
    if check is None:
        return DriftPanel(None, (), None, "", "")
    rows = sorted_rows(check)
    if check.rows < LEAST_ROWS and check.status not in ALARMS:
        needs = (
            f"It needs {LEAST_ROWS:,} events scored by {check.model_version}, has {check.rows:,}."
        )
        return DriftPanel(check, rows, None, "", needs)
    picked = next((row for row in rows if row.key == key), rows[0] if rows else None)
    shown = None if picked is None else _shown(detector, check, picked, now)
    return DriftPanel(check, rows, shown, headline(check, rows), "")


def sorted_rows(check: DriftCheck) -> list[DriftRow]:
    """All that the check measured, worst first; one query."""
    found = sorted(check.statistics.all(), key=_severity, reverse=True)
    return [_row(one) for one in found]


def _severity(found: DriftStatistic) -> tuple[tuple[int, float], int]:
    measured = Drift(
        found.name, found.role, status=found.status, psi=found.psi,
        wasserstein=found.wasserstein, change=found.change,
    )  # fmt: skip
    return measured.severity, -found.place


def headline(check: DriftCheck, rows: Sequence[DriftRow]) -> str:
    """The answer first: did anything move?"""
    told = [row for row in rows if row.found.status != UNKNOWN]
    moved = [row for row in told if row.moved]
    if not told:
        return "Nothing can be said: see the reasons below."
    if not moved:
        looks = f"{len(told)} of {len(told)} look as in the training window"
        if check.status == UNKNOWN:
            return f"Nothing can be said of what was in alarm; {looks}."
        return f"Nothing moved: {looks}."
    worst = moved[0].found
    verb = "has" if len(moved) == 1 else "have"
    return (
        f"{len(moved)} of {len(told)} {verb} moved away from the training window;"
        f" the worst is {worst.name} ({worst.status})."
    )


def _row(found: DriftStatistic) -> DriftRow:
    bound = "≥" + NARROW if found.basis == BINNED and found.ks is not None else ""
    return DriftRow(
        found=found,
        key=f"{found.role}.{found.name}",
        psi=_number(found.psi),
        ks=bound + _number(found.ks),
        wasserstein=_number(found.wasserstein),
        chi2=DASH if found.chi2 is None else f"{half_up(found.chi2):,.1f}",
        p=_chance(found.p),
        shares=_shares(found),
        hints={
            "psi": ""
            if found.bound is None
            else f"stays under {half_up(found.bound):.3f} by chance",
            "ks": _within(found.ks_error),
            "wasserstein": _within(found.wasserstein_error),
        },
    )


def _number(value: float | None) -> str:
    return DASH if value is None else f"{half_up(value):,.3f}"


def _within(error: float | None) -> str:
    return f"exact to {error:.4f}" if error else ""


def _chance(p: float | None) -> str:
    return DASH if p is None else chance(p)


def _shares(found: DriftStatistic) -> str:
    """`1.2 % → 2.4 %`: the rate, or the missing values, in training and now."""
    pair = (
        (found.reference_rate, found.rate)
        if found.kind == "rate"
        else (found.reference_missing, found.missing)
    )
    return " → ".join(DASH if one is None else f"{fine_percent(one)}{NARROW}%" for one in pair)


def _shown(detector: Detector, check: DriftCheck, row: DriftRow, now: datetime) -> Shown:
    found = row.found
    history = list(over_time(detector, name=found.name, role=found.role, since=now - HISTORY))
    names = _level_names(check, found) if found.kind == "category" else {}
    figures = overlay(found, names), timeline(history)
    return Shown(row, _sentence(check, found), *figures, checks=len(history))


def _sentence(check: DriftCheck, found: DriftStatistic) -> str:
    if found.status == UNKNOWN:
        return found.reason
    text = f"{found.rows:,} recent events against {found.reference_rows:,} of the training window"
    text += ", those whose windows were full." if _once_full(check, found) else "."
    if found.basis == BINNED:
        text += (
            " This model kept deciles alone: KS is a lower bound, Wasserstein cannot be told."
            " Train again to have both."
        )
    elif found.basis == SKETCH:
        text += f" Of the window 200 points are kept: KS is {_within(found.ks_error)},"
        text += f" Wasserstein {_within(found.wasserstein_error)}."
    return text


def _bundle(check: DriftCheck) -> Bundle | None:
    """What was checked; None where it is gone."""
    try:
        return loaded(check.bundle_digest)
    except BundleError:
        return None


def _once_full(check: DriftCheck, found: DriftStatistic) -> bool:
    """Whether it was measured against the rows with full windows alone."""
    bundle = _bundle(check) if found.role == FEATURE else None
    return bundle is not None and ONCE_FULL in bundle.reference.get(found.name, {})


def _level_names(check: DriftCheck, found: DriftStatistic) -> dict[float, str]:
    """Readable levels of a category, as its bundle knows them; a bundle that is gone knows none."""
    bundle = _bundle(check) if found.role == FEATURE else None
    if bundle is None or bundle.predictor is None or found.name not in bundle.plan.names:
        return {}
    source = bundle.plan.names.index(found.name)
    return bundle.predictor.encoder.level_names.get(source, {})


def csv_lines(check: DriftCheck | None) -> Iterator[str]:
    """What the table shows, all numbers unrounded, with a head; worst first."""
    yield _line([*("checked_at", "model_version", "from", "to"), *HEAD, *NUMBERS])
    if check is None:
        return
    span = (check.checked_at, check.model_version, check.first_at, check.last_at)
    stamp = [one.isoformat() if isinstance(one, datetime) else one or "" for one in span]
    for row in sorted_rows(check):
        values = [getattr(row.found, name) for name in (*HEAD, *NUMBERS)]
        yield _line([*stamp, *("" if value is None else value for value in values)])


def _line(values: Sequence[Cell]) -> str:
    buffer = StringIO()
    csv.writer(buffer).writerow(safe(value) for value in values)
    return buffer.getvalue()
