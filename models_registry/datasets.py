"""What a version learns from: logged feature vectors joined with the labels known at a time."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from models_registry.core.splits import LabelHistory
from models_registry.models import Dataset
from scoring.core.bundle import BundleError
from scoring.deployment import RULES_ONLY, loaded
from scoring.models import Detector, Label, Prediction

CHUNK = 5000
FloatArray = NDArray[np.float64]


class DatasetError(ValueError):
    """There is nothing to learn from; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Logged events of one detector, oldest first; all arrays have one entry per event.

    `vectors` float64[n, k], `event_time` seconds since 1970 UTC, `amounts` NaN where unknown,
    `entities` small integers, `labels` the history of labels known at `known_at`.
    """

    vectors: FloatArray
    event_time: FloatArray
    amounts: FloatArray
    entities: NDArray[np.int64]
    labels: LabelHistory
    known_at: datetime


def _layouts(detector: Detector) -> dict[str, NDArray[np.intp]]:
    """By digest of a bundle under which vectors were logged: where today's features lie in them.

    A bundle that lacks one of today's features, or computed it otherwise, is left out.
    """
    wanted = [replace(feature, label="") for feature in detector.spec().features]
    found = {}
    rows = Prediction.objects.filter(detector=detector).order_by()
    for digest in rows.values_list("bundle_digest", flat=True).distinct():
        try:
            logged = [] if digest == RULES_ONLY else loaded(digest).plan.features
        except BundleError:
            continue  # Without its bundle nobody can say what the vector's numbers mean.
        places = {replace(feature, label=""): i for i, feature in enumerate(logged)}
        if all(feature in places for feature in wanted):
            found[digest] = np.array([places[feature] for feature in wanted], np.intp)
    return found


def read_rows(detector: Detector, *, known_at: datetime, report: Callable[[float], None]) -> Rows:
    """Load what was logged before `known_at`. Raises DatasetError when there is nothing."""
    layouts = _layouts(detector)
    predictions = Prediction.objects.filter(
        detector=detector, event_time__lt=known_at, bundle_digest__in=list(layouts)
    )
    total = predictions.count()
    if total == 0:
        raise DatasetError(
            "No events were scored yet with the features that are declared today: "
            "import or send some first."
        )
    index: dict[object, int] = {}
    vectors, times, amounts, tokens = [], [], [], []
    values = predictions.order_by("event_time", "id").values_list(
        "id", "vector", "bundle_digest", "event_time", "exposure", "entity"
    )
    for pk, vector, bundle, event_time, exposure, entity in values.iterator(chunk_size=CHUNK):
        index[pk] = len(index)
        vectors.append(np.frombuffer(vector, "<f8")[layouts[bundle]].tobytes())
        times.append(event_time.timestamp())
        amounts.append(np.nan if exposure is None else float(exposure))
        tokens.append(entity)
        if len(index) % CHUNK == 0:
            report(0.7 * len(index) / total)
    labels = _labels(detector, known_at, index)
    report(1.0)
    width = len(detector.spec().feature_names)
    return Rows(
        vectors=np.frombuffer(b"".join(vectors), "<f8").reshape(-1, width),
        event_time=np.array(times),
        amounts=np.array(amounts),
        entities=np.unique(np.array(tokens), return_inverse=True)[1].astype(np.int64),
        labels=labels,
        known_at=known_at,
    )


def _labels(detector: Detector, known_at: datetime, index: dict[object, int]) -> LabelHistory:
    rows, values, times = [], [], []
    labels = Label.objects.filter(detector=detector, label_time__lte=known_at).order_by(
        "label_time", "id"
    )
    fields = labels.values_list("prediction_id", "is_fraud", "label_time")
    for pk, is_fraud, label_time in fields.iterator(chunk_size=CHUNK):
        if pk in index:
            rows.append(index[pk])
            values.append(is_fraud)
            times.append(label_time.timestamp())
    return LabelHistory(np.array(rows, np.intp), np.array(values, np.int8), np.array(times, float))


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
    return found.hexdigest()


def record_dataset(detector: Detector, rows: Rows) -> Dataset:
    """Keep what the data was: digest, counts, span."""
    known = rows.labels.as_known_at(rows.known_at.timestamp(), len(rows.event_time))
    return Dataset.objects.create(
        detector=detector,
        digest=digest(rows),
        known_at=rows.known_at,
        first_event_at=datetime.fromtimestamp(rows.event_time[0], UTC),
        last_event_at=datetime.fromtimestamp(rows.event_time[-1], UTC),
        rows=len(rows.event_time),
        positives=int((known == 1).sum()),
        feature_names=list(detector.spec().feature_names),
        detail={"labelled": int((known >= 0).sum())},
    )
