"""Pages of the registry beside a version's own: comparison, explanation, card, integrity, files."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from accounts.pages import asked_text
from jobs.dispatch import announce_job
from models_registry.bundle_files import MOST_BYTES, ExchangeError
from models_registry.card import model_card
from models_registry.comparing import (
    LEAST,
    MOST,
    CompareError,
    chosen_ids,
    compare_versions,
    versions_to_compare,
)
from models_registry.core.subgroups import level_names
from models_registry.evaluation_panels import audited_words
from models_registry.explaining import explanation_of, live_explanation, request_explanation
from models_registry.explanation_figures import (
    bar_figure,
    dependence_view,
    feature_lines,
    summary_figure,
)
from models_registry.exporting import export_bundle, file_name
from models_registry.forms import LEARNER_TITLES, ImportForm
from models_registry.importing import import_bundle, mend_bundle
from models_registry.integrity import check_integrity
from models_registry.models import ModelVersion
from models_registry.presenting_card import card_lines
from models_registry.selectors import documented_versions, lineage_of, version_list
from models_registry.tracking import request_tracking
from scoring.core.bundle import BundleError, BundleNotWritten, declared_by, read_manifest
from scoring.core.encoder import Encoder
from scoring.deployment import bundle_root
from scoring.models import Detector

CHOICES = 100
"""Versions offered for comparison; older ones are compared by their address."""
_may_view = permission_required("models_registry.view_modelversion", raise_exception=True)
_may_train = permission_required("models_registry.train_model", raise_exception=True)
_may_exchange = permission_required("models_registry.exchange_bundle", raise_exception=True)


@method_decorator(login_required, name="dispatch")
@method_decorator(_may_view, name="dispatch")
class ModelCompare(View):
    """`?v=12&v=10`: these versions side by side; `?detector=slug`: choose among its versions."""

    def get(self, request: HttpRequest) -> HttpResponse:
        error, ids, versions = "", [], []
        given = request.GET.getlist("v")
        try:
            ids = chosen_ids(given)
            versions = versions_to_compare(ids)
        except CompareError as problem:
            error = str(problem)
        detector = versions[0].detector if versions else _asked_detector(request, ids)
        context: dict[str, Any] = {
            "title": "Compare versions",
            "crumbs": [("Models", reverse("model_list"))],
            "detector": detector,
            "error": error,
            "slots": _slots(ids, detector),
            "shown": compare_versions(versions) if len(versions) >= LEAST else None,
            "too_few": len(versions) < LEAST and not error,
            "lacks": "" if error else _lacks(given, versions),
        }
        status = 422 if error else 200
        return render(request, "models_registry/model_compare.html", context, status=status)


def _lacks(given: list[str], versions: list[ModelVersion]) -> str:
    """What a choice of too few versions lacks; empty where none was made, or enough were."""
    if not given or len(versions) >= LEAST:
        return ""
    if not versions:
        return "Nothing was chosen: choose two versions to set side by side."
    label = versions[0].label
    if len([text for text in given if text]) > 1:
        return f"{label} was chosen twice: choose another version to set beside it."
    return f"Choose a second version to set beside {label}."


def _asked_detector(request: HttpRequest, ids: list[int]) -> Detector | None:
    """The one that is named, that of the first version, or any that has versions."""
    slug = asked_text(request, "detector")
    if slug:
        return get_object_or_404(Detector, slug=slug)
    if first := ModelVersion.objects.filter(pk__in=ids[:1]).select_related("detector").first():
        return first.detector
    return Detector.objects.filter(versions__isnull=False).order_by("name").first()


def _slots(ids: list[int], detector: Detector | None) -> list[dict[str, Any]]:
    """A choice per column: the versions that may stand there, and the one that does."""
    offered = []
    if detector is not None:
        rows = version_list(detector).select_related(None).only("number", "stage", "learner")
        offered = [
            (v.pk, f"{v.label} {v.get_stage_display().lower()}, {title_of(v.learner)}")
            for v in rows[:CHOICES]
        ]
    picked: list[int | None] = [*ids, *[None] * MOST][:MOST]
    return [
        {"number": place + 1, "picked": pk, "offered": offered, "optional": place >= LEAST}
        for place, pk in enumerate(picked)
    ]


@method_decorator(login_required, name="dispatch")
@method_decorator(_may_view, name="dispatch")
class ModelExplanation(View):
    """What a version goes by; `?feature=name` chooses whose dependence is drawn."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        version = version_or_404(pk)
        lineage = lineage_of(version)
        context: dict[str, Any] = {
            "title": f"What {version.label} goes by",
            "crumbs": _crumbs(version),
            "version": version,
            "fault": lineage.explanation_fault if lineage else "",
            "job": live_explanation(version),
        }
        if request.headers.get("HX-Target") == "explaining":
            if context["job"] is None:
                return HttpResponse(headers={"HX-Refresh": "true"})
            return render(request, "models_registry/model_explanation.html#explaining", context)
        artefact, found, problem = explanation_of(version)
        context["problem"] = problem
        if artefact is not None:
            detail = artefact.detail
            context |= {"artefact": artefact, "lines": feature_lines(detail["features"])}
            context["largest_error"] = f"{detail['additivity_error']:.0e}"
            context["bar"] = bar_figure(detail["features"], detail["link"])
        if artefact is not None and found is not None:
            try:
                context |= _pictures(version, artefact.detail, found, request.GET.get("feature"))
            except BundleError as error:
                context["problem"] = str(error)
        return render(request, "models_registry/model_explanation.html", context)


def _pictures(
    version: ModelVersion, detail: dict[str, Any], found: Any, asked: str | None
) -> dict[str, Any]:
    """Summary and dependence. Raises BundleError when the names of its features are gone."""
    manifest = read_manifest(bundle_root() / version.digest, version.digest)
    spec = declared_by(manifest, version.digest)
    names = spec.feature_names
    levels = level_names(Encoder.from_dict(manifest["encoder"]), names)
    categories = frozenset(f.name for f in spec.features if f.kind == "category")
    ranked = [row["feature"] for row in detail["features"]]
    feature = str(asked) if asked in ranked else ranked[0]
    own = levels.get(feature, {}) if feature in categories else None
    figure, steps = dependence_view(found, names.index(feature), feature, detail["link"], own)
    return {
        "lines": feature_lines(detail["features"], found, names),
        "summary": summary_figure(found, names, categories, detail["features"], detail["link"]),
        "features": ranked,
        "feature": feature,
        "dependence": figure,
        "steps": steps,
        "points": len(found.values),
    }


@login_required
@_may_train
@require_POST
def model_explain(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue the explanation of a version that has none, or make it anew."""
    version = version_or_404(pk)
    job = request_explanation(version, requested_by=cast(User, request.user))
    announce_job(job)
    messages.success(request, f"{version.label} is being explained: job {job.pk}.")
    return redirect("model_explanation", pk=version.pk)


@login_required
@_may_train
@require_POST
def model_track(request: HttpRequest, pk: int) -> HttpResponse:
    """Try again to log a version at the tracking server."""
    version = version_or_404(pk)
    job = request_tracking(version, requested_by=cast(User, request.user))
    if job is None:
        messages.error(request, "No tracking server is set (MLFLOW_TRACKING_URI).")
    else:
        announce_job(job)
        messages.success(request, f"{version.label} is being logged: job {job.pk}.")
    return redirect(version)


@login_required
@_may_view
@require_safe
def model_card_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The model card, to read and to print."""
    version = version_or_404(pk)
    card = model_card(version)
    context = {
        "title": f"Model card, {version.detector.name} {version.label}",
        "crumbs": _crumbs(version),
        "version": version,
        "card": card,
        "lines": card_lines(card, currency=version.detector.currency()),
        "audited": audited_words(card["evaluation"]["metrics"].get("audited") or {}),
        "learner": title_of(version.learner),
    }
    return render(request, "models_registry/model_card.html", context)


@login_required
@_may_view
@require_safe
def model_integrity(request: HttpRequest) -> HttpResponse:
    """What the registry stands on, looked at now."""
    context = {
        "title": "Integrity",
        "crumbs": [("Models", reverse("model_list"))],
        "report": check_integrity(),
    }
    return render(request, "models_registry/model_integrity.html", context)


@login_required
@_may_exchange
@require_safe
def model_export(request: HttpRequest, pk: int) -> HttpResponse:
    """A version as one file."""
    version = version_or_404(pk)
    try:
        content = export_bundle(version, actor=cast(User, request.user))
    except ExchangeError as problem:
        messages.error(request, f"{version.label} cannot be exported: {problem}")
        return redirect(version)
    return bundle_response(version, content)


def bundle_response(version: ModelVersion, content: bytes) -> HttpResponse:
    """The file, named by version and digest."""
    headers = {"Content-Disposition": f'attachment; filename="{file_name(version)}"'}
    return HttpResponse(content, content_type="application/zip", headers=headers)


@method_decorator(login_required, name="dispatch")
@method_decorator(_may_exchange, name="dispatch")
class ModelImport(View):
    """Take in a file that another platform exported."""

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        return self._page(request, get_object_or_404(Detector, slug=slug), ImportForm())

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        detector = get_object_or_404(Detector, slug=slug)
        form = ImportForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._page(request, detector, form)
        try:
            content = form.cleaned_data["bundle"].read()
            actor = cast(User, request.user)
            mended = mend_bundle(detector, content, actor=actor)
            version = mended or import_bundle(detector, content, actor=actor)
        except (ExchangeError, BundleNotWritten) as problem:
            form.add_error("bundle", f"{problem} Nothing was changed.")
            return self._page(request, detector, form)
        what = "has its bundle back" if mended else "was imported and waits as a challenger"
        messages.success(request, f"{version.label} {what}.")
        return redirect(version)

    def _page(self, request: HttpRequest, detector: Detector, form: ImportForm) -> HttpResponse:
        context = {
            "title": "Import a bundle",
            "crumbs": [("Models", reverse("model_list"))],
            "detector": detector,
            "form": form,
            "most_megabytes": MOST_BYTES >> 20,
        }
        status = 422 if form.errors else 200
        return render(request, "models_registry/model_import.html", context, status=status)


def title_of(learner: str) -> str:
    """The algorithm's title; its name where it has none."""
    return LEARNER_TITLES.get(learner, learner)


def _crumbs(version: ModelVersion) -> list[tuple[str, str]]:
    return [
        ("Models", reverse("model_list")),
        (f"{version.detector.name} {version.label}", version.get_absolute_url()),
    ]


def version_or_404(pk: int) -> ModelVersion:
    """The version with what its pages show."""
    return get_object_or_404(documented_versions(), pk=pk)
