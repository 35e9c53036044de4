"""Contract B, scoring: any model by its name."""

import json

import numpy as np
import pytest

from scoring import deployment
from scoring.core.bundle import write_bundle
from scoring.models import Detector, Prediction
from scoring.source_models import DetectorAlias
from tests.factories import config_of, payment, shipped_detector, train_bundle

pytestmark = pytest.mark.django_db
URL, BATCH = "/api/v1/scoring/score", "/api/v1/scoring/score/batch"
MODEL, WISH = "credit_card_fraud", "include_explanations"


def record(**changed):
    full = {
        "entity_id": "card-1",
        "amount": 35.0,
        "merchant_category": "grocery",
        "time_of_day": "14:30",
    } | changed
    return {name: value for name, value in full.items() if value is not None}


def asked(data=None, *, model=MODEL, **more):
    return {"data": record() if data is None else data, "model_name": model, **more}


def fields_of(response):
    assert response.status_code == 422, response.content
    return sorted(entry["field"] for entry in response.json()["errors"])


def test_a_record_gets_score_level_decision_and_version(post, named_champion):
    response = post(URL, asked())
    assert response.status_code == 200, response.content
    body = response.json()
    assert 0 <= body["score"] <= 1
    assert body["risk_level"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL")
    assert body["decision"] in ("APPROVE", "REVIEW", "BLOCK")
    assert (body["model_name"], body["model_version"]) == (MODEL, "v1")
    assert (body["entity_id"], body["imputed_fields"]) == ("card-1", [])
    assert body["latency_ms"] > 0
    assert "explanations" not in body


def test_explanations_come_when_asked_for(post, named_champion):
    body = post(URL, asked(include_explanations=True)).json()
    explained = body["explanations"]
    assert {one["feature"] for one in explained} >= {"amount", "merchant_category"}
    sizes = [abs(one["contribution"]) for one in explained]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0


def test_an_explanation_shows_what_the_record_said_and_not_what_stands_for_it(post, named_champion):
    told = post(URL, asked(include_explanations=True)).json()["explanations"]
    values = {one["feature"]: one["value"] for one in told}
    assert (values["merchant_category"], values["amount"]) == ("grocery", 35.0)
    assert values["time_of_day_sin"] == values["time_of_day_cos"] == "14:30"
    lacking = record(merchant_category=None, time_of_day=None)
    told = post(URL, asked(lacking, include_explanations=True)).json()["explanations"]
    missing = {one["feature"] for one in told if one["value"] is None}
    assert missing >= {"merchant_category", "time_of_day_sin", "time_of_day_cos"}


def test_an_explanation_shows_no_personal_data(post):
    config = config_of(MODEL)
    config["event"]["pii"], config["rules"] = ["amount"], []
    labels = np.arange(60) % 2
    raws = [record(amount=30.0 + 500.0 * label) for label in labels]
    manifest, files = train_bundle(config, raws, labels)
    shipped_detector(MODEL)
    digest = write_bundle(deployment.bundle_root(), manifest, files)
    detector = Detector.objects.get()
    deployment.install(detector, slot="champion", digest=digest, version="v1")
    told = post(URL, asked(include_explanations=True)).json()["explanations"]
    values = {one["feature"]: one["value"] for one in told}
    assert (values["amount"], values["merchant_category"]) == (None, "grocery")
    assert "35" not in str(values)


def test_null_is_as_good_as_no_wish_for_explanations(post, named_champion):
    response = post(URL, asked(include_explanations=None))
    assert response.status_code == 200, response.content
    assert "explanations" not in response.json()


def test_a_large_amount_at_night_scores_higher(post, named_champion):
    risky = record(amount=900.0, merchant_category="electronics", time_of_day="03:10")
    assert post(URL, asked(risky)).json()["score"] > post(URL, asked()).json()["score"]


@pytest.mark.parametrize("lacking", ["merchant_category", "amount", "time_of_day", "entity_id"])
def test_what_the_record_lacks_is_imputed_and_named(post, named_champion, lacking):
    response = post(URL, asked(record(**{lacking: None})))
    assert response.status_code == 200, response.content
    assert lacking in response.json()["imputed_fields"]
    assert 0 <= response.json()["score"] <= 1


def test_any_detector_answers_to_its_slug(post, champion):
    body = post(URL, asked(payment(), model="payments")).json()
    assert (body["model_name"], body["entity_id"]) == ("payments", "user-1")


def test_an_alias_is_a_name_too(post, named_champion):
    DetectorAlias.objects.create(alias="Fraud Model 1", detector=named_champion)
    assert post(URL, asked(model="Fraud Model 1")).json()["model_name"] == MODEL


def test_an_unknown_model_is_404(post, named_champion):
    response = post(URL, asked(model="nothing"))
    assert response.status_code == 404
    assert "nothing" in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["data", "model_name"]),
        ({"data": {}}, ["model_name"]),
        (asked(data=[]), ["data"]),
        (asked(model=7), ["model_name"]),
        (asked(model=""), ["model_name"]),
        (asked(include_explanations="yes"), ["include_explanations"]),
        (asked(record(amount="much")), ["data.amount"]),
        (asked(record(amount=-1)), ["data.amount"]),
        (asked(record(time_of_day="25:00")), ["data.time_of_day"]),
        (asked(record(entity_id=7)), ["data.entity_id"]),
    ],
)
def test_what_is_wrong_is_422_and_stores_nothing(post, named_champion, body, fields):
    assert fields_of(post(URL, body)) == fields
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(
    ("url", "body", "fields"),
    [
        (URL, asked([], include_explanations=1), ["data", WISH]),
        (URL, asked(record(amount=-1), include_explanations=1), ["data.amount", WISH]),
        (BATCH, {"data": {}, "model_name": 7}, ["data", "model_name"]),
    ],
)
def test_whatever_is_wrong_is_named_at_once(post, named_champion, url, body, fields):
    assert fields_of(post(url, body)) == fields


def test_objects_and_lists_that_are_no_field_are_passed_over(post, named_champion):
    more = record(device={"os": "x"}, tags=[1])
    assert post(URL, asked(more)).status_code == 200
    assert fields_of(post(URL, asked(more, include_explanations=1))) == [WISH]
    assert post(BATCH, asked([more])).json()["scored"] == 1
    assert all(row.event.keys() == record().keys() for row in Prediction.objects.all())
    assert fields_of(post(URL, asked(record(amount=[1], tags=[1])))) == ["data.amount"]


def test_a_number_that_is_none_is_named_with_all_else_that_is_wrong(post, named_champion):
    body = json.dumps(asked(record(amount=7, time_of_day="25:00"))).replace("7", "NaN")
    assert fields_of(post(URL, body)) == ["data.amount", "data.time_of_day"]


def test_in_a_batch_a_bad_record_has_its_own_error_and_the_order_is_kept(post, named_champion):
    records = [record(amount=1.0), record(amount=-1), "text", record(amount=4.0)]
    response = post(BATCH, asked(records))
    assert response.status_code == 200, response.content
    body = response.json()
    assert [one["index"] for one in body["results"]] == [0, 1, 2, 3]
    assert ["result" in one for one in body["results"]] == [True, False, False, True]
    [problem] = body["results"][1]["error"]["errors"]
    assert (problem["loc"], problem["field"]) == (["amount"], "amount")
    assert (body["total"], body["scored"], body["failed"]) == (4, 2, 2)
    assert Prediction.objects.count() == 2


def test_a_batch_names_what_it_imputed_and_explains(post, named_champion):
    records = [record(), record(merchant_category=None)]
    results = post(BATCH, asked(records, include_explanations=True)).json()["results"]
    assert results[0]["result"]["imputed_fields"] == []
    assert results[1]["result"]["imputed_fields"] == ["merchant_category"]
    assert all(one["result"]["explanations"] for one in results)


def test_an_empty_batch_is_an_empty_answer_and_1001_are_422(post, named_champion):
    assert post(BATCH, asked([])).json()["results"] == []
    assert fields_of(post(BATCH, asked([record()] * 1001))) == ["data"]


def test_a_repeated_id_with_another_body_is_an_error_of_its_own(post, named_champion):
    records = [record(transaction_id="x"), record(transaction_id="x", amount=2.0)]
    results = post(BATCH, asked(records)).json()["results"]
    assert "result" in results[0]
    assert "x" in results[1]["error"]["detail"]


@pytest.mark.parametrize(("url", "body"), [(URL, asked()), (BATCH, asked([record()]))])
def test_who_may_not_score_is_refused(
    post, client, api, outsider, analyst, named_champion, url, body
):
    assert post(url, body, client=client).status_code == 401
    assert post(url, body, client=api("models:read")).status_code == 403
    for user in (outsider, analyst):
        client.force_login(user)
        assert post(url, body, client=client).status_code == 403


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ('{"entity_id": "b\\u0000", "amount": 5}', "entity_id"),
        ('{"entity_id": "b", "amount": 1e999}', "amount"),
        ('{"entity_id": "b", "amount": NaN}', "amount"),
        ('{"entity_id": "b", "amount": 5, "mo\\u0000re": 1}', "more"),
        ('{"entity_id": "b", "amount": -5}', "amount"),
    ],
)
def test_what_no_number_or_text_can_be_fails_its_record_alone(post, named_champion, bad, field):
    good = json.dumps(record())
    body = f'{{"model_name": "{MODEL}", "data": [{good}, {bad}, {good[:-1]}, "x": 1}}]}}'
    response = post(BATCH, body)
    assert response.status_code == 200, response.content
    results = response.json()["results"]
    assert ["result" in one for one in results] == [True, False, True]
    assert [problem["field"] for problem in results[1]["error"]["errors"]] == [field]
    assert Prediction.objects.count() == 2


@pytest.mark.parametrize("name", ['"a\\u0000"', "NaN", '[{"a": "\\u0000"}]'])
def test_what_no_name_of_a_model_can_be_fails_the_whole_batch(post, named_champion, name):
    response = post(BATCH, f'{{"model_name": {name}, "data": [{json.dumps(record())}]}}')
    assert [field[:10] for field in fields_of(response)] == ["model_name"]
    assert not Prediction.objects.exists()


def test_half_of_a_character_is_no_json_whatever_stands_beside_it(post, named_champion):
    """What is left to the schema is what it can refuse: this could be stored nowhere."""
    bad = '{"entity_id": "b\\ud800", "amount": 5}, {"entity_id": "b", "amount": NaN}'
    response = post(BATCH, f'{{"model_name": "{MODEL}", "data": [{bad}]}}')
    assert response.status_code == 400, response.content
    assert not Prediction.objects.exists()
