"""Beat, on a clock that may be set back and a database that may be away.

Celery waits for the times that it wrote down. After a host's clock was ahead, by an hour or a year,
they lie in the future, in memory and in the database: no sweep would run until then. And it forgets
a last run that could not be written: what is rare would run again whenever the rows are read anew.
"""

import logging
import time
from datetime import datetime
from typing import Any

from celery.schedules import schedstate
from django.utils import timezone
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

logger = logging.getLogger(__name__)


class Entry(ModelEntry):
    """A row of the timetable. A last run that is still to come is taken for one of this moment."""

    last_run_at: datetime
    unwritten = False

    def save(self) -> None:
        """Write the last run down."""
        self.unwritten = True
        super().save()
        self.unwritten = False

    def is_due(self) -> schedstate:
        """(whether to run it, seconds until to ask again)."""
        now = self._default_now()
        if self.last_run_at > now:
            self.last_run_at = self.model.last_run_at = now
        return super().is_due()


class Scheduler(DatabaseScheduler):
    """The timetable of the database, ordered anew when the clock was set back. What could not be
    written is kept, and written when the database takes it."""

    Entry = Entry
    _ticked_at = 0.0

    def all_as_schedule(self) -> Any:
        """The rows by name. Times still to come are set right in the database too: it is read again
        and again, and each time a task would begin to wait anew."""
        now = timezone.now()
        self.Model.objects.filter(last_run_at__gt=now).update(last_run_at=now)
        before, found = self._schedule or {}, super().all_as_schedule()
        for name in self._dirty & before.keys() & found.keys():
            ran, entry = before[name].model, found[name]
            if entry.last_run_at < ran.last_run_at:
                entry.last_run_at = entry.model.last_run_at = ran.last_run_at
                entry.model.total_run_count = ran.total_run_count
        return found

    def sync(self) -> None:
        """Write down what ran; what the database does not take comes again with the next."""
        waiting = frozenset(self._dirty)
        super().sync()
        known = self._schedule or {}
        self._dirty |= {name for name in waiting & known.keys() if known[name].unwritten}

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Send one task. Where that fails, be it for a broker that is away or a full disk, the log
        has a line and no traceback: it comes again with every task."""
        logger.info("Scheduler: Sending due task %s (%s)", entry.name, entry.task)
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except Exception as problem:  # Each transport raises what its client library raises.
            logger.error("Task %s was not sent: %s", entry.task, problem)

    def tick(self) -> float:
        """Send what is due; seconds until to ask again."""
        now = time.time()
        if now < self._ticked_at:
            self._heap = None
            self._initial_read = True  # The times of its own reads are wrong too.
        self._ticked_at = now
        return float(super().tick())
