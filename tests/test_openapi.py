"""The whole API against its own document: schemathesis sends what the document allows, and worse.

Whatever comes, nothing answers 500, every status code is documented, and every body has the
documented shape.
"""

from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.urls import resolve
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from jobs import dispatch
from riskplatform.quick import quick_request, respond
from riskplatform.wsgi import application
from scoring.source_declaration import read_yaml
from scoring.sources import save_source
from tests.accounts.factories import key_for, user_with_role
from tests.factories import payment, scored, shipped_detector
from tests.scoring.test_sources import WEBHOOK

pytestmark = pytest.mark.django_db
EXAMPLES = 6
"""Per operation and phase."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
REAL = {
    "slug": "payments",
    "external_id": "tx-known",
    "detector": "payments",
    "model_name": "payments",
}


def serve(environ: Any, start_response: Any) -> Any:
    """Answer as the server does (riskplatform/server.py): by the short way what may take it."""
    request = quick_request(_scope(environ))
    if request is None:
        return application(environ, start_response)
    told = b"" if request.refuses_body() else environ["wsgi.input"].read()
    status, headers, content = respond(request, told)
    took_the_short_way.add(request.view.__name__)
    pairs = [(name.decode(), value.decode()) for name, value in headers]
    start_response(f"{status} {HTTPStatus(status).phrase}", pairs)
    return [content]


def _scope(environ: Any) -> dict[str, Any]:
    named = {
        name.removeprefix("HTTP_").replace("_", "-").lower().encode(): value.encode("latin-1")
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    return {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
        "scheme": environ["wsgi.url_scheme"],
        "headers": list(named.items()),
    }


took_the_short_way: set[str] = set()
"""Names of views."""
document = schemathesis.openapi.from_wsgi("/api/schema/?format=json", serve)


def _known(given: Any) -> Any:
    """The same with names of what is really there, in half of the requests."""
    if isinstance(given, dict) and len(repr(given)) % 2:
        return given | {name: REAL[name] for name in given.keys() & REAL.keys()}
    return given


@document.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    return _known(path_parameters)


@document.hook
def map_query(context: Any, query: Any) -> Any:
    return _known(query)


@document.hook
def map_body(context: Any, body: Any) -> Any:
    return _known(body)


@pytest.fixture
def key(champion, fraud_detector, monkeypatch):
    """A key that may do everything, over detectors, a prediction and a source that are there."""
    monkeypatch.setattr(dispatch.current_app, "send_task", lambda *args, **kwargs: None)
    for slug in ("anomaly", "creditcard", "credit_card_fraud"):
        shipped_detector(slug)
    known = scored("payments", payment(transaction_id="tx-known"))
    monkeypatch.setitem(REAL, "prediction_id", str(known.pk))
    monkeypatch.setitem(REAL, "id", str(known.pk))
    save_source(read_yaml(WEBHOOK.replace("Shop payments", "payments")), actor=None)
    _, secret = key_for(user_with_role("Admin"), scopes=("admin",))
    return secret


@pytest.fixture(autouse=True)
def one_connection():
    """Requests share the test's transaction, as with Django's own test client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def scoring_takes_the_short_way(request):
    """Or else the document would be checked against a way that no scoring client takes."""
    took_the_short_way.clear()
    yield
    method, _, path = request.node.name.partition("[")[2].rstrip("]").partition(" ")
    view = resolve(path.replace("{slug}", "payments").replace("{id}", "1")).func.cls
    if method == "POST" and getattr(view, "on_the_lane", False):
        assert took_the_short_way == {view.__name__}


@document.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_api_keeps_to_its_document(case: Any, key: str) -> None:
    case.call_and_validate(headers={"Authorization": f"Token {key}"}, checks=CHECKS)
