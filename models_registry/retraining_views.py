"""The retraining page of a detector: its policy, and what the policy would do now."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.models import User
from models_registry.models import ModelVersion
from models_registry.retraining import outlook, policy_of, save_policy
from models_registry.retraining_forms import RetrainingForm
from models_registry.retraining_models import RetrainingPolicy
from models_registry.selectors import recent_trainings
from models_registry.shadow_time import too_little_time
from models_registry.timetable import Timetable, timetable_of
from scoring.core.reader import SpecError
from scoring.models import Detector
from scoring.policies import PolicyRefused

MAY_EDIT = "models_registry.train_model"
TRAININGS = 8


@login_required
@permission_required("models_registry.view_modelversion", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def retraining(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the policy; with a POST save it, or with `preview` only say what it would do."""
    detector = get_object_or_404(Detector, slug=slug)
    try:
        policy, term = policy_of(detector), detector.review_after()
    except SpecError as error:
        return render(request, "409.html", {"detail": str(error)}, status=409)
    timetable = timetable_of(detector)
    if request.method != "POST":
        return _render(request, policy, timetable, RetrainingForm.of(policy, timetable, term))
    if not request.user.has_perm(MAY_EDIT):
        raise PermissionDenied
    form = RetrainingForm(request.POST, timetable=timetable)
    if not form.is_valid():
        return _render(request, policy, timetable, form, status=422)
    given = form.policy(detector)
    if "preview" in request.POST:
        return _render(request, given, form.timetable(), form, preview=True)
    try:
        save_policy(
            given,
            timetable=form.timetable(),
            review_after=form.review_after(),
            actor=cast(User, request.user),
            base=form.cleaned_data["base"],
        )
    except PolicyRefused as refusal:
        form.add_error(None, str(refusal))
        detector.refresh_from_db()
        policy, timetable = policy_of(detector), timetable_of(detector)
        form.rebase(policy, timetable, detector.review_after())
        return _render(request, policy, timetable, form, status=422)
    messages.success(request, "The retraining policy is in force.")
    return redirect("retraining", slug=slug)


def _render(
    request: HttpRequest,
    policy: RetrainingPolicy,
    timetable: Timetable,
    form: RetrainingForm,
    *,
    preview: bool = False,
    status: int = 200,
) -> HttpResponse:
    detector = policy.detector
    models = reverse("model_list")
    jobs = recent_trainings(detector, most=TRAININGS)
    made = ModelVersion.objects.filter(job__in=[job.pk for job in jobs]).defer("curves")
    versions = {version.job_id: version for version in made}
    context: dict[str, Any] = {
        "title": "Retraining",
        "crumbs": [("Models", models), (detector.name, f"{models}?detector={detector.slug}")],
        "detector": detector,
        "form": form,
        "timetable": timetable,
        "outlook": outlook(detector, policy, now=timezone.now()),
        "preview": preview,
        "too_little_time": too_little_time(detector, policy, timetable),
        "trainings": [(job, versions.get(job.pk)) for job in jobs],
        "may_edit": request.user.has_perm(MAY_EDIT),
    }
    return render(request, "models_registry/retraining.html", context, status=status)
