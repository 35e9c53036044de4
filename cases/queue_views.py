"""The queue: what is next. Page, fragment and news share one address and one template."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.typed import is_whole
from cases.bulk import MOST
from cases.empty_queue import nothing_waits
from cases.exporting import MOST as TABLE_MOST
from cases.filters import AGE, AMOUNT, DUE, SCORE, SNOOZED, SORTS, QueueFilters
from cases.forms import BudgetForm
from cases.handing_out import budget_row, set_budget
from cases.models import Alert
from cases.queue_counts import Counts, newest_alert_id, open_alerts
from cases.queue_models import QueueBudget, SavedView
from cases.queue_page import (
    Total,
    counts_for,
    first_of,
    page_of,
    selects,
    state_of,
    tabs,
    total,
    total_of,
)
from cases.queue_rows import queue_rows, state_of_row
from cases.resting import snooze_choices
from cases.saving_views import (
    ViewRefused,
    change_view,
    delete_view,
    may_change,
    save_view,
    views_of,
)
from cases.second_looks import blind_since, hidden_look, hide_held
from cases.selectors import assignable_users
from cases.views import fragment, go_on, page_address, preview_context, signed_in
from cases.workflow import REASON_CODES, AlertStatus, Disposition
from scoring.presenting import SpecCache

MOST_WATCHED = 50
ASLEEP = QueueFilters(view=SNOOZED)


@login_required
@permission_required("cases.view_alert", raise_exception=True)
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """Open alerts. `?next` leads to the best of them, `?since=<id>` tells what changed since."""
    filters = QueueFilters.read(request.GET.dict())
    if "next" in request.GET:
        return _next(request, filters)
    if fragment(request) == "news":
        return _news(request, filters)
    return render_queue(request, filters, number=request.GET.get("page"))


def _next(request: HttpRequest, filters: QueueFilters) -> HttpResponse:
    """Whoever decides gets an alert in hands; whoever only reads is led to the first one."""
    after = request.GET.get("after", "")
    leaving = int(after) if is_whole(after) else None
    if request.user.has_perm("cases.triage_alert"):
        return go_on(request, filters, leaving=leaving)
    rows = filters.narrow(open_alerts(), user=signed_in(request), now=timezone.now())
    pk = rows.order_by(*filters.ordering).values_list("pk", flat=True).first()
    return redirect("alert_detail", pk=pk) if pk else redirect("queue")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row that had the cursor when an act was sent, and where what follows it stands now."""

    alert: int = 0
    place: int = 0

    @classmethod
    def read(cls, alert: str, place: str) -> "Cursor":
        """As the form of an act sends it; the first row where it does not say."""
        return cls(_whole(alert), int(place) if is_whole(place, 3) else 0)

    def row(self, alerts: Sequence[Alert]) -> Alert:
        """The row that it stands on; of at least one."""
        stays = next((one for one in alerts if one.pk == self.alert), None)
        return stays or alerts[min(self.place, len(alerts) - 1)]


def render_queue(
    request: HttpRequest,
    filters: QueueFilters,
    *,
    number: Any = 1,
    at: Cursor = Cursor(),
    **extra: Any,
) -> HttpResponse:
    """The page, or its list where htmx asks. The row that the cursor is `at` is previewed.

    An act shows it at an address of its own, which answers no GET: every link of it is the queue's.
    """
    if request.method == "POST":
        request.path, request.META["QUERY_STRING"] = reverse("queue"), filters.query()
        request.GET = QueryDict(filters.query())
    context = {**_list(signed_in(request), filters, number, at), **extra}
    if not fragment(request):
        return render(request, "cases/queue.html", context)
    response = render(request, "cases/queue.html#list", context)
    number = context["page_obj"].number
    response["HX-Push-Url"] = page_address(reverse("queue"), filters.query(), number)
    return response


def _list(user: User, filters: QueueFilters, number: Any, at: Cursor) -> dict[str, Any]:
    """One page of alerts, and what counts, narrows, orders and acts on them."""
    now, specs, newest = timezone.now(), SpecCache(), newest_alert_id()
    holding, views, budget = filters.holding(), views_of(user), budget_row(user)
    counts = counts_for(filters, user, now, holding)
    count = total_of(filters, counts.left, user, now, holding)
    page, purposes = page_of(
        filters,
        budget,
        user,
        now,
        number=number,
        count=count.n,
        holding=holding,
        first=first_of(filters, counts.left),
    )
    alerts = list(page.object_list)
    rows = queue_rows(alerts, specs, purposes, user_id=user.pk, now=now)
    return {
        "title": "Queue",
        "filters": filters,
        "query": filters.query(),
        "back": f"?{urlencode({'back': filters.query()})}" if filters.query() else "",
        **_views(user, filters, counts.whole, views, now),
        "selects": selects(filters, counts, user),
        "page_obj": page,
        **_size(count),
        "rows": rows,
        "now": now,
        "budget": budget,
        "nothing": _nothing(user, filters, counts.whole) if not rows else None,
        **_choices(filters, user),
        **_watched(alerts, newest, now),
        "newest": str(newest),
        **_preview(user, alerts, specs, at),
    }


def _views(
    user: User, filters: QueueFilters, whole: Counts, views: Sequence[SavedView], now: datetime
) -> dict[str, Any]:
    """The tabs above the list, which of them is shown, and what the user may change of them."""
    made = tabs(filters, whole, views, user, now)
    return {
        "tabs": made,
        "tab": next((tab for tab in made if tab["here"]), None),
        "views": [(view, may_change(view, user)) for view in views],
        "snoozed_view": filters.view == SNOOZED,
    }


def _size(count: Total) -> dict[str, Any]:
    """How many alerts match, and how many of them an act or a table takes at most."""
    return {
        "total": count.n,
        "most": TABLE_MOST,
        "counted": count,
        "matching": f"The first {MOST} of {count}" if count.n > MOST else f"All {count}",
    }


def _nothing(user: User, filters: QueueFilters, whole: Counts) -> dict[str, str] | None:
    """Why nothing is shown where the filters leave nothing out."""
    return None if filters.narrowed else nothing_waits(user, total(whole, ASLEEP, user))


def _choices(filters: QueueFilters, user: User) -> dict[str, Any]:
    """How the list can be ordered, and what can be done with what is in it."""
    return {
        "sorts": [(name, words) for name, (words, _, _) in SORTS.items()],
        "heads": _heads(filters),
        "snoozes": snooze_choices(),
        "bulk_reasons": _bulk_reasons(),
        "people": assignable_users() if user.has_perm("cases.assign_alert") else [],
    }


def _preview(user: User, alerts: Sequence[Alert], specs: SpecCache, at: Cursor) -> dict[str, Any]:
    """The alert at the cursor in short, without labels that the user must not know."""
    if not alerts:
        return {"preview": None}
    shown = at.row(alerts)
    since = blind_since(user, shown.detector_id, shown.entity)
    return preview_context(shown, specs, before=since)


def _heads(filters: QueueFilters) -> list[dict[str, Any]]:
    """The columns that the list can be ordered by."""
    columns = (
        (SCORE, "Probability", True), (AMOUNT, "At risk", True), (AGE, "Age", False),
        (DUE, "Due", False),
    )  # fmt: skip
    return [
        {
            "label": label,
            "before_why": before,
            "here": filters.sort == sort,
            "direction": "ascending" if sort in (AGE, DUE) else "descending",
            "query": filters.query(sort=sort),
            "title": SORTS[sort][1],
        }
        for sort, label, before in columns
    ]


def _bulk_reasons() -> list[dict[str, Any]]:
    """Every outcome with every reason: what is selected may be of several detectors."""
    return [
        {
            "value": found.value,
            "label": found.value.replace("_", " ").capitalize(),
            "reasons": [
                {"key": str(i), "code": code, "label": words}
                for i, (code, words) in enumerate(REASON_CODES[found], start=1)
            ],
        }
        for found in Disposition
    ]


def _watched(alerts: Sequence[Alert], since: int, now: Any, waiting: int = 0) -> dict[str, Any]:
    """What the page asks about every few seconds: newer alerts, and what became of its rows."""
    return {
        "since": since,
        "waiting": waiting,
        "watched": ".".join(str(alert.pk) for alert in alerts[:MOST_WATCHED]),
        "state": state_of(alerts, now),
    }


def _news(request: HttpRequest, filters: QueueFilters) -> HttpResponse:
    """How many alerts came since the page was made; they wait for a click. The rows that are shown
    stay where they are, marked with what became of them. 204 when nothing changed."""
    now, user = timezone.now(), signed_in(request)
    since = _whole(request.GET.get("since", "0"))
    pks = [_whole(pk) for pk in request.GET.get("watched", "").split(".")[:MOST_WATCHED]]
    waiting = filters.narrow(open_alerts().filter(pk__gt=since), user=user, now=now).count()
    found = Alert.objects.select_related("owner", "locked_by").in_bulk(pks)
    alerts = [found[pk] for pk in pks if pk in found]
    told = _watched(alerts, since, now, waiting)
    if told["state"] == request.GET.get("state") and str(waiting) == request.GET.get("waiting"):
        return HttpResponse(status=204)
    if any(alert.status == AlertStatus.CLOSED for alert in alerts):
        hide_held(alerts, hidden_look(user))
    changed = [state_of_row(alert, user_id=user.pk, now=now) for alert in alerts]
    context = {"filters": filters, "query": filters.query(), "changed": changed, **told}
    return render(request, "cases/queue.html#news", context)


def _whole(text: str) -> int:
    return int(text) if is_whole(text) else 0


# --- Saved views and the budget ------------------------------------------------------------------


def _back_to_queue(request: HttpRequest) -> HttpResponse:
    query = QueueFilters.read(QueryDict(request.POST.get("query", "")).dict()).query()
    return redirect(f"{reverse('queue')}?{query}".rstrip("?"))


@login_required
@permission_required("cases.view_alert", raise_exception=True)
@require_POST
def view_save(request: HttpRequest) -> HttpResponse:
    """Keep what the queue is filtered by under a name."""
    filters = QueueFilters.read(QueryDict(request.POST.get("query", "")).dict())
    try:
        view = save_view(
            signed_in(request),
            name=request.POST.get("name", ""),
            filters=filters,
            shared=bool(request.POST.get("shared")),
        )
    except ViewRefused as refusal:
        return _view_refused(request, filters, str(refusal))
    messages.success(request, f"Saved the view {view.name}.")
    return _back_to_queue(request)


def _view_refused(request: HttpRequest, filters: QueueFilters, problem: str) -> HttpResponse:
    response = render_queue(
        request, filters, view_problem=problem, view_name=request.POST.get("name", "")[:200]
    )
    response.status_code = 422
    return response


@login_required
@permission_required("cases.view_alert", raise_exception=True)
@require_POST
def view_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename, share or delete a view."""
    user = signed_in(request)
    view = SavedView.objects.filter(pk=pk).first()
    if view is None or not (view.shared or view.owner_id == user.pk):
        raise Http404("There is no such view.")
    filters = QueueFilters.read(QueryDict(request.POST.get("query", "")).dict())
    try:
        if "delete" in request.POST:
            delete_view(view, actor=user)
            messages.success(request, f"Deleted the view {view.name}.")
        else:
            shared = bool(request.POST.get("shared"))
            change_view(view, name=request.POST.get("name", ""), shared=shared, actor=user)
            messages.success(request, f"Changed the view {view.name}.")
    except ViewRefused as refusal:
        return _view_refused(request, filters, str(refusal))
    return _back_to_queue(request)


@login_required
@permission_required("cases.triage_alert", raise_exception=True)
@require_POST
def queue_budget(request: HttpRequest) -> HttpResponse:
    """Split the user's queue; a lead may split everybody's."""
    user = signed_in(request)
    form = BudgetForm(request.POST)
    filters = QueueFilters.read(QueryDict(request.POST.get("query", "")).dict())
    for_all = bool(request.POST.get("everybody"))
    problem = "" if form.is_valid() else " ".join(form.problems())
    if for_all and not user.has_perm("cases.assign_alert"):
        problem = "Only a lead splits the queue of everybody."
    if problem:
        typed = QueueBudget(uncertain=form.whole("uncertain"), audit=form.whole("audit"))
        response = render_queue(request, filters, budget_problem=problem, budget=typed)
        response.status_code = 422
        return response
    split = set_budget(None if for_all else user, **form.cleaned_data, actor=user)
    whose = "Everybody's queue" if for_all else "Your queue"
    messages.success(
        request,
        f"{whose}: {split.exploit} % by expected loss, {split.uncertain} % uncertain,"
        f" {split.audit} % at random.",
    )
    return _back_to_queue(request)
