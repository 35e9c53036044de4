"""Personal data taken out of what scoring has stored (docs/adr/0022).

No prediction goes and no number of it changes: values are taken out of its event, and the token of
its entity is replaced by one that nobody can compute from the value.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from accounts import vault
from scoring.core.reader import SpecError
from scoring.core.spec import DetectorSpec
from scoring.feature_store.database import lock_windows
from scoring.models import Detector, EntityEvent, EntityState, Prediction
from scoring.policies import lock, standing
from scoring.policy_models import ListEntry, Snooze

BATCH = 200
"""Predictions of one short transaction."""
ERASED = "erased"
ERASES = ("event", "reasons", "rule_hits", "list_hits")
DAY, MIDNIGHT = len("2026-11-28"), "T00:00:00+00:00"


class ErasureRefused(ValueError):
    """Nothing is erased; the message says why."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose data it is: the entity of a detector, by its keyed token."""

    detector: Detector
    spec: DetectorSpec
    token: str

    @property
    def fields(self) -> frozenset[str]:
        """What is taken out of events: personal data as declared, and what names the person."""
        return self.spec.pii_fields | {self.spec.entity_field}

    @property
    def predictions(self) -> QuerySet[Prediction]:
        """All that is stored of their events."""
        return Prediction.objects.filter(detector=self.detector, entity=self.token).order_by("pk")

    @property
    def windows(self) -> QuerySet[EntityState]:
        """Their windows: those of the entity alone, not those of what their events shared."""
        return EntityState.objects.filter(
            detector=self.detector, key_field=self.spec.entity_field, token=self.token
        )

    @property
    def list_entries(self) -> QuerySet[ListEntry]:
        """What stands, or stood, on a list with their value."""
        return ListEntry.objects.filter(
            detector=self.detector, field=self.spec.entity_field, token=self.token
        )

    @property
    def snoozes(self) -> QuerySet[Snooze]:
        """Rules that do not, or did not, count for them."""
        return Snooze.objects.filter(rule__detector=self.detector, token=self.token)


def person_named(detector: Detector, field: str, value: str) -> Person:
    """The entity that events name by `value` in `field`. Raises ErasureRefused."""
    spec = _spec(detector)
    if field != spec.entity_field:
        raise ErasureRefused(f"'{detector.slug}' groups its events by {spec.entity_field}.")
    return Person(detector, spec, vault.token(field, value))


def person_of(detector: Detector, token: str) -> Person:
    """The entity of that token. Raises ErasureRefused."""
    return Person(detector, _spec(detector), token)


def _spec(detector: Detector) -> DetectorSpec:
    try:
        spec = detector.spec()
    except SpecError as error:
        raise ErasureRefused(f"The declaration of {detector} cannot be read.") from error
    if not spec.entity_field:
        raise ErasureRefused(f"{detector} names nobody: its events have no entity.")
    return spec


def orders_in_force(person: Person, now: datetime) -> int:
    """List entries and snoozes of theirs that stand."""
    found = standing(now)
    return person.list_entries.filter(found).count() + person.snoozes.filter(found).count()


@transaction.atomic
def erase_some(person: Person, *, now: datetime) -> int:
    """Take personal data out of at most BATCH events of theirs; 0 when none is left.

    What the audit trail tells beside the old token (the moment, an entry's number, when a snooze
    ends) is not left on them: it would lead from the one to the other.
    """
    rows = list(person.predictions.filter(erased_at=None)[:BATCH])
    read = {f.name: f.field for f in person.spec.features}
    for row in rows:
        row.event = erased_event(row.event, person.fields)
        row.reasons = [_reason(reason, read, person.fields) for reason in row.reasons]
        row.rule_hits = [_rule_hit(hit, person.fields) for hit in row.rule_hits]
        row.list_hits = [{**hit, "entry_id": 0} for hit in row.list_hits]
        row.erased_at = now.replace(hour=0, minute=0, second=0, microsecond=0)
    Prediction.objects.bulk_update(rows, [*ERASES, "erased_at"])
    return len(rows)


def erased_event(event: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """The event without the values of `fields`, and without what an earlier declaration sealed."""
    return {
        name: None if name in fields or vault.is_encrypted(str(value)) else value
        for name, value in event.items()
    }


def _reason(
    reason: Mapping[str, Any], read: Mapping[str, str], fields: Collection[str]
) -> dict[str, Any]:
    """A reason without the text that it read: only what names an entity in clear is told so."""
    if read.get(str(reason.get("feature"))) not in fields or not isinstance(reason["value"], str):
        return dict(reason)
    return {**reason, "value": None, "text": ERASED}


def _rule_hit(hit: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    values = {
        name: None if name in fields else value for name, value in hit.get("values", {}).items()
    }
    snoozed = hit.get("snoozed")
    return {**hit, "values": values} | ({"snoozed": snoozed[:DAY] + MIDNIGHT} if snoozed else {})


def hold_still(person: Person) -> None:
    """Keep the detector's scoring, its lists and its snoozes as they are, until the end of the
    caller's transaction: an event of the person is stored by now, or comes when all is done."""
    lock_windows(person.detector.pk)
    lock(person.detector.pk)


def forget_token(person: Person, fresh: str) -> int:
    """Give their predictions the token `fresh`, and drop their windows; how many predictions.

    In a transaction that holds still. List entries and snoozes, which have ended, get a token each
    of its own: the audit trail knows theirs, and must not lead to `fresh`.
    """
    for row in person.list_entries:
        row.token, row.shown = fresh_token(), ""
        row.save(update_fields=["token", "shown"])
    for snooze in person.snoozes:
        snooze.token, snooze.shown = fresh_token(), ""
        snooze.save(update_fields=["token", "shown"])
    EntityEvent.objects.filter(
        prediction__in=person.predictions.order_by(), key_field__in=person.fields
    ).delete()
    person.windows.delete()
    return person.predictions.update(entity=fresh)


def fresh_token() -> str:
    """A token of nobody's: as long as the vault's, and drawn at random."""
    return secrets.token_hex(16)
