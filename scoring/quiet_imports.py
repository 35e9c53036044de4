"""Let an import of history open no alerts: it is noted before the first event is stored, so that
the sweep, which finds every flagged event without an alert, finds none of these."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from accounts.argument_types import whole
from scoring.import_models import QuietImport
from scoring.models import Detector

AHEAD: Final = timedelta(hours=1)
"""So far the note runs ahead of an import; a process that was killed leaves it so."""
MOST_DAYS: Final = 36_500
KEPT: Final = timedelta(days=60)
"""Longer than any sweep reaches back."""


@contextmanager
def without_alerts(detector: Detector, before: datetime | None) -> Iterator[Callable[[], None]]:
    """What of the detector comes within the block, and happened before that, opens no alert; None:
    everything does, as always. The block calls what it is given from time to time."""
    if before is None:
        yield lambda: None
        return
    now = timezone.now()
    QuietImport.objects.filter(ends_at__lt=now - KEPT).delete()
    row = QuietImport.objects.create(
        detector=detector, began_at=now, ends_at=now + AHEAD, events_before=before
    )
    rows = QuietImport.objects.filter(pk=row.pk)
    try:
        yield lambda: _run_to(rows, timezone.now() + AHEAD)
    finally:
        with suppress(DatabaseError):  # It ends by itself.
            _run_to(rows, timezone.now())


def _run_to(rows: "QuerySet[QuietImport]", end: datetime) -> None:
    rows.update(ends_at=end)


def add_alert_days(parser: ArgumentParser) -> None:
    """The option of a command that imports."""
    parser.add_argument(
        "--alert-days",
        type=whole(0, MOST_DAYS),
        metavar="N",
        help="Open alerts only for events of the last N days, 0: for none; "
        "default: for all that are flagged and have no label, however old.",
    )


def alerts_from_days(days: int | None) -> datetime | None:
    """The moment that `--alert-days` means; None where it was not given."""
    return None if days is None else timezone.now() - timedelta(days=days)
