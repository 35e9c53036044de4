"""Backtests: ask one of an unsaved rule or of thresholds, watch it, read what it found."""

from datetime import date
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import User
from accounts.pages import asked_text
from jobs.dispatch import announce_job
from jobs.services import cancel_job
from models_registry.backtest_forms import USUAL_MOST, BacktestThresholdForm, SpanForm
from models_registry.backtest_models import Backtest
from models_registry.backtest_panels import (
    result_context,
    rule_difference,
    rule_fields,
    without_entity,
)
from models_registry.backtesting import request_rule_backtest, request_threshold_backtest
from models_registry.forms import in_fields
from models_registry.models import ModelVersion
from models_registry.selectors import champion_of
from models_registry.threshold_moves import MoveRefused, check_thresholds
from scoring import presenting
from scoring.core.bundle import BundleError
from scoring.core.decision import Thresholds
from scoring.core.spec import DetectorSpec, truth_words
from scoring.deployment import loaded
from scoring.models import Detector, Prediction
from scoring.policies import PolicyRefused
from scoring.policy_models import Rule
from scoring.rule_editing import RuleText, check_rule
from scoring.rule_forms import WEIGHT, RuleForm
from scoring.rule_views import (
    consider,
    crumbs,
    detector_or_404,
    new_rule_context,
    rule_or_404,
    with_code,
)

SHOWN = 50
NEW = "NEW_RULE"
READ_BY_RULES = ("when", "parameters", "outcome", "weight")
_may_view = permission_required("scoring.view_rule", raise_exception=True)
_may_ask = permission_required("scoring.add_rule", raise_exception=True)


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


@login_required
@_may_view
@require_safe
def backtest_list(request: HttpRequest, slug: str) -> HttpResponse:
    """The last backtests of a detector."""
    detector = detector_or_404(slug)
    rows = Backtest.objects.filter(detector=detector).select_related(
        "detector", "job", "requested_by", "version"
    )
    context = {
        "title": "Backtests",
        "crumbs": crumbs(detector, ("Rules", reverse("rule_list", args=[slug]))),
        "detector": detector,
        "rows": rows.defer("result", "job__log", "job__result")[:SHOWN],
    }
    return render(request, "models_registry/backtest_list.html", context)


@login_required
@_may_ask
@require_POST
def backtest_rule(request: HttpRequest, slug: str) -> HttpResponse:
    """Queue a backtest of what is typed in the editor; what is wrong is said there."""
    detector = detector_or_404(slug)
    spec = detector.spec()
    given = asked_text(request, "rule")
    rule = rule_or_404(slug, given) if given else None
    form = RuleForm(with_code(request, rule.code) if rule else request.POST)
    span = SpanForm(request.POST)
    said = _said(form, spec, rule)
    if not span.is_valid():
        form.is_valid()
        for problem in span.said():
            form.add_error(None, problem)
    if said is None or not span.is_valid():
        return _back_to_editor(request, detector, spec, form, rule)
    test = request_rule_backtest(
        detector,
        rule=rule,
        code=rule.code if rule else form.cleaned_data.get("code", "").strip().upper(),
        said=said,
        requested_by=_user(request),
        base=form.cleaned_data.get("base") or 0,
        **span.wanted(_newest_day(detector)),
    )
    if test.job is not None:
        announce_job(test.job)
    return redirect(test)


def _said(form: RuleForm, spec: DetectorSpec, rule: Rule | None) -> RuleText | None:
    """What to try; None where that much is not valid. A code or a sentence may still lack."""
    form.is_valid()
    if any(name in form.errors for name in READ_BY_RULES):
        return None
    found = form.cleaned_data
    weighted = found["outcome"] == WEIGHT
    said = RuleText(
        when=found["when"],
        text=found.get("text", ""),
        outcome="" if weighted else found["outcome"],
        weight=(found["weight"] or 0.0) if weighted else 0.0,
        parameters=found["parameters"],
    )
    tried = RuleText(said.when, said.text or "-", said.outcome, said.weight, said.parameters)
    try:
        check_rule(spec, rule.code if rule else NEW, tried)
    except PolicyRefused as refusal:
        form.refuse(refusal)
        return None
    return said


def _back_to_editor(
    request: HttpRequest, detector: Detector, spec: DetectorSpec, form: RuleForm, rule: Rule | None
) -> HttpResponse:
    context: dict[str, Any] = new_rule_context(detector, spec, form)
    if rule is not None:
        context = {"rule": rule}
    answer = consider(request, detector, spec, form, context, "validate")
    answer.status_code = 422
    return answer


def _newest_day(detector: Detector) -> date:
    """The day of the newest event; today where there is none."""
    rows = Prediction.objects.filter(detector=detector, event_time__lte=timezone.now())
    newest = rows.order_by("-event_time").values_list("event_time", flat=True).first()
    return (newest or timezone.now()).date()


@login_required
@_may_view
@require_http_methods(["GET", "HEAD", "POST"])
def backtest_thresholds(request: HttpRequest, slug: str) -> HttpResponse:
    """Choose thresholds of the champion (GET), and queue their backtest (POST)."""
    detector = detector_or_404(slug)
    detector.spec()  # Without one nothing can be tried.
    version = champion_of(detector)
    today = _thresholds_of(version)
    if request.method == "POST":
        if not request.user.has_perm("scoring.add_rule"):
            raise PermissionDenied
        form, span = BacktestThresholdForm(request.POST), SpanForm(request.POST)
        if version is not None and today is not None and form.is_valid() and span.is_valid():
            test = _ask_thresholds(request, version, today, form, span)
            if test is not None:
                return redirect(test)
        return _render_thresholds(request, detector, version, today, form, span, status=422)
    form = BacktestThresholdForm()
    if today is not None:
        form = BacktestThresholdForm(initial=_initial(request, today))
    span = SpanForm(initial={"backtest_most": USUAL_MOST})
    return _render_thresholds(request, detector, version, today, form, span)


def _initial(request: HttpRequest, today: Thresholds) -> dict[str, Any]:
    return {name: request.GET.get(name, value)[:40] for name, value in in_fields(today).items()}


def _thresholds_of(version: ModelVersion | None) -> Thresholds | None:
    """The champion's thresholds; None where rules alone serve or its bundle is gone."""
    if version is None:
        return None
    try:
        predictor = loaded(version.digest).predictor
    except BundleError:
        return None
    return predictor.thresholds if predictor else None


def _ask_thresholds(
    request: HttpRequest,
    version: ModelVersion,
    today: Thresholds,
    form: BacktestThresholdForm,
    span: SpanForm,
) -> Backtest | None:
    wanted = form.wanted()
    try:
        check_thresholds(today, **wanted)
    except MoveRefused as problem:
        form.add_error(problem.field or None, str(problem))
        return None
    test = request_threshold_backtest(
        version,
        **wanted,
        today={"review": today.review, "block": None if today.block > 1.0 else today.block},
        requested_by=_user(request),
        **span.wanted(_newest_day(version.detector)),
    )
    if test.job is not None:
        announce_job(test.job)
    return test


def _render_thresholds(
    request: HttpRequest,
    detector: Detector,
    version: ModelVersion | None,
    today: Thresholds | None,
    form: BacktestThresholdForm,
    span: SpanForm,
    *,
    status: int = 200,
) -> HttpResponse:
    context = {
        "title": "Backtest thresholds",
        "crumbs": crumbs(detector, ("Backtests", reverse("backtest_list", args=[detector.slug]))),
        "detector": detector,
        "version": version,
        "today": today,
        "form": form,
        "span": span,
    }
    return render(request, "models_registry/backtest_thresholds.html", context, status=status)


def _test_or_404(slug: str, pk: int) -> Backtest:
    rows = Backtest.objects.select_related(
        "detector", "rule", "version__dataset", "job", "requested_by"
    )
    return get_object_or_404(rows, pk=pk, detector__slug=slug)


@login_required
@_may_view
@require_safe
def backtest_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """How far it is, and what it found; `cell` chooses whose examples are shown."""
    return _render(request, _test_or_404(slug, pk))


@login_required
@_may_view
@require_POST
def backtest_cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop it: whoever asked for it may, and whoever may cancel jobs."""
    test = _test_or_404(slug, pk)
    user = _user(request)
    if not _may_cancel(test, user):
        raise PermissionDenied
    if test.job is not None and not cancel_job(test.job, actor=user):
        messages.error(request, "It is over already.")
    return redirect(test)


def _may_cancel(test: Backtest, user: User) -> bool:
    return test.requested_by_id == user.pk or user.has_perm("jobs.cancel_job")


def _render(request: HttpRequest, test: Backtest) -> HttpResponse:
    detector, job = test.detector, test.job
    truth = truth_words(presenting.SpecCache().of(detector))
    is_rule = test.kind == Backtest.Kind.RULE
    name = (test.asked.get("code") or "new rule") if is_rule else "thresholds"
    words, notes = rule_difference(test) if is_rule else ((), ())
    context: dict[str, Any] = {
        "title": f"Backtest of {name}",
        "crumbs": crumbs(detector, ("Backtests", reverse("backtest_list", args=[detector.slug]))),
        "detector": detector,
        "test": test,
        "job": job,
        "is_rule": is_rule,
        "truth": truth,
        "words": words,
        "notes": notes,
        "fields": rule_fields(test) if is_rule else (),
        "editor_url": _editor_url(test) if is_rule else "",
        "may_cancel": job is not None
        and job.is_live
        and job.cancel_requested_at is None
        and _may_cancel(test, _user(request)),
        "span": SpanForm(
            initial={
                "backtest_from": test.first_day,
                "backtest_to": test.last_day,
                "backtest_most": str(test.most),
            }
        ),
        "four_eyes": settings.FOUR_EYES,
        **result_context(test, _words(truth), request.GET.get("cell", "")),
    }
    if examples := context.get("examples"):
        untold = request.untold_entity(detector.pk)  # type: ignore[attr-defined]
        context["examples"] = without_entity(examples, untold)
    template = "models_registry/backtest_detail.html"
    target = request.headers.get("HX-Target", "")
    if target in ("backtest", "backtest-examples"):
        template += f"#{target}"
    return render(request, template, context)


def _words(truth: Any) -> dict[str, str]:
    return {"fraud": truth.fraud, "legitimate": truth.legitimate}


def _editor_url(test: Backtest) -> str:
    if test.rule is None:
        return reverse("rule_new", args=[test.detector.slug])
    return reverse("rule_detail", args=[test.detector.slug, test.rule.code])
