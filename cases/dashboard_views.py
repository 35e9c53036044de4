"""Dashboards: the charts, their numbers as CSV, and the alerts and events behind each point."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.typed import is_whole
from cases.dashboard_asking import Asked, Panel, ask
from cases.dashboard_filters import SPANS, DashboardFilters
from cases.dashboard_panels import PANELS
from cases.dashboard_rows import AlertsAsked, EventsAsked
from cases.dashboard_summaries import (
    analysts_panel,
    csv_url,
    detectors_panel,
    summary,
    with_query,
)
from cases.dashboards import analyst_figures, newest_event_day
from cases.models import Alert
from cases.rows import alert_rows
from cases.second_looks import hidden_look, without_held
from cases.tallying import with_truth
from cases.views import fragment, signed_in
from scoring.models import Prediction
from scoring.presenting import SpecCache

PAGE_SIZE = 50
FURTHEST = 200
"""The last page of events that can be turned to; narrower filters show what lies beyond."""
ANALYSTS = "cases.view_analysts"
PAGES = (
    ("Overview", "dashboards"),
    ("Analysts", "dashboard_analysts"),
    ("Agreement", "second_look_agreement"),
)
_may_view = permission_required("cases.view_alert", raise_exception=True)
_may_view_analysts = permission_required(ANALYSTS, raise_exception=True)


def asked_of(request: HttpRequest, *, sums: bool = True) -> Asked:
    """Days, detectors and (unless not wanted) the sums that a request asks for."""
    now = timezone.now()
    filters = DashboardFilters.read(request.GET.dict(), now.astimezone(UTC).date())
    return ask(filters, now, sums=sums)


def frame(asked: Asked, page: str) -> dict[str, Any]:
    """What every dashboard shows around its charts."""
    filters, scope = asked.filters, asked.scope
    return {
        "filters": filters,
        "query": filters.query(),
        "as_of": asked.sums.counted,
        "as_of_today": asked.counted_today,
        "spans": [
            {
                "label": f"{days} days",
                "url": f"?{filters.query(days=str(days))}",
                "here": filters.days == days,
            }
            for days in SPANS
        ],
        "detectors": scope.every,
        "chosen": scope.detectors[0] if len(scope.detectors) < len(scope.every) else None,
        "currencies": scope.currencies(),
        "currency": asked.currency,
        "pages": [
            {"label": label, "url": f"{reverse(name)}?{filters.query()}", "here": name == page}
            for label, name in PAGES
        ],
    }


@login_required
@_may_view
@require_GET
def dashboards(request: HttpRequest) -> HttpResponse:
    """All charts of some days, of one detector or of all."""
    asked = asked_of(request)
    panels = [make(asked) for make in PANELS.values()]
    table, lines = detectors_panel(asked)
    context = frame(asked, "dashboards") | {
        "title": "Dashboards",
        "panels": [_shown(panel, asked) for panel in panels],
        "whole": summary(asked),
        "lines": lines,
        "lines_csv": csv_url(table, asked.filters.query()),
        "elsewhere": _elsewhere(asked),
    }
    return render_dashboard(request, "cases/dashboard.html", context, asked)


def render_dashboard(
    request: HttpRequest, template: str, context: dict[str, Any], asked: Asked
) -> HttpResponse:
    """The page; 422 where the days or the detector that were asked for cannot be shown."""
    status = 422 if asked.filters.problems else 200
    return render(request, template, context, status=status)


def _shown(panel: Panel, asked: Asked) -> dict[str, Any]:
    return {"panel": panel, "csv": csv_url(panel, asked.filters.query(currency=asked.currency))}


def _elsewhere(asked: Asked) -> str:
    """Where the newest events are, when none are on these days; empty otherwise."""
    if asked.sums.volume:
        return ""
    newest = newest_event_day(asked.scope)
    if newest is None or asked.filters.first <= newest <= asked.filters.last:
        return ""
    first = newest.replace(day=1)
    return with_query(
        "dashboards", **{"from": f"{first}", "to": f"{newest}", "detector": asked.filters.detector}
    )


@login_required
@_may_view_analysts
@require_GET
def dashboard_analysts(request: HttpRequest) -> HttpResponse:
    """What each analyst did on these days; for leads."""
    asked = asked_of(request, sums=False)
    panel, lines = analysts_panel(asked, analyst_figures(asked.filters, asked.scope))
    context = frame(asked, "dashboard_analysts") | {
        "title": "Analysts",
        "crumbs": [("Dashboards", f"{reverse('dashboards')}?{asked.filters.query()}")],
        "lines": lines,
        "lines_csv": csv_url(panel, asked.filters.query()),
    }
    return render_dashboard(request, "cases/dashboard_analysts.html", context, asked)


@login_required
@_may_view
@require_GET
def dashboard_csv(request: HttpRequest, panel: str) -> HttpResponse:
    """The numbers of one chart or table, exactly those that are shown; 422 with a sentence a line
    where the days or the detector that were asked for cannot be shown."""
    make = _maker(request, panel)
    asked = asked_of(request, sums=panel != "analysts")
    if asked.filters.problems:
        said = "".join(f"{one}\n" for one in asked.filters.problems)
        return HttpResponse(said, content_type="text/plain; charset=utf-8", status=422)
    found = make(asked)
    return HttpResponse(
        "".join(found.csv_lines()),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{found.key}.csv"'},
    )


def _maker(request: HttpRequest, name: str) -> Callable[[Asked], Panel]:
    """What makes the chart or table of this name, for those who may see it."""
    if name == "analysts":
        if not request.user.has_perm(ANALYSTS):
            raise PermissionDenied
        return lambda asked: analysts_panel(asked, analyst_figures(asked.filters, asked.scope))[0]
    if name == "detectors":
        return lambda asked: detectors_panel(asked)[0]
    if name not in PANELS:
        raise Http404("There is no such chart.")
    return PANELS[name]


# --- The rows behind a point ---------------------------------------------------------------------


@login_required
@_may_view
@require_GET
def dashboard_alerts(request: HttpRequest) -> HttpResponse:
    """The alerts behind a point of a chart."""
    asked: AlertsAsked = AlertsAsked.read(request.GET.dict())
    if asked.by and not request.user.has_perm(ANALYSTS):
        raise PermissionDenied
    rows = asked.narrow(Alert.objects.all(), timezone.now())
    rows = without_held(rows, hidden_look(signed_in(request)))
    rows = rows.select_related("detector", "top_prediction", "closed_by")
    page = Paginator(rows.order_by("-opened_at", "-pk"), PAGE_SIZE).get_page(
        request.GET.get("page")
    )
    specs = SpecCache()
    context = {
        "title": asked.words(),
        "crumbs": [("Dashboards", reverse("dashboards"))],
        "page_obj": page,
        "rows": alert_rows(page.object_list, specs),
        "may_name": request.user.has_perm(ANALYSTS),
    }
    template = "cases/dashboard_alerts.html"
    return render(request, f"{template}#list" if fragment(request) else template, context)


@login_required
@permission_required("scoring.view_prediction", raise_exception=True)
@require_GET
def dashboard_events(request: HttpRequest) -> HttpResponse:
    """The events behind a point of a chart; not counted, a page at a time."""
    asked: EventsAsked = EventsAsked.read(request.GET.dict())
    number = request.GET.get("page", "1")
    number = number if is_whole(number, 4) else "1"
    page = min(max(int(number), 1), FURTHEST)
    rows = asked.narrow(Prediction.objects.all(), timezone.now().astimezone(UTC).date())
    look = hidden_look(signed_in(request))
    if look is not None:
        rows = rows.exclude(detector=look.alert.detector_id, entity=look.alert.entity)
    first = (page - 1) * PAGE_SIZE
    # Ids are sorted first: whole rows are wide.
    ordered = rows.order_by("-event_time", "-id").values_list("pk", flat=True)
    pks = list(ordered[first : first + PAGE_SIZE + 1])
    whole = with_truth(Prediction.objects.filter(pk__in=pks)).select_related("detector")
    found = list(whole.order_by("-event_time", "-id"))
    more, specs = len(found) > PAGE_SIZE, SpecCache()
    context = {
        "title": asked.words(),
        "crumbs": [("Dashboards", reverse("dashboards"))],
        "rows": [
            {"event": one, "entity": specs.entity(one, one.detector), "truth": one.truth}  # type: ignore[attr-defined]
            for one in found[:PAGE_SIZE]
        ],
        "page": page,
        "previous": page - 1,
        "following": page + 1 if more and page < FURTHEST else 0,
        "shown_most": FURTHEST * PAGE_SIZE if more and page == FURTHEST else 0,
    }
    template = "cases/dashboard_events.html"
    return render(request, f"{template}#list" if fragment(request) else template, context)
