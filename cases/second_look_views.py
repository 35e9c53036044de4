"""Second looks: the next one, blind; and for leads how far people agree, and what to settle."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.typed import is_whole
from cases.dashboard_views import asked_of, frame
from cases.drawing import share_of_detector
from cases.forms import LabelForm
from cases.models import Alert
from cases.rows import alert_row
from cases.second_look_models import SecondLook, SecondLookShare
from cases.second_look_selectors import (
    ReasonLine,
    agreement,
    blind_history,
    disputes,
    look_counts,
)
from cases.second_looks import (
    answer_second_look,
    give_back,
    held_by,
    set_share,
    settle_second_look,
    take_second_look,
    waiting_for,
)
from cases.services import begin_touch, end_touch
from cases.tallying import day_bounds
from cases.views import choices_of, linked, reason_words, signed_in
from cases.workflow import Disposition, MoveRefused, SecondLookStatus
from scoring import presenting
from scoring.core.spec import DetectorSpec, truth_words
from scoring.models import Detector
from scoring.prediction_reasons import explain_prediction
from scoring.screened import screening_hits

MOST_DISPUTES = 50
TOO_LONG = "The note is too long, or holds a character that cannot be kept."
WORDS = {
    "fraud": "Fraud",
    "false_positive": "False positive",
    "inconclusive": "Inconclusive",
}
_may_look = permission_required("cases.triage_alert", raise_exception=True)
_may_compare = permission_required("cases.view_analysts", raise_exception=True)
_may_settle = permission_required("cases.settle_second_look", raise_exception=True)


@login_required
@_may_look
@require_GET
def second_looks(request: HttpRequest) -> HttpResponse:
    """The alert that the user took for a second look, or how many wait."""
    return _render_look(request, {})


def _render_look(request: HttpRequest, extra: dict[str, Any], status: int = 200) -> HttpResponse:
    user = signed_in(request)
    look = held_by(user)
    context: dict[str, Any] = {
        "title": "Second looks",
        "return_url": reverse("second_looks"),
        "look": look,
        "waiting": waiting_for(user, timezone.now()).count(),
    }
    if look is not None:
        begin_touch(user, alert=look.alert)
        context |= _evidence(look.alert)
    return render(request, "cases/second_look.html", context | extra, status=status)


def _evidence(alert: Alert) -> dict[str, Any]:
    """What there is to judge by: nothing that the first analyst said."""
    specs = presenting.SpecCache()
    spec: DetectorSpec | None = specs.of(alert.detector)
    top = alert.top_prediction
    history = blind_history(alert)
    here = {one.pk for one in history if _alert_of(one) == alert.pk}
    return {
        "alert": alert,
        "row": alert_row(alert, specs),
        "prediction": top,
        "why": explain_prediction(top, spec),
        "rules": presenting.rule_hits(top),
        "screening": screening_hits(top),
        "fields": presenting.event_fields(top, spec),
        "history": presenting.history_of(history, here=frozenset(here)),
        "choices": choices_of(spec),
        "truth": truth_words(spec),
    }


def _alert_of(prediction: Any) -> int | None:
    link = getattr(prediction, "alert_link", None)
    return None if link is None else int(link.alert_id)


@login_required
@_may_look
@require_POST
def second_look_take(request: HttpRequest) -> HttpResponse:
    """Take the next one, or with `back` leave the one in hand to somebody else."""
    user = signed_in(request)
    if "back" in request.POST:
        held = held_by(user)
        if held is not None:
            give_back(held, user=user)
            end_touch(user)
            messages.success(request, "Given back. Somebody else will take it.")
    elif take_second_look(user) is None:
        messages.info(request, "Nothing waits for your second look.")
    return redirect("second_looks")


@login_required
@_may_look
@require_POST
def second_look_answer(request: HttpRequest) -> HttpResponse:
    """What the second analyst found; then the next one."""
    user = signed_in(request)
    look = SecondLook.objects.filter(pk=_number(request.POST.get("look", ""))).first()
    if look is None:
        raise Http404("There is no such second look.")
    form = _judgement(request)
    typed = {"notes": request.POST.get("notes", "")[:4000]}
    if not form.is_valid():
        return _render_look(request, {"problem": TOO_LONG, **typed}, status=422)
    try:
        answer_second_look(look, actor=user, **form.cleaned_data)
    except MoveRefused as refusal:
        return _render_look(request, {"problem": str(refusal), **typed}, status=422)
    end_touch(user)
    messages.success(request, "Noted. Whether you agree with the first look is not shown.")
    take_second_look(user)
    return redirect("second_looks")


def _judgement(request: HttpRequest) -> LabelForm:
    """The form; its buttons say outcome and reason together: `fraud:card_testing`."""
    disposition, _, reason = request.POST.get("judgement", "").partition(":")
    return LabelForm(
        {
            "disposition": disposition,
            "reason_code": reason,
            "notes": request.POST.get("notes", ""),
        }
    )


def _number(text: str) -> int:
    return int(text) if is_whole(text) else 0


# --- For leads -----------------------------------------------------------------------------------


@login_required
@_may_compare
@require_GET
def second_look_agreement(request: HttpRequest) -> HttpResponse:
    """How far two analysts agree, by reason; what is in dispute; which share is drawn."""
    return _render_agreement(request, {})


def _render_agreement(
    request: HttpRequest, extra: dict[str, Any], status: int = 200
) -> HttpResponse:
    asked = asked_of(request, sums=False)
    filters = asked.filters
    found = agreement(day_bounds(filters.first)[0], day_bounds(filters.last)[1], asked.scope.ids)
    counts, specs = look_counts(asked.scope.ids), presenting.SpecCache()
    shares = SecondLookShare.objects.values_list("detector_id", "share")
    percents = {pk: f"{100 * share:g}" for pk, share in shares}
    usual = f"{100 * share_of_detector(0):g}"
    context = frame(asked, "second_look_agreement") | {
        "title": "Agreement",
        "crumbs": [("Dashboards", f"{reverse('dashboards')}?{filters.query()}")],
        "found": found,
        "outcomes": [(value, WORDS[value]) for value in Disposition],
        "matrix": [
            {
                "word": WORDS[first],
                "cells": [
                    {"n": found.cells.get((first, second), 0), "same": first == second}
                    for second in Disposition
                ],
            }
            for first in Disposition
            if first != Disposition.INCONCLUSIVE
        ],
        "lines": [_reason_line(line) for line in found.lines],
        "disputes": [
            {"look": look, "row": alert_row(look.alert, specs)}
            for look in disputes(asked.scope.ids)[:MOST_DISPUTES]
        ],
        "disputed": counts.get(SecondLookStatus.DISPUTED, 0),
        "waiting": counts.get(SecondLookStatus.WAITING, 0),
        "usual": usual,
        "shares": [
            {"detector": one, "percent": percents.get(one.pk, "")} for one in asked.scope.every
        ],
    }  # fmt: skip
    bad = 422 if filters.problems else status
    return render(request, "cases/second_look_agreement.html", context | extra, status=bad)


def _reason_line(line: ReasonLine) -> dict[str, Any]:
    instead = ""
    if line.instead is not None:
        disposition, code, n = line.instead
        words = reason_words(disposition, code) or code
        instead = f"{WORDS[disposition]}: {words} ({n})"
    return {
        "line": line,
        "outcome": WORDS[line.disposition],
        "reason": reason_words(line.disposition, line.reason) or line.reason,
        "instead": instead,
    }


@login_required
@_may_compare
@require_http_methods(["GET", "HEAD", "POST"])
def second_look_dispute(request: HttpRequest, pk: int) -> HttpResponse:
    """Two judgements side by side; a lead settles which one stands."""
    rows = SecondLook.objects.exclude(status=SecondLookStatus.WAITING).select_related(
        "alert__detector", "alert__top_prediction", "first_by", "second_by", "settled_by"
    )
    look = rows.filter(pk=pk).first()
    if look is None:
        raise Http404("There is no such dispute.")
    if request.method == "POST":
        return _settle(request, look)
    return _render_dispute(request, look, {})


@_may_settle
def _settle(request: HttpRequest, look: SecondLook) -> HttpResponse:
    form = _judgement(request)
    typed = {"notes": request.POST.get("notes", "")[:4000]}
    if not form.is_valid():
        return _render_dispute(request, look, {"problem": TOO_LONG, **typed}, status=422)
    try:
        settle_second_look(look, actor=signed_in(request), **form.cleaned_data)
    except MoveRefused as refusal:
        return _render_dispute(request, look, {"problem": str(refusal), **typed}, status=422)
    named = linked(f"alert {look.alert_id}", reverse("alert_detail", args=[look.alert_id]))
    messages.success(request, format_html("Settled {}.", named))
    return redirect(_agreement_url(request))


def _agreement_url(request: HttpRequest) -> str:
    """The page of agreement as it was filtered when its dispute was opened."""
    return f"{reverse('second_look_agreement')}?{request.GET.urlencode()}".rstrip("?")


def _render_dispute(
    request: HttpRequest, look: SecondLook, extra: dict[str, Any], status: int = 200
) -> HttpResponse:
    context = {
        "title": f"Alert {look.alert_id}: two looks",
        "crumbs": [("Agreement", _agreement_url(request))],
        "look": look,
        "judgements": [
            {"who": who, "at": at, "outcome": WORDS[found], "reason": reason_words(found, reason)}
            for who, at, found, reason in (
                (look.first_by, look.first_at, look.first_disposition, look.first_reason),
                (look.second_by, look.second_at, look.second_disposition, look.second_reason),
                (look.settled_by, look.settled_at, look.settled_disposition, look.settled_reason),
            )
            if found
        ],
        "in_dispute": look.status == SecondLookStatus.DISPUTED,
        "may_settle": request.user.has_perm("cases.settle_second_look")
        and signed_in(request).pk not in (look.first_by_id, look.second_by_id),
        **_evidence(look.alert),
    }
    return render(request, "cases/second_look_dispute.html", context | extra, status=status)


@login_required
@_may_settle
@require_POST
def second_look_share(request: HttpRequest) -> HttpResponse:
    """Which share of a detector's labelled alerts is drawn from now on."""
    detector = Detector.objects.filter(
        slug=request.POST.get("detector", "").replace("\0", "")[:40]
    ).first()
    if detector is None:
        raise Http404("There is no such detector.")
    typed = request.POST.get("share", "").strip()[:20]
    try:
        share = float(typed) / 100.0 if typed else None
        set_share(detector, share, actor=signed_in(request))
    except ValueError:
        problem = f"{detector.name}: give a share between 0 and 100 %, or nothing."
        return _render_agreement(
            request, {"problem": problem, "typed": typed, "typed_for": detector.pk}, status=422
        )
    messages.success(request, f"Changed the share of {detector.name}.")
    return redirect("second_look_agreement")
