"""An audit entry's detail as people read it: what changed, from what to what, and the rest."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

NOTHING: Final = "–"  # noqa: RUF001 - as elsewhere on the pages
PAIRS: Final = (("before", "after"), ("from", "to"), ("previous", "digest"))
ENDINGS: Final = ("_changed", "_set", "_saved")
NAMED: Final = {"schedule.task_changed": "timetable"}
"""What the two values of an action are of, where its name does not say so."""
LISTED: Final = frozenset({"model.move_thresholds", "retraining.policy_changed"})
"""Actions whose older entries tell each pair as a list of two."""
SPANS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
DIGEST: Final = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")
Pair = tuple[tuple[str, ...], Any, Any]


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
    return [
        Change(_words(*path) or _named(action), _told(path, before), _told(path, after))
        for pair in _read(action, detail)[0]
        for path, before, after in _differing(*pair)
    ]


def facts_of(action: str, detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of what the entry says beside its changes; two values that are equal are one
    fact."""
    pairs, rest = _read(action, detail)
    same = [(path, before) for path, before, after in pairs if before == after]
    told = [(_words(*path) or _named(action), _told(path, value)) for path, value in rest + same]
    return sorted(told, key=lambda one: one[0])


def in_short(action: str, detail: Mapping[str, Any]) -> str:
    """All of it on one line, digests by how they begin."""
    parts = [f"{c.field}: {c.before} → {c.after}" for c in changes_of(action, detail)]
    parts += [f"{name}: {value}" for name, value in facts_of(action, detail)]
    return DIGEST.sub(r"\1…", "; ".join(parts))


def shown(value: Any) -> str:
    """A value as text: `yes`, `a, b`, `review: 0.9, block: never`, `(mon, tue), wed`."""
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        parts = [
            (_words(name), _special(name, part) or _inner(part)) for name, part in value.items()
        ]
        return ", ".join(f"{name}: {words}" for name, words in parts)
    if isinstance(value, list):
        return ", ".join(_inner(part) for part in value)
    return str(value)


def _told(path: tuple[str, ...], value: Any) -> str:
    return _special(path[-1] if path else "", value) or shown(value)


def _special(name: str, value: Any) -> str:
    """What a value says that only its name makes clear; empty where there is no such thing."""
    read = READ.get(name)
    return read(value) if read is not None else ""


def _span(value: Any) -> str:
    """Seconds as `180 days`; 0 is no end."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    size, unit = next((one for one in SPANS if value >= one[0]), SPANS[-1])
    count = round(value / size, 2)
    return f"{count:,g} {unit}{'' if count == 1 else 's'}" if value else "never"


def _amounts(value: Any) -> str:
    """[currency, total, rate] of each currency as `138.86 USD at 0.92 and 5.00 EUR`."""
    if not isinstance(value, list) or not all(isinstance(p, list) and len(p) == 3 for p in value):
        return ""
    said = []
    for currency, total, rate in value:
        at = " without a rate" if rate is None else f" at {rate}" if rate != "1" else ""
        said.append(f"{total} {currency}".strip() + at)
    return " and ".join(said)


READ: Final[Mapping[str, Callable[[Any], str]]] = {"at_risk": _amounts, "review_after": _span}


def _inner(value: Any) -> str:
    """In brackets where its parts would be read as those of what it is in."""
    several = isinstance(value, Mapping | list) and len(value) > 1
    return f"({shown(value)})" if several else shown(value)


def _read(
    action: str, detail: Mapping[str, Any]
) -> tuple[list[Pair], list[tuple[tuple[str, ...], Any]]]:
    """(pairs, the rest): (path, before, after) and (path, value), at any depth."""
    if action in LISTED:
        detail = {
            name: {"before": value[0], "after": value[1]}
            if isinstance(value, list) and len(value) == 2
            else value
            for name, value in detail.items()
        }
    pairs: list[Pair] = []
    rest: list[tuple[tuple[str, ...], Any]] = []
    for path, before, after, is_pair in _walk((), detail):
        if is_pair:
            pairs.append((path, before, after))
        else:
            rest.append((path, after))
    return pairs, rest


def _walk(
    path: tuple[str, ...], detail: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], Any, Any, bool]]:
    """(path, before, after, True) of each pair, (path, None, value, False) of all else."""
    told: set[str] = set()
    for first, second in PAIRS:
        if first in detail and second in detail:
            place = (*path, second) if first == "previous" else path
            yield place, detail[first], detail[second], True
            told |= {first, second}
    for name, value in detail.items():
        if name in told:
            continue
        if isinstance(value, Mapping) and any(is_pair for *_, is_pair in _walk((), value)):
            yield from _walk((*path, name), value)
        else:
            yield (*path, name), None, value, False


def _differing(path: tuple[str, ...], before: Any, after: Any) -> Iterator[Pair]:
    sides = [{} if side is None else side for side in (before, after)]
    if not all(isinstance(side, Mapping) for side in sides) or not any(sides):
        if before != after:
            yield path, before, after
        return
    for name in sorted({*sides[0], *sides[1]}):
        yield from _differing((*path, name), sides[0].get(name), sides[1].get(name))


def _named(action: str) -> str:
    """What the two values of an action are of."""
    whole = action.rpartition(".")[2]
    for ending in ENDINGS:
        whole = whole.removesuffix(ending)
    return NAMED.get(action) or _words(whole)


def _words(*names: str) -> str:
    return " ".join(names).replace("_", " ")
