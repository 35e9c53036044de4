"""The second person decides: approve, refuse; whoever asked may withdraw."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from scoring.list_views import render_policy
from scoring.policies import PolicyRefused
from scoring.rule_approvals import (
    SelfApproval,
    approve_request,
    refuse_request,
    withdraw_request,
)
from scoring.rule_request_models import RuleRequest
from scoring.rule_telling import url_of, what_of
from scoring.rule_views import render_rule, signed_in

_may_decide = permission_required("scoring.change_rule", raise_exception=True)


def _request_or_404(slug: str, pk: int) -> RuleRequest:
    rows = RuleRequest.objects.select_related("detector", "rule__detector", "version", "live")
    return get_object_or_404(rows, pk=pk, detector__slug=slug)


@login_required
@_may_decide
@require_POST
def rule_request_approve(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Approve: it counts from the next event on."""
    asked = _request_or_404(slug, pk)
    what = what_of(asked)
    note = request.POST.get("note", "")
    try:
        approve_request(asked, actor=signed_in(request), note=note)
    except (PolicyRefused, SelfApproval) as problem:
        return _again(request, asked, problem, note)
    messages.success(request, f"Approved: {what}, from the next event on.")
    return redirect(url_of(asked))


@login_required
@_may_decide
@require_POST
def rule_request_refuse(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Refuse, with a note."""
    asked = _request_or_404(slug, pk)
    note = request.POST.get("note", "")
    try:
        refuse_request(asked, actor=signed_in(request), note=note)
    except (PolicyRefused, SelfApproval) as problem:
        return _again(request, asked, problem, note)
    messages.success(request, "Refused. What stands goes on deciding.")
    return redirect(url_of(asked))


@login_required
@_may_decide
@require_POST
def rule_request_withdraw(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take one's own request back."""
    asked = _request_or_404(slug, pk)
    try:
        withdraw_request(asked, actor=signed_in(request))
    except (PolicyRefused, SelfApproval) as problem:
        return _again(request, asked, problem, "")
    messages.success(request, "Withdrawn. What stands goes on deciding.")
    return redirect(url_of(asked))


def _again(request: HttpRequest, asked: RuleRequest, problem: Exception, note: str) -> HttpResponse:
    """The page that was decided on, with what went wrong and what was typed."""
    extra: dict[str, Any] = {"refused": str(problem), "typed_note": note}
    if asked.rule is None:
        return render_policy(request, asked.detector, extra, status=422)
    return render_rule(request, asked.rule, extra, status=422)
