"""`/health`, `/livez`, `/readyz` for machines; `/api/v1/health` for who operates the platform."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from riskplatform import health
from scoring import breakers, deployment, outages
from scoring.core.bundle import write_bundle
from scoring.models import Deployment
from scoring.policies import set_policy
from tests.factories import trained_payments

pytestmark = pytest.mark.django_db
URL = "/api/v1/health"


@pytest.fixture
def reader(api):
    return api("models:read")


def gone(*args, **kwargs):
    raise OperationalError("gone")


def test_liveness_and_readiness_need_no_key(client):
    assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok", "database": "ok"}
    assert client.get("/health").json()["status"] == "ok"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics"])
@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_a_probe_by_another_method_is_405_and_asked_for_no_form_token(path, method):
    response = getattr(Client(enforce_csrf_checks=True), method)(path)
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


def test_without_a_database_the_process_lives_and_is_not_ready(client, monkeypatch):
    monkeypatch.setattr(health.connection, "cursor", gone)
    monkeypatch.setattr(health, "versions_in_service", gone)
    assert client.get("/livez").status_code == 200
    for path in ("/readyz", "/health"):
        response = client.get(path)
        assert (response.status_code, response["Retry-After"]) == (503, "5")


@pytest.fixture
def full_disk(monkeypatch):
    """Of the embedded database."""
    if connection.vendor != "sqlite":
        pytest.skip("about the embedded database")
    monkeypatch.setattr(health, "disk_usage", lambda path: SimpleNamespace(free=4096))


@pytest.mark.parametrize("path", ["/readyz", "/health"])
def test_on_a_full_disk_the_process_lives_and_is_not_ready(client, full_disk, path):
    assert client.get("/livez").status_code == 200
    response = client.get(path)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.json() == {"status": "unavailable", "database": "full"}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about the embedded database")
@pytest.mark.parametrize(("full", "code"), [("data", 503), ("var", 200)])
def test_the_disk_that_holds_the_database_counts(
    client, monkeypatch, settings, tmp_path, full, code
):
    """Which `DATABASE_URL` may have put elsewhere."""
    settings.VAR_DIR = tmp_path / "var"
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "data" / "risk.db"))
    disk = tmp_path / full
    monkeypatch.setattr(
        health,
        "disk_usage",
        lambda path: SimpleNamespace(free=4096 if Path(path).is_relative_to(disk) else 1 << 40),
    )
    assert client.get("/readyz").status_code == code


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about the embedded database")
@pytest.mark.parametrize("name", [":memory:", "file:kept?mode=memory", "/nowhere/risk.db"])
def test_a_database_without_a_file_is_ready_when_it_answers(client, monkeypatch, name):
    monkeypatch.setitem(connection.settings_dict, "NAME", name)
    assert client.get("/readyz").json() == {"status": "ok", "database": "ok"}


def test_a_full_disk_degrades(reader, full_disk):
    response = reader.get(URL)
    body = response.json()
    assert (response.status_code, body["status"], body["database"]) == (200, "degraded", "full")


@pytest.mark.parametrize(("why", "found"), [(outages.FULL, "full"), (outages.GONE, "ok")])
def test_a_full_disk_that_scoring_met_is_told_of_a_server_too(reader, why, found):
    for _ in range(breakers.breaker("database").failures):
        breakers.breaker("database").failed(why)
    body = reader.get(URL).json()
    assert (body["status"], body["database"]) == ("degraded", found)


def test_every_part_is_named(reader, champion):
    response = reader.get(URL)
    assert response.status_code == 200, response.content
    body = response.json()
    assert (body["database"], body["broker"]) == ("ok", "ok")
    assert body["models"] == {"payments": "v1"}
    assert body["model"] == {"detector": "creditcard", "state": "missing", "model_version": None}


@pytest.fixture
def card_health(monkeypatch):
    """`payments` in the place of the detectors that health names."""
    monkeypatch.setitem(health.NAMED, "fraud_model", "payments")
    monkeypatch.setattr(health, "CREDITCARD", "payments")


def test_a_bundle_that_does_not_load_is_not_told_as_the_version_that_answers(
    client, reader, payments_detector, bundle_dir, card_health
):
    digest = write_bundle(bundle_dir, *trained_payments())
    deployment.install(payments_detector, slot="champion", digest=digest, version="v1")
    path = bundle_dir / digest / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert client.get("/health").json()["fraud_model"] == "rules-only"
    body = reader.get(URL).json()
    assert (body["status"], body["models"]) == ("degraded", {"payments": "rules-only"})
    assert (body["model"]["state"], body["model"]["model_version"]) == ("rules-only",) * 2


def test_a_model_past_its_review_date_is_not_ok(reader, analyst, champion, card_health):
    assert reader.get(URL).json()["model"]["state"] == "ok"
    set_policy(champion, review_after=86400.0, author=analyst)
    Deployment.objects.update(installed_at=timezone.now() - timedelta(days=2))
    assert reader.get(URL).json()["model"]["state"] == "overdue"


def test_an_open_breaker_shows(reader, monkeypatch):
    states = {"database": "CLOSED", "model:creditcard": "OPEN"}
    monkeypatch.setattr(breakers, "states", lambda: states)
    body = reader.get(URL).json()
    assert body["circuit_breakers"] == states
    assert body["status"] == "degraded"


def test_a_part_that_is_gone_degrades(reader, monkeypatch):
    monkeypatch.setattr(health.cache, "get", gone, raising=False)
    monkeypatch.setattr(health, "current_app", object())
    body = reader.get(URL).json()
    assert (body["status"], body["broker"]) == ("degraded", "unreachable")


def test_the_database_gone_is_503(reader, monkeypatch):
    monkeypatch.setattr(health, "versions_in_service", gone)
    response = reader.get(URL)
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0


def test_who_may_not_read_models_may_not_see_the_parts(client, api, outsider, analyst):
    assert client.get(URL).status_code == 401
    assert api("score").get(URL).status_code == 403
    client.force_login(outsider)
    assert client.get(URL).status_code == 403
    client.force_login(analyst)
    assert client.get(URL).status_code == 200
