"""Contract C, scoring: `/api/v1/predict`, its batch, and reading what was predicted."""

import json
import uuid

import pytest
from django.utils.dateparse import parse_datetime

from scoring import deployment
from scoring.models import Label, Prediction
from tests.factories import payment, scored

pytestmark = pytest.mark.django_db
URL, BATCH = "/api/v1/predict", "/api/v1/predict/batch"
NAMES = ["Time", *(f"V{i}" for i in range(1, 29)), "Amount"]


def full(number=1, **changed):
    """A harmless transaction in the full form."""
    values = dict.fromkeys(NAMES, 0.0) | {"Time": 3600.0, "Amount": 20.0} | changed
    return {"transaction_id": f"c-{number}", "transaction": values}


def listed(number=1, **changed):
    """The same in the list form."""
    sent = full(number, **changed)
    return {"transaction_id": f"c-{number}", "features": [sent["transaction"][n] for n in NAMES]}


def fraud(number=1):
    return full(number, V14=-12.0)


def fields_of(response):
    assert response.status_code == 422, response.content
    return sorted(entry["field"] for entry in response.json()["errors"])


def test_a_transaction_gets_the_whole_answer(post, creditcard_champion):
    response = post(URL, full())
    assert response.status_code == 200, response.content
    body = response.json()
    assert body["transaction_id"] == "c-1"
    assert body["prediction"] == 0
    assert 0 <= body["fraud_probability"] <= 1
    assert body["risk_level"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL")
    assert 0 <= body["anomaly_score"] <= 1
    assert body["model_version"] == "v1"
    assert body["latency_ms"] > 0
    assert parse_datetime(body["timestamp"]).tzinfo is not None


def test_fraud_is_predicted_1_above_the_threshold(post, creditcard_champion):
    body = post(URL, fraud()).json()
    assert body["prediction"] == 1
    assert body["fraud_probability"] >= body["threshold"]
    bundle = deployment.serving("creditcard").bundle
    assert body["threshold"] == bundle.predictor.thresholds.review


def test_the_list_form_is_the_same_transaction_and_the_same_body(post, creditcard_champion):
    first = post(URL, full())
    again = post(URL, listed())
    assert again.status_code == 200, again.content
    assert again.json() == first.json()
    assert Prediction.objects.count() == 1


def test_whole_numbers_are_the_same_body_as_floats(post, creditcard_champion):
    assert post(URL, full(Amount=20)).json() == post(URL, full(Amount=20.0)).json()


def test_the_simplified_form_is_imputed_and_says_what(post, creditcard_champion):
    sent = {"transaction_id": "s-1", "transaction": {"amount": 120.5, "time_of_day": "14:30"}}
    response = post(URL, sent)
    assert response.status_code == 200, response.content
    body = response.json()
    assert body["imputed_fields"] == [f"V{i}" for i in range(1, 29)]
    assert Prediction.objects.get().event["Time"] == 14.5 * 3600
    assert Prediction.objects.get().event["Amount"] == 120.5


@pytest.mark.parametrize("nothing", [{"V1": None, "Time": None}, {"V9": None, "more": None}])
def test_the_simplified_form_may_hold_the_fields_of_the_full_one_as_null(
    post, creditcard_champion, nothing
):
    sent = {"transaction_id": "s-1", "transaction": {"amount": 120.5, "time_of_day": "14:30"}}
    first = post(URL, sent).json()
    sent["transaction"] |= nothing
    assert post(URL, sent).json() == first


def test_the_full_form_may_hold_the_fields_of_the_simplified_one_as_null(post, creditcard_champion):
    sent = full() | {"features": None}
    sent["transaction"] |= {"amount": None, "time_of_day": None}
    assert post(URL, sent).json() == post(URL, listed()).json()


def test_the_full_form_imputes_nothing(post, creditcard_champion):
    assert post(URL, full()).json()["imputed_fields"] == []


@pytest.mark.parametrize("clock", ["0:00", "23:59:59", 14.5, 0])
def test_times_of_day_are_understood(post, creditcard_champion, clock):
    sent = {"transaction_id": "s-2", "transaction": {"amount": 1, "time_of_day": clock}}
    assert post(URL, sent).status_code == 200


@pytest.mark.parametrize("clock", ["24:00", "12:60", "noon", "", 24, -1, True, [], "١٢:٣٠"])
def test_a_time_of_day_that_is_none_is_422(post, creditcard_champion, clock):
    sent = {"transaction_id": "s-3", "transaction": {"amount": 1, "time_of_day": clock}}
    assert fields_of(post(URL, sent)) == ["transaction.time_of_day"]
    assert not Prediction.objects.exists()


def test_a_409_of_a_batch_says_what_became_of_the_others(post, creditcard_champion):
    post(URL, full(1))
    twice = [full(1, Amount=21.0)]
    said = post(BATCH, {"transactions": twice}).json()["detail"]
    assert said == "Scored before with another body: 'c-1'."
    said = post(BATCH, {"transactions": [*twice, full(2), full(3)]}).json()["detail"]
    assert said.startswith("Scored before with another body: 'c-1'. The other 2 are scored and")
    assert post(BATCH, {"transactions": [full(2), full(3)]}).json()["total_processed"] == 2


def test_the_same_id_with_another_body_is_409(post, creditcard_champion):
    post(URL, full())
    response = post(URL, full(Amount=21.0))
    assert response.status_code == 409
    assert "c-1" in response.json()["detail"]


@pytest.mark.parametrize("length", [0, 29, 31])
def test_a_list_of_another_length_is_422(post, creditcard_champion, length):
    sent = {"transaction_id": "c-1", "features": [0.0] * length}
    assert fields_of(post(URL, sent)) == ["features"]
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({}, ["transaction", "transaction_id"]),
        ({"transaction_id": "a"}, ["transaction"]),
        ({"transaction_id": "a", "transaction": {}, "features": []}, ["transaction"]),
        ({"transaction_id": "a", "features": None}, ["features"]),
        ({"transaction_id": "a", "transaction": None}, ["transaction"]),
        ({"transaction_id": "a", "transaction": None, "features": None}, ["transaction"]),
        ({"transaction_id": "a", "transaction": []}, ["transaction"]),
        ({"transaction_id": "a", "features": "no"}, ["features"]),
        (full(V7=None), ["transaction.V7"]),
        (full(V7="x", V9=True), ["transaction.V7", "transaction.V9"]),
        (full(Amount=-0.01), ["transaction.Amount"]),
        (full(Amount=1e300), ["transaction.Amount"]),
        (listed(Amount=-1), ["features.29"]),
        (listed(V1="x"), ["features.1"]),
        (full() | {"transaction_id": ""}, ["transaction_id"]),
        (full() | {"transaction_id": "x" * 101}, ["transaction_id"]),
        (full() | {"transaction_id": 7}, ["transaction_id"]),
        ({"transaction_id": "a", "transaction": {"amount": -1}}, ["transaction.amount"]),
        ({"transaction_id": "a", "transaction": {"amount": None}}, ["transaction.amount"]),
        ({"transaction_id": "a", "transaction": {"time_of_day": "1:00"}}, ["transaction.amount"]),
        (
            {"transaction_id": "a", "transaction": {"amount": 1, "V1": 2}},
            ["transaction.V1"],
        ),
    ],
)
def test_what_is_wrong_is_422_named_as_sent_and_not_stored(post, creditcard_champion, sent, fields):
    assert fields_of(post(URL, sent)) == fields
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_what_is_no_number_is_422(post, creditcard_champion, number):
    body = json.dumps(listed(V3="HERE")).replace('"HERE"', number)
    assert fields_of(post(URL, body)) == ["features.3"]


@pytest.mark.parametrize(("url", "place"), [(URL, ""), (BATCH, "transactions.0.")])
def test_a_number_that_is_none_is_named_with_all_else_that_is_wrong(
    post, creditcard_champion, url, place
):
    sent = '{"transaction": {"amount": NaN, "time_of_day": "25:00"}, "note": [1e999, "\\u0000"]}'
    body = sent if url == URL else f'{{"transactions": [{sent}]}}'
    wrong = ("note.0", "note.1", "transaction.amount", "transaction.time_of_day", "transaction_id")
    assert fields_of(post(url, body)) == [f"{place}{name}" for name in wrong]
    assert not Prediction.objects.exists()


def test_an_id_inside_the_transaction_is_looked_at_though_nobody_reads_it(
    post, creditcard_champion
):
    sent = full()
    sent["transaction"]["transaction_id"] = "HERE"
    body = json.dumps(sent).replace('"HERE"', "NaN")
    assert fields_of(post(URL, body)) == ["transaction.transaction_id"]


def test_a_batch_is_counted_and_timed(post, creditcard_champion):
    response = post(BATCH, {"transactions": [full(1), fraud(2), listed(3)]})
    assert response.status_code == 200, response.content
    body = response.json()
    assert [one["transaction_id"] for one in body["predictions"]] == ["c-1", "c-2", "c-3"]
    assert (body["total_processed"], body["fraud_detected"]) == (3, 1)
    assert body["processing_time_ms"] > 0


def test_100_are_a_batch_and_101_are_422(post, creditcard_champion):
    many = [full(i) for i in range(101)]
    assert fields_of(post(BATCH, {"transactions": many})) == ["transactions"]
    assert not Prediction.objects.exists()
    assert post(BATCH, {"transactions": many[:100]}).json()["total_processed"] == 100


def test_one_bad_transaction_fails_the_batch_and_nothing_is_stored(post, creditcard_champion):
    sent = {"transactions": [full(1), full(2, Amount=-1), listed(3, V2="x"), "text"]}
    wrong = ["transactions.1.transaction.Amount", "transactions.2.features.2", "transactions.3"]
    assert fields_of(post(BATCH, sent)) == wrong
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("body", [{}, [], {"transactions": {}}, {"transactions": None}])
def test_a_batch_that_is_none_is_422(post, creditcard_champion, body):
    assert post(BATCH, body).status_code == 422


def test_an_empty_batch_is_an_empty_answer(post, creditcard_champion):
    body = post(BATCH, {"transactions": []}).json()
    assert (body["predictions"], body["total_processed"], body["fraud_detected"]) == ([], 0, 0)


@pytest.mark.parametrize(("url", "body"), [(URL, full()), (BATCH, {"transactions": [full()]})])
def test_who_may_not_score_is_refused(
    post, client, api, outsider, analyst, creditcard_champion, url, body
):
    assert post(url, body, client=client).status_code == 401
    assert post(url, body, client=api("feedback:write")).status_code == 403
    for user in (outsider, analyst):
        client.force_login(user)
        assert post(url, body, client=client).status_code == 403
    assert not Prediction.objects.exists()


def test_stored_predictions_read_as_they_were_answered(post, api, creditcard_champion):
    answered = post(URL, fraud()).json()
    reader = api("predictions:read")
    [stored] = reader.get("/api/v1/predictions").json()["predictions"]
    shared = answered.keys() - {"imputed_fields"}
    assert {key: stored[key] for key in shared} == {key: answered[key] for key in shared}
    one = reader.get(f"/api/v1/predictions/{answered['prediction_id']}").json()
    assert one == stored


def test_predictions_can_be_skipped_limited_and_narrowed_to_fraud(post, api, creditcard_champion):
    for sent in (full(1), fraud(2), full(3)):
        post(URL, sent)
    reader = api("predictions:read")
    for query, ids in [
        ("skip=0&limit=100&fraud_only=false", ["c-3", "c-2", "c-1"]),
        ("skip=1&limit=1", ["c-2"]),
        ("fraud_only=true", ["c-2"]),
        ("fraud_only=True", ["c-2"]),
        ("fraud_only=1", ["c-2"]),
        ("fraud_only=0", ["c-3", "c-2", "c-1"]),
    ]:
        page = reader.get(f"/api/v1/predictions?{query}").json()["predictions"]
        assert [row["transaction_id"] for row in page] == ids


def test_a_client_lists_its_own_predictions_without_naming_a_detector(
    post, api, creditcard_champion, payments_detector
):
    post(URL, full(1))
    other = scored("payments", payment())
    reader, listed = api("predictions:read"), "/api/v1/predictions"
    for query, expected in [("", ["c-1"]), ("?detector=", ["c-1"]), ("?detector=payments", None)]:
        page = reader.get(f"{listed}{query}").json()["predictions"]
        assert [row["transaction_id"] for row in page] == (expected or [other.external_id])
    assert len(reader.get(f"{listed}?detector=*").json()["predictions"]) == 2


def test_a_prediction_is_found_by_the_id_of_its_transaction(post, api, creditcard_champion):
    answered = post(URL, full()).json()
    reader = api("predictions:read")
    found = reader.get("/api/v1/predictions/c-1").json()
    assert found["prediction_id"] == answered["prediction_id"]
    assert reader.get("/api/v1/predictions/c-2").status_code == 404
    assert reader.get("/api/v1/predictions/c-1?detector=fraud").status_code == 404
    assert api("score").get("/api/v1/predictions/c-1").status_code == 403


def test_feedback_is_kept_as_history_and_the_newest_counts(post, api, creditcard_champion):
    answered = post(URL, full()).json()
    client = api("feedback:write")
    for verdict in (True, False):
        body = {
            "prediction_id": answered["prediction_id"],
            "actual_label": verdict,
            "feedback_source": "customer",
            "notes": "",
        }
        assert post("/api/v1/feedback", body, client=client).status_code == 201
    history = Label.objects.filter(prediction=answered["prediction_id"])
    assert [label.is_fraud for label in history] == [False, True]


def test_feedback_on_an_unknown_prediction_is_404(post, api):
    body = {"prediction_id": str(uuid.uuid4()), "actual_label": True, "feedback_source": "x"}
    assert post("/api/v1/feedback", body, client=api("feedback:write")).status_code == 404
