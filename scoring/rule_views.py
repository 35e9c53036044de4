"""Pages of a rule: the editor, the moves between stages, thresholds."""

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from accounts.typed import is_whole
from scoring.core.rule_text import repeated
from scoring.core.rule_values import never_carried
from scoring.core.spec import DetectorSpec, truth_words
from scoring.core.types import Stage
from scoring.models import Detector, Prediction
from scoring.policies import IN_FORCE, PolicyRefused, standing
from scoring.policy_models import Rule, RuleVersion
from scoring.policy_store import text_in_force
from scoring.presenting import masked
from scoring.rule_approvals import (
    move_freely,
    needs_second,
    request_move,
    request_thresholds,
)
from scoring.rule_editing import (
    MOVES,
    RuleText,
    check_rule,
    create_rule,
    save_draft,
)
from scoring.rule_forms import RuleForm, rule_initial, thresholds_of, tuned_parameters
from scoring.rule_health import read_health, usual_range
from scoring.rule_marks import Health, health_texts, spark
from scoring.rule_reports import (
    Preview,
    offered_functions,
    offered_names,
    preview_of,
    try_rule,
    version_changes,
)
from scoring.rule_request_models import RuleRequest
from scoring.rule_request_panels import changes_of
from scoring.shortfalls import rule_shortfalls

VERSIONS_SHOWN = 30
SNOOZES_SHOWN = 50
MOVE_WORDS = {
    Stage.SHADOW: "Shadow",
    Stage.LIVE: "Go live",
    Stage.RETIRED: "Retire",
}


def signed_in(request: HttpRequest) -> User:
    """The user; pages are behind `login_required`."""
    return cast(User, request.user)


def detector_or_404(slug: str) -> Detector:
    return get_object_or_404(Detector, slug=slug)


def crumbs(detector: Detector, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [
        ("Detectors", reverse("detector_list")),
        (detector.name, detector.get_absolute_url()),
        *more,
    ]


def back_to(request: HttpRequest, prediction: Prediction) -> str:
    """Where the user came from, if that is a page of ours."""
    given = request.POST.get("back") or request.GET.get("back") or ""
    if given and url_has_allowed_host_and_scheme(given, allowed_hosts=None):
        return given
    return prediction.get_absolute_url()


def rule_or_404(slug: str, code: str) -> Rule:
    rows = Rule.objects.select_related("detector")
    return get_object_or_404(rows, detector__slug=slug, code=code)


@login_required
@permission_required("scoring.add_rule", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_new(request: HttpRequest, slug: str) -> HttpResponse:
    """A new rule. POST with `act`: `validate` and `try` change nothing, `save` makes the draft."""
    detector = detector_or_404(slug)
    spec = detector.spec()
    form = RuleForm(request.POST or None)
    context = new_rule_context(detector, spec, form)
    template = "scoring/rule_detail.html"
    if request.method != "POST":
        return render(request, template, context)
    act = request.POST.get("act", "save")
    if act != "save":
        return consider(request, detector, spec, form, context, act)
    if form.is_valid():
        found = form.cleaned_data
        try:
            version = create_rule(
                detector,
                code=found["code"].strip().upper(),
                said=form.said(),
                author=signed_in(request),
                note=found["note"],
            )
        except PolicyRefused as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{version.rule.code} is a draft. Try it in shadow next.")
            return redirect("rule_detail", slug=slug, code=version.rule.code)
    return render(request, template, context, status=422)


def new_rule_context(detector: Detector, spec: DetectorSpec, form: RuleForm) -> dict[str, Any]:
    """What the page of a new rule needs."""
    return {
        "title": "New rule",
        "crumbs": crumbs(detector, ("Rules", reverse("rule_list", args=[detector.slug]))),
        "detector": detector,
        "form": form,
        "names": offered_names(spec),
        "functions": offered_functions(),
        "new": True,
        "may_edit": True,
    }


@login_required
@permission_required("scoring.view_rule", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_detail(request: HttpRequest, slug: str, code: str) -> HttpResponse:
    """One rule: what stands, its editor, its versions, who snoozed it."""
    rule = rule_or_404(slug, code)
    if request.method != "POST":
        return render_rule(request, rule)
    if not request.user.has_perm("scoring.add_rule"):
        raise PermissionDenied
    form = RuleForm(with_code(request, code))
    act = request.POST.get("act", "save")
    if act != "save":
        spec = rule.detector.spec()
        return consider(request, rule.detector, spec, form, {"rule": rule}, act)
    if form.is_valid():
        found = form.cleaned_data
        try:
            version = save_draft(
                rule,
                said=form.said(),
                base=found["base"] or 0,
                author=signed_in(request),
                note=found["note"],
            )
        except PolicyRefused as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"Version {version.number} is a draft.")
            return redirect("rule_detail", slug=slug, code=code)
    return render_rule(request, rule, {"form": form}, status=422)


def with_code(request: HttpRequest, code: str) -> Any:
    """The posted form; the code of a rule stays what it is."""
    posted = request.POST.copy()
    posted["code"] = code
    return posted


def consider(
    request: HttpRequest,
    detector: Detector,
    spec: DetectorSpec,
    form: RuleForm,
    context: dict[str, Any],
    act: str,
) -> HttpResponse:
    """Say what is wrong with an unsaved rule, or what it would have found; change nothing."""
    problems: list[tuple[str, str]] = []
    compiled = None
    form.is_valid()
    given = form.cleaned_data
    for name in ("when", "parameters"):
        problems += [(name, str(error)) for error in form.errors.get(name, ())]
    if not problems:
        # What is not filled in yet is no mistake of the condition.
        text = given.get("text") or "-"
        said = RuleText(given["when"], text, parameters=given["parameters"])
        try:
            compiled = check_rule(spec, "RULE", said)
        except PolicyRefused as refusal:
            problems += refusal.problems
    found: dict[str, Any] = {
        "problems": problems, "compiled": compiled, "detector": detector,
        "truth": truth_words(spec), "preview": typed_preview(spec, form),
    }  # fmt: skip
    if compiled is not None:
        fields = spec.schema["properties"]
        found["never_carried"] = never_carried(given["when"], given["parameters"], fields)
    if act == "try" and compiled is not None:
        untold = request.untold_entity(detector.pk)  # type: ignore[attr-defined]
        found["trial"] = try_rule(detector, compiled, untold=untold)
    if request.htmx:  # type: ignore[attr-defined]
        found["oob"] = True
        part = "trial" if act == "try" else "verdict"
        return render(request, f"scoring/rule_editor.html#{part}", found)
    if "rule" in context:
        return render_rule(request, context["rule"], {"form": form, **found})
    return render(request, "scoring/rule_detail.html", {**context, **found})


def typed_preview(spec: DetectorSpec, form: RuleForm) -> Preview | None:
    """What a filled-in form's text says; None where its parameters cannot be read."""
    if "parameters" in form.errors:
        return None
    given = form.cleaned_data
    return preview_of(
        spec,
        when=given.get("when", ""),
        text=given.get("text", ""),
        parameters=given["parameters"],
    )


def render_rule(
    request: HttpRequest, rule: Rule, extra: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """The page of a rule."""
    detector = rule.detector
    spec = detector.spec()
    # One more than is shown: the oldest line tells what it changed, too.
    versions = list(rule.versions.select_related("author")[: VERSIONS_SHOWN + 1])
    for version in versions:
        version.rule = rule
    by_stage = {version.stage: version for version in reversed(versions)}
    live = by_stage.get(Stage.LIVE)
    base = by_stage.get(Stage.DRAFT) or by_stage.get(Stage.SHADOW) or live or versions[0]
    newest = versions[0].number
    snoozes = rule.snoozes.filter(standing(timezone.now())).select_related("author")
    in_force = [by_stage[stage] for stage in IN_FORCE if stage in by_stage]
    context = {
        "title": rule.code,
        "shortfalls": rule_shortfalls(detector, in_force),
        "crumbs": crumbs(detector, ("Rules", reverse("rule_list", args=[detector.slug]))),
        "detector": detector,
        "rule": rule,
        "newest": newest,
        "may_edit": request.user.has_perm("scoring.add_rule"),
        "form": RuleForm(initial=rule_initial(base, newest)),
        "says": text_in_force(base, spec),
        "preview": preview_of(spec, when=base.when, text=base.text, parameters=base.parameters),
        "names": offered_names(spec),
        "functions": offered_functions(),
        "stages": [
            {"version": by_stage[stage], "moves": _moves(by_stage[stage])}
            for stage in (Stage.LIVE, Stage.SHADOW, Stage.DRAFT)
            if stage in by_stage
        ],
        "thresholds": thresholds_of(live.parameters) if live else [],
        "changes": [
            (change, _moves(change.version) if change.version.stage == Stage.RETIRED else [])
            for change in version_changes(versions)[:VERSIONS_SHOWN]
        ],
        "snoozes": [(order, masked(order.shown)) for order in snoozes[:SNOOZES_SHOWN]],
        **_health(rule, spec, in_force),
        **changes_of(rule.requests.all(), signed_in(request)),
        "four_eyes": settings.FOUR_EYES,
    }
    return render(request, "scoring/rule_detail.html", {**context, **(extra or {})}, status=status)


def _health(rule: Rule, spec: DetectorSpec, in_force: list[RuleVersion]) -> dict[str, Any]:
    """How the rule does over the usual days."""
    over = usual_range(rule.detector, timezone.now().date())
    report = read_health(rule.detector, over, spec=spec, versions=in_force)
    health, beside = report.by_code.get(rule.code, Health()), report.beside.get(rule.code)
    return {
        "over": over,
        "report": report,
        "evaluated": rule.code in report.by_code,
        "health": health,
        "texts": health_texts(health),
        "spark": spark(health.trend),
        "beside": beside,
        "beside_texts": health_texts(beside) if beside else {},
        "beside_spark": spark(beside.trend) if beside else "",
    }


def _moves(version: RuleVersion) -> list[tuple[str, str]]:
    """(stage, words) of where a version may go, or may be asked to go."""
    words = {**MOVE_WORDS}
    if version.stage == Stage.RETIRED:
        words |= {Stage.LIVE: "Roll back to it", Stage.SHADOW: "Shadow again"}
    return [
        (stage.value, _asking(words[stage]) if needs_second(version, stage) else words[stage])
        for stage in MOVES[Stage(version.stage)]
    ]


def _asking(words: str) -> str:
    """As a request, where it takes two."""
    return f"Ask to {words[:1].lower()}{words[1:]}" if settings.FOUR_EYES else words


def said_of(asked: RuleRequest, done: str) -> str:
    """What to tell whoever asked: done, where one person decides, else that it waits."""
    if not asked.is_pending:
        return done
    return "Asked. A second person has to approve it; until then what stands goes on deciding."


@login_required
@permission_required("scoring.change_rule", raise_exception=True)
@require_POST
def rule_move(request: HttpRequest, slug: str, code: str) -> HttpResponse:
    """Move a version to another stage, or ask for it where that changes what decides."""
    rule = rule_or_404(slug, code)
    number = request.POST.get("version", "")
    found = (
        rule.versions.filter(number=int(number)) if is_whole(number, 9) else rule.versions.none()
    )
    version = found.select_related("rule").first()
    if version is None:
        raise Http404("There is no such version.")
    to, seen = request.POST.get("to", ""), request.POST.get("seen", "")
    user, reason = signed_in(request), request.POST.get("reason", "")
    done = f"{code}: version {version.number} is {to} now."
    try:
        if needs_second(version, to):
            asked = request_move(version, to=to, seen=seen, actor=user, reason=reason)
            done = said_of(asked, done)
        else:
            move_freely(version, to=to, seen=seen, actor=user, note=reason)
    except PolicyRefused as refusal:
        extra = {"refused": str(refusal), "typed_reason": reason}
        return render_rule(request, rule, extra, status=422)
    messages.success(request, done)
    return redirect("rule_detail", slug=slug, code=code)


@login_required
@permission_required("scoring.change_rule", raise_exception=True)
@require_POST
def rule_tune(request: HttpRequest, slug: str, code: str) -> HttpResponse:
    """Ask for new thresholds of the live version."""
    rule = rule_or_404(slug, code)
    live = rule.versions.filter(stage=Stage.LIVE).first()
    base, reason = request.POST.get("base", ""), request.POST.get("reason", "")
    try:
        parameters = tuned_parameters(live.parameters if live else {}, request.POST.dict())
        asked = request_thresholds(
            rule,
            parameters=parameters,
            base=int(base) if is_whole(base, 9) else 0,
            actor=signed_in(request),
            reason=reason,
        )
    except PolicyRefused as refusal:
        given = thresholds_of(live.parameters if live else {}, request.POST.dict())
        extra = {"refused": str(refusal), "thresholds": given, "tune_reason": reason}
        return render_rule(request, rule, extra, status=422)
    messages.success(request, said_of(asked, f"{code} has these thresholds now."))
    for number, name in repeated(live.text, asked.before["parameters"]) if live else ():
        if parameters[name] != asked.before["parameters"][name]:
            said = f"Its text says {number} itself, and will: edit the rule and write {{{name}}}."
            messages.warning(request, said)
    return redirect("rule_detail", slug=slug, code=code)
