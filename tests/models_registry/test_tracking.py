"""Versions at a real local MLflow store; and a server that is gone fails no training."""

import json
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from jobs.models import Job
from models_registry import tasks, tracking
from models_registry.importing import import_bundle
from models_registry.promotion import promote, roll_back
from models_registry.registry_models import TrackedRun
from models_registry.retraining import request_training
from models_registry.tracking import (
    TrackingError,
    overdue_runs,
    request_tracking,
    track_version,
)
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
GONE = "http://127.0.0.1:9"


@pytest.fixture
def version(payments_detector, payments_digest):
    return VersionFactory(
        detector=payments_detector, number=3, digest=payments_digest, parameters={"rate": 0.1}
    )


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """What the client leaves in the environment is gone after the test."""
    for name in ("TRACKING_URI", "REGISTRY_URI", "TRACKING_USERNAME", "TRACKING_PASSWORD"):
        monkeypatch.setenv(f"MLFLOW_{name}", "")
        monkeypatch.delenv(f"MLFLOW_{name}")


@pytest.fixture
def store(tmp_path, settings, monkeypatch):
    """A file store of MLflow's own, and a client that reads it."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    uri = (tmp_path / "store").as_uri()
    settings.MLFLOW_TRACKING_URI = uri
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.mark.filterwarnings("ignore")
def test_a_version_is_logged_with_everything_and_registered(store, version):
    row = track_version(version)
    run = store.get_run(row.run_id)
    assert row.status == TrackedRun.Status.LOGGED
    assert run.info.status == "FINISHED"
    assert run.data.params["learner.rate"] == "0.1"
    assert run.data.metrics["roc_auc"] == version.metrics["roc_auc"]
    assert run.data.tags["riskplatform.bundle_digest"] == version.digest
    files = {Path(file.path).name for file in store.list_artifacts(row.run_id, "bundle")}
    assert files == {"card.json", "curves.json", f"{version.digest}.zip"}
    assert row.registered_as == "riskplatform.payments/1"
    assert store.get_model_version("riskplatform.payments", "1").run_id == row.run_id


@pytest.mark.filterwarnings("ignore")
def test_a_version_that_came_as_a_file_is_logged_with_what_its_file_says(
    store, payments_detector, exported
):
    made = import_bundle(payments_detector, exported, actor=None)
    TrackedRun.objects.update(changed_at=timezone.now() - timedelta(hours=1))
    [due] = overdue_runs()
    run = store.get_run(track_version(due.version).run_id)
    assert run.data.metrics == {"roc_auc": 0.9, "rows": 10.0, "positives": 3.0}
    assert run.data.tags["riskplatform.bundle_digest"] == made.digest
    files = {Path(file.path).name for file in store.list_artifacts(run.info.run_id, "bundle")}
    assert files == {"card.json", "curves.json", f"{made.digest}.zip"}


@pytest.mark.filterwarnings("ignore")
def test_logging_twice_makes_one_run_and_one_registered_version(store, version):
    first = track_version(version).run_id
    TrackedRun.objects.update(run_id="", registered_as="", status="failed")
    assert track_version(version).run_id == first
    assert len(store.search_model_versions("name = 'riskplatform.payments'")) == 1


@pytest.mark.filterwarnings("ignore")
def test_after_a_move_to_another_server_a_version_is_logged_there(
    store, version, settings, tmp_path
):
    first = track_version(version)
    settings.MLFLOW_TRACKING_URI = f"file:{tmp_path / 'another'}"
    moved = track_version(version)
    assert moved.run_id != first.run_id
    assert (moved.status, moved.registered_as) == ("logged", "riskplatform.payments/1")
    assert track_version(version).run_id == moved.run_id


@pytest.mark.filterwarnings("ignore")
def test_a_version_that_was_deleted_in_the_servers_registry_is_registered_anew(store, version):
    store.delete_model_version("riskplatform.payments", track_version(version).registered_as[-1])
    promote(version, actor=None)
    assert track_version(version).registered_as == f"riskplatform.payments/{serving_at(store)[0]}"


@pytest.mark.filterwarnings("ignore")
def test_a_job_that_dies_after_the_new_run_was_made_registers_it_all_the_same(
    store, version, settings, tmp_path, monkeypatch
):
    track_version(version)
    settings.MLFLOW_TRACKING_URI = f"file:{tmp_path / 'another'}"
    with monkeypatch.context() as killed, pytest.raises(SystemExit):
        killed.setattr(tracking, "_log_files", lambda *args: sys.exit("killed"))
        track_version(version)
    row = track_version(version)
    there = tracking._client().get_model_version("riskplatform.payments", "1")
    assert (row.registered_as, there.run_id) == ("riskplatform.payments/1", row.run_id)


@pytest.mark.filterwarnings("ignore")
def test_nothing_is_left_where_the_worker_runs(store, version, tmp_path):
    track_version(version)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("ml")] == []


@pytest.mark.filterwarnings("ignore")
def test_the_card_arrives_as_json(store, version, tmp_path):
    run_id = track_version(version).run_id
    path = store.download_artifacts(run_id, "bundle/card.json", str(tmp_path))
    assert json.loads(Path(path).read_text())["bundle_digest"] == version.digest


@pytest.mark.filterwarnings("ignore")
def test_a_version_without_its_bundle_is_logged_all_the_same(store, payments_detector):
    row = track_version(VersionFactory(detector=payments_detector))
    assert row.status == TrackedRun.Status.LOGGED
    files = {Path(file.path).name for file in store.list_artifacts(row.run_id, "bundle")}
    assert files == {"card.json", "curves.json"}


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_gone_is_noted(settings, version, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    settings.MLFLOW_TRACKING_URI = GONE
    with pytest.raises(TrackingError):
        track_version(version)
    row = TrackedRun.objects.get()
    assert (row.status, row.attempts) == ("failed", 1)
    assert row.error


def serving_at(store):
    """The registered version that the alias points at, and its tags without the prefix."""
    found = store.get_model_version_by_alias("riskplatform.payments", "champion")
    return str(found.version), {name.partition(".")[2]: told for name, told in found.tags.items()}


@pytest.mark.filterwarnings("ignore")
def test_the_alias_follows_promotion_and_roll_back_with_when_and_by_whom(
    store, version, payments_detector, payments_digest, owner
):
    other = VersionFactory(detector=payments_detector, number=4, digest=payments_digest)
    track_version(version)
    track_version(other)
    for act, number, action, by in (
        (lambda: promote(version, actor=None), "1", "promote", "the platform"),
        (lambda: promote(other, actor=owner), "2", "promote", f"user {owner.pk}"),
        (lambda: roll_back(payments_detector, actor=owner), "1", "roll_back", f"user {owner.pk}"),
    ):
        decision = act()
        TrackedRun.objects.update(changed_at=timezone.now() - timedelta(hours=1))
        [due] = overdue_runs()
        track_version(due.version)
        said = {"decision": action, "decided_at": decision.at.isoformat(), "decided_by": by}
        assert serving_at(store) == (number, said | {"bundle_digest": payments_digest})


@pytest.mark.filterwarnings("ignore")
def test_a_promotion_adds_to_the_run_and_logs_nothing_twice(store, version, monkeypatch):
    run_id = track_version(version).run_id
    ended = store.get_run(run_id).info.end_time
    promote(version, actor=None)
    with monkeypatch.context() as patched:
        patched.setattr(tracking, "pack_bundle", fails)
        track_version(version)
    assert len(store.get_metric_history(run_id, "roc_auc")) == 1
    assert store.get_run(run_id).info.end_time == ended
    path = store.download_artifacts(run_id, "bundle/card.json")
    assert json.loads(Path(path).read_text())["stage"] == "champion"
    assert serving_at(store)[0] == "1"


@pytest.mark.filterwarnings("ignore")
def test_logging_again_sends_what_the_run_has_lost(store, version):
    row = track_version(version)
    kept = Path(store.get_run(row.run_id).info.artifact_uri.removeprefix("file://"))
    bundle = kept / "bundle" / f"{version.digest}.zip"
    bundle.unlink()
    track_version(version)
    assert bundle.is_file()


@pytest.mark.filterwarnings("ignore")
def test_a_promotion_while_its_version_is_logged_is_not_lost(store, version, monkeypatch):
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(tracking, "_mark_promotion", lambda *_: promote(version, actor=None))
        track_version(version)
    row = TrackedRun.objects.get()
    assert (row.status, row.registered_as) == ("waiting", "riskplatform.payments/1")
    track_version(version)
    assert serving_at(store)[0] == "1"
    assert TrackedRun.objects.get().status == "logged"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("code", "status"), [("ENDPOINT_NOT_FOUND", "logged"), ("PERMISSION_DENIED", "failed")]
)
def test_a_server_that_knows_no_alias_does_without(store, version, monkeypatch, code, status):
    from mlflow.exceptions import RestException

    def refuses(*args):
        raise RestException({"error_code": code, "message": "no"})

    monkeypatch.setattr(type(store), "set_registered_model_alias", refuses)
    promote(version, actor=None)
    with suppress(TrackingError):
        track_version(version)
    assert TrackedRun.objects.get().status == status


@pytest.mark.filterwarnings("ignore")
def test_parameters_and_metrics_are_not_sent_one_by_one(store, version, monkeypatch):
    for one_by_one in ("log_metric", "log_param"):
        monkeypatch.setattr(type(store), one_by_one, fails)
    run = store.get_run(track_version(version).run_id)
    assert (run.data.metrics["roc_auc"], run.data.params["learner.rate"]) == (0.91, "0.1")


def text_of(row):
    job = Job.objects.get()
    return " ".join((row.error, job.error, json.dumps(job.log), json.dumps(job.result)))


@pytest.mark.filterwarnings("ignore")
def test_a_password_in_the_servers_address_is_told_nowhere(settings, version, caplog, capfd):
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    settings.MLFLOW_TRACKING_URI = "http://svc:s3cret%2Dpass@127.0.0.1:9"
    tasks.track_version_task(request_tracking(version).pk)
    row = TrackedRun.objects.get()
    assert (row.status, "127.0.0.1" in row.error) == ("failed", True)
    said = text_of(row) + caplog.text + "".join(capfd.readouterr())
    assert "s3cret" not in said
    assert "svc" not in said


@pytest.mark.parametrize(
    "text",
    [
        "GET http://svc:s3cret%2Dpass@host/api failed",
        "the password s3cret-pass was refused",
        "postgresql://other:s3cret@db/mlflow is gone",
        "http://svc:s3cret%2Dpass@host: svc:s3cret%2Dpass@host",
    ],
)
def test_whatever_the_client_says_secrets_are_taken_out(settings, text):
    settings.MLFLOW_TRACKING_URI = "http://svc:s3cret%2Dpass@host"
    found = tracking.without_secrets(text)
    assert "s3cret" not in found
    settings.MLFLOW_TRACKING_URI = ""
    assert tracking.without_secrets("at http://host/a@b") == "at http://host/a@b"


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD"])
def test_what_logs_in_by_mlflows_own_variables_is_taken_out_too(settings, monkeypatch, name):
    """As a file of a secret with its line end is told in the error of a header."""
    settings.MLFLOW_TRACKING_URI = "http://host"
    monkeypatch.setenv(name, "s3cret-token\n")
    assert "s3cret" not in tracking.without_secrets("Invalid header value: 'Bearer s3cret-token'")


def test_a_version_that_kills_its_worker_has_been_tried(settings, version, monkeypatch):
    """And waits behind the others, which would never be logged otherwise."""

    def dies(*_):
        raise SystemExit

    settings.MLFLOW_TRACKING_URI = GONE
    row = TrackedRun.objects.create(version=version)
    monkeypatch.setattr(tracking, "_log", dies)
    with pytest.raises(SystemExit):
        tracking.track_version(version)
    now = TrackedRun.objects.get()
    assert now.attempts == row.attempts + 1
    assert now.changed_at > row.changed_at
    assert now.status == row.status


@pytest.mark.filterwarnings("ignore")
def test_who_logs_in_by_the_address_still_does(settings):
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    settings.MLFLOW_TRACKING_URI = "https://svc:s3cret%2Dpass@mlflow.example:5000/base"
    creds = tracking._client()._tracking_client.store.get_host_creds()
    assert creds.host == "https://mlflow.example:5000/base"
    assert (creds.username, creds.password) == ("svc", "s3cret-pass")


def test_a_variable_of_the_clients_that_is_set_to_nothing_is_not_set(settings, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "")
    settings.MLFLOW_TRACKING_URI = "https://svc:s3cret@mlflow.example:5000"
    creds = tracking._client()._tracking_client.store.get_host_creds()
    assert (creds.username, creds.password) == ("svc", "s3cret")
    assert not creds.token


def fails(*args):
    raise ConnectionError("the server is gone")


def test_without_a_server_nothing_is_tracked(settings, version):
    settings.MLFLOW_TRACKING_URI = ""
    promote(version, actor=None)
    assert request_tracking(version) is None
    assert overdue_runs() == []
    assert not TrackedRun.objects.exists()


def test_a_failing_server_fails_no_training(settings, monkeypatch):
    settings.MLFLOW_TRACKING_URI = GONE
    monkeypatch.setattr(tracking, "_client", fails)
    monkeypatch.setattr("models_registry.training.timezone.now", lambda: KNOWN_AT)
    sent = []
    monkeypatch.setattr(tasks, "announce_job", sent.append)
    detector = detector_of(learning_config())
    history(detector, events=400)
    job = request_training(detector, requested_by=None)
    tasks.train_task(job.pk)
    job.refresh_from_db()
    assert (job.status, job.error) == ("succeeded", "")
    assert [one.kind for one in sent] == [tracking.TRACK_VERSION]
    tasks.track_version_task(sent[0].pk)
    row = TrackedRun.objects.get()
    assert (row.status, row.error) == ("failed", "ConnectionError: the server is gone")
    assert Job.objects.get(pk=sent[0].pk).status == "failed"


def test_beat_tries_again_what_was_not_taken_and_gives_up_in_the_end(
    settings, version, monkeypatch
):
    settings.MLFLOW_TRACKING_URI = GONE
    sent = []
    monkeypatch.setattr(tasks, "announce_job", sent.append)
    row = TrackedRun.objects.create(version=version, status="failed", attempts=1)
    tasks.track_overdue()
    assert sent == []
    TrackedRun.objects.update(changed_at=timezone.now() - timedelta(hours=1))
    tasks.track_overdue()
    assert [job.params for job in sent] == [{"version": version.pk}]
    TrackedRun.objects.update(attempts=tracking.MOST_ATTEMPTS)
    assert overdue_runs() == []
    assert row.pk


def test_a_silent_server_is_asked_for_one_version_at_a_time(
    settings, version, payments_detector, monkeypatch
):
    settings.MLFLOW_TRACKING_URI = GONE
    sent, long_ago = [], timezone.now() - timedelta(hours=1)
    monkeypatch.setattr(tasks, "announce_job", sent.append)
    others = [VersionFactory(detector=payments_detector, number=n) for n in (4, 5)]
    for waiting in (version, *others):
        TrackedRun.objects.create(version=waiting)
    TrackedRun.objects.update(changed_at=long_ago)
    TrackedRun.objects.filter(version=others[1]).update(changed_at=long_ago - timedelta(hours=1))
    tasks.track_overdue()
    assert [job.params["version"] for job in sent] == [others[1].pk]
    monkeypatch.setattr(tracking, "_client", fails)
    tasks.track_version_task(sent[0].pk)
    assert len(sent) == 1
    monkeypatch.setattr(tracking, "_log", lambda *_: None)
    tasks.track_overdue()
    tasks.track_version_task(sent[1].pk)
    assert {job.params["version"] for job in sent[1:]} == {version.pk, others[0].pk}
