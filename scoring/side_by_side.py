"""A screening hit beside the event that it was found in: the same parts marked on both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import JaroWinkler

from accounts import vault
from scoring.core.names import split_words
from scoring.core.screening import score_percent
from scoring.core.spec import DetectorSpec
from scoring.feature_store.history import clear
from scoring.models import Prediction
from scoring.screened import screening_hits

CLOSE = 0.82
"""Likeness of two words from which they are marked as close (Jaro-Winkler)."""
SAME, NEAR, OTHER = "same", "close", ""

Part = tuple[str, str]
"""(written word, `same`, `close` or empty)"""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing compared. `said` is the verdict in a word, empty where nothing can be said."""

    name: str
    given: Sequence[Part]
    listed: Sequence[Part]
    said: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A hit as stored, with its lines. `masked`: the event's side is personal data, not shown."""

    hit: Mapping[str, Any]
    lines: Sequence[Line]
    masked: bool


def compared_hits(
    row: Prediction, spec: DetectorSpec | None, *, reveal: bool = False
) -> list[Compared]:
    """Every screening hit of a prediction, side by side with its event."""
    return [_compared(hit, row, spec, reveal) for hit in screening_hits(row)]


def mark_words(text: str, others: Sequence[str]) -> list[Part]:
    """The written words of `text`, each with how well it is matched by one of the words `others`.

    Words that differ in case, accents or script only are the same.
    """
    known = [part for other in others for word in other.split() for part in split_words(word)]
    return [(word, _likeness(split_words(word), known)) for word in text.split()]


def _likeness(parts: Sequence[str], known: Sequence[str]) -> str:
    if not parts or not known:
        return OTHER
    if all(part in known for part in parts):
        return SAME
    best = min(max(JaroWinkler.similarity(part, one) for one in known) for part in parts)
    return NEAR if best >= CLOSE else OTHER


def _compared(
    hit: Mapping[str, Any], row: Prediction, spec: DetectorSpec | None, reveal: bool
) -> Compared:
    screening = None if spec is None else spec.screening
    if hit.get("kind") != "name" or spec is None or screening is None:
        return Compared(hit, [], masked=False)
    detail: Mapping[str, Any] = hit.get("detail") or {}
    given, masked = _given(row, spec, screening.name_field, reveal)
    matched = str(hit.get("matched", ""))
    alike = [str(word.get("listed", "")) for word in detail.get("words", ())]
    sure = {str(w.get("listed", "")) for w in detail.get("words", ()) if w.get("likeness") == 1.0}
    names = Line(
        name="name",
        given=[(given, OTHER)] if masked else mark_words(given, [matched]),
        listed=_listed(matched, alike, sure),
        said=score_percent(float(hit.get("score", 0.0))),
    )
    lines = [names]
    births = [_span(*span) for span in detail.get("listed_births", ())]
    lines += _fact(
        "born", row, spec, screening.birth_date_field, births, detail.get("birth_date"), reveal
    )
    countries = [str(code) for code in detail.get("listed_countries", ())]
    lines += _fact(
        "country", row, spec, screening.country_field, countries, detail.get("country"), reveal
    )
    return Compared(hit, lines, masked)


def _span(first: str, last: str) -> str:
    """When somebody may have been born: a day, a year, years, or from one day to another."""
    if first == last:
        return first
    if first.endswith("-01-01") and last.endswith("-12-31"):
        first, last = first[:4], last[:4]
    return first if first == last else f"{first} to {last}"


def _listed(matched: str, alike: Sequence[str], sure: set[str]) -> list[Part]:
    """The list's spelling; what was found the same or close in the event's name is marked."""
    found = []
    for word in matched.split():
        parts = split_words(word)
        if parts and all(part in sure for part in parts):
            found.append((word, SAME))
        else:
            near = bool(parts) and any(part in alike for part in parts)
            found.append((word, NEAR if near else OTHER))
    return found


def _fact(
    name: str,
    row: Prediction,
    spec: DetectorSpec,
    field: str,
    listed: Sequence[str],
    verdict: object,
    reveal: bool,
) -> list[Line]:
    given = _given(row, spec, field, reveal)[0] if field else ""
    if not given and not listed:
        return []
    said = str(verdict) if verdict in ("agrees", "contradicts") else ""
    mark = SAME if said == "agrees" else OTHER
    return [
        Line(
            name=name,
            given=[(given or "not said", mark if given else OTHER)],
            listed=[(", ".join(listed) or "not listed", mark if listed else OTHER)],
            said=said,
        )
    ]


def _given(row: Prediction, spec: DetectorSpec, field: str, reveal: bool) -> tuple[str, bool]:
    """(the event's value as it may be shown, whether it is masked)."""
    value = clear(row.event.get(field))
    if value is None:
        return "", False
    hidden = field in spec.pii_fields and not reveal
    return (vault.mask(str(value)), True) if hidden else (str(value), False)
