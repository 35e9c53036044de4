"""Record labels: ground truth, never overwritten. Windows that count known fraud learn it.

A label counts for the events that come after its `label_time`, in event time: an earlier event that
arrives later does not see it (`scoring.core.features.known_span`).
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import vault
from accounts.models import User
from scoring import deployment, postgres, writer
from scoring.core.features import FeaturePlan
from scoring.core.schema import key_text
from scoring.core.vectors import teach_label
from scoring.core.windows import WindowStateError
from scoring.feature_store.base import Key, WindowsBusy
from scoring.feature_store.choosing import feature_store
from scoring.feature_store.database import wait_for_windows
from scoring.feature_store.history import clear, known_frauds
from scoring.models import Detector, Label, Prediction

logger = logging.getLogger(__name__)
ATTEMPTS = 2
CHUNK = 2000
TRUTHS = 0x74727468
"""The first of the two numbers of the lock of who records truths; the other is the detector's."""
TAKE_TURN = f"SELECT pg_advisory_xact_lock({TRUTHS}, %s::int)"


class Recorded(NamedTuple):
    """How many labels were `added`; `corrected` of them say the opposite of an earlier one."""

    added: int
    corrected: int


def record_label(
    prediction: Prediction,
    *,
    is_fraud: bool,
    source: str,
    label_time: datetime | None = None,
    author: User | None = None,
    reason_code: str = "",
    confidence: float = 1.0,
    notes: str = "",
    patience: float = 0.0,
) -> Label:
    """Add ground truth to a prediction; earlier labels stay as history.

    `patience`: seconds for which it waits for windows that are being made anew, 0: as long as it
    takes. Then it raises WindowsBusy, and there is no label.
    """
    with transaction.atomic():
        label = Label.objects.create(
            prediction=prediction,
            detector_id=prediction.detector_id,
            is_fraud=is_fraud,
            event_time=prediction.event_time,
            label_time=label_time or timezone.now(),
            source=source,
            author=author,
            reason_code=reason_code,
            confidence=confidence,
            notes=notes,
        )
        _teach(prediction.detector_id, [prediction.pk], patience=patience)
    return label


def record_truths(
    detector_id: int, truths: Mapping[str, tuple[bool, datetime]], *, source: str
) -> Recorded:
    """Label many predictions by external id: {id: (is fraud, when that became known)}.

    Where the newest label of this source says the same none is added, so it may run twice, and
    side by side; where it says the opposite one is added, which counts from now on.
    """
    with transaction.atomic():
        _take_turn(detector_id)
        stored = writer.ask_stored(detector_id, list(truths), source)
        new = {name: one for name, one in stored.items() if one.is_fraud != truths[name][0]}
        labels = [
            Label(
                prediction_id=one.pk,
                detector_id=detector_id,
                is_fraud=truths[name][0],
                event_time=one.event_time,
                label_time=truths[name][1],
                source=source,
            )
            for name, one in new.items()
        ]
        writer.write_labels(labels)
        # What was never fraud changes no window, and that is nearly everything.
        _teach(detector_id, _ever_fraud(labels))
    return Recorded(len(new), sum(one.is_fraud is not None for one in new.values()))


def _take_turn(detector_id: int) -> None:
    """Wait until nobody else records truths of the detector; until the end of the transaction.

    SQLite has one writer, whose transactions begin with their lock.
    """
    if postgres.is_used():
        postgres.execute(TAKE_TURN, [detector_id])


def retract_labels(
    predictions: Sequence[UUID],
    *,
    author: User,
    label_time: datetime,
    actor: User,
    at: datetime | None = None,
    patience: float = 0.0,
) -> int:
    """Take back what `author` said at `label_time` about these; earlier labels count again.

    The rows stay, with who took them back and when; windows learn that it is not so. May run
    twice: what was taken back already is left alone. Returns how many labels were taken back.
    `patience` as for `record_label`.
    """
    with transaction.atomic():
        rows = Label.objects.filter(
            prediction__in=predictions, author=author, label_time=label_time
        ).order_by()
        taught = sorted(set(rows.values_list("detector_id", "prediction_id")))
        count = rows.update(retracted_at=at or timezone.now(), retracted_by=actor)
        for detector_id in sorted({detector for detector, _ in taught}):
            own = [pk for detector, pk in taught if detector == detector_id]
            _teach(detector_id, own, patience=patience)
    return count


def _ever_fraud(labels: Sequence[Label]) -> list[UUID]:
    """Predictions of these new labels that this or an earlier label calls fraud."""
    found = {label.prediction_id for label in labels if label.is_fraud}
    cleared = [label.prediction_id for label in labels if not label.is_fraud]
    for first in range(0, len(cleared), CHUNK):
        earlier = Label.objects.filter(
            prediction_id__in=cleared[first : first + CHUNK], is_fraud=True
        )
        found.update(earlier.order_by().values_list("prediction_id", flat=True))
    return sorted(found)


def _teach(detector_id: int, predictions: Sequence[UUID], *, patience: float = 0.0) -> None:
    """Let the windows of these predictions' entities know their labels; inside a transaction."""
    if not predictions:
        return
    detector = Detector.objects.get(pk=detector_id)
    for first in range(0, len(predictions), CHUNK):
        for attempt in range(ATTEMPTS):
            plan = deployment.serving_of(detector).bundle.plan
            if not plan.learns_labels:
                return
            try:
                _teach_windows(detector_id, plan, predictions[first : first + CHUNK], patience)
                break
            except WindowsBusy:
                raise
            except WindowStateError:
                # The detector was changed meanwhile, or its windows wait to be rebuilt; then the
                # rebuilding reads this label too.
                if attempt == ATTEMPTS - 1:
                    logger.warning("Windows of %s wait to be rebuilt.", detector.slug)


def _teach_windows(
    detector_id: int, plan: FeaturePlan, predictions: Sequence[UUID], patience: float
) -> None:
    spans = known_frauds(predictions)
    fields = [entity.key for entity in plan.entities if entity.risk_column]
    keys: dict[str, list[Key]] = {}
    ids: dict[str, UUID] = {}
    rows = Prediction.objects.filter(pk__in=list(spans)).order_by()
    for pk, external_id, payload in rows.values_list("pk", "external_id", "event"):
        ids[external_id] = pk
        keys[external_id] = [
            (field, vault.token(field, key_text(value)))
            for field in fields
            if (value := clear(payload.get(field), plan.spec.type_of(field))) is not None
        ]
    store = feature_store()
    wanted = [key for own in keys.values() for key in own]
    # Who makes the windows anew at this moment has not seen the label: teach what comes of it.
    if not wait_for_windows(detector_id, patience) and patience:
        raise WindowsBusy
    windows = store.load(detector_id, plan, wanted, lock=True)
    before = dict(windows)
    for external_id, own in keys.items():
        teach_label(plan, own, external_id, spans[ids[external_id]], windows)
    taught = {key: window for key, window in windows.items() if window is not before[key]}
    store.save(detector_id, plan, taught)
