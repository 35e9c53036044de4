"""What JSON can write and no event, column or reader of ours can hold: endless nesting, numbers
that are none, the character U+0000. Places are dotted paths, such as `events.0.amount`."""

import math
from collections.abc import Iterator
from typing import Any

DEEPEST = 64
"""Levels of objects and lists. Far more than any body needs, and far fewer than a recursion over
it (a copy, a serializer, a schema) can bear."""
HOLDERS = frozenset((dict, list))


def is_too_deep(body: bytes, data: Any) -> bool:
    """Whether `data`, the values of the JSON `body`, has more than DEEPEST levels."""
    # What has few brackets cannot be deep, and nearly every body has few: nothing is walked then.
    return body.count(b"[") + body.count(b"{") > DEEPEST and _is_deep(data)


def _is_deep(data: Any) -> bool:
    level = [data] if type(data) in HOLDERS else []
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            values = item.values() if type(item) is dict else item
            if not HOLDERS.isdisjoint(map(type, values)):
                below += [value for value in values if type(value) in HOLDERS]
        if not below:
            return False
        level = below
    return True


def without_value(data: Any) -> Iterator[str]:
    """Places of the numbers that are none: NaN and the infinities."""
    for path, item in _walk(data):
        if isinstance(item, float) and not math.isfinite(item):
            yield path


def with_nul(data: Any) -> Iterator[str]:
    """Places of the texts with a NUL, and of the objects with one in a name."""
    for path, item in _walk(data):
        if isinstance(item, str):
            if "\0" in item:
                yield path
        elif isinstance(item, dict) and any("\0" in str(name) for name in item):
            yield path


def _walk(data: Any) -> Iterator[tuple[str, Any]]:
    """Every value with its place, what stands first first."""
    waiting = [("", data)]
    while waiting:
        path, item = waiting.pop()
        yield path, item
        if isinstance(item, dict):
            below = [(join(path, str(name).replace("\0", "")), x) for name, x in item.items()]
        elif isinstance(item, list):
            below = [(join(path, i), x) for i, x in enumerate(item)]
        else:
            continue
        waiting += reversed(below)


def join(path: str, name: object) -> str:
    """The place of `name` within `path`."""
    return f"{path}.{name}" if path else str(name)
