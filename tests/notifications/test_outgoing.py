"""Requests to addresses that somebody typed in: none into our own network, none for ever."""

import socket
import time
from ipaddress import ip_network

import pytest

from notifications.outgoing import Fault, Limits, check_url, post
from tests.notifications.receivers import http_receiver

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture
def receiver():
    with http_receiver() as found:
        yield found


def limits(receiver, *, networks=LOOPBACK, deadline=5.0):
    return Limits(networks=networks, ports=frozenset({443, receiver.port}), deadline=deadline)


def sent(url, allowed):
    return post(url, b"{}", {"Content-Type": "application/json"}, allowed)


def test_a_request_arrives_with_its_body_and_the_name_as_host(receiver):
    assert sent(receiver.url(host="localhost"), limits(receiver)) == 200
    (request,) = receiver.requests
    assert (request.body, request.headers["Host"]) == (b"{}", f"localhost:{receiver.port}")


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "0"),
        *("localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]"),
        *("10.1.2.3", "172.16.0.9", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1"),
        *("[fe80::1]", "[fd00::1]", "[ff02::1]", "[2002:7f00:1::]", "240.0.0.1", "[::]"),
    ],
)
def test_no_notation_leads_into_our_own_network(receiver, host):
    with pytest.raises(Fault) as fault:
        sent(f"https://{host}:{receiver.port}/", limits(receiver, networks=()))
    # What this machine cannot resolve was not reached either.
    assert "our own network" in str(fault.value) or "not found" in str(fault.value)
    assert receiver.requests == []


def test_a_name_with_one_inner_address_among_public_ones_is_refused(receiver, monkeypatch):
    answers = [(0, 0, 0, "", ("93.184.216.34", 443)), (0, 0, 0, "", ("127.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: answers)
    with pytest.raises(Fault, match="our own network"):
        sent("https://rebinding.example/", limits(receiver, networks=()))


def test_a_name_is_resolved_once_so_that_rebinding_gains_nothing(receiver, monkeypatch):
    asked, resolve = [], socket.getaddrinfo

    def answer(host, *args, **more):
        if host == "rebinding.example":
            asked.append(host)
            inner = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (inner, receiver.port))]
        return resolve(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert sent(receiver.url(host="rebinding.example"), limits(receiver)) == 200
    assert asked == ["rebinding.example"]
    assert receiver.requests[0].headers["Host"] == f"rebinding.example:{receiver.port}"


def test_a_redirect_is_not_followed(receiver):
    receiver.answers = [{"status": 302, "headers": {"Location": receiver.url("/inner")}}]
    with pytest.raises(Fault, match="redirect") as fault:
        sent(receiver.url(), limits(receiver))
    assert fault.value.lasting
    assert [request.path for request in receiver.requests] == ["/hook/verysecretpart"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.com/", "begin with https"),
        ("file:///etc/passwd", "begin with https"),
        ("//example.com/", "begin with https"),
        ("http://example.com/", "begin with https"),
        ("https://", "begin with https"),
        ("https://user:pass@example.com/", "user name or password"),
        ("https://example.com:22/", "Only these ports"),
        ("https://example.com:99999/", "no web address"),
        ("https://exa mple.com/", "signs"),
        ("https://example.com/\r\nX-Injected: 1", "signs"),
        ("https://example.com/\x7f", "signs"),
        ("https://example.com/" + "a" * 1981, "signs"),
    ],
)
def test_what_is_no_address_for_us_is_refused_without_asking_anybody(url, said):
    with pytest.raises(Fault, match=said) as fault:
        check_url(url, Limits())
    assert fault.value.lasting


def test_the_longest_address_is_taken():
    assert check_url("https://example.com/" + "a" * 1980, Limits()).path.count("a") == 1980


def test_outside_of_allowed_networks_http_is_refused(receiver, monkeypatch):
    answers = [(0, 0, 0, "", ("93.184.216.34", receiver.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: answers)
    with pytest.raises(Fault, match="only https"):
        sent(receiver.url(host="public.example"), limits(receiver))
    answers.append((0, 0, 0, "", ("127.0.0.1", receiver.port)))
    with pytest.raises(Fault, match="only https"):
        sent(receiver.url(host="half-public.example"), limits(receiver))
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("status", "lasting"),
    [(500, False), (503, False), (429, False), (408, False), (400, True), (404, True), (410, True)],
)
def test_only_what_may_get_better_is_worth_another_attempt(receiver, status, lasting):
    receiver.answers = [{"status": status, "headers": {"Retry-After": "120"}}]
    with pytest.raises(Fault, match=str(status)) as fault:
        sent(receiver.url(), limits(receiver))
    assert (fault.value.lasting, fault.value.retry_after) == (lasting, 120.0)


@pytest.mark.parametrize("answer", [{"hangs": 20}, {"drips": 400}])
def test_a_receiver_that_hangs_or_drips_is_left_at_the_deadline(receiver, answer):
    receiver.answers = [{"status": 200, **answer}]
    began = time.monotonic()
    with pytest.raises(Fault, match="in time"):
        sent(receiver.url(), limits(receiver, deadline=0.5))
    assert time.monotonic() - began < 10.0


def test_an_endless_answer_is_not_read(receiver):
    receiver.answers = [{"status": 200, "floods": 1_000_000}]
    began = time.monotonic()
    assert sent(receiver.url(), limits(receiver, deadline=20.0)) == 200
    assert time.monotonic() - began < 10.0


def test_nobody_listening_and_no_certificate_are_told_apart(receiver):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    allowed = Limits(networks=LOOPBACK, ports=frozenset({closed, receiver.port}), deadline=3.0)
    with pytest.raises(Fault, match="refused the connection"):
        sent(f"http://127.0.0.1:{closed}/", allowed)
    with pytest.raises(Fault, match=r"No secure connection|broke off"):
        sent(f"https://127.0.0.1:{receiver.port}/", allowed)


def test_no_fault_repeats_the_address(receiver):
    receiver.answers = [{"status": 500}]
    for url in (receiver.url(), receiver.url("/verysecretpart", host="nowhere.invalid")):
        with pytest.raises(Fault) as fault:
            sent(url, limits(receiver))
        assert "verysecretpart" not in str(fault.value)
        assert fault.value.__cause__ is None
