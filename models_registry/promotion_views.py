"""Asking for a promotion, deciding as the second person, and putting challengers in shadow."""

from collections.abc import Callable
from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from accounts.models import User
from jobs.dispatch import announce_job
from models_registry.approvals import (
    ReasonNeeded,
    SelfApproval,
    approve_promotion,
    refuse_promotion,
    request_promotion,
    withdraw_promotion,
)
from models_registry.forms import DecisionForm
from models_registry.models import ModelVersion
from models_registry.promotion import PromotionRefused
from models_registry.promotion_models import PromotionRequest
from models_registry.shadow_judging import judge_now
from models_registry.shadowing import ShadowRefused, start_shadow, stop_shadow
from models_registry.views import TOO_LONG, go_to, render_version, sentence, version_or_404
from scoring.core.bundle import BundleError

_may_promote = permission_required("models_registry.promote_model", raise_exception=True)


@login_required
@_may_promote
@require_POST
def model_promote(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for a version to serve; a second person decides."""
    version = version_or_404(pk)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return render_version(request, version, error=TOO_LONG, form=form)
    try:
        asked = request_promotion(
            version,
            actor=cast(User, request.user),
            reason=form.cleaned_data["reason"],
            override=request.POST.get("override") == "yes",
        )
    except (PromotionRefused, ReasonNeeded, BundleError) as problem:
        version.refresh_from_db()
        return render_version(request, version, error=sentence(problem), form=form)
    if asked.alone:
        said = f"{version.label} serves {version.detector.name} from the next event on."
    else:
        said = f"A second person has to approve the promotion of {version.label} now."
    messages.success(request, said)
    return go_to(request, version)


def _decide(
    request: HttpRequest, pk: int, act: Callable[[PromotionRequest, User, str], object], said: str
) -> HttpResponse:
    rows = PromotionRequest.objects.select_related("version__detector", "detector")
    asked = get_object_or_404(rows, pk=pk)
    version = version_or_404(asked.version_id)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return render_version(request, version, error=TOO_LONG, form=form)
    try:
        act(asked, cast(User, request.user), form.cleaned_data["reason"])
    except SelfApproval as problem:
        return render_version(request, version, error=sentence(problem), form=form, status=403)
    except (PromotionRefused, ReasonNeeded, BundleError) as problem:
        version.refresh_from_db()
        return render_version(request, version, error=sentence(problem), form=form)
    messages.success(request, said.format(version=version.label, detector=version.detector.name))
    return go_to(request, version)


@login_required
@_may_promote
@require_POST
def promotion_approve(request: HttpRequest, pk: int) -> HttpResponse:
    """The second person agrees."""
    return _decide(
        request,
        pk,
        lambda asked, user, note: approve_promotion(asked, actor=user, note=note),
        "{version} serves {detector} from the next event on.",
    )


@login_required
@_may_promote
@require_POST
def promotion_refuse(request: HttpRequest, pk: int) -> HttpResponse:
    """The second person does not agree, and says why."""
    return _decide(
        request,
        pk,
        lambda asked, user, note: refuse_promotion(asked, actor=user, note=note),
        "The promotion of {version} is refused; what serves goes on serving.",
    )


@login_required
@_may_promote
@require_POST
def promotion_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Whoever asked takes it back."""
    return _decide(
        request,
        pk,
        lambda asked, user, note: withdraw_promotion(asked, actor=user),
        "The request for {version} is withdrawn.",
    )


@login_required
@_may_promote
@require_POST
def shadow_start(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a challenger in shadow."""
    return _move_shadow(request, pk, start_shadow, "{version} scores live traffic in shadow.")


@login_required
@_may_promote
@require_POST
def shadow_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a challenger out of shadow."""
    return _move_shadow(request, pk, stop_shadow, "{version} is no longer in shadow.")


@login_required
@_may_promote
@require_POST
def shadow_judge(request: HttpRequest, pk: int) -> HttpResponse:
    """Catch up and compare now, in the background."""
    return _move_shadow(request, pk, _judge, "{version} is being compared.")


def _judge(version: ModelVersion, *, actor: User) -> None:
    announce_job(judge_now(version, actor=actor))


def _move_shadow(
    request: HttpRequest, pk: int, act: Callable[..., object], said: str
) -> HttpResponse:
    version = version_or_404(pk)
    try:
        act(version, actor=cast(User, request.user))
    except ShadowRefused as problem:
        return render_version(request, version, error=str(problem))
    messages.success(request, said.format(version=version.label))
    return go_to(request, version)
