"""Rules as a declaration has them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scoring.core.reader import Reader
from scoring.core.shape import is_number

RULE = ("code", "version", "when", "outcome", "text", "weight", "parameters", "stage")
CODE = re.compile(r"[A-Za-z0-9_-]+")
"""Part of the address of the rule's page."""
TAKEN = ("new", "overlap")
"""Addresses of other pages."""
MOST_CHARACTERS = {"code": 40, "when": 2000, "text": 300}
"""Of what a rule is stored in."""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule as declared; `when` is compiled by `rules.compile_rule`."""

    code: str
    version: int
    when: str
    outcome: str
    text: str
    weight: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read_rules(read: Reader, raw: list[Mapping[str, Any]]) -> tuple[RuleSpec, ...]:
    """The rules of a declaration, in its order."""
    codes = [str(rule.get("code", "")) for rule in raw]
    found = []
    for i, rule in enumerate(raw):
        place = f"rules[{i}]"
        read.only(place, rule, RULE)
        if not read.stored and rule.get("stage", "live") != "live":
            said = "is live: a declared rule decides at once; draft and shadow are on its page"
            read.bad(f"{place}.stage", said)
        for key in ("code", "when"):
            if not rule.get(key):
                read.bad(f"{place}.{key}", "is missing")
        if not read.stored and codes[i] and not CODE.fullmatch(codes[i]):
            read.bad(f"{place}.code", "is made of letters, digits, - and _")
        if not read.stored and codes[i] in TAKEN:
            read.bad(f"{place}.code", f"'{codes[i]}' is the address of another page")
        if not read.stored and not str(rule.get("text", codes[i] or "-")).strip():
            read.bad(f"{place}.text", "is empty: say what an analyst is to read")
        for key in ("code", "when", "text"):
            _fits(read, place, rule, key)
        if codes[i] and codes[i] in codes[:i]:
            read.bad(f"{place}.code", f"'{codes[i]}' is declared twice")
        weight, outcome = _force(read, place, rule)
        found.append(
            RuleSpec(
                code=codes[i],
                version=int(rule.get("version", 1)),
                when=str(rule.get("when", "")),
                outcome=outcome,
                text=str(rule.get("text", rule.get("code", ""))),
                weight=weight,
                parameters=dict(rule.get("parameters", {})),
            )
        )
    return tuple(found)


def _fits(read: Reader, place: str, section: Mapping[str, Any], key: str) -> None:
    """Not longer than what it is stored in; what was taken in before stays readable."""
    most = MOST_CHARACTERS[key]
    if not read.stored and len(str(section.get(key, ""))) > most:
        read.bad(f"{place}.{key}", f"has at most {most} characters")


def _force(read: Reader, place: str, rule: Mapping[str, Any]) -> tuple[float, str]:
    """(weight, outcome) of a rule: one of the two speaks; without both it asks for a review."""
    if rule.get("weight") is None:
        outcome = str(rule.get("outcome", "REVIEW")).upper()
        if outcome not in ("REVIEW", "BLOCK"):
            read.bad(f"{place}.outcome", "is REVIEW or BLOCK")
        return 0.0, outcome
    weight = rule["weight"]
    if rule.get("outcome"):
        read.bad(place, "has a weight or an outcome, not both")
    if not is_number(weight) or not 0.0 < weight < 1.0:
        read.bad(f"{place}.weight", "lies between 0 and 1")
        return 0.0, ""
    return float(weight), ""
