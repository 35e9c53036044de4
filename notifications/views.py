"""The bell, its list and everybody's own preferences."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from notifications.forms import PreferenceForm
from notifications.kinds import CHANNEL_NAMES, KINDS, PERSONAL
from notifications.models import KIND_CHOICES, Receipt
from notifications.selectors import (
    list_receipts,
    mail_is_set_up,
    preferences_of,
    unread_count,
)
from notifications.services import mark_read, mark_unread, save_preference

PAGE_SIZE = 50
CHANGED = "bell-changed"
"""The event by which a page tells the bell to count again."""


@require_safe
def bell(request: HttpRequest) -> HttpResponse:
    """The number in the bell; nothing for whoever was signed out meanwhile."""
    if not request.user.is_authenticated:
        return HttpResponse(status=204)
    count = unread_count(request.user.pk)
    response = render(request, "notifications/bell.html#count", {"count": count})
    response["Cache-Control"] = "no-store"
    return response


@method_decorator(login_required, name="dispatch")
class NotificationList(View):
    """Context: `page_obj` (of receipts), `selects`, `narrowed`, `tabs`."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return render_list(request)


def render_list(request: HttpRequest) -> HttpResponse:
    """The list as the query string asks; the fragment to HTMX."""
    user = cast(User, request.user)
    kind, unread = request.GET.get("kind", ""), request.GET.get("show") == "unread"
    kind = kind if kind in KINDS else ""
    found = list_receipts(user, kind=kind, unread=unread)
    selects = [
        {
            "name": "show",
            "label": "Read or not",
            "value": "unread" if unread else "",
            "options": [("unread", "Unread only")],
        },
        {"name": "kind", "label": "Kind", "value": kind, "options": KIND_CHOICES},
    ]
    context: dict[str, Any] = {
        "page_obj": Paginator(found, PAGE_SIZE).get_page(request.GET.get("page")),
        "selects": selects,
        "narrowed": bool(kind or unread),
        "tabs": tabs(user, "notification_list"),
        "title": "Notifications",
    }
    return render(request, template(request, "notifications/list.html", "list"), context)


@login_required
@require_safe
def open_notification(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark one's notification as read and go where it leads."""
    receipt = _receipt(request, pk)
    mark_read(cast(User, request.user), receipt_ids=[receipt.pk])
    return redirect(receipt.notification.url or "notification_list")


@login_required
@require_POST
def read_one(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark one as read, or with `unread` as not; the row to HTMX, the list to everyone else."""
    receipt, user = _receipt(request, pk), cast(User, request.user)
    if request.POST.get("unread"):
        mark_unread(user, receipt_id=receipt.pk)
    else:
        mark_read(user, receipt_ids=[receipt.pk])
    if not is_htmx(request):
        return redirect("notification_list")
    receipt.refresh_from_db(fields=["read_at"])
    response = render(request, "notifications/row.html", {"receipt": receipt})
    response["HX-Trigger"] = CHANGED
    return response


@login_required
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all of one's notifications as read."""
    count = mark_read(cast(User, request.user))
    messages.success(request, "Marked as read." if count else "There was nothing unread.")
    return redirect("notification_list")


@method_decorator(login_required, name="dispatch")
class Preferences(View):
    """Context: `form` (PreferenceForm), `channels` (names), `mail`, `tabs`."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._page(request, self._form(request))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = self._form(request, request.POST)
        if not form.is_valid():
            return self._page(request, form)
        save_preference(form.chosen(), time_zone=form.cleaned_data["time_zone"])
        messages.success(request, "Saved.")
        return redirect("notification_preferences")

    def _form(self, request: HttpRequest, *data: Any) -> PreferenceForm:
        user = cast(User, request.user)
        return PreferenceForm(*data, user=user, preference=preferences_of([user])[user.pk])

    def _page(self, request: HttpRequest, form: PreferenceForm) -> HttpResponse:
        context = {
            "form": form,
            "channels": [CHANNEL_NAMES[channel] for channel in PERSONAL],
            "mail": mail_is_set_up(),
            "tabs": tabs(cast(User, request.user), "notification_preferences"),
            "title": "Preferences",
            "crumbs": [("Notifications", reverse("notification_list"))],
        }
        return render(request, "notifications/preferences.html", context)


def tabs(user: User, here: str) -> list[tuple[str, str, bool]]:
    """(label, address, whether it is this one) of the pages that `user` may open."""
    names = [("notification_list", "Notifications"), ("notification_preferences", "Preferences")]
    if user.has_perm("notifications.change_route"):
        names += [
            ("notification_route_list", "Routes"),
            ("notification_delivery_list", "Delivery log"),
        ]
    return [(label, reverse(name), name == here) for name, label in names]


def template(request: HttpRequest, name: str, fragment: str) -> str:
    """Page, or its fragment to HTMX."""
    return f"{name}#{fragment}" if is_htmx(request) else name


def is_htmx(request: HttpRequest) -> bool:
    """Whether a fragment is wanted; a boosted or restored page wants the whole page."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def _receipt(request: HttpRequest, pk: int) -> Receipt:
    """One of one's own; nobody else's is there at all."""
    found = list_receipts(cast(User, request.user)).filter(pk=pk).first()
    if found is None:
        raise Http404("There is no such notification.")
    return found
