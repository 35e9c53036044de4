"""Judge a version again, and move its thresholds: preview, then a version of its own."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from jobs.dispatch import announce_job
from models_registry.evaluation_jobs import (
    EvaluationUnderWay,
    request_evaluation,
    shown_evaluations,
)
from models_registry.evaluation_models import Evaluation
from models_registry.evaluation_panels import threshold_panel
from models_registry.forms import EvaluateForm, PublishForm, ThresholdForm
from models_registry.models import ModelVersion
from models_registry.threshold_moves import MoveRefused, known_of, publish_thresholds
from scoring.core.bundle import BundleError, BundleNotWritten

PUBLISH = "models_registry.promote_model"


def _version_or_404(pk: int) -> ModelVersion:
    return get_object_or_404(ModelVersion.objects.select_related("detector", "dataset"), pk=pk)


@login_required
@permission_required("models_registry.train_model", raise_exception=True)
@require_POST
def model_evaluate(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue an evaluation of a version; the page shows how far it is."""
    version = _version_or_404(pk)
    form = EvaluateForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose how to evaluate: as of today, or over time.")
        return redirect(version)
    try:
        job = request_evaluation(
            version, kind=form.cleaned_data["kind"], requested_by=cast(User, request.user)
        )
    except EvaluationUnderWay as other:
        messages.error(request, str(other))
    else:
        announce_job(job)
    return redirect(version.get_absolute_url() + "#judgements")


@login_required
@permission_required("models_registry.view_modelversion", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def model_thresholds(request: HttpRequest, pk: int) -> HttpResponse:
    """What other thresholds would mean (GET), and a version that has them (POST)."""
    version = _version_or_404(pk)
    if request.method == "POST":
        return _publish(request, version)
    asked = bool(request.GET.get("review"))
    form = ThresholdForm(request.GET) if asked else None
    return _render(request, version, form)


def _render(
    request: HttpRequest, version: ModelVersion, form: ThresholdForm | None, *, status: int = 200
) -> HttpResponse:
    detector = version.detector
    panel = threshold_panel(
        version,
        shown_evaluations(version),
        currency=detector.currency(),
        form=form,
    )
    if form is not None and form.errors:
        status = 422
    context = {
        "title": f"Thresholds of {version.label}",
        "crumbs": [
            ("Models", reverse("model_list")),
            (f"{detector.name} {version.label}", version.get_absolute_url()),
        ],
        "version": version,
        "thresholds": panel,
        "reason": request.POST.get("reason", ""),
    }
    is_fragment = request.headers.get("HX-Target") == "thresholds"
    template = "model_threshold.html" if is_fragment else "thresholds.html"
    return render(request, f"models_registry/{template}", context, status=status)


@permission_required(PUBLISH, raise_exception=True)
def _publish(request: HttpRequest, version: ModelVersion) -> HttpResponse:
    user, form = cast(User, request.user), PublishForm(request.POST)
    if not form.is_valid():
        return _render(request, version, form, status=422)
    try:
        made = publish_thresholds(
            version,
            **form.wanted(),
            actor=user,
            reason=form.cleaned_data["reason"],
            known=known_of(version, shown_evaluations(version)),
        )
    except MoveRefused as problem:
        form.add_error(problem.field or None, str(problem))
        return _render(request, version, form, status=422)
    except BundleNotWritten as problem:
        form.add_error(None, f"{problem} Nothing was changed.")
        return _render(request, version, form, status=422)
    except BundleError as problem:
        form.add_error(None, f"The bundle does not load, so nothing was changed: {problem}")
        return _render(request, version, form, status=422)
    announce_job(request_evaluation(made, kind=Evaluation.Kind.AS_OF, requested_by=user))
    messages.success(
        request,
        f"{made.label} has these thresholds and the model of {version.label}. Promote it to let "
        "it decide.",
    )
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": made.get_absolute_url()})
    return redirect(made)
