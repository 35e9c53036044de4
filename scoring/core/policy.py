"""What people may change between two trainings: rules, screening, the share of random audits.

A bundle is what was fitted; a policy is what was decided by people. Both have a digest, a
prediction stores both, and together with the stored vector and event they give the verdict again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from scoring.core.rules import Rule
from scoring.core.screening import Screener


@dataclass(frozen=True, slots=True)
class Policy:
    """Compiled and ready to decide. `digest` is empty where a bundle's own rules serve.

    `rules` are the live and the shadow ones. `audit_rate` is the chance of an approved event to be
    drawn for a random audit. `list_fields` are the event fields that allow and deny lists hold
    values of, `has_snoozes` tells whether any rule is snoozed: where there is neither, nobody has
    to ask for orders. `review_after` are the seconds for which a champion may score, 0 for ever.
    `stands_in` marks one that serves only until the policy can be read again.
    """

    digest: str = ""
    rules: tuple[Rule, ...] = ()
    audit_rate: float = 0.0
    screener: Screener | None = None
    list_fields: tuple[str, ...] = ()
    has_snoozes: bool = False
    review_after: float = 0.0
    stands_in: bool = False

    @classmethod
    def of_rules(cls, rules: Iterable[Rule]) -> "Policy":
        """Rules alone: no screening, no audits."""
        return cls(rules=tuple(rules))
