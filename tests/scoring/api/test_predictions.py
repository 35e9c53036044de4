"""Reading predictions, giving feedback, and the document that describes it all."""

import json
import uuid
from dataclasses import replace
from urllib.parse import quote

import pytest
from drf_spectacular.validation import validate_schema

from scoring.api.serializers import RuleHitBody, ScreeningHitBody
from scoring.core.types import Decision, RiskLevel, RuleHit, ScreeningHit
from scoring.models import Label
from scoring.recording import rule_hit_body, screening_hit_body
from tests.factories import (
    START,
    card,
    payment,
    risky_payment,
    scored,
    scored_many,
    shipped_detector,
)

pytestmark = pytest.mark.django_db
ALL = "?detector=*"


@pytest.fixture
def reader(api):
    return api("predictions:read")


@pytest.fixture
def stored(payments_detector, cards_detector):
    """Three predictions; the second one is flagged, the newest is a card's."""
    return [
        scored("payments", payment()),
        scored("payments", risky_payment(timestamp="2020-06-01T12:10:00Z")),
        scored("cards", card(9, TX_DATETIME="2020-06-01T12:20:00Z")),
    ]


def ids(client, query=""):
    response = client.get(f"/api/v1/predictions{query}")
    assert response.status_code == 200, response.content
    return [body["prediction_id"] for body in response.json()["predictions"]]


def give(client, **body):
    return client.post("/api/v1/feedback", json.dumps(body), content_type="application/json")


def test_predictions_come_newest_event_first(reader, stored):
    assert ids(reader, ALL) == [str(row.pk) for row in reversed(stored)]


def test_predictions_can_be_narrowed_and_paged(reader, stored):
    first, flagged, _ = (str(row.pk) for row in stored)
    assert ids(reader, "?detector=payments") == [flagged, first]
    assert ids(reader, f"{ALL}&fraud_only=true") == [flagged]
    assert ids(reader, f"{ALL}&skip=1&limit=1") == [flagged]
    assert ids(reader) == ids(reader, "?detector=") == []


def test_predictions_can_be_narrowed_to_a_stretch_of_event_time(reader, stored):
    first, flagged, newest = (str(row.pk) for row in stored)
    assert ids(reader, f"{ALL}&since=2020-06-01T12:10:00Z") == [newest, flagged]
    assert ids(reader, f"{ALL}&until=2020-06-01T12:10:00Z") == [first]
    stretch = "since=2020-06-01T14:10:00%2B02:00&until=2020-06-01T12:20:00Z"
    assert ids(reader, f"{ALL}&{stretch}") == [flagged]
    assert (
        ids(reader, f"{ALL}&{stretch}&skip=1")
        == ids(reader, f"{ALL}&since=2021-01-01T00:00Z")
        == []
    )


def test_who_skips_too_far_is_told_to_read_by_time(reader, stored):
    assert ids(reader, f"{ALL}&skip=100000") == []
    response = reader.get(f"/api/v1/predictions{ALL}&skip=100001")
    assert response.status_code == 422
    [entry] = response.json()["errors"]
    assert entry["message"] == (
        "must be a whole number from 0 to 100000: read on by event time, with since and until"
    )


@pytest.mark.parametrize("slug", ["nothing", "%00nothing", "payments%00", "x" * 3000, "%20*"])
def test_predictions_of_a_detector_that_is_not_there_are_404(reader, stored, slug):
    response = reader.get(f"/api/v1/predictions?detector={slug}")
    assert response.status_code == 404
    assert "There is no detector" in response.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "skip=-1",
        "skip=1e3",
        pytest.param("skip=" + "1" * 5000, id="skip=11111..."),
        "fraud_only=maybe",
        "since=yesterday",
        "until=2020-06-01T12:00:00",
        "until=%00",
    ],
)
def test_a_wrong_query_is_422_and_named(reader, query):
    response = reader.get(f"/api/v1/predictions?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == query.partition("=")[0]


def test_one_prediction_can_be_read(reader, stored):
    body = reader.get(f"/api/v1/predictions/{stored[1].pk}").json()
    assert "HIGH_AMOUNT" in [hit["code"] for hit in body["rule_hits"]]
    assert body["event_time"] == "2020-06-01T12:10:00Z"


def test_where_a_prediction_is_not_found_the_answer_says_where_it_was_looked_for(reader, stored):
    def told(query):
        response = reader.get(f"/api/v1/predictions/t-9{query}")
        assert response.status_code == 404
        return response.json()["detail"]

    assert told("?detector=nothing") == "There is no detector 'nothing'."
    assert "'payments'" in told("?detector=payments")


def test_a_prediction_that_is_not_there_is_404(reader):
    assert reader.get(f"/api/v1/predictions/{uuid.uuid4()}").status_code == 404
    assert reader.get("/api/v1/predictions/no-uuid").status_code == 404


def test_reading_needs_its_scope(client, api, stored):
    for path in ("", f"/{stored[0].pk}"):
        assert client.get(f"/api/v1/predictions{path}").status_code == 401
        assert api("score").get(f"/api/v1/predictions{path}").status_code == 403


def test_an_analyst_may_read_with_a_session_and_an_outsider_may_not(
    client, analyst, outsider, stored
):
    client.force_login(outsider)
    assert client.get("/api/v1/predictions").status_code == 403
    client.force_login(analyst)
    assert client.get("/api/v1/predictions").status_code == 200


def test_a_page_costs_the_same_queries_for_any_number_of_rows(
    reader, payments_detector, django_assert_num_queries
):
    scored_many("payments", [payment()])
    with django_assert_num_queries(3):
        reader.get(f"/api/v1/predictions{ALL}")
    scored_many("payments", [payment() for _ in range(30)])
    with django_assert_num_queries(2):
        assert len(ids(reader, ALL)) == 31


def test_feedback_becomes_a_label(api, stored):
    response = give(
        api("feedback:write"),
        prediction_id=str(stored[0].pk), actual_label=True, feedback_source="bank",
        reason_code="card_testing", notes="called",
    )  # fmt: skip
    assert response.status_code == 201, response.content
    label = Label.objects.get(pk=response.json()["label_id"])
    assert (label.is_fraud, label.source, label.reason_code) == (True, "feedback", "card_testing")
    assert label.notes == "bank: called"
    assert label.event_time == START


def test_feedback_takes_the_clients_own_id_of_any_detector(api, stored):
    own = stored[0].external_id
    said = json.dumps({"prediction_id": own, "actual_label": True})
    client, json_body = api("feedback:write"), {"content_type": "application/json"}
    known = client.post("/api/v1/feedback?detector=payments", said, **json_body)
    assert (known.status_code, known.json()["prediction_id"]) == (201, str(stored[0].pk))
    assert client.post("/api/v1/feedback?detector=cards", said, **json_body).status_code == 404
    assert client.post("/api/v1/feedback?detector=none", said, **json_body).status_code == 404
    assert Label.objects.count() == 1


@pytest.mark.parametrize("called", [" a", "a ", "b\t", " "])
def test_feedback_takes_an_id_as_it_was_sent_blanks_and_all(api, called):
    shipped_detector("creditcard")
    scoring, telling = api("score"), api("feedback:write")
    for number, name in enumerate(dict.fromkeys([called.strip() or "a", called])):
        sent = {"transaction_id": name, "transaction": {"amount": number + 1.0}}
        answer = scoring.post("/api/v1/predict", json.dumps(sent), content_type="application/json")
        assert answer.status_code == 200, answer.content
    assert give(telling, prediction_id=called, actual_label=True).status_code == 201
    assert Label.objects.get().prediction.external_id == called
    assert give(telling, prediction_id=f" {called} ", actual_label=True).status_code == 404


@pytest.mark.parametrize("name", ["feedback_source", "notes", "reason_code", "label_time"])
def test_null_is_as_good_as_nothing_where_feedback_may_leave_a_field_out(api, stored, name):
    said = {"feedback_source": "bank", "notes": "called", "reason_code": "x"} | {name: None}
    response = give(
        api("feedback:write"), prediction_id=str(stored[0].pk), actual_label=True, **said
    )
    assert response.status_code == 201, response.content
    label = Label.objects.get()
    told = {"feedback_source": "called", "notes": "bank"}.get(name, "bank: called")
    assert (label.notes, label.reason_code) == (told, said["reason_code"] or "")


def test_feedback_names_what_it_passed_over(api, stored):
    said = {"prediction_id": str(stored[0].pk), "actual_label": True, "notes": "Order 17"}
    client = api("feedback:write")
    assert give(client, **said).json()["ignored_fields"] == []
    more = {"labeltime": "2020-06-02T00:00:00Z", "x" * 99: 1}
    answer = give(client, **said, **more)
    assert answer.status_code == 201
    assert answer.json()["ignored_fields"] == ["labeltime", "x" * 64]


def test_later_feedback_is_added(api, stored):
    client = api("feedback:write")
    for verdict in (True, False):
        give(client, prediction_id=str(stored[0].pk), actual_label=verdict)
    assert [label.is_fraud for label in stored[0].labels.all()] == [False, True]


def test_feedback_on_nothing_is_404(api):
    body = {"prediction_id": str(uuid.uuid4()), "actual_label": True}
    assert give(api("feedback:write"), **body).status_code == 404


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"actual_label": "perhaps"}, "actual_label"),
        ({"actual_label": None}, "actual_label"),
        ({"prediction_id": ""}, "prediction_id"),
        ({"reason_code": "x" * 41}, "reason_code"),
        ({"notes": "x" * 5001}, "notes"),
    ],
)
def test_wrong_feedback_is_422_and_stores_nothing(api, stored, changed, field):
    body = {"prediction_id": str(stored[0].pk), "actual_label": True} | changed
    response = give(api("feedback:write"), **body)
    assert response.status_code == 422
    assert [entry["field"] for entry in response.json()["errors"]] == [field]
    assert not Label.objects.exists()


def test_feedback_needs_its_scope(client, api, stored):
    body = {"prediction_id": str(stored[0].pk), "actual_label": True}
    assert give(client, **body).status_code == 401
    assert give(api("score", "predictions:read"), **body).status_code == 403


def test_the_document_of_the_api_is_valid_and_whole(client):
    response = client.get("/api/schema/?format=json")
    assert response.status_code == 200
    document = json.loads(response.content)
    validate_schema(document)
    assert {
        "/api/v1/detectors/{slug}/score",
        "/api/v1/detectors/{slug}/score/batch",
        "/api/v1/predictions",
        "/api/v1/predictions/{id}",
        "/api/v1/feedback",
    } <= set(document["paths"])


def test_hits_are_what_the_document_says():
    rule = RuleHit("BIG", 2, None, "Large.", {"amount": 9.0, "gap": float("nan")}, weight=0.4)
    name = ScreeningHit(
        "name", "un", "d" * 64, "QDi.1", "IVAN X", 0.9, RiskLevel.HIGH, Decision.REVIEW, "Like.", {}
    )
    for kind, body in (
        (RuleHitBody, rule_hit_body(rule)),
        (RuleHitBody, rule_hit_body(replace(rule, outcome=Decision.BLOCK, snoozed=""))),
        (ScreeningHitBody, screening_hit_body(name)),
    ):
        form = kind(data=body)
        assert form.is_valid(), form.errors
        assert form.fields.keys() == body.keys()


def test_the_pages_of_the_api_load_nothing_from_elsewhere(client):
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert "https://" not in page.content.decode().replace("https://127", "")


@pytest.mark.parametrize("called", ["0d0a3c5e-7f1b-4c9e-8a35-6b1d2f4e9c77", "a/b", "ä b?c", "x"])
def test_a_prediction_is_found_by_whatever_its_client_called_the_event(reader, api, called):
    shipped_detector("payments")
    row = scored("payments", payment(transaction_id=called))
    address = f"/api/v1/predictions/{quote(called, safe='')}"
    found = reader.get(f"{address}?detector=payments")
    assert found.status_code == 200, found.content
    assert found.json()["prediction_id"] == str(row.pk)
    assert reader.get(address).status_code == 404  # No `creditcard` transaction is called so.


def test_feedback_takes_the_id_of_a_transaction_and_knows_no_other(api):
    shipped_detector("creditcard")
    sent = {"transaction_id": "c-1", "transaction": {"amount": 12.5, "time_of_day": "10:00"}}
    scoring, telling = api("score"), api("feedback:write")
    answer = scoring.post("/api/v1/predict", json.dumps(sent), content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert give(telling, prediction_id="c-1", actual_label=True).status_code == 201
    assert Label.objects.get().prediction.external_id == "c-1"
    for unknown in ("c-2", str(uuid.uuid4())):
        assert give(telling, prediction_id=unknown, actual_label=True).status_code == 404
    for wrong in ("", None, [], "x" * 201):
        assert give(telling, prediction_id=wrong, actual_label=True).status_code == 422
    assert Label.objects.count() == 1
