"""The page of one prediction, and the audited reveal of its personal data."""

from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from django.contrib.auth.decorators import login_required, permission_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.services import record_audit
from scoring import knowing, panels, presenting
from scoring.checking import checks_panel
from scoring.core.spec import truth_words
from scoring.models import Label, Prediction
from scoring.prediction_reasons import bundle_of, explain_prediction
from scoring.screened import screening_of
from scoring.selectors import find_prediction
from scoring.side_by_side import compared_hits
from scoring.usual import beside, own_history

LONGEST_REASON = 500
SHORTEST_REASON = 8


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
    if prediction.erased_at is not None:
        return _event(request, prediction, {}, status=409)
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]
    if len(reason) < SHORTEST_REASON:
        problem = "Say why you need to see it, in a few words; the audit trail keeps your reason."
        extra = {"reveal_problem": problem, "reveal_reason": reason}
        return _event(request, prediction, extra, status=422)
    spec = presenting.SpecCache().of(prediction.detector)
    fields = presenting.event_fields(prediction, spec, reveal=True)
    masked = presenting.event_fields(prediction, spec)
    record_audit(
        actor=cast(User, request.user),
        action="prediction.revealed",
        subject=prediction,
        detail={"reason": reason, "fields": [field.name for field in masked if field.hidden]},
    )
    screening = compared_hits(prediction, spec, reveal=True)
    shown: dict[str, Any] = {"fields": fields, "masked": False, "revealed": True}
    return _event(request, prediction, {**shown, "screening": screening})


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


@login_required
@permission_required("scoring.view_prediction", raise_exception=True)
@require_GET
def prediction_checks(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What to check next, the fact first whose check would change the decision most."""
    prediction = prediction_or_404(pk)
    context = {"checks": checks_panel(prediction)}
    return _panel(request, prediction, "scoring/prediction_checks.html", context)


@login_required
@permission_required("scoring.view_prediction", raise_exception=True)
@require_GET
def prediction_replay(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Decide the prediction again from what is stored, and say whether it is the same."""
    prediction = prediction_or_404(pk)
    context = {"replay": knowing.replay_line(prediction)}
    return _panel(request, prediction, "scoring/prediction_replay.html", context)


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
    template = "scoring/prediction_event_body.html"
    return render(request, template, {**context, **extra}, status=status)


def _labels(request: HttpRequest, prediction: Prediction) -> QuerySet[Label]:
    """All labels; to who must judge the event without them, those that were there before."""
    rows = Label.history.filter(prediction=prediction).select_related("author", "retracted_by")
    since = request.labels_hidden_since(  # type: ignore[attr-defined]
        prediction.detector_id, prediction.entity
    )
    return rows if since is None else rows.filter(label_time__lt=since)


def _render(
    request: HttpRequest,
    prediction: Prediction,
    extra: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    specs = presenting.SpecCache()
    spec = specs.of(prediction.detector)
    name = specs.entity(prediction, prediction.detector)
    bundle = bundle_of(prediction)
    known = spec if bundle is None else bundle.spec
    own = None if known is None else own_history(prediction, known.feature_names)
    why = explain_prediction(prediction, spec)
    fields = presenting.event_fields(prediction, spec)
    screened = screening_of(prediction)
    context = {
        "title": f"Prediction {prediction.external_id}",
        "subtitle": str(prediction.detector),
        "crumbs": [(name, entity_url(prediction))],
        "prediction": prediction,
        "name": name,
        "entity_word": specs.entity_word(prediction.detector),
        "decided_by": presenting.decided_by(prediction),
        "why": why,
        "reasons": beside(why, prediction, known, own),
        "band": knowing.band_line(prediction, bundle),
        "novelty": knowing.novelty_line(prediction, bundle),
        "rules": presenting.rule_hits(prediction),
        "screening": compared_hits(prediction, spec),
        "unscreened": screened.missing,
        "fields": fields,
        "masked": any(field.hidden for field in fields),
        "lineage": replace(presenting.lineage_of(prediction), lists=screened.lists),
        "truth": truth_words(spec),
        "labels": _labels(request, prediction),
    }
    template = "scoring/prediction_detail.html"
    return render(request, template, {**context, **(extra or {})}, status=status)
