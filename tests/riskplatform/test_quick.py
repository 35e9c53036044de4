"""The short way of scoring requests gives the answers of the long one; whatever else does not
take it."""

import json

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client, override_settings

from riskplatform import quick
from scoring import breakers
from tests.accounts.factories import key_for
from tests.factories import payment

pytestmark = pytest.mark.django_db
SCORE = "/api/v1/detectors/payments/score"
VOLATILE = {"prediction_id", "latency_ms"}


@pytest.fixture(autouse=True)
def forget():
    cache.clear()
    for remembered in (quick._always, quick._quick_view, quick._host_is_allowed):
        remembered.cache_clear()


def scope_of(path, secret, *, body=b"", method="POST", scheme="http", **headers):
    named = {
        "host": "testserver",
        "authorization": f"Token {secret}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    pairs = [(name.encode(), value.encode()) for name, value in named.items() if value is not None]
    return {"path": path, "method": method, "scheme": scheme, "headers": pairs}


def short(path, secret, body, **headers):
    request = quick.quick_request(scope_of(path, secret, body=body, **headers))
    assert request is not None, "did not take the short way"
    status, pairs, content = quick.respond(request, b"" if request.refuses_body() else body)
    return status, {k.decode(): v.decode() for k, v in pairs}, json.loads(content)


def long(path, secret, body):
    client = Client(headers={"authorization": f"Token {secret}"}, raise_request_exception=False)
    response = client.post(path, body, "application/json")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return response.status_code, headers, response.json()


def same(path, secret, body):
    """Both ways, compared; returns the status."""
    other = body.replace(b"tx-both", b"tx-long") if isinstance(body, bytes) else body
    found, expected = short(path, secret, body), long(path, secret, other)
    plain = [
        {k: v for k, v in one.items() if k not in VOLATILE and "tx-" not in str(v)}
        for one in (found[2], expected[2])
    ]
    assert plain[0] == plain[1]
    assert found[0] == expected[0]
    drop = {"content-length"}
    assert found[1].keys() == expected[1].keys()
    assert {k: v for k, v in found[1].items() if k not in drop} == {
        k: v for k, v in expected[1].items() if k not in drop
    }
    return found[0]


def body_of(**fields):
    """An event whose entities are its own, so that both ways find nothing known of them."""
    own = dict.fromkeys(("transaction_id", "user_id", "device_id", "merchant_id"), "tx-both")
    return json.dumps(payment(**{**own, **fields})).encode()


@pytest.fixture
def secret(payments_detector):
    return key_for(scopes=["score"])[1]


def test_an_event_is_scored_alike(secret, champion):
    assert same(SCORE, secret, body_of()) == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 422),
        (b"[]", 422),
        (b'{"amount": NaN}', 422),
        (b'{"amount": 1e999}', 422),
        (b'{"user_id": "a\\u0000b"}', 422),
        pytest.param(b'{"user_id": ' + b"[" * 1000 + b"]" * 1000 + b"}", 400, id="deep"),
        (b"x" * (2 * 1024 * 1024 + 1), 413),
    ],
)
def test_what_is_no_event_is_refused_alike(secret, body, status):
    assert same(SCORE, secret, body) == status


def test_a_wrong_field_is_told_alike(secret):
    assert same(SCORE, secret, body_of(amount=-1)) == 422


def test_another_body_under_the_same_id_is_a_conflict_alike(secret):
    first = json.dumps(payment(transaction_id="same")).encode()
    other = json.dumps(payment(transaction_id="same", amount=77.0)).encode()
    assert short(SCORE, secret, first)[0] == 200
    assert same(SCORE, secret, other) == 409


def test_an_unknown_detector_is_404_alike(secret):
    assert same("/api/v1/detectors/nothing/score", secret, body_of()) == 404


def test_a_wrong_key_is_401_alike(secret):
    assert same(SCORE, "rp_wrong_key", body_of()) == 401


def test_a_key_without_the_scope_is_403_alike(payments_detector):
    secret = key_for(scopes=["predictions:read"])[1]
    assert same(SCORE, secret, body_of()) == 403
    told = short(SCORE, secret, body_of())[2]["detail"]
    assert told == "This API key lacks the scope 'score'."


def test_a_key_beyond_its_rate_is_429_alike(payments_detector):
    secret = key_for(scopes=["score"], rate="1/h")[1]
    assert short(SCORE, secret, body_of())[0] == 200
    assert same(SCORE, secret, body_of()) == 429


def test_a_database_that_is_left_alone_is_asked_for_no_key(secret, django_assert_num_queries):
    for _ in range(5):
        breakers.breaker("database").failed()
    with django_assert_num_queries(0):
        status, headers, _ = short(SCORE, secret, body_of())
    assert (status, headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(("is_usable", "state"), [(False, "OPEN"), (True, "CLOSED")])
def test_a_database_without_an_answer_for_keys_is_left_alone(secret, monkeypatch, is_usable, state):
    def gone(_):
        raise OperationalError("timeout expired")

    monkeypatch.setattr(quick, "usable_key", gone)
    monkeypatch.setattr(connection, "is_usable", lambda: is_usable)
    assert {short(SCORE, secret, body_of())[0] for _ in range(5)} == {503}
    assert breakers.states()["database"] == state


def test_a_bug_of_ours_is_a_500_that_tells_nothing(secret, monkeypatch):
    monkeypatch.setattr("scoring.api.views.ask", lambda *args: 1 / 0)
    status, _, body = short(SCORE, secret, body_of())
    assert status == 500
    assert "division" not in json.dumps(body)


@pytest.mark.parametrize(
    "path", ["/v1/fraud/predict", "/v1/anomaly/predict", "/detect", "/api/v1/predict"]
)
def test_the_routes_of_earlier_clients_take_the_short_way(secret, path):
    assert quick.quick_request(scope_of(path, secret)) is not None


def test_an_x_api_key_will_do(payments_detector, secret):
    scope = scope_of(SCORE, secret, authorization=None, x_api_key=secret)
    assert quick.quick_request(scope).key == secret


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "GET"},
        {"path": SCORE + "/batch"},
        {"path": "/nothing"},
        {"path": "/"},
        {"authorization": None},
        {"authorization": "Bearer e.y.J"},
        {"content_type": "text/plain"},
        {"accept": "text/html"},
        {"host": "evil.example"},
        {"host": ""},
    ],
)
def test_anything_else_takes_the_long_way(secret, changed):
    given = {"path": SCORE, **changed}
    path = given.pop("path")
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        assert quick.quick_request(scope_of(path, secret, **given)) is None


def test_a_header_sent_twice_takes_the_long_way(secret):
    scope = scope_of(SCORE, secret)
    scope["headers"].append((b"authorization", b"Token rp_other_key"))
    assert quick.quick_request(scope) is None


@pytest.mark.parametrize(("proto", "taken"), [("https", True), ("http", False), (None, False)])
def test_behind_a_proxy_plain_http_is_sent_to_https_the_long_way(secret, settings, proto, taken):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    scope = scope_of(SCORE, secret, x_forwarded_proto=proto)
    assert (quick.quick_request(scope) is not None) is taken
