"""Which bundle serves: `serving` for every scored batch, `install` for the registry.

The truth is the Deployment row, read with every batch (one indexed query), so a promotion counts
from the very next event in every process. Bundles are loaded once a process, by digest.
A bundle that will not load does not stop the service: the last good one of this process goes on,
else the detector's declaration serves as rules only, and predictions say `degraded`.
"""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from scoring.core.bundle import Bundle, BundleError, assemble, load_bundle, write_bundle
from scoring.models import Deployment, Detector

logger = logging.getLogger(__name__)
RULES_ONLY = "rules-only"
# Asked for every event, so in plain SQL: composing it by the ORM takes ten times its run.
CHAMPION_OF = f"""
    SELECT deployed.detector_id, deployed.digest, deployed.version
    FROM {Deployment._meta.db_table} deployed
    JOIN {Detector._meta.db_table} detector ON detector.id = deployed.detector_id
    WHERE detector.slug = %s AND detector.enabled = %s AND deployed.slot = %s
"""  # noqa: S608 - our own names
MOST_LOADED = 32


class UnknownDetector(LookupError):
    """No enabled detector has this slug."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What scores one batch. `version` is what clients see as model_version."""

    detector_id: int
    slug: str
    bundle: Bundle
    version: str
    fault: str = ""


_loaded: dict[str, Bundle] = {}
_last_good: dict[int, tuple[Bundle, str]] = {}
_loading = threading.Lock()


def bundle_root() -> Path:
    """The folder of bundles, shared by every process of the platform."""
    return Path(settings.BUNDLE_DIR)


def loaded(digest: str) -> Bundle:
    """The bundle, from this process's memory or from disk. Raises BundleError."""
    bundle = _loaded.get(digest)
    if bundle is None:
        with _loading:
            bundle = _loaded.get(digest) or load_bundle(bundle_root(), digest)
            while len(_loaded) >= MOST_LOADED:
                _loaded.pop(next(iter(_loaded)))
            _loaded[digest] = bundle
    return bundle


def serving(slug: str) -> Serving:
    """What serves the detector now. Raises UnknownDetector."""
    with connection.cursor() as cursor:
        cursor.execute(CHAMPION_OF, [slug, True, Deployment.Slot.CHAMPION.value])
        row = cursor.fetchone()
    if row is None:
        return _undeployed(slug)
    detector_id, digest, version = row
    return _of_champion(detector_id, slug, digest, version)


def serving_of(detector: Detector) -> Serving:
    """What serves the detector, or would if it were switched on."""
    row = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION).first()
    if row is None:
        return Serving(detector.pk, detector.slug, rules_only(detector), RULES_ONLY)
    return _of_champion(detector.pk, detector.slug, row.digest, row.version)


def _of_champion(detector_id: int, slug: str, digest: str, version: str) -> Serving:
    try:
        bundle = loaded(digest)
    except BundleError as error:
        return _fallback(detector_id, slug, str(error))
    _last_good[detector_id] = (bundle, version)
    return Serving(detector_id, slug, bundle, version)


def _undeployed(slug: str) -> Serving:
    detector = Detector.objects.filter(slug=slug, enabled=True).first()
    if detector is None:
        raise UnknownDetector(slug)
    return Serving(detector.pk, slug, rules_only(detector), RULES_ONLY)


def _fallback(detector_id: int, slug: str, fault: str) -> Serving:
    logger.error("%s: %s", slug, fault)
    if detector_id in _last_good:
        bundle, version = _last_good[detector_id]
        return Serving(detector_id, slug, bundle, version, fault)
    detector = Detector.objects.get(pk=detector_id)
    return Serving(detector_id, slug, rules_only(detector), RULES_ONLY, fault)


def rules_only(detector: Detector) -> Bundle:
    """The declaration as a bundle without a model, straight from the row."""
    return assemble(RULES_ONLY, _rules_only_manifest(detector.config), {})


def _rules_only_manifest(config: dict[str, Any]) -> dict[str, Any]:
    return {"detector": config, "learner": "", "metrics": {}, "reference": {}}


def install_rules_only(detector: Detector) -> Deployment:
    """Deploy the declaration alone, as every new detector starts."""
    digest = write_bundle(bundle_root(), _rules_only_manifest(detector.config), {})
    return install(detector, slot=Deployment.Slot.CHAMPION, digest=digest, version=RULES_ONLY)


def install(detector: Detector, *, slot: str, digest: str, version: str) -> Deployment:
    """Put a bundle into a slot. Raises BundleError, and changes nothing, if it does not load."""
    # From the disk even if this process remembers it: the other processes have yet to read it.
    load_bundle(bundle_root(), digest)
    row, _ = Deployment.objects.update_or_create(
        detector=detector,
        slot=slot,
        defaults={"digest": digest, "version": version, "installed_at": timezone.now()},
    )
    return row
