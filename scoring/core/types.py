"""The values that travel along the straight path. Plain and frozen; no framework.

What is made for each event is a NamedTuple: a frozen dataclass sets its fields one by one through
`object.__setattr__`, which takes three times as long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

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


class Event(NamedTuple):
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
    known_fraud: tuple[float, float] | None = None
    """[from, until) in seconds, when the event was known as fraud: only of events read again."""


class Stage(StrEnum):
    """How far a rule version has come. A shadow rule is recorded and decides nothing."""

    DRAFT = "draft"
    SHADOW = "shadow"
    LIVE = "live"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that matched, with its version and the values that it read.

    A rule forces an `outcome` or, where that is None, adds `weight` (0 to 1) to the rule score.
    `snoozed` says until when the rule is snoozed for the entity; such a hit decides nothing.
    """

    code: str
    version: int
    outcome: Decision | None
    text: str
    values: Mapping[str, Any]
    weight: float = 0.0
    stage: Stage = Stage.LIVE
    snoozed: str | None = None

    @property
    def counts(self) -> bool:
        """Whether the hit takes part in the decision."""
        return self.stage is Stage.LIVE and self.snoozed is None


@dataclass(frozen=True, slots=True)
class ScreeningHit:
    """A name or a country of the event that stands on a list.

    `kind` is `name` or `country`, `score` (0 to 1) how well it matches, `matched` the list's own
    spelling, `entry` its identifier on the list, `list_digest` the SHA-256 of the list as read.
    `outcome` is what the hit asks for; `detail` explains the match (tokens, qualifiers).
    """

    kind: str
    list_name: str
    list_digest: str
    entry: str
    matched: str
    score: float
    severity: RiskLevel
    outcome: Decision
    text: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ListHit:
    """A value of the event that an analyst put on the allow or the deny list."""

    entry_id: int
    kind: str
    field: str
    reason: str


NO_SNOOZES: Final[Mapping[str, str]] = MappingProxyType({})


class Orders(NamedTuple):
    """What people have ordered about this very event: list entries, snoozes, the audit's draw.

    `snoozes` maps a rule's code to the ISO time until which it is snoozed for the entity.
    `audit_draw` is in [0, 1): below the policy's audit rate the event is drawn for audit.
    """

    allowed: tuple[ListHit, ...] = ()
    denied: tuple[ListHit, ...] = ()
    snoozes: Mapping[str, str] = NO_SNOOZES
    audit_draw: float = 1.0


NO_ORDERS = Orders()


class Reason(NamedTuple):
    """One feature's share of a score, in words.

    `contribution` is in the model's margin (log-odds for supervised models); positive raises risk.
    `usual` is the range that is normal for the entity (or, failing that, for everybody).
    """

    feature: str
    value: float | str | None
    contribution: float
    text: str
    usual: tuple[float, float] | None = None


class Verdict(NamedTuple):
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
    rule_score: float = 0.0
    screening_hits: tuple[ScreeningHit, ...] = ()
    list_hits: tuple[ListHit, ...] = ()
