"""What somebody read before they changed it: a form that lay open must not undo what came since."""

import hashlib
from typing import Any

from django.db.models import Model

from cases.workflow import MoveRefused


class ChangedSince(MoveRefused):
    """Somebody else changed the row since the form was opened."""


def mark_of(row: Model, *more: Any, but: str = "") -> str:
    """A short mark of a row as it is stored, and of `more` that its form shows: another after every
    change, `but` one of the column that the platform itself writes. Empty for a row that is not
    stored yet."""
    if row.pk is None:
        return ""
    names = [field.attname for field in row._meta.concrete_fields]
    values = [getattr(row, name) for name in names if name != but]
    return hashlib.blake2b(repr([values, *more]).encode(), digest_size=8).hexdigest()


def check_as_read(now: str, read: str | None) -> None:
    """Raises ChangedSince where the mark is another than was read; None: whoever asks read none."""
    if read is not None and read != now:
        raise ChangedSince("Somebody changed this since you opened the page.")
