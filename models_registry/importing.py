"""Take in a version that `exporting` handed out elsewhere: it arrives as a challenger."""

import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from models_registry.bundle_files import RECORD, ExchangeError, Unpacked, unpack
from models_registry.models import Dataset, ModelVersion
from models_registry.registry_models import Lineage
from models_registry.selectors import champion_of
from models_registry.stated import stated_subgroups, stated_version
from models_registry.stated_numbers import plain
from models_registry.tracked import note_tracking
from scoring.core.bundle import BundleError, declared_by, is_whole, place_bundle
from scoring.core.reader import UnreadableDeclaration
from scoring.core.spec import DetectorSpec
from scoring.deployment import bundle_root, read_again
from scoring.models import Detector

logger = logging.getLogger(__name__)
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


def import_bundle(detector: Detector, content: bytes, *, actor: User | None) -> ModelVersion:
    """Take in a file from elsewhere as a challenger. Raises ExchangeError; nothing changes then."""
    found = unpack(content)
    _try(content)
    try:
        spec, here = declared_by(found.manifest, found.digest), detector.spec()
    except (BundleError, UnreadableDeclaration) as error:
        raise ExchangeError(str(error)) from error
    _check_fit(here, spec)
    try:
        known = stated_version(found, spec)
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
    moved_from = plain(found.manifest.get("moved_from"))
    moved = {"moved_from": moved_from} if isinstance(moved_from, dict) else {}
    said = {name: plain(found.record.get(name)) for name in ("label", "trained_at")}
    Lineage.objects.create(
        version=version,
        origin=Lineage.Origin.IMPORTED,
        parent=champion_of(detector),
        code=plain(found.record.get("code")) or {},
        subgroups=stated_subgroups(found),
        origin_detail=said
        | moved
        | {
            "imported_at": timezone.now().isoformat(),
            "digested": found.is_digested and not found.record.get("undigested"),
        },
    )
    note_tracking(version)
    detail = {"digest": found.digest, "label": said["label"]}
    record_audit(actor=actor, action="model.import", subject=version, detail=detail)
    return version
