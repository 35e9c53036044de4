"""Numbers out of repeated calls, and tables for people."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np

Row = dict[str, Any]


def percentiles(nanoseconds: Iterable[float]) -> dict[str, float]:
    """Median and 99th percentile of times, in microseconds."""
    p50, p99 = np.percentile(np.fromiter(nanoseconds, float), [50, 99]) / 1000.0
    return {"p50_us": round(float(p50), 1), "p99_us": round(float(p99), 1)}


def time_calls(act: Callable[[int], object], *, calls: int, warm_up: int = 50) -> dict[str, float]:
    """Percentiles of `act(i)` for i = 0, 1, ..., each call timed alone."""
    for i in range(warm_up):
        act(i)
    taken = []
    for i in range(calls):
        begun = perf_counter_ns()
        act(i)
        taken.append(perf_counter_ns() - begun)
    return percentiles(taken)


def machine() -> Row:
    """Where the numbers come from; without it they mean nothing."""
    return {
        "cpus": os.cpu_count(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def table(title: str, rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Rows under their column names, numbers to the right."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [
        max(len(text) for text in column) for column in zip(columns, *cells, strict=True)
    ]  # fmt: skip
    lines = ["", title]
    for line in (columns, *cells):
        lines.append(
            "  ".join(
                text.rjust(width) if i else text.ljust(width)
                for i, (text, width) in enumerate(zip(line, widths, strict=True))
            )
        )
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
