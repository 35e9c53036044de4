"""The language of rules: expressions that are compiled once and never evaluated as code.

It is a small part of Python's expression grammar: comparisons (chained too), and / or / not,
+ - * / %, numbers, texts, true / false, `in` a list, and the functions of FUNCTIONS. Names are
event fields, features and the rule's parameters. The text is parsed to a tree of whitelisted nodes,
each turned into a closure, so an expression can do nothing but answer: there are no attributes,
subscripts, powers, user-given patterns or joined texts, and text, tree, numbers and lists are
bounded. What is refused is refused when the rule is read, with the column where it stands.

A missing value is unknown, and so is what is computed from it or compared with it. Logic has three
values (Kleene's): `unknown and false` is false, `unknown or true` is true, anything else of an
unknown, its negation too, is unknown; and an unknown condition does not match. `missing(x)` and
`default(x, y)` are there to say otherwise. Dividing by zero and mixing kinds give unknown as well.
"""

import ast
import difflib
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from scoring.core.rule_parsing import at_line, parse_condition
from scoring.core.vocabulary import (
    ANY,
    CONSTANTS,
    FUNCTIONS,
    LIST,
    MAX_LIST,
    NUMBER,
    TAKE_MISSING,
    TEXT,
    TRUTH,
    WORD,
    Node,
    RuleError,
    Values,
    as_words,
    check_parameters,
    checked,
    kind_of,
    member_problem,
    value_problem,
)

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
PERSONAL = (
    "is personal data, which no rule reads: put single values on the allow or the deny list, or"
    " take the field out of event.pii in the declaration if it is none"
)


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled text: call `value` with a mapping of names; `reads` are the names it looks up.

    `settled`: parts joined by and / or that read neither an event nor a parameter, with what they
    come to.
    """

    value: Node
    reads: tuple[str, ...]
    settled: tuple[tuple[str, bool | None], ...] = ()


Compiled = tuple[Node, str]
"""A closure and the kind of what it gives."""
Kinds = tuple[str, str]
Step = Callable[[Any, Any], bool | None]


class _Compiler:
    """Turns one parsed expression into closures and notes the names that it reads."""

    def __init__(
        self,
        line: str,
        start: int,
        known: Mapping[str, str],
        parameters: Values,
        *,
        hidden: Collection[str],
        stored: bool,
    ) -> None:
        self.hidden = hidden
        self.stored = stored
        self.line, self.start = line, start
        self.known = known
        self.parameters = parameters
        self.reads: set[str] = set()
        self.settled: list[tuple[ast.AST, Node]] = []
        self.makers: dict[type[ast.AST], Callable[[Any], Compiled]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.BoolOp: self._logic,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._arithmetic,
            ast.Compare: self._compare,
            ast.Call: self._call,
        }

    def fail(self, node: ast.AST, message: str) -> RuleError:
        offset = getattr(node, "col_offset", 0)  # In bytes; people count characters.
        before = self.line[self.start :].encode()[:offset].decode()
        return RuleError(message, self.start + len(before) + 1)

    def make(self, node: ast.AST) -> Compiled:
        maker = self.makers.get(type(node))
        if maker is None and isinstance(node, ast.Tuple):
            raise self.fail(node, "numbers have no commas, and a list has square brackets")
        if maker is None:
            raise self.fail(node, f"'{ast.unparse(node)}' is not allowed in a rule")
        return maker(node)

    def operand(self, node: ast.AST, wanted: tuple[str, ...], use: str) -> Node:
        """The closure of a part that must be of one of the kinds."""
        run, kind = self.make(node)
        if kind != ANY and kind not in wanted:
            raise self.fail(node, f"{use}, and '{ast.unparse(node)}' is a {kind}")
        return run

    def condition(self, node: ast.AST) -> Node:
        return self.operand(node, (TRUTH, NUMBER), "a condition is true or false")

    def literal(self, node: ast.AST) -> Any:
        """The value of a constant: a number, a text, true / false or a parameter."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.literal(node.operand)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self.fail(node, f"'{ast.unparse(node)}' is no number")
            return -value
        if isinstance(node, ast.Name) and node.id in CONSTANTS:
            return CONSTANTS[node.id]
        if isinstance(node, ast.Name) and node.id in self.parameters:
            return self.parameters[node.id]
        if not isinstance(node, ast.Constant):
            raise self.fail(node, "a list holds numbers, texts and parameters only")
        problem = value_problem(node.value)
        if problem:
            raise self.fail(node, problem)
        return node.value

    def _constant(self, node: ast.Constant) -> Compiled:
        value = self.literal(node)
        return (lambda values: value), kind_of(value)

    def _name(self, node: ast.Name) -> Compiled:
        name = node.id
        if name in CONSTANTS or name in self.parameters:
            value = self.literal(node)
            return (lambda values: value), kind_of(value)
        if name in self.hidden:
            raise self.fail(node, f"'{name}' {PERSONAL}")
        if name not in self.known:
            near = difflib.get_close_matches(name, [*self.known, *self.parameters], 1)
            hint = f"; did you mean {near[0]}?" if near else f"; a text has quotes: '{name}'"
            raise self.fail(node, f"'{name}' is no field, feature or parameter{hint}")
        self.reads.add(name)

        def read(values: Values) -> Any:
            value = values.get(name)
            return None if value != value else value  # NaN alone differs from itself.

        return read, self.known[name]

    def _logic(self, node: ast.BoolOp) -> Compiled:
        parts = [self._part(part) for part in node.values]
        ends = isinstance(node.op, ast.Or)  # `or` ends at the first true, `and` at the first false

        def run(values: Values) -> bool | None:
            unknown = False
            for part in parts:
                value = part(values)
                if value is None:
                    unknown = True
                elif bool(value) is ends:
                    return ends
            return None if unknown else not ends

        return run, TRUTH

    def _part(self, node: ast.AST) -> Node:
        """A part of and / or; one that reads neither an event nor a parameter is noted: parameters
        are switches that people turn."""
        before, self.reads, noted = self.reads, set(), len(self.settled)
        run = self.condition(node)
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        if not self.reads and self.parameters.keys().isdisjoint(names):
            self.settled[noted:] = [(node, run)]
        self.reads |= before
        return run

    def _unary(self, node: ast.UnaryOp) -> Compiled:
        if isinstance(node.op, ast.Not):
            part = self.condition(node.operand)
            return (lambda values: None if (x := part(values)) is None else not x), TRUTH
        if isinstance(node.op, ast.USub):
            part = self.operand(node.operand, (NUMBER,), "only a number has a sign")
            return (lambda values: -x if isinstance(x := part(values), int | float) else None), (
                NUMBER
            )
        raise self.fail(node, f"'{ast.unparse(node)}' is not allowed in a rule")

    def _arithmetic(self, node: ast.BinOp) -> Compiled:
        act = ARITHMETIC.get(type(node.op))
        if act is None:
            raise self.fail(node, f"'{ast.unparse(node)}' uses an operator that rules do not have")
        left = self.operand(node.left, (NUMBER,), "rules compute with numbers")
        right = self.operand(node.right, (NUMBER,), "rules compute with numbers")

        def run(values: Values) -> Any:
            a, b = left(values), right(values)
            if not (isinstance(a, int | float) and isinstance(b, int | float)):
                return None
            try:
                found = act(a, b)
            except (ZeroDivisionError, OverflowError):
                return None
            return None if found != found else found

        return run, NUMBER

    def _compare(self, node: ast.Compare) -> Compiled:
        # Each operand is compiled and run once, however the chain is nested.
        operands = [self.make(node.left)]
        steps: list[Step] = []
        nodes = [node.left, *node.comparators]
        for i, op in enumerate(node.ops):
            if isinstance(op, ast.In | ast.NotIn):
                operands.append(self._group(nodes[i + 1], nodes[i], operands[i][1]))
                steps.append(_membership(wanted=isinstance(op, ast.In)))
            else:
                operands.append(self.make(nodes[i + 1]))
                kinds = operands[i][1], operands[i + 1][1]
                steps.append(self._order(nodes[i], op, nodes[i + 1], kinds))
        return _chain([run for run, _ in operands], steps), TRUTH

    def _group(self, node: ast.AST, left: ast.AST, kind: str, who: str = "'in'") -> Compiled:
        """The right side of `in`, or another list in which a `left` of this kind is looked for."""
        if kind == LIST:
            raise self.fail(left, f"{who} looks for one value")
        places: Sequence[ast.AST] = ()
        if isinstance(node, ast.List | ast.Tuple):
            places, found = node.elts, [self.literal(part) for part in node.elts]
        elif isinstance(node, ast.Name) and isinstance(self.parameters.get(node.id), list):
            found = self.parameters[node.id]
        else:
            raise self.fail(node, self._no_list(node, who))
        if len(found) > MAX_LIST or any(isinstance(value, list) for value in found):
            raise self.fail(node, f"a list has at most {MAX_LIST} numbers and texts")
        for i, value in enumerate([] if self.stored else found):
            if problem := member_problem(value, kind):
                place = places[i] if places else node
                raise self.fail(place, f"'{ast.unparse(left)}' {problem}")
        group = frozenset(found)
        return (lambda values: group), LIST

    def _no_list(self, node: ast.AST, who: str) -> str:
        """Why a part is nothing to look in."""
        example = f"{who} needs a list such as ['a', 'b']"
        if isinstance(node, ast.Name) and node.id in self.parameters:
            own = kind_of(self.parameters[node.id])
            return f"{example}, and the parameter '{node.id}' is a {own}"
        return f"{example} or a parameter with one"

    def _order(self, left: ast.AST, op: ast.cmpop, right: ast.AST, kinds: Kinds) -> Step:
        act = COMPARISONS.get(type(op))
        if act is None:
            raise self.fail(left, "'is' is no comparison that rules have; write ==")
        known = set(kinds) - {ANY}
        if LIST in known:
            part = (left, right)[kinds.index(LIST)]
            said = f"'{ast.unparse(part)}' is a list, which 'in' looks in and nothing is compared"
            raise self.fail(part, f"{said} with")
        if TRUTH in known and not isinstance(op, ast.Eq | ast.NotEq):
            raise self.fail(left, "only numbers and texts are compared")
        if TEXT in known and len(known) > 1:
            what = f"'{ast.unparse(left)}' ({kinds[0]}) and '{ast.unparse(right)}' ({kinds[1]})"
            raise self.fail(left, f"{what} cannot be compared")

        def step(a: Any, b: Any) -> bool | None:
            if a is None or b is None:
                return None
            try:
                found: bool = act(a, b)
            except TypeError:  # a text against a number, in values that nobody declared
                return None
            return found

        return step

    def _call(self, node: ast.Call) -> Compiled:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        function = FUNCTIONS.get(name)
        if function is None:
            raise self.fail(node, f"the functions are {', '.join(FUNCTIONS)}")
        taken = len(node.args) - function.looks_in
        if node.keywords or not function.least <= taken <= function.most:
            raise self.fail(node, f"write {function.usage}")
        made = [self.make(part) for part in node.args[:taken]]
        kinds = {kind for _, kind in made} - {ANY}
        if LIST in kinds or (function.takes != ANY and kinds - {function.takes}):
            raise self.fail(node, f"{name} takes a {function.takes}: {function.usage}")
        gives, act, parts = function.gives, function.act, [run for run, _ in made]
        if function.looks_in:
            act = partial(act, phrases=self._phrases(name, *node.args))
        if name == "default":
            if len(kinds) > 1:
                raise self.fail(node, "the default is of the same kind as the value")
            gives = kinds.pop() if kinds else ANY
        if name in TAKE_MISSING:
            return (lambda values: act(*[part(values) for part in parts])), gives
        return checked(function.takes, act, parts), gives

    def _phrases(self, name: str, value: ast.AST, node: ast.AST) -> tuple[str, ...]:
        """What a function looks for, from its list."""
        group, _ = self._group(node, value, TEXT, who=name)
        # Of a stored rule a list may hold numbers, which stand in no text.
        found = sorted(one for one in group({}) if isinstance(one, str))
        for phrase in found:
            if not WORD.search(phrase):
                raise self.fail(node, f"'{phrase}' has no letter or digit to look for")
        return tuple(words for phrase in found for words in as_words(phrase))


def _membership(*, wanted: bool) -> Step:
    return lambda a, group: None if a is None else (a in group) is wanted


def _chain(operands: list[Node], steps: list[Step]) -> Node:
    """A comparison; of several steps all must hold."""
    first, second, step = operands[0], operands[1], steps[0]
    if len(steps) == 1:
        return lambda values: step(first(values), second(values))

    def run(values: Values) -> bool | None:
        unknown = False
        left = first(values)
        for operand, act in zip(operands[1:], steps, strict=True):
            right = operand(values)
            found = act(left, right)
            if found is None:
                unknown = True
            elif not found:
                return False
            left = right
        return None if unknown else True

    return run


def compile_expression(
    text: str,
    known: Mapping[str, str],
    parameters: Values | None = None,
    *,
    hidden: Collection[str] = (),
    stored: bool = False,
) -> Expression:
    """Compile a condition. `known`: kind (NUMBER, TEXT, TRUTH, ANY) by name; `hidden`: fields with
    personal data, refused by that name. Raises RuleError.

    `stored`: it was taken in before, perhaps by a release that looked for a text among numbers and
    never found it; it means what it meant.
    """
    parameters = parameters or {}
    check_parameters(parameters, known)
    try:
        line, start, tree = parse_condition(text)
        compiler = _Compiler(line, start, known, parameters, hidden=hidden, stored=stored)
        value = compiler.condition(tree.body)
    except RuleError as error:
        raise at_line(error, text) from error
    settled = [
        (ast.unparse(node), None if (found := run({})) is None else bool(found))
        for node, run in compiler.settled
    ]
    return Expression(value, tuple(sorted(compiler.reads)), tuple(settled))
