"""Does everything that the registry stands on still hold? What does not, and what to do.

Nothing here repairs anything: it looks, re-hashes, counts, and tells people.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Case, Exists, Max, OuterRef, Value, When
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.quantities import counted
from cases.selectors import lack_of_rates
from jobs.models import Job
from jobs.services import LOST_AFTER
from jobs.workflow import JobStatus
from models_registry.artefacts import ArtefactError, read_artefact
from models_registry.integrity_report import FAULT, WARNING, Finding, Report
from models_registry.models import ModelVersion
from models_registry.registry_models import Artefact, TrackedRun
from models_registry.retraining_models import RetrainingPolicy
from models_registry.selectors import last_trained
from models_registry.shadow_time import too_little_time
from models_registry.timetable import timetables
from models_registry.tracking import tries_left
from models_registry.workers import workers_answering
from scoring.core.bundle import BundleError, declared_by, fault_at, read_files, read_manifest
from scoring.core.reader import SpecError, UnreadableDeclaration
from scoring.deployment import bundle_root
from scoring.models import Deployment, Detector, Prediction
from scoring.shortfalls import all_shortfalls, review_due

WAITING_LONG = timedelta(minutes=5)
BEAT_SILENT = timedelta(minutes=10)
CLOCKS_APART = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
MOST_HASHED = 40
"""Bundles read byte by byte beside all that serve; of others it is only seen that they exist."""
KEPT = (ModelVersion.Stage.CHAMPION, ModelVersion.Stage.CHALLENGER, ModelVersion.Stage.RETIRED)


def check_integrity(*, now: datetime | None = None) -> Report:
    """Look at everything; the number of queries does not depend on how much there is."""
    at = now or timezone.now()
    versions = _versions()
    detectors = list(Detector.objects.order_by("name"))
    deployed = list(Deployment.objects.select_related("detector"))
    serving = frozenset(row.digest for row in deployed)
    whole = _whole(versions, serving)
    findings = [
        *_bundles(versions, deployed, whole),
        *_declarations(detectors),
        *_features(versions, whole),
        *_stale(versions, deployed, at),
        *_time_in_shadow(versions),
        *_data_gone(versions),
        *_artefacts(),
        *_workers(at),
        *_beat(at),
        *_jobs(at),
        *_shortfalls(),
        *_tracking(),
    ]
    others = len({version.digest for version in versions} - whole)
    looked_for = f", {counted(others, 'other')} looked for" * (others > 0)
    checked = (
        f"{counted(len(whole), 'bundle')} re-hashed byte by byte{looked_for}",
        f"{counted(len(detectors), 'detector')} compared with what their versions read",
    )
    findings.sort(key=lambda found: found.level != FAULT)
    return Report(tuple(findings), checked, at)


def _versions() -> list[ModelVersion]:
    """Those that serve, may serve or served: champions, challengers, then retired ones; of each
    the newest by when it came here, whatever an imported file says of itself."""
    rows = ModelVersion.objects.filter(stage__in=KEPT).select_related(
        "detector__retraining_policy", "dataset"
    )
    place = Case(*(When(stage=stage, then=Value(n)) for n, stage in enumerate(KEPT)))
    return list(rows.defer("curves", "comparison", "metrics").order_by(place, "-pk"))


def _whole(versions: Sequence[ModelVersion], serving: frozenset[str]) -> frozenset[str]:
    """The bundles that are read byte by byte: all that serve, then the first of the others."""
    champions = {row.digest for row in versions if row.stage == ModelVersion.Stage.CHAMPION}
    others = [row.digest for row in versions if row.digest not in serving | champions]
    return serving | champions | frozenset(others[:MOST_HASHED])


def _bundles(
    versions: Sequence[ModelVersion], deployed: Sequence[Deployment], whole: frozenset[str]
) -> Iterator[Finding]:
    serving = {row.digest for row in deployed}
    known = {version.digest for version in versions}
    for version in versions:
        serves = version.digest in serving
        problem = _damage(version.digest, whole=version.digest in whole)
        if problem:
            then = "rules alone may serve" if serves else "it cannot serve"
            yield Finding(
                "bundle",
                FAULT if serves else WARNING,
                str(version),
                problem,
                f"{_if_elsewhere(version.digest)}Import a file of it that was exported before,"
                f" restore its folder from a backup, or train again; until then {then}.",
                version.detector.slug,
                version.get_absolute_url(),
            )
    for row in deployed:
        if row.digest not in known and (problem := _damage(row.digest, whole=True)):
            yield Finding(
                "bundle",
                FAULT,
                f"{row.detector.slug} {row.version}",
                problem,
                f"{_if_elsewhere(row.digest)}Promote a version whose bundle is whole, or run"
                " `manage.py load_detectors`.",
                row.detector.slug,
                row.detector.get_absolute_url(),
            )


def _if_elsewhere(digest: str) -> str:
    """What to look at first where all of a bundle is missing: other hosts may have it."""
    if (bundle_root() / digest).exists():
        return ""
    return (
        f"It is not in {bundle_root()} of this host: if it is on another, let all hosts of web and"
        " workers share one folder (RISK_BUNDLE_DIR). Otherwise: "
    )


def _damage(digest: str, *, whole: bool) -> str:
    place = bundle_root() / digest
    if not whole:
        return "" if place.is_dir() else f"Bundle {digest[:12]} is gone."
    try:
        read_files(place, digest)
        return fault_at(place, digest)
    except (BundleError, ValueError, KeyError) as error:
        return str(error)


def _declarations(detectors: Sequence[Detector]) -> Iterator[Finding]:
    for detector in detectors:
        try:
            detector.spec()
        except UnreadableDeclaration as error:
            yield Finding(
                "declaration",
                FAULT,
                detector.name,
                f"{error.fault} Nothing is trained, promoted or watched.",
                error.remedy,
                detector.slug,
                detector.get_absolute_url(),
            )


def _features(versions: Sequence[ModelVersion], whole: frozenset[str]) -> Iterator[Finding]:
    """Where a version that serves or waits reads other features than its detector declares."""
    for version in versions:
        if version.stage == ModelVersion.Stage.RETIRED or version.digest not in whole:
            continue
        try:
            manifest = read_manifest(bundle_root() / version.digest, version.digest)
            theirs = {f.name: f.raw for f in declared_by(manifest, version.digest).features}
            declared = {f.name: f.raw for f in version.detector.spec().features}
        except (BundleError, SpecError, KeyError, ValueError):
            continue  # Told as a damaged bundle, or as a declaration.
        missing = sorted(declared.keys() - theirs.keys())
        dropped = sorted(theirs.keys() - declared.keys())
        changed = sorted(k for k in declared.keys() & theirs.keys() if declared[k] != theirs[k])
        said = [
            f"{what} {', '.join(names[:6])}{' and more' * (len(names) > 6)}"
            for what, names in (
                ("declared, but not in the bundle:", missing),
                ("in the bundle, but no longer declared:", dropped),
                ("declared otherwise since:", changed),
            )
            if names
        ]
        if said:
            yield Finding(
                "feature",
                WARNING,
                str(version),
                f"Features {'; '.join(said)}.",
                f"Train {version.detector.slug} again, so that what serves reads what is declared.",
                version.detector.slug,
                version.get_absolute_url(),
            )


def _stale(
    versions: Sequence[ModelVersion], deployed: Sequence[Deployment], now: datetime
) -> Iterator[Finding]:
    """By the term and the policy in force, whether they were declared or set on a page."""
    rows = {row.detector_id: row for row in deployed if row.slot == Deployment.Slot.CHAMPION}
    newest = last_trained()
    for version in versions:
        if version.stage != ModelVersion.Stage.CHAMPION:
            continue
        detector, row = version.detector, rows.get(version.detector_id)
        try:
            due = review_due(row) if row else None
            policy = _policy(detector)
        except SpecError:
            continue
        if due is not None and due <= now:
            text = f"Its review was due on {due:%Y-%m-%d}: rules decide alone."
            remedy = "Promote a version that was reviewed, or extend the term under Retraining."
            yield _stale_one(version, FAULT, text, remedy)
        age = now - newest.get(detector.pk, version.trained_at)
        if policy.on_age and age > 2 * policy.age:
            text = f"Nothing was trained for {age.days} days, more than twice what its policy says."
            remedy = "Train it again; if nothing is due, look whether labels still come in."
            yield _stale_one(version, WARNING, text, remedy)


def _stale_one(version: ModelVersion, level: str, text: str, remedy: str) -> Finding:
    url = version.get_absolute_url()
    return Finding("stale", level, str(version), text, remedy, version.detector.slug, url)


def _time_in_shadow(versions: Sequence[ModelVersion]) -> Iterator[Finding]:
    """Where newer versions come sooner than a verdict on the former ones."""
    served = {v.detector_id: v.detector for v in versions if v.stage == ModelVersion.Stage.CHAMPION}
    clocks = timetables(served.values())
    remedy = "Train less often, or let more challengers be in shadow (RISK_SHADOW_MOST)."
    for detector in served.values():
        try:
            policy = _policy(detector)
            text = too_little_time(detector, policy, clocks[detector.pk])
        except SpecError:
            continue
        if text and detector.enabled:
            url = reverse("retraining", args=[detector.slug])
            yield Finding("shadow", WARNING, detector.name, text, remedy, detector.slug, url)


def _policy(detector: Detector) -> RetrainingPolicy:
    saved: RetrainingPolicy | None = getattr(detector, "retraining_policy", None)
    return saved or RetrainingPolicy.declared(detector)


def _data_gone(versions: Sequence[ModelVersion]) -> Iterator[Finding]:
    """Versions whose first or last event is stored no more: their training cannot be repeated."""

    def stored(column: str) -> Exists:
        moment = OuterRef(f"dataset__{column}")
        return Exists(
            Prediction.objects.filter(
                detector=OuterRef("detector"),
                event_time__gte=moment - SECOND,
                event_time__lte=moment + SECOND,
            )
        )

    rows = (
        ModelVersion.objects.filter(pk__in=[version.pk for version in versions[:MOST_HASHED]])
        .exclude(lineage__origin="imported")
        .annotate(first=stored("first_event_at"), last=stored("last_event_at"))
        .exclude(first=True, last=True)
        .values_list("pk", flat=True)
    )
    gone = set(rows)
    for version in versions:
        if version.pk in gone:
            yield Finding(
                "data",
                WARNING,
                str(version),
                "Events of its data are stored no more: it cannot be trained again on the same.",
                "Expected where they were deleted on purpose; else restore them from a backup.",
                version.detector.slug,
                version.get_absolute_url(),
            )


def _artefacts() -> Iterator[Finding]:
    rows = Artefact.objects.select_related("version__detector").order_by("-made_at")[:MOST_HASHED]
    for artefact in rows:
        try:
            read_artefact(artefact)
        except ArtefactError as error:
            yield Finding(
                "artefact",
                WARNING,
                str(artefact.version),
                str(error),
                "Explain it again on its page.",
                artefact.version.detector.slug,
                reverse("model_explanation", args=[artefact.version.pk]),
            )


def _workers(now: datetime) -> Iterator[Finding]:
    answering = workers_answering()
    if answering:
        return
    if answering is None:
        yield _silent_broker()
        return
    waiting = Job.objects.filter(status=JobStatus.QUEUED).count()
    running = Job.objects.filter(status=JobStatus.RUNNING, heartbeat_at__gte=now - LOST_AFTER)
    if running.exists():
        return  # It is at work; the smallest pools answer only in between.
    yield Finding(
        "worker",
        FAULT if waiting else WARNING,
        "Worker",
        f"No worker answers; {counted(waiting, 'job')} to be done.",
        "Start one: `manage.py runplatform`, or `celery -A riskplatform worker --pool=threads`.",
        url=reverse("job_list"),
    )


def _silent_broker() -> Finding:
    return Finding(
        "worker",
        FAULT,
        "Broker",
        "It does not answer, so whether a worker is up is not known. Jobs wait in the database.",
        "Look at the broker (REDIS_URL). What waits is announced again once it is back.",
        url=reverse("job_list"),
    )


def _beat(now: datetime) -> Iterator[Finding]:
    # What was written while a clock was ahead says nothing of this moment.
    told = PeriodicTask.objects.filter(enabled=True, last_run_at__lt=now + CLOCKS_APART)
    last = told.aggregate(last=Max("last_run_at"))["last"]
    if last is not None and now - last <= BEAT_SILENT:
        return
    said = "It has never run" if last is None else f"It last ran {last:%Y-%m-%d %H:%M} UTC"
    text = f"{said}: sweeps, retraining and drift checks do not happen."
    remedy = "Start it: `manage.py runplatform`, or `celery -A riskplatform beat`."
    yield Finding("beat", FAULT, "Beat", text, remedy)


def _jobs(now: datetime) -> Iterator[Finding]:
    silent = Job.objects.filter(status=JobStatus.RUNNING, heartbeat_at__lt=now - LOST_AFTER)
    waiting = Job.objects.filter(status=JobStatus.QUEUED, queued_at__lt=now - WAITING_LONG)
    for job in silent.order_by("heartbeat_at")[:10]:
        yield Finding(
            "job",
            FAULT,
            f"Job {job.pk}: {job}",
            f"It says it runs, but has not been heard of since {job.heartbeat_at:%H:%M:%S} UTC.",
            "Beat gives it to another worker within a minute; if it does not, start beat.",
            url=reverse("job_detail", args=[job.pk]),
        )
    for job in waiting.order_by("queued_at")[:10]:
        yield Finding(
            "job",
            WARNING,
            f"Job {job.pk}: {job}",
            f"It has waited since {job.queued_at:%Y-%m-%d %H:%M} UTC.",
            "Start a worker, or wait for the jobs before it.",
            url=reverse("job_detail", args=[job.pk]),
        )


def _shortfalls() -> Iterator[Finding]:
    """Rules and lists in force that do not do what they say, amounts that nothing compares."""
    for found in all_shortfalls():
        if found.kind in ("rule", "list"):
            yield Finding(
                found.kind,
                FAULT if found.degrades else WARNING,
                f"{found.detector} {found.subject}",
                found.text,
                "Edit or retire the rule." if found.kind == "rule" else "Synchronise the list.",
                found.detector,
            )
    url = reverse("exchange_rates")
    if lack := lack_of_rates():
        yield Finding("rate", WARNING, "Amounts", lack, "Set the rates.", url=url)


def _tracking() -> Iterator[Finding]:
    rows = TrackedRun.objects.filter(status=TrackedRun.Status.FAILED)
    for run in rows.select_related("version__detector").order_by("-changed_at")[:10]:
        yield Finding(
            "tracking",
            WARNING,
            str(run.version),
            f"{'What was decided since' if run.registered_as else 'It'} is not at the tracking"
            f" server after {run.attempts} tries: {run.error[:300]}",
            f"{tries_left(run)} Look at MLFLOW_TRACKING_URI and the server.",
            run.version.detector.slug,
            run.version.get_absolute_url(),
        )
