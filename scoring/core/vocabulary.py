"""The words of the rules' language: kinds, bounds, constants, functions, and its one error."""

import keyword
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Values = Mapping[str, Any]
Node = Callable[[Values], Any]

MAX_TEXT = 2000
MAX_NODES = 200
MAX_NUMBER = 1e15
MAX_WORD = 200
"""Characters of a text in a rule."""
MAX_LIST = 500

NUMBER, TEXT, TRUTH, LIST, ANY = "number", "text", "truth", "list", "any"
NUMERAL = re.compile(r"^-?\d+(\.\d+)?$", re.ASCII)
CONSTANTS = {"true": True, "false": False}
WORD = re.compile(r"[^\W_]+")
"""Letters and digits next to each other."""
INNER_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class RuleError(ValueError):
    """A rule that cannot be compiled: what is wrong, and at which column (from 1) if it is told.

    `line` (from 1) is told where there are several; `part` of the rule: when, parameters or text.
    """

    def __init__(
        self,
        message: str,
        column: int | None = None,
        *,
        line: int | None = None,
        part: str = "when",
    ) -> None:
        self.reason = message
        self.column, self.line = column, line
        self.part = part
        place = f"line {line}, column {column}" if line else f"column {column}"
        super().__init__(message if column is None else f"{message} ({place})")


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language. It takes `least` to `most` arguments, all of kind `takes`; where
    it `looks_in` a list, that is one more, the last."""

    act: Callable[..., Any]
    takes: str
    gives: str
    least: int
    most: int
    usage: str
    meaning: str
    looks_in: bool = False


@lru_cache(maxsize=4096)
def as_words(text: str) -> tuple[str, ...]:
    """The words of a text in small letters, a blank around each: ` money services `. Where a
    capital follows a small letter, with and without a new word there: PayPal, MoneyServices."""
    readings = dict.fromkeys((text, INNER_CAPITAL.sub(" ", text)))
    return tuple(f" {' '.join(WORD.findall(reading.casefold()))} " for reading in readings)


def mentions(text: str, phrases: Collection[str]) -> bool:
    """Whether one of the phrases, given `as_words`, stands in the text as whole words."""
    return any(phrase in words for words in as_words(text) for phrase in phrases)


FUNCTIONS: dict[str, Function] = {
    "abs": Function(abs, NUMBER, NUMBER, 1, 1, "abs(x)", "the number without its sign"),
    "min": Function(min, NUMBER, NUMBER, 2, 8, "min(x, y, ...)", "the smallest"),
    "max": Function(max, NUMBER, NUMBER, 2, 8, "max(x, y, ...)", "the largest"),
    "length": Function(len, TEXT, NUMBER, 1, 1, "length(text)", "how many characters it has"),
    "lower": Function(str.casefold, TEXT, TEXT, 1, 1, "lower(text)", "the text in small letters"),
    "contains": Function(
        lambda text, part: part.casefold() in text.casefold(),
        TEXT, TRUTH, 2, 2, "contains(text, part)", "whether the part occurs; case does not matter",
    ),
    "starts": Function(
        lambda text, part: text.casefold().startswith(part.casefold()),
        TEXT, TRUTH, 2, 2, "starts(text, part)", "whether the text begins so; likewise",
    ),
    "mentions": Function(
        mentions,
        TEXT, TRUTH, 1, 1, "mentions(text, list)",
        "whether a word or phrase of the list stands in it as whole words; case and signs do not"
        " matter",
        looks_in=True,
    ),
    "missing": Function(
        lambda value: value is None,
        ANY, TRUTH, 1, 1, "missing(x)", "whether the value is absent from the event",
    ),
    "default": Function(
        lambda value, other: other if value is None else value,
        ANY, ANY, 2, 2, "default(x, y)", "x, or y where x is missing",
    ),
}  # fmt: skip
TAKE_MISSING = frozenset(("missing", "default"))


def checked(takes: str, act: Callable[..., Any], parts: Collection[Node]) -> Node:
    """The call, unknown where an argument is missing or of another kind."""
    allowed: Any = str if takes == TEXT else (int, float)

    def run(values: Values) -> Any:
        found = [part(values) for part in parts]
        for value in found:
            if not isinstance(value, allowed):
                return None
        return act(*found)

    return run


def kind_of(value: Any) -> str:
    """The kind of a constant."""
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, list):
        return LIST
    return TEXT if isinstance(value, str) else NUMBER


def value_problem(value: Any) -> str:
    """What is wrong with a constant, in words; empty when nothing is."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return "" if len(value) <= MAX_WORD else f"a text has at most {MAX_WORD} characters"
    if not isinstance(value, int | float):
        return f"{value!r} is no number, text or true / false; missing(x) asks for what is absent"
    if abs(value) <= MAX_NUMBER:  # no NaN is
        return ""
    return f"a number lies between -{MAX_NUMBER:,.0f} and {MAX_NUMBER:,.0f}"


def member_problem(value: Any, kind: str) -> str:
    """Why a value of a list is never found where a `kind` is looked for, after the name of what is
    looked for; empty when it may be found."""
    own = kind_of(value)
    if kind == ANY or (kind == TEXT) is (own == TEXT):
        return ""
    instead = ""
    if own == NUMBER:
        instead = f"; write '{value}'"
    elif kind == NUMBER and NUMERAL.match(value):
        instead = f"; write {value}"
    shown = f"'{value}'" if own == TEXT else str(value).lower()
    return f"is a {kind} and {shown} in the list is a {own}: they never match{instead}"


def check_parameters(parameters: Values, known: Iterable[str]) -> None:
    """Parameters have plain names of their own and bounded values. Raises RuleError."""
    taken = set(known) | FUNCTIONS.keys() | CONSTANTS.keys()
    for name, value in parameters.items():
        if problem := _parameter_problem(name, value, taken):
            raise RuleError(f"parameter '{name}'{problem}", part="parameters")


def _parameter_problem(name: str, value: Any, taken: Collection[str]) -> str:
    """What is wrong with a parameter, after its name; empty when nothing is."""
    if not name.isidentifier() or keyword.iskeyword(name):
        return " needs a name of letters, digits and _"
    if name in taken:
        return " has the name of something else"
    items = value if isinstance(value, list) else [value]
    if len(items) > MAX_LIST:
        return f": a list has at most {MAX_LIST} values"
    problems = (found for item in items if (found := value_problem(item)))
    return f": {problem}" if (problem := next(problems, "")) else ""
