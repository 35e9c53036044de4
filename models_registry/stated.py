"""What an imported file states of its version, read with distrust: every value is checked."""

import math
from datetime import timedelta
from typing import Any

from django.utils import timezone

from models_registry.bundle_files import RECORD, RECORD_FORMAT, ExchangeError, Unpacked
from models_registry.stated_numbers import (
    moment_of,
    stated_curves,
    stated_metrics,
    stated_parameters,
)
from scoring.core.spec import DetectorSpec

CLOCKS_DIFFER = timedelta(minutes=10)


def stated_version(found: Unpacked, spec: DetectorSpec) -> dict[str, Any]:
    """What the file says of the version, every value checked. Raises KeyError, ValueError."""
    record, data = found.record, found.record["dataset"]
    if record.get("format") != RECORD_FORMAT:
        raise ExchangeError(f"{RECORD} has another format than {RECORD_FORMAT}.")
    digest = str(data["digest"])
    if digest != found.manifest.get("training", {}).get("dataset_digest", digest):
        raise ExchangeError(f"{RECORD} speaks of other data than the manifest.")
    rows, positives = int(data["rows"]), int(data["positives"])
    if not 0 <= positives <= rows < 2**31:
        raise ExchangeError(f"{RECORD}: there cannot be {positives} positives among {rows}.")
    labelled = int(data.get("labelled") or 0)
    if not 0 <= labelled <= rows:
        raise ExchangeError(f"{RECORD}: there cannot be {labelled} labelled among {rows}.")
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
        "metrics": stated_metrics(found.manifest.get("metrics", {})),
        "curves": stated_curves(record.get("curves", {})),
        "trained_at": trained_at,
        "training_seconds": seconds if math.isfinite(seconds) else 0.0,
        "dataset": {
            "digest": digest[:64],
            "known_at": moment_of(data["known_at"]),
            "first_event_at": moment_of(data["first_event_at"]),
            "last_event_at": moment_of(data["last_event_at"]),
            "rows": rows,
            "positives": positives,
            "feature_names": list(spec.feature_names),
            "detail": {"labelled": labelled} if labelled else {},
        },
    }
