"""The list of a detector's rules with how they do, and which of them find the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.db.models import Max, Prefetch
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.quantities import in_percent
from accounts.typed import parse_day
from scoring import presenting
from scoring.core.spec import DetectorSpec, truth_words
from scoring.core.types import Stage
from scoring.models import Detector
from scoring.policies import IN_FORCE
from scoring.policy_models import Rule, RuleVersion
from scoring.policy_store import text_in_force
from scoring.rule_health import (
    LONGEST_DAYS,
    Range,
    Report,
    overlap_matrix,
    read_health,
    usual_range,
)
from scoring.rule_marks import SAME, Health, health_texts, spark
from scoring.rule_request_panels import changes_of
from scoring.rule_views import crumbs, detector_or_404, signed_in
from scoring.shortfalls import rule_shortfalls

PRESETS = (7, 30, 90)
_may_view = permission_required("scoring.view_rule", raise_exception=True)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the list can be sorted by."""

    name: str
    title: str
    hint: str
    numeric: bool
    url: str
    direction: str

    @property
    def is_less(self) -> bool:
        """Whether a table with little room goes without it."""
        return self.name in LESS


@dataclass(frozen=True, slots=True)
class Row:
    """A rule, its versions that are not retired, the one to show, how it does, and how it does in
    the other stage (`beside`). `text` is what it says now."""

    rule: Rule
    versions: Sequence[RuleVersion]
    shown: RuleVersion | None
    health: Health
    beside: Health | None
    spark: str
    text: str = ""

    @property
    def texts(self) -> dict[str, str]:
        """Shares as people read them."""
        return health_texts(self.health)


SORTS: dict[str, tuple[str, str, bool, Callable[[Row], Any]]] = {
    "code": ("Rule", "", False, lambda row: row.rule.code),
    "hits": (
        "Matches",
        "Of the live version; of a rule that is not live, those in shadow",
        True,
        lambda row: row.health.hits,
    ),
    "precision": (
        "Precision",
        "Share of bad ones among the labelled matches, with its 95 % interval",
        True,
        lambda row: -1.0 if row.health.precision is None else row.health.precision,
    ),
    "entities": (
        "Entities", "Different ones that it matched", True, lambda row: row.health.entities
    ),
    "repeats": (
        "Repeats",
        "Share of matches that met an entity which it had matched already",
        True,
        lambda row: row.health.repeats or 0.0,
    ),
    "covered": (
        "Covered by",
        "The other rule that, live, matched most of its matches",
        False,
        lambda row: row.health.covered,
    ),
    "last": (
        "Last match", "", True, lambda row: row.health.last.timestamp() if row.health.last else 0.0
    ),
}  # fmt: skip
LESS = frozenset({"entities", "repeats", "covered"})


@login_required
@_may_view
@require_safe
def rule_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every rule with its stages and how it does over the days of `from` to `to`."""
    detector = detector_or_404(slug)
    spec = presenting.SpecCache().of(detector)
    rules, in_force = _rules(detector)
    over, problem = range_of(request.GET, detector)
    report = read_health(detector, over, spec=spec, versions=in_force)
    sort = request.GET.get("sort", "")
    sort, down = sort if sort in SORTS else "hits", request.GET.get("dir") != "asc"
    rows = sorted(
        (_row(rule, report, over, spec) for rule in rules),
        key=lambda row: (SORTS[sort][3](row), row.rule.code),
        reverse=down,
    )
    context = {
        "title": "Rules",
        "truth": truth_words(spec),
        "crumbs": crumbs(detector),
        "detector": detector,
        "rows": rows,
        "columns": _columns(over, sort, down=down),
        "shortfalls": rule_shortfalls(detector, in_force),
        **changes_of(detector.rule_requests.all(), signed_in(request)),
        **range_context(report, over, problem),
    }
    return render(request, "scoring/rule_list.html", context)


@login_required
@_may_view
@require_safe
def rule_overlap(request: HttpRequest, slug: str) -> HttpResponse:
    """Which rules match the same events."""
    detector = detector_or_404(slug)
    spec = presenting.SpecCache().of(detector)
    over, problem = range_of(request.GET, detector)
    _, in_force = _rules(detector)
    report = read_health(detector, over, spec=spec, versions=in_force)
    keys, found = overlap_matrix(report)
    rows = [
        (
            key,
            hits,
            [None if share is None else (in_percent(share), share >= SAME) for share in row],
        )
        for key, hits, row in found
    ]
    context = {
        "title": "Overlap",
        "crumbs": crumbs(detector, ("Rules", reverse("rule_list", args=[slug]))),
        "detector": detector,
        "keys": keys,
        "rows": rows,
        **range_context(report, over, problem),
    }
    return render(request, "scoring/rule_overlap.html", context)


def range_of(given: QueryDict, detector: Detector | None) -> tuple[Range, str]:
    """The days of `from` and `to` of the URL, else the usual ones; and what is wrong with them."""
    today = timezone.now().date()
    texts = [given.get(name, "") for name in ("from", "to")]
    if not any(texts):
        return usual_range(detector, today), ""
    start, end = (parse_day(text) for text in texts)
    if start is None or end is None:
        problem = "Both days are written like 2026-01-31."
    elif start > end:
        problem = "The first day lies after the last one."
    elif (end - start).days >= LONGEST_DAYS:
        problem = f"At most {LONGEST_DAYS} days at once."
    else:
        return Range(start, end), ""
    return usual_range(detector, today), f"{problem} The usual days are shown instead."


def range_context(report: Report, over: Range, problem: str) -> dict[str, Any]:
    """What the line of days needs: see scoring/rule_days.html."""
    return {
        "report": report,
        "over": over,
        "range_problem": problem,
        "presets": [
            (days, _query(Range(over.end - timedelta(days=days - 1), over.end))) for days in PRESETS
        ],
        "query": _query(over),
    }


def _query(over: Range, **more: str) -> str:
    found = QueryDict(mutable=True)
    found.update({"from": over.start.isoformat(), "to": over.end.isoformat(), **more})
    return found.urlencode()


def _rules(detector: Detector) -> tuple[list[Rule], list[RuleVersion]]:
    """Rules with their versions that are not retired (`current`), and the versions in force."""
    current = RuleVersion.objects.exclude(stage=Stage.RETIRED).select_related("author")
    rules: list[Any] = list(
        Rule.objects.filter(detector=detector)
        .prefetch_related(Prefetch("versions", current, to_attr="current"))
        .annotate(newest=Max("versions__number"))
    )
    order = (Stage.LIVE, Stage.SHADOW, Stage.DRAFT)
    for rule in rules:
        rule.current.sort(key=lambda version: order.index(Stage(version.stage)))
        for version in rule.current:
            version.rule = rule
    found = [v for rule in rules for v in rule.current if v.stage in IN_FORCE]
    return rules, found


def _row(rule: Rule, report: Report, over: Range, spec: DetectorSpec | None) -> Row:
    versions: list[RuleVersion] = rule.current  # type: ignore[attr-defined]
    health = report.by_code.get(rule.code, Health(trend=[0] * over.length))
    shown = versions[0] if versions else None
    text = "Retired" if shown is None else shown.text
    if shown is not None and spec is not None:
        text = text_in_force(shown, spec)
    beside = report.beside.get(rule.code)
    return Row(rule, versions, shown, health, beside, spark(health.trend), text)


def _columns(over: Range, sort: str, *, down: bool) -> list[Column]:
    found = []
    for name, (title, hint, numeric, _) in SORTS.items():
        mine = name == sort
        turned = "asc" if (mine and down) or (not mine and name == "code") else "desc"
        direction = ("descending" if down else "ascending") if mine else "none"
        url = "?" + _query(over, sort=name, dir=turned)
        found.append(Column(name, title, hint, numeric, url, direction))
    return found
