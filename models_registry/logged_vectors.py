"""Vectors as they were logged, read under today's declaration.

A feature that was not declared yet when an event was scored is computed from stored events, read
again in the order of time: the same windows, the same labels as they were known then.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from scoring.core.bundle import BundleError
from scoring.core.features import FeaturePlan
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec
from scoring.core.types import Event
from scoring.core.vectors import build_many
from scoring.core.windows import EntityWindow
from scoring.deployment import RULES_ONLY, loaded
from scoring.feature_store.history import known_frauds, said_of, stored_event
from scoring.models import Detector, Prediction

CHUNK = 5000
FloatArray = NDArray[np.float64]


class Stored(NamedTuple):
    """What is read of a prediction; the last only where events are replayed."""

    id: UUID
    vector: bytes
    bundle_digest: str
    event_time: datetime
    exposure: Decimal | None
    currency: str
    entity: str
    selection_reason: str
    propensity: float
    external_id: str
    event: Mapping[str, Any] = {}


ABSENT = -1
NEW_FEATURES = "features were declared or changed since"
NO_BUNDLE = "the bundle that logged them cannot be read any more"
STOOD_IN = "scored by the rules alone while no bundle could be read"


class Layout(NamedTuple):
    """Where the wanted features lie in vectors logged under one bundle; `why` where some do not."""

    places: NDArray[np.intp]
    why: str


def layouts_of(detector: Detector, spec: DetectorSpec) -> dict[str, Layout]:
    """By digest of a bundle under which vectors were logged: where the features lie in them.

    ABSENT where the bundle lacks a feature or computed it otherwise, or cannot be read any more.
    """
    wanted = [feature.raw for feature in spec.features]
    found = {}
    rows = Prediction.objects.filter(detector=detector).order_by()
    for digest in rows.values_list("bundle_digest", flat=True).distinct():
        why = STOOD_IN if digest == RULES_ONLY else NEW_FEATURES
        try:
            logged = () if digest == RULES_ONLY else loaded(digest).plan.features
        except BundleError:
            # Without its bundle nobody can say what the vector's numbers mean.
            logged, why = (), NO_BUNDLE
        places = {feature.raw: i for i, feature in enumerate(logged)}
        layout = np.array([places.get(feature, ABSENT) for feature in wanted], np.intp)
        found[digest] = Layout(layout, why if (layout == ABSENT).any() else "")
    return found


class Replay:
    """Vectors of stored events under today's declaration; to be asked in event-time order.

    An event that arrived late stands at its own time: younger events that were scored before it
    came see it here, and did not see it then.
    """

    def __init__(self, spec: DetectorSpec) -> None:
        self.spec = spec
        self.plan = FeaturePlan(self.spec)
        self.widths = {entity.key: entity.width for entity in self.plan.entities}
        self.windows: dict[tuple[str, str], EntityWindow] = {}

    def vectors(self, chunk: Sequence[Stored]) -> FloatArray:
        """float64[len(chunk), k]; the windows learn the chunk."""
        learns = self.plan.learns_labels
        known = known_frauds([row.id for row in chunk]) if learns else {}
        events = [self._event(row, known.get(row.id)) for row in chunk]
        for key in {key for event in events for key in self.plan.keys(event)}:
            if key not in self.windows:
                self.windows[key] = EntityWindow.empty(self.widths[key[0]])
        return build_many(self.plan, events, self.windows)

    def _event(self, row: Stored, known_fraud: tuple[float, float] | None) -> Event:
        said = said_of(self.spec, row.event, row.entity)
        event = stored_event(
            self.spec, said, row.event_time, said, external_id=row.external_id,
            known_fraud=known_fraud,
        )  # fmt: skip
        keys = {
            name: key_text(event.fields[name])
            for name in self.spec.entity_fields
            if name in event.fields
        }
        return event._replace(keys=keys)


def in_chunks(predictions: "QuerySet[Prediction]", *, whole: bool) -> Iterator[list[Stored]]:
    """Stored predictions, oldest first; `whole` with what a replay needs."""
    fields = Stored._fields if whole else Stored._fields[:-1]
    rows = predictions.order_by("event_time", "id").values_list(*fields)
    found = (Stored(*row) for row in rows.iterator(chunk_size=CHUNK))
    while chunk := list(islice(found, CHUNK)):
        yield chunk


def picked(row: Stored, layout: NDArray[np.intp], built: FloatArray | None) -> FloatArray:
    """Today's features of one event: as logged, and as built where they were not logged."""
    logged = np.frombuffer(row.vector, "<f8")
    if built is None:
        return logged[layout]
    there = layout != ABSENT
    built[there] = logged[layout[there]]
    return built


def laid_out(
    detector: Detector, spec: DetectorSpec, predictions: "QuerySet[Prediction]"
) -> Iterator[list[tuple[Stored, Layout, FloatArray | None]]]:
    """Stored predictions, oldest first: where the features of `spec` lie in each one's vector, and
    all of them computed again, where any event needs that."""
    layouts = layouts_of(detector, spec)
    lacking = any(layout.why for layout in layouts.values())
    replay = Replay(spec) if lacking else None
    for chunk in in_chunks(predictions, whole=lacking):
        built = None if replay is None else replay.vectors(chunk)
        yield [
            (row, layouts[row.bundle_digest], None if built is None else built[i])
            for i, row in enumerate(chunk)
        ]
