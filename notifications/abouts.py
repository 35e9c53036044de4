"""What news can be about: the app above that has these things says so at start.

This floor imports it not, and a route can name them all the same.
"""

from collections.abc import Callable, Mapping

NamesReader = Callable[[], Mapping[str, str]]
"""Gives short name -> name, in one query."""

_readers: list[NamesReader] = []


def read_names(reader: NamesReader) -> None:
    """Let `reader` say what news can be about (call it in AppConfig.ready)."""
    _readers.append(reader)


def names() -> dict[str, str]:
    """Short name -> name of all that news can be about, in the order of the names."""
    found = [pair for reader in _readers for pair in reader().items()]
    return dict(sorted(found, key=lambda pair: pair[1].casefold()))
