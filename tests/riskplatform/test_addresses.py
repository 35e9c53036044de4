"""Numbers in addresses that no column holds: nothing is there, and nothing breaks."""

import pytest
from django.contrib.staticfiles.finders import find
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter

from accounts.models import User

pytestmark = pytest.mark.django_db
BEYOND = 10**25 - 1


def named_patterns(patterns):
    """(name, pattern) of every route of ours; those of the admin have a namespace."""
    for found in patterns:
        if isinstance(found, URLResolver) and not found.namespace:
            yield from named_patterns(found.url_patterns)
        elif isinstance(found, URLPattern) and found.name:
            yield found.name, found.pattern.converters


def addresses():
    """Every address with a number, each number in turn larger than any column holds."""
    for name, converters in named_patterns(get_resolver().url_patterns):
        numbers = [key for key, kind in converters.items() if isinstance(kind, IntConverter)]
        for number in numbers:
            yield reverse(name, kwargs=dict.fromkeys(converters, "1") | {number: BEYOND})


def test_a_number_beyond_every_column_breaks_no_page(client, payments_detector):
    client.raise_request_exception = False
    client.force_login(User.objects.create_superuser("root", "root@bank.example", "a pass phrase"))
    asked = list(addresses())
    assert len(asked) > 80
    broken = {
        (method, address): status
        for address in asked
        for method in ("get", "post", "delete")
        if (status := getattr(client, method)(address).status_code) >= 500
    }
    assert broken == {}


def test_the_page_of_the_api_answers_whatever_it_is_asked(client, admin):
    client.force_login(admin)
    for method, status in {"get": 200, "head": 200, "options": 405, "post": 405}.items():
        assert getattr(client, method)("/api/docs/").status_code == status


def test_pages_that_name_no_icon_find_one(client):
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer["Location"]) == (302, static("favicon.svg"))
    assert find("favicon.svg")
