"""The ASGI application on a real database: quick requests share commits, others take threads."""

import asyncio
import json

import pytest
from django.db import connection, connections

from accounts import authentication
from accounts.roles import ADMIN
from riskplatform.server import Application
from riskplatform.wsgi import application as django
from scoring import announcing
from scoring.models import Prediction, ScoreTally
from tests.accounts.factories import key_for, user_with_role
from tests.factories import payment
from tests.riskplatform.test_quick import scope_of

pytestmark = pytest.mark.django_db(transaction=True)
SCORE = "/api/v1/detectors/payments/score"


@pytest.fixture
def secret(payments_detector):
    return key_for(scopes=["score"], rate="none")[1]


async def ask(application, scope, *parts):
    """(status, headers, body) of one request whose body comes in `parts`."""
    coming = [
        {"type": "http.request", "body": part, "more_body": i + 1 < len(parts)}
        for i, part in enumerate(parts)
    ]
    sent = []

    async def receive():
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    whole = {
        "type": "http", "http_version": "1.1", "query_string": b"", "root_path": "",
        "server": ("testserver", 80), "client": ("127.0.0.1", 1), **scope,
    }  # fmt: skip
    await application(whole, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


def serve(*requests):
    """The answers to requests that come at the same time; then the server stops."""

    async def run():
        application = Application(django)
        answers = await asyncio.gather(*(ask(application, *request) for request in requests))
        stopping = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive():
            return stopping.pop(0)

        async def send(message):
            assert message["type"].endswith(".complete")

        await application({"type": "lifespan"}, receive, send)
        application._threads.executor.submit(connections.close_all).result()
        return answers

    return asyncio.run(run())


def event(number, **changed):
    return json.dumps(payment(transaction_id=f"e{number}", **changed)).encode()


def test_requests_that_come_together_share_a_commit(secret, groups):
    bodies = [event(i) for i in range(16)]
    answers = serve(*((scope_of(SCORE, secret, body=body), body) for body in bodies))
    assert [status for status, _, _ in answers] == [200] * 16
    assert [json.loads(body)["external_id"] for _, _, body in answers] == [
        f"e{i}" for i in range(16)
    ]
    assert sum(groups) == 16
    assert len(groups) <= 2
    assert Prediction.objects.count() == 16


def test_a_bad_request_among_good_ones_gets_its_own_answer(secret):
    bodies = [event(1), b"{", event(2, amount=-5), event(3)]
    answers = serve(*((scope_of(SCORE, secret, body=body), body) for body in bodies))
    assert [status for status, _, _ in answers] == [200, 400, 422, 200]
    assert Prediction.objects.count() == 2


def test_an_event_that_comes_a_thousand_times_at_once_is_stored_once_and_told_to_all(secret):
    body = event(1)
    answers = serve(*[(scope_of(SCORE, secret, body=body), body)] * 1000)
    assert [status for status, _, _ in answers] == [200] * 1000
    assert len({json.loads(content)["prediction_id"] for _, _, content in answers}) == 1
    assert Prediction.objects.count() == 1
    assert ScoreTally.objects.get().count == 1


def test_a_body_in_parts_is_put_together(secret):
    body = event(1)
    scope = scope_of(SCORE, secret, body=body)
    assert serve((scope, body[:10], body[10:50], body[50:]))[0][0] == 200


def test_a_body_over_the_limit_is_refused_whatever_its_header_says(secret, settings):
    settings.API_MAX_BODY_BYTES = 100
    announced = (scope_of(SCORE, secret, body=b"x" * 200), b"x" * 200)
    unannounced = (scope_of(SCORE, secret, content_length=None), *[b"x" * 60] * 50)
    assert [status for status, _, _ in serve(announced, unannounced)] == [413, 413]


def test_everything_else_goes_through_django(secret, client):
    batch = json.dumps({"events": [payment(), payment()]}).encode()
    answers = serve(
        (scope_of("/livez", secret, method="GET", authorization=None), b""),
        (scope_of("/nothing", secret, method="GET", authorization=None), b""),
        (scope_of(SCORE + "/batch", secret, body=batch), batch),
    )
    assert [status for status, _, _ in answers] == [200, 404, 200]
    assert json.loads(answers[2][2])["scored"] == 2


def test_a_header_with_an_underscore_passes_for_none_with_a_dash(secret):
    scope = scope_of(SCORE, secret, body=event(1), authorization=None)
    scope["headers"].append((b"x_api_key", secret.encode()))
    assert serve((scope, event(1)))[0][0] == 401


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
def test_a_database_that_was_restarted_is_found_again(secret):
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)"
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (ours,) = cursor.fetchone()

    async def run():
        application = Application(django)
        statuses = []
        for i in range(4):
            body = event(i)
            scope = scope_of(SCORE, secret, body=body)
            statuses.append((await ask(application, scope, body))[0])
            if i == 0:
                await asyncio.to_thread(end_sessions)
        await asyncio.to_thread(application._lane.stop)
        return statuses

    def end_sessions():
        with connection.cursor() as cursor:
            cursor.execute(end, [ours])
        connection.close()
        authentication._valid.clear()

    statuses = asyncio.run(run())
    assert statuses[0] == statuses[2] == statuses[3] == 200
    assert statuses[1] in (200, 503)


def test_what_needs_a_human_is_announced_before_the_server_stops(secret, monkeypatch):
    heard = []
    monkeypatch.setattr(
        announcing.predictions_recorded, "send", lambda **told: heard.extend(told["predictions"])
    )
    body = event(1, amount=20_000.0)
    assert serve((scope_of(SCORE, secret, body=body), body))[0][0] == 200
    assert [row.external_id for row in heard] == ["e1"]


@pytest.mark.parametrize("how", [(b"transfer-encoding", b"chunked"), None])
def test_a_body_in_chunks_reaches_who_brings_no_key(payments_detector, how):
    """Logging in, and scoring with the token that this gave."""
    boss = user_with_role(ADMIN, username="boss")
    boss.set_password("right-horse-41")
    boss.save()

    def post(path, body, *headers):
        content = json.dumps(body).encode()
        length = how or (b"content-length", b"%d" % len(content))
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode()}
        told = [(b"host", b"testserver"), (b"content-type", b"application/json"), length, *headers]
        [(status, _, answer)] = serve(({**scope, "scheme": "http", "headers": told}, content))
        return status, json.loads(answer)

    status, tokens = post("/api/v1/auth/login", {"username": "boss", "password": "right-horse-41"})
    assert status == 200, tokens
    bearer = (b"authorization", b"Bearer " + tokens["access"].encode())
    assert post("/detect", payment(), bearer)[0] == 200
