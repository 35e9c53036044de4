"""The page of one prediction, and the audited reveal of its personal data."""

from typing import Any, cast
from uuid import UUID

from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.services import record_audit
from scoring import panels, presenting
from scoring.core.spec import truth_words
from scoring.models import Label, Prediction
from scoring.screened import screening_hits, unscreened_lists
from scoring.selectors import find_prediction

LONGEST_REASON = 500
SHORTEST_REASON = 3


def entity_url(prediction: Prediction) -> str:
    """Where everything about the prediction's entity stands."""
    return reverse("entity_detail", args=[prediction.detector.slug, prediction.entity])


def prediction_or_404(pk: UUID) -> Prediction:
    prediction = find_prediction(pk)
    if prediction is None:
        raise Http404("There is no such prediction.")
    return prediction


@login_required
@permission_required("scoring.view_prediction", raise_exception=True)
@require_GET
def prediction_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One prediction: decision, reasons, rules, event, labels, lineage."""
    return _render(request, prediction_or_404(pk))


@login_required
@permission_required("scoring.reveal_pii", raise_exception=True)
@require_POST
@never_cache
def prediction_reveal(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show personal data once, to one who says why; the audit trail keeps who and why."""
    prediction = prediction_or_404(pk)
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]
    if len(reason) < SHORTEST_REASON:
        problem = "Say why you need to see it; the audit trail keeps your reason."
        extra = {"reveal_problem": problem, "reveal_reason": reason}
        return _event(request, prediction, extra, status=422)
    spec = presenting.SpecCache().of(prediction.detector)
    fields = presenting.event_fields(prediction, spec, reveal=True)
    record_audit(
        actor=cast(User, request.user),
        action="prediction.revealed",
        subject=prediction,
        detail={"reason": reason},
    )
    return _event(request, prediction, {"fields": fields, "masked": False, "revealed": True})


@login_required
@permission_required("scoring.view_prediction", raise_exception=True)
@require_GET
def prediction_approve(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What would have been approved; a panel to htmx, a page to everyone else."""
    prediction = prediction_or_404(pk)
    context = {"approve": panels.approve_panel(prediction)}
    return _panel(request, prediction, "scoring/prediction_approve.html", context)


@login_required
@permission_required("scoring.view_prediction", raise_exception=True)
@require_GET
def prediction_surrogate(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A straight line through the model near the prediction, and how well it fits."""
    prediction = prediction_or_404(pk)
    spec = presenting.SpecCache().of(prediction.detector)
    line = panels.surrogate_panel(prediction, spec.features if spec else ())
    context = {"surrogate": line}
    return _panel(request, prediction, "scoring/prediction_surrogate.html", context)


def _panel(
    request: HttpRequest, prediction: Prediction, template: str, context: dict[str, Any]
) -> HttpResponse:
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, f"{template}#body", {"prediction": prediction, **context})
    frame = {
        "title": f"Prediction {prediction.external_id}",
        "subtitle": str(prediction.detector),
        "crumbs": [(prediction.external_id, prediction.get_absolute_url())],
        "prediction": prediction,
    }
    return render(request, template, {**frame, **context})


def _event(
    request: HttpRequest, prediction: Prediction, extra: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The event's panel alone to htmx, its page to everyone else."""
    if not request.htmx:  # type: ignore[attr-defined]
        return _render(request, prediction, extra, status=status)
    fields = presenting.event_fields(prediction, presenting.SpecCache().of(prediction.detector))
    masked = any(field.hidden for field in fields)
    context = {"prediction": prediction, "fields": fields, "masked": masked}
    template = "scoring/prediction_event.html#body"
    return render(request, template, {**context, **extra}, status=status)


def _render(
    request: HttpRequest,
    prediction: Prediction,
    extra: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    specs = presenting.SpecCache()
    spec = specs.of(prediction.detector)
    name = specs.entity(prediction, prediction.detector)
    fields = presenting.event_fields(prediction, spec)
    context = {
        "title": f"Prediction {prediction.external_id}",
        "subtitle": str(prediction.detector),
        "crumbs": [(name, entity_url(prediction))],
        "prediction": prediction,
        "name": name,
        "entity_word": specs.entity_word(prediction.detector),
        "decided_by": presenting.decided_by(prediction),
        "why": presenting.explain_prediction(prediction, spec),
        "rules": presenting.rule_hits(prediction),
        "screening": screening_hits(prediction),
        "unscreened": unscreened_lists(prediction),
        "fields": fields,
        "masked": any(field.hidden for field in fields),
        "lineage": presenting.lineage_of(prediction),
        "truth": truth_words(spec),
        "labels": Label.history.filter(prediction=prediction).select_related(
            "author", "retracted_by"
        ),
    }
    template = "scoring/prediction_detail.html"
    return render(request, template, {**context, **(extra or {})}, status=status)
