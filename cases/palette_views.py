"""What the command palette finds on the server: pages, entities, alerts, cases, saved views."""

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.models import User
from accounts.typed import is_whole
from cases.case_filters import ALL, CaseFilters
from cases.filters import QueueFilters, said, tokens_of
from cases.models import Alert, Case
from cases.saving_views import views_of
from cases.views import alert_url, signed_in
from scoring.presenting import SpecCache

SHORTEST = 2
MOST = 5
NEWEST = 2000
"""Cases whose titles are looked through while somebody types; the list of cases has them all."""


@dataclass(frozen=True, slots=True)
class Found:
    """One place to go to: its words, what kind it is, its address."""

    words: str
    kind: str
    url: str


@login_required
@require_GET
def palette(request: HttpRequest) -> HttpResponse:
    """Places that match `q`. The number of queries does not depend on what is stored."""
    user, text = signed_in(request), request.GET.get("q", "").replace("\0", "").strip()[:100]
    found = [*_numbered(user, text)]
    if len(text) >= SHORTEST:
        found += [*_views(user, text), *_alerts(user, text), *_cases(user, text)]
    return render(request, "cases/palette_found.html", {"found": found, "q": text})


def _numbered(user: User, text: str) -> list[Found]:
    """`42` and `#42` are an alert and a case of that number."""
    digits = text.removeprefix("#")
    if not is_whole(digits):
        return []
    pk, found = int(digits), []
    if user.has_perm("cases.view_alert") and Alert.objects.filter(pk=pk).exists():
        found.append(Found(f"Alert {pk}", "alert", alert_url(pk, "")))
    if user.has_perm("cases.view_case"):
        case = Case.objects.filter(pk=pk).only("title").first()
        if case is not None:
            found.append(Found(f"Case {pk}: {case.title}", "case", case.get_absolute_url()))
    return found


def _views(user: User, text: str) -> list[Found]:
    if not user.has_perm("cases.view_alert"):
        return []
    rows = [view for view in views_of(user) if text.lower() in view.name.lower()]
    return [
        Found(view.name, "view", f"{reverse('queue')}?{view.query}".rstrip("?"))
        for view in rows[:MOST]
    ]


def _alerts(user: User, text: str) -> list[Found]:
    """Entities of exactly that name, and alerts that say it; newest first."""
    if not user.has_perm("cases.view_alert"):
        return []
    specs, tokens = SpecCache(), tokens_of(text)
    rows = Alert.objects.select_related("detector", "top_prediction").order_by("-pk")
    entities = {
        (alert.detector.slug, alert.entity): alert
        for alert in rows.filter(entity__in=tokens)[:MOST]
    }
    places = [
        Found(
            f"{specs.entity(alert.top_prediction, alert.detector)}, {alert.detector}",
            specs.entity_word(alert.detector),
            reverse("entity_detail", args=[slug, token]),
        )
        for (slug, token), alert in entities.items()
    ]
    newest = list(said(text, tokens).order_by("-alert").values_list("alert", flat=True)[:MOST])
    said_so = [
        Found(
            f"Alert {alert.pk}: {specs.entity(alert.top_prediction, alert.detector)}",
            "alert" if alert.closed_at is None else "closed alert",
            alert_url(alert.pk, ""),
        )
        for alert in rows.filter(pk__in=newest)
    ]
    query = QueueFilters(q=text).query()
    everything = Found(f"Open alerts that say “{text}”", "queue", f"{reverse('queue')}?{query}")
    return [*places, *said_so, everything]


def _cases(user: User, text: str) -> list[Found]:
    if not user.has_perm("cases.view_case"):
        return []
    newest = Case.objects.order_by("-pk").values("pk")[:NEWEST]
    rows = Case.objects.filter(pk__in=newest, title__istartswith=text).order_by("-pk").only("title")
    found = [
        Found(f"Case {row.pk}: {row.title}", "case", row.get_absolute_url()) for row in rows[:MOST]
    ]
    query = CaseFilters(status=ALL, q=text).query()
    return [*found, Found(f"Cases named “{text}”", "cases", f"{reverse('case_list')}?{query}")]
