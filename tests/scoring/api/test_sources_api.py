"""Sources over the API: `/api/v1/sources` and the events of a webhook."""

import json

import pytest
import yaml

from scoring.models import Prediction
from scoring.source_models import Source
from tests.scoring.test_sources import KAFKA, WEBHOOK, order

pytestmark = pytest.mark.django_db
URL = "/api/v1/sources"
EVENTS = f"{URL}/shop-payments/events"
DECLARED = yaml.safe_load(WEBHOOK)


def post(client, body, url=URL):
    return client.post(url, json.dumps(body), content_type="application/json")


@pytest.fixture
def writer(api):
    return api("sources:write")


@pytest.fixture
def webhook(writer, payments_detector):
    assert post(writer, DECLARED).status_code == 201
    return Source.objects.get()


def test_a_source_is_declared_listed_and_read(writer, api, payments_detector):
    response = post(writer, DECLARED)
    assert response.status_code == 201, response.content
    body = response.json()
    assert (body["slug"], body["status"]) == ("shop-payments", "ready")
    assert EVENTS in body["how"]
    reader = api("models:read")
    assert reader.get(URL).json() == {"sources": [body]}
    assert reader.get(f"{URL}/shop-payments").json() == body
    assert reader.get(f"{URL}/nothing").status_code == 404


def test_a_source_tells_what_came_by_it(writer, api, webhook):
    reader = api("models:read")
    nothing = {"received": 0, "scored": 0, "refused": 0, "repeated": 0}
    before = reader.get(f"{URL}/shop-payments").json()["activity"]
    assert before == {"last_event_at": None, "per_minute": 0.0, "last_24_hours": nothing,
                      "in_all": nothing}  # fmt: skip
    post(api("score"), [order(), order(), order(order="o-2", amount=-1)], EVENTS)
    [listed] = reader.get(URL).json()["sources"]
    came = {"received": 3, "scored": 1, "refused": 1, "repeated": 1}
    told = listed["activity"]
    assert told["last_24_hours"] == told["in_all"] == came
    assert told["last_event_at"] and told["per_minute"] > 0


def test_declaring_it_again_changes_it(writer, webhook):
    response = post(writer, DECLARED | {"name": "Shop Payments"})
    assert (response.status_code, response.json()["name"]) == (200, "Shop Payments")


def test_a_stream_is_only_declared_and_the_answer_says_so(writer):
    body = post(writer, yaml.safe_load(KAFKA)).json()
    assert body["status"] == "declared"
    assert "names no detector" in body["how"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"source_type": "pigeon"}, "source_type"),
        ({"schema": {"type": "object", "properties": {"a": {"type": "x"}}}},
         "schema.properties.a.type"),
        ({"schema": None}, "schema"),
        ({"name": ""}, "name"),
        ({"config": {"api_key": "x"}}, "config.api_key"),
        ({"detector": "nothing"}, "detector"),
        ({"slug": "No Slug"}, "slug"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_422_and_keeps_nothing(writer, payments_detector, changed, field):
    response = post(writer, DECLARED | {"mapping": {}, "pii_fields": []} | changed)
    assert response.status_code == 422, response.content
    assert field in [entry["field"] for entry in response.json()["errors"]]
    assert not Source.objects.exists()


def nested(levels):
    return json.loads("[" * levels + "]" * levels)


def sent(body, odd):
    """The body as JSON, with `odd` in place of "@@"."""
    return json.dumps(body).replace('"@@"', odd)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"config": {"note": nested(22)}}, "config.note.0.0"),
        ({"schema": DECLARED["schema"] | {"x-note": nested(22)}}, "schema.x-note.0.0"),
        ({"name": nested(30)}, "name"),
        ({"slug": nested(30)}, "slug"),
        ({"source_type": nested(30)}, "source_type"),
        ({"mapping": {"user_id": nested(30)}}, "mapping.user_id"),
        ({"pii_fields": [nested(30)]}, "pii_fields.0"),
        ({"detector": nested(30)}, "detector"),
    ],
)
def test_what_is_nested_too_deeply_is_422_and_quoted_nowhere(
    writer, payments_detector, changed, field
):
    response = post(writer, DECLARED | {"slug": "deep"} | changed)
    assert response.status_code == 422, response.content
    [entry] = response.json()["errors"]
    assert entry["field"].startswith(field)
    assert "[" not in entry["message"]
    assert not Source.objects.exists()


def test_a_body_nested_deeper_than_any_is_400_and_keeps_nothing(writer, api):
    for levels in (260, 1000):
        body = sent(DECLARED | {"config": {"note": "@@"}}, "[" * levels + "]" * levels)
        response = writer.post(URL, body, content_type="application/json")
        assert response.status_code == 400, response.content
    assert api("models:read").get(URL).json() == {"sources": []}


@pytest.mark.parametrize("odd", ["NaN", "1e999", "9" * 400, "-Infinity", '"\\u0000"'])
@pytest.mark.parametrize("field", ["amount", "e_mail", "more"])
def test_what_no_event_may_hold_fails_its_event_alone(api, webhook, odd, field):
    events = [order(), order(order="o-2", **{field: "@@"})]
    response = api("score").post(EVENTS, sent(events, odd), content_type="application/json")
    assert response.status_code == 200, response.content
    body = response.json()
    assert (body["scored"], body["refused"]) == (1, 1)
    assert [(one["loc"], one["field"]) for one in body["results"][1]["errors"]] == [
        ([field], field)
    ]


@pytest.mark.parametrize("odd", ["NaN", "1e999", "9" * 400, '"\\u0000"'])
def test_one_event_with_what_none_may_hold_is_422(api, webhook, odd):
    body = sent(order(more=[{"a": "@@"}]), odd)
    response = api("score").post(EVENTS, body, content_type="application/json")
    assert response.status_code == 422, response.content
    assert [entry["field"] for entry in response.json()["errors"]] == ["more.0.a"]


def test_a_number_that_is_none_is_refused_before_the_schema_divides_by_it(api, writer, webhook):
    schema = json.loads(json.dumps(DECLARED["schema"]))
    schema["properties"]["amount"] = {"type": "number", "multipleOf": 0.01}
    assert post(writer, DECLARED | {"schema": schema}).status_code == 200
    body = sent([order(amount="@@")], "1e999")
    response = api("score").post(EVENTS, body, content_type="application/json")
    assert response.json()["results"][0]["errors"][0]["message"] == "must be a finite number"


def test_one_event_is_scored(api, webhook):
    response = post(api("score"), order(), EVENTS)
    assert response.status_code == 200, response.content
    assert response.json()["scored"] == 1
    assert response.json()["results"][0]["prediction"]["external_id"] == "o-1"


def test_one_wrong_event_is_422(api, webhook):
    response = post(api("score"), order(amount="much"), EVENTS)
    assert response.status_code == 422
    assert [entry["field"] for entry in response.json()["errors"]] == ["amount"]
    assert not Prediction.objects.exists()


def test_one_event_under_an_id_of_another_body_is_409(api, webhook):
    sender = api("score")
    assert post(sender, order(), EVENTS).status_code == 200
    response = post(sender, order(amount=99.0), EVENTS)
    assert response.status_code == 409
    assert "scored before with another body" in response.json()["detail"]
    assert post(sender, [order(amount=99.0)], EVENTS).json()["refused"] == 1


def test_in_a_list_a_wrong_event_fails_no_other(api, webhook):
    body = post(api("score"), [order(), order(amount=-1)], EVENTS).json()
    assert (body["scored"], body["refused"]) == (1, 1)
    assert body["results"][1]["errors"][0]["field"] == "amount"


def test_nothing_is_nothing_and_1001_are_422(api, webhook):
    assert post(api("score"), [], EVENTS).json()["results"] == []
    assert post(api("score"), [order()] * 1001, EVENTS).status_code == 422


def test_what_is_read_may_be_changed_and_sent_back(writer, api, webhook):
    [read] = api("models:read").get(URL).json()["sources"]
    answer = post(writer, read | {"name": "Another name"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Another name")
    assert post(writer, read | {"stat": "ready"}).status_code == 422


def test_a_source_that_is_not_sent_to_is_409(writer, api):
    post(writer, yaml.safe_load(KAFKA))
    response = post(api("score"), {}, f"{URL}/credit-card-transactions/events")
    assert response.status_code == 409
    post(writer, yaml.safe_load(KAFKA) | {"source_type": "rest", "config": {}})
    response = post(api("score"), {}, f"{URL}/credit-card-transactions/events")
    assert response.status_code == 409
    assert "names no detector" in response.json()["detail"]


def test_who_may_declare_read_and_send(client, api, outsider, analyst, engineer, webhook):
    for method, url, scope in [("POST", URL, "score"), ("GET", URL, "score"),
                               ("POST", EVENTS, "sources:write")]:  # fmt: skip
        for who, status in ((client, 401), (api(scope), 403)):
            response = who.generic(method, url, "{}", content_type="application/json")
            assert response.status_code == status
    client.force_login(outsider)
    assert client.get(URL).status_code == 403
    client.force_login(analyst)
    assert client.get(URL).status_code == 200
    assert post(client, DECLARED).status_code == 403
    client.force_login(engineer)
    assert post(client, DECLARED).status_code == 200
