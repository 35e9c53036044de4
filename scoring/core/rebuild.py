"""The vector of an event that is changed in thought, with everything that hangs on the change.

With the windows of then the vector is simply built anew. They are not kept for ever, so for an
entity without them the stored vector is corrected by what is known about each feature: a ratio to
the mean grows with its numerator, a sum that includes the event changes by the difference, windows
that leave the event out do not change. A field whose other features cannot be told that way may not
change.
"""

import math
from collections.abc import Collection
from typing import Final

from scoring.core.features import FeaturePlan, Windows
from scoring.core.transformations import AGAINST, FeatureSpec
from scoring.core.types import Event, Floats
from scoring.core.vectors import build
from scoring.core.windows import EntityWindow

PLAIN: Final = ("numeric", "category", "clock_sin", "clock_cos")
"""Kinds that a field of the event fills alone."""
ALONE: Final = ("sum", "mean", "min", "max")
"""What equals the event's own value where it is the only event of its window."""


class Rebuilder:
    """Builds vectors of changed versions of one event.

    `windows` are those that scoring read, of as many of the event's entities as are still known.
    `needed` names the features that matter to a decision; None: all of them.
    """

    def __init__(
        self,
        plan: FeaturePlan,
        event: Event,
        vector: Floats,
        windows: Windows,
        needed: Collection[str] | None = None,
    ) -> None:
        self.plan = plan
        self.event = event
        self.stored = vector
        empty = {
            (entity.key, event.keys[entity.key]): EntityWindow.empty(entity.width)
            for entity in plan.entities
            if entity.key in event.keys
        }
        self._lost = {key for key, _ in empty if (key, event.keys[key]) not in windows}
        self._windows = {**empty, **windows}
        self._needed = needed
        self._kept = [i for i, f in enumerate(plan.features) if f.entity in self._lost]
        self._by_field: dict[str, list[tuple[int, FeatureSpec]]] = {}
        for i, feature in enumerate(plan.features):
            if feature.kind != "calendar" and feature.field:
                self._by_field.setdefault(feature.field, []).append((i, feature))

    def touches(self, name: str) -> tuple[str, ...]:
        """Features that a change of the field can move."""
        return tuple(feature.name for _, feature in self._by_field.get(name, ()))

    def can_change(self, name: str) -> bool:
        """Whether every consequence of another value of the field that matters can be told."""
        return all(self._is_known(i, feature) for i, feature in self._by_field.get(name, ()))

    def vector(self, changed: Event) -> Floats:
        """The vector of `changed`, which differs from the event in changeable fields alone."""
        found = build(self.plan, changed, self._windows)
        for i in self._kept:
            feature = self.plan.features[i]
            found[i] = self._moved(i, feature, changed)
        return found

    def _is_known(self, i: int, feature: FeatureSpec) -> bool:
        if feature.entity not in self._lost or self._leaves_out(feature):
            return True
        if self._needed is not None and feature.name not in self._needed:
            return True
        now = self.event.fields.get(feature.field)
        if not isinstance(now, int | float):
            return False
        if feature.kind in ("deviation", "peak"):
            return False  # Neither the spread nor the largest value is stored.
        if feature.kind == "ratio":
            return now != 0 and not math.isnan(self.stored[i])
        return feature.kind == "sum" or self._is_alone(feature)

    def _leaves_out(self, feature: FeatureSpec) -> bool:
        """Whether the window never holds the event itself."""
        return (
            feature.kind not in AGAINST
            and bool(feature.entity)
            and (feature.offset > 0.0 or not feature.include_current)
        )

    def _is_alone(self, feature: FeatureSpec) -> bool:
        """Whether a stored count says that the event is the only one of the window."""
        return feature.kind in (*ALONE, "std", "distinct") and any(
            other.kind == "count"
            and (other.entity, other.window) == (feature.entity, feature.window)
            and other.offset == 0.0
            and other.include_current
            and self.stored[j] == 1.0
            for j, other in enumerate(self.plan.features)
        )

    def _moved(self, i: int, feature: FeatureSpec, changed: Event) -> float:
        """A feature of lost windows: as it was, corrected where its own field has changed."""
        stored = float(self.stored[i])
        was, now = self.event.fields.get(feature.field), changed.fields.get(feature.field)
        if was == now or self._leaves_out(feature):
            return stored
        if not isinstance(was, int | float) or not isinstance(now, int | float):
            return stored
        if feature.kind == "ratio":
            return now / (was / stored) if was and stored else stored
        if feature.kind == "sum":
            return stored - was + now
        return float(now) if feature.kind in ALONE and self._is_alone(feature) else stored
