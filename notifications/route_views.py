"""Routes of teams and the delivery log, for admins."""

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_POST

from accounts.models import User
from accounts.typed import is_whole
from notifications.forms import RouteForm
from notifications.kinds import KINDS, Channel
from notifications.models import CHANNEL_CHOICES, KIND_CHOICES, Delivery, Route
from notifications.routing import (
    RouteRefused,
    change_route,
    create_route,
    remove_route,
    resend,
    rotate_secret,
    send_test,
)
from notifications.selectors import (
    known_details,
    list_deliveries,
    list_routes,
    mail_is_set_up,
)
from notifications.views import PAGE_SIZE, tabs, template

LATEST = 10
_may = permission_required("notifications.change_route", raise_exception=True)
_SENT_BY = [(value, name) for value, name in CHANNEL_CHOICES if value != Channel.BELL]


class RoutePage(View):
    """A page for who may change routes."""

    @method_decorator(login_required)
    @method_decorator(_may)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(request, *args, **kwargs)


class RouteList(RoutePage):
    """Context: `page_obj` (of routes), `mail`, `tabs`."""

    def get(self, request: HttpRequest) -> HttpResponse:
        context = {
            "page_obj": Paginator(list_routes(), PAGE_SIZE).get_page(request.GET.get("page")),
            "mail": mail_is_set_up(),
            "tabs": tabs(_user(request), "notification_route_list"),
            "title": "Routes",
            "crumbs": [("Notifications", reverse("notification_list"))],
        }
        return render(request, "notifications/route_list.html", context)


class RouteNew(RoutePage):
    """Context: `form` (RouteForm)."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._page(request, RouteForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = RouteForm(request.POST)
        if not form.is_valid():
            return self._page(request, form)
        names = ("name", "channel", "address", "kinds", "about")
        given = {name: form.cleaned_data[name] for name in names}
        route, secret = create_route(**given, actor=_user(request))
        if secret:
            return _show_secret(request, route, secret)
        messages.success(request, "The route is in force. Send a test.")
        return redirect("notification_route_detail", pk=route.pk)

    def _page(self, request: HttpRequest, form: RouteForm) -> HttpResponse:
        context = {"form": form, "title": "New route", "crumbs": _crumbs()}
        return render(request, "notifications/route_new.html", context)


class RouteDetail(RoutePage):
    """Context: `route`, `form` (RouteForm), `deliveries` (the latest), `overlaps`."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        route = route_or_404(pk)
        return self._page(request, route, RouteForm(route=route))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        route = route_or_404(pk)
        form = RouteForm(request.POST, route=route)
        if not form.is_valid():
            return self._page(request, route, form)
        change_route(route, **form.cleaned_data, actor=_user(request))
        messages.success(request, "Saved.")
        return redirect("notification_route_detail", pk=route.pk)

    def _page(self, request: HttpRequest, route: Route, form: RouteForm) -> HttpResponse:
        context = {
            "route": route,
            "form": form,
            "deliveries": list_deliveries(route=str(route.pk))[:LATEST],
            "overlaps": route.overlaps(timezone.now()),
            "title": route.name,
            "crumbs": _crumbs(),
        }
        return render(request, "notifications/route_detail.html", context)


@login_required
@_may
@require_POST
def route_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test and show how it goes."""
    try:
        delivery = send_test(route_or_404(pk), actor=_user(request))
    except RouteRefused as refused:
        messages.error(request, str(refused))
        return redirect("notification_route_detail", pk=pk)
    return redirect("notification_delivery_detail", pk=delivery.pk)


@login_required
@_may
@require_POST
def route_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """Replace the secret and show the new one, once."""
    route = route_or_404(pk)
    try:
        secret = rotate_secret(route, actor=_user(request))
    except RouteRefused as refused:
        messages.error(request, str(refused))
        return redirect("notification_route_detail", pk=pk)
    route.refresh_from_db()
    return _show_secret(request, route, secret)


@login_required
@_may
@require_POST
def route_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a route for good."""
    route = route_or_404(pk)
    remove_route(route, actor=_user(request))
    messages.success(request, f"“{route.name}” was removed. Its deliveries stay in the log.")
    return redirect("notification_route_list")


class DeliveryList(RoutePage):
    """Context: `page_obj` (of deliveries), `selects`, `narrowed`, `tabs`."""

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = _asked(request)
        options = {
            "status": ("Status", Delivery.Status.choices),
            "channel": ("Channel", _SENT_BY),
            "route": ("Route", list(list_routes().values_list("pk", "name"))),
            "kind": ("Kind", KIND_CHOICES),
        }
        context = {
            "page_obj": Paginator(list_deliveries(**asked), PAGE_SIZE).get_page(
                request.GET.get("page")
            ),
            "selects": [
                {"name": name, "label": label, "value": asked[name], "options": known}
                for name, (label, known) in options.items()
            ],
            "narrowed": any(asked.values()),
            "tabs": tabs(_user(request), "notification_delivery_list"),
            "title": "Delivery log",
            "crumbs": [("Notifications", reverse("notification_list"))],
        }
        name = template(request, "notifications/delivery_list.html", "list")
        return render(request, name, context)


class DeliveryDetail(RoutePage):
    """Context: `delivery`."""

    def get(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        delivery = delivery_or_404(pk)
        context = {
            "delivery": delivery,
            "title": delivery.notification.subject,
            "crumbs": [("Delivery log", reverse("notification_delivery_list"))],
        }
        name = template(request, "notifications/delivery_detail.html", "panel")
        return render(request, name, context)


@login_required
@_may
@require_POST
def delivery_resend(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send again what is over."""
    if not resend(delivery_or_404(pk), actor=_user(request)):
        messages.error(request, "It is under way already.")
    return redirect("notification_delivery_detail", pk=pk)


def route_or_404(pk: int) -> Route:
    route = list_routes().filter(pk=pk).first()
    if route is None:
        raise Http404("There is no such route.")
    return route


def delivery_or_404(pk: UUID) -> Delivery:
    delivery = known_details().filter(pk=pk).first()
    if delivery is None:
        raise Http404("There is no such delivery.")
    return delivery


def _asked(request: HttpRequest) -> dict[str, str]:
    """The filters, without what is none."""
    asked = {name: request.GET.get(name, "") for name in ("status", "channel", "route", "kind")}
    known = {
        "status": asked["status"] in Delivery.Status.values,
        "channel": asked["channel"] in dict(_SENT_BY),
        "route": is_whole(asked["route"]),
        "kind": asked["kind"] in KINDS,
    }
    return {name: value if known[name] else "" for name, value in asked.items()}


def _show_secret(request: HttpRequest, route: Route, secret: str) -> HttpResponse:
    """The one page that shows a secret; no cache and no address leads back to it."""
    context = {"route": route, "secret": secret, "title": "Its secret", "crumbs": _crumbs()}
    response = render(request, "notifications/route_secret.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _crumbs() -> list[tuple[str, str]]:
    return [("Routes", reverse("notification_route_list"))]


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
