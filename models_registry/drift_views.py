"""The drift page of a detector: what moved, one feature closely, a check now, all of it as CSV."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from jobs.dispatch import announce_job
from models_registry.drift_panels import csv_lines, drift_panel
from models_registry.drift_selectors import live_check, newest_check
from models_registry.monitoring import NoModel, request_drift_check
from scoring.deployment import RULES_ONLY
from scoring.models import Deployment, Detector

TEMPLATE = "models_registry/drift.html"
REGION = "drift-check"
_may_view = permission_required("models_registry.view_modelversion", raise_exception=True)
_may_train = permission_required("models_registry.train_model", raise_exception=True)


@login_required
@_may_view
@require_safe
def drift(request: HttpRequest, slug: str) -> HttpResponse:
    """The page; to HTMX the check under way, and once it is over, the page anew."""
    detector = get_object_or_404(Detector, slug=slug)
    if _asks_for_region(request):
        return _render_region(request, detector)
    return _render(request, detector)


@login_required
@_may_train
@require_POST
def drift_check(request: HttpRequest, slug: str) -> HttpResponse:
    """Queue a check; the region to HTMX, the page to everyone else."""
    detector = get_object_or_404(Detector, slug=slug)
    try:
        job = request_drift_check(detector, requested_by=cast(User, request.user))
    except NoModel as problem:
        return _render(request, detector, error=str(problem), status=409)
    announce_job(job)
    if _asks_for_region(request):
        return _render_region(request, detector)
    messages.success(request, "A drift check is on its way.")
    return redirect("drift", slug=slug)


@login_required
@_may_view
@require_safe
def drift_csv(request: HttpRequest, slug: str) -> HttpResponse:
    """The newest check as CSV."""
    detector = get_object_or_404(Detector, slug=slug)
    return HttpResponse(
        "".join(csv_lines(newest_check(detector))),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="drift-{slug}.csv"'},
    )


def _render_region(request: HttpRequest, detector: Detector) -> HttpResponse:
    live = live_check(detector)
    if live is None:
        # Everything changes with the check, and figures only come with a whole page.
        return HttpResponse(headers={"HX-Refresh": "true"})
    context = {"detector": detector, "live": live}
    return render(request, TEMPLATE + "#checking", context)


def _render(
    request: HttpRequest, detector: Detector, *, error: str = "", status: int = 200
) -> HttpResponse:
    models = reverse("model_list")
    rows = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION)
    context: dict[str, Any] = {
        "title": "Drift",
        "crumbs": [("Models", models), (detector.name, f"{models}?detector={detector.slug}")],
        "detector": detector,
        "live": live_check(detector),
        "error": error,
        "panel": drift_panel(detector, key=request.GET.get("show", ""), now=timezone.now()),
        "champion": rows.exclude(version=RULES_ONLY).first(),
    }
    return render(request, TEMPLATE, context, status=status)


def _asks_for_region(request: HttpRequest) -> bool:
    htmx = request.htmx  # type: ignore[attr-defined]
    whole = not htmx or htmx.boosted or htmx.history_restore_request
    return not whole and htmx.target == REGION
