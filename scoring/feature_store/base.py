"""Where window state lives between events. One protocol; the stores share one conformance suite."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from scoring.core.features import FeaturePlan
from scoring.core.windows import EntityWindow

Key = tuple[str, str]
"""(entity field, keyed token of the entity)."""


class FeatureStore(Protocol):
    """Load and save the windows of entities, inside the caller's transaction.

    `load` with `lock` holds each returned window against other writers until the transaction ends,
    so that what is saved was computed from what is stored.
    """

    def load(
        self, detector_id: int, plan: FeaturePlan, keys: Sequence[Key], *, lock: bool
    ) -> dict[Key, EntityWindow]:
        """A window for every key; an entity not seen before has an empty one."""

    def save(
        self, detector_id: int, plan: FeaturePlan, windows: Mapping[Key, EntityWindow]
    ) -> None:
        """Store the windows whole."""
