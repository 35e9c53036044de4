"""The leaves of a tree as conditions on columns, put together into blocks with one table each.

What a leaf contributes depends only on which columns of its path a row satisfies. In a block of
neighbouring leaves each column falls into states (which of the leaves let the value pass), and the
block's table holds the sum over its leaves for every combination of states. Neighbours share most
of their path, so the table of four to eight leaves is hardly larger than theirs together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS: Final = 1024
BLOCK_COLUMNS: Final = 8
BLOCK_GROWTH: Final = 2
"""A block's table has at most so many times the rows of its leaves' own tables. Measured: 4 is no
faster while the tables lie in the processor's cache, and slower when they do not."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf: its value, and per column of its path (low, high] and the share of cover kept."""

    value: float
    conditions: dict[int, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """One column of a block. `masks[i]` has a bit for each leaf that lets a value between
    `cuts[i - 1]` (excluded) and `cuts[i]` (included) pass; equal masks are one state."""

    cuts: tuple[float, ...] = ()
    masks: tuple[int, ...] = (0,)

    def with_leaf(self, bit: int, low: float, high: float) -> "Axis":
        """The axis with one more leaf, which lets (low, high] pass."""
        cuts = sorted({*self.cuts, *filter(isfinite, (low, high))})
        masks, old = [], 0
        for lower, upper in zip((-inf, *cuts), (*cuts, inf), strict=True):
            while old < len(self.cuts) and self.cuts[old] <= lower:
                old += 1
            masks.append(self.masks[old] | bit * (low <= lower and upper <= high))
        return Axis(tuple(cuts), tuple(masks))


Axes = Mapping[int, Axis]
NO_AXES: Axes = {}


@dataclass(frozen=True, slots=True)
class Block:
    """Leaves with one table float64[rows, columns], a column per axis in ascending order.

    `steps[column][i]` is what interval i of the axis adds to the number of the table's row.
    """

    axes: Axes
    steps: Mapping[int, NDArray[np.intp]]
    table: FloatArray


def blocks(
    leaves: Sequence[Leaf], tables: Sequence[FloatArray], most_columns: int
) -> Iterator[Block]:
    """One tree's leaves (neighbours beside each other) in blocks; `tables` float64[2^d, d] each.

    A leaf with more columns than `most_columns` has a block of its own.
    """
    begin, own, axes = 0, 0, NO_AXES
    for i, leaf in enumerate(leaves):
        grown = _grown(axes, leaf, 1 << (i - begin))
        rows = prod(len(set(axis.masks)) for axis in grown.values())
        most = min(BLOCK_ROWS, BLOCK_GROWTH * (own + len(tables[i])))
        if i > begin and (rows > most or len(grown) > most_columns):
            yield _block(leaves[begin:i], tables[begin:i], axes)
            begin, own, grown = i, 0, _grown(NO_AXES, leaf, 1)
        axes, own = grown, own + len(tables[i])
    if leaves:
        yield _block(leaves[begin:], tables[begin:], axes)


def _grown(axes: Axes, leaf: Leaf, bit: int) -> Axes:
    return {**axes} | {
        column: axes.get(column, Axis()).with_leaf(bit, low, high)
        for column, (low, high, _) in leaf.conditions.items()
    }


def _block(leaves: Sequence[Leaf], tables: Sequence[FloatArray], axes: Axes) -> Block:
    columns = sorted(axes)
    states = [list(dict.fromkeys(axes[column].masks)) for column in columns]
    table = np.zeros((*map(len, states), len(columns)))
    for number, (leaf, own) in enumerate(zip(leaves, tables, strict=True)):
        places = [columns.index(column) for column in leaf.conditions]
        code = np.zeros([1] * len(columns), np.intp)
        for slot, place in enumerate(places):
            bits = np.array([(mask >> number & 1) << slot for mask in states[place]])
            code = code + bits.reshape([-1 if i == place else 1 for i in range(len(columns))])
        table[..., places] += own[code]
    steps, stride = {}, 1
    for column, found in zip(reversed(columns), reversed(states), strict=True):
        steps[column] = stride * np.array([found.index(mask) for mask in axes[column].masks])
        stride *= len(found)
    return Block(axes, steps, table.reshape(-1, len(columns)))
