"""What is done with alerts in hand: one act on many, locks, snoozes, comments, and undo."""

import json
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from accounts.typed import is_whole, parse_moment
from cases import bulk
from cases.bulk import Outcome
from cases.filters import QueueFilters
from cases.forms import BulkForm, CommentForm
from cases.locking import keep_few_locks, locked_by_other, release_lock, take_lock, take_over
from cases.models import Alert
from cases.queue_counts import open_alerts
from cases.queue_views import Cursor, render_queue
from cases.resting import SNOOZES, comment_on_alert, snooze_alert, wake_alert
from cases.selectors import assignable_users
from cases.services import end_touch
from cases.views import (
    alert_or_404,
    alert_url,
    choices_of,
    fragment,
    go_on,
    linked,
    refuse,
    seen_of,
    signed_in,
    undo_url,
)
from cases.workflow import AlertStatus, MoveRefused, SaidAlready, check_reason
from scoring.presenting import SpecCache

# --- One act on many -----------------------------------------------------------------------------


@login_required
@permission_required("cases.view_alert", raise_exception=True)
@require_POST
def alerts_bulk(request: HttpRequest) -> HttpResponse:
    """Label, assign, merge, snooze or comment on what is selected; tells what was refused."""
    form = BulkForm(request.POST)
    filters = QueueFilters.read(QueryDict(request.POST.get("query", "")).dict())
    name, _, detail = request.POST.get("act", "").partition(":")
    act = ACTS.get(name)
    if act is None or not form.is_valid():
        return _bulk_refused(request, filters, form.problem() or "Choose what to do.")
    permission, verb, do = act
    if not request.user.has_perm(permission):
        raise PermissionDenied
    alerts = bulk.chosen(_selected(request, filters))
    if not alerts:
        return _bulk_refused(request, filters, "Select at least one alert.")
    try:
        outcome = do(request, alerts, detail, form.cleaned_data["note"])
    except MoveRefused as refusal:
        return _bulk_refused(request, filters, str(refusal))
    undo = ""
    if name == "label" and outcome.done:
        undo = undo_url(outcome.batch, filters.query())
    told = outcome.sentence(verb)
    if outcome.case is not None:
        case = linked(f"Case {outcome.case.pk}", outcome.case.get_absolute_url())
        told = format_html("{}: {}", case, told)
    return _told(request, filters, outcome, told, undo)


def _selected(request: HttpRequest, filters: QueueFilters) -> list[int]:
    """The chosen ids; all that match, up to the bound, where that was asked for: what came after
    the page was made is not meant."""
    if request.POST.get("all"):
        rows = filters.narrow(open_alerts(), user=signed_in(request), now=timezone.now())
        if is_whole(newest := request.POST.get("newest", "")):
            rows = rows.filter(pk__lte=int(newest))
        return list(rows.order_by(*filters.ordering).values_list("pk", flat=True)[: bulk.MOST])
    given = [pk for pk, _ in _rows_of(request) if is_whole(pk)]
    return [int(pk) for pk in given[: bulk.MOST]]


def _rows_of(request: HttpRequest) -> list[tuple[str, str]]:
    """(alert, how many events its row showed) of what is selected; rows send them as `12:3`."""
    parts = [text.partition(":") for text in request.POST.getlist("alert")]
    return [(pk, events) for pk, _, events in parts]


def _seen(request: HttpRequest) -> dict[int, int]:
    """How many events the rows showed, by alert."""
    return {
        int(pk): int(events)
        for pk, events in _rows_of(request)
        if is_whole(pk) and is_whole(events, 9)
    }


def _told(
    request: HttpRequest, filters: QueueFilters, outcome: Outcome, told: str, undo: str
) -> HttpResponse:
    level = messages.SUCCESS if outcome.done else messages.ERROR
    messages.add_message(request, level, told, extra_tags=undo)
    if not fragment(request):
        return redirect(f"{reverse('queue')}?{filters.query()}".rstrip("?"))
    at = Cursor.read(request.POST.get("cursor", ""), request.POST.get("place", ""))
    response = render_queue(request, filters, number=request.POST.get("page"), at=at)
    toasts = render_to_string("cases/queue_toasts.html", {}, request)
    response.content += toasts.encode()
    response["HX-Trigger"] = json.dumps({"bulk-done": len(outcome.done)})
    return response


def _bulk_refused(request: HttpRequest, filters: QueueFilters, problem: str) -> HttpResponse:
    """The dialog stays open with what was typed; without scripts the queue says it."""
    if fragment(request):
        response = render(request, "cases/bulk_problem.html", {"problem": problem}, status=422)
        response["HX-Retarget"] = "#bulk-problem"
        response["HX-Reswap"] = "outerHTML"
        response["HX-Push-Url"] = "false"
        return response
    messages.error(request, problem)
    return redirect(f"{reverse('queue')}?{filters.query()}".rstrip("?"))


def _label(request: HttpRequest, alerts: list[Alert], detail: str, note: str) -> Outcome:
    disposition, _, reason = detail.partition(":")
    check_reason(disposition, reason, note)
    return bulk.label_many(
        alerts,
        disposition=disposition,
        reason_code=reason,
        actor=signed_in(request),
        note=note,
        seen=_seen(request),
    )


def _assign(request: HttpRequest, alerts: list[Alert], detail: str, note: str) -> Outcome:
    user = signed_in(request)
    owner = user if detail == "me" else None
    if detail == "other":
        wanted = request.POST.get("owner", "")
        people = assignable_users() if user.has_perm("cases.assign_alert") else []
        owner = next((person for person in people if str(person.pk) == wanted), None)
        if owner is None:
            raise MoveRefused("Choose somebody who works on alerts.")
    elif detail not in ("me", "nobody"):
        raise MoveRefused("Choose yourself, nobody, or (as a lead) somebody who works on alerts.")
    return bulk.assign_many(alerts, owner=owner, actor=user, note=note)


def _merge(request: HttpRequest, alerts: list[Alert], detail: str, note: str) -> Outcome:
    title = " ".join(request.POST.get("title", "").replace("\0", "").split())
    if not title or len(title) > 200:
        raise MoveRefused("Give the case a title of at most 200 characters.")
    return bulk.merge_many(alerts, title=title, actor=signed_in(request), note=note)


def _snooze(request: HttpRequest, alerts: list[Alert], detail: str, note: str) -> Outcome:
    user, seen = signed_in(request), _seen(request)
    return bulk.snooze_many(alerts, until=_until(detail), actor=user, note=note, seen=seen)


def _wake(request: HttpRequest, alerts: list[Alert], detail: str, note: str) -> Outcome:
    return bulk.wake_many(alerts, actor=signed_in(request), note=note)


def _comment(request: HttpRequest, alerts: list[Alert], detail: str, note: str) -> Outcome:
    return bulk.comment_on_many(alerts, actor=signed_in(request), note=note)


def _until(choice: str) -> datetime:
    if choice not in SNOOZES:
        raise MoveRefused("Choose how long to snooze it.")
    return timezone.now() + SNOOZES[choice][1]


Act = Callable[[HttpRequest, list[Alert], str, str], Outcome]
ACTS: dict[str, tuple[str, str, Act]] = {
    "label": ("cases.triage_alert", "closed", _label),
    "assign": ("cases.triage_alert", "assigned", _assign),
    "case": ("cases.work_case", "merged into one case", _merge),
    "snooze": ("cases.triage_alert", "snoozed", _snooze),
    "wake": ("cases.triage_alert", "in the queue again", _wake),
    "comment": ("cases.triage_alert", "commented on", _comment),
}
"""Name: (permission, what was done with the alerts, how)."""


@login_required
@permission_required("cases.triage_alert", raise_exception=True)
@require_POST
def undo(request: HttpRequest, batch: UUID) -> HttpResponse:
    """Open again what one act closed, or one alert of it, and take back its labels."""
    one = request.POST.get("alert", "")
    query = QueueFilters.read(QueryDict(request.GET.get("back", "")).dict()).query()
    queue = f"{reverse('queue')}?{query}".rstrip("?")
    try:
        outcome = bulk.undo_batch(
            batch, actor=signed_in(request), alert=int(one) if is_whole(one) else None
        )
    except MoveRefused as refusal:
        messages.error(request, str(refusal))
        return redirect(queue)
    level = messages.SUCCESS if outcome.done else messages.ERROR
    messages.add_message(request, level, outcome.sentence("open again"))
    if len(outcome.done) == 1:
        return redirect(alert_url(outcome.done[0], query))
    return redirect(queue)


# --- One alert -----------------------------------------------------------------------------------


@login_required
@permission_required("cases.triage_alert", raise_exception=True)
@require_POST
def alert_lock(request: HttpRequest, pk: int) -> HttpResponse:
    """Take or renew the lock of the alert whose page is open; says who has it where that fails, and
    how many events came since the page was made. Where it came into other hands, or was decided,
    the buttons follow."""
    alert, user = alert_or_404(pk), signed_in(request)
    take_lock(alert, user)
    keep_few_locks(user)
    away = locked_by_other(alert, user)
    seen = request.GET.get("seen", "")
    shown = int(seen) if is_whole(seen, 9) else alert.predictions_count
    context = {
        "alert": alert,
        "locked_away": away,
        "renewing": True,
        "back": QueueFilters.read(QueryDict(request.GET.get("back", "")).dict()).query(),
        "seen": shown,
        "more": max(0, alert.predictions_count - shown),
    }
    is_open = alert.status == AlertStatus.OPEN
    if not is_open or away != (request.GET.get("away") == "1"):
        choices = choices_of(SpecCache().of(alert.detector))
        context |= {"changed": True, "is_open": is_open, "choices": choices}
    return render(request, "cases/alert_lock.html#renewed", context)


@login_required
@permission_required("cases.triage_alert", raise_exception=True)
@require_POST
def alert_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Give up the own lock that the page knew of; a renewed one stays."""
    until = parse_moment(request.POST.get("until", "").replace(" ", "+"))
    if until is not None:
        release_lock(pk, signed_in(request), until=until)
    return HttpResponse(status=204)


@login_required
@permission_required("cases.assign_alert", raise_exception=True)
@require_POST
def alert_take_over(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the alert out of somebody's hands."""
    alert = alert_or_404(pk)
    try:
        take_over(alert, signed_in(request))
    except MoveRefused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "You have taken it over.")
    return redirect(alert_url(alert.pk, request.POST.get("back", "")[:800]))


@login_required
@permission_required("cases.triage_alert", raise_exception=True)
@require_POST
def alert_snooze(request: HttpRequest, pk: int) -> HttpResponse:
    """Put the alert aside and go on; or wake it."""
    alert, user = alert_or_404(pk), signed_in(request)
    choice, note = request.POST.get("for", ""), request.POST.get("note", "")[:4000]
    back = request.POST.get("back", "")
    filters = QueueFilters.read(QueryDict(back).dict())
    try:
        if choice == "wake":
            wake_alert(alert, actor=user)
            messages.success(request, "It waits in the queue again.")
            return redirect(alert_url(alert.pk, filters.query()))
        snooze_alert(
            alert,
            until=_until(choice),
            actor=user,
            note=note.replace("\0", ""),
            seen=seen_of(request),
        )
    except MoveRefused as refusal:
        if note.strip():
            return refuse(request, alert, "", str(refusal), notes=note)
        messages.error(request, str(refusal))
        return redirect(alert_url(alert.pk, filters.query()))
    end_touch(user)
    named = linked(f"alert {alert.pk}", alert_url(alert.pk, filters.query()))
    told = format_html("Snoozed {} for {}.", named, SNOOZES[choice][0])
    messages.success(request, told)
    return go_on(request, filters, leaving=alert.pk)


@login_required
@permission_required("cases.triage_alert", raise_exception=True)
@require_POST
def alert_comment(request: HttpRequest, pk: int) -> HttpResponse:
    """Note something on the alert."""
    alert = alert_or_404(pk)
    form = CommentForm(request.POST)
    try:
        if not form.is_valid():
            raise MoveRefused("The comment is longer than 8,000 characters. Shorten it.")
        comment_on_alert(alert, text=form.cleaned_data["text"], actor=signed_in(request))
        messages.success(request, "Comment added.")
    except SaidAlready as told:
        messages.info(request, str(told))
    except MoveRefused as refusal:
        messages.error(request, str(refusal))
    filters = QueueFilters.read(QueryDict(request.POST.get("back", "")).dict())
    return redirect(alert_url(alert.pk, filters.query()))
