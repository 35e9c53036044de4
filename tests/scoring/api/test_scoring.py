"""The score endpoints as an integration sees them: who may, what is refused, what is answered."""

import json
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scoring.api import asking
from scoring.feature_store.base import WindowsBusy
from scoring.models import EntityState, Prediction
from scoring.ordering import add_list_entry
from scoring.policy_models import ListEntry
from tests.factories import payment, risky_payment

pytestmark = pytest.mark.django_db
URL = "/api/v1/detectors/payments/score"


def post(client, body, url=URL):
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    return client.post(url, data, content_type="application/json")


@pytest.fixture
def integration(api):
    return api("score")


def test_an_event_is_scored_and_stored(integration, champion):
    response = post(integration, payment(transaction_id="a-1", amount=900.0))
    assert response.status_code == 200, response.content
    body = response.json()
    assert body["external_id"] == "a-1"
    assert (body["detector"], body["model_version"], body["degraded"]) == ("payments", "v1", False)
    assert 0 < body["score"] < 1
    assert body["reasons"][0]["text"]
    assert Prediction.objects.get(pk=body["prediction_id"]).external_id == "a-1"


@pytest.mark.parametrize(
    ("kind", "decision", "chosen"), [("deny", "BLOCK", "rule"), ("allow", "APPROVE", "")]
)
def test_the_answer_says_that_a_list_decided(integration, champion, lead, kind, decision, chosen):
    entry = add_list_entry(
        champion, kind=kind, field="device_id", value="d-1", reason="Ring", expires_at=None,
        author=lead,
    )  # fmt: skip
    ListEntry.objects.filter(pk=entry.pk).update(created_at=timezone.now() - timedelta(minutes=1))
    body = post(integration, risky_payment(device_id="d-1")).json()
    assert (body["decision"], body["selection_reason"]) == (decision, chosen)
    assert body["list_hits"] == [
        {"entry_id": entry.pk, "kind": kind, "field": "device_id", "reason": "Ring"}
    ]
    stored = Prediction.objects.get(pk=body["prediction_id"])
    assert body["policy_digest"] == stored.policy_digest != ""


def test_the_same_event_gives_the_same_answer(integration, champion):
    raw = payment()
    first, again = post(integration, raw), post(integration, raw)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["prediction_id"] == again.json()["prediction_id"]


def test_the_same_id_with_another_body_is_409(integration, champion):
    raw = payment()
    post(integration, raw)
    response = post(integration, raw | {"amount": 1.0})
    assert response.status_code == 409
    assert raw["transaction_id"] in response.json()["detail"]


def test_an_unknown_detector_is_404(integration, champion):
    response = post(integration, payment(), url="/api/v1/detectors/nothing/score")
    assert response.status_code == 404
    assert "nothing" in response.json()["detail"]


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"amount": NaN', b'{"amount": Nan}'])
def test_what_is_not_json_is_400(integration, champion, body):
    response = post(integration, body)
    assert response.status_code == 400
    assert response.json()["detail"]
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "-" + "9" * 5000]
)
def test_what_is_no_finite_number_is_422_and_named(integration, champion, number):
    response = post(integration, json.dumps(payment(amount=0.5)).replace("0.5", number))
    assert response.status_code == 422, response.content
    assert [entry["field"] for entry in response.json()["errors"]] == ["amount"]
    assert not Prediction.objects.exists()


def test_wrong_fields_are_422_with_one_entry_each_and_nothing_stored(integration, champion):
    response = post(integration, payment(amount="much", country="DEU", location=None))
    assert response.status_code == 422
    fields = [entry["field"] for entry in response.json()["errors"]]
    assert sorted(fields) == ["amount", "country", "location"]
    assert all(entry["message"] and entry["loc"] for entry in response.json()["errors"])
    assert not Prediction.objects.exists()
    assert not EntityState.objects.exists()


@pytest.mark.parametrize("body", ["[]", "3", '"text"', "null"])
def test_an_event_that_is_no_object_is_422(integration, champion, body):
    assert post(integration, body).status_code == 422


def test_an_empty_object_names_every_required_field(integration, champion):
    response = post(integration, {})
    assert {entry["field"] for entry in response.json()["errors"]} == {
        "transaction_id", "user_id", "amount", "location", "timestamp", "merchant_type",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["²", "٣", "9" * 190, "a.9999999999999999999999", "", ".."])
def test_a_field_with_any_name_is_422_and_named(integration, champion, name):
    response = post(integration, payment() | {name: []})
    assert response.status_code == 422
    assert [entry["field"] for entry in response.json()["errors"]] == [name]


def test_without_a_key_it_is_401(client, champion):
    response = post(client, payment())
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"


def test_with_a_made_up_key_it_is_401(client, champion):
    client.defaults["HTTP_AUTHORIZATION"] = "Token rp_abc_def"
    assert post(client, payment()).status_code == 401


def test_with_another_scope_it_is_403_and_nothing_is_stored(api, champion):
    assert post(api("predictions:read", "feedback:write"), payment()).status_code == 403
    assert not Prediction.objects.exists()


def test_who_may_not_score_may_not_with_a_session_either(client, analyst, outsider, champion):
    for user in (analyst, outsider):
        client.force_login(user)
        assert post(client, payment()).status_code == 403


def test_an_engineer_may_score_with_a_session(client, engineer, champion):
    client.force_login(engineer)
    assert post(client, payment()).status_code == 200


def test_a_body_over_the_limit_is_413(integration, champion, settings):
    settings.API_MAX_BODY_BYTES = 1000
    assert post(integration, payment(note="x" * 1000)).status_code == 413


def test_another_content_type_is_415(integration, champion):
    assert integration.post(URL, "a=1", content_type="text/csv").status_code == 415


def test_a_get_is_405(integration, champion):
    assert integration.get(URL).status_code == 405


def test_in_a_batch_a_bad_event_fails_no_other(integration, champion):
    events = [payment(), payment(amount=-1), "text", payment(transaction_id="dup"),
              payment(transaction_id="dup", amount=2.0)]  # fmt: skip
    body = post(integration, {"events": events}, url=f"{URL}/batch").json()
    assert (body["scored"], body["refused"]) == (2, 3)
    assert ["prediction" in result for result in body["results"]] == [
        True, False, False, True, False,
    ]  # fmt: skip
    [problem] = body["results"][1]["errors"]
    assert (problem["loc"], problem["field"]) == (["amount"], "amount")
    assert Prediction.objects.count() == 2


@pytest.mark.parametrize(
    "body", [{}, [], {"events": {}}, {"events": None}, {"events": [{}] * 1001}]
)
def test_a_batch_that_is_no_list_of_events_is_422(integration, champion, body):
    response = post(integration, body, url=f"{URL}/batch")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "events"


def test_an_empty_batch_is_an_empty_answer(integration, champion):
    body = post(integration, {"events": []}, url=f"{URL}/batch").json()
    assert body == {"results": [], "scored": 0, "refused": 0}


def test_without_a_model_the_answer_says_so(integration, payments_detector):
    body = post(integration, risky_payment()).json()
    assert (body["score"], body["degraded"], body["decision"]) == (None, True, "REVIEW")


def test_the_answer_holds_no_personal_data(integration, champion):
    text = post(integration, payment(user_name="Grace Hopper")).content.decode()
    assert "Grace" not in text


def test_the_database_gone_is_503_and_never_an_approval(integration, champion, monkeypatch):
    def gone(*args, **kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr("scoring.services.writer.write_predictions", gone)
    response = post(integration, payment())
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert "decision" not in response.json()


def test_windows_that_are_made_anew_are_a_503_that_the_log_tells_once(
    integration, champion, monkeypatch, caplog
):
    def busy(*args):
        raise WindowsBusy

    monkeypatch.setattr(asking, "score_events", busy)
    asking._told.cache_clear()
    assert {post(integration, payment()).status_code for _ in range(3)} == {503}
    assert caplog.text.count("are being made anew") == 1


def test_scoring_costs_the_same_queries_with_a_long_history(integration, champion):
    counts = []
    for many in (1, 60):
        post(integration, {"events": [payment() for _ in range(many)]}, url=f"{URL}/batch")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            post(integration, payment())
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 10, counts
