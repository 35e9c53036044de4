"""What a version learns from: logged feature vectors joined with the labels known at a time.

Nothing is in a row that was not known at its event's time.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from models_registry.core.selection import AUDITED, NOT_SELECTED, SELECTED
from models_registry.core.splits import LabelHistory, Parts, TimeSplit
from models_registry.logged_vectors import CHUNK, FloatArray, Layout, Stored, laid_out, picked
from models_registry.models import Dataset
from scoring.core.spec import DetectorSpec
from scoring.core.types import SelectionReason
from scoring.models import Detector, Label, Prediction


class DatasetError(ValueError):
    """There is nothing to learn from; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Who was to be looked at by people: `kind` int8[n] as in `core.selection`, `propensity`
    float64[n] the chance of it."""

    kind: NDArray[np.int8]
    propensity: FloatArray


@dataclass(frozen=True, slots=True)
class Rows:
    """Logged events of one detector, oldest first; all arrays have one entry per event.

    `vectors` float64[n, k], `event_time` seconds since 1970 UTC, `amounts` in the detector's
    currency, NaN where unknown (`DetectorSpec.own_amount`), `entities` small integers, `labels` the
    history of labels known at `known_at`. `origin` says where they come from (see
    `describe_dataset`), `ids` (16 bytes each) which events they are.
    """

    vectors: FloatArray
    event_time: FloatArray
    amounts: FloatArray
    entities: NDArray[np.int64]
    labels: LabelHistory
    known_at: datetime
    selection: Selection | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    ids: NDArray[np.void] = field(default_factory=lambda: np.empty(0, "V16"))


def read_rows(
    detector: Detector,
    *,
    known_at: datetime,
    report: Callable[[float], None],
    spec: DetectorSpec | None = None,
    stored_by: datetime | None = None,
) -> Rows:
    """Load what was logged before `known_at`. Raises DatasetError when there is nothing.

    `spec`: whose features the vectors hold, by default those that the detector declares today;
    amounts are in the currency of today's costs.
    `stored_by`: events and labels that were stored later are left out, whatever time they tell of:
    who reads again with the same moment reads the same rows.
    """
    today, read_at = detector.spec(), stored_by or timezone.now()
    spec = spec or today
    predictions = Prediction.objects.filter(detector=detector, event_time__lt=known_at)
    if stored_by is not None:
        predictions = predictions.filter(received_at__lte=stored_by)
    total = predictions.count()
    if total == 0:
        raise DatasetError("No events were scored yet: import or send some first.")
    columns = _Columns(today)
    for part in laid_out(detector, spec, predictions):
        for row, layout, built in part:
            columns.add(row, layout, built)
        report(0.7 * len(columns.index) / total)
    labels, sources = _labels(detector, known_at, columns.index, stored_by)
    report(1.0)
    return Rows(
        vectors=np.frombuffer(b"".join(columns.vectors), "<f8").reshape(-1, len(spec.features)),
        event_time=np.array(columns.times),
        amounts=np.array(columns.amounts),
        entities=np.unique(np.array(columns.tokens), return_inverse=True)[1].astype(np.int64),
        labels=labels,
        known_at=known_at,
        selection=Selection(np.array(columns.kinds, np.int8), np.array(columns.chances)),
        origin=columns.origin() | {"label_sources": sources, "read_at": read_at.isoformat()},
        ids=np.array([pk.bytes for pk in columns.index], "V16"),
    )


def read_vectors(
    detector: Detector,
    spec: DetectorSpec,
    ids: NDArray[np.void],
    *,
    known_at: datetime,
    report: Callable[[float], None],
) -> FloatArray:
    """float64[n, k]: the features that `spec` declares of the events `ids` [n] (`Rows.ids`), read
    as `read_rows` reads them. Raises DatasetError when one of them is stored no more."""
    places = {pk.tobytes(): place for place, pk in enumerate(ids)}
    found = np.empty((len(ids), len(spec.features)))
    predictions = Prediction.objects.filter(detector=detector, event_time__lt=known_at)
    total, read, met = predictions.count(), 0, 0
    for part in laid_out(detector, spec, predictions):
        for row, layout, built in part:
            place = places.get(row.id.bytes)
            if place is not None:
                found[place] = picked(row, layout.places, built)
                met += 1
        read += len(part)
        report(read / max(total, read))
    if met < len(ids):
        raise DatasetError(f"{len(ids) - met:,} of the events are stored no more.")
    return found


@dataclass(slots=True)
class _Columns:
    """Rows as they are read, column by column; `index` is the place of each event by its id."""

    spec: DetectorSpec
    index: dict[UUID, int] = field(default_factory=dict)
    origins: Counter[str] = field(default_factory=Counter)
    seen: set[tuple[str, datetime, Decimal | None]] = field(default_factory=set)
    vectors: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    amounts: list[float] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    other_currency: int = 0

    def add(self, row: Stored, layout: Layout, built: FloatArray | None) -> None:
        """`built`: all its features computed again, where any event needs that."""
        self.index[row.id] = len(self.index)
        self.origins[layout.why] += 1
        self.seen.add((row.entity, row.event_time, row.exposure))
        self.vectors.append(picked(row, layout.places, built).tobytes())
        self.times.append(row.event_time.timestamp())
        amount = self.spec.own_amount(row.exposure, row.currency)
        self.amounts.append(amount)
        self.other_currency += row.exposure is not None and math.isnan(amount)
        self.tokens.append(row.entity)
        self.kinds.append(_kind(row.selection_reason))
        self.chances.append(row.propensity)

    def origin(self) -> dict[str, Any]:
        """How many vectors were logged and how many computed again, by reason; duplicates; how many
        amounts are in another currency."""
        return {
            "logged": self.origins[""],
            "recomputed": {why: n for why, n in self.origins.items() if why},
            "duplicates": len(self.index) - len(self.seen),
            "other_currency": self.other_currency,
        }


def _kind(selection_reason: str) -> int:
    if not selection_reason:
        return NOT_SELECTED
    drawn = selection_reason == SelectionReason.RANDOM_AUDIT
    return AUDITED if drawn else SELECTED


def _labels(
    detector: Detector, known_at: datetime, index: dict[UUID, int], stored_by: datetime | None
) -> tuple[LabelHistory, dict[str, int]]:
    """(the history, how many events have their newest label from each source).

    A label that was taken back later than `known_at` was known then, so that the same moment gives
    the same rows for ever.
    """
    rows, values, times, sure = [], [], [], []
    newest: dict[int, str] = {}
    labels = Label.history.known_at(known_at).filter(detector=detector).order_by("label_time", "id")
    if stored_by is not None:
        labels = labels.filter(recorded_at__lte=stored_by)
    fields = labels.values_list("prediction_id", "is_fraud", "label_time", "source", "confidence")
    for pk, is_fraud, label_time, source, confidence in fields.iterator(chunk_size=CHUNK):
        if pk in index:
            rows.append(index[pk])
            values.append(is_fraud)
            times.append(label_time.timestamp())
            sure.append(confidence)
            newest[index[pk]] = source
    history = LabelHistory(
        np.array(rows, np.intp),
        np.array(values, np.int8),
        np.array(times, float),
        np.array(sure, float) if min(sure, default=1.0) < 1.0 else None,
    )
    return history, dict(Counter(newest.values()))


def digest(rows: Rows) -> str:
    """SHA-256 of everything that a learner could see."""
    found = hashlib.sha256()
    for array in (
        rows.vectors,
        rows.event_time,
        rows.amounts,
        rows.labels.row,
        rows.labels.value,
        rows.labels.time,
    ):
        found.update(np.ascontiguousarray(array).tobytes())
    if rows.labels.confidence is not None:
        found.update(rows.labels.confidence.tobytes())
    return found.hexdigest()


def describe_dataset(
    detector: Detector, rows: Rows, split: TimeSplit | None = None, parts: Parts | None = None
) -> Dataset:
    """What the data was, not saved yet: digest, counts, span; which rows a version learnt from
    (`split`), and how many of each part counted (`parts`).

    `detail`: `labelled`, `legitimate`; `unknown` (no label at `known_at`), of them `young` (the
    truth may still come); `unsure` labels (confidence below 1: they weigh less); `logged` vectors
    and `recomputed` ones by reason; `label_sources`; `duplicates` (events of one entity, moment and
    amount beyond the first); `other_currency`, events whose amount costs do not know for that;
    `read_at`, until when events had been stored; `split` in seconds; `parts` (`Parts.counts`);
    `unlabelled_is_legitimate`.
    """
    training = detector.spec().training
    at = rows.known_at.timestamp()
    known = rows.labels.as_known_at(at, len(rows.event_time))
    unknown = known < 0
    sure = rows.labels.confidence_at(at, len(rows.event_time))
    return Dataset(
        detector=detector,
        digest=digest(rows),
        known_at=rows.known_at,
        first_event_at=datetime.fromtimestamp(rows.event_time[0], UTC),
        last_event_at=datetime.fromtimestamp(rows.event_time[-1], UTC),
        rows=len(rows.event_time),
        positives=int((known == 1).sum()),
        feature_names=list(detector.spec().feature_names),
        detail={
            "labelled": int((known >= 0).sum()),
            "legitimate": int((known == 0).sum()),
            "unknown": int(unknown.sum()),
            "young": int((unknown & (rows.event_time + training.label_delay > at)).sum()),
            "unsure": 0 if sure is None else int((sure < 1.0).sum()),
            "label_delay": training.label_delay,
            "unlabelled_is_legitimate": training.unlabelled_is_legitimate,
            "split": None if split is None else asdict(split),
            "parts": None if parts is None else parts.counts,
            **rows.origin,
        },
    )


def dataset_rows(dataset: Dataset) -> Iterator[tuple[UUID, str, datetime, str]]:
    """(id, external id, event time, part) of the events of a dataset that are still stored.

    Predictions never change, so what had arrived when the dataset was read is what it held; `part`
    is empty for events of the delays between the parts.
    """
    rows = Prediction.objects.filter(detector=dataset.detector_id, event_time__lt=dataset.known_at)
    read_at = dataset.detail.get("read_at")
    if read_at:
        rows = rows.filter(received_at__lte=datetime.fromisoformat(read_at))
    split = dataset.detail.get("split")
    bounds = TimeSplit(**split) if split else None
    found = rows.order_by("event_time", "id").values_list("id", "external_id", "event_time")
    for pk, external_id, event_time in found.iterator(chunk_size=CHUNK):
        part = bounds.part_of(event_time.timestamp()) if bounds else ""
        yield pk, external_id, event_time, part
