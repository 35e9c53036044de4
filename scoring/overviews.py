"""What is in force over all detectors: rules, lists, snoozes, and sanctions lists."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count

from scoring.core.reader import SpecError
from scoring.core.spec import DetectorSpec
from scoring.core.types import Stage
from scoring.models import Detector
from scoring.policies import standing
from scoring.policy_models import ListEntry, RuleVersion, Snooze, Watchlist
from scoring.shortfalls import is_stale
from scoring.watchlist_files import TITLES


@dataclass(frozen=True, slots=True)
class Governed:
    """How many rules and standing orders a detector has; `spec` is None where it is broken."""

    detector: Detector
    spec: DetectorSpec | None
    stages: dict[str, int] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)
    snoozes: int = 0


def governed_detectors(now: datetime) -> list[Governed]:
    """Every detector with its counts, by name; four queries whatever there is."""
    rows = {
        detector.pk: Governed(detector, _spec(detector))
        for detector in Detector.objects.order_by("name")
    }
    orders = ListEntry.objects.filter(standing(now)).order_by()
    snoozes = Snooze.objects.filter(standing(now)).order_by()
    versions = RuleVersion.objects.exclude(stage=Stage.RETIRED).order_by()
    stages = versions.values_list("rule__detector_id", "stage").annotate(n=Count("pk"))
    for pk, stage, count in stages:
        rows[pk].stages[stage] = count
    for pk, kind, count in orders.values_list("detector_id", "kind").annotate(n=Count("pk")):
        rows[pk].listed[kind] = count
    asleep = dict(snoozes.values_list("rule__detector_id").annotate(n=Count("pk")))
    return [
        Governed(row.detector, row.spec, row.stages, row.listed, asleep.get(pk, 0))
        for pk, row in rows.items()
    ]


def _spec(detector: Detector) -> DetectorSpec | None:
    try:
        return detector.spec()
    except SpecError:
        return None


@dataclass(frozen=True, slots=True)
class ListInForce:
    """A sanctions list; `reading` is None when it was never synchronised, `users` screen by it."""

    name: str
    title: str
    reading: Watchlist | None
    stale: bool
    users: Sequence[Detector]


def lists_in_force(now: datetime) -> list[ListInForce]:
    """The lists that are known or declared, by name; two queries."""
    readings = {row.name: row for row in Watchlist.objects.filter(active=True).defer("content")}
    users = _users(Detector.objects.order_by("name"))
    return [
        ListInForce(
            name=name,
            title=found.title if (found := readings.get(name)) else TITLES.get(name, name),
            reading=found,
            stale=found is not None and is_stale(found.synced_at, now),
            users=users.get(name, []),
        )
        for name in sorted({*TITLES, *readings, *users})
    ]


def _users(detectors: Iterable[Detector]) -> dict[str, list[Detector]]:
    """Detectors by the name of each list that they screen by."""
    found: dict[str, list[Detector]] = {}
    for detector in detectors:
        spec = _spec(detector)
        for name in spec.screening.lists if spec and spec.screening else ():
            found.setdefault(name, []).append(detector)
    return found
