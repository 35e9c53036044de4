"""Hand a version out as one file; `importing` takes it in elsewhere."""

import json
from datetime import datetime
from typing import Any

from accounts.models import User
from accounts.services import record_audit
from models_registry.bundle_files import RECORD, RECORD_FORMAT, ExchangeError, pack, write_record
from models_registry.models import ModelVersion
from models_registry.selectors import lineage_of
from models_registry.stated import SHAPES
from scoring.core.bundle import MANIFEST, BundleError, read_files, sha256
from scoring.deployment import bundle_root


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
    record = json.loads(json.dumps(_record(version), default=datetime.isoformat))
    return pack(version.digest, {**files, RECORD: write_record(record)})


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
    # What came without a digest of its statements does not get one on the way.
    origin = lineage.origin_detail if lineage else {}
    is_bare = "imported_at" in origin and not origin.get("digested")
    bare = {"undigested": True} if is_bare else {}
    return bare | {
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
            **{name: dataset.detail.get(name) for name in SHAPES},
        },
    }
