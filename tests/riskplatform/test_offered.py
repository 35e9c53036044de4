"""What a page offers to somebody, they may do: no link and no button leads to a refusal."""

from urllib.parse import urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import Resolver404, resolve

from accounts.roles import ADMIN, ANALYST, DATA_ENGINEER, LEAD, MODEL_OWNER
from benchmarks.addresses import dashboard_addresses, queue_addresses, readable_pages
from tests.accounts.factories import user_with_role
from tests.page_forms import forms_of, links_of
from tests.world import begin_world, grow_world, shown_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
NO_PAGES = ("/api/", "/metrics", "/accounts/logout/", "/static/")
REFUSED = (403, 405)


class Undone(Exception):
    """Takes back what was done."""


def answer_of(client, method, address, *given, **more):
    try:
        with transaction.atomic():
            answer = getattr(client, method)(address, *given, **more)
            raise Undone
    except Undone:
        return answer


def offered(client, addresses):
    """By kind, (page, form) of each form and (page, address) of each link of what may be read."""
    forms, links = {}, {}
    for address in addresses:
        answer = answer_of(client, "get", address)
        if answer.status_code == 200 and "html" in answer.headers["Content-Type"]:
            page = answer.content.decode()
            for form in forms_of(address, page):
                if form.is_sent:
                    forms.setdefault(form.kind, (address, form))
            for link in links_of(address, page):
                links.setdefault(route_of(link), (address, link))
    links.pop("", None)
    return forms.values(), links.values()


def route_of(address):
    """The name of its route; empty outside of the platform."""
    split = urlsplit(address)
    if split.netloc or split.path.startswith(NO_PAGES):
        return ""
    try:
        match = resolve(split.path)
    except Resolver404:
        return ""
    return match.view_name or ""


@pytest.mark.parametrize("role", [ANALYST, LEAD, DATA_ENGINEER, MODEL_OWNER, ADMIN])
def test_nobody_is_offered_what_they_may_not(champion, payments_digest, admin, role):
    world = begin_world(champion, payments_digest, admin)
    grow_world(world, 1)
    client = Client()
    client.force_login(user_with_role(role))
    pages = [*readable_pages(shown_of(world)), *queue_addresses(), *dashboard_addresses()]
    forms, links = offered(client, [a for _, a in pages if not a.startswith(NO_PAGES)])
    assert len(forms) > 30 and len(links) > 30
    refused = [
        (page, link)
        for page, link in links
        if answer_of(client, "get", link).status_code in REFUSED
    ]
    for page, form in forms:
        if not form.path.startswith(NO_PAGES):
            address = form.path if form.method == "get" else form.action
            sent = () if form.method == "delete" else (form.fields,)
            answer = answer_of(client, form.method, address, *sent, headers=form.headers)
            if answer.status_code in REFUSED:
                refused.append((page, f"{form.method} {form.action}"))
    assert refused == []
