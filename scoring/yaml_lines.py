"""YAML with the line on which each value stands, so that a mistake can be pointed at."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from scoring.core.json_values import DEEPEST
from scoring.core.reader import SpecError


class _Loader(yaml.CSafeLoader):
    """YAML's own, but a date is the text that it is written as: JSON has no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _plain(loader: _Loader, node: yaml.ScalarNode) -> Any:
    """A number or a truth. Raises YAMLError for what is none, or larger than any float."""
    kind = node.tag.rpartition(":")[2]
    try:
        value = getattr(loader, f"construct_yaml_{kind}")(node)
        float(value)
    except (ValueError, OverflowError, LookupError) as error:
        said = f"is no {kind} that can be read"
        raise ConstructorError(None, None, said, node.start_mark) from error
    return value


# What JSON has too; of other tags (sets, dates, bytes) the line is told.
_Loader.yaml_constructors = {
    tag: yaml.SafeLoader.yaml_constructors[tag]
    for tag in (None, *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "str", "seq", "map")))
}
for _kind in ("int", "float", "bool"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _plain)
SECOND = "begins a second document: a text declares one thing, put the other in its own"
OTHERWISE = "this line, or the one above, is indented otherwise than its block"
MEANT = (
    ("did not find expected key", f"{OTHERWISE}, or a bracket or quote above is left open"),
    ("did not find expected '-'", OTHERWISE),
    (
        "mapping values are not allowed",
        "a key needs a blank behind its colon, also in the line above, and a text with a colon in"
        " it needs quotes",
    ),
    ("could not find expected ':'", "a key needs a colon and a blank behind it, in {since} too"),
    ("did not find expected ','", "the bracket of {since} is not closed"),
    ("unexpected end of stream", "the quote of {since} is not closed"),
    ("cannot start any token", "a text that begins with this character needs quotes"),
)
"""Part of what the parser says, and what whoever wrote the text has to look for."""
Problems = list[tuple[str, str]]
TOLD = re.compile(r"line (\d+)(?:: )?(.*)", re.DOTALL)
LAST_STEP = re.compile(r"(\.[^.\[\]]+|\[\d+\])$")


def read_yaml(text: str) -> tuple[Any, dict[str, int]]:
    """(value, line by place); places are written `rules[0].when`, lines count from 1.

    Raises SpecError for what is no YAML, for a key that is given twice, and for an alias: a few
    lines of them can stand for a million, or for themselves.
    """
    try:
        _refuse_aliases_and_depth(text)
        node = yaml.compose(text, Loader=_Loader)
        lines, twice = _lines_of(node)
        value = None if node is None else _Loader("").construct_document(node)
    except yaml.YAMLError as error:
        raise SpecError([_told(error, text)]) from error
    except UnicodeEncodeError as error:  # Half of a character, which no file can hold.
        raise SpecError([("line 1", "is not YAML")]) from error
    if twice:
        raise SpecError(twice)
    return value, lines


def _told(error: yaml.YAMLError, text: str) -> tuple[str, str]:
    """(line, what is wrong)"""
    if isinstance(error, ReaderError):
        line = text.encode()[: error.position].count(b"\n") + 1
        return f"line {line}", "has a character that YAML does not allow"
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return "line 1", "is not YAML"
    where = f"line {mark.line + 1}"
    if text[mark.index : mark.index + 1] == "\t":
        return where, "begins with a tab: YAML is indented with spaces"
    problem = getattr(error, "problem", None) or "is not YAML"
    if problem == "but found another document":
        return where, SECOND
    return where, problem + _meant(problem, getattr(error, "context_mark", None))


def _meant(problem: str, opened: yaml.Mark | None) -> str:
    """What the parser's words come to, for who wrote the text; empty where they say it."""
    since = f"line {opened.line + 1}" if opened else "a line above"
    for words, meaning in MEANT:
        if words in problem:
            return ": " + meaning.format(since=since)
    return ""


def _refuse_aliases_and_depth(text: str) -> None:
    """Before anything is made of it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        where = f"line {event.start_mark.line + 1}" if event.start_mark else ""
        if isinstance(event, yaml.AliasEvent):
            raise SpecError([(where, f"*{event.anchor}: aliases are not read, repeat it")])
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise SpecError([(where, "is nested too deeply")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _lines_of(node: yaml.Node | None) -> tuple[dict[str, int], Problems]:
    lines: dict[str, int] = {}
    twice: Problems = []
    for place, line in _walk(node, "") if node is not None else ():
        if place in lines:
            twice.append((f"line {line}: {place}", f"stands in line {lines[place]} already"))
        lines[place] = line
    return lines, twice


def _walk(node: yaml.Node, place: str) -> Iterator[tuple[str, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{place}.{key.value}" if place else str(key.value)
            # A block under a key starts on the next line; the key is what one looks for.
            yield inner, key.start_mark.line + 1
            yield from _inside(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _walk(value, f"{place}[{i}]")


def _inside(node: yaml.Node, place: str) -> Iterator[tuple[str, int]]:
    """What lies below a value whose own place has been told."""
    found = _walk(node, place)
    next(found)
    yield from found


def with_lines(problems: Problems, lines: Mapping[str, int]) -> Problems:
    """The problems in the order of the file, their places led by the line.

    A place that is not in the file (something is missing) gets the line of what should hold it.
    """
    found = []
    for place, message in problems:
        known = place
        while known and known not in lines:
            known = LAST_STEP.sub("", known) if LAST_STEP.search(known) else ""
        line = lines.get(known, 1)
        found.append((line, f"line {line}: {place}" if place else f"line {line}", message))
    return [(place, message) for _, place, message in sorted(found, key=lambda item: item[0])]


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a text, and the line, from 1."""

    line: int
    text: str


def mistakes_of(problems: Iterable[tuple[str, str]]) -> list[Mistake]:
    """Problems whose places are led by lines, in the order given; without one it is the first."""
    found = []
    for place, message in problems:
        told = TOLD.fullmatch(place)
        line, rest = (int(told[1]), told[2]) if told else (1, place)
        found.append(Mistake(line, f"{rest}: {message}" if rest else message))
    return found
