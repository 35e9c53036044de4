"""Some trees of a forest, laid out so that one row's contributions cost a few lookups per tree.

A row is ranked once per column among the cuts of all trees. A tree's piece for a column turns the
rank into the tree's own interval, which names a line of numbers, one per block of the tree (see
scoring.core.leaves); added up over the tree's columns they are the row of each block's table. The
sums are made in an order that does not hang on how many rows are asked for, so a row has the same
bits in any batch.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.core.leaves import Block

DENSE_COLUMNS: Final = 8
"""Up to so many columns every block has a place for each, and sums need no reordering."""
FOLD: Final = 16
"""So many lookups lie side by side while they are summed: wide additions are the cheap ones."""
CHUNK_NUMBERS: Final = 15_000
"""So many are made at a time: 120 kB. From 128 kB on the web server's allocator has memory mapped
and given back each time (riskplatform/supervisor.py), which took as long as the lookups. What is
looked up in the tables is larger, and goes into one room that all rows of a call share."""
COLUMN_SPAN: Final = 1 << 33
"""Keys of one column: float32 values in order take fewer whole numbers than these."""

FloatArray = NDArray[np.float64]
Places = NDArray[np.intp]
Tree = Sequence[Block]


def ordered_keys(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Whole numbers in the order of finite float32 values; -0.0 and 0.0 are one."""
    bits = np.ascontiguousarray(values).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


class Cuts:
    """The distinct cuts of all trees, by column and size; ranks columns among them."""

    def __init__(self, trees: Sequence[Tree], n_columns: int) -> None:
        pairs = sorted(
            {
                (column, cut)
                for tree in trees
                for block in tree
                for column, axis in block.axes.items()
                for cut in axis.cuts
            }
        )
        columns = np.array([column for column, _ in pairs], np.int64)
        self._values = np.array([cut for _, cut in pairs], np.float32)
        self._keys = ordered_keys(self._values) + columns * COLUMN_SPAN
        self._offsets = np.arange(n_columns) * COLUMN_SPAN
        self.first = np.searchsorted(columns, np.arange(n_columns + 1))

    def of(self, column: int) -> NDArray[np.float32]:
        """The cuts of one column, rising."""
        return self._values[self.first[column] : self.first[column + 1]]

    def ranks(self, rows: NDArray[np.float32]) -> Places:
        """intp[n, columns]: `first` of the column + how many of its cuts lie below the value."""
        return np.searchsorted(self._keys, ordered_keys(rows) + self._offsets, "left")


class Grove:
    """`contributions` of at least one tree with at least one split."""

    def __init__(self, trees: Sequence[Tree], n_columns: int) -> None:
        self._columns = n_columns
        self._cuts = Cuts(trees, n_columns)
        self._place_tables(trees)
        self._place_pieces(trees)

    def _place_tables(self, trees: Sequence[Tree]) -> None:
        """All tables, one under another; row 0 is zero, for the places that fill up a fold."""
        found = [block for tree in trees for block in tree]
        self._dense = self._columns <= DENSE_COLUMNS
        width = self._columns if self._dense else max(len(block.axes) for block in found)
        sizes = [1, *(len(block.table) for block in found)]
        self._table = np.zeros((sum(sizes), width))
        self._start = np.zeros(-(-len(found) // FOLD) * FOLD, np.intp)
        self._start[: len(found)] = np.cumsum(sizes)[:-1]
        owner = np.full((self._start.size, width), -1, np.intp)
        for i, (block, start) in enumerate(zip(found, self._start, strict=False)):
            columns = sorted(block.axes)
            places = columns if self._dense else list(range(len(columns)))
            self._table[start : start + len(block.table), places] = block.table
            owner[i, places] = columns
        # The used places in the order of their columns, and where each column begins: summing
        # whole runs is several times faster than adding number by number (np.bincount).
        order = np.argsort(owner, axis=None, kind="stable")
        self._by_column = order[np.count_nonzero(owner < 0) :]
        self._present, self._run = np.unique(owner.ravel()[self._by_column], return_index=True)

    def _place_pieces(self, trees: Sequence[Tree]) -> None:
        """A piece is one column of one tree; `_lines` holds its numbers [interval, block]."""
        used = [sorted({column for block in tree for column in block.axes}) for tree in trees]
        across, depth = max(map(len, trees)), max(map(len, used))
        self._filled = np.array(
            [t * across + b for t, tree in enumerate(trees) for b in range(len(tree))], np.intp
        )
        shape = (depth, len(trees))
        self._column, self._line = np.zeros(shape, np.intp), np.zeros(shape, np.intp)
        lines = [np.zeros((1, across), np.uint16)]
        intervals: dict[int, list[tuple[tuple[int, int], Places]]] = {}
        count = 1
        for t, tree in enumerate(trees):
            for p, column in enumerate(used[t]):
                cuts, part = _lines(tree, column, across)
                lines.append(part)
                self._column[p, t], self._line[p, t] = column, count
                count += len(part)
                # Of each interval of all trees' cuts: the interval of this tree that holds it.
                ends = np.append(self._cuts.of(column), np.inf)
                intervals.setdefault(column, []).append(((p, t), np.searchsorted(cuts, ends)))
        self._lines = np.concatenate(lines)
        # The largest of what `_codes` makes of a row, in numbers of 8 bytes.
        taken = self._column.size * max(8, self._lines[0].nbytes) // 8
        self._made_for_a_row = max(taken, self._start.size)
        self._place_intervals(intervals, shape)

    def _place_intervals(
        self, found: dict[int, list[tuple[tuple[int, int], Places]]], shape: tuple[int, int]
    ) -> None:
        """`_intervals[base + rank * step]` of a piece; the pieces of one column lie together."""
        self._base, self._step = np.zeros(shape, np.intp), np.zeros(shape, np.intp)
        parts: list[NDArray[Any]] = [np.zeros(1, np.uint8)]
        size = 1
        for column, pieces in found.items():
            together = np.stack([which for _, which in pieces], axis=1)
            for i, (piece, _) in enumerate(pieces):
                self._step[piece] = len(pieces)
                self._base[piece] = size + i - self._cuts.first[column] * len(pieces)
            parts.append(together.astype(np.min_scalar_type(together.max())).ravel())
            size += together.size
        # The widest of the parts' types holds them all: whole numbers, none below zero.
        self._intervals = np.concatenate(parts)

    def contributions(self, rows: NDArray[np.float32]) -> FloatArray:
        """float64[n, columns] of finite float32[n, columns]."""
        result = np.empty(rows.shape)
        ranks = self._cuts.ranks(rows)
        step = max(1, CHUNK_NUMBERS // self._made_for_a_row)
        room = np.empty((min(step, len(rows)), self._start.size, self._table.shape[1]))
        for start in range(0, len(rows), step):
            codes = self._codes(ranks[start : start + step])
            # No code lies outside; with the mode that looks for such, numpy fills a copy of `out`.
            found = self._table.take(codes, axis=0, out=room[: len(codes)], mode="clip")
            result[start : start + step] = self._sum(found)
        return result

    def _codes(self, ranks: Places) -> Places:
        """intp[n, places]: the row of every block's table."""
        place = ranks.take(self._column, axis=1) * self._step + self._base
        lines = self._lines.take(self._intervals.take(place) + self._line, axis=0)
        numbers = np.add.reduce(lines, axis=1, dtype=np.uint16).reshape(len(ranks), -1)
        codes = np.zeros((len(ranks), self._start.size), np.intp)
        codes[:, : self._filled.size] = numbers.take(self._filled, axis=1)
        codes += self._start
        return codes

    def _sum(self, found: FloatArray) -> FloatArray:
        """float64[n, columns] of float64[n, places, width]."""
        n, _, width = found.shape
        if self._dense:
            folded = np.add.reduce(found.reshape(n, -1, FOLD * width), axis=1)
            total: FloatArray = np.add.reduce(folded.reshape(n, FOLD, width), axis=1)
            return total
        ordered = found.reshape(n, -1).take(self._by_column, axis=1)
        total = np.zeros((n, self._columns))
        total[:, self._present] = np.add.reduceat(ordered, self._run, axis=1)
        return total


def _lines(tree: Tree, column: int, across: int) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """A tree's cuts of one column, and what each interval between them adds for each block."""
    own = {b: block.axes[column].cuts for b, block in enumerate(tree) if column in block.axes}
    cuts = np.array(sorted({cut for some in own.values() for cut in some}), np.float32)
    ends = np.append(cuts, np.float32(np.inf))
    lines = np.zeros((len(ends), across), np.uint16)
    for b, some in own.items():
        lines[:, b] = tree[b].steps[column][np.searchsorted(np.array(some, np.float32), ends)]
    return cuts, lines
