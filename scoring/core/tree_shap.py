"""Exact Shapley contributions of trees, tabulated: path-dependent TreeSHAP in numpy.

A column that is left out sends the row down both branches in proportion to the training rows there
(Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
2020).

Inside one leaf the answer depends only on which of the d columns of its path the row satisfies,
so all 2^d answers are tabulated when the bundle is loaded (the idea of Yang, "Fast TreeSHAP",
2021), for neighbouring leaves together (scoring.core.leaves), and a row costs a few lookups per
tree and a sum (scoring.core.grove).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.core.attribution import Arrays, Attribution, ExplainError, FloatArray, Matrix
from scoring.core.grove import DENSE_COLUMNS, Grove
from scoring.core.leaves import BLOCK_COLUMNS, Leaf, blocks

MAX_LEAF_COLUMNS: Final = 10
MAX_TABLE_BYTES: Final = 256 * 1024 * 1024
BUILD_CHUNK_NUMBERS: Final = 2_000_000
GROVE_TREES: Final = 256
"""Trees laid out together: what ranks a row's values grows with the square of this."""
NO_FEATURE: Final = -1
TREE_ARRAYS: Final = (
    "feature", "threshold", "left", "right", "value", "cover", "roots", "offset",
)  # fmt: skip


class TreeExplainer(Attribution):
    """Sum of trees by tabulated path-dependent TreeSHAP.

    Refuses (`ExplainError`) leaves with more than 10 distinct columns on their path and tables of
    more than 256 MB: they grow with 2^d. Train shallower trees.
    """

    def __init__(self, arrays: Arrays) -> None:
        trees = list(_trees(_check_trees(arrays)))
        leaves = [leaf for tree in trees for leaf in tree]
        self.base = float(arrays["offset"]) + sum(_expectation(leaf) for leaf in leaves)
        split = [tree for tree in trees if tree[0].conditions]
        width = max((len(leaf.conditions) for tree in split for leaf in tree), default=1)
        _check_size([leaf for tree in split for leaf in tree], width)
        self._columns = 1 + max((max(leaf.conditions) for t in split for leaf in t), default=-1)
        most = max(width, self._columns if self._columns <= DENSE_COLUMNS else BLOCK_COLUMNS)
        self._groves = [
            Grove([list(blocks(tree, _tables(tree), most)) for tree in some], self._columns)
            for some in (split[i : i + GROVE_TREES] for i in range(0, len(split), GROVE_TREES))
        ]

    def contributions(self, matrix: Matrix) -> FloatArray:
        rows = np.ascontiguousarray(matrix, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] < self._columns:
            raise ExplainError(f"A matrix of shape {list(rows.shape)} does not fit this model.")
        result = np.zeros(rows.shape, dtype=np.float64)
        for grove in self._groves:
            result[:, : self._columns] += grove.contributions(rows[:, : self._columns])
        return result


def _check_trees(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The node arrays in one type each, or `ExplainError` if they are no forest."""
    kinds = dict.fromkeys(("threshold", "value", "cover"), np.float64)
    nodes: dict[str, NDArray[Any]] = {
        name: np.asarray(arrays[name], dtype=kinds.get(name, np.int64))
        for name in TREE_ARRAYS
        if name != "offset"
    }
    size = nodes["feature"].size
    if any(nodes[name].shape != (size,) for name in nodes if name != "roots"):
        raise ExplainError("The node arrays of a forest must be vectors of one length.")
    inner = np.flatnonzero(nodes["feature"] != NO_FEATURE)
    for side in ("left", "right"):
        child = nodes[side][inner]
        # Children after their parents: no cycle can hide in arrays that pass.
        if not ((child > inner).all() and (child < size).all()):
            raise ExplainError("A child must come after its parent, inside the arrays.")
    roots = nodes["roots"]
    if roots.size and (roots.min() < 0 or roots.max() >= size):
        raise ExplainError("A root lies outside the node arrays.")
    if (nodes["feature"] < NO_FEATURE).any():
        raise ExplainError("A node reads a negative column.")
    if not all(np.isfinite(nodes[name]).all() for name in kinds) or (nodes["cover"] <= 0).any():
        raise ExplainError("Thresholds, values and covers must be finite, covers positive.")
    if not np.isfinite(float(arrays["offset"])):
        raise ExplainError("The offset must be finite.")
    return nodes


def floor_float32(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The largest float32 that is <= each value: x <= value stays the same for any float32 x."""
    wide = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    below = np.nextafter(narrow, np.float32(-np.inf))
    result: NDArray[np.float32] = np.where(narrow > wide, below, narrow).astype(np.float32)
    return result


def _trees(nodes: dict[str, NDArray[Any]]) -> Iterator[list[Leaf]]:
    """The leaves of each tree, neighbours beside each other."""
    feature, left, right = (nodes[name].tolist() for name in ("feature", "left", "right"))
    threshold = floor_float32(nodes["threshold"]).tolist()
    value, cover = nodes["value"].tolist(), nodes["cover"].tolist()
    for root in nodes["roots"].tolist():
        leaves: list[Leaf] = []
        stack: list[tuple[int, dict[int, tuple[float, float, float]]]] = [(root, {})]
        while stack:
            node, path = stack.pop()
            column = feature[node]
            if column == NO_FEATURE:
                leaves.append(Leaf(value[node], path))
                continue
            lo, hi, share = path.get(column, (-np.inf, np.inf, 1.0))
            cut = threshold[node]
            kept_left = share * cover[left[node]] / cover[node]
            kept_right = share * cover[right[node]] / cover[node]
            stack.append((left[node], path | {column: (lo, min(hi, cut), kept_left)}))
            stack.append((right[node], path | {column: (max(lo, cut), hi, kept_right)}))
        yield leaves


def _expectation(leaf: Leaf) -> float:
    shares = [share for _, _, share in leaf.conditions.values()]
    return leaf.value * float(np.prod(shares))


def table_bytes(arrays: Arrays) -> int:
    """Bytes of the tables that a TreeExplainer of these trees would make. Raises ExplainError where
    a path is too long for any."""
    trees = [tree for tree in _trees(_check_trees(arrays)) if tree[0].conditions]
    leaves = [leaf for tree in trees for leaf in tree]
    return _size(leaves, max((len(leaf.conditions) for leaf in leaves), default=1))


def _size(leaves: list[Leaf], width: int) -> int:
    if width > MAX_LEAF_COLUMNS:
        raise ExplainError(
            f"A leaf lies behind {width} different columns; exact contributions stop at "
            f"{MAX_LEAF_COLUMNS}. Train trees of a smaller depth."
        )
    return 8 * width * sum(1 << len(leaf.conditions) for leaf in leaves)


def _check_size(leaves: list[Leaf], width: int) -> None:
    if (size := _size(leaves, width)) > MAX_TABLE_BYTES:
        raise ExplainError(
            f"Exact contributions would need {size >> 20} MB of tables (limit "
            f"{MAX_TABLE_BYTES >> 20} MB). Train fewer or shallower trees."
        )


def _tables(leaves: list[Leaf]) -> list[FloatArray]:
    """Per leaf, in order: float64[2^d, d], the contributions for each set of true conditions.

    A leaf is the product game v * prod(bit_j if j is known else share_j). Its Shapley value is
    the integral over t in [0, 1] of the slope, along the diagonal, of its multilinear extension
    (Owen 1972): v * (bit_i - share_i) * prod over j != i of (t * bit_j + (1 - t) * share_j), a
    polynomial of degree d - 1, for which Gauss-Legendre with ceil(d / 2) points is exact.
    """
    found: list[FloatArray] = [np.empty(0)] * len(leaves)
    by_size: dict[int, list[int]] = {}
    for i, leaf in enumerate(leaves):
        by_size.setdefault(len(leaf.conditions), []).append(i)
    for d, members in by_size.items():
        bits = (np.arange(1 << d)[:, None] >> np.arange(d)) & 1
        nodes, weights = _points(d)
        step = max(1, BUILD_CHUNK_NUMBERS // bits.size)
        for start in range(0, len(members), step):
            chunk = members[start : start + step]
            share = np.array([[s for _, _, s in leaves[i].conditions.values()] for i in chunk])
            share = share[:, None, :]
            total = np.zeros((len(chunk), 1 << d, d))
            for t, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
                # Never 0: t < 1 and every share is positive, so one factor can be divided out.
                factor = t * bits + (1 - t) * share
                total += weight * factor.prod(axis=2, keepdims=True) / factor
            value = np.array([leaves[i].value for i in chunk])[:, None, None]
            for i, table in zip(chunk, value * (bits - share) * total, strict=True):
                found[i] = table
    return found


@lru_cache(maxsize=MAX_LEAF_COLUMNS)
def _points(d: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre points and weights on [-1, 1] that are exact for d columns."""
    points, weights = np.polynomial.legendre.leggauss((d + 1) // 2)
    return points, weights
