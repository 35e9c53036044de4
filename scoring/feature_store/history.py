"""Stored predictions as the events that they were, to learn windows from them again."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from accounts import vault
from scoring.core.features import EntityPlan, FeaturePlan, known_span
from scoring.core.field_checks import parse_time
from scoring.core.reader import NUMBERS
from scoring.core.spec import DetectorSpec
from scoring.core.types import Event
from scoring.core.windows import EntityWindow, prune
from scoring.feature_store.base import Key
from scoring.models import EntityEvent, Label

MOST_PARAMETERS = 10_000
TRUTHS = ("False", "True")
"""As the vault was given them."""
STAND_IN = 13
"""Hex digits of a token that a float holds as they are."""


def stored_event(
    spec: DetectorSpec,
    payload: Mapping[str, Any],
    event_time: datetime,
    names: Iterable[str],
    *,
    external_id: str = "",
    keys: Mapping[str, str] | None = None,
    known_fraud: tuple[float, float] | None = None,
) -> Event:
    """The fields `names` of a stored event in the clear; `keys` are tokens, as when scored.

    A field of which nothing is known any more (see `clear`) is missing. The offset from UTC is that
    of the event's own time.
    `known_fraud`: since and until when the event was known as fraud (`known_frauds`).
    """
    fields = {name: clear(payload[name], spec.type_of(name)) for name in names if name in payload}
    return Event(
        external_id=external_id,
        time=event_time.timestamp(),
        received=0.0,
        utc_offset=_offset(fields.get(spec.time_field, payload.get(spec.time_field))),
        amount=None,
        currency="",
        fields={name: value for name, value in fields.items() if value is not None},
        keys=dict(keys or {}),
        known_fraud=known_fraud,
    )


def said_of(spec: DetectorSpec, payload: Mapping[str, Any], entity: str) -> Mapping[str, Any]:
    """What a stored event said. Where who it was about is erased, a stand-in made from `entity`,
    its token now: the rows of one person stay one person to the windows of others."""
    own = spec.entity_field
    if own not in payload or payload[own] is not None:
        return payload
    return {**payload, own: stand_in(spec, entity)}


def stand_in(spec: DetectorSpec, entity: str) -> Any:
    """A value of the entity field's type that tells who was erased apart, and says nothing else."""
    if spec.type_of(spec.entity_field) in NUMBERS:
        return int(entity[:STAND_IN], 16)
    return entity


def _offset(said: object) -> float:
    """Seconds from UTC of a time as an event said it; 0 where it said none."""
    try:
        return parse_time(said)[1] if isinstance(said, str) else 0.0
    except ValueError:  # Another field held the time when it was declared otherwise.
        return 0.0


def known_frauds(predictions: Sequence[UUID]) -> dict[UUID, tuple[float, float]]:
    """Since and until when each of these was known as fraud, by their labels; others are left out.

    Seconds since 1970. Labels count in the order of their times, then of their recording. A label
    that was taken back counted until then: events in between were scored knowing it.
    """
    spans: dict[UUID, list[tuple[float, float, bool]]] = {}
    for first in range(0, len(predictions), MOST_PARAMETERS):
        labels = Label.history.filter(prediction__in=predictions[first : first + MOST_PARAMETERS])
        for pk, at, retracted_at, is_fraud in labels.order_by("label_time", "id").values_list(
            "prediction_id", "label_time", "retracted_at", "is_fraud"
        ):
            until = math.inf if retracted_at is None else retracted_at.timestamp()
            spans.setdefault(pk, []).append((at.timestamp(), until, is_fraud))
    found = {pk: known_span(_believed(labels)) for pk, labels in spans.items()}
    return {pk: span for pk, span in found.items() if not math.isnan(span[0])}


def _believed(labels: Sequence[tuple[float, float, bool]]) -> list[tuple[float, bool]]:
    """What was believed from when on: (time, is fraud) of (since, until, is fraud), in order."""
    if all(until == math.inf for _, until, _ in labels):
        return [(since, is_fraud) for since, _, is_fraud in labels]
    moments = sorted({t for since, until, _ in labels for t in (since, until) if t < math.inf})
    believed = []
    for now in moments:
        standing = [fraud for since, until, fraud in labels if since <= now < until]
        believed.append((now, bool(standing and standing[-1])))
    return believed


def clear(value: object, kind: str = "string") -> Any:
    """A stored value as it was received. `kind` is its type by the schema.

    None where it should be a number or a truth and is none: its key is lost, or it was declared
    otherwise then.
    """
    if not isinstance(value, str) or not vault.is_encrypted(value):
        return value
    try:
        return unsealed(value, kind)
    except (vault.VaultError, ValueError):
        # A client's own text that only looks like ours; one whose key is lost counts as it stands.
        return value if kind == "string" else None


def unsealed(sealed: str, kind: str) -> Any:
    """Personal data as it came: the vault keeps texts, `kind` says what they were.

    Raises VaultError, and ValueError where the text is none of the kind.
    """
    text = vault.decrypt(sealed)
    if kind == "boolean":
        return TRUTHS.index(text) == 1
    if kind == "integer" and text.lstrip("-").isdigit():
        return int(text)
    if kind not in NUMBERS:
        return text
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of an event")
    return number


def read_windows(
    detector_id: int, plan: FeaturePlan, keys: Sequence[Key]
) -> dict[Key, EntityWindow]:
    """Windows made anew from the events that `EntityEvent` names.

    Cost: two queries an entity, and its events inside the horizon.
    """
    plans = {entity.key: entity for entity in plan.entities}
    return {key: _read_window(detector_id, plan.spec, plans[key[0]], key) for key in keys}


def _read_window(
    detector_id: int, spec: DetectorSpec, entity: EntityPlan, key: Key
) -> EntityWindow:
    events = EntityEvent.objects.filter(detector_id=detector_id, key_field=key[0], token=key[1])
    newest = events.order_by("-event_time").values_list("event_time", flat=True).first()
    if newest is None:
        return EntityWindow.empty(entity.width)
    # At one instant the order of arrival counts: the entity's row was locked, so ids follow it.
    found = list(
        events.filter(event_time__gte=newest - timedelta(seconds=entity.horizon))
        .order_by("event_time", "id")
        .values_list(
            "prediction",
            "prediction__external_id",
            "event_time",
            "prediction__event",
            "prediction__entity",
        )
    )
    known = known_frauds([pk for pk, *_ in found]) if entity.risk_column else {}
    rows = [
        entity.values(
            stored_event(
                spec,
                said_of(spec, payload, who),
                at,
                entity.columns,
                external_id=external_id,
                known_fraud=known.get(pk),
            )
        )
        for pk, external_id, at, payload, who in found
    ]
    return EntityWindow(prune(np.array(rows), entity.horizon))


def moment(seconds: float) -> datetime:
    """A time of a window's row as the database knows it."""
    return datetime.fromtimestamp(seconds, UTC)
