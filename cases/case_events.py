"""The timeline of a case: the one place that adds to it, and how its entries read."""

from typing import Any

from accounts.models import User
from cases.exchange import kept_words
from cases.models import Case, CaseEvent
from cases.workflow import REASON_CODES, Disposition

Kind = CaseEvent.Kind
OUTCOMES = frozenset(Disposition)


def add_event(
    case: Case, kind: CaseEvent.Kind, *, actor: User | None, text: str = "", **detail: Any
) -> CaseEvent:
    """Append one entry. `actor` None: the platform did it."""
    return CaseEvent.objects.create(case=case, kind=kind, actor=actor, text=text, detail=detail)


def words_of(event: CaseEvent) -> str:
    """What happened, after the name of who did it."""
    told = _WORDS.get(CaseEvent.Kind(event.kind))
    detail = event.detail | {"found": _found(event.detail)}
    words = str(event.get_kind_display()) if told is None else told.format_map(_Known(detail))
    if event.kind == Kind.CLOSED and detail["found"]:
        words += f" as {detail['found']}"
    kept = event.detail.get("at_risk")
    return f"{words} ({kept_words(kept)})" if kept else words


def _found(detail: dict[str, Any]) -> str:
    """Outcome and reason of a closing, or of a request for one: `false positive, travel`."""
    found = detail.get("disposition") or detail.get("outcome") or ""
    code = detail.get("reason_code") or detail.get("reason") or ""
    said = dict(REASON_CODES[Disposition(found)]).get(code, code) if found in OUTCOMES else code
    return ", ".join(
        part for part in (found.replace("_", " "), said[:1].lower() + said[1:]) if part
    )


_WORDS = {
    Kind.ALERT_ADDED: "added alert {alert}",
    Kind.ALERT_REMOVED: "took alert {alert} out",
    Kind.EVIDENCE: "added new evidence to alert {alert}: {events} more",
    Kind.ATTACHED: "attached {name}",
    Kind.CHECKED: "ticked “{item}”",
    Kind.UNCHECKED: "unticked “{item}”",
    Kind.TAGGED: "set the tags to {tags}",
    Kind.TYPED: "made it a case of type {type}",
    Kind.PRIORITY: "changed the priority from {from} to {to}",
    Kind.ASSIGNED: "gave the case to {to}",
    Kind.HANDED_OVER: "hands the case over to {to}, who has to take it",
    Kind.HANDOVER_ENDED: "{answer} the hand-over",
    Kind.ASKED: "asked to close it as {found}: {amount} {currency} at risk, limit {limit}",
    Kind.RETURNED: "returned it for rework",
    Kind.WITHDRAWN: "took the request to close it back",
    Kind.MERGED: "merged case {source} into case {target}",
    Kind.UNMERGED: "took case {source} out of case {target} again",
    Kind.ESCALATED: "escalated it: not done by its time",
    Kind.SETTLED: "settled the second look at alert {alert} otherwise: {outcome}",
    Kind.MOVED: "moved it from {from} to {to}",
}


class _Known(dict[str, Any]):
    """Details of an old entry may lack what new words ask for."""

    def __missing__(self, key: str) -> str:
        return "?"

    def __getitem__(self, key: str) -> str:
        value = self.get(key, "?")
        if isinstance(value, list):
            return ", ".join(str(one) for one in value) or "none"
        return str(value).replace("_", " ") if key in ("from", "to", "outcome") else str(value)
