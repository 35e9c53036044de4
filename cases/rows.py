"""What a line about an alert shows, built from an alert and its top prediction: no queries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cases.models import Alert
from scoring.core.screening import score_percent
from scoring.core.types import SelectionReason
from scoring.presenting import SpecCache
from scoring.screened import list_words


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One line of a list of alerts. `more` counts the reasons beyond the one that is shown.

    `purpose` says why the budget put it there, empty where the order did.
    """

    alert: Alert
    entity: str
    reason: str
    more: int
    purpose: str = ""


def alert_rows(
    alerts: Iterable[Alert], specs: SpecCache, purposes: Mapping[int, str] | None = None
) -> list[AlertRow]:
    """Lines for alerts that come with `detector` and `top_prediction`."""
    known = purposes or {}
    return [alert_row(alert, specs, known.get(alert.pk, "")) for alert in alerts]


def alert_row(alert: Alert, specs: SpecCache, purpose: str = "") -> AlertRow:
    """Lists come first, then the rules that people wrote and that counted, then the model's
    reasons: a version in shadow and a snoozed rule are no reason."""
    top = alert.top_prediction
    audit = top.selection_reason == SelectionReason.RANDOM_AUDIT
    said = ["Random audit: approved, drawn for review"] if audit else []
    said += [_listed(hit) for hit in top.screening_hits]
    said += [str(hit.get("text") or hit.get("code", "")) for hit in top.counted_hits()]
    said += [_sentence(str(reason.get("text", ""))) for reason in top.reasons]
    if not said:
        said = (
            ["Not scored, and no rule that counts matched"]
            if top.degraded
            else ["No reason was kept"]
        )
    return AlertRow(alert, specs.entity(top, alert.detector), said[0], len(said) - 1, purpose)


def _listed(hit: Mapping[str, Any]) -> str:
    if hit["kind"] != "name":
        return str(hit["text"])
    return (
        f"Name {score_percent(hit['score'])} like {hit['matched']}, {list_words(hit['list_name'])}"
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
