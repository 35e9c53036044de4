"""API requests with a key take the short way; browsers and the session API take the long one."""

import io

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse

from accounts.api_keys import revoke_api_key
from riskplatform.middleware import KeyedApiMiddleware
from tests.accounts.factories import key_for
from tests.factories import payment

pytestmark = pytest.mark.django_db
SCORE = "/api/v1/detectors/payments/score"


def ask(client, **headers):
    return client.post(SCORE, payment(), "application/json", headers=headers)


def test_a_keyed_answer_has_no_cookies_and_may_not_be_framed(payments_detector, api):
    response = ask(api("score"))
    assert response.status_code == 200
    assert not response.cookies
    assert response["X-Frame-Options"] == "DENY"
    assert response["Content-Security-Policy"].startswith("default-src 'none'")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert int(response["Content-Length"]) == len(response.content)


@pytest.mark.parametrize("address", ["/api/v1/predictions", "/api/v1/predictions/none"])
def test_no_cache_keeps_what_the_api_answers(client, admin, api, address):
    client.force_login(admin)
    for who in (client, api("predictions:read")):
        assert who.get(address)["Cache-Control"] == "no-store"


def test_no_cache_but_the_browser_s_own_keeps_a_page(client, admin):
    client.force_login(admin)
    for address in (reverse("queue"), reverse("detector_list"), "/nothing/"):
        assert client.get(address)["Cache-Control"] == "private"
    assert "no-store" in client.get(reverse("case_export", args=["csv"]))["Cache-Control"]


def test_a_wrong_key_is_refused_even_with_a_session(payments_detector, client, admin):
    client.force_login(admin)
    assert ask(client, authorization="Token rp_wrong_key").status_code == 401


def test_a_session_still_needs_a_form_token(payments_detector, admin):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin)
    assert ask(strict).status_code == 403


def test_a_foreign_host_is_refused(payments_detector, api):
    with override_settings(ALLOWED_HOSTS=["risk.example"]):
        assert ask(api("score"), host="evil.example").status_code == 400


def test_an_unknown_address_is_404(api):
    assert api("score").get("/api/v1/nothing").status_code == 404


def test_pages_ignore_keys(api):
    response = api("score").get(reverse("queue"))
    assert response.status_code == 302


def chunked(body):
    """A request whose body comes in chunks: no header tells its length."""
    request = RequestFactory().post(SCORE, b"", "application/json", headers={"x-api-key": "rp_a_b"})
    request.META.pop("CONTENT_LENGTH", None)
    request.META["HTTP_TRANSFER_ENCODING"] = "chunked"
    request.META["wsgi.input"] = io.BytesIO(body)
    return request


def test_a_body_in_chunks_is_read_and_limited(settings, monkeypatch):
    settings.API_MAX_BODY_BYTES = 100
    seen = []
    monkeypatch.setattr(
        "scoring.api.base.ScoringView.dispatch",
        lambda self, request, **kwargs: seen.append(request.read()) or _empty(),
    )
    middleware = KeyedApiMiddleware(lambda request: None)
    middleware(chunked(b"x" * 50))
    middleware(chunked(b"x" * 5000))
    assert [len(body) for body in seen] == [50, 101]


def _empty():
    return HttpResponse()


def test_a_key_is_trusted_for_a_moment_and_no_longer(payments_detector, settings, client):
    settings.API_KEY_CACHE_SECONDS = 60.0
    key, secret = key_for(scopes=["score"])
    assert ask(client, authorization=f"Token {secret}").status_code == 200
    revoke_api_key(key, actor=None)
    assert ask(client, authorization=f"Token {secret}").status_code == 200
    settings.API_KEY_CACHE_SECONDS = 0.0
    assert ask(client, authorization=f"Token {secret}").status_code == 401


@pytest.mark.parametrize("path", ["/detectors/", "/detectors/payments/lists/", "/v1/nothing"])
def test_a_key_on_the_way_to_a_page_breaks_nothing(payments_detector, client, admin, path):
    client.force_login(admin)
    plain = client.get(path).status_code
    assert client.get(path, headers={"x-api-key": "anything"}).status_code == plain


def test_a_browser_keeps_a_page_and_its_fragments_apart(client, analyst, api, payments_detector):
    client.force_login(analyst)
    for headers in ({}, {"HX-Request": "true", "HX-Target": "content"}):
        kept = client.get("/", headers=headers)["Vary"]
        assert {"HX-Request", "HX-Target", "Cookie"} <= {part.strip() for part in kept.split(",")}
    assert "HX-Request" not in ask(api("score")).get("Vary", "")
