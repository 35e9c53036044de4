"""Who may do what, asked of every route there is: a new one that says nothing is found here.

What is asked comes before what is looked for, so that no row has to be there.
"""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib import admin as administration
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse
from django.urls.converters import IntConverter, UUIDConverter
from django.utils import timezone

from accounts.api_keys import revoke_api_key
from accounts.models import ApiKey, User
from accounts.permissions import HasScope
from accounts.roles import ADMIN, ANALYST, DATA_ENGINEER, LEAD, MODEL_OWNER, PERMISSIONS_BY_ROLE
from accounts.scopes import ADMIN_SCOPE, SCOPES, WRITING_SCOPES
from accounts.services import set_active
from accounts.tokens import issue_tokens
from benchmarks.addresses import patterns_of
from tests.accounts.factories import key_for, user_with_role

pytestmark = pytest.mark.django_db
SAFE = ("get", "head", "options")
METHODS = ("get", "post", "put", "patch", "delete")
OPEN = {
    *("api_login", "api_refresh", "api_logout", "api_schema", "api_docs"),
    *("metrics", "health", "livez", "readyz"),
    *("login", "logout", "password_reset_confirm"),
}
"""For anybody: the doors in, what probes ask, the API's own page."""
OWN = {
    *("palette", "notification_list", "notification_bell", "notification_read_all"),
    *("notification_open", "notification_read", "notification_preferences"),
    *("password_change", "password_change_done"),
}
"""For whoever is signed in: what is theirs alone, or empty for who may see nothing."""
WRITTEN_IN_ADMIN = {
    "user": "add change", "apikey": "add change", "detector": "change", "periodictask": "change",
    "detectoralias": "add change delete", "exchangerate": "add", "intervalschedule": "add",
    "crontabschedule": "add", "solarschedule": "add",
}  # fmt: skip
"""What a superuser writes in Django's admin, each by a service or with a line in the trail; to add
a user or a key leads to the pages that do."""
BY_ADMINS = {name: acts for name, acts in WRITTEN_IN_ADMIN.items() if name != "solarschedule"}


def address_of(pattern):
    known = {IntConverter: 1, UUIDConverter: uuid4()}
    needed = pattern.pattern.converters
    return reverse(pattern.name, kwargs={n: known.get(type(c), "x") for n, c in needed.items()})


def routes():
    return [one for one in patterns_of(get_resolver().url_patterns) if one.name not in OPEN]


def endpoints():
    """(name, view, method, address) of every act of the API."""
    return [
        (one.name, one.callback.cls, method, address_of(one))
        for one in routes()
        if hasattr(one.callback, "cls")
        for method in METHODS
        if hasattr(one.callback.cls, method)
    ]


def pages():
    """(name, address)"""
    return [(one.name, address_of(one)) for one in routes() if not hasattr(one.callback, "cls")]


def declared(view, name, method):
    found = getattr(view, name, None)
    return found.get(method.upper()) if isinstance(found, dict) else found


def answers(asked):
    """By route and method, the status of each (client, name, method, address)."""
    return {
        (name, method): getattr(client, method)(
            address, **({} if method in SAFE else {"data": {}, "content_type": "application/json"})
        ).status_code
        for client, name, method, address in asked
    }


def keyed(user, *scopes, **changed):
    key, secret = key_for(user, scopes=scopes)
    ApiKey.objects.filter(pk=key.pk).update(**changed)
    return key, Client(headers={"authorization": f"Token {secret}"})


# --- The API -------------------------------------------------------------------------------------


def test_every_endpoint_declares_a_scope_and_a_permission_that_a_role_has():
    held = frozenset().union(*PERMISSIONS_BY_ROLE.values())
    found = endpoints()
    assert len(found) > 45
    for name, view, method, _ in found:
        scope = declared(view, "required_scope", method)
        assert view.permission_classes == [HasScope], name
        assert scope in SCOPES.keys() - {ADMIN_SCOPE}, f"{name} {method}: scope {scope}"
        assert declared(view, "required_permission", method) in held, f"{name} {method}"
        if method != "get":
            assert scope in {*WRITING_SCOPES, "score"}, f"{name} {method} writes by {scope}"


def test_every_endpoint_takes_its_scope_and_no_other(admin):
    clients = {scope: keyed(admin, scope)[1] for scope in SCOPES}
    for name, view, method, address in endpoints():
        own = declared(view, "required_scope", method)
        for scope, client in clients.items():
            [status] = answers([(client, name, method, address)]).values()
            let_in = status not in (401, 403)
            assert let_in == (scope in (own, ADMIN_SCOPE)), f"{name} {method} by {scope}: {status}"


@pytest.mark.parametrize("method", ["head", "options"])
def test_asking_otherwise_takes_a_scope_too(admin, method):
    client = keyed(admin)[1]
    asked = {name: address for name, _, own, address in endpoints() if own == "get"}
    found = answers((client, name, method, address) for name, address in asked.items())
    assert set(found.values()) == {403}


def test_no_endpoint_opens_to_a_key_without_a_scope_or_that_is_over(admin):
    leaver = user_with_role(ADMIN)
    inactive = keyed(leaver, *SCOPES)[1]
    set_active(leaver, active=False, actor=None)
    over = {"expires_at": timezone.now() - timedelta(seconds=1)}
    revoked, shut = keyed(admin, *SCOPES)
    revoke_api_key(revoked, actor=None)
    for client, status in (
        (Client(), 401),
        (keyed(admin)[1], 403),
        (keyed(admin, *SCOPES, **over)[1], 401),
        (inactive, 401),
        (shut, 401),
    ):
        found = answers((client, name, how, address) for name, _, how, address in endpoints())
        assert set(found.values()) == {status}


def test_nobody_writes_by_a_key_what_their_roles_do_not_allow(outsider):
    client = keyed(outsider, *SCOPES)[1]
    writing = [
        (client, name, method, address)
        for name, view, method, address in endpoints()
        if declared(view, "required_scope", method) in WRITING_SCOPES
    ]
    assert len(writing) > 20
    assert set(answers(writing).values()) == {403}


def test_no_endpoint_opens_to_a_person_without_a_role(outsider):
    token = issue_tokens(outsider).access
    client = Client(headers={"authorization": f"Bearer {token}"})
    found = answers((client, name, how, address) for name, _, how, address in endpoints())
    assert set(found.values()) == {403}


def test_no_other_site_writes_by_the_cookie_of_who_is_signed_in(admin):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    asked = [(client, name, how, address) for name, _, how, address in endpoints() if how != "get"]
    assert set(answers(asked).values()) == {403}


# --- Pages ---------------------------------------------------------------------------------------


def test_every_page_and_act_asks_to_sign_in(client):
    for name, address in pages():
        for method in METHODS:
            answer = getattr(client, method)(address)
            led = answer.get("Location", "").startswith(reverse("login"))
            assert led or answer.status_code in (401, 405) or name == "notification_bell", name


def test_every_page_and_act_asks_for_a_permission(client, outsider):
    client.force_login(outsider)
    let_in = {
        name
        for name, address in pages()
        for method in METHODS
        if getattr(client, method)(address).status_code not in (403, 405)
    }
    assert let_in == OWN


def test_htmx_gets_no_part_of_what_it_may_not(client, outsider):
    client.force_login(outsider)
    part = {"HX-Request": "true", "HX-Target": "list"}
    for name, address in pages():
        if name not in OWN:
            assert client.get(address, headers=part).status_code in (403, 405), name


# --- Django's admin ------------------------------------------------------------------------------


def acts_of(model_admin, user):
    request = RequestFactory().get("/")
    request.user = user
    asked = ("add", "change", "delete")
    may = [act for act in asked if getattr(model_admin, f"has_{act}_permission")(request)]
    return " ".join(may)


@pytest.mark.parametrize(
    ("who", "expected"), [("root", WRITTEN_IN_ADMIN), (ADMIN, BY_ADMINS)], ids=["root", "admin"]
)
def test_djangos_admin_writes_what_is_known_to_be_audited(who, expected):
    if who == "root":
        user = User.objects.create_superuser("root", "root@bank.example", "a pass phrase")
    else:
        user = user_with_role(who)
    found = {
        model._meta.model_name: acts_of(model_admin, user)
        for model, model_admin in administration.site._registry.items()
    }
    assert {name: acts for name, acts in found.items() if acts} == expected


@pytest.mark.parametrize("role", [ANALYST, LEAD, DATA_ENGINEER, MODEL_OWNER])
def test_nobody_else_opens_djangos_admin(client, role):
    client.force_login(user_with_role(role))
    for model in administration.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        answer = client.get(reverse(f"{name}_changelist"))
        assert answer.get("Location", "").startswith(reverse("admin:login")), name
