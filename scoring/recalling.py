"""The windows that a stored prediction was scored with, as far as they can still be had.

Windows are kept as they are now, so they are read back: later events are left out, and so is the
event itself. What was forgotten meanwhile is read from the stored predictions of the detector's own
entity. Nothing is taken on trust: an entity's windows count as those of then only if they give the
numbers that the stored vector holds.
"""

from datetime import timedelta
from itertools import chain

import numpy as np

from accounts.vault import VaultError
from scoring.core.bundle import Bundle
from scoring.core.features import EntityPlan
from scoring.core.schema import SchemaError
from scoring.core.types import Event
from scoring.core.vectors import build
from scoring.core.windows import EntityWindow, WindowStateError
from scoring.feature_store.base import Key
from scoring.feature_store.choosing import feature_store
from scoring.feature_store.history import known_frauds
from scoring.models import Prediction
from scoring.replaying import Snapshot, event_of

SAME = 1e-9
"""Largest relative difference between a stored number and the one that the windows give."""
MOST_READ = 1000
"""Stored events that are read for one entity; a page must not wait for more."""

Windows = dict[Key, EntityWindow]


def windows_of_then(row: Prediction, shot: Snapshot) -> Windows:
    """Windows by key, of those entities alone whose windows are surely those of then."""
    plan, event = shot.bundle.plan, shot.event
    empty = {
        (entity.key, event.keys[entity.key]): EntityWindow.empty(entity.width)
        for entity in plan.entities
        if entity.key in event.keys
    }
    try:
        kept = feature_store().load(row.detector_id, plan, list(empty), lock=False)
    except WindowStateError:
        kept = {}
    found: Windows = {}
    for entity in plan.entities:
        key = (entity.key, event.keys.get(entity.key, ""))
        if key not in empty:
            continue
        tries = chain(
            [_before(kept[key], entity, event)] if key in kept else [],
            _from_predictions(row, shot.bundle, entity, event),
        )
        for window in tries:
            if _gives(shot, entity, {**empty, key: window}):
                found[key] = window
                break
    return found


def _before(window: EntityWindow, entity: EntityPlan, event: Event) -> EntityWindow:
    """The window as it stood before it learnt the event."""
    own = entity.values(event)
    rows = window.rows[window.rows[:, 0] <= own[0]]
    # Labels come later and stand in the last columns: they do not tell which row is the event's.
    facts = slice(0, 1 + len(entity.columns))
    now, then = own[facts], rows[:, facts]
    same = ((then == now) | (np.isnan(then) & np.isnan(now))).all(axis=1)
    return EntityWindow(np.delete(rows, np.flatnonzero(same)[-1:], axis=0))


def _from_predictions(
    row: Prediction, bundle: Bundle, entity: EntityPlan, event: Event
) -> list[EntityWindow]:
    """The window of the detector's own entity, from its stored events (indexed by entity)."""
    if entity.key != bundle.spec.entity_field:
        return []
    past = (
        Prediction.objects.filter(
            entity=row.entity,
            detector_id=row.detector_id,
            event_time__lte=row.event_time,
            event_time__gte=row.event_time - timedelta(seconds=entity.reach),
            received_at__lte=row.received_at,
        )
        .exclude(pk=row.pk)
        .order_by("-event_time", "-id")
        .only("event", "event_time", "received_at", "external_id")[: MOST_READ + 1]
    )
    known = known_frauds([one.pk for one in past]) if entity.risk_column else {}
    try:
        rows = [
            entity.values(event_of(one, bundle.parser)._replace(known_fraud=known.get(one.pk)))
            for one in past
        ]
    except (SchemaError, VaultError, ValueError):
        return []
    if not rows or len(rows) > MOST_READ:
        return []
    return [EntityWindow(np.array(rows[::-1]))]


def _gives(shot: Snapshot, entity: EntityPlan, windows: Windows) -> bool:
    """Whether the windows give what the stored vector holds for this entity."""
    places = [i for i, f in enumerate(shot.bundle.spec.features) if f.entity == entity.key]
    again = build(shot.bundle.plan, shot.event, windows)[places]
    stored = shot.vector[places]
    return bool(np.isclose(again, stored, rtol=SAME, atol=SAME, equal_nan=True).all())
