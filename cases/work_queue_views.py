"""Pages of team queues and case types: everybody who sees cases reads them, leads change them."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import User
from accounts.typed import is_whole
from cases.as_read import ChangedSince
from cases.assigning import loads_of
from cases.case_models import CaseType
from cases.case_selectors import case_workers
from cases.checklists import type_mark, write_template
from cases.models import Alert, Case
from cases.queue_forms import CaseTypeForm, MemberForm, QueueForm
from cases.rights import lack_of, with_rights
from cases.selectors import assignable_users
from cases.team_queues import (
    member_mark,
    queue_mark,
    remove_member,
    save_member,
    save_queue,
    set_available,
)
from cases.views import signed_in
from cases.work_queue_models import QueueMember, WorkQueue
from cases.workflow import LIVE_CASES, AlertStatus, MoveRefused

CHANGE_QUEUE, CHANGE_TYPE = "cases.change_workqueue", "cases.change_casetype"
QUEUES = [("Cases", "/cases/"), ("Team queues", "/cases/team-queues/")]
TYPES = [("Cases", "/cases/"), ("Case types", "/cases/types/")]


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_GET
def work_queue_list(request: HttpRequest) -> HttpResponse:
    """Team queues with what waits in them, and one's own availability."""
    user, now = signed_in(request), timezone.now()
    late = Count("pk", filter=Q(due_at__lt=now))
    alerts = _by_queue(Alert.objects.filter(status=AlertStatus.OPEN), late)
    cases = _by_queue(Case.objects.filter(status__in=LIVE_CASES), late)
    queues = WorkQueue.objects.select_related("lead").prefetch_related("detectors", "members")
    rows = [
        {
            "queue": queue,
            "alerts": alerts.get(queue.pk, (0, 0)),
            "cases": cases.get(queue.pk, (0, 0)),
            "members": len(queue.members.all()),
            **_own_place(queue, user, now),
        }
        for queue in queues
    ]
    context = {
        "title": "Team queues",
        "crumbs": QUEUES[:1],
        "rows": rows,
        "may_change": user.has_perm(CHANGE_QUEUE),
    }
    return render(request, "cases/work_queue_list.html", context)


def _own_place(queue: WorkQueue, user: User, now: datetime) -> dict[str, Any]:
    """One's place in a queue, of the members that were read with it, and whether one takes work."""
    mine = next((one for one in queue.members.all() if one.user_id == user.pk), None)
    return {"mine": mine, "works": mine is not None and mine.works_on(queue.day_at(now))}


def _by_queue(rows: Any, late: Count) -> dict[int, tuple[int, int]]:
    """Queue id -> (open, overdue); one query."""
    grouped = rows.order_by().values_list("work_queue_id").annotate(n=Count("pk"), late=late)
    return {pk: (n, overdue) for pk, n, overdue in grouped}


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_http_methods(["GET", "POST"])
def work_queue_detail(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """One team queue with its members; its form for those who may change it."""
    user = signed_in(request)
    queue = WorkQueue() if pk is None else get_object_or_404(WorkQueue, pk=pk)
    mark = queue_mark(queue)  # Before the form writes into the row.
    form = QueueForm(request.POST or None, instance=queue, leads=case_workers())
    if request.method == "POST" or pk is None:
        _must(request, CHANGE_QUEUE)
    if request.method == "POST" and form.is_valid():
        detectors = [detector.pk for detector in form.cleaned_data["detectors"]]
        try:
            save_queue(queue, detectors=detectors, actor=user, read=request.POST.get("read"))
        except ChangedSince as refusal:
            form.add_error(None, _since(refusal, form))
        else:
            messages.success(request, f"Saved {queue.name}. What is due already keeps its time.")
            return redirect(queue)
    elif request.method == "POST":
        mark = request.POST.get("read", mark)[:40]  # What was read is still that.
        if "time_zone" in form.errors:  # The form wrote into the row what is none.
            queue.time_zone = form.initial["time_zone"]
    status = 422 if request.method == "POST" else 200
    return _render_queue(request, queue, form, status=status, mark=mark)


def _since(refusal: ChangedSince, form: QueueForm | CaseTypeForm | MemberForm) -> str:
    """What a form is told that lay open meanwhile: saved again, it puts what it holds in place."""
    differing = [form[name] for name in form.changed_data]
    # Browsers end the lines of a text otherwise than it was sent to them.
    names = [
        str(field.label)
        for field in differing
        if str(field.initial).split() != str(field.data).split()
    ]
    differs = f" It differs from what is saved in: {'; '.join(names)}." if names else ""
    return f"{refusal} Below is what you typed.{differs} Save it again to put it in place."


def _render_queue(
    request: HttpRequest,
    queue: WorkQueue,
    form: QueueForm,
    *,
    status: int = 200,
    typed: dict[str, Any] | None = None,
    **extra: Any,
) -> HttpResponse:
    user = signed_in(request)
    now, places = timezone.now(), QueueMember.objects.filter(queue=queue.pk).select_related("user")
    members = [] if queue.pk is None else list(with_rights(places, "user_id"))
    loads = loads_of([member.user_id for member in members], now)
    taken = {member.user_id for member in members}
    changes = user.has_perm(CHANGE_QUEUE)
    rows = [
        {
            "member": member,
            "load": loads.get(member.user_id, 0),
            "lack": lack_of(member) if member.user.is_active else "not active",
            "away": not member.works_on(queue.day_at(now)),
            "form": _member_form(member),
            "mark": member_mark(member),
        }
        | (typed if typed and typed["form"].instance.pk == member.pk else {})
        for member in members
    ]
    # The form writes into the row: an invalid name must not become the title.
    title = "New team queue" if queue.pk is None else form.initial.get("name", queue.name)
    context = {
        "title": title,
        "crumbs": QUEUES,
        "queue": queue,
        "form": form,
        "rows": rows,
        "may_change": changes,
        "people": [u for u in assignable_users() if u.pk not in taken] if changes else [],
        "adding": typed["form"] if typed and typed["form"].instance.pk is None else None,
        **extra,
    }
    return render(request, "cases/work_queue_detail.html", context, status=status)


def _member_form(member: QueueMember, data: Any = None) -> MemberForm:
    """The form of a place; its fields have ids of their own among those of the page."""
    return MemberForm(data, instance=member, auto_id=f"member-{member.pk or 'new'}-%s")


def _must(request: HttpRequest, permission: str) -> None:
    if not signed_in(request).has_perm(permission):
        raise PermissionDenied


@login_required
@permission_required(CHANGE_QUEUE, raise_exception=True)
@require_POST
def work_queue_member(request: HttpRequest, pk: int) -> HttpResponse:
    """Add somebody to a queue, change their place in it, or take them out."""
    queue, user = get_object_or_404(WorkQueue, pk=pk), signed_in(request)
    given, read = request.POST.get("user", ""), request.POST.get("read")
    chosen = {str(one.pk): one for one in assignable_users()}.get(given)
    member = queue.members.filter(user_id=int(given)).first() if is_whole(given) else None
    problem, typed = "Choose somebody who works on alerts.", None
    if "remove" in request.POST and (member or chosen):
        if member is not None:
            remove_member(member, actor=user)
        messages.success(request, "Taken out; what they own stays theirs.")
        return redirect(queue)
    if chosen is not None:
        mark = "" if member is None else member_mark(member)  # Before the form writes into it.
        form = _member_form(member or QueueMember(queue=queue, user=chosen), request.POST)
        problem = _saved_place(form, user, read)
        if not problem:
            messages.success(request, f"Saved {chosen.name}.")
            return redirect(queue)
        # Only whoever was told of a change has read it.
        known = read[:40] if form.errors and read is not None else mark
        typed = {"form": form, "mark": known, "typed": True}
    mark, page = queue_mark(queue), QueueForm(instance=queue, leads=case_workers())
    return _render_queue(request, queue, page, status=422, problem=problem, mark=mark, typed=typed)


def _saved_place(form: MemberForm, user: User, read: str | None) -> str:
    """Save what the form says of somebody's place; what kept it from that, or nothing."""
    if not form.is_valid():
        return str(next(iter(form.errors.values()))[0])
    try:
        save_member(form.instance, actor=user, read=read)
    except ChangedSince as refusal:
        if form.instance.pk is None:
            return f"{refusal} {form.instance.user.name} was taken out: you may add them below."
        return _since(refusal, form)
    except MoveRefused as refusal:
        return str(refusal)
    return ""


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_POST
def work_queue_availability(request: HttpRequest, pk: int) -> HttpResponse:
    """Say whether one takes new work oneself."""
    user = signed_in(request)
    member = get_object_or_404(
        QueueMember.objects.select_related("queue", "user"), pk=pk, user=user
    )
    try:
        member = set_available(member, request.POST.get("available") == "1", actor=user)
    except MoveRefused as refusal:
        messages.error(request, str(refusal))
        return redirect("work_queue_list")
    words = "You take new work." if member.is_available else "You get no new work."
    messages.success(request, f"{member.queue.name}: {words}")
    return redirect("work_queue_list")


# --- Case types -----------------------------------------------------------------------------------


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_GET
def case_type_list(request: HttpRequest) -> HttpResponse:
    """Case types with the length of their checklists and their cases."""
    types = CaseType.objects.prefetch_related("detectors", "items").annotate(n=Count("cases"))
    context = {
        "title": "Case types",
        "crumbs": TYPES[:1],
        "types": types,
        "may_change": signed_in(request).has_perm(CHANGE_TYPE),
    }
    return render(request, "cases/case_type_list.html", context)


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_http_methods(["GET", "POST"])
def case_type_detail(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """One case type and its checklist; its form for those who may change it."""
    found = CaseType() if pk is None else get_object_or_404(CaseType, pk=pk)
    mark = type_mark(found)
    title = found.name or "New case type"
    form = CaseTypeForm(request.POST or None, instance=found)
    if request.method == "POST" or pk is None:
        _must(request, CHANGE_TYPE)
    if request.method == "POST" and form.is_valid():
        try:
            write_template(
                found,
                items=form.cleaned_data["items"],
                detectors=[detector.pk for detector in form.cleaned_data["detectors"]],
                actor=signed_in(request),
                read=request.POST.get("read"),
            )
        except ChangedSince as refusal:
            form.add_error(None, _since(refusal, form))
        else:
            messages.success(request, f"Saved {found.name}.")
            return redirect(reverse("case_type_list"))
    elif request.method == "POST":
        mark = request.POST.get("read", mark)[:40]
    context = {
        "title": title,
        "crumbs": TYPES,
        "type": found,
        "form": form,
        "mark": mark,
        "may_change": signed_in(request).has_perm(CHANGE_TYPE),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "cases/case_type_detail.html", context, status=status)
