"""How far to believe a calibrated probability: what unseen events with like ones turned out to be.

The bundle carries groups of test rows (models_registry.core.bands) that neither the model nor its
calibration had learnt from. For each group it knows how many were fraud, and which shifts of the
log-odds would be in keeping with that, at 95 %. A probability's band is the probability under the
lowest and the highest of these shifts: calibration may be wrong by so much in this neighbourhood.
It takes the error to be the same for all of a group, and says nothing about this one event.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

KEY: Final = "calibration_band"
"""Where a manifest keeps it."""
LEAST_ODDS: Final = 700.0


@dataclass(frozen=True, slots=True)
class Band:
    """`low` to `high` around a probability. Unseen events, `rows` of them, had probabilities in
    [`begin`, `end`); `expected` were to be fraud by these, `hits` were."""

    low: float
    high: float
    begin: float
    end: float
    rows: int
    hits: int
    expected: float


def shifted(probability: float, shift: float) -> float:
    """The probability whose log-odds are `shift` higher."""
    if probability <= 0.0 or probability >= 1.0:
        return probability
    odds = math.log(probability / (1.0 - probability)) + shift
    # Below, the exponential leaves the range of numbers.
    return 1.0 / (1.0 + math.exp(-odds)) if odds > -LEAST_ODDS else 0.0


def band_of(manifest: Mapping[str, Any], probability: float | None) -> Band | None:
    """The band of a probability; None without one, as in bundles that carry no (sound) bands."""
    if probability is None:
        return None
    try:
        groups = manifest.get(KEY, {}).get("groups", ())
        # The last group takes in its end: 1 is a probability.
        rest = [group for group in groups if probability < group["end"]] or groups[-1:]
        return _read(rest[0], probability) if rest else None
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def _read(group: Mapping[str, Any], probability: float) -> Band | None:
    lowest, highest = float(group["shift_low"]), float(group["shift_high"])
    found = Band(
        low=shifted(probability, lowest),
        high=shifted(probability, highest),
        begin=float(group["begin"]),
        end=float(group["end"]),
        rows=int(group["rows"]),
        hits=int(group["hits"]),
        expected=float(group["expected"]),
    )
    return found if found.rows > 0 and lowest <= highest else None
