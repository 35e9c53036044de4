"""The queue and the alert: what is next, what happened, and the decision about it."""

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from cases.filters import QueueFilters, selects, tabs
from cases.forms import AssignForm, LabelForm, OpenCaseForm, found_words
from cases.models import Alert
from cases.rows import alert_row, alert_rows
from cases.second_looks import is_blind
from cases.selectors import (
    alert_counts,
    alert_queue,
    assignable_users,
    entity_history,
    find_alert,
    newest_alert_id,
    past_alerts_of_entity,
    predictions_of_alert,
)
from cases.services import assign_alert, begin_touch, end_touch, label_alert, open_case
from cases.workflow import REASON_CODES, AlertStatus, Disposition, MoveRefused, reasons_of
from scoring import presenting
from scoring.core.spec import DetectorSpec, truth_words
from scoring.models import Detector
from scoring.screened import screening_hits

PAGE_SIZE = 50
NEXT_REACH = 1000
HISTORY = 60
PREVIEW_HISTORY = 5
PAST_ALERTS = 6
ACTS = {*Disposition, "case", "assign"}


def fragment(request: HttpRequest) -> str:
    """The id that htmx will fill, `page` when it wants one without an id, empty for a full page."""
    htmx = request.htmx  # type: ignore[attr-defined]
    if not htmx or htmx.boosted or htmx.history_restore_request:
        return ""
    return str(htmx.target or "page")


def signed_in(request: HttpRequest) -> User:
    """The user; pages are behind `login_required`."""
    return cast(User, request.user)


# --- Queue ---------------------------------------------------------------------------------------


@login_required
@permission_required("cases.view_alert", raise_exception=True)
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """Open alerts. `?next` leads to the first of them, `?since=<id>` tells how many are newer."""
    user = signed_in(request)
    filters = QueueFilters.read(request.GET.dict())
    if "next" in request.GET:
        return _go_to_next(request, filters)
    if fragment(request) == "news":
        return _news(request, filters)
    specs = presenting.SpecCache()
    counts = alert_counts()
    page = Paginator(_matching(filters, user), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = alert_rows(page.object_list, specs)
    context = {
        "title": "Queue",
        "filters": filters,
        "query": filters.query(),
        "tabs": tabs(filters, counts, user),
        "selects": selects(filters, counts, user),
        "sorts": [("loss", "expected loss"), ("age", "age"), ("score", "probability"),
                  ("amount", "amount")],
        "page_obj": page,
        "rows": rows,
        "since": newest_alert_id(),
        **(_preview_context(rows[0].alert, specs) if rows else {"preview": None}),
    }  # fmt: skip
    if not fragment(request):
        return render(request, "cases/queue.html", context)
    response = render(request, "cases/queue.html#list", context)
    # The address says what is asked and nothing else, not every empty field of the form.
    asked = filters.query() + (f"&page={page.number}" if page.number > 1 else "")
    response["HX-Push-Url"] = f"{request.path}?{asked.lstrip('&')}".rstrip("?")
    return response


def _matching(filters: QueueFilters, user: User) -> Any:
    """The alerts that the filters let through, in their order."""
    fields: set[str] = set()
    if filters.q:
        for detector in Detector.objects.all():
            spec = presenting.SpecCache().of(detector)
            fields |= {detector.slug if spec is None else spec.entity_field or detector.slug}
    return filters.apply(alert_queue(), user=user, entity_fields=sorted(fields))


def _news(request: HttpRequest, filters: QueueFilters) -> HttpResponse:
    """How many alerts came since the page was made; they wait for a click."""
    since = request.GET.get("since", "0")
    since = since if since.isdecimal() and len(since) < 19 else "0"
    waiting = _matching(filters, signed_in(request)).filter(pk__gt=int(since)).count()
    context = {"waiting": waiting, "since": since, "filters": filters, "query": filters.query()}
    return render(request, "cases/queue.html#news", context)


def _go_to_next(request: HttpRequest, filters: QueueFilters) -> HttpResponse:
    passed = request.GET.get("after", "")
    after = int(passed) if passed.isdecimal() and len(passed) < 19 else 0
    return _to_alert_or_queue(request, _next_pk(filters, signed_in(request), after), filters)


def _to_alert_or_queue(
    request: HttpRequest, pk: int | None, filters: QueueFilters
) -> HttpResponseRedirect:
    if pk is not None:
        return HttpResponseRedirect(alert_url(pk, filters.query()))
    messages.info(request, "Nothing else waits here.")
    return HttpResponseRedirect(f"{reverse('queue')}?{filters.query()}".rstrip("?"))


def _next_pk(filters: QueueFilters, user: User, after: int) -> int | None:
    """The alert after `after` that nobody else owns; the first if that is not in the queue."""
    rows = _matching(filters, user).filter(Q(owner=user) | Q(owner=None))
    order = list(rows.values_list("pk", flat=True)[:NEXT_REACH])
    at = order.index(after) + 1 if after in order else 0
    return order[at] if at < len(order) else None


def alert_url(pk: int, back: str) -> str:
    """An alert's address; `back` is the queue's query string, so that the way on is known."""
    url = reverse("alert_detail", args=[pk])
    return f"{url}?{urlencode({'back': back})}" if back else url


def _preview_context(alert: Alert, specs: presenting.SpecCache) -> dict[str, Any]:
    spec = specs.of(alert.detector)
    return {
        "preview": alert_row(alert, specs),
        "why": presenting.explain_prediction(alert.top_prediction, spec),
        "prediction": alert.top_prediction,
        "rules": presenting.rule_hits(alert.top_prediction),
        "screening": screening_hits(alert.top_prediction),
        "events": entity_history(alert.detector_id, alert.entity, limit=PREVIEW_HISTORY),
    }


# --- Alert ---------------------------------------------------------------------------------------


def alert_or_404(pk: int) -> Alert:
    alert = find_alert(pk)
    if alert is None:
        raise Http404("There is no such alert.")
    return alert


@login_required
@permission_required("cases.view_alert", raise_exception=True)
@require_GET
def alert_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One alert; its short form where the queue asks for a preview. `?act=` opens a form."""
    alert = alert_or_404(pk)
    if fragment(request) == "preview":
        context = _preview_context(alert, presenting.SpecCache())
        return render(request, "cases/queue.html#preview-body", context)
    if is_blind(signed_in(request), alert):
        return redirect("second_looks")
    begin_touch(signed_in(request), alert=alert)
    act = request.GET.get("act", "")
    return _render_alert(request, alert, {"act": act if act in ACTS else ""})


def _render_alert(
    request: HttpRequest, alert: Alert, extra: dict[str, Any], status: int = 200
) -> HttpResponse:
    specs = presenting.SpecCache()
    top = alert.top_prediction
    spec = specs.of(alert.detector)
    row = alert_row(alert, specs)
    predictions = list(predictions_of_alert(alert))
    here = frozenset(prediction.pk for prediction in predictions)
    fields = presenting.event_fields(top, spec)
    back = _back(request)
    context: dict[str, Any] = {
        "title": row.entity,
        "subtitle": f"{alert.detector} · {specs.entity_word(alert.detector)}",
        "crumbs": [("Queue", f"{reverse('queue')}?{back}" if back else reverse("queue"))],
        "alert": alert,
        "row": row,
        "prediction": top,
        "predictions": predictions,
        "decided_by": presenting.decided_by(top),
        "why": presenting.explain_prediction(top, spec),
        "rules": presenting.rule_hits(top),
        "screening": screening_hits(top),
        "fields": fields,
        "masked": any(field.hidden for field in fields),
        "lineage": presenting.lineage_of(top),
        "history": presenting.history_of(
            entity_history(alert.detector_id, alert.entity, limit=HISTORY), here=here
        ),
        "past": past_alerts_of_entity(alert, limit=PAST_ALERTS),
        "is_open": alert.status == AlertStatus.OPEN,
        "back": back,
        "choices": choices_of(spec),
        "truth": truth_words(spec),
        "people": _people(signed_in(request)),
        "case_title": f"{alert.detector}: {row.entity}",
        "reason_words": reason_words(alert.disposition, alert.reason_code),
    }
    return render(request, "cases/alert_detail.html", {**context, **extra}, status=status)


def _back(request: HttpRequest) -> str:
    """The queue that this alert was opened from, as its own query string."""
    given = request.POST.get("back") or request.GET.get("back", "")
    return QueueFilters.read(QueryDict(given).dict()).query()


def choices_of(spec: DetectorSpec | None) -> list[dict[str, Any]]:
    """The outcomes with their reasons, numbered for the keyboard; a host commits no fraud."""
    words = found_words(truth_words(spec))
    money = spec is None or bool(spec.amount_field)
    return [
        {
            "value": found.value,
            "label": words[found],
            "reasons": [
                {"key": str(i), "code": code, "label": label}
                for i, (code, label) in enumerate(reasons_of(found, money=money), start=1)
            ],
        }
        for found in Disposition
    ]


def _people(user: User) -> list[User]:
    return assignable_users() if user.has_perm("cases.assign_alert") else []


def reason_words(disposition: str, code: str) -> str:
    """A reason code as people read it."""
    if disposition not in set(Disposition):
        return ""
    return dict(REASON_CODES[Disposition(disposition)]).get(code, code)


# --- What can be done with an alert --------------------------------------------------------------


def _refuse(
    request: HttpRequest, alert: Alert, act: str, problem: str, **typed: str
) -> HttpResponse:
    """The alert again with the form open, what was typed in it, and why it was refused."""
    return _render_alert(request, alert, {"act": act, "problem": problem, **typed}, status=422)


@login_required
@permission_required("cases.triage_alert", raise_exception=True)
@require_POST
def alert_label(request: HttpRequest, pk: int) -> HttpResponse:
    """Close the alert with what was found, and go on to the next one."""
    alert = alert_or_404(pk)
    form = LabelForm(request.POST)
    typed = {"notes": request.POST.get("notes", "")[:4000]}
    act = request.POST.get("disposition", "")
    if not form.is_valid():
        return _refuse(
            request,
            alert,
            act,
            "The note is too long, or holds a character that cannot be kept.",
            **typed,
        )
    found = form.cleaned_data
    filters = QueueFilters.read(QueryDict(_back(request)).dict())
    following = _next_pk(filters, signed_in(request), alert.pk)
    try:
        label_alert(
            alert,
            disposition=found["disposition"],
            reason_code=found["reason_code"],
            actor=signed_in(request),
            notes=found["notes"],
        )
    except MoveRefused as refusal:
        return _refuse(request, alert, act, str(refusal), **typed)
    end_touch(signed_in(request))
    outcome = Disposition(found["disposition"]).replace("_", " ")
    if found["disposition"] == Disposition.FRAUD:
        outcome = truth_words(presenting.SpecCache().of(alert.detector)).fraud
    words = reason_words(found["disposition"], found["reason_code"]).lower()
    messages.success(request, f"Closed alert {alert.pk}: {outcome}, {words}.")
    return _to_alert_or_queue(request, following, filters)


@login_required
@permission_required("cases.triage_alert", raise_exception=True)
@require_POST
def alert_assign(request: HttpRequest, pk: int) -> HttpResponse:
    """To me, to nobody, or (with the permission) to somebody else."""
    alert = alert_or_404(pk)
    user = signed_in(request)
    form = AssignForm(request.POST, people=_people(user))
    if not form.is_valid():
        problem = "Choose yourself, nobody, or (as a lead) somebody who works on alerts."
        return _refuse(request, alert, "assign", problem)
    owner = form.cleaned_data["owner"]
    chosen = user if owner == "me" else form.people.get(owner)
    try:
        assign_alert(alert, owner=chosen, actor=user)
    except MoveRefused as refusal:
        return _refuse(request, alert, "assign", str(refusal))
    messages.success(request, f"Assigned to {chosen.name}." if chosen else "Assigned to nobody.")
    return redirect(alert_url(alert.pk, _back(request)))


@login_required
@permission_required("cases.work_case", raise_exception=True)
@require_POST
def alert_open_case(request: HttpRequest, pk: int) -> HttpResponse:
    """Open a case over this alert and go there."""
    alert = alert_or_404(pk)
    form = OpenCaseForm(request.POST)
    title = request.POST.get("title", "")[:300]
    if not form.is_valid():
        problem = "Give the case a title of at most 200 characters."
        return _refuse(request, alert, "case", problem, case_title=title)
    try:
        case = open_case([alert], title=form.cleaned_data["title"], actor=signed_in(request))
    except MoveRefused as refusal:
        return _refuse(request, alert, "case", str(refusal), case_title=title)
    end_touch(signed_in(request))
    messages.success(request, f"Opened case {case.pk}.")
    return redirect("case_detail", pk=case.pk)
