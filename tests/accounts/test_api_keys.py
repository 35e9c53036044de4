from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from accounts.api_keys import create_api_key, revoke_api_key
from accounts.models import ApiKey, AuditEntry
from accounts.roles import ANALYST, DATA_ENGINEER
from accounts.scopes import SCOPES
from tests.accounts.factories import UserFactory, key_for, user_with_role

pytestmark = pytest.mark.django_db


class Scored(APIView):
    required_scope = "score"
    required_permission = "jobs.cancel_job"

    def get(self, request):
        return Response({"user": request.user.username})


class Undeclared(APIView):
    def get(self, request):
        return Response({})


class PerMethod(APIView):
    required_scope = {"GET": "score"}

    def get(self, request):
        return Response({})

    def post(self, request):
        return Response({})


def call(view=Scored, method="get", user=None, **headers):
    request = getattr(APIRequestFactory(), method)("/", headers=headers)
    if user is not None:
        force_authenticate(request, user)
    return view.as_view()(request)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("view", [Scored, PerMethod, Undeclared])
def test_a_method_that_the_view_lacks_is_405_for_whoever_is_known(view, method):
    _, plain = key_for()
    assert call(view, method, authorization=f"Token {plain}").status_code == 405
    response = call(view, method, user=UserFactory())
    assert response.status_code == 405
    assert "put" not in response["Allow"].lower()
    assert call(view, method).status_code == 401


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("Authorization", "Token {}"),
        ("Authorization", "Bearer {}"),
        ("X-API-Key", "{}"),
        pytest.param("X-API-Key", " {}\t ", id="blanks around a value are none of it (RFC 9110)"),
    ],
)
def test_a_key_opens_a_view_in_any_of_three_headers(header, form):
    key, plain = key_for()
    response = call(**{header: form.format(plain)})
    assert response.status_code == 200
    assert response.data == {"user": key.user.username}


@pytest.mark.parametrize("sent", [{}, {"Authorization": "rp_alone"}, {"Authorization": "Basic x"}])
def test_where_no_key_is_found_the_answer_names_the_headers(sent):
    response = call(**sent)
    assert response.status_code == 401
    told = str(response.data["detail"])
    assert all(form in told for form in ("Token <key>", "Bearer <token>", "X-API-Key: <key>"))


def test_no_key_is_401_and_says_how_to_authenticate():
    response = call()
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize(
    "wrong", ["", "x", "rp_", "rp_aa_", "rp_0123456789_wrong", "rp_\0_x", "rp_é_é", "zz_1_2"]
)
def test_a_wrong_key_is_401(wrong):
    assert call(Authorization=f"Token {wrong}").status_code == 401


def test_a_right_prefix_with_a_wrong_secret_is_401():
    _, plain = key_for()
    wrong = plain[:-1] + ("a" if plain[-1] != "a" else "b")
    assert call(Authorization=f"Token {wrong}").status_code == 401


def test_revoked_expired_and_inactive_users_keys_are_401():
    for spoil in ("revoke", "expire", "deactivate"):
        key, plain = key_for()
        if spoil == "revoke":
            revoke_api_key(key, actor=None)
        elif spoil == "expire":
            ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
        else:
            type(key.user).objects.filter(pk=key.user_id).update(is_active=False)
        assert call(**{"X-API-Key": plain}).status_code == 401, spoil


def test_a_key_without_the_scope_is_403():
    _, plain = key_for(scopes=("predictions:read",))
    answer = call(**{"X-API-Key": plain})
    assert answer.status_code == 403
    assert answer.data["detail"] == "This API key lacks the scope 'score'."


def test_every_scope_is_described_in_the_documentation():
    text = (settings.BASE_DIR / "docs" / "api.md").read_text()
    assert [scope for scope in SCOPES if f"| `{scope}` |" not in text] == []


def test_the_admin_scope_holds_every_other_one():
    _, plain = key_for(scopes=("admin",))
    assert call(**{"X-API-Key": plain}).status_code == 200


def test_a_user_with_the_permission_may_and_one_without_may_not():
    assert call(user=user_with_role(DATA_ENGINEER)).status_code == 200
    assert call(user=user_with_role(ANALYST)).status_code == 403


def test_a_view_that_declares_nothing_refuses_everybody():
    _, plain = key_for(scopes=("admin",))
    assert call(Undeclared, **{"X-API-Key": plain}).status_code == 403
    assert call(Undeclared, user=UserFactory(is_superuser=True)).status_code == 403


def test_a_method_that_a_view_does_not_name_is_refused():
    _, plain = key_for()
    assert call(PerMethod, **{"X-API-Key": plain}).status_code == 200
    assert call(PerMethod, method="post", **{"X-API-Key": plain}).status_code == 403


def test_a_request_costs_one_query(django_assert_num_queries):
    _, plain = key_for()
    call(**{"X-API-Key": plain})
    with django_assert_num_queries(1):
        call(**{"X-API-Key": plain})


def test_use_is_noted_once_a_minute():
    key, plain = key_for()
    call(**{"X-API-Key": plain})
    key.refresh_from_db()
    first = key.last_used_at
    call(**{"X-API-Key": plain})
    key.refresh_from_db()
    assert key.last_used_at == first is not None
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    call(**{"X-API-Key": plain})
    key.refresh_from_db()
    assert key.last_used_at >= first


def test_only_the_hash_of_a_secret_is_kept():
    key, plain = key_for()
    secret = plain.split("_", 2)[2]
    assert plain.startswith(f"rp_{key.prefix}_")
    assert secret not in str(ApiKey.objects.values().get())
    assert secret not in str(list(AuditEntry.objects.values()))


def test_unknown_scopes_bad_rates_and_past_expiries_are_refused():
    user = UserFactory()
    for wrong in ({"scopes": ["fly"]}, {"rate": "1/x"}, {"expires_at": timezone.now()}):
        with pytest.raises(ValidationError):
            create_api_key(user=user, label="x", **{"scopes": ["score"], **wrong})
    assert not ApiKey.objects.exists()


def test_making_and_revoking_a_key_are_audited_once():
    key, _ = key_for()
    assert revoke_api_key(key, actor=key.user)
    assert not revoke_api_key(key, actor=key.user)
    actions = AuditEntry.objects.order_by("number").values_list("action", flat=True)
    assert list(actions) == ["api_key.created", "api_key.revoked"]


def test_the_command_prints_the_key_alone_on_its_last_line():
    UserFactory(username="robot")
    out = StringIO()
    call_command(
        "create_api_key", user="robot", name="shop", scopes="score", rate="none", days=3, stdout=out
    )
    plain = out.getvalue().splitlines()[-1]
    assert call(Authorization=f"Token {plain}").status_code == 200
    key = ApiKey.objects.get()
    assert (key.label, key.rate, key.scopes) == ("shop", "none", ["score"])
    assert timedelta(days=2) < key.expires_at - timezone.now() <= timedelta(days=3)


@pytest.mark.parametrize(
    "wrong", [{"user": "nobody"}, {"scopes": "fly"}, {"rate": "fast"}, {"days": -1}]
)
def test_the_command_refuses_nonsense(wrong):
    UserFactory(username="robot")
    with pytest.raises(CommandError):
        call_command("create_api_key", **{"user": "robot", "name": "x", **wrong})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "x" * 121}, "--name: "),
        ({"name": ""}, "--name: Say what the key is for"),
        ({"scopes": ","}, "--scopes: Choose"),
        ({"days": 99999999}, "--days: This time is too far away"),
        ({"days": 2_800_000}, "--days: This time is too far away"),
        ({"days": -1}, "--days: This time has passed"),
        ({"user": "gone"}, "--user: This user is not active"),
    ],
)
def test_the_command_says_what_is_wrong_with_which_option(wrong, said):
    UserFactory(username="robot")
    UserFactory(username="gone", is_active=False)
    with pytest.raises(CommandError, match=said):
        call_command("create_api_key", **{"user": "robot", "name": "x", **wrong})
    assert not ApiKey.objects.exists()
