"""Pages of model owners: what serves, what waits, how good it is; train, promote, roll back."""

import json
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_POST

from accounts.models import User
from accounts.pages import asked_text
from jobs.dispatch import announce_job
from jobs.models import Job
from models_registry.approvals import LEAST_REASON
from models_registry.evaluation_jobs import evaluation_key, unanswered
from models_registry.evaluation_panels import evaluation_context
from models_registry.figures import curve_figures
from models_registry.forms import LEARNER_TITLES, DecisionForm, RollBackForm, TrainForm
from models_registry.metric_rows import metric_lines, too_few_for
from models_registry.models import ModelVersion
from models_registry.panels import detector_panels, version_row
from models_registry.promotion import PromotionRefused, reject, review_over, roll_back
from models_registry.promotion_panels import left_service, promotion_panel, shadow_panel
from models_registry.rare_class import own_parameters, rare_class_words
from models_registry.retraining import TrainingUnderWay, request_training
from models_registry.selectors import (
    champion_of,
    compared_champion,
    detectors_with_models,
    documented_versions,
    drift_alarm_of,
    earlier_champions,
    lineage_of,
    newest_jobs,
    promotion_history,
    tracked_run_of,
    version_list,
)
from models_registry.shadow_judging import shadow_key
from models_registry.tuning_panels import tuning_panel
from models_registry.verdicts import level_of, same_events_rows, setting, verdict_of
from scoring.core.bundle import BundleError, fault_at
from scoring.core.reader import UnreadableDeclaration
from scoring.deployment import bundle_root
from scoring.models import Detector

PAGE_SIZE = 50
HISTORY = 20
TOO_LONG = "The reason is too long."
NOBODY = 0
"""The id of no version."""
COMMITTEE = "mean_with"
"""The parameter that holds whole sets of parameters: the page counts them."""
ENDS = {"succeeded": "is done", "failed": "failed", "cancelled": "was cancelled"}
FOLLOWED = ("judging", "comparing")
"""Regions that follow a job of a version: its evaluation, and its comparison on live traffic."""
Stage = ModelVersion.Stage
_may_view = permission_required("models_registry.view_modelversion", raise_exception=True)
_may_train = permission_required("models_registry.train_model", raise_exception=True)
_may_promote = permission_required("models_registry.promote_model", raise_exception=True)


@method_decorator(login_required, name="dispatch")
@method_decorator(_may_view, name="dispatch")
class ModelList(View):
    """Every detector's versions; with `?detector=slug` all versions of one, in pages.

    A running training asks for its own region, `training-<slug>`, until it is over.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        slug = asked_text(request, "detector")
        if not slug:
            panels = detector_panels(list(detectors_with_models()))
            context = {"title": "Models", "panels": panels}
            return render(request, "models_registry/model_list.html", context)
        detector = get_object_or_404(Detector, slug=slug)
        if _htmx_target(request) == f"training-{slug}":
            return _render_training(request, detector)
        return _render_one(request, detector)


def _render_training(
    request: HttpRequest, detector: Detector, *, status: int = 200, form: TrainForm | None = None
) -> HttpResponse:
    panel = detector_panels([detector])[0]
    panel.form = form or panel.form
    # When the training is over the table changes with it, outside the region that asked.
    context = {"panel": panel, "with_versions": not panel.is_live}
    return render(
        request, "models_registry/model_list.html#training-region", context, status=status
    )


def _render_one(
    request: HttpRequest, detector: Detector, *, status: int = 200, form: TrainForm | None = None
) -> HttpResponse:
    panel = detector_panels([detector])[0]
    panel.form = form or panel.form
    versions = version_list(detector).defer("curves", "parameters", "comparison")
    page = Paginator(versions, PAGE_SIZE).get_page(request.GET.get("page"))
    currency = detector.currency()
    panel.rows = [version_row(version, currency=currency) for version in page]
    context = {
        "title": detector.name,
        "crumbs": [("Models", reverse("model_list"))],
        "panels": [panel],
        "page": page,
    }
    return render(request, "models_registry/model_list.html", context, status=status)


def _render_refused(request: HttpRequest, detector: Detector, why: str) -> HttpResponse:
    """The training under way, and why no other one was started: as a message of the frame, since
    the region of a running training is soon replaced."""
    if _htmx_target(request) == f"training-{detector.slug}":
        answer = _render_training(request, detector, status=422)
        answer["HX-Trigger"] = json.dumps({"toast": {"text": why, "level": "error"}})
        return answer
    messages.error(request, why)
    return _render_one(request, detector, status=422)


@login_required
@_may_train
@require_POST
def model_train(request: HttpRequest, slug: str) -> HttpResponse:
    """Queue a training; the fragment to HTMX, the page to everyone else."""
    detector = get_object_or_404(Detector, slug=slug)
    form = TrainForm(request.POST, auto_id=f"{slug}-%s")
    if not form.is_valid():
        if _htmx_target(request) == f"training-{slug}":
            return _render_training(request, detector, status=422, form=form)
        return _render_one(request, detector, status=422, form=form)
    try:
        job = request_training(
            detector,
            requested_by=cast(User, request.user),
            learner=form.cleaned_data["learner"],
            imbalance=form.cleaned_data["imbalance"],
            tune_for=form.tune_for,
        )
    except (TrainingUnderWay, UnreadableDeclaration) as other:
        return _render_refused(request, detector, str(other))
    announce_job(job)
    if _htmx_target(request) == f"training-{slug}":
        return _render_training(request, detector)
    return redirect(reverse("model_list") + f"#detector-{slug}")


@method_decorator(login_required, name="dispatch")
@method_decorator(_may_view, name="dispatch")
class ModelDetail(View):
    """A job that works on the version is followed by its own region, until it is over."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        version = version_or_404(pk)
        if (region := _htmx_target(request)) in FOLLOWED:
            return _render_followed(request, version, region)
        return render_version(request, version)


def _render_followed(request: HttpRequest, version: ModelVersion, region: str) -> HttpResponse:
    """How far the job is; once it is over the page comes anew: what was found decides thresholds,
    calibration and what a promotion needs as well."""
    is_judged = region == "judging"
    key = evaluation_key(version) if is_judged else shadow_key(version)
    job = newest_jobs([key]).get(key)
    if job is not None and job.is_live:
        context = {"version": version, "job": job, "region": region}
        return render(request, "models_registry/includes/working.html", context)
    if job is not None:
        what = "The evaluation" if is_judged else "The comparison"
        text, found = f"{what} of {version.label} {ENDS.get(job.status, job.status)}.", job.result
        if found and found.get("verdict") == "":  # It only caught up with traffic, and says why.
            text = found.get("reason") or text
        messages.info(request, text)
    return HttpResponse(headers={"HX-Refresh": "true"})


def _followed_context(version: ModelVersion, champion: ModelVersion | None) -> dict[str, Any]:
    """What its jobs find, and the newest of each kind; one query for both."""
    judging, comparing = evaluation_key(version), shadow_key(version)
    jobs = newest_jobs([judging, comparing])
    return _judged_context(version, champion, jobs.get(judging)) | _live_context(
        version, champion, jobs.get(comparing)
    )


def _live_context(
    version: ModelVersion, champion: ModelVersion | None, job: Job | None
) -> dict[str, Any]:
    """How it does in shadow, and the job that compares it there."""
    panel = shadow_panel(version, champion)
    is_told = panel is not None and panel.may_judge
    since = panel.shadow.compared_at if panel is not None and panel.shadow is not None else None
    return {"shadow": panel, "shadow_job": unanswered(job, since) if is_told else None}


def render_version(
    request: HttpRequest,
    version: ModelVersion,
    *,
    error: str = "",
    form: DecisionForm | None = None,
    status: int = 422,
) -> HttpResponse:
    """The version's page, or its `decide` region; with an error under `status`."""
    detector = version.detector
    champion = champion_of(detector)
    history = list(promotion_history(detector)[:HISTORY])
    context: dict[str, Any] = {
        "title": f"{detector.name} {version.label}",
        "crumbs": [("Models", reverse("model_list"))],
        "version": version,
        "champion": champion,
        "history": history,
        "left": left_service(version, history),
        "drift": drift_alarm_of(version),
        "bundle_fault": fault_at(bundle_root() / version.digest, version.digest),
        "error": error,
        **_followed_context(version, champion),
        **_making_context(version),
        **_decision_context(version, champion, cast(User, request.user), form),
    }
    template = "models_registry/model_detail.html"
    if _htmx_target(request) == "decide":
        template += "#decide"
    return render(request, template, context, status=status if error else 200)


def _making_context(version: ModelVersion) -> dict[str, Any]:
    """What it is made of and where it came from."""
    return {
        "learner": LEARNER_TITLES.get(version.learner, version.learner),
        "lineage": lineage_of(version),
        "tracked": tracked_run_of(version),
        "tuning": tuning_panel(version),
        "parameters": {
            name: value if name == COMMITTEE else setting(value)
            for name, value in own_parameters(version.parameters).items()
        },
        "rare_class": rare_class_words(
            version.learner, version.parameters, version.dataset.counts.get("training")
        ),
    }


def _judged_context(
    version: ModelVersion, champion: ModelVersion | None, job: Job | None
) -> dict[str, Any]:
    """How good it is, beside the version that it was compared with or the champion."""
    compared = compared_champion(version)
    other = compared if champion is None or champion == version else champion
    currency = version.detector.currency()
    rival = compared.label if compared else "the champion of that time"
    return {
        "compared": compared,
        "other": other,
        "verdict": verdict_of(version, rival=rival, currency=currency),
        "same_rows": same_events_rows(version, currency=currency),
        "same_level": level_of(version.comparison),
        "metrics": metric_lines(version, other, currency=currency),
        "too_few": too_few_for(version.metrics),
        "curves": curve_figures(version, other),
        **evaluation_context(version, other, currency=currency, job=job),
    }


def _decision_context(
    version: ModelVersion, champion: ModelVersion | None, user: User, form: DecisionForm | None
) -> dict[str, Any]:
    """What the `decide` region needs beside the version."""
    promotion = promotion_panel(version, champion, user)
    form = form or DecisionForm()
    if promotion.needs_reason:
        form.require_reason(LEAST_REASON)
    earlier = earlier_champions([version.detector]).get(version.detector_id)
    return {
        "form": form,
        "promotion": promotion,
        "earlier": earlier,
        "review_over": review_over(earlier, version.detector),
        "may_promote_it": version.stage in (Stage.CHALLENGER, Stage.RETIRED),
    }


@login_required
@_may_promote
@require_POST
def model_reject(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a challenger aside for good."""
    version = version_or_404(pk)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return render_version(request, version, error=TOO_LONG, form=form)
    try:
        reject(version, actor=cast(User, request.user), reason=form.cleaned_data["reason"])
    except PromotionRefused as problem:
        return render_version(request, version, error=str(problem), form=form)
    messages.success(request, f"{version.label} is rejected; the champion goes on serving.")
    return go_to(request, version)


@login_required
@_may_promote
@require_POST
def model_roll_back(request: HttpRequest, slug: str) -> HttpResponse:
    """Bring back the version that served before the champion that the page showed."""
    detector = get_object_or_404(Detector, slug=slug)
    form = RollBackForm(request.POST)
    form.is_valid()
    try:
        decision = roll_back(
            detector,
            actor=cast(User, request.user),
            reason=form.cleaned_data.get("reason", ""),
            expected=form.cleaned_data.get("champion", NOBODY),
        )
    except (PromotionRefused, BundleError) as problem:
        champion = champion_of(detector)
        if champion is None:
            messages.error(request, str(problem))
            return _render_one(request, detector, status=422)
        return render_version(request, version_or_404(champion.pk), error=sentence(problem))
    version = decision.version
    if over := review_over(version, detector):
        messages.warning(request, f"{version.label} is back in {detector.name}. {over}")
    else:
        said = f"{version.label} serves {detector.name} again from the next event on."
        messages.success(request, said)
    return go_to(request, version)


def sentence(problem: Exception) -> str:
    """What went wrong, and that nothing was changed."""
    if isinstance(problem, BundleError):
        return f"The bundle does not load, so nothing was changed: {problem}"
    return f"{problem} Nothing was changed."


def version_or_404(pk: int) -> ModelVersion:
    """The version with all that its page shows of its making."""
    return get_object_or_404(documented_versions(), pk=pk)


def go_to(request: HttpRequest, version: ModelVersion) -> HttpResponse:
    """The version's page anew: its header changes too, so HTMX is sent there."""
    if _htmx_target(request):
        return HttpResponse(headers={"HX-Redirect": version.get_absolute_url()})
    return redirect(version)


def _htmx_target(request: HttpRequest) -> str:
    """The id of the region that HTMX will replace; empty when a whole page is wanted."""
    htmx = request.htmx  # type: ignore[attr-defined]
    if not htmx or htmx.boosted or htmx.history_restore_request:
        return ""
    return htmx.target or ""
