"""Constants that a condition looks for and that no event may carry: they find nothing."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any, Final

from scoring.core.field_checks import field_check
from scoring.core.rule_parsing import parse_condition
from scoring.core.vocabulary import RuleError

EQUALS: Final = (ast.Eq, ast.NotEq)
WITHIN: Final = (ast.In, ast.NotIn)
Fields = Mapping[str, Mapping[str, Any]]


def never_carried(when: str, parameters: Mapping[str, Any], fields: Fields) -> list[str]:
    """In sentences, which texts and numbers the condition sets equal to a field whose schema allows
    no such value. `fields`: the schema's properties. Nothing of a condition that is broken."""
    try:
        _, _, tree = parse_condition(when)
    except RuleError:
        return []
    found = []
    for name, value in _sought(tree, parameters):
        rule = fields.get(name, {"type": "boolean"})
        if rule["type"] == "boolean" or isinstance(value, bool):
            continue
        if problem := field_check(rule)(value):
            shown = f"'{value}'" if isinstance(value, str) else value
            found.append(f"no event has {shown} in {name}, which {problem}")
    return list(dict.fromkeys(found))


def _sought(tree: ast.AST, parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(field, constant) wherever one is set equal to the other, or looked for in a list."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        operands = [node.left, *node.comparators]
        for left, how, right in zip(operands, node.ops, operands[1:], strict=False):
            pairs = [(left, right), (right, left)] if isinstance(how, EQUALS) else []
            pairs += [(left, right)] if isinstance(how, WITHIN) else []
            for name, other in pairs:
                if isinstance(name, ast.Name) and name.id not in parameters:
                    yield from ((name.id, value) for value in _values(other, parameters))


def _values(node: ast.AST, parameters: Mapping[str, Any]) -> Iterator[Any]:
    """The constants that an operand may be, those of parameters as they stand now."""
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.List):
        for element in node.elts:
            yield from _values(element, parameters)
    elif isinstance(node, ast.Name) and node.id in parameters:
        value = parameters[node.id]
        yield from value if isinstance(value, list) else [value]
