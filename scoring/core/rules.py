"""Rules: a condition (scoring.core.expressions) with an outcome or a weight, compiled once."""

import keyword
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from scoring.core.expressions import compile_expression
from scoring.core.rule_spec import RuleSpec
from scoring.core.spec import DetectorSpec
from scoring.core.types import NO_SNOOZES, Decision, RuleHit, Stage
from scoring.core.vocabulary import ANY, NUMBER, TEXT, TRUTH, Node, Values

SETTLED = {True: "true", False: "false", None: "unknown"}
KINDS = {"number": NUMBER, "integer": NUMBER, "string": TEXT, "boolean": TRUTH}


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule."""

    code: str
    version: int
    outcome: Decision | None
    text: str
    reads: tuple[str, ...]
    matches: Node
    weight: float = 0.0
    stage: Stage = Stage.LIVE
    settled: tuple[tuple[str, bool | None], ...] = ()

    @property
    def constant(self) -> str:
        """What a condition, or a part of it, that reads nothing of an event comes to, in words;
        empty of others."""
        if self.reads:
            said = [f"{part} is always {SETTLED[found]}" for part, found in self.settled]
            return f"has a part that reads nothing of events: {', '.join(said)}" if said else ""
        return (
            f"reads nothing of events: it matches {'all' if self.matches({}) else 'none'} of them"
        )


def readable(spec: DetectorSpec) -> dict[str, str]:
    """What a detector's rules may read: kind by name, fields first. Personal data is left out.

    A name that the language cannot write (a dash, a keyword) is no name there.
    """
    found = {
        name: KINDS.get(str(rule.get("type")), ANY)
        for name, rule in spec.schema["properties"].items()
    }
    found |= {name: NUMBER for name in spec.feature_names if name not in found}
    return {
        name: kind
        for name, kind in found.items()
        if name not in spec.pii_fields and name.isidentifier() and not keyword.iskeyword(name)
    }


def compile_rule(
    spec: RuleSpec,
    known: Iterable[str] | Mapping[str, str],
    *,
    stage: Stage = Stage.LIVE,
    hidden: Collection[str] = (),
    stored: bool = False,
) -> Rule:
    """Compile one rule; `known` are the names it may read, with their kinds if they are known.

    `hidden`, `stored`: as `compile_expression`. Raises RuleError.
    """
    kinds = known if isinstance(known, Mapping) else dict.fromkeys(known, ANY)
    found = compile_expression(spec.when, kinds, spec.parameters, hidden=hidden, stored=stored)
    return Rule(
        code=spec.code,
        version=spec.version,
        outcome=Decision(spec.outcome) if spec.outcome else None,
        text=spec.text,
        reads=found.reads,
        matches=found.value,
        weight=spec.weight,
        stage=stage,
        settled=found.settled,
    )


def evaluate(
    rules: Iterable[Rule], values: Values, snoozes: Mapping[str, str] = NO_SNOOZES
) -> tuple[RuleHit, ...]:
    """The rules that match, with the values that each read; `snoozes` by code (see Orders)."""
    return tuple(
        RuleHit(
            code=rule.code,
            version=rule.version,
            outcome=rule.outcome,
            text=rule.text,
            values={name: values.get(name) for name in rule.reads},
            weight=rule.weight,
            stage=rule.stage,
            snoozed=snoozes.get(rule.code),
        )
        for rule in rules
        if rule.matches(values)
    )
