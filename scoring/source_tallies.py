"""Whether a source lives: what came by it, counted as it comes, and read for its pages."""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import Error, connection, transaction
from django.db.models import F, Max, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from scoring.services import Outcome, Scored
from scoring.source_models import Source
from scoring.source_tally_models import SourceTally

if TYPE_CHECKING:  # What reads files is not needed where events come one by one.
    from scoring.importing import ImportReport

logger = logging.getLogger(__name__)
COUNTS = ("received", "scored", "refused")
SOON = 1.0
"""Seconds in which what requests brought is added up before it is written: all requests of a source
count in one row, and none of them is to wait for the others' commits."""
KEPT = timedelta(hours=25)
"""Older hours are added up in one row of each source, so that no page gets slower with them."""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""The hour of that row."""


@dataclass(frozen=True, slots=True)
class Came:
    """Events that came by a source. Those that are neither scored nor refused were there before."""

    received: int = 0
    scored: int = 0
    refused: int = 0

    @property
    def repeated(self) -> int:
        """Stored from before."""
        return max(self.received - self.scored - self.refused, 0)

    def __add__(self, other: "Came") -> "Came":
        return Came(*(getattr(self, name) + getattr(other, name) for name in COUNTS))


@dataclass(frozen=True, slots=True)
class Activity:
    """What came by a source: ever, in the last day and since the hour before this one began.

    `rate` is that of the latter, in events a minute.
    """

    ever: Came
    day: Came
    last_at: datetime | None
    rate: float

    @property
    def spans(self) -> list[tuple[str, Came]]:
        """As a page tells them."""
        return [("In 24 hours", self.day), ("In all", self.ever)]


def came_of(outcomes: Sequence[Outcome]) -> Came:
    """The count of events that were just asked for."""
    scored = [outcome for outcome in outcomes if isinstance(outcome, Scored)]
    new = sum(outcome.created for outcome in scored)
    return Came(len(outcomes), new, len(outcomes) - len(scored))


_gathered: dict[int, Came] = {}
_gathering = threading.Lock()


def note_soon(source: Source, came: Came) -> None:
    """Add to the counts of a source, within SOON; at once in the midst of a transaction."""
    if connection.in_atomic_block:
        note_came(source, came)
        return
    with _gathering:
        is_first = not _gathered
        _gathered[source.pk] = _gathered.get(source.pk, Came()) + came
    if is_first:
        timer = threading.Timer(SOON, _write_in_time)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # No thread is to be had.
            write_gathered()


def write_gathered() -> None:
    """What was noted and is not written yet."""
    with _gathering:
        gathered = dict(_gathered)
        _gathered.clear()
    for pk, came in gathered.items():
        _write(pk, came)


def _write_in_time() -> None:
    try:
        write_gathered()
    finally:
        connection.close()  # Of this thread, which ends.


def note_came(source: Source, came: Came) -> None:
    """Add to the counts of a source. What is scored stays scored where this fails."""
    _write(source.pk, came)


def _write(pk: int, came: Came) -> None:
    if not came.received:
        return
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    row = SourceTally.objects.filter(source_id=pk, hour=hour)
    try:
        with transaction.atomic():
            if not row.update(**_more(came), last_at=now):
                SourceTally.objects.bulk_create(
                    [SourceTally(source_id=pk, hour=hour, last_at=now)], ignore_conflicts=True
                )
                row.update(**_more(came), last_at=now)
                _add_up(pk, until=hour - KEPT)
    except Error:
        logger.warning("What came by source %d is not counted.", pk, exc_info=True)


def _more(came: Came) -> dict[str, F]:
    return {name: F(name) + getattr(came, name) for name in COUNTS}


def _add_up(pk: int, until: datetime) -> None:
    """Old hours of a source into the row of the BEGINNING."""
    old = list(
        SourceTally.objects.select_for_update().filter(
            source_id=pk, hour__gt=BEGINNING, hour__lte=until
        )
    )
    if not old:
        return
    last = max(row.last_at for row in old)
    first, _ = SourceTally.objects.get_or_create(
        source_id=pk, hour=BEGINNING, defaults={"last_at": last}
    )
    came = sum((Came(*(getattr(row, name) for name in COUNTS)) for row in old), Came())
    SourceTally.objects.filter(pk=first.pk).update(**_more(came), last_at=last)
    SourceTally.objects.filter(pk__in=[row.pk for row in old]).delete()


class FileCount:
    """Counts the rows of a file while it is imported, chunk by chunk."""

    def __init__(self, source: Source) -> None:
        self._source, self._before = source, Came()

    def note(self, done: int, report: "ImportReport") -> None:
        """As `importing.import_file` tells of its progress."""
        before, now = self._before, Came(done, report.scored, report.refused)
        self._before = now
        note_came(
            self._source,
            Came(
                now.received - before.received,
                now.scored - before.scored,
                now.refused - before.refused,
            ),
        )


def activities_of(sources: Iterable[Source]) -> dict[int, Activity]:
    """What came by each source, by its id; one query."""
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    day = Q(hour__gt=hour - timedelta(days=1))
    lately = Q(hour__gte=hour - timedelta(hours=1))
    found = {source.pk: Activity(Came(), Came(), None, 0.0) for source in sources}
    sums: dict[str, Any] = {f"ever_{name}": Sum(name) for name in COUNTS}
    sums |= {f"day_{name}": Coalesce(Sum(name, filter=day), 0) for name in COUNTS}
    sums |= {"lately": Coalesce(Sum("received", filter=lately), 0), "last": Max("last_at")}
    tallies = SourceTally.objects.filter(source__in=found).order_by()
    rows: Any = tallies.values("source").annotate(**sums)
    for row in rows:
        found[row["source"]] = Activity(
            ever=Came(*(row[f"ever_{name}"] for name in COUNTS)),
            day=Came(*(row[f"day_{name}"] for name in COUNTS)),
            last_at=row["last"],
            rate=row["lately"] / (60.0 + now.minute + now.second / 60.0),
        )
    return found
