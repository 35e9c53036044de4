"""The fitted part of a bundle: raw feature vectors float64[n, k] -> model matrix float32[n, m].

Numbers get a fill value where they are missing, and may be scaled; a category becomes one column
per known level (1 or 0), one with the level's share of the training rows, one with the level's
smoothed rate of fraud, or several of these. The matrix is float32 in training and in serving, so a
tree compares the same bits in both. Fitting is `models_registry/core/encoding.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.core.types import Floats

LARGEST = 1e30
"""Clip: a float32 holds it, and sums of squares stay finite in float64."""
OPERATIONS = frozenset(("number", "level", "share", "target"))


class EncoderError(ValueError):
    """An encoder that this version cannot read."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A number by category code; `codes` sorted, `otherwise` for a code never seen and for NaN."""

    codes: Floats
    numbers: Floats
    otherwise: float = 0.0

    def of(self, values: Floats) -> Floats:
        """The number of each value."""
        if not len(self.codes):
            return np.full(len(values), self.otherwise)
        place = np.minimum(np.searchsorted(self.codes, values), len(self.codes) - 1)
        return np.where(self.codes[place] == values, self.numbers[place], self.otherwise)


def signed_log(values: Floats) -> Floats:
    """log(1 + |x|) with the sign of x."""
    return np.sign(values) * np.log1p(np.abs(values))


class Encoder:
    """`columns` describe the matrix, one dict each: {name, source, op, ...}.

    op `number`: {fill, log?, center?, scale?}: ((signed log of) the filled value - center) / scale;
    op `level`: {code}; op `share`: {codes, shares}; op `target`: {codes, rates, prior}. A column of
    a category may have {missing}: the code that a missing one counts as, and one that stands for
    all levels {named}: [code, name] of the most frequent. `level_names`: by a category's place in
    the vector, the name of each level that is known by one.
    Raises EncoderError on an operation it does not know.
    """

    def __init__(self, columns: list[dict[str, Any]]) -> None:
        unknown = {str(column["op"]) for column in columns} - OPERATIONS
        if unknown:
            raise EncoderError(f"Unknown column operations: {', '.join(sorted(unknown))}.")
        self.columns = columns
        self.names = tuple(str(column["name"]) for column in columns)
        self.source = np.array([column["source"] for column in columns], np.int32)
        self.level_names = _level_names(columns)
        self._numbers = self._places("number")
        numbers = [columns[i] for i in self._numbers]
        self._levels = self._places("level")
        self._fill = np.array([column["fill"] for column in numbers], float)
        self._log = np.array([column.get("log", False) for column in numbers], bool)
        self._center = np.array([column.get("center", 0.0) for column in numbers], float)
        self._scale = np.array([column.get("scale", 1.0) for column in numbers], float)
        self._scales = bool(self._log.any() or self._center.any() or (self._scale != 1.0).any())
        self._codes = np.array([columns[i]["code"] for i in self._levels], float)
        self._lookups = [
            (int(i), int(self.source[i]), _lookup(columns[i]))
            for i in self._places("share", "target")
        ]
        self._number_sources = self.source[self._numbers]
        self._level_sources = self.source[self._levels]
        missing = {
            int(column["source"]): float(column["missing"])
            for column in columns
            if "missing" in column
        }
        self._missing_sources = np.array(list(missing), np.intp)
        self._missing_codes = np.array(list(missing.values()), float)

    def _places(self, *ops: str) -> NDArray[np.intp]:
        return np.array([i for i, c in enumerate(self.columns) if c["op"] in ops], np.intp)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Encoder":
        """Read what `to_dict` gave. Raises EncoderError."""
        return cls(list(data["columns"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"columns": self.columns}

    def matrix(self, vectors: Floats) -> NDArray[np.float32]:
        """float32[n, m], all finite. `vectors`: float64[n, k], NaN = missing."""
        out = np.empty((len(vectors), len(self.columns)), np.float32)
        numbers = vectors[:, self._number_sources]
        filled = _clipped(np.where(np.isnan(numbers), self._fill, numbers))
        if self._scales:
            filled[:, self._log] = signed_log(filled[:, self._log])
            filled = _clipped((filled - self._center) / self._scale)
        out[:, self._numbers] = filled
        vectors = self.with_missing(vectors)
        if len(self._levels):
            out[:, self._levels] = vectors[:, self._level_sources] == self._codes
        for place, source, lookup in self._lookups:
            out[:, place] = lookup.of(vectors[:, source])
        return out

    def with_missing(self, vectors: Floats) -> Floats:
        """Vectors (a copy, where there is anything to do) in which missing categories are what
        they count as."""
        if not len(self._missing_sources):
            return vectors
        vectors = vectors.copy()
        found = vectors[:, self._missing_sources]
        vectors[:, self._missing_sources] = np.where(np.isnan(found), self._missing_codes, found)
        return vectors


def _clipped(values: Floats) -> Floats:
    """`np.clip` without its price per call."""
    return np.minimum(np.maximum(values, -LARGEST), LARGEST)


def _lookup(column: Mapping[str, Any]) -> Lookup:
    target = column["op"] == "target"
    numbers = column["rates" if target else "shares"]
    prior = float(column["prior"]) if target else 0.0
    return Lookup(np.array(column["codes"], float), np.array(numbers, float), prior)


def _level_names(columns: list[dict[str, Any]]) -> dict[int, dict[float, str]]:
    found: dict[int, dict[float, str]] = {}
    for column in columns:
        named = column.get("named", ())
        if column["op"] == "level":
            named = [(column["code"], str(column["name"]).partition("=")[2])]
        for code, name in named:
            found.setdefault(int(column["source"]), {})[float(code)] = str(name)
    return found
