"""Rules: expressions over an event's fields and features, compiled once, never evaluated as code.

The language is a small part of Python's expression grammar: comparisons (chained too), and / or /
not, + - * / %, numbers, strings, true / false, lists, `in`, and the functions of FUNCTIONS. The
text is parsed to a tree of whitelisted nodes, each turned into a closure; there are no attributes,
no subscripts, no user-given regular expressions, and text and tree are bounded in size.
A comparison with a missing value is false.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scoring.core.spec import RuleSpec
from scoring.core.types import Decision, RuleHit

Values = Mapping[str, Any]
Node = Callable[[Values], Any]

MAX_TEXT = 2000
MAX_NODES = 200


class RuleError(ValueError):
    """A rule that cannot be compiled; the message says what and where (column)."""


def _contains(text: Any, part: Any) -> bool:
    return str(part).casefold() in str(text).casefold()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "lower": lambda text: str(text).casefold(),
    "contains": _contains,
    "length": lambda text: len(str(text)),
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, group: value in group,
    ast.NotIn: lambda value, group: value not in group,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def _missing(value: Any) -> bool:
    return value is None or value != value  # NaN is the one value that differs from itself.


class _Compiler:
    """Turns one parsed expression into a closure and notes the names that it reads."""

    def __init__(self, known: frozenset[str]) -> None:
        self.known = known
        self.reads: set[str] = set()

    def compile(self, node: ast.AST) -> Node:
        make = getattr(self, f"_{type(node).__name__.lower()}", None)
        if make is None:
            raise RuleError(f"'{ast.unparse(node)}' is not allowed in a rule{_where(node)}")
        compiled: Node = make(node)
        return compiled

    def _constant(self, node: ast.Constant) -> Node:
        value = node.value
        if not isinstance(value, bool | int | float | str):
            raise RuleError(f"{value!r} is not a number, a text or true / false{_where(node)}")
        return lambda values: value

    def _name(self, node: ast.Name) -> Node:
        name = node.id
        if name in ("true", "false"):
            return lambda values: name == "true"
        if name not in self.known:
            raise RuleError(f"'{name}' is no field or feature of this detector{_where(node)}")
        self.reads.add(name)
        # NaN is true in Python; alone in a rule, a missing value must match nothing.
        return lambda values: None if _missing(value := values.get(name)) else value

    def _list(self, node: ast.List | ast.Tuple) -> Node:
        parts = [self.compile(part) for part in node.elts]
        return lambda values: [part(values) for part in parts]

    _tuple = _list

    def _boolop(self, node: ast.BoolOp) -> Node:
        parts = [self.compile(part) for part in node.values]
        if isinstance(node.op, ast.And):
            return lambda values: all(part(values) for part in parts)
        return lambda values: any(part(values) for part in parts)

    def _unaryop(self, node: ast.UnaryOp) -> Node:
        part = self.compile(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda values: not part(values)
        if isinstance(node.op, ast.USub):
            return lambda values: -x if isinstance(x := part(values), int | float) else None
        raise RuleError(f"'{ast.unparse(node)}' is not allowed in a rule{_where(node)}")

    def _binop(self, node: ast.BinOp) -> Node:
        act = ARITHMETIC.get(type(node.op))
        if act is None:
            raise RuleError(f"this operator is not allowed in a rule{_where(node)}")
        left, right = self.compile(node.left), self.compile(node.right)

        def run(values: Values) -> Any:
            a, b = left(values), right(values)
            if _missing(a) or _missing(b):
                return None
            try:
                return act(float(a), float(b))
            except (ZeroDivisionError, ValueError, OverflowError, TypeError):
                return None

        return run

    def _compare(self, node: ast.Compare) -> Node:
        first = self.compile(node.left)
        steps = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            act = COMPARISONS.get(type(op))
            if act is None:
                raise RuleError(f"this comparison is not allowed in a rule{_where(node)}")
            if isinstance(op, ast.In | ast.NotIn) and not isinstance(right, ast.List | ast.Tuple):
                raise RuleError(f"'in' needs a list such as ['a', 'b']{_where(node)}")
            steps.append((act, self.compile(right)))

        def run(values: Values) -> bool:
            left = first(values)
            for act, compiled in steps:
                right = compiled(values)
                if _missing(left) or _missing(right):
                    return False
                try:
                    if not act(left, right):
                        return False
                except TypeError:  # a text compared with a number: no match
                    return False
                left = right
            return True

        return run

    def _call(self, node: ast.Call) -> Node:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        act = FUNCTIONS.get(name)
        if act is None or node.keywords:
            raise RuleError(f"functions are {', '.join(FUNCTIONS)}{_where(node)}")
        parts = [self.compile(part) for part in node.args]

        def run(values: Values) -> Any:
            found = [part(values) for part in parts]
            if any(_missing(value) for value in found):
                return None
            try:
                return act(*found)
            except (TypeError, ValueError):
                return None

        return run


def _where(node: ast.AST) -> str:
    column = getattr(node, "col_offset", None)
    return "" if column is None else f" (column {column + 1})"


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule."""

    code: str
    version: int
    outcome: Decision
    text: str
    reads: tuple[str, ...]
    matches: Node


def compile_rule(spec: RuleSpec, known: Iterable[str]) -> Rule:
    """Compile one declared rule; `known` are the names it may read. Raises RuleError."""
    if len(spec.when) > MAX_TEXT:
        raise RuleError(f"a rule has at most {MAX_TEXT} characters")
    try:
        tree = ast.parse(spec.when.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = getattr(error, "offset", None)
        raise RuleError(
            f"this is not an expression{f' (column {place})' if place else ''}"
        ) from error
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise RuleError(f"a rule has at most {MAX_NODES} parts")
    compiler = _Compiler(frozenset(known))
    matches = compiler.compile(tree.body)
    return Rule(
        code=spec.code,
        version=spec.version,
        outcome=Decision(spec.outcome),
        text=spec.text,
        reads=tuple(sorted(compiler.reads)),
        matches=matches,
    )


def evaluate(rules: Iterable[Rule], values: Values) -> tuple[RuleHit, ...]:
    """The rules that match, with the values that each read."""
    return tuple(
        RuleHit(
            code=rule.code,
            version=rule.version,
            outcome=rule.outcome,
            text=rule.text,
            values={name: values.get(name) for name in rule.reads},
        )
        for rule in rules
        if rule.matches(values)
    )
