"""`/metrics`: Prometheus text from the running totals."""

import json
from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from riskplatform import metrics
from scoring import measuring
from scoring.policy_models import Watchlist
from tests.factories import payment, risky_payment, scored
from tests.models_registry.drifting import kept_check

pytestmark = pytest.mark.django_db


def read(client, **headers):
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 200, response.content
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def test_predictions_are_counted_by_decision_and_level(client, champion):
    scored("payments", payment())
    scored("payments", risky_payment())
    found = read(client)
    assert found["riskplatform_predictions_total", "APPROVE", "payments"] == 1
    levels = {k: v for k, v in found.items() if k[0].startswith("riskplatform_transactions")}
    assert sum(levels.values()) == 2
    assert found["riskplatform_predictions_degraded_total", "payments"] == 0
    assert found["riskplatform_scoring_seconds_total", "payments"] > 0
    assert found["riskplatform_model_info", "payments", "v1"] == 1


def test_latency_is_a_histogram_and_counts_requests(client, api, champion):
    before = read(client).get(("riskplatform_score_seconds_count", "payments"), 0)
    body = json.dumps(payment())
    api("score").post("/detect", body, content_type="application/json")
    found = read(client)
    assert found["riskplatform_score_seconds_count", "payments"] == before + 1
    assert found["riskplatform_score_seconds_bucket", "+Inf", "payments"] == before + 1


def test_cache_hits_are_counted(client, api, fraud_detector, monkeypatch):
    name = ("riskplatform_prediction_cache_total", "hit")
    before = read(client).get(name, 0)
    monkeypatch.setattr(measuring.cache, "hits", measuring.cache.hits + 3)
    measuring.note_scored("fraud", 0.001)
    assert read(client)[name] == before + 3


def test_drift_of_the_newest_check_is_shown(client, champion):
    kept_check(champion, hours_ago=1, status="moderate", max_psi=9.0)
    check = kept_check(champion)
    found = read(client)
    assert found["riskplatform_drift_psi", "amount", "payments"] == 0.41
    assert found["riskplatform_drift_status", "amount", "payments"] == 2
    assert found["riskplatform_drift_status", "calm", "payments"] == 0
    assert found["riskplatform_drift_status", "(fraud rate)", "payments"] == -1
    assert found["riskplatform_drift_psi_max", "payments"] == 0.41
    assert found["riskplatform_drift_worst_status", "payments"] == 2
    at = found["riskplatform_drift_checked_timestamp_seconds", "payments"]
    assert at == pytest.approx(check.checked_at.timestamp())


def test_shortfalls_are_shown_by_detector_and_kind(client, champion):
    found = read(client)
    assert found["riskplatform_shortfalls", "false", "list", "payments"] == 2
    assert found["riskplatform_shortfalls", "list", "payments", "true"] == 0


def test_the_age_of_a_sanctions_list_is_shown_and_a_stale_one_counted(client, champion):
    at = timezone.now() - timedelta(days=8)
    Watchlist.objects.create(
        digest="0" * 64, name="un", content=b"", entries=1, names=1, active=True, synced_at=at
    )
    found = read(client)
    name = "riskplatform_watchlist_synced_timestamp_seconds"
    assert found[name, "un"] == pytest.approx(at.timestamp())
    assert found["riskplatform_shortfalls", "list", "payments", "true"] == 1
    assert found["riskplatform_shortfalls", "false", "list", "payments"] == 1


def test_the_text_costs_the_same_queries_for_any_number_of_predictions(
    client, champion, django_assert_num_queries
):
    for events in (1, 20):
        for _ in range(events):
            scored("payments", payment())
        with django_assert_num_queries(8):
            read(client)


@pytest.mark.parametrize("torn", [b"", b"\x40", b"\x40\0\0\0" + b"\x01" * 60])
def test_a_file_that_cannot_be_read_is_left_out_and_logged_once(
    client, settings, tmp_path, caplog, torn
):
    settings.PROMETHEUS_DIR = tmp_path
    whole = MmapedDict(str(tmp_path / "counter_1.db"))
    whole.write_value(json.dumps(["hits", "hits_total", {}, "Hits."]), 3.0, 0.0)
    whole.close()
    (tmp_path / "counter_99999.db").write_bytes(torn)
    assert read(client)["hits_total",] == read(client)["hits_total",] == 3.0
    assert [record.name for record in caplog.records] == ["riskplatform.metrics"]
    assert "counter_99999.db" in caplog.text


def test_open_means_open(client, settings):
    settings.METRICS_OPEN = True
    assert client.get("/metrics").status_code == 200


def test_closed_means_a_token_or_an_address(client, settings):
    settings.METRICS_OPEN, settings.METRICS_TOKEN = False, "scrape-me"
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 403
    assert client.get("/metrics", headers={"authorization": "Bearer é"}).status_code == 403
    assert client.get("/metrics", headers={"authorization": "Bearer scrape-me"}).status_code == 200
    settings.METRICS_NETWORKS = [ip_network("10.0.0.0/8")]
    assert client.get("/metrics").status_code == 403
    settings.METRICS_NETWORKS = [ip_network("127.0.0.0/8")]
    assert client.get("/metrics").status_code == 200


def test_without_a_token_set_no_token_opens(client, settings):
    settings.METRICS_OPEN, settings.METRICS_TOKEN = False, ""
    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 403


def test_the_database_gone_is_503(client, monkeypatch):
    def gone():
        raise OperationalError("gone")

    monkeypatch.setattr(metrics, "slices", gone)
    response = client.get("/metrics")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
