"""Hand a version out as one file, and take one in: it arrives as a challenger of its detector."""

import json
import logging
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from models_registry.bundle_files import RECORD, ExchangeError, Unpacked, pack, unpack
from models_registry.models import Dataset, ModelVersion
from models_registry.registry_models import Lineage
from models_registry.selectors import champion_of, lineage_of
from models_registry.tracked import note_tracking
from scoring.core.bundle import (
    MANIFEST,
    BundleError,
    is_whole,
    place_bundle,
    read_files,
    sha256,
)
from scoring.core.spec import DetectorSpec, parse_spec
from scoring.core.types import RISK_LEVELS, RiskLevel
from scoring.deployment import bundle_root, read_again
from scoring.models import Detector

logger = logging.getLogger(__name__)
RECORD_FORMAT = 1
TRIAL = "models_registry.trial"
"""The module that tries a file, in a process of its own."""
TRIAL_SECONDS = 60.0
TRIAL_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "LANG")
MOST_SAID = 2000
ENDED = "The bundle needs too much memory or time: trying it was ended."
FREE = frozenset(
    (
        *("name", "description", "rules", "costs", "training", "label_column", "entity_word"),
        *("features", "audit_rate", "immutable", "links"),
    )
)
"""What a bundle may declare otherwise than the detector; what decides, who is looked at and what is
linked is the detector's own, whichever bundle serves. What is `immutable` for either stays as it is
in a counterfactual. Features are compared one by one."""
DECLARED_AS = {
    "elapsed_since": "event.elapsed",
    "currency": "event.currency",
    "pii_fields": "event.pii",
    "schema": "event.schema",
    "drops_undeclared": "event.undeclared",
    **{
        f"{role}_field": f"event.{role}"
        for role in ("id", "time", "elapsed", "amount", "currency", "entity")
    },
}
"""Where a declaration says what has another name in its specification."""
MOST_POINTS = 2000
OF_POINTS = {
    "calibration": {"probability", "observed"},
    "calibration_bands": {"level", "probability", "observed", "count"},
}
"""Curves of numbers by name, and what each point says."""
DEEPEST = 5
LARGEST = 1e300
CLOCKS_DIFFER = timedelta(minutes=10)


def pack_bundle(version: ModelVersion) -> bytes:
    """A version as one file; the same version gives the same bytes. Raises ExchangeError.

    `version` with detector and dataset.
    """
    place = bundle_root() / version.digest
    try:
        _, files = read_files(place, version.digest)
        files[MANIFEST] = (place / MANIFEST).read_bytes()
    except (BundleError, OSError) as error:
        remedy = "Import a file of it that was exported before, which puts its bundle back."
        raise ExchangeError(f"{error} {remedy}") from error
    record = json.dumps(_record(version), cls=DjangoJSONEncoder, sort_keys=True, indent=1)
    return pack(version.digest, {**files, RECORD: record.encode()})


def export_bundle(version: ModelVersion, *, actor: User | None) -> bytes:
    """`pack_bundle`, written down in the audit trail."""
    content = pack_bundle(version)
    detail = {"digest": version.digest, "sha256": sha256(content)}
    record_audit(actor=actor, action="model.export", subject=version, detail=detail)
    return content


def file_name(version: ModelVersion) -> str:
    """What an exported version is called."""
    return f"{version.detector.slug}-{version.label}-{version.digest}.zip"


def _record(version: ModelVersion) -> dict[str, Any]:
    lineage = lineage_of(version)
    dataset = version.dataset
    return {
        "format": RECORD_FORMAT,
        "label": version.label,
        "learner": version.learner,
        "trained_at": version.trained_at,
        "training_seconds": version.training_seconds,
        "curves": version.curves,
        "code": lineage.code if lineage else {},
        "subgroups": lineage.subgroups if lineage else [],
        "dataset": {
            "digest": dataset.digest,
            "known_at": dataset.known_at,
            "first_event_at": dataset.first_event_at,
            "last_event_at": dataset.last_event_at,
            "rows": dataset.rows,
            "positives": dataset.positives,
            "labelled": dataset.detail.get("labelled"),
        },
    }


def import_bundle(detector: Detector, content: bytes, *, actor: User | None) -> ModelVersion:
    """Take in a file from elsewhere as a challenger. Raises ExchangeError; nothing changes then."""
    found = unpack(content)
    _try(content)
    spec = parse_spec(found.manifest["detector"], stored=True)
    _check_fit(detector.spec(), spec)
    try:
        known = _known(found, spec)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, ExchangeError):
            raise
        raise ExchangeError(f"{RECORD} is incomplete: {error}.") from error
    return _register(detector, found, known, actor=actor)


def mend_bundle(detector: Detector, content: bytes, *, actor: User | None) -> ModelVersion | None:
    """The version here whose damaged or lost bundle the file has put back, byte by byte.

    None, and nothing was done, where the file is of no version here or of one that is whole.
    Neither tried nor compared with the declaration: its digest says that it is what was registered.
    Raises ExchangeError, BundleNotWritten.
    """
    found = unpack(content)
    version = ModelVersion.objects.filter(detector=detector, digest=found.digest).first()
    if version is None or is_whole(bundle_root() / found.digest, found.digest):
        return None
    with transaction.atomic():
        detail = {"digest": found.digest}
        record_audit(actor=actor, action="model.bundle_mended", subject=version, detail=detail)
        place_bundle(bundle_root(), found.files)
    read_again(found.digest)
    return version


def _try(content: bytes) -> None:
    """Load and run it once where it can do no harm. Raises ExchangeError."""
    kept = {name: os.environ[name] for name in TRIAL_ENVIRONMENT if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-m", TRIAL],
            input=content,
            capture_output=True,
            cwd=settings.BASE_DIR,
            env=kept | {"OPENBLAS_NUM_THREADS": "1"},
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ExchangeError(ENDED) from error
    if done.returncode:
        said = done.stderr[-MOST_SAID:].decode(errors="replace")
        logger.warning("Trying a bundle ended with status %s: %s", done.returncode, said)
        raise ExchangeError(ENDED)
    # On one line, the last: a library may have printed before.
    if problem := json.loads(done.stdout.splitlines()[-1]):
        raise ExchangeError(problem)


def _check_fit(declared: DetectorSpec, theirs: DetectorSpec) -> None:
    """The bundle reads the same events and computes the same features as the detector declares."""
    ours = {feature.name: feature for feature in declared.features}
    other = {feature.name: feature for feature in theirs.features}
    problems = []
    if missing := sorted(ours.keys() - other.keys()):
        problems.append(f"it lacks the features {', '.join(missing[:8])}")
    if added := sorted(other.keys() - ours.keys()):
        problems.append(f"it needs the features {', '.join(added[:8])}")
    changed = [
        name
        for name in sorted(ours.keys() & other.keys())
        if (ours[name].raw, ours[name].prepared, ours[name].step)
        != (other[name].raw, other[name].prepared, other[name].step)
    ]
    if changed:
        problems.append(f"it declares {', '.join(changed[:8])} otherwise")
    if not problems and declared.feature_names != theirs.feature_names:
        problems.append("its features stand in another order")
    differing = dict.fromkeys(
        DECLARED_AS.get(field.name, field.name)
        for field in fields(DetectorSpec)
        if field.name not in FREE and getattr(declared, field.name) != getattr(theirs, field.name)
    )
    if differing:
        problems.append(f"its declaration differs in {', '.join(differing)}")
    if problems:
        raise ExchangeError(
            f"The bundle does not fit {declared.slug}: {'; '.join(problems)}. Declare both alike "
            "first."
        )


def _known(found: Unpacked, spec: DetectorSpec) -> dict[str, Any]:
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
    trained_at = _moment(record["trained_at"])
    if trained_at > timezone.now() + CLOCKS_DIFFER:
        raise ExchangeError(
            f"{RECORD}: trained_at, {trained_at:%Y-%m-%d %H:%M} UTC, lies in the future. Is the "
            "clock right, here and where the version was trained?"
        )
    seconds = float(record["training_seconds"])
    return {
        "learner": str(found.manifest.get("learner", ""))[:40],
        "parameters": _parameters(found.manifest.get("parameters", {})),
        "metrics": _metrics(found.manifest.get("metrics", {})),
        "curves": _curves(record.get("curves", {})),
        "trained_at": trained_at,
        "training_seconds": seconds if math.isfinite(seconds) else 0.0,
        "dataset": {
            "digest": digest[:64],
            "known_at": _moment(data["known_at"]),
            "first_event_at": _moment(data["first_event_at"]),
            "last_event_at": _moment(data["last_event_at"]),
            "rows": rows,
            "positives": positives,
            "feature_names": list(spec.feature_names),
            "detail": {"labelled": labelled} if labelled else {},
        },
    }


def _moment(text: Any) -> datetime:
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.astimezone(UTC)


def _plain(value: Any, depth: int = 0) -> Any:
    """Objects, lists, finite numbers and short texts, a few levels deep; anything else is None."""
    if depth > DEEPEST:
        return None
    if isinstance(value, dict):
        return {str(key)[:80]: _plain(item, depth + 1) for key, item in list(value.items())[:200]}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value[:200]]
    if isinstance(value, str):
        return value[:200]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | bool) else None


def _parameters(found: Any) -> dict[str, Any]:
    """By name, as plain values: pages and evaluations look them up."""
    plain = _plain(found)
    if not isinstance(plain, dict):
        raise ValueError("its parameters are no object")
    return plain


def _metrics(found: Any) -> dict[str, Any]:
    """Numbers by name, with their intervals and ceilings; anything else is left out."""
    plain = _plain(found)
    if not isinstance(plain, dict):
        raise ValueError("its metrics are no object")
    intervals, ceilings = plain.pop("intervals", None), plain.pop("ceilings", None)
    kept = {name: value for name, value in plain.items() if _is_number(value)}
    if isinstance(plain.get("known_at"), str):
        kept["known_at"] = _moment(plain["known_at"]).isoformat()
    if isinstance(intervals, dict):
        kept["intervals"] = {name: pair for name, pair in intervals.items() if _is_pair(pair)}
    if isinstance(ceilings, dict):
        kept["ceilings"] = {name: value for name, value in ceilings.items() if _is_finite(value)}
    return kept


def _is_number(value: Any) -> bool:
    return value is None or _is_finite(value)


def _is_finite(value: Any) -> bool:
    """A number that every database and page takes: not 1e999, which JSON reads as infinite."""
    return type(value) in (int, float) and abs(value) < LARGEST


def _curves(found: Any) -> dict[str, Any]:
    """Curves whose points are pairs of numbers, or numbers by name (of a risk band: with its name);
    others are left out."""
    if not isinstance(found, dict):
        raise ValueError("its curves are no object")
    return {
        str(name)[:80]: points
        for name, points in list(found.items())[:20]
        if isinstance(points, list)
        and len(points) <= MOST_POINTS
        and (all(map(_is_pair, points)) or all(map(_is_point, points)))
        and (name in OF_POINTS) == bool(points and isinstance(points[0], dict))
        and (name not in OF_POINTS or all(OF_POINTS[name] <= point.keys() for point in points))
    }


def _is_pair(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(map(_is_finite, point))


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, Mapping)
        and point.get("level", RiskLevel.LOW) in RISK_LEVELS
        and all(_is_finite(value) for name, value in point.items() if name != "level")
    )


def _register(
    detector: Detector, found: Unpacked, known: dict[str, Any], *, actor: User | None
) -> ModelVersion:
    place = bundle_root() / found.digest
    there = place.exists()
    try:
        with transaction.atomic():
            version = _add_rows(detector, found, known, actor=actor)
            # Last: what no row can say leaves no files behind.
            place_bundle(bundle_root(), found.files)
        read_again(found.digest)
    except Exception:
        # Nor does a transaction that fails at its very end. What was sent twice may have been
        # registered meanwhile.
        if not there and not ModelVersion.objects.filter(digest=found.digest).exists():
            shutil.rmtree(place, ignore_errors=True)
        raise
    return version


def _add_rows(
    detector: Detector, found: Unpacked, known: dict[str, Any], *, actor: User | None
) -> ModelVersion:
    # One at a time for a detector: the same file sent twice is one version.
    Detector.objects.select_for_update(no_key=True).get(pk=detector.pk)
    same = ModelVersion.objects.filter(detector=detector, digest=found.digest).first()
    if same is not None:
        raise ExchangeError(f"This bundle is here already: it is {same.label}.")
    newest = ModelVersion.objects.filter(detector=detector).aggregate(n=Max("number"))["n"]
    dataset = Dataset.objects.create(detector=detector, **known.pop("dataset"))
    version = ModelVersion.objects.create(
        detector=detector,
        number=(newest or 0) + 1,
        digest=found.digest,
        dataset=dataset,
        trained_by=actor,
        **known,
    )
    said = {name: _plain(found.record.get(name)) for name in ("label", "trained_at")}
    Lineage.objects.create(
        version=version,
        origin=Lineage.Origin.IMPORTED,
        parent=champion_of(detector),
        code=_plain(found.record.get("code")) or {},
        origin_detail=said | {"imported_at": timezone.now().isoformat()},
    )
    note_tracking(version)
    detail = {"digest": found.digest, "label": said["label"]}
    record_audit(actor=actor, action="model.import", subject=version, detail=detail)
    return version
