"""Labels as analysts give them, and take them back: who would have to wait for long is told.

A detector's windows may be made anew at that moment, which takes minutes where there is much
history. Pages do not wait for that: they refuse, and the caller's transaction keeps nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from accounts.models import User
from cases.workflow import Disposition, MoveRefused
from scoring.feature_store.base import WindowsBusy
from scoring.labelling import record_label, retract_labels
from scoring.models import Label, Prediction
from scoring.services import PATIENCE

BUSY = (
    "The windows of this detector are being made anew, which a label would have to wait for."
    " Nothing was changed: try again in a few minutes."
)


class Busy(MoveRefused):
    """It would have to wait for windows that are made anew: so would all of that detector."""

    short = "its detector's windows are being made anew"

    def __init__(self) -> None:
        super().__init__(BUSY)


def give_labels(
    predictions: Iterable[Prediction],
    found: Disposition,
    *,
    author: User | None,
    reason_code: str,
    now: datetime,
    notes: str = "",
    sure: float = 1.0,
) -> None:
    """Say of each that it is fraud, or is none; in the caller's transaction. Raises Busy."""
    try:
        for prediction in predictions:
            record_label(
                prediction,
                is_fraud=found is Disposition.FRAUD,
                source=Label.Source.ANALYST,
                label_time=now,
                author=author,
                reason_code=reason_code,
                confidence=sure,
                notes=notes,
                patience=PATIENCE,
            )
    except WindowsBusy as error:
        raise Busy from error


def take_labels_back(
    predictions: Sequence[UUID], *, author: User, label_time: datetime, actor: User
) -> int:
    """What `author` said at `label_time` counts no more; how many that were. Raises Busy."""
    try:
        return retract_labels(
            predictions, author=author, label_time=label_time, actor=actor, patience=PATIENCE
        )
    except WindowsBusy as error:
        raise Busy from error
