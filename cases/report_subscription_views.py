"""Reports of the dashboards by e-mail: one's own, and what others have sent to oneself."""

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import User
from cases.dashboard_filters import SPANS
from cases.report_forms import ReportForm
from cases.report_models import ReportSubscription
from cases.report_subscribing import (
    KIND,
    SHARE,
    end_subscription,
    last_runs,
    leave_subscription,
    pause_subscription,
    save_subscription,
    sent_by_others,
    subscriptions_of,
)
from cases.scheduled_reports import make_report_now
from cases.views import signed_in
from cases.workflow import MoveRefused
from notifications.selectors import mail_is_set_up, wants_mail

CRUMBS = [("Dashboards", "/dashboards/")]
_may_view = permission_required("cases.view_alert", raise_exception=True)


@login_required
@_may_view
@require_GET
def report_list(request: HttpRequest) -> HttpResponse:
    """One's own reports, and those that others have sent to oneself."""
    user, now = signed_in(request), timezone.now()
    mine = list(subscriptions_of(user).prefetch_related("recipients"))
    others = list(sent_by_others(user))
    runs = last_runs([*mine, *others])
    context = {
        "title": "Reports by e-mail",
        "crumbs": CRUMBS,
        "mine": [
            {
                "report": one,
                "next": None if one.is_paused else one.timetable.following(now).at,
                "run": runs.get(one.pk),
                "others": len(one.recipients.all()),
            }
            for one in mine
        ],
        "others": [{"report": one, "run": runs.get(one.pk)} for one in others],
        "obstacle": _obstacle(user),
    }
    return render(request, "cases/report_list.html", context)


def _obstacle(user: User) -> str:
    """Why no report would reach somebody; empty where nothing stands in the way."""
    if not mail_is_set_up():
        return "server"
    if not user.email:
        return "address"
    return "" if wants_mail(user, KIND) else "preference"


@login_required
@_may_view
@require_http_methods(["GET", "POST"])
def report_detail(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Subscribe, with the detector and days of the page that one came from, or change it."""
    user = signed_in(request)
    found = ReportSubscription(owner=user) if pk is None else _own(request, pk)
    options: dict[str, Any] = {"instance": found, "may_share": user.has_perm(SHARE)}
    if request.method != "POST":
        initial = _of_page(request) if pk is None else None
        return _render(request, ReportForm(initial=initial, **options), pk)
    form = ReportForm(request.POST, **options)
    if form.is_valid():
        try:
            people = form.cleaned_data.get("recipients")
            save_subscription(form.chosen(), recipients=people, actor=user)
        except MoveRefused as refusal:
            form.add_error(None, str(refusal))
        else:
            due = found.timetable.following(timezone.now()).at.astimezone(ZoneInfo(user.time_zone))
            word = "It is paused." if found.is_paused else f"Next: {due:%A %Y-%m-%d, %H:%M}."
            messages.success(request, f"Saved. {word}")
            return redirect("dashboard_report_list")
    return _render(request, form, pk, status=422)


def _of_page(request: HttpRequest) -> dict[str, Any]:
    """What the address of a dashboard asks for; other days than the usual ones do not go on."""
    days = request.GET.get("days", "")
    asked = {name: request.GET.get(name, "")[:40] for name in ("detector", "currency")}
    return asked | ({"days": int(days)} if days in {str(one) for one in SPANS} else {})


def _render(
    request: HttpRequest, form: ReportForm, pk: int | None, *, status: int = 200
) -> HttpResponse:
    context = {
        "title": "New report by e-mail" if pk is None else "Report by e-mail",
        "crumbs": [*CRUMBS, ("Reports by e-mail", reverse("dashboard_report_list"))],
        "form": form,
        "pk": pk,
        "chosen_days": pk is None and bool(request.GET.get("from")),
        "obstacle": _obstacle(signed_in(request)),
    }
    return render(request, "cases/report_detail.html", context, status=status)


@login_required
@_may_view
@require_POST
def report_pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Pause one's report, or with `resume` go on from now."""
    pause = "resume" not in request.POST
    pause_subscription(_own(request, pk), pause=pause, actor=signed_in(request))
    messages.success(request, "Paused." if pause else "It comes again.")
    return redirect("dashboard_report_list")


@login_required
@_may_view
@require_POST
def report_send(request: HttpRequest, pk: int) -> HttpResponse:
    """Send one's report now, to everybody who gets it."""
    try:
        n = make_report_now(_own(request, pk), actor=signed_in(request), now=timezone.now())
        if n:
            messages.success(request, f"On its way to {n} {'person' if n == 1 else 'people'}.")
        else:
            messages.error(request, "Nobody who gets it can be reached by e-mail, or wants to be.")
    except MoveRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("dashboard_report_list")


@login_required
@_may_view
@require_POST
def report_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete one's report."""
    end_subscription(_own(request, pk), actor=signed_in(request))
    messages.success(request, "Deleted. Nobody gets it any more.")
    return redirect("dashboard_report_list")


@login_required
@_may_view
@require_POST
def report_leave(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop getting what somebody else has sent to oneself."""
    user = signed_in(request)
    leave_subscription(get_object_or_404(sent_by_others(user), pk=pk), user=user)
    messages.success(request, "You do not get it any more.")
    return redirect("dashboard_report_list")


def _own(request: HttpRequest, pk: int) -> ReportSubscription:
    """One of one's own; nobody else's is there at all."""
    return get_object_or_404(subscriptions_of(signed_in(request)), pk=pk)
