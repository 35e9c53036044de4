"""Types of the commands' arguments: what does not fit is refused in a sentence, not a traceback."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import date, datetime

from accounts.typed import parse_day, parse_moment


def whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""

    def read(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = least - 1
        if not least <= found <= most:
            raise ArgumentTypeError(f"'{text}' is no whole number from {least:,} to {most:,}.")
        return found

    return read


def number(least: float, most: float, *, above: bool = False) -> Callable[[str], float]:
    """A number from `least` (above it, if so wanted) to `most`."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not least <= found <= most or (above and found == least):
            since = f"above {least:,g}, at most" if above else f"from {least:,g} to"
            raise ArgumentTypeError(f"'{text}' is no number {since} {most:,g}.")
        return found

    return read


def day(text: str) -> date:
    """A day such as 2026-01-31."""
    found = parse_day(text)
    if found is None:
        raise ArgumentTypeError(f"'{text}' is no day such as 2026-01-31.")
    return found


def moment(text: str) -> datetime:
    """An aware moment; without an offset it is UTC, and a day is its beginning."""
    for form in ("{}", "{}Z", "{}T00:00:00Z"):
        found = parse_moment(form.format(text))
        if found is not None:
            return found
    raise ArgumentTypeError(f"'{text}' is no time such as 2026-11-01T08:00Z.")
