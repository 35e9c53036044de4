"""The values that travel along the straight path. Plain and frozen; no framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Decision(StrEnum):
    """What the caller should do with the event."""

    APPROVE = "APPROVE"
    REVIEW = "REVIEW"
    BLOCK = "BLOCK"


class RiskLevel(StrEnum):
    """Bands of risk, lowest first."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


DECISIONS = tuple(Decision)
RISK_LEVELS = tuple(RiskLevel)


class SelectionReason(StrEnum):
    """Who or what picked the event for a human; empty when nobody did."""

    NONE = ""
    MODEL = "model"
    RULE = "rule"
    SCREENING = "screening"
    RANDOM_AUDIT = "random_audit"
    ACTIVE_LEARNING = "active_learning"


@dataclass(frozen=True, slots=True)
class Event:
    """One validated input.

    `time` and `received` are seconds since 1970 in UTC; `utc_offset` is the offset in seconds
    that the event's own timestamp carried, so that local hours can be told. `fields` holds the
    validated values by field name, `keys` the entity keys (raw, as strings) by entity field.
    """

    external_id: str
    time: float
    received: float
    utc_offset: float
    amount: float | None
    currency: str
    fields: Mapping[str, Any]
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that matched, with its version and the values that it read."""

    code: str
    version: int
    outcome: Decision
    text: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature's share of a score, in words.

    `contribution` is in the model's margin (log-odds for supervised models); positive raises risk.
    `usual` is the range that is normal for the entity (or, failing that, for everybody).
    """

    feature: str
    value: float | str | None
    contribution: float
    text: str
    usual: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that scoring says about one event. `score` is None when no model could score."""

    vector: Floats
    score: float | None
    probability: float | None
    risk_level: RiskLevel
    decision: Decision
    selection_reason: SelectionReason
    propensity: float
    degraded: bool
    reasons: tuple[Reason, ...] = ()
    contributions: Floats | None = None
    additivity_error: float | None = None
    rule_hits: tuple[RuleHit, ...] = ()
    screening_hits: tuple[Mapping[str, Any], ...] = field(default=())
