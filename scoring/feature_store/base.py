"""Where window state lives between events. One protocol; the stores share one conformance suite."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from scoring.core.features import FeaturePlan
from scoring.core.windows import EntityWindow, WindowStateError
from scoring.postgres import Trip

Key = tuple[str, str]
"""(entity field, keyed token of the entity)."""


Asked = Callable[[], dict[Key, EntityWindow]]


class WindowsBusy(WindowStateError):
    """The detector's windows are being made anew: whoever teaches them has to wait for that."""

    def __init__(self) -> None:
        super().__init__("The windows of this detector are being made anew. Try again shortly.")


class Learnt(NamedTuple):
    """One stored event that a window learnt: where to find it again."""

    key: Key
    event_time: datetime
    prediction_id: UUID


class FeatureStore(Protocol):
    """Load and save the windows of entities, inside the caller's transaction.

    `load` with `lock` holds each returned window against other writers until the transaction ends,
    so that what is saved was computed from what is stored. What is rolled back is not kept.
    While the detector's windows are made anew it raises WindowsBusy instead of waiting: others
    share the caller's transaction. See `database.wait_for_windows`.
    """

    def load(
        self, detector_id: int, plan: FeaturePlan, keys: Sequence[Key], *, lock: bool
    ) -> dict[Key, EntityWindow]:
        """A window for every key; an entity not seen before has an empty one."""

    def ask(
        self,
        detector_id: int,
        plan: FeaturePlan,
        keys: Sequence[Key],
        *,
        lock: bool,
        trip: Trip | None = None,
    ) -> Asked:
        """As `load`, on a trip that others share: call what it returns when the trip is over."""

    def save(
        self,
        detector_id: int,
        plan: FeaturePlan,
        windows: Mapping[Key, EntityWindow],
        learnt: Sequence[Learnt] = (),
        trip: Trip | None = None,
    ) -> None:
        """Store windows that were loaded with `lock`; to teach them more, load them again.

        `learnt` are the events that were taught since, in the order of teaching; their predictions
        are written already. A store that can lose windows reads these events again.
        """

    def forget(self, detector_id: int) -> None:
        """Drop all windows of a detector; the caller keeps scoring away until it commits."""
