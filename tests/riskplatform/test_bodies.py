"""Whoever sends slowly, or nothing more, holds up nobody else."""

import asyncio
import errno
import json
import logging

import pytest

from accounts.seldom import Seldom
from riskplatform import bodies
from riskplatform.bodies import IN_MEMORY, Body, most_waited_for, whole_body
from riskplatform.server import Application
from riskplatform.wsgi import application as django

pytestmark = pytest.mark.django_db(transaction=True)
LOGIN = "/api/v1/auth/login"
UPLOAD = (b"content-type", b"multipart/form-data; boundary=b")
FORM = b'{"username": "nobody", "password": "wrong"}'


def scope_of(path, *headers, method="POST"):
    return {
        "type": "http", "http_version": "1.1", "query_string": b"", "root_path": "",
        "server": ("testserver", 80), "client": ("127.0.0.1", 1), "scheme": "http",
        "method": method, "path": path, "raw_path": path.encode(),
        "headers": [(b"host", b"testserver"), *headers],
    }  # fmt: skip


def cookie():
    return (b"cookie", b"csrftoken=" + b"a" * 32)


def token():
    return (b"x-csrftoken", b"a" * 32)


def form():
    kind = (b"content-type", b"application/json")
    return scope_of(LOGIN, kind, (b"content-length", b"%d" % len(FORM)))


def part(body, *, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


async def answer_of(application, scope, receive):
    """What is sent: its beginning, and what follows."""
    sent = []

    async def send(message):
        sent.append(message)

    await application(scope, receive, send)
    return sent


async def ask(application, scope, receive):
    sent = await answer_of(application, scope, receive)
    return sent[0]["status"] if sent else None


def from_list(*messages):
    coming = list(messages)

    async def receive():
        return coming.pop(0)

    return receive


def run_with_one_thread(settings, scenario):
    settings.WEB_THREADS = 1

    async def run():
        return await asyncio.wait_for(scenario(Application(django)), 30)

    return asyncio.run(run())


def test_who_has_not_sent_the_body_yet_takes_no_thread(settings):
    async def scenario(application):
        rest = asyncio.Event()
        coming = [part(FORM[:9], more=True), part(FORM[9:])]

        async def slow():
            if len(coming) == 1:
                await rest.wait()
            return coming.pop(0)

        waiting = asyncio.create_task(ask(application, form(), slow))
        probe = scope_of("/livez", method="GET")
        others = [await ask(application, probe, from_list(part(b""))) for _ in range(3)]
        rest.set()
        return others, await waiting

    assert run_with_one_thread(settings, scenario) == ([200, 200, 200], 401)


def test_who_sends_nothing_for_long_is_told_so(settings, monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE", 0.05)

    async def never():
        await asyncio.Event().wait()

    assert run_with_one_thread(settings, lambda served: ask(served, form(), never)) == 408


def test_who_has_gone_is_not_answered(settings):
    gone = from_list(part(b"{", more=True), {"type": "http.disconnect"})
    assert run_with_one_thread(settings, lambda served: ask(served, form(), gone)) is None


@pytest.mark.parametrize("sizes", [[0], [10], [IN_MEMORY, 1, 3 * IN_MEMORY]])
def test_a_body_is_told_as_it_came(sizes):
    parts = [bytes([65 + i]) * size for i, size in enumerate(sizes)]
    came = [part(one, more=i + 1 < len(parts)) for i, one in enumerate(parts)]

    async def told():
        body, found, more = Body(from_list(*came)), b"", True
        await body.wait(10 * IN_MEMORY)
        while more:
            message = await body.receive()
            found, more = found + message["body"], message["more_body"]
        body.close()
        return found

    assert asyncio.run(told()) == b"".join(parts)


def test_of_a_body_that_is_too_large_no_more_is_waited_for():
    body = Body(from_list(part(b"x" * 60, more=True), part(b"y" * 60, more=True), part(b"z")))

    async def told():
        await body.wait(100)
        return [await body.receive() for _ in range(2)]

    assert asyncio.run(told()) == [part(b"x" * 60 + b"y" * 60), part(b"")]
    body.close()


def test_a_body_that_comes_for_ever_is_no_longer_waited_for(settings, monkeypatch):
    monkeypatch.setattr(bodies, "DEADLINE", 0.3)

    async def drip():
        await asyncio.sleep(0.01)
        return part(b" ", more=True)

    assert run_with_one_thread(settings, lambda served: ask(served, form(), drip)) == 408


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("/accounts/login/", [UPLOAD, (b"content-type", b"text/plain")]),
        (LOGIN, [(b"content-type", b"application/json")]),
    ],
)
def test_no_thread_waits_for_a_body_that_is_refused_unread(settings, path, kinds):
    scope = scope_of(path, (b"content-length", b"70000000"), *kinds, cookie(), token())

    async def scenario(application):
        async def never():
            asked.set()
            await asyncio.Event().wait()

        asked = asyncio.Event()
        waiting = asyncio.create_task(ask(application, scope, never))
        await asyncio.sleep(0.2)
        probe = scope_of("/livez", method="GET")
        found = [await ask(application, probe, from_list(part(b""))) for _ in range(3)]
        return found, asked.is_set(), await waiting

    found, was_asked, refused = run_with_one_thread(settings, scenario)
    assert (found, was_asked) == ([200, 200, 200], False)
    assert 400 <= refused < 500


def test_a_second_content_type_makes_nothing_that_a_thread_waits_for(settings):
    headers = (b"content-length", b"5000000"), UPLOAD, (b"content-type", b"text/plain")
    scope = scope_of("/accounts/login/", *headers, cookie(), token())

    async def scenario(application):
        async def never():
            asked.set()
            await asyncio.Event().wait()

        asked = asyncio.Event()
        waiting = asyncio.create_task(ask(application, scope, never))
        await asked.wait()
        await asyncio.sleep(0.2)
        probe = scope_of("/livez", method="GET")
        found = [await ask(application, probe, from_list(part(b""))) for _ in range(3)]
        waiting.cancel()
        return found

    assert run_with_one_thread(settings, scenario) == [200, 200, 200]


def scoring(*, size=1000):
    """A request of the short way to the lane."""
    headers = (b"content-type", b"application/json"), (b"x-api-key", b"nobody's")
    path = "/api/v1/detectors/payments/score"
    return scope_of(path, *headers, (b"content-length", b"%d" % size))


def test_who_asks_for_a_score_is_waited_for_no_longer_either(settings, monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE", 0.05)

    async def stops():
        if coming:
            return coming.pop()
        return await asyncio.Event().wait()

    for begins in ([], [part(b'{"a": 1', more=True)]):
        coming = begins
        assert run_with_one_thread(settings, lambda served: ask(served, scoring(), stops)) == 408
    assert bodies.held.bytes == 0


def test_who_asks_for_a_score_in_parts_is_answered(settings):
    parts = [part(b'{"a": ', more=True), part(b"1}")]
    answer = run_with_one_thread(settings, lambda served: ask(served, scoring(), from_list(*parts)))
    assert answer == 401


def test_of_what_scores_wait_for_no_more_is_read_than_tells_that_it_is_too_large():
    coming = [part(b"x" * 200, more=True), part(b"x" * 200, more=True), part(b"x")]
    assert len(asyncio.run(whole_body(from_list(*coming), 300))) == 400


def test_what_scores_wait_for_has_its_room_too(settings, monkeypatch):
    monkeypatch.setattr(bodies, "MOST_HELD", 100)
    parts = [part(b"x" * 101, more=True), part(b"}")]
    answer = run_with_one_thread(settings, lambda served: ask(served, scoring(), from_list(*parts)))
    assert (answer, bodies.held.bytes) == (503, 0)


def test_who_is_refused_for_the_body_reads_why_in_json(settings, monkeypatch):
    monkeypatch.setattr(bodies, "MOST_HELD", 100)
    monkeypatch.setattr(bodies, "PATIENCE", 0.05)

    async def stops():
        return await asyncio.Event().wait()

    large = from_list(part(b"x" * 101, more=True), part(b"}"))
    for receive, status, why in ((large, 503, "no room"), (stops, 408, "in time")):
        start, body = run_with_one_thread(
            settings, lambda served, receive=receive: answer_of(served, scoring(), receive)
        )
        assert start["status"] == status
        told = dict(start["headers"])
        assert told[b"content-type"] == b"application/json"
        assert (told[b"cache-control"], told[b"x-frame-options"]) == (b"no-store", b"DENY")
        assert why in json.loads(body["body"])["detail"]


def test_a_full_disk_is_a_503_that_the_log_explains(settings, monkeypatch, caplog):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    class Full:
        write = close = full

    monkeypatch.setattr(bodies, "SpooledTemporaryFile", lambda size: Full())
    monkeypatch.setattr(bodies, "_told", Seldom(logging.getLogger("riskplatform.bodies")))
    answer = run_with_one_thread(
        settings, lambda served: ask(served, form(), from_list(part(FORM)))
    )
    assert (answer, bodies.held.bytes) == (503, 0)
    assert "No space left on device" in caplog.text


def test_there_is_room_for_so_many_bytes_of_bodies_and_no_more(settings, monkeypatch):
    monkeypatch.setattr(bodies, "MOST_HELD", 3 * len(FORM))

    async def scenario(application):
        async def never():
            if not coming:
                await asyncio.Event().wait()
            return coming.pop()

        coming = [part(FORM, more=True), part(FORM, more=True)]
        waiting = [asyncio.create_task(ask(application, form(), never)) for _ in range(2)]
        while bodies.held.bytes < 2 * len(FORM):
            await asyncio.sleep(0)
        found = [await ask(application, form(), from_list(part(FORM))) for _ in range(2)]
        found.append(await ask(application, form(), from_list(part(FORM * 2))))
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return found

    assert run_with_one_thread(settings, scenario) == [401, 401, 503]
    assert bodies.held.bytes == 0


def test_bodies_on_disk_leave_room_for_small_ones(settings, monkeypatch):
    monkeypatch.setattr(bodies, "IN_MEMORY", 20)
    monkeypatch.setattr(bodies, "MOST_ON_DISK", 50)
    assert [bodies._room_for(size) for size in (20, 21)] == [bodies.MOST_HELD, 50]


def test_uploads_leave_room_for_everybody_else(settings, monkeypatch):
    settings.API_MAX_BODY_BYTES = 100
    monkeypatch.setattr(bodies, "MOST_OF_UPLOADS", 250)

    async def wait_for(size, most):
        body = Body(from_list(part(b"x" * size)))
        try:
            await body.wait(most)
        finally:
            kept.append(body)

    async def scenario():
        await wait_for(200, 900)
        with pytest.raises(bodies.TooMuchHeld):
            await wait_for(200, 900)
        await wait_for(90, 100)

    kept = []
    asyncio.run(scenario())
    for body in kept:
        body.close()
    assert bodies.held.bytes == 0


@pytest.mark.parametrize(
    ("headers", "most"),
    [
        ([], 100),
        ([(b"content-length", b"0")], 100),
        ([(b"content-length", b"100")], 100),
        ([(b"content-length", b"101")], 0),
        ([(b"transfer-encoding", b"chunked")], 100),
        ([(b"content-length", b"101"), (b"content-type", b"Multipart/form-data; boundary=b")], 900),
        ([(b"content-length", b"901"), (b"content-type", b"multipart/form-data; boundary=b")], 0),
        ([(b"content-length", b"101"), (b"content-type", b"text/plain"), UPLOAD], 900),
        ([(b"content-length", b"101"), UPLOAD, (b"content-type", b"text/plain")], 900),
    ],
)
def test_what_is_announced_to_be_too_large_is_refused_unread(settings, headers, most):
    settings.API_MAX_BODY_BYTES, settings.UPLOAD_MAX_BYTES = 100, 900
    assert most_waited_for(scope_of(LOGIN, *headers)) == most
