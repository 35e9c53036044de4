"""The fitted part of a bundle: raw feature vectors float64[n, k] -> model matrix float32[n, m].

Numbers get a fill value where they are missing; a category becomes one column per known level
(1 or 0) and one with the level's share of the training rows (0 for a level never seen). The matrix
is float32 in training and in serving, so a tree compares the same bits in both.
Fitting is `models_registry/core/encoding.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.core.types import Floats

LARGEST = 1e30
"""Clip: a float32 holds it, and sums of squares stay finite in float64."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Share of training rows by category code; `codes` sorted."""

    codes: Floats
    shares: Floats

    def of(self, values: Floats) -> Floats:
        """The share of each value; 0 for a code never seen and for NaN."""
        place = np.minimum(np.searchsorted(self.codes, values), len(self.codes) - 1)
        return np.where(self.codes[place] == values, self.shares[place], 0.0)


class Encoder:
    """`columns` describe the matrix, one dict each: {name, source, op, ...}.

    op `number`: {fill}; op `level`: {code}; op `share`: {codes, shares}.
    """

    def __init__(self, columns: list[dict[str, Any]]) -> None:
        self.columns = columns
        self.names = tuple(str(column["name"]) for column in columns)
        self.source = np.array([column["source"] for column in columns], np.int32)
        self._numbers = self._places("number")
        self._levels = self._places("level")
        self._fill = np.array([columns[i]["fill"] for i in self._numbers], float)
        self._codes = np.array([columns[i]["code"] for i in self._levels], float)
        self._shares = [
            (int(i), Shares(np.array(columns[i]["codes"]), np.array(columns[i]["shares"])))
            for i in self._places("share")
        ]

    def _places(self, op: str) -> NDArray[np.intp]:
        return np.array([i for i, c in enumerate(self.columns) if c["op"] == op], np.intp)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Encoder":
        """Read what `to_dict` gave."""
        return cls(list(data["columns"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"columns": self.columns}

    def matrix(self, vectors: Floats) -> NDArray[np.float32]:
        """float32[n, m], all finite. `vectors`: float64[n, k], NaN = missing."""
        out = np.empty((len(vectors), len(self.columns)), np.float32)
        numbers = vectors[:, self.source[self._numbers]]
        filled = np.where(np.isnan(numbers), self._fill, numbers)
        out[:, self._numbers] = np.clip(filled, -LARGEST, LARGEST)
        if len(self._levels):
            out[:, self._levels] = vectors[:, self.source[self._levels]] == self._codes
        for place, shares in self._shares:
            out[:, place] = shares.of(vectors[:, self.source[place]])
        return out
