"""What pages show of a promotion on its way, of the guard after it, of a challenger in shadow."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from accounts.quantities import p_value
from models_registry.approvals import PROMOTE, may_decide
from models_registry.evidence import Evidence, evidence_for
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion_models import PromotionGuard, PromotionRequest
from models_registry.selectors import trained_here
from models_registry.shadow_models import Shadow
from models_registry.verdicts import (
    MetricRow,
    alike,
    more_or_less,
    per_thousand,
    points,
    share,
    sure_of,
)
from scoring.core.bundle import BundleError, declared_by, read_manifest
from scoring.core.features import FeaturePlan
from scoring.core.reader import SpecError
from scoring.core.spec import DetectorSpec
from scoring.deployment import bundle_root
from scoring.models import Detector
from scoring.rebuilding import keys_to_learn, scored_so_far

NEWS = timedelta(days=14)
"""For how long the models page tells of a roll-back."""
VERDICTS = {
    "better": "Better on live traffic",
    "worse": "Worse on live traffic",
    "undecided": "Undecided so far",
    "not_enough_labels": "Not enough labels yet",
}
Status = PromotionRequest.Status
Stage = ModelVersion.Stage


@dataclass(frozen=True, slots=True)
class PromotionPanel:
    """The state of a version's promotion for one person.

    `pending` waits; `last` is the newest request that was decided. `newer` is the label of a
    version that was trained since the request. `guard` is the newest that this version took part
    in. `why_not` says why this person cannot decide; empty when they can. `blocked` says why what
    waits can be approved by nobody; empty where it can. `windows` tells which are learnt anew when
    it begins to serve; empty where they stay.
    """

    evidence: Evidence | None
    pending: PromotionRequest | None
    last: PromotionRequest | None
    guard: PromotionGuard | None
    newer: str
    is_mine: bool
    why_not: str
    blocked: str
    windows: str
    four_eyes: bool

    @property
    def needs_reason(self) -> bool:
        """Whether asking takes a written reason (approvals.request_promotion)."""
        if self.pending is not None or self.evidence is None:
            return False
        return not (self.evidence.passed and self.four_eyes)


def promotion_panel(
    version: ModelVersion, champion: ModelVersion | None, user: User
) -> PromotionPanel:
    """Four queries at most, whatever there is; two more where a request waits, for what who asked
    may still do, and one where windows are to be learnt anew."""
    requests = version.promotion_requests.select_related("requested_by", "decided_by", "champion")
    newest = requests.order_by("-requested_at", "-id").first()
    pending = newest if newest is not None and newest.is_pending else None
    guards = PromotionGuard.objects.filter(Q(version=version) | Q(former=version))
    guard = guards.select_related("version", "former").order_by("-since", "-id").first()
    evidence = None
    if version.stage in (Stage.CHALLENGER, Stage.RETIRED):
        evidence = evidence_for(version, champion)
    return PromotionPanel(
        evidence=evidence,
        pending=pending,
        last=None if pending is not None else newest,
        guard=guard,
        newer=_newer(version) if pending is not None else "",
        is_mine=pending is not None and pending.requested_by_id == user.pk,
        why_not=_why_not(pending, version, user),
        blocked=_blocked(pending, evidence),
        windows=_windows(version, champion) if evidence is not None else "",
        four_eyes=settings.FOUR_EYES,
    )


def left_service(
    version: ModelVersion, history: Sequence[PromotionDecision]
) -> PromotionDecision | None:
    """The newest decision that took a retired version out of service; None if it never served.

    `history` newest first.
    """
    if version.stage != Stage.RETIRED:
        return None
    return next((act for act in history if act.previous_id == version.pk), None)


def _blocked(pending: PromotionRequest | None, evidence: Evidence | None) -> str:
    """As `approvals.approve_promotion` would find, before anybody presses a button."""
    if pending is None:
        return ""
    name = pending.requested_by.name
    if not pending.requested_by.has_perm(PROMOTE):
        return f"{name}, who asked for it, may not promote any more: somebody else has to ask."
    if pending.override or (evidence is not None and evidence.passed):
        return ""
    return (
        "It was asked for as backed by a comparison, so it cannot be approved now: "
        f"{name} may ask again, as an override."
    )


def _windows(version: ModelVersion, champion: ModelVersion | None) -> str:
    """What happens to the windows of its detector when it begins to serve; empty where they stay,
    and where a bundle cannot be read, which is told as such."""
    try:
        before = _declared(champion) if champion else version.detector.spec()
        keys = keys_to_learn(FeaturePlan(before), FeaturePlan(_declared(version)))
    except (BundleError, SpecError):
        return ""
    events = scored_so_far(version.detector) if keys else 0
    if not events:
        return ""
    return (
        f"When it begins to serve, windows by {' and '.join(keys)} are learnt anew from stored"
        f" events ({events:,} scored so far). Events of this detector"
        " are answered 503 meanwhile: choose a quiet hour."
    )


def _declared(version: ModelVersion) -> DetectorSpec:
    manifest = read_manifest(bundle_root() / version.digest, version.digest)
    return declared_by(manifest, version.digest)


def _newer(version: ModelVersion) -> str:
    rows = trained_here().filter(detector=version.detector_id, number__gt=version.number)
    newest = rows.order_by("-number").only("number").first()
    return newest.label if newest else ""


def _why_not(pending: PromotionRequest | None, version: ModelVersion, user: User) -> str:
    if pending is None or may_decide(pending, user):
        return ""
    if pending.requested_by_id == user.pk:
        return "You asked for it, so a second person decides."
    if version.trained_by_id == user.pk:
        return f"You trained {version.label}, so a second person decides."
    return (
        "You made the API key by which it was asked for or the version was made, so a second "
        "person decides."
    )


@dataclass(frozen=True, slots=True)
class Notice:
    """What the models page tells of a detector: a request that waits, a roll-back, or a champion
    that broke its guard and could not be rolled back, or whose guard could not look."""

    pending: PromotionRequest | None
    broken: PromotionGuard | None
    stuck: PromotionGuard | None


def promotion_notices(detectors: Iterable[Detector]) -> dict[int, Notice]:
    """By detector id, where there is anything to tell. Two queries."""
    wanted = list(detectors)
    pending = {
        asked.detector_id: asked
        for asked in PromotionRequest.objects.filter(detector__in=wanted, status=Status.PENDING)
        .select_related("version", "requested_by")
        .defer("version__curves", "version__metrics", "version__comparison")
        .order_by("requested_at")
    }
    # Both are told until another version serves.
    broken = Q(
        state=PromotionGuard.State.BROKEN,
        ended_at__gte=timezone.now() - NEWS,
        former__stage=Stage.CHAMPION,
    )
    stuck = ~Q(state=PromotionGuard.State.BROKEN) & ~Q(fault="") & Q(version__stage=Stage.CHAMPION)
    guards: dict[bool, dict[int, PromotionGuard]] = {True: {}, False: {}}
    rows = PromotionGuard.objects.filter(broken | stuck, detector__in=wanted)
    for guard in rows.select_related("version", "former").order_by("since", "id"):
        guards[guard.state == PromotionGuard.State.BROKEN][guard.detector_id] = guard
    return {
        pk: Notice(pending.get(pk), guards[True].get(pk), guards[False].get(pk))
        for pk in pending.keys() | guards[True].keys() | guards[False].keys()
    }


@dataclass(frozen=True, slots=True)
class ShadowPanel:
    """A challenger in shadow. `shadow` is None before the first time."""

    shadow: Shadow | None
    agreement: str
    verdict: str
    reason: str
    facts: Sequence[str]
    rows: Sequence[MetricRow]
    figure: dict[str, Any] | None
    may_start: bool
    may_stop: bool
    may_judge: bool
    state: str


def shadow_panel(version: ModelVersion, champion: ModelVersion | None) -> ShadowPanel | None:
    """What to show of it; None where there is nothing to say. No query: `shadow` came along."""
    shadow = getattr(version, "shadow", None)
    challenges = version.stage == Stage.CHALLENGER and champion is not None
    if shadow is None and not challenges:
        return None
    found: Mapping[str, Any] = shadow.comparison if shadow else {}
    if champion is not None and found.get("champion_digest") not in (None, champion.digest):
        found = {}
    State = Shadow.State
    running = (
        version.stage == Stage.CHALLENGER
        and shadow is not None
        and shadow.state in (State.RUNNING, State.BLOCKED)
    )
    return ShadowPanel(
        shadow=shadow,
        agreement=alike(shadow.agreed, shadow.rows) if shadow else "",
        verdict=VERDICTS.get(found.get("verdict", ""), ""),
        reason=str(found.get("reason", "")),
        facts=_facts(found),
        rows=_live_rows(found, version.detector.currency()),
        figure=_overlay(shadow, version) if shadow and shadow.rows else None,
        may_start=challenges and not running,
        may_stop=running,
        may_judge=challenges and shadow is not None and shadow.rows > 0,
        state=shadow_state(shadow, version.stage) if shadow else "",
    )


def shadow_state(shadow: Shadow, stage: str) -> str:
    """Its state in words; what is no challenger any more is over, whatever was noted last."""
    live = shadow.state in (Shadow.State.RUNNING, Shadow.State.BLOCKED)
    over = live and stage != Stage.CHALLENGER
    return str(Shadow.State.ENDED.label if over else shadow.get_state_display())


def _facts(found: Mapping[str, Any]) -> list[str]:
    if not found:
        return []
    told = [
        f"{found['rows']:,} matured events with a label on {found['days']} days, "
        f"{found['positives']:,} bad; {found['unlabelled']:,} without one count for nothing."
    ]
    if found["coverage"] == "audited":
        told.append(
            "Labels come back mostly for what was flagged, so random audits stand for the rest."
        )
    pairs = found["mcnemar"]
    if pairs:
        p = pairs["p"]
        told.append(
            f"Where they decided differently, it alone was right {pairs['candidate_only']:,} times "
            f"and the champion alone {pairs['champion_only']:,} times"
            + (f" (McNemar {p_value(p)})." if p is not None else ".")
        )
    return told


def _live_rows(found: Mapping[str, Any], currency: str) -> list[MetricRow]:
    if not found or not found.get("cost"):
        return []
    cost, sequence, cards = found["cost"], found["sequence"], found["cards"]
    rows = [
        MetricRow(
            "Cost per 1,000 events",
            "95 % interval of this look, paired bootstrap by entity",
            per_thousand(cost["candidate"], currency),
            per_thousand(cost["champion"], currency),
            more_or_less(cost["difference"], currency),
            f"{more_or_less(cost['low'], currency)} to {more_or_less(cost['high'], currency)}",
        )
    ]
    if sequence["low"] is not None:
        # What is saved is told as what is spent, as in the row above.
        low, high = (-sequence["high"], -sequence["low"])
        rows.append(
            MetricRow(
                "The same, at any look",
                "a sequence that daily looks do not wear out; it decides",
                "",
                "",
                more_or_less(-sequence["mean"], currency),
                f"{more_or_less(low, currency)} to {more_or_less(high, currency)}",
                sure_of(found["verdict"]) if found["verdict"] in ("better", "worse") else None,
            )
        )
    if cards:
        # Comparisons of before did not keep what no ranking is above.
        ceiling = found.get("ceiling")
        rows.append(
            MetricRow(
                f"Card precision@{found['k']}",
                "bad ones among the riskiest entities a day"
                + ("" if ceiling is None else f", {share(ceiling)} at best"),
                share(cards["candidate"]),
                share(cards["champion"]),
                points(cards["difference"]),
                f"{points(cards['low'])} to {points(cards['high'])}",
            )
        )
    return rows


def _overlay(shadow: Shadow, version: ModelVersion) -> dict[str, Any]:
    """Both risks over the same events: the share of events in each twentieth.

    Bars stand alone where a line would need a neighbour to be seen.
    """
    looks = {
        "champion": ("Champion", {"color": "@low"}),
        "challenger": (version.label, {"color": "@accent"}),
    }
    data, lowest = [], 1.0
    for key, (name, marker) in looks.items():
        counts = shadow.histogram.get(key, [])
        total = sum(counts) or 1
        # A logarithmic axis has no 0: an empty bin has no bar.
        shares = [count / total if count else None for count in counts]
        lowest = min([lowest, *(one for one in shares if one)])
        data.append(
            {
                "type": "bar",
                "name": name,
                "x": [round((i + 0.5) / len(counts), 4) for i in range(len(counts))],
                "y": shares,
                "marker": marker,
            }
        )
    # The lowest bar has a height too.
    floor = math.floor(math.log10(lowest) - 0.2)
    return {
        "data": data,
        "layout": {
            "barmode": "group",
            "bargap": 0.15,
            "xaxis": {"title": {"text": "Risk"}, "range": [0, 1], "tickformat": ".0%"},
            "yaxis": {
                "title": {"text": "Share of events"},
                "type": "log",
                "tickformat": ".2~%",
                "range": [floor, 0.1],
                "dtick": 1,
            },
            "showlegend": True,
            "margin": {"t": 24},
        },
    }
