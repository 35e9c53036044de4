"""What the help drawer of a page holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageHelp:
    """`purpose` in one or two sentences; `points`: what can be done there, and how to read it."""

    purpose: str
    points: tuple[str, ...] = ()
