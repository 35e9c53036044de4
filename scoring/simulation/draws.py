"""Deterministic draws that need no generator state.

A trip, a device replacement or the weather of a host must be the same fact whether it is asked for
by the history of March or by the live stream of today.  Such facts are hashed from
``(seed, entity, period)`` with the SplitMix64 finaliser (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014), vectorised.  What happens only once (the amount of
one purchase) is drawn from a ``numpy.random.Generator`` instead.
"""

import hashlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]

_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX2: Final = np.uint64(0x94D049BB133111EB)


def mix(*parts: NDArray[Any] | int) -> NDArray[np.uint64]:
    """Hash integers or integer arrays (broadcast together) to uniform 64-bit words."""
    state = np.zeros(1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            word = np.atleast_1d(np.asarray(part)).astype(np.int64).view(np.uint64)
            state = (state ^ word) + _GAMMA
            state = (state ^ (state >> np.uint64(30))) * _MIX1
            state = (state ^ (state >> np.uint64(27))) * _MIX2
            state = state ^ (state >> np.uint64(31))
    return state


def unit(*parts: NDArray[Any] | int) -> Floats:
    """Hash to floats in [0, 1), 53 bits each."""
    return (mix(*parts) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def wave(seed: int, salt: int, who: NDArray[Any], t_ms: NDArray[Any], period_ms: int) -> Floats:
    """Smooth noise in [-1, 1] per entity: hashed knots every `period_ms`, cosine in between."""
    knot = t_ms // period_ms
    weight = (t_ms - knot * period_ms) / period_ms
    weight = (1.0 - np.cos(np.pi * weight)) / 2.0
    left = unit(seed, salt, who, knot)
    right = unit(seed, salt, who, knot + 1)
    return np.asarray(2.0 * (left * (1.0 - weight) + right * weight) - 1.0)


def pick(cumulative: Floats, u: Floats) -> NDArray[np.int64]:
    """Indices drawn with the weights whose running sum is `cumulative`; `u` in [0, 1)."""
    index = np.searchsorted(cumulative, u * cumulative[-1], side="right")
    return np.asarray(np.minimum(index, len(cumulative) - 1), dtype=np.int64)


def run_digest(*parts: object) -> int:
    """A 20-bit number that names one run, so that ids of different runs do not meet."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=3).digest(), "big") >> 4


def concat(tables: list[Columns]) -> Columns:
    """Stack tables that share their columns."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def take(table: Columns, index: NDArray[Any]) -> Columns:
    """Rows of a table by position or by mask."""
    return {name: column[index] for name, column in table.items()}
