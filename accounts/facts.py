"""What apps above know of people and of what the audit trail names: they say it here at start.

This floor imports none of them, and its pages show it all the same.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

TEAMS: Final = "teams"
WORK: Final = "work"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something about a person: in words, with the page behind it."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class SubjectPage:
    """The page of a kind of row: a route, and for each of its arguments the field that fills it."""

    route: str
    fields: tuple[tuple[str, str], ...] = (("pk", "pk"),)

    @property
    def by_key(self) -> bool:
        """Whether the key alone leads there, so that no row need be read."""
        return all(field == "pk" for _, field in self.fields)


FactReader = Callable[[Collection[int]], dict[int, list[Fact]]]
"""Ids of people -> what there is to say of each; a fixed number of queries."""

_readers: dict[str, FactReader] = {}
_pages: dict[str, SubjectPage] = {}


def read_facts(kind: str, reader: FactReader) -> None:
    """Let `reader` answer what is asked of people under `kind` (call it in AppConfig.ready)."""
    _readers[kind] = reader


def facts_of(kind: str, user_ids: Collection[int]) -> dict[int, list[Fact]]:
    """What is known of these people under `kind`; nothing where no app has said how."""
    reader = _readers.get(kind)
    return reader(user_ids) if reader is not None and user_ids else {}


def name_pages(pages: dict[str, SubjectPage]) -> None:
    """Say where rows of these models (`app.model`) have their page (call it in AppConfig.ready)."""
    _pages.update(pages)


def page_of(object_type: str) -> SubjectPage | None:
    """Where rows of this model have their page."""
    return _pages.get(object_type)


def known_subjects() -> list[str]:
    """The models that have a page, by name."""
    return sorted(_pages)
