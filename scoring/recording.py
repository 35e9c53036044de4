"""A verdict as the columns of a stored prediction: written by services, compared by a replay."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from accounts import vault
from scoring.core.types import Reason, RuleHit, ScreeningHit, Verdict

DRAW_DIGITS = 13
"""Hex digits of a draw: 52 bits, as many as a float64 below 1 holds."""


def audit_draw(slug: str, external_id: str) -> float:
    """The event's lot in [0, 1): always the same for the same event, and unknown to its sender.

    A keyed hash, so that nobody outside can tell which events will be looked at.
    """
    lot = vault.token(f"audit:{slug}", external_id)[:DRAW_DIGITS]
    return int(lot, 16) / 16.0**DRAW_DIGITS


def verdict_columns(verdict: Verdict) -> dict[str, Any]:
    """What a Prediction stores of a verdict, by column; JSON columns hold plain values."""
    parts = verdict.contributions
    return {
        "vector": verdict.vector.astype("<f8", copy=False).tobytes(),
        "score": verdict.score,
        "probability": verdict.probability,
        "risk_level": verdict.risk_level,
        "decision": verdict.decision,
        "reasons": [reason_body(reason) for reason in verdict.reasons],
        "contributions": None if parts is None else parts.astype("<f8", copy=False).tobytes(),
        "additivity_error": verdict.additivity_error,
        "rule_hits": [rule_hit_body(hit) for hit in verdict.rule_hits],
        "rule_score": verdict.rule_score,
        "screening_hits": [screening_hit_body(hit) for hit in verdict.screening_hits],
        "list_hits": [asdict(hit) for hit in verdict.list_hits],
        "degraded": verdict.degraded,
        "selection_reason": verdict.selection_reason,
        "propensity": verdict.propensity,
    }


def reason_body(reason: Reason) -> dict[str, Any]:
    """A reason as JSON."""
    return {
        "feature": reason.feature,
        "value": reason.value,
        "contribution": reason.contribution,
        "text": reason.text,
        "usual": None if reason.usual is None else list(reason.usual),
    }


def reason_numbers(reasons: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """What stored reasons say besides words: of which feature, its value and its contribution."""
    told = [[reason["feature"], reason["value"], reason["contribution"]] for reason in reasons]
    found: list[list[Any]] = orjson.loads(orjson.dumps(told))
    return found


def rule_hit_body(hit: RuleHit) -> dict[str, Any]:
    """A rule hit as JSON; a missing value is null."""
    values = {k: None if v != v else v for k, v in hit.values.items()}
    return {
        "code": hit.code,
        "version": hit.version,
        "outcome": None if hit.outcome is None else str(hit.outcome),
        "weight": hit.weight,
        "stage": str(hit.stage),
        "snoozed": hit.snoozed,
        "text": hit.text,
        "values": values,
    }


def screening_hit_body(hit: ScreeningHit) -> dict[str, Any]:
    """A screening hit as JSON."""
    found = asdict(hit)
    return found | {"severity": str(hit.severity), "outcome": str(hit.outcome)}
