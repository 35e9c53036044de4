"""What a key writes: within its scopes, by its user's own right, and named in the audit trail."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from accounts.api_keys import create_api_key, revoke_api_key
from accounts.models import ApiKey, AuditEntry, User
from accounts.roles import ADMIN, ANALYST, DATA_ENGINEER
from accounts.selectors import people_behind
from accounts.services import UserRefused, record_audit, set_active, set_roles
from tests.accounts.factories import UserFactory, key_for, user_with_role

pytestmark = pytest.mark.django_db


class Written(APIView):
    required_scope = {"GET": "predictions:read", "POST": "feedback:write"}
    required_permission = {"GET": "scoring.view_prediction", "POST": "scoring.label_prediction"}

    def get(self, request):
        return Response({})

    def post(self, request):
        record_audit(actor=request.user, action="test.written", detail={"n": 1})
        return Response({})


def call(plain, method="post"):
    return Written.as_view()(
        getattr(APIRequestFactory(), method)("/", headers={"x-api-key": plain})
    )


@pytest.mark.parametrize("scope", ["feedback:write", "admin"])
def test_a_key_writes_only_what_its_user_may(scope):
    _, plain = key_for(user_with_role(ANALYST), scopes=(scope,))
    assert call(plain).status_code == 200
    _, plain = key_for(UserFactory(username="shop"), scopes=(scope,))
    answer = call(plain)
    assert answer.status_code == 403
    assert answer.data["detail"] == ("This API key acts for shop, whose roles do not allow this.")


def test_a_key_does_not_outlive_the_right_of_its_user():
    user = user_with_role(DATA_ENGINEER)
    _, plain = key_for(user, scopes=("feedback:write", "predictions:read"))
    assert call(plain).status_code == 200
    set_roles(user, roles=[], actor=None)
    assert call(plain).status_code == 403
    assert call(plain, "get").status_code == 200, "it reads within its scopes, as ever"


def test_the_trail_names_the_key_by_which_an_act_came():
    key, plain = key_for(user_with_role(ANALYST), scopes=("feedback:write",))
    call(plain)
    entry = AuditEntry.objects.get(action="test.written")
    assert (entry.actor, entry.detail) == (key.user, {"n": 1, "api_key": f"rp_{key.prefix}"})
    assert plain.split("_", 2)[2] not in entry.detail_json
    record_audit(actor=User.objects.get(pk=key.user_id), action="test.read")
    assert AuditEntry.objects.get(action="test.read").detail == {}


def test_behind_an_act_by_key_stands_who_made_the_key_too(admin, analyst):
    key, _ = create_api_key(user=analyst, label="x", scopes=["score"], actor=admin)
    console, _ = key_for(analyst)
    assert people_behind(analyst.pk) == {analyst.pk}
    assert people_behind(analyst.pk, f"rp_{key.prefix}") == {analyst.pk, admin.pk}
    assert people_behind(analyst.pk, console.prefix) == {analyst.pk}


def test_whoever_has_just_lost_the_right_makes_no_key(admin, analyst):
    """They were let in, and waited for their turn while another admin took the role."""
    assert admin.has_perm("accounts.add_apikey")
    set_roles(User.objects.get(pk=admin.pk), roles=[], actor=None)
    with pytest.raises(UserRefused, match="may not make API keys any more"):
        create_api_key(user=analyst, label="x", scopes=["score"], actor=admin)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("became", ["is_superuser", "is_active"])
def test_a_key_is_made_for_its_user_as_they_are_now(admin, analyst, became):
    User.objects.filter(pk=analyst.pk).update(**{became: not getattr(analyst, became)})
    with pytest.raises(ValidationError):
        create_api_key(user=analyst, label="x", scopes=["score"], actor=admin)
    assert not ApiKey.objects.exists()


def test_the_page_says_why_no_key_was_made(admin, analyst, client, monkeypatch):
    def refuse(**given):
        raise UserRefused("You may not make API keys any more.")

    monkeypatch.setattr("accounts.key_views.create_api_key", refuse)
    client.force_login(admin)
    form = {"owner": analyst.username, "label": "x", "scopes": ["score"], "rate": "none"}
    answer = client.post(reverse("key_new"), form)
    assert answer.status_code == 422
    assert "You may not make API keys any more." in answer.content.decode()


@pytest.mark.parametrize("how", ["role", "account"])
def test_keys_that_somebody_made_are_told_once_they_may_make_none(client, admin, analyst, how):
    client.force_login(admin)
    maker = user_with_role(ADMIN, username="maker")
    given = {"scopes": ["score"], "actor": maker}
    key, _ = create_api_key(user=analyst, label="Till of today", **given)
    over, _ = create_api_key(user=analyst, label="Till of before", **given)
    create_api_key(user=maker, label="Their own", **given)
    revoke_api_key(over, actor=maker)
    assert client.get(maker.get_absolute_url()).context["known"] == []
    if how == "role":
        set_roles(maker, roles=[ANALYST], actor=None)
    else:
        set_active(maker, active=False, actor=None)
    page = client.get(maker.get_absolute_url())
    assert page.context["known"] == [key]
    assert "Till of today" in page.content.decode()
