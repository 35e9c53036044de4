"""Cases: the list, one case, and what can be done with it."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from cases.forms import CloseCaseForm, CommentForm
from cases.models import Case, CaseEvent
from cases.rows import AlertRow, alert_rows, case_rows
from cases.selectors import case_alerts, case_counts, case_list, case_timeline, find_case
from cases.casework import close_case, move_case
from cases.services import begin_touch, comment_on_case, end_touch
from cases.views import fragment, reason_words, signed_in
from cases.workflow import CaseStatus, MoveRefused, moves_from
from scoring.core.spec import TruthWords, truth_words
from scoring.presenting import SpecCache

PAGE_SIZE = 50
LIVE = (CaseStatus.OPEN, CaseStatus.INVESTIGATING)


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_GET
def case_index(request: HttpRequest) -> HttpResponse:
    """Cases by status, newest first; those that are not closed unless asked otherwise."""
    status = request.GET.get("status", "live")
    mine, q = (
        request.GET.get("owner") == "me",
        request.GET.get("q", "").replace("\0", "").strip()[:100],
    )
    rows = case_list()
    if status == "live":
        rows = rows.filter(status__in=LIVE)
    elif status in set(CaseStatus):
        rows = rows.filter(status=status)
    if mine:
        rows = rows.filter(owner=signed_in(request))
    if q:
        rows = rows.filter(Q(title__icontains=q) | Q(pk=int(q) if q.isdecimal() else None))
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "title": "Cases",
        "page_obj": page,
        "rows": case_rows(page.object_list),
        "tabs": _tabs(status),
        "status": status,
        "q": q,
        "selects": [
            {
                "name": "owner",
                "label": "Owner",
                "value": "me" if mine else "",
                "options": [("me", "Mine")],
            }
        ],
        "keep": {"status": status},
        "narrowed": mine or bool(q),
    }
    template = "cases/case_list.html"
    return render(request, f"{template}#list" if fragment(request) else template, context)


def _tabs(status: str) -> list[dict[str, Any]]:
    counts = case_counts()
    live = sum(counts[value] for value in LIVE)
    made = [("live", "Not closed", live)]
    made += [(str(s), s.replace("_", " ").capitalize(), counts[s]) for s in CaseStatus]
    return [
        {"label": label, "count": n, "url": f"?status={value}", "here": value == status}
        for value, label, n in made
    ]


def case_or_404(pk: int) -> Case:
    case = find_case(pk)
    if case is None:
        raise Http404("There is no such case.")
    return case


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_GET
def case_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One case: its alerts, its timeline, the moves that this user may make."""
    case = case_or_404(pk)
    begin_touch(signed_in(request), case=case)
    return _render_case(request, case, {"act": request.GET.get("act", "")})


def _render_case(
    request: HttpRequest, case: Case, extra: dict[str, Any], status: int = 200
) -> HttpResponse:
    user = signed_in(request)
    specs = SpecCache()
    rows = alert_rows(case_alerts(case), specs)
    truth = _truth(rows, specs)
    totals: dict[str, Any] = {}
    for row in rows:
        if row.alert.exposure is not None:
            currency = row.alert.currency
            totals[currency] = totals.get(currency, 0) + row.alert.exposure
    context = {
        "title": case.title,
        "crumbs": [("Cases", "/cases/")],
        "case": case,
        "alerts": rows,
        "totals": list(totals.items()),
        "events": [_event_line(event) for event in case_timeline(case)],
        "moves": [move for move in moves_from(case.status) if user.has_perm(move.permission)],
        "may_write": user.has_perm("cases.work_case"),
        "reason_words": reason_words(case.disposition, case.reason_code),
        "truth": truth,
        "close_form": CloseCaseForm(auto_id="close-%s", truth=truth),
        "comment_form": CommentForm(),
    }
    return render(request, "cases/case_detail.html", {**context, **extra}, status=status)


def _truth(rows: Sequence[AlertRow], specs: SpecCache) -> TruthWords:
    """The words of its detectors where they agree; a mixed case is one of fraud."""
    found = {truth_words(specs.of(row.alert.detector)) for row in rows}
    return found.pop() if len(found) == 1 else truth_words(None)


def _event_line(event: CaseEvent) -> dict[str, Any]:
    """A line of the timeline in words."""
    words = event.get_kind_display()
    if event.kind == CaseEvent.Kind.ALERT_ADDED:
        words = f"added alert {event.detail.get('alert', '')}"
    elif event.kind == CaseEvent.Kind.MOVED:
        words = f"moved it from {event.detail.get('from')} to {event.detail.get('to')}"
    return {
        "event": event,
        "who": event.actor.name if event.actor else "Somebody",
        "words": words,
        "alert_id": event.detail.get("alert"),
    }


def _done(request: HttpRequest, case: Case, text: str) -> HttpResponse:
    end_touch(signed_in(request))
    messages.success(request, text)
    return redirect("case_detail", pk=case.pk)


@login_required
@permission_required("cases.work_case", raise_exception=True)
@require_POST
def case_comment(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a comment."""
    case = case_or_404(pk)
    form = CommentForm(request.POST)
    if form.is_valid():
        try:
            comment_on_case(case, text=form.cleaned_data["text"], actor=signed_in(request))
            return _done(request, case, "Comment added.")
        except MoveRefused as refusal:
            form.add_error("text", str(refusal))
    return _render_case(request, case, {"comment_form": form}, status=422)


@login_required
@permission_required("cases.work_case", raise_exception=True)
@require_POST
def case_move(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a move of the table, other than closing."""
    case = case_or_404(pk)
    try:
        case = move_case(case, move=request.POST.get("move", ""), actor=signed_in(request))
    except MoveRefused as refusal:
        return _render_case(request, case, {"problem": str(refusal)}, status=422)
    return _done(request, case, f"The case is {case.get_status_display().lower()} now.")


@login_required
@permission_required("cases.work_case", raise_exception=True)
@require_POST
def case_close(request: HttpRequest, pk: int) -> HttpResponse:
    """Close the case, and its alerts, with what was found."""
    case = case_or_404(pk)
    specs = SpecCache()
    truth = _truth(alert_rows(case_alerts(case), specs), specs)
    form = CloseCaseForm(request.POST, auto_id="close-%s", truth=truth)
    if form.is_valid():
        found = form.cleaned_data
        try:
            close_case(
                case,
                disposition=found["disposition"],
                reason_code=found["reason_code"],
                actor=signed_in(request),
                notes=found["notes"],
            )
            return _done(request, case, "Case closed; its alerts closed with it.")
        except MoveRefused as refusal:
            form.add_error(None, str(refusal))
    return _render_case(request, case, {"close_form": form, "act": "close"}, status=422)
