"""What serves: `serving` for every scored group of events, `install` for the registry.

The truth is the Deployment row and the policy's digest beside it, read with every group (one
query for all its detectors), so a promotion or an edited rule counts from the very next event in
every process. Bundles and policies are loaded once a process, by digest.
A bundle that will not load does not stop the service: the last good one of this process goes on,
else the detector's declaration serves as rules only, and predictions say `degraded`. So they do
when the champion is past its review date: its windows are kept up, its model is not asked.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.utils import timezone

from scoring import policy_store, postgres
from scoring.core.bundle import (
    Bundle,
    BundleError,
    assemble,
    declared_by,
    load_bundle,
    read_manifest,
    write_bundle,
)
from scoring.core.policy import Policy
from scoring.core.reader import UnreadableDeclaration
from scoring.core.spec import DetectorSpec
from scoring.memory import give_back
from scoring.models import Deployment, Detector

logger = logging.getLogger(__name__)
RULES_ONLY = "rules-only"
# Asked for every group, so in plain SQL: composing it by the ORM takes ten times its run.
SERVING = f"""
    SELECT detector.slug, detector.id, detector.policy_digest, detector.cache_epoch,
           deployed.digest, deployed.version,
           COALESCE(deployed.reviewed_at, deployed.installed_at)
    FROM {Detector._meta.db_table} detector
    LEFT JOIN {Deployment._meta.db_table} deployed
    ON deployed.detector_id = detector.id AND deployed.slot = 'champion'
    WHERE detector.enabled AND detector.slug {{marks}}
"""  # noqa: S608 - our own names
MOST_LOADED = 32
RETRY_SECONDS = 5.0
"""How long a bundle that did not load is left alone: to hash it all for every event, every page and
every probe would slow down what stands in for it."""
READS = (
    *(postgres.text, postgres.whole, postgres.text, postgres.whole),
    *(postgres.text, postgres.text, postgres.moment),
)
Asked = Callable[[], list[tuple[Any, ...]]]


class UnknownDetector(LookupError):
    """No enabled detector has this slug."""


class NothingServes(BundleError):
    """Neither a bundle of the detector can be loaded nor its declaration stand in for one; the
    message says why, and what to do. No event of it is decided on meanwhile."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What scores a group of events. `version` is what clients see as model_version.

    `epoch` counts how often the detector's cached predictions were flushed.
    """

    detector_id: int
    slug: str
    bundle: Bundle
    version: str
    policy: Policy
    epoch: int = 0
    fault: str = ""

    @property
    def degraded(self) -> bool:
        """Whether no model is asked: there is none, or it is past its review date."""
        return self.bundle.predictor is None or self.bundle.overdue


class Champion(NamedTuple):
    """A row of Deployment as it is read; empty for a detector without one."""

    digest: str | None
    version: str | None
    term_from: Any


NOBODY = Champion(None, None, None)
_latest: dict[str, Serving] = {}
_overdue: dict[str, Bundle] = {}
_loaded: dict[str, Bundle] = {}
_last_good: dict[int, tuple[Bundle, str]] = {}
_refused: dict[str, tuple[float, str]] = {}
"""By digest: until when it is not read again (monotonic), and why it did not load."""
_stand_ins: dict[int, tuple[dict[str, Any], Bundle]] = {}
"""By detector: the declaration that was compiled as rules only, and what came of it."""
_loading = threading.Lock()


def bundle_root() -> Path:
    """The folder of bundles, shared by every process of the platform."""
    return Path(settings.BUNDLE_DIR)


def loaded(digest: str) -> Bundle:
    """The bundle, from this process's memory or from disk. Raises BundleError.

    What does not load is read again, and logged, every few seconds only, whoever asks.
    """
    bundle = _loaded.get(digest)
    if bundle is None:
        _check_not_refused(digest)
        with _loading:
            bundle = _loaded.get(digest)
            if bundle is None:
                _check_not_refused(digest)  # By whom this thread waited for.
                bundle = _read(digest)
    return bundle


def declared_in(digest: str) -> DetectorSpec:
    """The declaration of any bundle; its model is not read. Raises BundleError."""
    bundle = _loaded.get(digest)
    return bundle.spec if bundle else _declared_in(bundle_root(), digest)


@lru_cache(maxsize=64)
def _declared_in(root: Path, digest: str) -> DetectorSpec:
    return declared_by(read_manifest(root / digest, digest), digest)


def _read(digest: str) -> Bundle:
    """From disk into this process's memory; one thread at a time."""
    try:
        bundle = load_bundle(bundle_root(), digest)
    except BundleError as error:
        logger.error("bundle %s: %s Bundles are read from %s.", digest[:12], error, bundle_root())
        while len(_refused) >= MOST_LOADED:
            _refused.pop(next(iter(_refused)), None)
        _refused[digest] = (time.monotonic() + RETRY_SECONDS, str(error))
        raise
    _refused.pop(digest, None)
    give_back()  # Tabulating the contributions takes several times what stays.
    while len(_loaded) >= MOST_LOADED:
        _loaded.pop(next(iter(_loaded)))
    _loaded[digest] = bundle
    return bundle


def _check_not_refused(digest: str) -> None:
    until, problem = _refused.get(digest, (0.0, ""))
    if time.monotonic() < until:
        raise BundleError(problem)


def read_again(digest: str) -> None:
    """Let whoever asks next read a bundle that was put back, however lately it was refused."""
    with _loading:
        _refused.pop(digest, None)


def serving(slug: str) -> Serving:
    """What serves the detector now. Raises UnknownDetector, NothingServes."""
    found = serving_many([slug]).get(slug)
    if found is None:
        raise UnknownDetector(slug)
    return found


def latest(slug: str) -> Serving:
    """What served the detector when this process last looked: good enough to read an event by.

    Who scores looks again. Raises UnknownDetector.
    """
    return _latest.get(slug) or serving(slug)


def ask(slugs: Sequence[str], trip: postgres.Trip | None = None) -> Asked:
    """Ask what serves, with others' questions on PostgreSQL; the answer is for `serving_many`."""
    if postgres.is_used():
        sql = SERVING.format(marks="= ANY(%s::text[])")
        return postgres.execute(sql, [list(slugs)], *READS, trip=trip).rows
    marks = ", ".join(["%s"] * len(slugs))
    with connection.cursor() as cursor:
        cursor.execute(SERVING.format(marks=f"IN ({marks})"), list(slugs))
        rows = cursor.fetchall()
    return lambda: rows


def serving_many(slugs: Sequence[str], asked: Asked | None = None) -> dict[str, Serving]:
    """What serves each detector now; a slug that no enabled detector has is left out.

    Raises NothingServes.
    """
    rows = (asked or ask(slugs))()
    found = {}
    for slug, detector_id, policy_digest, epoch, *champion in rows:
        made = _serving(detector_id, slug, Champion(*champion), policy_digest, epoch)
        found[slug] = _latest[slug] = made
    for slug in slugs:
        if slug not in found:
            _latest.pop(slug, None)
    return found


def serving_of(detector: Detector) -> Serving:
    """What serves the detector, or would if it were switched on. Raises NothingServes."""
    row = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION).first()
    champion = NOBODY if row is None else Champion(row.digest, row.version, row.term_from)
    return _serving(
        detector.pk, detector.slug, champion, detector.policy_digest, detector.cache_epoch
    )


def bundle_of(detector: Detector, champion: Deployment | None) -> tuple[Bundle, str]:
    """(the bundle that serves the detector, what is wrong with the one that should).

    Raises NothingServes.
    """
    digest, version = (champion.digest, champion.version) if champion else (None, None)
    bundle, _, fault = _bundle(detector.pk, digest, version)
    return bundle, fault


def version_in_service(champion: Deployment) -> str:
    """What clients of this process see as model_version: another than the champion's own where its
    bundle does not load. Raises NothingServes."""
    detector = champion.detector
    return _bundle(detector.pk, champion.digest, champion.version)[1]


def _serving(
    detector_id: int,
    slug: str,
    champion: Champion,
    policy_digest: str,
    epoch: int,
) -> Serving:
    bundle, shown, fault = _bundle(detector_id, champion.digest, champion.version)
    policy = policy_store.policy(policy_digest, bundle)
    if policy.review_after and is_overdue(champion.term_from, policy.review_after):
        bundle = _left_alone(bundle)
    known = _latest.get(slug)
    if (
        known is not None
        and known.bundle is bundle
        and (known.detector_id, known.version, known.epoch) == (detector_id, shown, epoch)
        and known.policy is policy
        and known.fault == fault
    ):
        return known
    return Serving(detector_id, slug, bundle, shown, policy, epoch, fault)


def is_overdue(term_from: Any, review_after: float) -> bool:
    """Whether a champion whose term counts from then (as the driver gives it) is to be reviewed."""
    since = policy_store.stored_moment(term_from)
    return since is not None and since.timestamp() + review_after <= time.time()


def _left_alone(bundle: Bundle) -> Bundle:
    """The same bundle, always the same object, whose model is not asked."""
    if bundle.predictor is None:
        return bundle
    found = _overdue.get(bundle.digest)
    if found is None or found.plan is not bundle.plan:
        while len(_overdue) >= MOST_LOADED:
            _overdue.pop(next(iter(_overdue)))
        found = _overdue[bundle.digest] = replace(bundle, overdue=True)
    return found


def _bundle(detector_id: int, digest: str | None, version: str | None) -> tuple[Bundle, str, str]:
    """(bundle, version, what is wrong with the one that should serve)."""
    if digest is None or version is None:
        return _stand_in(detector_id), RULES_ONLY, ""
    try:
        bundle = loaded(digest)
    except BundleError as error:
        fault = str(error)
        if detector_id in _last_good:
            return *_last_good[detector_id], fault
        return _stand_in(detector_id), RULES_ONLY, fault
    _last_good[detector_id] = (bundle, version)
    return bundle, version, ""


def rules_only(detector: Detector) -> Bundle:
    """The declaration as a bundle without a model, straight from the row."""
    return assemble(RULES_ONLY, _rules_only_manifest(detector.config), {})


def _stand_in(detector_id: int) -> Bundle:
    """As `rules_only`, compiled once as long as the declaration stays."""
    detector = Detector.objects.get(pk=detector_id)
    config, bundle = _stand_ins.get(detector_id, (None, None))
    if bundle is None or config != detector.config:
        bundle = _rules_that_load(detector)
        while len(_stand_ins) >= MOST_LOADED:
            _stand_ins.pop(next(iter(_stand_ins)), None)
        _stand_ins[detector_id] = (detector.config, bundle)
    return bundle


def _rules_that_load(detector: Detector) -> Bundle:
    """Raises NothingServes."""
    try:
        detector.spec()
        return rules_only(detector)
    except (UnreadableDeclaration, BundleError) as error:
        raise NothingServes(f"No bundle of {detector.slug} loads. {error}") from error


def _rules_only_manifest(config: dict[str, Any]) -> dict[str, Any]:
    return {"detector": config, "learner": "", "metrics": {}, "reference": {}}


def install_rules_only(detector: Detector) -> Deployment:
    """Deploy the declaration alone, as every new detector starts."""
    digest = write_bundle(bundle_root(), _rules_only_manifest(detector.config), {})
    return install(detector, slot=Deployment.Slot.CHAMPION, digest=digest, version=RULES_ONLY)


def install(
    detector: Detector,
    *,
    slot: str,
    digest: str,
    version: str,
    reviewed_at: datetime | None = None,
) -> Deployment:
    """Put a bundle into a slot. Raises BundleError, and changes nothing, if it does not load.

    `reviewed_at`: from when on its review term counts, by default from now on.
    """
    # From the disk even if this process remembers it: the other processes have yet to read it.
    load_bundle(bundle_root(), digest)
    read_again(digest)
    row, _ = Deployment.objects.update_or_create(
        detector=detector,
        slot=slot,
        defaults={
            "digest": digest,
            "version": version,
            "installed_at": timezone.now(),
            "reviewed_at": reviewed_at,
        },
    )
    return row
