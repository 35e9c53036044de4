"""What an imported file states of its version, read with distrust: every value is checked."""

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from models_registry.bundle_files import RECORD, ExchangeError, Unpacked
from models_registry.core.splits import TimeSplit
from models_registry.shapes import (
    LARGEST_COUNT,
    Misfit,
    Shape,
    by_name,
    count,
    each,
    fields,
    finite,
    flag,
    number,
    text,
)
from models_registry.stated_numbers import (
    moment_of,
    stated_curves,
    stated_metrics,
    stated_parameters,
)
from scoring.core.decision import Thresholds
from scoring.core.spec import DetectorSpec

CLOCKS_DIFFER = timedelta(minutes=10)
SECOND = 1.0
"""Times are kept to the microsecond, bounds as numbers."""
COUNTED: Final = (
    "legitimate",
    "unknown",
    "young",
    "unsure",
    "duplicates",
    "other_currency",
    "logged",
)
"""Counts of events that the page of the data shows."""
SHAPES: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(COUNTED, count),
    "label_delay": finite,
    "unlabelled_is_legitimate": flag,
    "label_sources": by_name(count),
    "recomputed": by_name(count),
    "parts": fields(
        dict.fromkeys(
            ("training", "validation", "test"), fields({"events": count, "positives": count})
        )
    ),
    "split": fields(
        dict.fromkeys(("train_start", "train_end", "validation_end", "test_end", "delay"), finite)
    ),
}
"""What is told of a version's data beside digest, span and `labelled` (`describe_dataset`), and how
each is checked; when it had been read is of the platform alone."""
SUBGROUPS: Final = each(
    fields(
        {
            "feature": text,
            "groups": each(
                fields(
                    {"level": text, "rows": count, "positives": count}
                    | dict.fromkeys(
                        ("alert_rate", "precision", "recall", "average_precision"), number
                    )
                )
            ),
        }
    )
)


def stated_version(found: Unpacked, spec: DetectorSpec) -> dict[str, Any]:
    """What the file says of the version, every value checked. Raises KeyError, ValueError."""
    record = found.record
    trained_at = moment_of(record["trained_at"])
    if trained_at > timezone.now() + CLOCKS_DIFFER:
        raise ExchangeError(
            f"{RECORD}: trained_at, {trained_at:%Y-%m-%d %H:%M} UTC, lies in the future. Is the "
            "clock right, here and where the version was trained?"
        )
    seconds = float(record["training_seconds"])
    return {
        "learner": str(found.manifest.get("learner", ""))[:40],
        "parameters": stated_parameters(found.manifest.get("parameters", {})),
        "metrics": _metrics(found.manifest),
        "curves": stated_curves(record.get("curves", {})),
        "trained_at": trained_at,
        "training_seconds": seconds if math.isfinite(seconds) else 0.0,
        "dataset": _dataset(found, spec),
    }


def stated_subgroups(found: Unpacked) -> list[Any]:
    """How it judged each level of a categorical feature; none where the file does not say, or in
    another shape."""
    with suppress(Misfit):
        return list(SUBGROUPS(found.record.get("subgroups", [])))
    return []


def _metrics(manifest: dict[str, Any]) -> dict[str, Any]:
    """The thresholds that metrics speak of are those that the bundle decides by."""
    told = manifest.get("metrics", {})
    kept = stated_metrics(told)
    if "thresholds" in told and "thresholds" in manifest:
        kept["thresholds"] = Thresholds.from_dict(manifest["thresholds"]).to_dict()
    return kept


def _dataset(found: Unpacked, spec: DetectorSpec) -> dict[str, Any]:
    data, training = found.record["dataset"], found.manifest.get("training", {})
    digest = str(data["digest"])
    if digest != training.get("dataset_digest", digest):
        raise ExchangeError(f"{RECORD} speaks of other data than the manifest.")
    rows, positives = int(data["rows"]), int(data["positives"])
    if not 0 <= positives <= rows < LARGEST_COUNT:
        raise ExchangeError(f"{RECORD}: there cannot be {positives} positives among {rows}.")
    kept: dict[str, Any] = {
        "digest": digest[:64],
        "known_at": moment_of(data["known_at"]),
        "first_event_at": moment_of(data["first_event_at"]),
        "last_event_at": moment_of(data["last_event_at"]),
        "rows": rows,
        "positives": positives,
        "feature_names": list(spec.feature_names),
        "detail": _detail(data, rows),
    }
    if split := kept["detail"].get("split"):
        _check_split(TimeSplit(**split), kept, float(training.get("last_fitted_at") or 0.0))
    return kept


def _detail(data: dict[str, Any], rows: int) -> dict[str, Any]:
    labelled = int(data.get("labelled") or 0)
    kept: dict[str, Any] = {"labelled": labelled} if labelled else {}
    for name, shape in SHAPES.items():
        if data.get(name) is not None:
            kept[name] = shape(data[name])
    for name in ("labelled", *COUNTED):
        if not 0 <= kept.get(name, 0) <= rows:
            raise ExchangeError(f"{RECORD}: there cannot be {kept[name]} {name} among {rows}.")
    for name, part in kept.get("parts", {}).items():
        if not part["positives"] <= part["events"] <= rows:
            raise ExchangeError(f"{RECORD}: its {name} part cannot be of {rows} events.")
    return kept


def _check_split(split: TimeSplit, data: dict[str, Any], last_fitted_at: float) -> None:
    """The parts lie within the data, and nothing was learnt from after they say it was."""
    starts, ends = data["first_event_at"].timestamp(), data["known_at"].timestamp()
    if not starts - SECOND <= split.train_start <= split.test_end <= ends + SECOND:
        raise ExchangeError(f"{RECORD}: its parts lie outside of its data.")
    if last_fitted_at > split.validation_end:
        raise ExchangeError(f"{RECORD}: it learnt from later events than its parts say.")
