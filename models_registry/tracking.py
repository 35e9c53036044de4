"""Versions at an MLflow tracking server: run, parameters, metrics, artefacts, registered version.

On when MLFLOW_TRACKING_URI is set; needs `pip install -r requirements-mlflow.lock` in the worker.
What makes a version only notes that it is to be there (`tracked`), so the server may be slow or
gone; the row remembers what is missing and beat asks again.
"""

import json
import logging
import os
import re
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from accounts.models import User
from accounts.typed import storable
from jobs.models import Job
from jobs.progress import JobProgress
from jobs.services import enqueue_job
from models_registry.bundle_files import ExchangeError
from models_registry.card import model_card
from models_registry.core.kept_metrics import as_told
from models_registry.exporting import pack_bundle
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.registry_models import TrackedRun
from models_registry.selectors import documented_versions
from models_registry.tracked import is_tracking, note_tracking

logger = logging.getLogger(__name__)
TRACK_VERSION = "models_registry.track_version"
RETRY_AFTER = timedelta(minutes=10)
MOST_ATTEMPTS = 12
DIGEST_TAG = "riskplatform.bundle_digest"
CHAMPION_ALIAS = "champion"
# What servers older than MLflow 2.3 say to an alias.
UNKNOWN_THERE = ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED")
EXPERIMENT = "riskplatform"
LONGEST_PARAMETER = 500
NOT_INSTALLED = (
    "mlflow-skinny is not installed where the worker runs: pip install -r requirements-mlflow.lock"
)
# The client's own patience is minutes of retries; ours is a job that comes again.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
# Else the client prints the run's address, and who may log in there, into the worker's output.
DISCREET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
USERINFO = re.compile(r"(?<=://)[^\s/?#]*@")
SHORTEST_SECRET = 4
SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")


class TrackingError(Exception):
    """The tracking server did not take a version; the message says why."""


def request_tracking(version: ModelVersion, *, requested_by: User | None = None) -> Job | None:
    """Queue the tracking of a version; None without a tracking server."""
    if not is_tracking():
        return None
    note_tracking(version)
    return enqueue_job(
        kind=TRACK_VERSION,
        params={"version": version.pk},
        unique_key=f"track:{version.pk}",
        requested_by=requested_by,
        subject=str(version),
    )


def overdue_runs() -> list[TrackedRun]:
    """What is not at the server, was not tried for ten minutes, and not too often, the oldest
    first."""
    if not is_tracking():
        return []
    rows = TrackedRun.objects.exclude(status=TrackedRun.Status.LOGGED).filter(
        changed_at__lt=timezone.now() - RETRY_AFTER, attempts__lt=MOST_ATTEMPTS
    )
    return list(rows.select_related("version__detector").order_by("changed_at")[:20])


def tries_left(row: TrackedRun) -> str:
    """Whether beat tries it again, in words. One version at a time: see `tasks`."""
    left = MOST_ATTEMPTS - row.attempts
    if left <= 0:
        return "It is not tried again by itself: press 'Try again' on its page."
    minutes = f"{RETRY_AFTER.total_seconds() / 60:.0f}"
    return (
        f"It is tried again by itself, {left} more time{'s' * (left > 1)}: one version every"
        f" {minutes} minutes until the server takes one."
    )


def run_tracking(job: Job, progress: JobProgress) -> dict[str, Any]:
    """The work of a tracking job. Raises TrackingError once what went wrong is on the row."""
    version = documented_versions().get(pk=job.params["version"])
    progress.report(0.1, "Logging to the tracking server")
    run = track_version(version)
    return {"version": version.pk, "run": run.run_id, "registered_as": run.registered_as}


def track_version(version: ModelVersion) -> TrackedRun:
    """Log a version, or go on where an earlier try ended. Raises TrackingError."""
    row, _ = TrackedRun.objects.get_or_create(version=version)
    row.attempts += 1
    # Whoever dies of it has tried it, and does not stand first again.
    row.save(update_fields=["attempts", "changed_at"])
    row.status, row.error = TrackedRun.Status.LOGGED, ""
    try:
        _log(version, row)
    except Exception as error:  # The client raises what its transports raise.
        row.status = TrackedRun.Status.FAILED
        row.error = storable(without_secrets(f"{type(error).__name__}: {error}"))[:2000]
    _save(row)
    if row.error:
        # Not from the client's error, whose text would be logged with it.
        raise TrackingError(row.error)
    return row


def _save(row: TrackedRun) -> None:
    """How the try ended; only how far it came where the version was promoted meanwhile, which
    leaves it waiting (`tracked.note_promotion`)."""
    came_to = {"run_id": row.run_id, "registered_as": row.registered_as}
    own = TrackedRun.objects.filter(pk=row.pk)
    ended = own.filter(attempts=row.attempts).update(
        status=row.status, error=row.error, changed_at=timezone.now(), **came_to
    )
    if not ended:
        own.update(**came_to)


def without_secrets(text: str) -> str:
    """The text without who logs in, and with what: in any address, or by MLflow's own variables."""
    given = settings.MLFLOW_TRACKING_URI.partition("://")[2].rpartition("@")[0]
    password = given.partition(":")[2]
    own = [os.environ.get(name, "").strip() for name in SECRETS]
    for secret in (f"{given}@", password, unquote(password), *own):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "")
    return USERINFO.sub("", text)


def _client() -> Any:
    uri, access = _address(settings.MLFLOW_TRACKING_URI)
    for name, value in (PATIENCE | DISCREET | access).items():
        # What is set to nothing is not set.
        os.environ[name] = os.environ.get(name) or value
    try:
        # An optional package, heavy, and wanted by this job alone.
        from mlflow.tracking import MlflowClient, set_registry_uri, set_tracking_uri
    except ImportError as error:
        raise TrackingError(NOT_INSTALLED) from error
    # Parts of the client ask for the process's own address, which else is a database made here.
    set_tracking_uri(uri)
    set_registry_uri(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _address(uri: str) -> tuple[str, dict[str, str]]:
    """The address of a server without who logs in, and the client's variables that say it."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return uri, {}
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return bare, {
        "MLFLOW_TRACKING_USERNAME": unquote(parts.username or ""),
        "MLFLOW_TRACKING_PASSWORD": unquote(parts.password or ""),
    }


def _log(version: ModelVersion, row: TrackedRun) -> None:
    client = _client()
    card = model_card(version)
    if row.run_id and not _is_there(client, row.run_id):
        row.run_id = row.registered_as = ""  # of a server before this one, or deleted there
    if not row.run_id:
        row.run_id = _run_of(client, version)
        row.save(update_fields=["run_id", "registered_as"])
    run = client.get_run(row.run_id)
    _log_numbers(client, version, run)
    _log_files(client, version, row.run_id, card)
    row.registered_as = _register(client, version, row.run_id)
    _mark_promotion(client, version, row.registered_as)
    # Else the run would last until the newest promotion of its version.
    if run.info.status != "FINISHED":
        client.set_terminated(row.run_id)


def _is_there(client: Any, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _run_of(client: Any, version: ModelVersion) -> str:
    """The run that carries the bundle's digest, made now if there is none: a job may run twice."""
    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
    tags = {
        DIGEST_TAG: version.digest,
        "riskplatform.detector": version.detector.slug,
        "riskplatform.version": version.label,
        "riskplatform.dataset_digest": version.dataset.digest,
    }
    asked = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    runs = client.search_runs([experiment], filter_string=asked, max_results=1)
    if runs:
        return str(runs[0].info.run_id)
    run = client.create_run(experiment, run_name=str(version), tags=tags)
    return str(run.info.run_id)


def _log_numbers(client: Any, version: ModelVersion, run: Any) -> None:
    """The parameters and metrics that the run does not hold yet, together: a call for each would
    take minutes of a slow server, and a metric that is sent again is a second point of its line."""
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    metrics = [
        Metric(name, float(value), now, 0)
        for name, value in as_told(version.metrics).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
        if run.data.metrics.get(name) != float(value)
    ]
    params = [
        Param(name, value)
        for name, value in _parameters(version).items()
        if name not in run.data.params
    ]
    if metrics or params:
        client.log_batch(run.info.run_id, metrics=metrics, params=params)


def _parameters(version: ModelVersion) -> dict[str, str]:
    found = {f"learner.{name}": value for name, value in version.parameters.items()}
    found |= {
        "detector": version.detector.slug,
        "learner": version.learner,
        "dataset_rows": version.dataset.rows,
        "dataset_positives": version.dataset.positives,
    }
    return {name: str(value)[:LONGEST_PARAMETER] for name, value in found.items()}


def _log_files(client: Any, version: ModelVersion, run_id: str, card: dict[str, Any]) -> None:
    """Card and curves as they are now, and the bundle, which never changes, unless it is there."""
    bundle = f"{version.digest}.zip"
    there = {Path(file.path).name for file in client.list_artifacts(run_id, "bundle")}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        for name, content in {"card.json": card, "curves.json": version.curves}.items():
            text = json.dumps(content, cls=DjangoJSONEncoder, indent=1, sort_keys=True)
            (place / name).write_text(text)
        try:
            if bundle not in there:
                (place / bundle).write_bytes(pack_bundle(version))
        except ExchangeError as error:
            logger.warning("%s is tracked without its bundle: %s", version, error)
        client.log_artifacts(run_id, folder, "bundle")


def _register(client: Any, version: ModelVersion, run_id: str) -> str:
    """Register the run's bundle as a version of the detector's model; `name/number`."""
    name = f"{EXPERIMENT}.{version.detector.slug}"
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name)
    known = client.search_model_versions(f"name = '{name}'")
    same = [found for found in known if found.run_id == run_id]
    if same:
        return f"{name}/{same[0].version}"
    source = f"{client.get_run(run_id).info.artifact_uri}/bundle"
    made = client.create_model_version(
        name, source=source, run_id=run_id, tags={DIGEST_TAG: version.digest}
    )
    return f"{name}/{made.version}"


def _mark_promotion(client: Any, version: ModelVersion, registered_as: str) -> None:
    """Say at the registered version when and by whom it was last put into service, and point the
    alias at it if it serves. A server that knows no alias does without."""
    from mlflow.exceptions import MlflowException

    name, _, number = registered_as.rpartition("/")
    decision = PromotionDecision.objects.filter(version=version).first()
    if decision is None:
        return
    by = "the platform" if decision.actor_id is None else f"user {decision.actor_id}"
    tags = {"decision": decision.action, "decided_at": decision.at.isoformat(), "decided_by": by}
    try:
        for tag, value in tags.items():
            client.set_model_version_tag(name, number, f"{EXPERIMENT}.{tag}", value)
        # Another one may have been promoted while this one was logged.
        version.refresh_from_db(fields=["stage"])
        if version.stage == ModelVersion.Stage.CHAMPION:
            client.set_registered_model_alias(name, CHAMPION_ALIAS, number)
    except MlflowException as error:
        if error.error_code not in UNKNOWN_THERE:
            raise
        logger.warning("%s: the tracking server keeps no aliases or tags of versions.", version)
