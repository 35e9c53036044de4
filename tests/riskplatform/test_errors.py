"""Error answers need no user, no session and no database."""

import asyncio
import sqlite3
from io import BytesIO
from wsgiref.util import setup_testing_defaults

import pytest
from django.db import OperationalError, connection
from django.test import RequestFactory

from riskplatform import errors
from riskplatform.json_api import problem_of
from riskplatform.server import Application
from riskplatform.wsgi import application as django
from scoring import outages
from tests.riskplatform.test_server import ask

PAGES = ["/", "/health", "/livez", "/readyz", "/no/such/page/"]
CALLS = ["/api/v1/predictions", "/v1/metrics", "/detect"]


def call(path, *, host="good.example", cookie="", key=""):
    """(status, headers, body) of a GET, from the application that serves."""
    environ = {"PATH_INFO": path, "HTTP_HOST": host, "HTTP_COOKIE": cookie}
    if key:
        environ["HTTP_X_API_KEY"] = key
    setup_testing_defaults(environ)
    environ["wsgi.input"] = BytesIO()
    told = []
    response = django(environ, lambda status, headers: told.append((int(status[:3]), headers)))
    body = b"".join(response)
    response.close()
    return told[0][0], dict(told[0][1]), body.decode()


@pytest.fixture
def one_host(settings):
    settings.ALLOWED_HOSTS = ["good.example"]


@pytest.fixture
def database_gone(monkeypatch):
    """No connection is open, and none can be opened."""

    def refuse(parameters):
        raise connection.Database.OperationalError("connection refused")

    connection.close()
    with monkeypatch.context() as gone:
        gone.setattr(connection, "get_new_connection", refuse)
        yield


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
def test_another_host_is_told_400_by_a_page(one_host, path):
    status, headers, body = call(path, host="evil.example")
    assert (status, headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "The request could not be read" in body


@pytest.mark.django_db
@pytest.mark.parametrize("path", CALLS)
def test_another_host_is_told_400_in_json_by_the_api(one_host, path):
    status, headers, body = call(path, host="evil.example")
    assert (status, headers["Content-Type"]) == (400, "application/json")
    assert body == '{"detail": "The request could not be understood."}'


def guarded(headers):
    """Whether an answer may neither be framed nor sniffed nor kept by a cache between."""
    kept = headers["Cache-Control"] in ("private", "no-store")
    framed = "frame-ancestors 'none'" not in headers["Content-Security-Policy"]
    sniffed = headers["X-Content-Type-Options"] != "nosniff"
    return kept and not framed and not sniffed and headers["X-Frame-Options"] == "DENY"


@pytest.mark.django_db
@pytest.mark.parametrize("behind_tls", [False, True])
@pytest.mark.parametrize("key", ["", "rp_a_b"])
@pytest.mark.parametrize("path", ["/", "/api/v1/predictions", "/detect"])
def test_another_host_gets_the_headers_of_every_answer(one_host, settings, behind_tls, key, path):
    settings.SECURE_SSL_REDIRECT = behind_tls
    status, headers, _ = call(path, host="evil.example", key=key)
    assert status == 400
    assert guarded(headers)
    assert (headers["Cache-Control"] == "no-store") == (path != "/")


@pytest.mark.django_db
def test_what_breaks_for_a_key_gets_the_headers_of_every_answer(one_host, monkeypatch):
    def broken(*given, **named):
        raise ValueError("a bug of ours")

    monkeypatch.setattr("accounts.authentication._find_key", broken)
    status, headers, body = call("/api/v1/predictions", key="rp_a_b")
    assert (status, headers["Cache-Control"]) == (500, "no-store")
    assert guarded(headers)
    assert "a bug of ours" not in body


@pytest.mark.django_db
def test_behind_a_tls_proxy_another_host_is_told_400_too(one_host, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert call("/", host="evil.example")[0] == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "kind"), [("/health", b"text/html"), ("/detect", b"application")])
def test_another_host_is_told_400_by_the_asgi_application_too(one_host, path, kind):
    scope = {"path": path, "method": "GET", "headers": [(b"host", b"evil.example")]}
    status, headers, _ = asyncio.run(ask(Application(django), scope, b""))
    assert status == 400
    assert headers[b"content-type"].startswith(kind)


@pytest.mark.django_db
def test_another_host_is_one_line_in_the_log(one_host, caplog):
    call("/", host="evil.example")
    assert [record.name for record in caplog.records] == ["django.security.DisallowedHost"]
    assert "evil.example" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/", "/jobs/", "/manage/users/", "/api/docs/"])
def test_without_its_database_a_page_is_503(client, admin, one_host, request, path):
    client.force_login(admin)
    cookie = client.cookies.output(header="", sep=";").strip()
    request.getfixturevalue("database_gone")
    status, headers, body = call(path, cookie=cookie)
    assert (status, headers["Retry-After"]) == (503, "5")
    assert ("The service is not ready" in body) != path.startswith("/api/")


class DiskFull(Exception):
    """As psycopg says it."""

    sqlstate = "53100"


def sqlite_full():
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@pytest.mark.parametrize("cause", [DiskFull(), sqlite_full()])
@pytest.mark.parametrize("path", ["/jobs/", "/api/v1/predictions"])
def test_a_full_disk_of_the_database_is_told_as_one(path, cause):
    """It does not pass by itself as a restart does: somebody has to make room."""
    try:
        raise OperationalError("could not extend file") from cause
    except OperationalError as error:
        response = errors.server_error(RequestFactory().get(path))
        problem = problem_of(error)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert outages.FULL in response.content.decode()
    assert (problem.status, problem.body["detail"]) == (503, outages.FULL)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/accounts/login/", "/no/such/page/"])
def test_what_needs_no_database_is_answered_without(one_host, database_gone, path):
    assert call(path)[0] == (200 if "login" in path else 404)


@pytest.mark.parametrize(
    ("path", "start"), [("/jobs/", "<!DOCTYPE"), ("/v1/metrics", '{"detail"'), ("/detect", "{")]
)
def test_what_broke_otherwise_is_500(path, start):
    try:
        raise ValueError("a bug of ours")
    except ValueError:
        response = errors.server_error(RequestFactory().get(path))
    assert (response.status_code, response.has_header("Retry-After")) == (500, False)
    assert response.content.decode().lstrip().startswith(start)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/detect/", "/batch-detect/", "/api/v1/no/such"])
def test_what_a_client_asks_for_in_vain_is_told_in_json(one_host, path):
    assert call(path)[0::2] == (404, '{"detail": "There is nothing at this address."}')
