"""What the page of an alert fetches once it stands. Each is a page of its own too."""

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.typed import is_whole
from cases.alert_page import reason_words
from cases.link_panel import link_panel
from cases.models import Alert
from cases.rows import alert_rows
from cases.second_looks import blind_since, hidden_look, hides, untold_entity
from cases.selectors import find_alert, ids_of_alert, newest_of_entity
from cases.signing import Alike, similar_alerts
from cases.timeline_panel import timeline_panel
from cases.views import alert_or_404, fragment, signed_in
from cases.workflow import Disposition
from scoring import presenting
from scoring.core.reasons import title
from scoring.core.spec import DetectorSpec, truth_words
from scoring.models import Detector

MARKED = 200
FEW = 3


@login_required
@permission_required("scoring.view_prediction", raise_exception=True)
@require_GET
def entity_timeline(request: HttpRequest, slug: str, token: str) -> HttpResponse:
    """An entity's events, places, labels and alerts. `?range=` in days, `?alert=` ends with it."""
    detector = get_object_or_404(Detector, slug=slug)
    specs = presenting.SpecCache()
    spec = specs.of(detector)
    alert = _alert_asked(request, detector, token)
    here = frozenset(ids_of_alert(alert, limit=MARKED)) if alert is not None else frozenset()
    panel = timeline_panel(
        detector,
        token,
        spec,
        chosen=request.GET.get("range", ""),
        alert=alert,
        here=here,
        blind_since=blind_since(signed_in(request), detector.pk, token),
    )
    if panel is None:
        raise Http404("Nothing is known about this entity.")
    url = reverse("entity_timeline", args=[slug, token])
    context = {
        "timeline": panel,
        "figure_text": json.dumps(panel.figure),
        "truth": truth_words(spec),
        "url": url,
        "asked": f"&alert={alert.pk}" if alert is not None else "",
        "here": alert is not None,
    }
    return _panel(request, "cases/entity_timeline.html", context, detector, token, "Timeline")


@login_required
@permission_required("scoring.view_prediction", raise_exception=True)
@require_GET
def entity_links(request: HttpRequest, slug: str, token: str) -> HttpResponse:
    """Who shares a device, a merchant or the like with an entity. `?open=` nodes to open."""
    detector = get_object_or_404(Detector, slug=slug)
    specs = presenting.SpecCache()
    spec = specs.of(detector)
    newest = newest_of_entity(detector.pk, token)
    if newest is None:
        raise Http404("Nothing is known about this entity.")
    links = None
    if spec is not None and spec.link_fields:
        links = link_panel(
            detector,
            token,
            specs.entity(newest, detector),
            spec,
            opened=request.GET.getlist("open"),
            row=newest,
            untold=untold_entity(signed_in(request), detector.pk),
        )
    context = {"links": links, "entity_word": specs.entity_word(detector)}
    return _panel(request, "cases/entity_links.html", context, detector, token, "Links")


def _alert_asked(request: HttpRequest, detector: Detector, token: str) -> Alert | None:
    asked = request.GET.get("alert", "")
    alert = find_alert(int(asked)) if is_whole(asked) else None
    own = alert is not None and (alert.detector_id, alert.entity) == (detector.pk, token)
    return alert if own else None


def _panel(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    detector: Detector,
    token: str,
    heading: str,
) -> HttpResponse:
    """The panel's body alone to htmx, a page to everyone else."""
    if fragment(request):
        return render(request, f"{template}#body", dict(context))
    newest = newest_of_entity(detector.pk, token)
    name = presenting.SpecCache().entity(newest, detector) if newest is not None else token
    frame = {
        "title": heading,
        "subtitle": f"{name} · {detector}",
        "crumbs": [(name, reverse("entity_detail", args=[detector.slug, token]))],
    }
    return render(request, template, {**frame, **context, "whole": True})


@login_required
@permission_required("cases.view_alert", raise_exception=True)
@require_GET
def alert_similar(request: HttpRequest, pk: int) -> HttpResponse:
    """Closed alerts with like explanations, and what they turned out to be."""
    alert = alert_or_404(pk)
    specs = presenting.SpecCache()
    spec = specs.of(alert.detector)
    alike = similar_alerts(alert)
    look = hidden_look(signed_in(request)) if alike else None
    alike = [one for one in alike if not hides(look, one.alert)]
    rows = alert_rows([one.alert for one in alike], specs)
    lines = [
        {
            "row": row,
            "likeness": one.likeness,
            "shared": ", ".join(_feature_words(spec, name) for name in one.shared),
            "reason_words": reason_words(row.alert.disposition, row.alert.reason_code),
        }
        for one, row in zip(alike, rows, strict=True)
    ]
    truth = truth_words(spec)
    context = {
        "alert": alert,
        "similar": lines,
        "verdict": verdict(alike, truth.fraud),
        "few": len(alike) < FEW,
        "truth": truth,
        "scored": alert.top_prediction.contributions is not None,
    }
    if fragment(request):
        return render(request, "cases/alert_similar.html#body", context)
    crumbs = [(f"Alert {alert.pk}", alert.get_absolute_url())]
    frame = {"title": "Similar past alerts", "crumbs": crumbs}
    return render(request, "cases/alert_similar.html", {**frame, **context})


def verdict(alike: list[Alike], fraud: str) -> str:
    """`7 of 9 were fraud, 1 inconclusive`; empty without any."""
    if not alike:
        return ""
    found = [one.alert.disposition for one in alike]
    bad, unclear = found.count(Disposition.FRAUD), found.count(Disposition.INCONCLUSIVE)
    said = f"{bad} of {len(found)} {'was' if bad == 1 else 'were'} {fraud}"
    return f"{said}, {unclear} inconclusive" if unclear else said


def _feature_words(spec: DetectorSpec | None, name: str) -> str:
    feature = next((f for f in spec.features if f.name == name), None) if spec else None
    if feature is None:
        return name if name.isupper() else name.replace("_", " ")
    return title(feature)
