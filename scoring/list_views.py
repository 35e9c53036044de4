"""Pages of standing orders and of the policy: lists, snoozes, settings, history."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from scoring import presenting
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec
from scoring.list_forms import ListEntryForm, SnoozeForm, ends_at, put_all_on_list
from scoring.models import Detector
from scoring.ordering import (
    listable,
    listed_entries,
    revoke_list_entry,
    revoke_snooze,
    snooze_rule,
)
from scoring.policies import (
    PolicyRefused,
    audit_rate_of,
    screening_of,
)
from scoring.policy_in_force import policy_in_force
from scoring.policy_models import ListEntry, Rule, Snooze
from scoring.policy_store import list_token
from scoring.rule_approvals import request_settings
from scoring.rule_forms import SettingsForm, add_problems
from scoring.rule_reports import policy_history
from scoring.rule_request_models import RuleRequest
from scoring.rule_request_panels import changes_of
from scoring.rule_views import (
    back_to,
    crumbs,
    detector_or_404,
    said_of,
    signed_in,
)
from scoring.selectors import detector_list, find_prediction

PAGE_SIZE = 50


@login_required
@permission_required("scoring.view_listentry", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def lists(request: HttpRequest, slug: str) -> HttpResponse:
    """The allow and the deny list of a detector; POST puts values on one of them."""
    detector = detector_or_404(slug)
    spec = detector.spec()
    if request.method != "POST":
        return _render_lists(request, detector, spec)
    if not request.user.has_perm("scoring.add_listentry"):
        raise PermissionDenied
    form = ListEntryForm(request.POST, fields=listable(spec))
    if form.is_valid() and (said := put_all_on_list(detector, form, author=signed_in(request))):
        messages.success(request, said)
        return redirect("lists", slug=slug)
    return _render_lists(request, detector, spec, {"form": form}, status=422)


def _entries(
    detector: Detector, spec: DetectorSpec, *, kind: str, over: bool, q: str
) -> QuerySet[ListEntry]:
    """What stands on the lists, or did (`over`); `q`: a value, or a part of the reason."""
    rows = listed_entries(detector, timezone.now(), over=over)
    if kind in ListEntry.Kind.values:
        rows = rows.filter(kind=kind)
    if not q:
        return rows
    # A value is looked for by its token: the same way that events are.
    tokens = [list_token(field, q) for field in listable(spec)]
    return rows.filter(Q(token__in=tokens) | Q(reason__icontains=q))


def _render_lists(
    request: HttpRequest,
    detector: Detector,
    spec: DetectorSpec,
    extra: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    kind, state = request.GET.get("kind", ""), request.GET.get("state", "")
    q = request.GET.get("q", "").replace("\0", "").strip()[:300]
    rows = _entries(detector, spec, kind=kind, over=state == "over", q=q)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    kinds = [(choice.value, choice.label) for choice in ListEntry.Kind]
    context = {
        "title": "Allow and deny lists",
        "crumbs": crumbs(detector, ("Rules", reverse("rule_list", args=[detector.slug]))),
        "detector": detector,
        "page_obj": page,
        "rows": [(entry, presenting.masked(entry.shown)) for entry in page.object_list],
        "filters": [
            {"name": "kind", "label": "Both lists", "value": kind, "options": kinds},
            {
                "name": "state",
                "label": "In force",
                "value": state,
                "options": [("over", "Expired or revoked")],
            },
        ],
        "q": q,
        "over": state == "over",
        "narrowed": bool(kind or q or state),
        "form": ListEntryForm(fields=listable(spec)),
    }
    context |= extra or {}
    htmx = request.htmx  # type: ignore[attr-defined]
    template = "scoring/lists.html#entries" if htmx and status == 200 else "scoring/lists.html"
    return render(request, template, context, status=status)


@login_required
@permission_required("scoring.change_listentry", raise_exception=True)
@require_POST
def list_revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a value off its list, and show what the lists were searched for."""
    entry = get_object_or_404(ListEntry, pk=pk, detector__slug=slug)
    if revoke_list_entry(entry, author=signed_in(request)):
        messages.success(request, "Taken off the list.")
    return redirect(f"{reverse('lists', args=[slug])}?{request.GET.urlencode()}".rstrip("?"))


@login_required
@permission_required("scoring.add_snooze", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def snooze(request: HttpRequest, pk: UUID, code: str) -> HttpResponse:
    """Snooze a rule for the entity of a prediction that it matched."""
    prediction = find_prediction(pk)
    if prediction is None:
        raise Http404("There is no such prediction.")
    rule = get_object_or_404(Rule, detector=prediction.detector, code=code)
    form = SnoozeForm(request.POST or None)
    specs = presenting.SpecCache()
    name = specs.entity(prediction, prediction.detector)
    back = back_to(request, prediction)
    if request.method == "POST" and form.is_valid():
        until = ends_at(form.cleaned_data["days"])
        spec = specs.of(prediction.detector)
        shown = prediction.event.get(spec.entity_field) if spec else None
        try:
            snooze_rule(
                rule,
                token=prediction.entity,
                shown=key_text(prediction.external_id if shown is None else shown),
                reason=form.cleaned_data["reason"],
                until=until,
                author=signed_in(request),
            )
        except PolicyRefused as refusal:
            add_problems(form, refusal)
        else:
            messages.success(request, f"{code} is snoozed for {name}.")
            return redirect(back)
    context = {
        "title": f"Snooze {code}",
        "crumbs": [(prediction.external_id, prediction.get_absolute_url())],
        "prediction": prediction,
        "rule": rule,
        "name": name,
        "entity_word": specs.entity_word(prediction.detector),
        "form": form,
        "back": back,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "scoring/snooze.html", context, status=status)


@login_required
@permission_required("scoring.change_snooze", raise_exception=True)
@require_POST
def snooze_revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Let the rule count again for the entity."""
    rows = Snooze.objects.select_related("rule")
    found = get_object_or_404(rows, pk=pk, rule__detector__slug=slug)
    if revoke_snooze(found, author=signed_in(request)):
        messages.success(request, f"{found.rule.code} counts again.")
    return redirect("rule_detail", slug=slug, code=found.rule.code)


@login_required
@permission_required("scoring.view_rule", raise_exception=True)
@require_GET
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """What is in force, what changed when, and the settings."""
    return render_policy(request, detector_or_404(slug))


@login_required
@permission_required("scoring.change_rule", raise_exception=True)
@require_POST
def policy_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for another audit rate or other screening."""
    detector = detector_or_404(slug)
    spec = detector.spec()
    form = SettingsForm(request.POST)
    if form.is_valid():
        try:
            asked = request_settings(
                detector,
                audit_rate=round(form.cleaned_data["audit_percent"] / 100.0, 6),
                screening=form.screening() if spec.screening else None,
                actor=signed_in(request),
                reason=form.cleaned_data["reason"],
            )
        except PolicyRefused as refusal:
            add_problems(form, refusal)
        else:
            messages.success(request, said_of(asked, "The settings are in force."))
            return redirect("policy", slug=slug)
    return render_policy(request, detector, {"form": form}, status=422)


def render_policy(
    request: HttpRequest, detector: Detector, extra: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """The policy's page."""
    spec = detector.spec()
    screening = screening_of(detector, spec)
    initial: dict[str, Any] = {"audit_percent": round(audit_rate_of(detector, spec) * 100.0, 6)}
    if screening is not None:
        initial |= {
            "review": screening.review,
            "block": screening.block,
            "embargoed": " ".join(sorted(screening.embargoed)),
            "high_risk": " ".join(sorted(screening.high_risk)),
        }
    context = {
        "title": "Policy",
        "crumbs": crumbs(detector, ("Rules", reverse("rule_list", args=[detector.slug]))),
        "detector": detector,
        "now": policy_in_force(detector_list().get(pk=detector.pk), spec, timezone.now()),
        "history": policy_history(detector),
        "screening": screening,
        "form": SettingsForm(initial=initial),
        **changes_of(
            detector.rule_requests.filter(kind=RuleRequest.Kind.SETTINGS), signed_in(request)
        ),
        "four_eyes": settings.FOUR_EYES,
    }
    return render(request, "scoring/policy.html", {**context, **(extra or {})}, status=status)
