"""An audit entry's detail as people read it: what changed, from what to what, and the rest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

NOTHING: Final = "–"  # noqa: RUF001 - as elsewhere on the pages
PAIRS: Final = (("before", "after"), ("from", "to"))
ENDINGS: Final = ("_changed", "_set", "_saved")


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs."""

    field: str
    before: str
    after: str


def changes_of(action: str, detail: Mapping[str, Any]) -> list[Change]:
    """What changed, field by field; empty where the entry tells of no change.

    Two settings are compared field by field, however deep, and only what differs is told. Two
    values of one field have the name that the action gives it: `roles` of `user.roles_changed`.
    """
    whole = action.rpartition(".")[2]
    for ending in ENDINGS:
        whole = whole.removesuffix(ending)
    found = [
        Change(_words(*path) or _words(whole), shown(before), shown(after))
        for path, before, after in _pairs(detail)
    ]
    if "digest" in detail and "previous" in detail:
        found.append(Change("digest", shown(detail["previous"]), shown(detail["digest"])))
    return found


def facts_of(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of what the entry says beside its changes."""
    told = {name for pair in PAIRS if detail.keys() >= set(pair) for name in pair}
    if detail.keys() >= {"digest", "previous"}:
        told |= {"digest", "previous"}
    return [
        (_words(name), shown(value))
        for name, value in sorted(detail.items())
        if name not in told and not (isinstance(value, Mapping) and any(_pairs(value)))
    ]


def in_short(action: str, detail: Mapping[str, Any]) -> str:
    """All of it on one line."""
    parts = [f"{c.field}: {c.before} → {c.after}" for c in changes_of(action, detail)]
    return "; ".join([*parts, *(f"{name}: {value}" for name, value in facts_of(detail))])


def shown(value: Any) -> str:
    """A value as text: `yes`, `a, b`, `review: 0.9, block: never`."""
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(name)}: {shown(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(shown(part) for part in value)
    return str(value)


def _pairs(detail: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """(path, before, after) of every pair that differs, at any depth."""
    for first, second in PAIRS:
        if first in detail and second in detail:
            yield from _differing((), detail[first], detail[second])
    for name, value in detail.items():
        if isinstance(value, Mapping) and name not in {one for pair in PAIRS for one in pair}:
            for path, before, after in _pairs(value):
                yield (name, *path), before, after


def _differing(
    path: tuple[str, ...], before: Any, after: Any
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    sides = [{} if side is None else side for side in (before, after)]
    if not all(isinstance(side, Mapping) for side in sides) or not any(sides):
        if before != after:
            yield path, before, after
        return
    for name in sorted({*sides[0], *sides[1]}):
        yield from _differing((*path, name), sides[0].get(name), sides[1].get(name))


def _words(*names: str) -> str:
    return " ".join(names).replace("_", " ")
