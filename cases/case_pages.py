"""One case as its page shows it: everything that is read for it, by a bounded number of queries."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from cases.case_models import CaseType
from cases.case_rows import clock_of, timeline_lines
from cases.case_selectors import (
    ALERTS,
    TIMELINE,
    TIMELINE_MOST,
    case_alerts,
    case_workers,
    checks_of,
    merge_candidates,
    merges_of,
    newest_approvals,
    timeline_of,
    waiting_handover,
)
from cases.casework import moves_of
from cases.forms import CloseCaseForm, CommentForm
from cases.limits import Stake, stake_of
from cases.models import Case
from cases.rows import AlertRow, alert_rows
from cases.second_looks import is_blind_to_case
from cases.sniffing import ACCEPT
from cases.views import reason_words
from cases.workflow import LIVE_CASES, PRIORITIES, WORKED_ON, CaseStatus, Disposition
from scoring.core.spec import TruthWords, truth_words
from scoring.presenting import SpecCache

SPECIAL = frozenset(("merge", "unmerge"))
"""Moves with a place of their own on the page."""
CANDIDATES = 5
ENTITIES = 12


def render_case(
    request: HttpRequest, case: Case, user: User, extra: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The page of a case. `extra["act"]` opens a form, `extra["problem"]` says why it failed.

    Who holds a second look at one of its alerts is led there instead.
    """
    if is_blind_to_case(user, case):
        return redirect("second_looks")
    context = case_context(request, case, user)
    return render(request, "cases/case_detail.html", {**context, **extra}, status=status)


def case_context(request: HttpRequest, case: Case, user: User) -> dict[str, Any]:
    """What the templates of a case need; see each of the parts below."""
    specs = SpecCache()
    rows = alert_rows(case_alerts(case)[:ALERTS], specs)
    truth = truth_of(rows, specs)
    merges = merges_of(case)
    live, works = case.status in LIVE_CASES, user.has_perm("cases.work_case")
    return {
        "title": case.title,
        "subtitle": f"case {case.pk}",
        "crumbs": [("Cases", reverse("case_list"))],
        "case": case,
        "alerts": rows,
        "alerts_count": _count(case, rows),
        "entities": entities_of(rows, specs)[:ENTITIES],
        "truth": truth,
        "outcome": outcome(case.disposition, case.reason_code, truth),
        "clock": clock_of(case, timezone.now()),
        "tags": [tag.name for tag in case.tags.all()],
        "merges": merges,
        "checks": checks_of(case),
        "handover": waiting_handover(case) if live else None,
        "live": live,
        "works": works,
        **_standing(case, user, truth),
        **_offers(case, user, live=live, works=works, truth=truth),
        **_timeline(request, case, [merge.source_id for merge in merges]),
    }


def _standing(case: Case, user: User, truth: TruthWords) -> dict[str, Any]:
    """What is at risk, whether a second person is waited for, the moves this user may make."""
    stake, approvals = stake_of(case), newest_approvals(case)
    pending = next((one for one in approvals if one.status == one.Status.PENDING), None)
    moves = moves_of(case, user, stake=stake, pending=pending)
    may_merge = any(move.name == "merge" for move in moves)
    asked = "" if pending is None else outcome(pending.disposition, pending.reason_code, truth)
    return {
        "stake": stake,
        "totals": totals(stake),
        "pending": pending,
        "asker_lacks": pending is not None and not pending.requested_by.has_perm("cases.work_case"),
        "asked_outcome": asked,
        "approvals": [one for one in approvals if one is not pending],
        "moves": [move for move in moves if move.name not in SPECIAL],
        "may_merge": may_merge,
        "candidates": list(merge_candidates(case)[:CANDIDATES]) if may_merge else [],
    }


def _offers(
    case: Case, user: User, *, live: bool, works: bool, truth: TruthWords
) -> dict[str, Any]:
    """The forms that this user has on the page, with what they choose from."""
    found: dict[str, Any] = {
        "may_write": works and case.status != CaseStatus.MERGED,
        "may_move_alerts": works and case.status in WORKED_ON,
        "may_unmerge": works and case.status in WORKED_ON,
        "may_lower": user.has_perm("cases.assign_alert"),
        "priorities": list(enumerate(PRIORITIES)),
        "close_form": CloseCaseForm(auto_id="close-%s", truth=truth),
        "comment_form": CommentForm(),
        "accept": ACCEPT,
    }
    if live and works:
        found["people"] = case_workers()
        found["case_types"] = CaseType.objects.filter(is_active=True)
    return found


def _timeline(request: HttpRequest, case: Case, merged: Sequence[int]) -> dict[str, Any]:
    every = "all" in request.GET.getlist("timeline")
    events, earlier = timeline_of([case.pk, *merged], limit=TIMELINE_MOST if every else TIMELINE)
    return {"lines": timeline_lines(events, case_id=case.pk), "earlier": earlier}


def _count(case: Case, rows: Sequence[AlertRow]) -> int:
    return len(rows) if len(rows) < ALERTS else case.alerts.count()


def entities_of(rows: Sequence[AlertRow], specs: SpecCache) -> list[dict[str, Any]]:
    """Whom or what the alerts are about, each once: word, name and where its page is."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for row in rows:
        alert = row.alert
        found.setdefault(
            (alert.detector_id, alert.entity),
            {
                "word": specs.entity_word(alert.detector),
                "name": row.entity,
                "url": reverse("entity_detail", args=[alert.detector.slug, alert.entity]),
            },
        )
    return list(found.values())


def totals(stake: Stake) -> list[tuple[str, Any, str]]:
    """(currency, amount at risk, how it counts against the limit), the largest first."""
    found = sorted(stake.totals.items(), key=lambda item: item[1], reverse=True)
    return [(currency, total, stake.note_of(currency)) for currency, total in found]


def truth_of(rows: Sequence[AlertRow], specs: SpecCache) -> TruthWords:
    """The words of its detectors where they agree; a mixed case is one of fraud."""
    found = {truth_words(specs.of(row.alert.detector)) for row in rows}
    return found.pop() if len(found) == 1 else truth_words(None)


def outcome(disposition: str, reason_code: str, truth: TruthWords) -> str:
    """How it ended, or is asked to end, in words; empty where it has not."""
    if not disposition:
        return ""
    words = {
        Disposition.FRAUD: f"confirmed {truth.fraud}",
        Disposition.FALSE_POSITIVE: "false positive",
        Disposition.INCONCLUSIVE: "inconclusive",
    }[Disposition(disposition)]
    reason = reason_words(disposition, reason_code)
    return f"{words}: {reason[:1].lower()}{reason[1:]}" if reason else words
