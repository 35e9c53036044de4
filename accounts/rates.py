"""Rate limits as text: `100/min,1000/h` or `none`."""

import re
from dataclasses import dataclass
from functools import lru_cache

DEFAULT_RATE = "100/min,1000/h"
NO_LIMIT = "none"

_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
_PART = re.compile(r"(\d{1,7})/([a-z]+)")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` requests in any `seconds` seconds."""

    count: int
    seconds: int


@lru_cache(maxsize=256)
def parse_rate(text: str) -> tuple[Limit, ...]:
    """The limits that `text` names, `none` naming no limit. Raises a readable `ValueError`."""
    if text.strip() == NO_LIMIT:
        return ()
    limits = []
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None or found[2] not in _SECONDS or int(found[1]) == 0:
            raise ValueError(
                f"'{text}' is no rate. Write for example {DEFAULT_RATE} (s, min, h, d) or none."
            )
        limits.append(Limit(count=int(found[1]), seconds=_SECONDS[found[2]]))
    return tuple(limits)
