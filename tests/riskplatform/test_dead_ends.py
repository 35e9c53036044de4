"""Whoever is signed out in the middle of something, or reads what only takes forms, is led on."""

from uuid import uuid4

import pytest
from django.urls import get_resolver, resolve, reverse
from django.urls.converters import IntConverter, UUIDConverter

from benchmarks.addresses import FORMS, patterns_of
from riskplatform.middleware import page_above
from tests.cases.alerts import alert_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
PART = {"HX-Request": "true", "HX-Target": "news"}


def test_what_stands_above_an_address_of_forms_has_a_page():
    patterns = {str(pattern.name): pattern for pattern in patterns_of(get_resolver().url_patterns)}
    known = {IntConverter: 1, UUIDConverter: uuid4()}
    for name in FORMS:
        needed = patterns[name].pattern.converters
        address = reverse(
            name, kwargs={what: known.get(type(kind), "x") for what, kind in needed.items()}
        )
        if not address.startswith("/api/"):
            assert resolve(page_above(address)).url_name not in FORMS, address


def test_a_part_of_a_page_is_not_the_page_to_sign_in(client):
    for ask in (client.get, client.post):
        answer = ask(reverse("queue"), headers=PART)
        assert (answer.status_code, answer.content) == (401, b"")
    assert client.get(reverse("queue")).url.startswith(reverse("login"))


def test_what_is_sent_while_signed_out_is_told_and_leads_back_to_its_page(client, analyst):
    alert = alert_of("a")
    sent = reverse("alert_label", args=[alert.pk])
    page = f"http://testserver{alert.get_absolute_url()}?back=level%3DHIGH"
    answer = client.post(sent, {"disposition": "fraud"}, headers={"Referer": page}, follow=True)
    assert "what you sent was not done" in answer.content.decode()
    assert answer.context["next"] == f"{alert.get_absolute_url()}?back=level%3DHIGH"
    alert.refresh_from_db()
    assert alert.status == "open"


@pytest.mark.parametrize(
    "address", ["", "https://elsewhere.example/alerts/1/", "//x/", "javascript:1"]
)
def test_it_leads_back_to_no_page_of_others(client, address):
    answer = client.post(reverse("alerts_bulk"), headers={"Referer": address}, follow=True)
    assert answer.context["next"] == reverse("queue")


def test_signing_out_is_nothing_to_be_told_of(client, analyst):
    client.force_login(analyst)
    answer = client.post(reverse("logout"), follow=True)
    assert "not done" not in answer.content.decode()


def test_an_address_that_only_takes_forms_shows_the_way_to_its_page(client, analyst):
    client.force_login(analyst)
    alert = alert_of("a")
    answer = client.get(reverse("alert_label", args=[alert.pk]))
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "HX-Request" in answer["Vary"]
    assert "private" in answer["Cache-Control"]
    assert f'href="{alert.get_absolute_url()}"' in answer.content.decode()
    assert 'href="/"' in client.get(reverse("alerts_bulk")).content.decode()
    assert client.post("/api/v1/alerts").status_code == 405
