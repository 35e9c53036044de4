"""Pages of API keys: all of them, one, a new one shown once, and their end."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.api_keys import create_api_key, revoke_api_key
from accounts.models import ApiKey
from accounts.pages import (
    PAGE_SIZE,
    asked_choice,
    asked_text,
    for_who_may,
    signed_in,
    template,
)
from accounts.scopes import SCOPES
from accounts.selectors import ENDED, LIVE, list_keys, prefix_in, usernames
from accounts.services import UserRefused
from accounts.user_forms import KeyForm, end_of_day

VIEW, ADD, CHANGE = "accounts.view_apikey", "accounts.add_apikey", "accounts.change_apikey"
STATES = {LIVE: "In use", ENDED: "Ended"}
SUGGESTED = 200
_FIELDS = {"user": "owner", "expires_at": "expires_on"}


@for_who_may(VIEW)
@require_GET
def key_list(request: HttpRequest) -> HttpResponse:
    """Whoever searches for a whole key is sent on to its prefix.

    Context: page_obj (of keys), filters, q, owner, narrowed, may_add, now.
    """
    now, q, owner = timezone.now(), asked_text(request, "q"), asked_text(request, "owner")
    state, scope = asked_choice(request, "state", STATES), asked_choice(request, "scope", SCOPES)
    if prefix := prefix_in(q):
        # A secret must not stay in the address, nor in what keeps addresses.
        asked = request.GET.copy()
        asked["q"] = prefix
        return redirect(f"{request.path}?{asked.urlencode()}")
    rows = list_keys(now, q=q, owner=owner, state=state, scope=scope)
    context = {
        "title": "API keys",
        "page_obj": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "filters": [
            {
                "name": "state",
                "label": "State",
                "value": state,
                "options": list(STATES.items()),
            },
            {
                "name": "scope",
                "label": "Scope",
                "value": scope,
                "options": [(name, name) for name in SCOPES],
            },
        ],
        "q": q,
        "owner": owner,
        "keep": {"owner": owner} if owner else {},
        "narrowed": bool(q or owner or state or scope),
        "may_add": signed_in(request).has_perm(ADD),
        "now": now,
    }
    return render(request, template(request, "accounts/key_list.html", "list"), context)


@for_who_may(VIEW, ADD)
@require_http_methods(["GET", "POST"])
def key_new(request: HttpRequest) -> HttpResponse:
    """A new key, then its secret, once."""
    start = {"owner": asked_text(request, "owner")}
    form = KeyForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        found = form.cleaned_data
        try:
            key, plain = create_api_key(
                user=found["owner"],
                label=found["label"],
                scopes=found["scopes"],
                rate=found["rate"],
                expires_at=end_of_day(found["expires_on"]),
                actor=signed_in(request),
            )
        except UserRefused as refusal:
            form.add_error(None, str(refusal))
        except ValidationError as error:
            for name, problems in error.message_dict.items():
                form.add_error(_FIELDS.get(name, name), problems)
        else:
            return _show_secret(request, key, plain)
    context = {
        "title": "New API key",
        "crumbs": _crumbs(),
        "form": form,
        "usernames": usernames(SUGGESTED),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/key_new.html", context, status=status)


@for_who_may(VIEW)
@require_GET
def key_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Context: key, scopes [(name, words)], may_revoke, now."""
    key = get_object_or_404(ApiKey.objects.select_related("user"), pk=pk)
    context = {
        "title": key.label,
        "crumbs": _crumbs(),
        "key": key,
        "scopes": [(name, SCOPES.get(name, "")) for name in key.scopes],
        "may_revoke": signed_in(request).has_perm(CHANGE) and key.revoked_at is None,
        "now": timezone.now(),
    }
    return render(request, "accounts/key_detail.html", context)


@for_who_may(VIEW, CHANGE)
@require_POST
def key_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Close a key for good."""
    key = get_object_or_404(ApiKey, pk=pk)
    if revoke_api_key(key, actor=signed_in(request)):
        messages.success(request, f"“{key.label}” opens nothing any more.")
    else:
        messages.success(request, f"“{key.label}” was revoked before.")
    return redirect(key)


def _show_secret(request: HttpRequest, key: ApiKey, plain: str) -> HttpResponse:
    """The one page that shows the secret; no cache keeps it, and no address leads back to it."""
    context = {"title": "Its secret", "crumbs": _crumbs(), "key": key, "secret": plain}
    response = render(request, "accounts/key_secret.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _crumbs() -> list[tuple[str, str]]:
    return [("API keys", reverse("key_list"))]
