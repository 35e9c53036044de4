"""Where the boxes of a link graph stand: columns of rows, always the same for the same graph.

No Django. Columns are laid out from left to right; within one, each box comes as near as may be to
the mean row of the boxes that it hangs on to its left (the barycentre heuristic of Sugiyama, Tagawa
& Toda 1981, one sweep), so that lines seldom cross. Columns begin at the top, where a panel that
scrolls begins too. Boxes never overlap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WIDTHS: Final = (92, 118, 136, 118, 136)
"""Of the boxes of each column; further columns repeat the last two."""
GAP: Final = 30
ROW: Final = 38
BOX: Final = 32
EDGE: Final = 4
MARGIN: Final = 12
"""At the right end, where a button may stand half outside of its box."""

Edge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Box:
    """Where one node stands, in pixels; y grows downwards."""

    x: int
    y: int
    width: int
    height: int

    @property
    def middle(self) -> int:
        """The y of its middle."""
        return self.y + self.height // 2

    @property
    def right(self) -> int:
        """The x of its right end."""
        return self.x + self.width


@dataclass(frozen=True, slots=True)
class Layout:
    """The boxes by node, a curve (SVG path) for each edge, and the size of the whole."""

    boxes: Mapping[str, Box]
    curves: Sequence[str]
    width: int
    height: int


def lay_out(columns: Sequence[Sequence[str]], edges: Sequence[Edge]) -> Layout:
    """Place the nodes of `columns` (keys, each once) and draw `edges` between them."""
    column_of = {key: i for i, column in enumerate(columns) for key in column}
    neighbours: dict[str, list[str]] = {key: [] for key in column_of}
    for a, b in edges:
        if a in column_of and b in column_of:
            neighbours[a].append(b)
            neighbours[b].append(a)
    tallest = max((len(column) for column in columns), default=0)
    height = max(tallest, 1) * ROW + 2 * EDGE
    boxes: dict[str, Box] = {}
    x = EDGE
    for i, column in enumerate(columns):
        width = _width(i)
        for row, key in enumerate(_ordered(column, boxes, neighbours)):
            boxes[key] = Box(x, EDGE + row * ROW + (ROW - BOX) // 2, width, BOX)
        if column:
            x += width + GAP
    curves = [_curve(boxes[a], boxes[b]) for a, b in edges if a in boxes and b in boxes]
    return Layout(boxes, curves, max(x - GAP + MARGIN, 2 * EDGE), height)


def _width(column: int) -> int:
    return WIDTHS[column] if column < len(WIDTHS) else WIDTHS[-2 + (column - len(WIDTHS)) % 2]


def _ordered(
    column: Sequence[str], placed: Mapping[str, Box], neighbours: Mapping[str, Sequence[str]]
) -> list[str]:
    """By the mean height of what is placed already; else, and among equals, as they came."""

    def height(key: str) -> float:
        known = [placed[other].middle for other in neighbours[key] if other in placed]
        return sum(known) / len(known) if known else float("inf")

    return sorted(column, key=height)


def _curve(a: Box, b: Box) -> str:
    if a.x > b.x:
        a, b = b, a
    if a.x == b.x:  # Of one column: around the right.
        out = a.right + GAP // 2
        return f"M{a.right} {a.middle}C{out} {a.middle} {out} {b.middle} {b.right} {b.middle}"
    bend = (a.right + b.x) // 2
    return f"M{a.right} {a.middle}C{bend} {a.middle} {bend} {b.middle} {b.x} {b.middle}"
