"""A report: sections of sentences, each with the stored fact that it states."""

from dataclasses import dataclass, field
from datetime import datetime

LONGEST_TEXT = 500
"""Characters of what somebody wrote; all of it stands where the number leads."""
LONGEST_SENTENCE = 1000


@dataclass(frozen=True, slots=True)
class Fact:
    """A stored row: what it is, its key, where to see it, and its fingerprint where it has one."""

    kind: str
    key: str
    url: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement and the number of its fact in the report's list of sources."""

    text: str
    number: int
    url: str
    source: str
    inner: bool = False


@dataclass(slots=True)
class Section:
    """Sentences within a bound of `lines` and `letters`; `left_out` counts those beyond it."""

    title: str
    sentences: list[Sentence] = field(default_factory=list)
    lines: int = 50
    letters: int = 5_000
    left_out: int = 0

    def takes(self, text: str) -> bool:
        """Whether there is room for it; it is counted either way."""
        fits = self.left_out == 0 and self.lines > 0 and self.letters >= len(text)
        if fits:
            self.lines, self.letters = self.lines - 1, self.letters - len(text)
        else:
            self.left_out += 1
        return fits


@dataclass(slots=True)
class Report:
    """Sections of sentences, and the facts behind them in the order of their numbers."""

    title: str
    subtitle: str
    made_at: datetime
    made_by: str
    revealed: bool
    sections: list[Section] = field(default_factory=list)
    numbers: dict[Fact, int] = field(default_factory=dict)

    @property
    def facts(self) -> list[Fact]:
        return list(self.numbers)

    def say(self, text: str, fact: Fact, *, inner: bool = False) -> None:
        """Add a sentence to the last section, if it has room."""
        text = cut(text, LONGEST_SENTENCE)
        if self.sections[-1].takes(text):
            self._add(self.sections[-1], text, fact, inner=inner)

    def section(self, title: str, *, lines: int = 50, letters: int = 5_000) -> None:
        self.sections.append(Section(title, lines=lines, letters=letters))

    def end(self, fact: Fact) -> None:
        """Let each section say how much it leaves out, and drop those that say nothing."""
        for section in self.sections:
            if section.left_out:
                what = (
                    "1 more statement"
                    if section.left_out == 1
                    else (f"{section.left_out} more statements")
                )
                self._add(section, f"{what} left out here: see the page of the case.", fact)
        self.sections = [section for section in self.sections if section.sentences]

    def _add(self, section: Section, text: str, fact: Fact, *, inner: bool = False) -> None:
        number = self.numbers.setdefault(fact, len(self.numbers) + 1)
        section.sentences.append(Sentence(text, number, fact.url, f"{fact.kind} {fact.key}", inner))


def cut(text: str, longest: int = LONGEST_TEXT) -> str:
    """The beginning of a text that is longer."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
