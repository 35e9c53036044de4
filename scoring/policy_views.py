"""Pages over all detectors: rules, sanctions lists; and an event's value put on a list."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts import vault
from scoring.core.reasons import duration
from scoring.core.spec import DetectorSpec
from scoring.list_forms import EventValueForm, put_on_list
from scoring.overviews import governed_detectors, lists_in_force
from scoring.rule_request_panels import waiting_changes
from scoring.rule_views import back_to, signed_in
from scoring.selectors import find_prediction
from scoring.shortfalls import list_sentence
from scoring.standing_orders import listable_values


@login_required
@permission_required("scoring.view_rule", raise_exception=True)
@require_safe
def rules_overview(request: HttpRequest) -> HttpResponse:
    """Every detector with how many rules and standing orders it has."""
    rows = governed_detectors(timezone.now())
    waiting = waiting_changes(signed_in(request))
    context = {"title": "Rules", "rows": rows, "waiting": waiting}
    return render(request, "scoring/rules_overview.html", context)


@login_required
@permission_required("scoring.view_rule", raise_exception=True)
@require_safe
def watchlists(request: HttpRequest) -> HttpResponse:
    """The sanctions lists: how old each reading is, who screens by it, how to take in a new one."""
    rows = lists_in_force(timezone.now())
    context = {
        "title": "Watchlists",
        "rows": rows,
        "shortfalls": [
            list_sentence(row.name, row.reading.synced_at if row.reading else None)
            for row in rows
            if row.users and (row.stale or not row.reading)
        ],
        "stale_after": duration(settings.WATCHLIST_STALE_DAYS * 86400.0),
    }
    return render(request, "scoring/watchlists.html", context)


@login_required
@permission_required("scoring.add_listentry", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def list_event_value(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Put a value of an event on the allow or the deny list, unseen where it is personal data."""
    prediction = find_prediction(pk)
    if prediction is None:
        raise Http404("There is no such prediction.")
    detector = prediction.detector
    spec = detector.spec()
    values = listable_values(prediction, spec)
    if not values:
        raise Http404("No value of this event can stand on a list.")
    form = EventValueForm(
        request.POST or None,
        values=[(name, _shown(name, text, spec)) for name, text in values.items()],
        initial={"field": spec.entity_field},
    )
    back = back_to(request, prediction)
    if request.method == "POST" and form.is_valid():
        value = values[form.cleaned_data["field"]]
        if put_on_list(detector, form, value, author=signed_in(request)):
            messages.success(request, f"It stands on the {form.cleaned_data['kind']} list now.")
            return redirect(back)
    context: dict[str, Any] = {
        "title": "Allow or deny",
        "crumbs": [(prediction.external_id, prediction.get_absolute_url())],
        "detector": detector,
        "form": form,
        "back": back,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "scoring/list_event_value.html", context, status=status)


def _shown(name: str, text: str, spec: DetectorSpec) -> str:
    shown = vault.mask(text) if name in spec.pii_fields else text
    return f"{name.replace('_', ' ')}: {shown[:60]}"
