"""Hand a version out as one file, and take one in: it arrives as a challenger of its detector."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
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
from scoring.core.bundle import (
    MANIFEST,
    Bundle,
    BundleError,
    assemble,
    place_bundle,
    read_files,
    sha256,
)
from scoring.core.pipeline import judge
from scoring.core.spec import DetectorSpec
from scoring.deployment import bundle_root
from scoring.models import Detector

RECORD_FORMAT = 1
FREE = frozenset(
    ("name", "description", "rules", "costs", "training", "label_column", "entity_word", "features")
)
"""What a bundle may declare otherwise than the detector; features are compared one by one."""
MOST_POINTS = 2000
DEEPEST = 5


def pack_bundle(version: ModelVersion) -> bytes:
    """A version as one file; the same version gives the same bytes. Raises ExchangeError.

    `version` with detector and dataset.
    """
    place = bundle_root() / version.digest
    try:
        _, files = read_files(place, version.digest)
        files[MANIFEST] = (place / MANIFEST).read_bytes()
    except (BundleError, OSError) as error:
        raise ExchangeError(str(error)) from error
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
    bundle = _assembled(found)
    _check_fit(detector.spec(), bundle.spec)
    _check_judges(bundle)
    try:
        known = _known(found, bundle)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ExchangeError):
            raise
        raise ExchangeError(f"{RECORD} is incomplete: {error}.") from error
    same = ModelVersion.objects.filter(detector=detector, digest=found.digest).first()
    if same is not None:
        raise ExchangeError(f"This bundle is here already: it is {same.label}.")
    place_bundle(bundle_root(), found.files)
    return _register(detector, found, known, actor=actor)


def _assembled(found: Unpacked) -> Bundle:
    try:
        return assemble(found.digest, found.manifest, found.model_files)
    except Exception as error:  # A hostile manifest may be wrong in any way whatever.
        raise ExchangeError(f"The bundle does not load: {str(error)[:300]}") from error


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
    other_fields = [
        field.name
        for field in fields(DetectorSpec)
        if field.name not in FREE and getattr(declared, field.name) != getattr(theirs, field.name)
    ]
    if other_fields:
        problems.append(f"its declaration differs in {', '.join(other_fields)}")
    if problems:
        raise ExchangeError(
            f"The bundle does not fit {declared.slug}: {'; '.join(problems)}. Declare both alike "
            "first."
        )


def _check_judges(bundle: Bundle) -> None:
    """The model gives finite numbers, and its contributions add up, for an event of nothing."""
    empty = np.full((1, len(bundle.plan.names)), np.nan)
    try:
        judged = judge(bundle.predictor, empty)
    except Exception as error:  # As above: its arrays are whatever somebody made.
        raise ExchangeError(f"The model does not run: {str(error)[:300]}") from error
    if judged is None or not np.isfinite(judged.score).all():
        raise ExchangeError("The model does not run on this detector's features.")
    if not (judged.error < 1e-6).all():
        raise ExchangeError("The model's explanation does not add up to what it says.")


def _known(found: Unpacked, bundle: Bundle) -> dict[str, Any]:
    """What the file says of the version, every value checked. Raises KeyError, ValueError."""
    record, data = found.record, found.record["dataset"]
    if record.get("format") != RECORD_FORMAT:
        raise ExchangeError(f"{RECORD} has another format than {RECORD_FORMAT}.")
    digest = str(data["digest"])
    if digest != bundle.manifest.get("training", {}).get("dataset_digest", digest):
        raise ExchangeError(f"{RECORD} speaks of other data than the manifest.")
    rows, positives = int(data["rows"]), int(data["positives"])
    if not 0 <= positives <= rows < 2**31:
        raise ExchangeError(f"{RECORD}: there cannot be {positives} positives among {rows}.")
    seconds = float(record["training_seconds"])
    return {
        "learner": str(found.manifest.get("learner", ""))[:40],
        "parameters": _plain(found.manifest.get("parameters", {})),
        "metrics": _metrics(found.manifest.get("metrics", {})),
        "curves": _curves(record.get("curves", {})),
        "trained_at": _moment(record["trained_at"]),
        "training_seconds": seconds if math.isfinite(seconds) else 0.0,
        "dataset": {
            "digest": digest[:64],
            "known_at": _moment(data["known_at"]),
            "first_event_at": _moment(data["first_event_at"]),
            "last_event_at": _moment(data["last_event_at"]),
            "rows": rows,
            "positives": positives,
            "feature_names": list(bundle.spec.feature_names),
            "detail": {"labelled": int(data["labelled"])} if data.get("labelled") else {},
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
        return value[:200].replace("\0", "")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | bool) else None


def _metrics(found: Any) -> dict[str, Any]:
    """Numbers by name, with their intervals; anything else is left out."""
    plain = _plain(found)
    if not isinstance(plain, dict):
        raise ValueError("its metrics are no object")
    intervals = plain.pop("intervals", None)
    kept = {name: value for name, value in plain.items() if _is_number(value)}
    if isinstance(plain.get("known_at"), str):
        kept["known_at"] = _moment(plain["known_at"]).isoformat()
    if isinstance(intervals, dict):
        kept["intervals"] = {name: pair for name, pair in intervals.items() if _is_pair(pair)}
    return kept


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _curves(found: Any) -> dict[str, Any]:
    """Curves whose points are pairs of numbers, or numbers by name; others are left out."""
    if not isinstance(found, dict):
        raise ValueError("its curves are no object")
    return {
        str(name)[:80]: points
        for name, points in list(found.items())[:20]
        if isinstance(points, list)
        and len(points) <= MOST_POINTS
        and (all(map(_is_pair, points)) or all(map(_is_point, points)))
        and (name == "calibration") == bool(points and isinstance(points[0], dict))
    }


def _is_pair(point: Any) -> bool:
    return (
        isinstance(point, list) and len(point) == 2 and all(type(x) in (int, float) for x in point)
    )


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, Mapping)
        and {"probability", "observed"} <= point.keys()
        and all(type(x) in (int, float) for x in point.values())
    )


@transaction.atomic
def _register(
    detector: Detector, found: Unpacked, known: dict[str, Any], *, actor: User | None
) -> ModelVersion:
    Detector.objects.select_for_update(no_key=True).get(pk=detector.pk)
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
    detail = {"digest": found.digest, "label": said["label"]}
    record_audit(actor=actor, action="model.import", subject=version, detail=detail)
    return version
