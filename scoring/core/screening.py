"""Sanctions screening: does a name or a country of the event stand on a list?

A name's score (scoring.core.matching) is raised by a country or a date of birth that agrees with
what the list says of the party, and lowered by one that contradicts it; what is unknown on either
side changes nothing. From `block` on a hit asks to block, from `review` on for a human.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Protocol

from scoring.core.countries import country_code, country_name
from scoring.core.matching import Match
from scoring.core.name_index import Listed, NameIndex
from scoring.core.name_search import search
from scoring.core.names import LONGEST_NAME, parse_name
from scoring.core.readings import other_readings
from scoring.core.spec import ScreeningSpec
from scoring.core.transliteration import without_unseen
from scoring.core.types import Decision, RiskLevel, ScreeningHit
from scoring.core.watchlist import ENTITY, PERSON, ListedEntry

MOST_HITS = 10
# Screenings that a screener keeps. Names stay in the memory of the process, as events do.
REMEMBERED = 4096
AGREES, CONTRADICTS, UNSAID = "agrees", "contradicts", "unknown"
COUNTRY_SHIFT = {AGREES: 0.02, CONTRADICTS: -0.02, UNSAID: 0.0}
# A birth date of another year speaks against a person more than a country, which people change.
BIRTH_SHIFT = {AGREES: 0.04, CONTRADICTS: -0.08, UNSAID: 0.0}
# Scores are rounded to four digits: one that lies this little below a threshold reaches it.
ROUNDING = 0.0001
# A weak alias is a reason to look, never to block; hardly that with more words than listed, or
# where it tells so few bits that many people are called so.
WEAK_FACTOR, WEAK_VAGUE_FACTOR, WEAK_ENOUGH = 0.95, 0.9, 16.0
COMPANY_FACTOR = 0.90
BIRTH_TOLERANCE_DAYS = 366


class Screener(Protocol):
    """Compiled lists and thresholds of one detector."""

    def screen(self, fields: Mapping[str, Any]) -> tuple[ScreeningHit, ...]:
        """Hits for the values of one event's fields, best first; empty when there are none."""


@dataclass(frozen=True, slots=True)
class Qualifiers:
    """What else the event says about the party: an alpha-2 code (or empty), a date of birth."""

    country: str = ""
    born: date | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A match of the index with its qualifiers, for one listed party."""

    match: Match
    listed: Listed
    score: float
    country: str
    birth: str


class ListScreener:
    """Screens events against the names of an index and the countries of a declaration."""

    def __init__(self, config: ScreeningSpec, index: NameIndex) -> None:
        self.config, self.index = config, index
        # A screening depends on its arguments and the index only, and payers come again.
        self._hits = lru_cache(maxsize=REMEMBERED)(self._screened)

    def screen(self, fields: Mapping[str, Any]) -> tuple[ScreeningHit, ...]:
        """See Screener. Values that are no text, name, country or date are left alone."""
        country = country_code(_text(fields, self.config.country_field))
        born = parse_date(_text(fields, self.config.birth_date_field))
        # Cut last, or blanks and what nobody sees would push the name out.
        name = " ".join(_text(fields, self.config.name_field).split())[:LONGEST_NAME]
        written = fields.get(self.config.name_field)
        if not (self.config.readings and isinstance(written, str)):
            written = ""
        elif " ".join(written.split())[:LONGEST_NAME] == name:
            written = name  # However many blanks: what comes again is not compared again.
        return self._hits(name, country, born, written)

    def _screened(
        self, name: str, country: str, born: date | None, written: str
    ) -> tuple[ScreeningHit, ...]:
        hits = self._country_hits(country)
        if name:
            others = other_readings(written, self.config.readings)
            found = self._found(((name, ""), *others), Qualifiers(country, born))
            hits += [self._name_hit(finding, how) for finding, how in found[:MOST_HITS]]
        return tuple(sorted(hits, key=lambda hit: (-_RANK[hit.outcome], -hit.score, hit.entry)))

    def _found(
        self, readings: tuple[tuple[str, str], ...], said: Qualifiers
    ) -> list[tuple[Finding, str]]:
        """Parties, each by the reading that it is most like; among equals as written."""
        best: dict[tuple[str, str], tuple[Finding, str]] = {}
        for name, how in readings:
            for finding in find_parties(self.index, name, said, self.config.review):
                key = (finding.listed.digest, finding.listed.entry.id)
                if key not in best or finding.score > best[key][0].score:
                    best[key] = (finding, how)
        return sorted(best.values(), key=lambda f: (-f[0].score, f[0].listed.entry.id))

    def _country_hits(self, code: str) -> list[ScreeningHit]:
        if code in self.config.embargoed:
            return [_country_hit(code, "embargoed", RiskLevel.CRITICAL, Decision.BLOCK)]
        if code in self.config.high_risk:
            return [_country_hit(code, "high_risk", RiskLevel.HIGH, Decision.REVIEW)]
        return []

    def _name_hit(self, found: Finding, how: str) -> ScreeningHit:
        blocks = found.score >= self.config.block
        listed = found.listed
        return ScreeningHit(
            kind="name",
            list_name=listed.list_name,
            list_digest=listed.digest,
            entry=listed.entry.id,
            matched=listed.name.text,
            score=found.score,
            severity=RiskLevel.CRITICAL if blocks else RiskLevel.HIGH,
            outcome=Decision.BLOCK if blocks else Decision.REVIEW,
            text=f"{explain(found)}; the name was read {how}" if how else explain(found),
            detail=_detail(found),
        )


_RANK = {Decision.APPROVE: 0, Decision.REVIEW: 1, Decision.BLOCK: 2}


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name) if name else None
    return without_unseen(value).strip() if isinstance(value, str) else ""


def parse_date(text: str) -> date | None:
    """The day of an ISO date or date-time; None for anything else."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def find_parties(
    index: NameIndex, name: str, qualifiers: Qualifiers, least: float
) -> list[Finding]:
    """Listed parties that `name` may be, with a score of at least `least`, best first.

    Of a party's names the best match counts.
    """
    form = parse_name(name)
    company = form.is_company
    # What the event does not say can raise no score.
    most = (COUNTRY_SHIFT[AGREES] if qualifiers.country else 0.0) + (
        BIRTH_SHIFT[AGREES] if qualifiers.born else 0.0
    )
    best: dict[tuple[str, str], Finding] = {}
    read: dict[int, ListedEntry] = {}
    for match in search(index, form, least - most - ROUNDING, once=True):
        finding = _qualified(match, index.listed(match.number, read), qualifiers, company)
        key = (finding.listed.digest, finding.listed.entry.id)
        if finding.score >= least and (key not in best or finding.score > best[key].score):
            best[key] = finding
    return sorted(best.values(), key=lambda f: (-f.score, f.listed.entry.id))


def _qualified(match: Match, listed: Listed, said: Qualifiers, company: bool) -> Finding:
    score = match.score
    if listed.name.weak:
        vague = match.extra or match.told < WEAK_ENOUGH
        score *= WEAK_FACTOR * (WEAK_VAGUE_FACTOR if vague else 1.0)
    if company and listed.entry.kind == PERSON:
        score *= COMPANY_FACTOR
    country = _country(said.country, listed.entry.countries)
    birth = _birth(said.born, listed)
    score += COUNTRY_SHIFT[country] + BIRTH_SHIFT[birth]
    return Finding(match, listed, round(min(max(score, 0.0), 1.0), 4), country, birth)


def _country(said: str, known: tuple[str, ...]) -> str:
    if not said or not known:
        return UNSAID
    return AGREES if said in known else CONTRADICTS


def _birth(said: date | None, listed: Listed) -> str:
    """Agrees within a span of the list, contradicts when more than a year off all of them."""
    if said is None or not listed.entry.born or listed.entry.kind == ENTITY:
        return UNSAID
    off = []
    for first, last in listed.entry.born:
        early = (date.fromisoformat(first) - said).days
        late = (said - date.fromisoformat(last)).days
        off.append(max(early, late, 0))
    if min(off) == 0:
        return AGREES
    return CONTRADICTS if min(off) > BIRTH_TOLERANCE_DAYS else UNSAID


def explain(found: Finding) -> str:
    """One sentence for an analyst; it names the list's spelling, never the given one."""
    match, listed = found.match, found.listed
    said = [f"{score_percent(found.score)} like '{listed.name.text}' (entry {listed.entry.id}"]
    said[0] += f", {listed.entry.kind})" if listed.entry.kind != "unknown" else ")"
    if len(listed.entry.names) and listed.entry.names[0].text != listed.name.text:
        alias = "a weak alias" if listed.name.weak else "an alias"
        said.append(f"{alias} of '{listed.entry.names[0].text}'")
    exact = sum(pair.likeness == 1.0 for pair in match.pairs)
    close = len(match.pairs) - exact
    words = [f"{exact} word{'s' * (exact != 1)} the same"] if exact else []
    words += [f"{close} close"] if close else []
    words += [f"{len(match.missing)} of the listed name missing"] if match.missing else []
    words += [f"{len(match.extra)} more than listed"] if match.extra else []
    said.append(", ".join(words))
    if found.birth != UNSAID:
        said.append(f"date of birth {found.birth}")
    if found.country != UNSAID:
        said.append(f"country {found.country}")
    return "; ".join(said)


def score_percent(score: float) -> str:
    """Exact, as scores have four digits: what misses a threshold is not told as reaching it."""
    return f"{score * 100.0:.2f}".rstrip("0").rstrip(".") + " %"


def once_worded(hit: Mapping[str, Any]) -> dict[str, Any]:
    """A stored hit as releases before 2026-12 said it: whole percents, and `a alias`. Decisions of
    then are replayed to the last word."""
    text = str(hit.get("text", ""))
    if hit.get("kind") == "name":
        text = text.replace(f"{score_percent(hit['score'])} like", f"{hit['score']:.0%} like", 1)
        text = text.replace("); an alias of '", "); a alias of '", 1)
    return {**hit, "text": text}


def _detail(found: Finding) -> dict[str, Any]:
    """The parts of the score. Words of the given name stay out: they are personal data."""
    match, entry = found.match, found.listed.entry
    return {
        "kind": entry.kind,
        "programs": entry.programs,
        "primary_name": entry.names[0].text,
        "weak_alias": found.listed.name.weak,
        "name_score": round(match.score, 4),
        "words": [{"listed": pair.listed, "likeness": pair.likeness} for pair in match.pairs],
        "missing": list(match.missing),
        "extra_words": len(match.extra),
        "similarity": round(match.similarity, 4),
        "listed_share": round(match.listed_share, 4),
        "given_share": round(match.given_share, 4),
        "country": found.country,
        "listed_countries": list(entry.countries),
        "birth_date": found.birth,
        "listed_births": [list(span) for span in entry.born],
    }


def _country_hit(code: str, list_name: str, level: RiskLevel, outcome: Decision) -> ScreeningHit:
    word = "an embargoed" if outcome is Decision.BLOCK else "a high-risk"
    return ScreeningHit(
        kind="country",
        list_name=list_name,
        list_digest="",
        entry=code,
        matched=country_name(code),
        score=1.0,
        severity=level,
        outcome=outcome,
        text=f"{country_name(code)} is {word} country",
        detail={"country": code},
    )
