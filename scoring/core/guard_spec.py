"""How closely a new champion is watched: `training.guard` of a declaration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scoring.core.reader import Reader


@dataclass(frozen=True, slots=True)
class GuardSpec:
    """What a new champion may do worse than the former one before it is rolled back by itself.

    `events`: judged from this many on. `latency`: factor on the 99th percentile; `degraded`: share
    more; `alert_rate`: factor by which more is flagged, `fewer_alerts`: by which less is;
    `precision`: share of right alerts less; `recall`: share of known fraud that is flagged less;
    `cost`: factor. `watch`: seconds after a promotion for which the guard looks; 0: the label delay
    and a week.
    """

    enabled: bool = True
    events: int = 500
    latency: float = 2.0
    degraded: float = 0.05
    alert_rate: float = 3.0
    fewer_alerts: float = 5.0
    precision: float = 0.2
    recall: float = 0.2
    cost: float = 1.5
    watch: float = 0.0


def read_guard(read: Reader, raw: Mapping[str, Any]) -> GuardSpec:
    """`training.guard`; its shape was checked."""
    given = dict(raw)
    for key in sorted(set(given) - set(GuardSpec.__dataclass_fields__)):
        hint = read.hint(str(key), GuardSpec.__dataclass_fields__)
        read.bad(f"training.guard.{key}", f"is not a setting{hint}")
        del given[key]
    if "watch" in given:
        given["watch"] = read.duration("training.guard.watch", given["watch"])
    for key in {"latency", "alert_rate", "fewer_alerts", "cost"} & set(given):
        if not given[key] >= 1.0:
            read.bad(f"training.guard.{key}", "is a factor of 1 or more")
    for key in {"degraded", "precision", "recall"} & set(given):
        if not 0.0 < given[key] <= 1.0:
            read.bad(f"training.guard.{key}", "is a share from 0 to 1")
    if not given.get("events", 1) >= 1:
        read.bad("training.guard.events", "is 1 or more")
    return GuardSpec(**given)
