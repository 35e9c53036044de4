"""What can be done with a case: every button of its page. A refusal gives the page back, with the
form open, what was typed, and the reason."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from cases.attaching import attach
from cases.case_alerts import add_to_case, take_out_of_case
from cases.case_forms import (
    AlertForm,
    AnswerForm,
    ApproveForm,
    FileForm,
    MergeForm,
    NoteForm,
    PersonForm,
    PriorityForm,
    ReturnForm,
    TagsForm,
    TypeForm,
    first_error,
)
from cases.case_models import CaseCheck, CaseHandover, CaseType
from cases.case_pages import render_case, truth_of
from cases.case_selectors import case_alerts, case_workers, checks_of, find_case
from cases.case_views import case_or_404
from cases.casework import approve_closing, ask_to_close, close_case, move_case, return_case
from cases.checklists import set_case_type, tick
from cases.forms import CloseCaseForm, CommentForm
from cases.handovers import answer_handover, assign_case, hand_over
from cases.merging import merge_case, unmerge_case
from cases.models import Alert, Case
from cases.priority import set_priority
from cases.rows import alert_rows
from cases.services import comment_on_case, end_touch
from cases.sniffing import FileRefused
from cases.tagging import set_tags, tag_names
from cases.views import fragment, linked, seen_of, signed_in
from cases.workflow import LIVE_CASES, MoveRefused, SaidAlready
from scoring.presenting import SpecCache

View = Callable[..., HttpResponse]


def _works(view: View, permission: str = "cases.work_case") -> View:
    """Signed in, holding the permission, by POST."""
    guarded: View = login_required(
        permission_required(permission, raise_exception=True)(require_POST(view))
    )
    return guarded


def _approves(view: View) -> View:
    return _works(view, "cases.approve_case")


def _done(request: HttpRequest, case: Case, text: str) -> HttpResponse:
    end_touch(signed_in(request))
    messages.success(request, text)
    return redirect("case_detail", pk=case.pk)


def _refused(
    request: HttpRequest, case: Case, act: str, problem: str, **extra: Any
) -> HttpResponse:
    """The page again, the form of `act` open with what was typed in it."""
    typed = {
        name: str(value)[:8000]
        for name, value in request.POST.items()
        if name != "csrfmiddlewaretoken"
    }
    # As it is now: the service may have looked at a newer row.
    case = find_case(case.pk) or case
    given = {"act": act, "problem": problem, "typed": typed, **extra}
    return render_case(request, case, signed_in(request), given, status=422)


def _try(
    request: HttpRequest,
    case: Case,
    act: str,
    form: Any,
    do: Callable[[dict[str, Any]], Any],
    said: str | Callable[[Any], str],
    **extra: Any,
) -> HttpResponse:
    """Read the form, do it, say so; or say why not."""
    if not form.is_valid():
        return _refused(request, case, act, first_error(form), **extra)
    try:
        result = do(form.cleaned_data)
    except (MoveRefused, FileRefused) as refusal:
        return _refused(request, case, act, str(refusal), **extra)
    return _done(request, case, said if isinstance(said, str) else said(result))


@_works
def case_comment(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a comment."""
    case, form = case_or_404(pk), CommentForm(request.POST)
    if form.is_valid():
        try:
            event = comment_on_case(case, text=form.cleaned_data["text"], actor=signed_in(request))
        except SaidAlready as again:
            messages.info(request, str(again))
            return redirect("case_detail", pk=case.pk)
        except MoveRefused as refusal:
            form.add_error("text", str(refusal))
        else:
            names = [mention.user.name for mention in event.mentions.select_related("user")]
            told = f" {', '.join(names)} will be told." if names else ""
            return _done(request, case, f"Comment added.{told}")
    return _refused(request, case, "comment", "", comment_form=form)


@_works
def case_move(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a move that needs nothing but its button."""
    case, move = case_or_404(pk), request.POST.get("move", "")[:20]
    try:
        case = move_case(case, move=move, actor=signed_in(request))
    except MoveRefused as refusal:
        return _refused(request, case, "move", str(refusal))
    return _done(request, case, f"The case is {case.get_status_display().lower()} now.")


@_works
def case_close(request: HttpRequest, pk: int) -> HttpResponse:
    """Close the case, and its alerts, with what was found; or ask a second person to."""
    case, user = case_or_404(pk), signed_in(request)
    specs = SpecCache()
    truth = truth_of(alert_rows(case_alerts(case)[:50], specs), specs)
    form = CloseCaseForm(request.POST, auto_id="close-%s", truth=truth)
    asks = request.POST.get("move") == "ask"
    if form.is_valid():
        found = {**form.cleaned_data, "actor": user, "seen": seen_of(request)}
        try:
            if asks:
                ask_to_close(case, **found)
                return _done(request, case, "Asked: a second person has to approve the closing.")
            close_case(case, **found)
            return _done(request, case, "Case closed; its alerts closed with it.")
        except MoveRefused as refusal:
            form.add_error(None, str(refusal))
    return _refused(request, case, "close", "", close_form=form)


@_approves
def case_approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve a closing as the second person."""
    case, user = case_or_404(pk), signed_in(request)
    return _try(
        request,
        case,
        "approve",
        ApproveForm(request.POST),
        lambda f: approve_closing(case, actor=user, **f),
        "Approved: the case is closed and its events are labelled.",
    )


@_approves
def case_return(request: HttpRequest, pk: int) -> HttpResponse:
    """Return a case for rework as the second person."""
    case, user = case_or_404(pk), signed_in(request)
    return _try(
        request,
        case,
        "return",
        ReturnForm(request.POST),
        lambda f: return_case(case, actor=user, **f),
        "Returned: whoever asked reads your note.",
    )


@_works
def case_assign(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the case, or (as a lead) give it to somebody."""
    case, user = case_or_404(pk), signed_in(request)
    return _try(
        request,
        case,
        "assign",
        PersonForm(request.POST, people=case_workers(), me=user),
        lambda f: assign_case(case, owner=f["person"], actor=user),
        lambda row: f"Its owner is {row.owner.name if row.owner else 'nobody'} now.",
    )


@_works
def case_hand_over(request: HttpRequest, pk: int) -> HttpResponse:
    """Offer one's case to somebody."""
    case, user = case_or_404(pk), signed_in(request)

    def do(found: dict[str, Any]) -> CaseHandover:
        if found["person"] is None:
            raise MoveRefused("Choose who is to have it.")
        return hand_over(case, to=found["person"], note=found["note"], actor=user)

    form = PersonForm(request.POST, people=case_workers(), me=user)
    return _try(
        request,
        case,
        "hand_over",
        form,
        do,
        lambda row: f"{row.to_user.name} has to take it; until then it is yours.",
    )


@_works
def case_answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Take what is handed over, or do not."""
    case, user = case_or_404(pk), signed_in(request)

    def do(found: dict[str, Any]) -> CaseHandover:
        handover = CaseHandover.objects.filter(pk=found["handover"], case=case).first()
        if handover is None:
            raise MoveRefused("This hand-over is not one of this case.")
        return answer_handover(handover, take=found["take"], actor=user, answer=found["answer"])

    words = {"taken": "The case is yours.", "declined": "Declined.", "withdrawn": "Taken back."}
    return _try(
        request, case, "answer", AnswerForm(request.POST), do, lambda row: words[row.status]
    )


@_works
def case_priority(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the priority."""
    case, user = case_or_404(pk), signed_in(request)
    return _try(
        request,
        case,
        "priority",
        PriorityForm(request.POST),
        lambda f: set_priority(case, to=f["priority"], reason=f["reason"], actor=user),
        lambda row: f"Its priority is {row.get_priority_display().lower()} now.",
    )


@_works
def case_tags(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the tags."""
    case, user = case_or_404(pk), signed_in(request)
    return _try(
        request,
        case,
        "tags",
        TagsForm(request.POST),
        lambda f: set_tags(case, names=tag_names(f["tags"]), actor=user),
        "Tags saved.",
    )


@_works
def case_type(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the type, and with it what of the checklist is not ticked yet."""
    case, user = case_or_404(pk), signed_in(request)

    def do(found: dict[str, Any]) -> Case:
        chosen = CaseType.objects.filter(pk=found["case_type"]).first()
        if chosen is None:
            raise MoveRefused("This type does not exist any more.")
        return set_case_type(case, case_type=chosen, actor=user)

    return _try(request, case, "type", TypeForm(request.POST), do, "Type changed.")


@_works
def case_check(request: HttpRequest, pk: int, check: int) -> HttpResponse:
    """Tick an item of the checklist or take the tick back; htmx gets the checklist alone."""
    case, user = case_or_404(pk), signed_in(request)
    item = get_object_or_404(CaseCheck, pk=check, case=case)
    try:
        tick(item, done=request.POST.get("done") == "1", actor=user)
    except MoveRefused as refusal:
        return _refused(request, case, "check", str(refusal))
    if not fragment(request):
        return redirect("case_detail", pk=case.pk)
    context = {
        "case": case,
        "checks": checks_of(case),
        "works": True,
        "live": case.status in LIVE_CASES,
    }
    return render(request, "cases/case_checklist.html", context)


def _alert_of(found: dict[str, Any]) -> Alert:
    alert = Alert.objects.filter(pk=found["alert"]).first()
    if alert is None:
        raise MoveRefused(f"There is no alert {found['alert']}.")
    return alert


@_works
def case_add_alert(request: HttpRequest, pk: int) -> HttpResponse:
    """Put an open alert into the case."""
    case, user = case_or_404(pk), signed_in(request)
    return _try(
        request,
        case,
        "add_alert",
        AlertForm(request.POST),
        lambda f: add_to_case(case, [_alert_of(f)], actor=user),
        "The alert is in this case now.",
    )


@_works
def case_remove_alert(request: HttpRequest, pk: int) -> HttpResponse:
    """Put an alert back into the queue."""
    case, user = case_or_404(pk), signed_in(request)
    return _try(
        request,
        case,
        "remove_alert",
        AlertForm(request.POST),
        lambda f: take_out_of_case(case, _alert_of(f), actor=user, reason=f["reason"]),
        "The alert is in the queue again.",
    )


@_works
def case_merge(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the case go into another one; the page of that one follows."""
    case, user = case_or_404(pk), signed_in(request)
    form = MergeForm(request.POST)
    if not form.is_valid():
        return _refused(request, case, "merge", first_error(form))
    target = find_case(form.cleaned_data["target"])
    try:
        if target is None:
            raise MoveRefused(f"There is no case {form.cleaned_data['target']}.")
        merge_case(case, target=target, actor=user, note=form.cleaned_data["note"])
    except MoveRefused as refusal:
        return _refused(request, case, "merge", str(refusal))
    named = linked(f"Case {case.pk}", case.get_absolute_url())
    told = format_html("{} is in this one now. It can be taken out again.", named)
    return _done(request, target, told)


@_works
def case_unmerge(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a merged case out again."""
    case, user = case_or_404(pk), signed_in(request)
    return _try(
        request,
        case,
        "unmerge",
        NoteForm(request.POST),
        lambda f: unmerge_case(case, actor=user, note=f["note"]),
        "The case stands on its own again, with the alerts that it brought.",
    )


@_works
def case_attach(request: HttpRequest, pk: int) -> HttpResponse:
    """Attach a file."""
    case, user = case_or_404(pk), signed_in(request)

    def do(found: dict[str, Any]) -> Any:
        file: UploadedFile = found["file"]
        return attach(case, file=file, actor=user, text=found["text"])

    form = FileForm(request.POST, request.FILES)
    return _try(request, case, "attach", form, do, lambda row: f"Attached {row.name}.")
