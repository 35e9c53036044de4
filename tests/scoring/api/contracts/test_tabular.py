"""Contract A: `/v1/fraud/predict`, `/v1/anomaly/predict`, `/v1/metrics`, `/health`."""

import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scoring.models import Prediction

pytestmark = pytest.mark.django_db
FRAUD, ANOMALY = "/v1/fraud/predict", "/v1/anomaly/predict"
RISKY = {
    "transaction_amount": 9999.99,
    "merchant_type": "gaming",
    "country": "NG",
    "time_delta": 0.1,
    "device_type": "mobile",
}
HARMLESS = {
    "transaction_amount": 25.00,
    "merchant_type": "grocery",
    "country": "US",
    "time_delta": 48,
    "device_type": "desktop",
}
BUSY = {"response_time": 950, "error_rate": 0.12, "cpu_usage": 91, "memory_usage": 87}
CALM = {"response_time": 120, "error_rate": 0.01, "cpu_usage": 40, "memory_usage": 55}


def fields_of(response):
    assert response.status_code == 422, response.content
    return sorted(entry["field"] for entry in response.json()["errors"])


def test_a_transaction_gets_a_probability_a_version_and_a_latency(post, fraud_champion):
    response = post(FRAUD, RISKY)
    assert response.status_code == 200, response.content
    body = response.json()
    assert 0 <= body["fraud_probability"] <= 1
    assert body["model_version"] == "v1"
    assert body["latency_ms"] > 0


def test_the_risky_transaction_scores_higher(post, fraud_champion):
    risky, harmless = post(FRAUD, RISKY).json(), post(FRAUD, HARMLESS).json()
    assert risky["fraud_probability"] > harmless["fraud_probability"]


def test_what_is_unknown_is_scored_and_not_refused(post, fraud_champion):
    response = post(FRAUD, RISKY | {"merchant_type": "moon base", "country": "QX"})
    assert response.status_code == 200
    assert 0 <= response.json()["fraud_probability"] <= 1


def test_every_call_is_an_ordinary_stored_prediction(post, fraud_champion):
    ids = [post(FRAUD, RISKY).json()["prediction_id"] for _ in range(2)]
    stored = Prediction.objects.filter(detector=fraud_champion)
    assert sorted(str(row.pk) for row in stored) == sorted(ids)
    assert all(row.event["transaction_amount"] == 9999.99 for row in stored)


def test_an_id_that_is_null_is_one_that_the_client_does_not_send(post, fraud_champion):
    for sent in (RISKY, RISKY | {"transaction_id": None, "account_id": None}):
        assert post(FRAUD, sent).status_code == 200
    ids = Prediction.objects.values_list("external_id", flat=True)
    assert {uuid.UUID(name).version for name in ids} == {7}


def test_what_an_earlier_service_passed_over_is_passed_over(post, fraud_champion):
    assert post(FRAUD, RISKY | {"meta": {"app": "2.1"}, "tags": ["a"]}).status_code == 200
    assert "meta" not in Prediction.objects.get().event
    assert post(FRAUD, RISKY | {"country": ["NG"]}).status_code == 422


def test_an_id_of_the_clients_own_makes_it_idempotent(post, fraud_champion):
    sent = RISKY | {"transaction_id": "mine"}
    assert post(FRAUD, sent).json() == post(FRAUD, sent).json()
    assert post(FRAUD, sent | {"country": "US"}).status_code == 409


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_amount", 0),
        ("transaction_amount", -5),
        ("transaction_amount", "12"),
        ("transaction_amount", True),
        ("transaction_amount", None),
        ("transaction_amount", 1e300),
        ("merchant_type", 7),
        ("merchant_type", "x" * 61),
        ("country", "USA"),
        ("country", "U"),
        ("country", "12"),
        ("time_delta", -0.1),
        ("device_type", "watch"),
        ("device_type", []),
    ],
)
def test_a_wrong_field_of_a_transaction_is_422_and_stores_nothing(
    post, fraud_champion, field, value
):
    assert fields_of(post(FRAUD, RISKY | {field: value})) == [field]
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_422(post, fraud_champion, number):
    body = json.dumps(RISKY | {"time_delta": "HERE"}).replace('"HERE"', number)
    assert fields_of(post(FRAUD, body)) == ["time_delta"]


def test_every_missing_field_is_named(post, fraud_champion, anomaly_champion):
    assert fields_of(post(FRAUD, {})) == sorted(HARMLESS)
    assert fields_of(post(ANOMALY, {})) == sorted(CALM)


@pytest.mark.parametrize("odd", ["NaN", "1e999", '"\\u0000"'])
def test_what_no_event_may_hold_is_named_with_all_else_that_is_wrong(post, fraud_champion, odd):
    body = '{"time_delta": -1, "merchant_type": @, "country": "DE", "note": @}'.replace("@", odd)
    assert fields_of(post(FRAUD, body)) == [
        *("device_type", "merchant_type", "note", "time_delta", "transaction_amount"),
    ]
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("url", [FRAUD, ANOMALY])
def test_a_body_that_is_no_object_is_422_and_no_json_is_400(
    post, fraud_champion, anomaly_champion, url
):
    assert post(url, "[]").status_code == 422
    assert post(url, "{").status_code == 400


def test_a_busy_host_scores_higher_than_a_calm_one(post, anomaly_champion):
    busy, calm = post(ANOMALY, BUSY).json(), post(ANOMALY, CALM).json()
    assert 1 >= busy["anomaly_score"] > calm["anomaly_score"] >= 0
    assert busy["model_version"] == "v1"
    assert busy["latency_ms"] > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("response_time", 0),
        ("error_rate", 1.01),
        ("error_rate", -0.01),
        ("cpu_usage", 100.5),
        ("memory_usage", -1),
        ("memory_usage", "high"),
    ],
)
def test_a_sample_out_of_range_is_422(post, anomaly_champion, field, value):
    assert fields_of(post(ANOMALY, CALM | {field: value})) == [field]
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("sample", [BUSY | {"error_rate": 0}, BUSY | {"cpu_usage": 100}])
def test_the_ends_of_the_ranges_belong_to_them(post, anomaly_champion, sample):
    assert post(ANOMALY, sample).status_code == 200


def test_without_a_model_there_is_no_probability_and_the_answer_says_so(post, fraud_detector):
    body = post(FRAUD, RISKY).json()
    assert (body["fraud_probability"], body["degraded"]) == (None, True)


@pytest.mark.parametrize("url", [FRAUD, ANOMALY])
def test_who_may_not_score_is_refused(post, client, api, outsider, analyst, fraud_champion, url):
    assert post(url, RISKY, client=client).status_code == 401
    assert post(url, RISKY, client=api("predictions:read", "models:read")).status_code == 403
    for user in (outsider, analyst):
        client.force_login(user)
        assert post(url, RISKY, client=client).status_code == 403


def test_the_metrics_add_up(post, api, fraud_champion, anomaly_champion):
    risks = [post(FRAUD, body).json()["fraud_probability"] for body in (RISKY, HARMLESS)]
    score = post(ANOMALY, BUSY).json()["anomaly_score"]
    body = api("models:read").get("/v1/metrics").json()
    assert (body["fraud_predictions"], body["anomaly_predictions"]) == (2, 1)
    assert body["total_predictions"] == 3
    assert body["avg_fraud_probability"] == pytest.approx(sum(risks) / 2)
    assert body["avg_anomaly_score"] == pytest.approx(score)
    assert min(body["avg_fraud_latency_ms"], body["avg_anomaly_latency_ms"]) > 0


def test_the_metrics_of_nothing_are_zero(api, fraud_detector):
    body = api("models:read").get("/v1/metrics").json()
    assert {value for key, value in body.items() if key != "since"} == {0}


def test_the_metrics_never_look_at_predictions(post, api, fraud_champion):
    post(FRAUD, RISKY)
    with CaptureQueriesContext(connection) as queries:
        api("models:read").get("/v1/metrics")
    assert not [q for q in queries if "scoring_prediction" in q["sql"]]


def test_who_may_not_read_models_may_not_read_metrics(client, api, outsider):
    assert client.get("/v1/metrics").status_code == 401
    assert api("score").get("/v1/metrics").status_code == 403
    client.force_login(outsider)
    assert client.get("/v1/metrics").status_code == 403


def test_health_names_environment_and_models_and_asks_for_no_key(client, fraud_champion, settings):
    body = client.get("/health").json()
    assert body["status"] == "ok"
    assert body["environment"] == settings.ENVIRONMENT
    assert (body["fraud_model"], body["anomaly_model"]) == ("v1", None)
