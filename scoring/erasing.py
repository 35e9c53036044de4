"""Personal data taken out of what scoring has stored (docs/adr/0022).

No prediction goes and no number of it changes: values are taken out of its event, and the token of
its entity is replaced by one that nobody can compute from the value.
"""

import math
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Max, QuerySet

from accounts import vault
from scoring import deployment
from scoring.core.features import as_held
from scoring.core.reader import SpecError
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec
from scoring.core.windows import EntityWindow
from scoring.feature_store.base import Key
from scoring.feature_store.choosing import feature_store
from scoring.feature_store.database import lock_windows
from scoring.feature_store.history import clear, stand_in
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


def quiet_since(detector: Detector, moment: datetime, *, most: int) -> list[str]:
    """Tokens of the entities whose newest event was before `moment` and of whom personal data is
    left: those that have been quiet longest, at most so many. Reads an index of all predictions."""
    kept = Prediction.objects.filter(detector=detector, erased_at=None).exclude(entity="")
    newest = kept.order_by().values("entity").annotate(newest=Max("event_time"))
    quiet = newest.filter(newest__lt=moment).order_by("newest", "entity")
    return list(quiet.values_list("entity", flat=True)[:most])


def memory_of(detector: Detector) -> timedelta:
    """How long the windows of the bundle that serves remember the entity of an event."""
    bundle = deployment.serving_of(detector).bundle
    own = [one for one in bundle.plan.entities if one.key == bundle.spec.entity_field]
    return timedelta(seconds=max((one.horizon for one in own), default=0.0))


def orders_in_force(person: Person, now: datetime) -> int:
    """List entries and snoozes of theirs that stand."""
    found = standing(now)
    return person.list_entries.filter(found).count() + person.snoozes.filter(found).count()


@transaction.atomic
def erase_some(person: Person, fresh: str, *, now: datetime) -> int:
    """Take personal data out of at most BATCH events of theirs, which will have the token `fresh`;
    0 when none is left. Raises WindowStateError while the detector's windows are made anew.

    What the audit trail tells beside the old token (the moment, an entry's number, when a snooze
    ends) is not left on them: it would lead from the one to the other.
    """
    rows = list(person.predictions.filter(erased_at=None)[:BATCH])
    own, fields = person.spec.entity_field, _counting(person)
    values = {_said(row.event, person.spec, own) for row in rows} - {None}
    keys = {key for row in rows for key in _keys(person, row.event, fields)}
    _stand_in(person, values, keys, fresh)
    read = {f.name: f.field for f in person.spec.features}
    for row in rows:
        row.event = erased_event(row.event, person.fields)
        row.reasons = [_reason(reason, read, person.fields) for reason in row.reasons]
        row.rule_hits = [_rule_hit(hit, person.fields) for hit in row.rule_hits]
        row.list_hits = [{**hit, "entry_id": 0} for hit in row.list_hits]
        row.erased_at = now.replace(hour=0, minute=0, second=0, microsecond=0)
    Prediction.objects.bulk_update(rows, [*ERASES, "erased_at"])
    return len(rows)


def _counting(person: Person) -> dict[str, tuple[int, bool]]:
    """By key field, in which column its windows hold the entity's field (to count the users of a
    device), and whether as a code of the value."""
    found, own = {}, person.spec.entity_field
    for entity in deployment.serving_of(person.detector).bundle.plan.entities:
        if own in entity.columns:
            place = entity.columns.index(own)
            found[entity.key] = (1 + place, entity.coded[place])
    return found


def windows_beside(person: Person) -> set[Key]:
    """Windows of what their events shared that read the entity's field. One query."""
    fields = _counting(person)
    if not fields:
        return set()
    events = person.predictions.values_list("event", flat=True).iterator()
    return {key for event in events for key in _keys(person, event, fields)}


def _keys(person: Person, event: Mapping[str, Any], fields: Iterable[str]) -> list[Key]:
    said = {field: _said(event, person.spec, field) for field in fields}
    return [(f, vault.token(f, key_text(value))) for f, value in said.items() if value is not None]


def _stand_in(person: Person, values: Collection[Any], keys: Collection[Key], fresh: str) -> None:
    """In these windows the values, and what stood in for the old token where they were learnt anew,
    give way to a stand-in made from `fresh`: they hold them, or an unkeyed code of them. They count
    as many different ones as before."""
    if not keys:
        return
    # By the types of what serves, as windows are written: the declaration may have others by now.
    bundle, counting = deployment.serving_of(person.detector).bundle, _counting(person)
    old, new = stand_in(bundle.spec, person.token), stand_in(bundle.spec, fresh)
    windows = feature_store().load(person.detector.pk, bundle.plan, sorted(keys), lock=True)
    changed = {}
    for key, window in windows.items():
        column, coded = counting[key[0]]
        theirs = {as_held(value, coded=coded) for value in values if coded or _is_number(value)}
        rows = window.rows.copy()
        found = np.isin(rows[:, column], [*theirs, as_held(old, coded=coded)])
        rows[found, column] = as_held(new, coded=coded)
        if found.any():
            changed[key] = EntityWindow(rows)
    if changed:
        feature_store().save(person.detector.pk, bundle.plan, changed)


def _is_number(value: Any) -> bool:
    """Whether a window that holds numbers can hold it."""
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _said(event: Mapping[str, Any], spec: DetectorSpec, field: str) -> Any:
    """A field of a stored event in the clear; None where it had none."""
    return clear(event.get(field), spec.type_of(field))


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


def forget_token(person: Person, fresh: str, beside: Collection[Key]) -> int:
    """Give their predictions the token `fresh`, and drop their windows; how many predictions.

    In a transaction that holds still. List entries and snoozes, which have ended, get a token each
    of its own: the audit trail knows theirs, and must not lead to `fresh`. Windows `beside`
    theirs that were learnt anew meanwhile hold a stand-in made from the old token: that goes too.
    """
    _stand_in(person, (), beside, fresh)
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
    return person.predictions.exclude(erased_at=None).update(entity=fresh)


def fresh_token() -> str:
    """A token of nobody's: as long as the vault's, and drawn at random."""
    return secrets.token_hex(16)
