"""The examples of the API's own page and of docs/api.md work as they stand, sent to the shipped
detectors."""

import json
import re
import shlex
import threading
import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
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


# --- docs/api.md ----------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
NEEDS_MORE = {
    "/api/v1/auth/login": 401,
    "/api/v1/detectors/payments/list-entries/17": 404,
    "/api/v1/alerts/61": 404,
    "/api/v1/cases/7": 404,
}
"""A password, and ids of rows."""


def commands() -> Iterator[tuple[str, str, str | None]]:
    """(method, address, body) of each curl of the page."""
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL):
        for text in re.split(r"\n(?=curl )", block):
            words = shlex.split(text)
            body = words[words.index("-d") + 1] if "-d" in words else None
            method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
            [address] = [word for word in words if word.startswith("$URL")]
            yield method, address.removeprefix("$URL"), body


def test_every_command_of_the_docs_works_when_it_is_pasted(admin_key):
    sent = list(commands())
    assert len(sent) > 15
    for method, address, body in sent:
        answer = admin_key.generic(method, address, body or "", "application/json")
        fine = answer.status_code if answer.status_code in (200, 201) else 200
        assert answer.status_code == NEEDS_MORE.get(address, fine), (address, answer.content)


def client_of_the_docs() -> dict[str, Any]:
    """What the first Python of the page defines."""
    found: dict[str, Any] = {}
    exec(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0], found)  # noqa: S102
    return found


class Answers(HTTPServer):
    """Answers with each status of `told` in turn."""

    def __init__(self, *told: int) -> None:
        super().__init__(("127.0.0.1", 0), AnswerOnce)
        self.told, self.bodies = list(told), []

    def __enter__(self) -> "Answers":
        threading.Thread(target=self.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class AnswerOnce(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.told.pop(0))
        self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(b'{"decision": "APPROVE"}')

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_the_client_of_the_docs_tries_again_what_may_be_tried_again():
    client, slept = client_of_the_docs(), []
    client["time"] = type("Clock", (), {"sleep": slept.append})
    with Answers(429, 503, 200) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        assert client["ask"](url, "rp_1", {"id": "order-4711"}) == {"decision": "APPROVE"}
    assert (slept, len(set(server.bodies)), len(server.bodies)) == ([7, 7], 1, 3)


@pytest.mark.parametrize(("told", "tries"), [((422,), 5), ((503, 503), 2)])
def test_the_client_of_the_docs_gives_up_where_that_mends_nothing(told, tries):
    client = client_of_the_docs()
    client["time"] = type("Clock", (), {"sleep": lambda seconds: None})
    with Answers(*told) as server, pytest.raises(urllib.error.HTTPError) as refused:
        client["ask"](f"http://127.0.0.1:{server.server_port}/", "rp_1", {}, tries=tries)
    assert (refused.value.code, server.told) == (told[-1], [])
