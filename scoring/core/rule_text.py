"""What a rule says to people: `{limit}` in its text stands for the value of that parameter.

A text is filled once, where a rule is compiled or a policy is published, never for an event. `{{`
and `}}` are braces; a brace that holds no name stays as it is.
"""

import ast
import difflib
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from scoring.core.rule_parsing import parse_condition
from scoring.core.rule_spec import RuleSpec
from scoring.core.spec import DetectorSpec
from scoring.core.vocabulary import RuleError

PLACE = re.compile(r"\{\{|\}\}|\{\s*([^\W\d]\w*)\s*\}")
MOST_SHOWN = 12
"""Values of a list that a text tells; of a longer one it tells how many more there are."""
MOST_FILLED = 1000
"""Characters of a text with its values."""
OF_AMOUNTS = frozenset(("numeric", "sum", "mean", "std", "min", "max"))
"""Kinds of features that are amounts where they are made of the amount."""
JOINING = frozenset(("abs", "min", "max", "default"))
"""Functions that give an amount of amounts."""


def filled_text(rule: RuleSpec, spec: DetectorSpec, *, stored: bool = False) -> str:
    """The rule's text with the values of its parameters, which are sound. Raises RuleError.

    An amount has its currency where all events of the detector have one and the same. `stored`: it
    was taken in before; what names no parameter stays as it is, and what is too long is cut.
    """
    if "{" not in rule.text and "}" not in rule.text:
        return rule.text
    amounts: Collection[str] = () if spec.currency_field else _amounts(rule, spec)

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        if name in rule.parameters:
            unit = f" {spec.currency}" if name in amounts else ""
            return written(rule.parameters[name]) + unit
        if stored:
            return found[0]
        raise RuleError(_unknown(name, rule.parameters), found.start() + 1, part="text")

    text = PLACE.sub(fill, rule.text)
    if len(text) > MOST_FILLED:
        if stored:
            return f"{text[: MOST_FILLED - 1]}…"
        said = f"with its values the text has {len(text):,} characters, at most {MOST_FILLED:,}"
        raise RuleError(said, part="text")
    return text


def written(value: Any) -> str:
    """A parameter's value in a sentence: numbers exactly, thousands apart."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return _listed([written(item) for item in value])
    if isinstance(value, int | float):
        return format(Decimal(repr(value)).normalize() + 0, ",f")
    return str(value)


def repeated(text: str, parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(as written, name) of parameters whose number the text says itself: it would go on saying
    it after the parameter is changed."""
    plain = PLACE.sub(" ", text)
    found = []
    for name, value in parameters.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        shown = written(value)
        forms = "|".join(re.escape(form) for form in {shown, shown.replace(",", "")})
        if said := re.search(rf"(?<![\w.,-])(?:{forms})(?!\w|[.,]\d)", plain):
            found.append((said[0], name))
    return found


def _listed(items: list[str]) -> str:
    if len(items) > MOST_SHOWN:
        items = [*items[:MOST_SHOWN], f"{len(items) - MOST_SHOWN:,} more"]
    if len(items) < 2:
        return items[0] if items else "nothing"
    return f"{', '.join(items[:-1])} and {items[-1]}"


def _unknown(name: str, parameters: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, parameters, 1)
    there = ", ".join(f"{{{one}}}" for one in parameters)
    hint = f"did you mean {{{near[0]}}}?" if near else f"there is {there or 'none'}"
    return f"{{{name}}} names no parameter of the rule ({hint}); for braces write {{{{{name}}}}}"


def _amounts(rule: RuleSpec, spec: DetectorSpec) -> set[str]:
    """The parameters that the condition sets against the amount, or against what is made of it."""
    try:
        _, _, tree = parse_condition(rule.when)
    except RuleError:
        return set()
    names = {spec.amount_field} | {
        feature.name
        for feature in spec.features
        if feature.field == spec.amount_field and feature.kind in OF_AMOUNTS
    }
    names -= rule.parameters.keys() | {""}
    found: set[str] = set()
    for node in ast.walk(tree):
        group = _peers(node)
        if any(_is_amount(part, names) for part in group):
            found |= {name for part in group for name in _own_names(part)}
    return found & rule.parameters.keys()


def _peers(node: ast.AST) -> list[ast.expr]:
    """The parts of a node that are of one kind: compared, added, or chosen from."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return [node.operand]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in JOINING:
        return node.args
    return []


def _is_amount(node: ast.expr, names: Collection[str]) -> bool:
    """Whether a part is an amount: the field, or what is added to or chosen from it."""
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Compare):
        return False
    return any(_is_amount(part, names) for part in _peers(node))


def _own_names(node: ast.expr) -> set[str]:
    """The names that are of the kind of the whole part."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.List | ast.Tuple):
        return {name for part in node.elts for name in _own_names(part)}
    if isinstance(node, ast.Compare):
        return set()
    return {name for part in _peers(node) for name in _own_names(part)}
