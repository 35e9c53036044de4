"""What serves in place of a part that cannot: nothing is approved that it might have stopped.

A screener whose lists cannot be read, a live rule that cannot be evaluated: each asks for a human
at every event, in words that say why, until it is repaired.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from scoring.core.rules import Rule
from scoring.core.screening import Screener
from scoring.core.types import Decision, RiskLevel, ScreeningHit, Stage

NOT_SCREENED = ScreeningHit(
    kind="unavailable",
    list_name="",
    list_digest="",
    entry="",
    matched="",
    score=0.0,
    severity=RiskLevel.HIGH,
    outcome=Decision.REVIEW,
    text="Not screened by name: the sanctions lists could not be read",
    detail={},
)
UNSCREENED = "scored while its policy or a sanctions list could not be read"
ERASED = "personal data erased"
"""Why what was stored is not decided again."""
UNEVALUATED = "Rule {code} cannot be evaluated, so a human looks at every event:"


def is_unscreened(hits: Iterable[Mapping[str, Any]]) -> bool:
    """Whether stored screening hits say that nothing was screened."""
    return any(hit["kind"] == NOT_SCREENED.kind for hit in hits)


class Unscreened:
    """Stands in for a screener whose lists cannot be read."""

    def __init__(self, countries: Screener | None) -> None:
        self._countries = countries

    def screen(self, fields: Mapping[str, Any]) -> tuple[ScreeningHit, ...]:
        """What needs no list, and that the lists were not asked."""
        found = () if self._countries is None else self._countries.screen(fields)
        return (*found, NOT_SCREENED)


def unevaluated(code: str, version: int, problem: str) -> Rule:
    """Stands in for a live rule that the bundle cannot evaluate: it matches every event.

    Whether the rule blocks, asks for a review or adds weight, a human looks. A block of everything
    would be an outage, and a rule that is silently left out would approve what it was made for.
    """
    return Rule(
        code=code,
        version=version,
        outcome=Decision.REVIEW,
        text=f"{UNEVALUATED.format(code=code)} {problem}",
        reads=(),
        matches=_always,
        stage=Stage.LIVE,
    )


def worded_alike(hits: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Stored hits, those of stand-ins without the problem: a later release may word it better."""
    found = [dict(hit) for hit in hits]
    for hit in found:
        lead = UNEVALUATED.format(code=hit.get("code"))
        if str(hit.get("text", "")).startswith(lead):
            hit["text"] = lead
    return found


def _always(values: Mapping[str, Any]) -> bool:
    return True
