"""The alert: what happened, the decision about it, and the way on."""

from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.typed import is_whole
from cases.alert_page import alert_context, reason_words
from cases.case_alerts import open_case
from cases.closing import closing_again, closing_by, undo_until
from cases.filters import QueueFilters
from cases.forms import AssignForm, LabelForm, OpenCaseForm, found_words
from cases.handing_out import hand_out_next, passed_over
from cases.locking import locked_by_other
from cases.models import Alert
from cases.resting import snooze_choices
from cases.rows import alert_row
from cases.second_looks import blinding_look, hides
from cases.selectors import (
    assignable_users,
    entity_history,
    find_alert,
)
from cases.services import assign_alert, begin_touch, end_touch, label_alert
from cases.workflow import AlertStatus, Disposition, MoveRefused, reasons_of
from scoring import presenting
from scoring.core.spec import DetectorSpec, truth_words
from scoring.prediction_reasons import explain_prediction
from scoring.screened import screening_hits

PREVIEW_HISTORY = 5
ACTS = {*Disposition, "case", "assign"}


def fragment(request: HttpRequest) -> str:
    """The id that htmx will fill, `page` when it wants one without an id, empty for a full page."""
    htmx = request.htmx  # type: ignore[attr-defined]
    if not htmx or htmx.boosted or htmx.history_restore_request:
        return ""
    return str(htmx.target or "page")


def page_address(path: str, query: str, number: int) -> str:
    """What is asked of a list and nothing else, not every empty field of its form."""
    asked = query + (f"&page={number}" if number > 1 else "")
    return f"{path}?{asked.lstrip('&')}".rstrip("?")


def seen_of(request: HttpRequest) -> int | None:
    """How many events the page showed that a form was sent from; None where it does not say."""
    text = request.POST.get("seen")
    return None if text is None else int(text) if is_whole(text, 9) else 0


def signed_in(request: HttpRequest) -> User:
    """The user; pages are behind `login_required`."""
    return cast(User, request.user)


# --- The way on -----------------------------------------------------------------------------------


def go_on(
    request: HttpRequest, filters: QueueFilters, leaving: int | None = None
) -> HttpResponseRedirect:
    """To the next alert, locked for this user; to the queue where none is left for them."""
    user = signed_in(request)
    given = hand_out_next(user, filters, leaving=leaving)
    if given is not None:
        return HttpResponseRedirect(alert_url(given.alert_id, filters.query()))
    passed = passed_over(user, filters)
    again = f" {passed} that you passed over still wait{'s' if passed == 1 else ''}: press Next."
    messages.info(request, f"Nothing else waits here.{again if passed else ''}")
    return HttpResponseRedirect(f"{reverse('queue')}?{filters.query()}".rstrip("?"))


def alert_url(pk: int, back: str) -> str:
    """An alert's address; `back` is the queue's query string, so that the way on is known."""
    url = reverse("alert_detail", args=[pk])
    return f"{url}?{urlencode({'back': back})}" if back else url


def linked(words: str, url: str) -> SafeString:
    """What a message names, with the way there."""
    return format_html('<a href="{}">{}</a>', url, words)


def undo_url(batch: UUID, back: str) -> str:
    """The address that undoes what one act closed, and leads back to the queue as it was."""
    url = reverse("undo_closing", args=[batch])
    return f"{url}?{urlencode({'back': back})}" if back else url


def preview_context(
    alert: Alert, specs: presenting.SpecCache, *, before: datetime | None = None
) -> dict[str, Any]:
    """An alert in short; labels of its entity are shown where they were given `before` then."""
    spec = specs.of(alert.detector)
    return {
        "preview": alert_row(alert, specs),
        "why": explain_prediction(alert.top_prediction, spec),
        "prediction": alert.top_prediction,
        "rules": presenting.rule_hits(alert.top_prediction),
        "screening": screening_hits(alert.top_prediction),
        "events": entity_history(
            alert.detector_id, alert.entity, limit=PREVIEW_HISTORY, before=before
        ),
        "comments": alert.comments.all(),
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
    alert, user = alert_or_404(pk), signed_in(request)
    if fragment(request) == "preview":
        look = blinding_look(user, alert.detector_id, alert.entity)
        since = None if look is None else look.first_at
        context = preview_context(alert, presenting.SpecCache(), before=since)
        if hides(look, alert):
            context["comments"] = []
        return render(request, "cases/queue.html#preview-body", context)
    act = request.GET.get("act", "")
    return _render_alert(request, alert, {"act": act if act in ACTS else ""})


def _render_alert(
    request: HttpRequest, alert: Alert, extra: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The alert's page; who holds a second look that hides its end is led there instead."""
    user = signed_in(request)
    look = blinding_look(user, alert.detector_id, alert.entity)
    if hides(look, alert):
        return redirect("second_looks")
    if status == 200:
        begin_touch(user, alert=alert)
    specs = presenting.SpecCache()
    back = _back(request)
    context: dict[str, Any] = {
        **alert_context(alert, specs, blind_since=None if look is None else look.first_at),
        "crumbs": [("Queue", f"{reverse('queue')}?{back}" if back else reverse("queue"))],
        "back": back,
        "return_url": alert_url(alert.pk, back),
        "choices": choices_of(specs.of(alert.detector)),
        "people": _people(user),
        "locked_away": locked_by_other(alert, user),
        "comments": alert.comments.all(),
        "snoozes": snooze_choices(),
    }
    if (closing := closing_by(alert, user)) is not None:
        context["undo"] = {"url": undo_url(closing.batch, back), "until": undo_until(closing)}
    judging = extra["act"] in set(Disposition) and alert.status != AlertStatus.OPEN
    held = context["locked_away"] and extra["act"] and "problem" not in extra
    barred = held and not (extra["act"] == "assign" and user.has_perm("cases.assign_alert"))
    if judging or barred or alert.status == AlertStatus.CLOSED:
        # A form for what is decided already, or in somebody else's hands, leads nowhere.
        extra = extra | {"act": ""}
    return render(request, "cases/alert_detail.html", {**context, **extra}, status=status)


def _back(request: HttpRequest) -> str:
    """The queue that this alert was opened from, as its own query string."""
    given = request.POST.get("back") or request.GET.get("back", "")
    return QueueFilters.read(QueryDict(given).dict()).query()


KEYS: Final = {
    Disposition.FRAUD: "1", Disposition.FALSE_POSITIVE: "2", Disposition.INCONCLUSIVE: "4",
}  # fmt: skip
"""Of the outcomes; 3 opens a case."""


def choices_of(spec: DetectorSpec | None) -> list[dict[str, Any]]:
    """The outcomes with their reasons, numbered for the keyboard; a host commits no fraud."""
    words = found_words(truth_words(spec))
    money = spec is None or bool(spec.amount_field)
    return [
        {
            "key": KEYS[found],
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


# --- What can be done with an alert --------------------------------------------------------------


def refuse(
    request: HttpRequest, alert: Alert, act: str, problem: str, **typed: str
) -> HttpResponse:
    """The alert as it stands by now with the form open, what was typed in it, and why it was
    refused. Somebody else may have decided it since its page was loaded."""
    now = alert_or_404(alert.pk)
    return _render_alert(request, now, {"act": act, "problem": problem, **typed}, status=422)


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
        return refuse(
            request,
            alert,
            act,
            "The note is too long, or holds a character that cannot be kept.",
            **typed,
        )
    found, user = form.cleaned_data, signed_in(request)
    batch = uuid4()
    try:
        label_alert(alert, **found, actor=user, batch=batch, seen=seen_of(request))
    except MoveRefused as refusal:
        before = closing_again(alert, **found, actor=user)
        if before is None:
            return refuse(request, alert, act, str(refusal), **typed)
        batch = before.batch
    end_touch(user)
    outcome = Disposition(found["disposition"]).replace("_", " ")
    if found["disposition"] == Disposition.FRAUD:
        outcome = truth_words(presenting.SpecCache().of(alert.detector)).fraud
    words = reason_words(found["disposition"], found["reason_code"]).lower()
    undo = undo_url(batch, _back(request))
    named = linked(f"alert {alert.pk}", alert_url(alert.pk, _back(request)))
    told = format_html("Closed {}: {}, {}.", named, outcome, words)
    messages.success(request, told, extra_tags=undo)
    filters = QueueFilters.read(QueryDict(_back(request)).dict())
    return go_on(request, filters, leaving=alert.pk)


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
        return refuse(request, alert, "assign", problem)
    owner = form.cleaned_data["owner"]
    chosen = user if owner == "me" else form.people.get(owner)
    try:
        assign_alert(alert, owner=chosen, actor=user)
    except MoveRefused as refusal:
        return refuse(request, alert, "assign", str(refusal))
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
        return refuse(request, alert, "case", problem, case_title=title)
    try:
        case = open_case([alert], title=form.cleaned_data["title"], actor=signed_in(request))
    except MoveRefused as refusal:
        return refuse(request, alert, "case", str(refusal), case_title=title)
    end_touch(signed_in(request))
    messages.success(request, f"Opened case {case.pk}.")
    return redirect("case_detail", pk=case.pk)
