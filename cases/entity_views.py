"""The page of an entity: its events, its alerts, its cases."""

from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from cases.second_looks import blind_since, hide_outcomes
from cases.selectors import alerts_of_entity, entity_history
from cases.views import reason_words, signed_in
from scoring import presenting
from scoring.core.spec import truth_words
from scoring.models import Detector

EVENTS = 50
ALERTS = 50


@login_required
@permission_required("scoring.view_prediction", raise_exception=True)
@require_GET
def entity_detail(request: HttpRequest, slug: str, token: str) -> HttpResponse:
    """What is known about one entity of one detector. `token` is its keyed stand-in."""
    detector = get_object_or_404(Detector, slug=slug)
    since = blind_since(signed_in(request), detector.pk, token)
    predictions = entity_history(detector.pk, token, limit=EVENTS, before=since)
    if not predictions:
        raise Http404("Nothing is known about this entity.")
    specs = presenting.SpecCache()
    spec = specs.of(detector)
    alerts = alerts_of_entity(detector.pk, token, limit=ALERTS)
    hide_outcomes(alerts, since)
    for alert in alerts:
        alert.reason_words = reason_words(alert.disposition, alert.reason_code)  # type: ignore[attr-defined]
    cases = {alert.case_id: alert.case for alert in alerts if alert.case is not None}
    context = {
        "title": specs.entity(predictions[0], detector),
        "subtitle": f"{specs.entity_word(detector)} of {detector}",
        "crumbs": [("Queue", "/")],
        "detector": detector,
        "truth": truth_words(spec),
        "linkable": spec is not None and bool(spec.link_fields),
        "history": presenting.history_of(predictions),
        "alerts": alerts,
        "cases": list(cases.values()),
        "full": len(predictions) == EVENTS,
        "limit": EVENTS,
        "newest": predictions[0],
    }
    return render(request, "cases/entity_detail.html", context)
