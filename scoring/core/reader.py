"""How a declaration is read: every problem is noted with its place, and all are told at once."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from scoring.core.shape import is_number

DURATION = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d)$")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST = 3660 * SECONDS["d"]
MOST_TOLD = 3
MOST_HINTS = 20
"""Problems of a declaration up to which is looked for what was meant: among 2,000 names it takes up
to 0.1 s each."""
MOST_KNOWN = 16
"""Names that a message lists; more would hide what it says."""
NUMBERS = ("number", "integer")


class SpecError(ValueError):
    """A detector that cannot be read. `problems` is a list of (place, message)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{place}: {message}" for place, message in problems))


class UnreadableDeclaration(SpecError):
    """A stored declaration that cannot be read any more: an older release wrote it, or somebody
    edited it where nothing checks it. Its text is for people: what, why, and what to do."""

    remedy = "Correct it in its editor, or load its file again (`manage.py load_detectors FILE`)."

    def __init__(self, slug: str, problems: list[tuple[str, str]]) -> None:
        super().__init__(problems)
        self.fault = f"The declaration of {slug} cannot be read any more ({in_brief(problems)})."

    def __str__(self) -> str:
        return f"{self.fault} {self.remedy}"


def in_brief(problems: list[tuple[str, str]]) -> str:
    """The first problems with their places, for a sentence."""
    told = "; ".join(f"{place}: {message}" for place, message in problems[:MOST_TOLD])
    return f"{told}; and more" if len(problems) > MOST_TOLD else told


def seconds(text: object) -> float:
    """Seconds of a duration such as `90s`, `1h`, `7d`. Raises ValueError on anything else."""
    found = DURATION.match(str(text))
    if found is None:
        raise ValueError(f"'{text}' is not a duration such as 10m, 1h, 7d")
    return float(found[1]) * SECONDS[found[2]]


def near_or_all(name: str, known: Iterable[str], *, listed: bool = True) -> str:
    """`; did you mean X?`, or what there is where nothing is near and it is short enough."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; here stand {', '.join(names)}" if listed and 0 < len(names) <= MOST_KNOWN else ""


class Reader:
    """Collects problems while a declaration is read.

    `event` is the declaration's section of that name, `fields` its schema's properties.
    """

    def __init__(self, event: Mapping[str, Any], *, stored: bool = False) -> None:
        self.event, self.stored = event, stored
        self.fields: Mapping[str, Any] = event.get("schema", {}).get("properties", {})
        self.problems: list[tuple[str, str]] = []

    def bad(self, place: str, message: str) -> None:
        """Note a problem."""
        self.problems.append((place, message))

    def only(self, place: str, given: Iterable[object], known: Iterable[str]) -> None:
        """Every key of `given` is a known setting: a misspelt one must not be passed over.

        In a stored declaration it is: nobody is there to be told, and events wait.
        """
        if self.stored:
            return
        for key in sorted(set(map(str, given)) - set(known)):
            self.bad(f"{place}.{key}" if place else key, f"is not a setting{self.hint(key, known)}")

    def hint(self, name: str, known: Iterable[str], *, listed: bool = True) -> str:
        """What to append to a message about a name that is not known: the nearest one, or all of
        a few. Nothing after many problems, and of a stored declaration, whose author is not here.
        """
        if self.stored or len(self.problems) >= MOST_HINTS:
            return ""
        return near_or_all(name, known, listed=listed)

    def known_field(self, place: str, name: object) -> str:
        """The name of an event's field."""
        if name is None:
            self.bad(place, "is missing: name a property of event.schema")
        elif not isinstance(name, str) or name not in self.fields:
            hint = self.hint(str(name), self.fields, listed=False)
            self.bad(place, f"'{name}' is not a property of event.schema{hint}")
        return str(name)

    def number_field(self, place: str, name: object) -> str:
        """The name of a field that can be computed with."""
        self.known_field(place, name)
        self.plays(place, name, types=(*NUMBERS, "boolean"))
        return str(name)

    def plays(self, place: str, name: object, *, types: tuple[str, ...], form: str = "") -> None:
        """The field is declared as something that can be read as its role asks."""
        rule = self.fields.get(str(name))
        if rule is None:
            return
        if rule["type"] not in types or (form and rule.get("format") != form):
            wanted = f"{types[0]} with format {form}" if form else " or ".join(types)
            self.bad(place, f"'{name}' must be declared as {wanted}")

    def duration(self, place: str, text: object) -> float:
        """Seconds, of up to ten years."""
        try:
            found = seconds(text)
        except ValueError as error:
            self.bad(place, str(error))
            return 1.0
        if found > LONGEST:
            self.bad(place, f"'{text}' is longer than ten years")
            return 1.0
        return found

    def span(self, place: str, text: object) -> float:
        """Seconds of something that something can happen in: longer than none."""
        found = self.duration(place, text)
        if found <= 0.0:
            self.bad(place, f"'{text}' is no time at all")
            return 1.0
        return found

    def number(self, place: str, value: object, *, low: float) -> float:
        """A number from `low`."""
        if isinstance(value, int | float) and is_number(value) and low <= value < 1e15:
            return float(value)
        self.bad(place, f"is a number from {low:g}")
        return low

    def truth(self, place: str, value: object) -> bool:
        """True or false; what was taken in before counts as Python has it."""
        if not (self.stored or isinstance(value, bool)):
            self.bad(place, "is true or false")
        return bool(value)

    def one_of(self, place: str, value: object, known: Iterable[str]) -> str:
        """One of a few words; `min-max` is `min_max`."""
        word = str(value).replace("-", "_")
        if word not in known:
            hint = self.hint(word, known, listed=False)
            self.bad(place, f"'{value}' is none of {', '.join(known)}{hint}")
        return word

    def items(self, place: str, config: Mapping[str, Any], key: str) -> list[Any]:
        """A list with at least one entry."""
        found = config.get(key)
        if not isinstance(found, list) or not found:
            self.bad(f"{place}.{key}", "needs a list with at least one entry")
            return []
        return found
