"""Whatever is put into a field of a page or into an address, the answer is an answer: no error of
ours, nothing half done.

Each field of each form gets one hostile value, another for each; `RISK_EVERY_HOSTILE=1` tries all
of them in all fields, for some ten minutes.
"""

import os
from http.cookies import SimpleCookie
from itertools import cycle

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from benchmarks.addresses import dashboard_addresses, queue_addresses, readable_pages
from tests.page_forms import Form, forms_of
from tests.world import begin_world, grow_world, shown_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
HOSTILE = [
    "", " ", "\0", "%", "-1", "0", "1;2", "1_000", "\N{ARABIC-INDIC DIGIT FIVE}", "None", "true",
    "nan", "-inf", "1e999", "9" * 20, "9" * 400, "9" * 5000, "x" * 70_000, "é" * 300,
    "\N{COLLISION SYMBOL}\N{RIGHT-TO-LEFT OVERRIDE}", "'\"<b>&", "../../x", "[]", '{"a":',
    "[" * 2000, "a: [*b", "2026-02-30", "0001-01-01", "9999-12-31", "9999-12-31T23:59",
    "0001-01-01T00:00",
]  # fmt: skip
NO_PAGES = ("/api/", "/metrics")
LOG_IN, LOG_OUT = "/accounts/login/", "/accounts/logout/"


class Undone(Exception):
    """Takes back what a form did."""


@pytest.fixture
def client(admin):
    admin.is_superuser = True
    admin.save()
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def forms(champion, payments_digest, admin, client):
    """Every kind of form of every page."""
    world = begin_world(champion, payments_digest, admin)
    grow_world(world, 1)
    found = {}
    pages = [*readable_pages(shown_of(world)), *queue_addresses(), *dashboard_addresses()]
    for _, address in pages:
        if address.startswith(NO_PAGES):
            continue
        answer = client.get(address)
        if answer.status_code == 200 and "html" in answer.headers["Content-Type"]:
            for form in forms_of(address, answer.content.decode()):
                found.setdefault(form.kind, form)
    assert len(found) > 150
    return [form for form in found.values() if form.path != LOG_OUT]


def tries_of(forms):
    """(form, field, value)"""
    next_one = cycle(HOSTILE)
    for form in forms:
        names = [name for name in form.fields if name != "csrfmiddlewaretoken"]
        for name in names or [""]:
            every = HOSTILE if os.environ.get("RISK_EVERY_HOSTILE") else [next(next_one)]
            for value in every:
                yield form, name, value


def answer_to(client, form: Form, name, value):
    """What is answered; what was asked is taken back, and the session is as before."""
    cookies = client.cookies.output(header="", sep=";")
    data = form.fields | {file: _junk() for file in form.files} | ({name: [value]} if name else {})
    try:
        with transaction.atomic():
            if form.method == "delete":
                answer = client.delete(form.action, headers=form.headers)
            else:
                address = form.path if form.method == "get" else form.action
                answer = getattr(client, form.method)(address, data, headers=form.headers)
            raise Undone
    except Undone:
        client.cookies = SimpleCookie(cookies)
        return answer


def _junk():
    return SimpleUploadedFile("\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 200 + ".zip", b"PK\3\4junk\0")


def test_no_field_brings_an_error_of_ours(client, forms):
    tried = 0
    for form, name, value in tries_of(forms):
        try:
            answer = answer_to(client, form, name, value)
        except Exception as error:
            pytest.fail(f"{form.method} {form.action}, {name}={value[:40]!r}: {error!r}")
        told = (form.method, form.action, name, value[:40])
        assert answer.status_code < 500, told
        # Whoever is not let in is asked nothing: then nothing would be tried here either.
        assert form.path == LOG_IN or LOG_IN not in answer.get("Location", ""), told
        assert LOG_IN not in answer.get("HX-Redirect", ""), told
        tried += 1
    assert tried > 500
