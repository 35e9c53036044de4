"""The examples of the API's own page work as they stand, sent to the shipped detectors."""

import json
from typing import Any

import pytest
from django.test import Client

from jobs import dispatch
from riskplatform.api_examples import slug_in
from tests.accounts.factories import key_for, user_with_role
from tests.factories import shipped_detector

pytestmark = pytest.mark.django_db
FIRST = ("/api/v1/predict", "/api/v1/sources")
"""Feedback speaks of the transaction that `predict` scores, events of the source declared."""
OTHERWISE = {
    "/api/v1/auth/login": 401,
    "/api/v1/auth/refresh": 401,
    "/api/v1/auth/logout": 401,
    "/api/v1/detectors/{slug}/roll_back": 409,
}
"""What needs a password or a former champion; with an id of an address: 404."""


@pytest.fixture
def document(client) -> Any:
    return json.loads(client.get("/api/schema/", {"format": "json"}).content)


@pytest.fixture
def admin_key(champion, fraud_detector, monkeypatch) -> Client:
    monkeypatch.setattr(dispatch.current_app, "send_task", lambda *args, **kwargs: None)
    for slug in ("anomaly", "creditcard", "credit_card_fraud"):
        shipped_detector(slug)
    _, secret = key_for(user_with_role("Admin"), scopes=("admin",))
    return Client(headers={"authorization": f"Token {secret}"})


def examples(document: Any) -> dict[str, Any]:
    """Bodies by address; None where there is no example."""
    found = {}
    for path, operations in document["paths"].items():
        content = operations.get("post", {}).get("requestBody", {}).get("content", {})
        if told := content.get("application/json"):
            named = [one["value"] for one in told.get("examples", {}).values()]
            found[path] = told.get("example", named[0] if named else None)
    return found


def test_every_body_has_an_example(document):
    assert [path for path, body in examples(document).items() if body is None] == []


def test_every_example_works_as_it_stands(document, admin_key):
    bodies = examples(document)
    answered, expected = {}, {}
    for path in sorted(bodies, key=lambda path: path not in FIRST):
        address = path.replace("{slug}", slug_in(path)) if "{slug}" in path else path
        sent = json.dumps(bodies[path])
        answer = admin_key.post(address.replace("{id}", "1"), sent, "application/json")
        answered[path] = answer.status_code
        fine = answer.status_code if answer.status_code in (200, 201, 202) else 200
        expected[path] = 404 if "{id}" in path else OTHERWISE.get(path, fine)
    assert answered == expected
    assert len(answered) > 25


def test_what_a_batch_holds_in_its_example_is_scored(document, admin_key):
    path = "/api/v1/detectors/{slug}/score/batch"
    body = json.dumps(examples(document)[path])
    answer = admin_key.post(path.replace("{slug}", "fraud"), body, "application/json").json()
    assert (answer["scored"], answer["refused"]) == (2, 0)
