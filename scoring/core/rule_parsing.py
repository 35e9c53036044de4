"""The text of a condition -> its tree (scoring.core.expressions compiles it).

What is refused here is told with the column where it stands, also where the text ends too early.
"""

import ast
import io
import re
import tokenize

from scoring.core.vocabulary import CONSTANTS, FUNCTIONS, MAX_NODES, MAX_TEXT, RuleError

UNWRITABLE = re.compile("[\0\ud800-\udfff]")
"""What Python's parser stops at without saying where."""
NO_EXPRESSION = "this is not an expression"
OTHER_WAYS = (
    (re.compile(r"(?<![<>=!])=(?!=)"), "write == to compare"),
    (re.compile(r"&&"), "write 'and'"),
    (re.compile(r"\|\|"), "write 'or'"),
    (re.compile(r"<>"), "write !="),
    (re.compile(r"!(?!=)"), "write 'not'"),
    (re.compile(r"\b(?:AND|OR|NOT|IN)\b"), "and, or, not and in are written in small letters"),
)
"""How other languages say it, and how rules do."""
CLOSES = {")": "(", "]": "[", "}": "{"}


def parse_condition(text: str) -> tuple[str, int, ast.Expression]:
    """The text on one line, where it starts, and its tree. Raises RuleError, whose column counts
    through the whole text (`at_line`)."""
    if len(text) > MAX_TEXT:
        raise RuleError(f"a rule has at most {MAX_TEXT} characters")
    if "\\" in text:
        raise RuleError("a rule has no backslash", text.index("\\") + 1)
    if odd := UNWRITABLE.search(text):
        raise RuleError("this character is none of a rule", odd.start() + 1)
    # Lines are for the reader. Spaces keep every column where it was.
    line = "".join(" " if mark.isspace() else mark for mark in text)
    start = len(line) - len(line.lstrip())
    try:
        tree = ast.parse(line[start:], mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refusal(line, start, error) from error
    if sum(isinstance(node, ast.expr) for node in ast.walk(tree)) > MAX_NODES:
        raise RuleError(f"a rule has at most {MAX_NODES} parts")
    # A comment would hide what stands behind it, now that the text is one line.
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line[start:]).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise RuleError(NO_EXPRESSION) from error
    for token in tokens:
        if token.type == tokenize.COMMENT:
            raise RuleError("a rule has no comment", token.start[1] + start + 1)
    return line, start, tree


def at_line(error: RuleError, text: str) -> RuleError:
    """The refusal with its line and the column in it, where the condition has several lines."""
    if error.column is None or "\n" not in text.strip():
        return error
    before = text[: error.column - 1].rpartition("\n")
    line = text.count("\n", 0, error.column - 1) + 1
    return RuleError(error.reason, len(before[2]) + 1, line=line, part=error.part)


def _refusal(line: str, start: int, error: Exception) -> RuleError:
    """Why the text is no expression, and where: the parser tells no place where the text ends too
    early, so that one is looked for here."""
    end = len(line.rstrip())
    if end == 0:
        return RuleError("the condition is empty")
    if not isinstance(error, SyntaxError):
        return RuleError(NO_EXPRESSION)
    place = (error.offset or 0) + start
    if place <= start or place > end:
        place = end + 1
    column, said = _unpaired(line) or (place, "")
    if said and column <= place:
        return RuleError(said, column)
    if place > end:
        return RuleError("the condition is not finished", place)
    return RuleError(NO_EXPRESSION + _written_here(line, place), place)


def _written_here(line: str, place: int) -> str:
    """What to write, where the parser stopped at a word or a sign of another language; its place
    may be in the middle of the sign."""
    for pattern, advice in OTHER_WAYS:
        if any(found.start() < place <= found.end() for found in pattern.finditer(line)):
            return f": {advice}"
    return ""


def _unpaired(line: str) -> tuple[int, str] | None:
    """The column of the first quote or bracket without its other half, and what is wrong."""
    opened: list[tuple[int, str]] = []
    quote = (0, "")
    for column, mark in enumerate(line, start=1):
        if quote[1]:
            quote = (0, "") if mark == quote[1] else quote
        elif mark in "'\"":
            quote = (column, mark)
        elif mark in CLOSES.values():
            opened.append((column, mark))
        elif mark in CLOSES:
            if not opened:
                return column, f"'{mark}' closes nothing"
            if (other := opened.pop()[1]) != CLOSES[mark]:
                return column, f"'{mark}' does not close '{other}'"
    if quote[1]:
        return quote[0], "the text that begins here has no closing quote"
    return (opened[-1][0], f"'{opened[-1][1]}' is not closed") if opened else None


def names_in(text: str) -> set[str]:
    """Every name that a text uses, functions and constants left out; none of a broken one."""
    try:
        _, _, tree = parse_condition(text)
    except RuleError:
        return set()
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found - FUNCTIONS.keys() - CONSTANTS.keys()
