"""Pages of detectors: what exists, what serves, and one declaration in words."""

from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from scoring.core.reader import SpecError
from scoring.core.reasons import duration
from scoring.core.spec import DetectorSpec
from scoring.core.types import Stage
from scoring.declaration_changes import misfit_of
from scoring.deployment import RULES_ONLY
from scoring.describing import curl_example, feature_lines, field_lines
from scoring.feature_graph import feature_graph
from scoring.models import Deployment, Detector
from scoring.policy_store import text_in_force
from scoring.rule_health import Report, flagged_by_detector
from scoring.rule_health_views import range_context, range_of
from scoring.rule_marks import Health, health_texts, spark
from scoring.selectors import detector_list as all_detectors
from scoring.selectors import (
    feature_importance,
    predictions_page,
    rules_in_force,
)
from scoring.shortfalls import review_due, shortfalls_of
from scoring.tallies import totals_by_detector

RECENT = 8


@login_required
@permission_required("scoring.view_detector", raise_exception=True)
@require_safe
def detector_list(request: HttpRequest) -> HttpResponse:
    """Every detector with what serves it."""
    detectors = list(all_detectors())
    totals = totals_by_detector([detector.slug for detector in detectors])
    over, problem = range_of(request.GET, None)
    reports, looked_at = flagged_by_detector(detectors, over)
    rows = [
        {
            "detector": detector,
            "serving": _serving(detector),
            "events": totals[detector.slug].count if detector.slug in totals else 0,
            "spec": _spec(detector)[0],
            "health": reports[detector.pk].flagged,
            "texts": health_texts(reports[detector.pk].flagged),
            "spark": spark(reports[detector.pk].flagged.trend),
        }
        for detector in detectors
    ]
    whole = Report(
        by_code={},
        beside={},
        flagged=Health(),
        events=sum(report.events for report in reports.values()),
        pairs={},
        looked_at=looked_at,
        waiting=sum(report.waiting for report in reports.values()),
    )
    context = {"title": "Detectors", "rows": rows, **range_context(whole, over, problem)}
    return render(request, "scoring/detector_list.html", context)


@login_required
@permission_required("scoring.view_detector", raise_exception=True)
@require_safe
def detector_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One detector: its declaration in words, how to send events, what came last."""
    detector = get_object_or_404(all_detectors(), slug=slug)
    spec, problems = _spec(detector)
    context: dict[str, Any] = {
        "title": detector.name,
        "crumbs": [("Detectors", reverse("detector_list"))],
        "detector": detector,
        "serving": _serving(detector),
        "spec": spec,
        "problems": problems,
    }
    if spec is not None:
        serving = context["serving"]
        importance, counted = feature_importance(detector, serving.digest) if serving else ({}, 0)
        url = request.build_absolute_uri(reverse("api_score", args=[slug]))
        rules = list(rules_in_force(detector))
        context |= {
            "rules": [(version, text_in_force(version, spec)) for version in rules],
            "shortfalls": [
                *([misfit] if (misfit := misfit_of(detector, serving)) else []),
                *(found.text for found in shortfalls_of(detector, rules)),
            ],
            "live_rules": sum(version.stage == Stage.LIVE for version in rules),
            "graph": feature_graph(spec, detector.config, importance),
            "importance_of": counted,
            "fields": field_lines(spec),
            "features": feature_lines(spec),
            "label_delay": duration(spec.training.label_delay),
            "retrain_every": duration(spec.training.retrain_every),
            "review_due": review_due(serving) if serving else None,
            "curl": curl_example(spec, url=url, at=timezone.now()),
        }
    if request.user.has_perm("scoring.view_prediction"):
        context["recent"] = predictions_page(
            detector_id=detector.pk, flagged_only=False, skip=0, limit=RECENT
        )
    return render(request, "scoring/detector_detail.html", context)


def _serving(detector: Detector) -> Deployment | None:
    """The deployment of a model; None when the rules decide alone."""
    champions: list[Deployment] = detector.champions  # type: ignore[attr-defined]
    return next((row for row in champions if row.version != RULES_ONLY), None)


def _spec(detector: Detector) -> tuple[DetectorSpec | None, list[tuple[str, str]]]:
    """The declaration, or what is wrong with it: a bad one must not take the page down."""
    try:
        return detector.spec(), []
    except SpecError as error:
        return None, error.problems
