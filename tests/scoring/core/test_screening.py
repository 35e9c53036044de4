"""What else an event says of a party moves a name's score; thresholds turn it into an outcome."""

from dataclasses import replace
from datetime import date

import pytest

from scoring.core.screening import ListScreener, Qualifiers, find_parties
from scoring.core.spec import ScreeningSpec
from scoring.core.types import Decision
from scoring.core.watchlist import ENTITY, PERSON, ListedEntry, ListedName
from tests.scoring.core.screening_lists import ENTRIES, company, index_of, person

INDEX = index_of()
CLOSE = "Rodion Rasskolnikov"  # Entry 1: RU, born on 1 May 1843; a letter off, a name missing.
BORN = date(1843, 5, 1)


def score_of(said, *, name=CLOSE, index=INDEX, least=0.5):
    found = find_parties(index, name, said, least)
    return found[0].score if found else None


ALONE = score_of(Qualifiers())


@pytest.mark.parametrize(
    ("country", "born", "shift"),
    [
        ("RU", None, 0.02),
        ("DE", None, -0.02),
        ("", BORN, 0.04),
        ("", date(1843, 9, 1), 0.0),
        ("", date(1844, 5, 1), 0.0),  # 366 days
        ("", date(1844, 5, 2), -0.08),
        ("", date(1842, 4, 30), 0.0),
        ("", date(1842, 4, 29), -0.08),
        ("RU", BORN, 0.06),
        ("DE", BORN, 0.02),
        ("RU", date(1950, 1, 1), -0.06),
        ("DE", date(1950, 1, 1), -0.1),
    ],
)
def test_a_party_is_found_from_the_very_score_that_country_and_birth_give_it(country, born, shift):
    said, score = Qualifiers(country, born), round(ALONE + shift, 4)
    assert score_of(said) == score
    assert score_of(said, least=score) == score
    assert score_of(said, least=score + 0.0001) is None


def test_what_a_list_does_not_say_changes_nothing():
    index = index_of([*ENTRIES, person("U", "Smerdyakow", "Pavel Fyodorovich")])
    plain = score_of(Qualifiers(), name="Pavel Smerdyakov", index=index)
    assert score_of(Qualifiers("DE", BORN), name="Pavel Smerdyakov", index=index) == plain > 0.5


def test_a_date_within_any_span_of_the_list_agrees():
    spans = (("1843-01-01", "1843-12-31"), ("1860-01-01", "1860-12-31"))
    index = index_of([*ENTRIES, person("U", "Smerdyakow", "Pavel Fyodorovich", born=spans)])
    plain = score_of(Qualifiers(), name="Pavel Smerdyakov", index=index)
    for born, shift in (
        (date(1843, 1, 1), 0.04),
        (date(1843, 12, 31), 0.04),
        (date(1860, 12, 31), 0.04),
        (date(1844, 1, 1), 0.0),
        (date(1852, 1, 1), -0.08),
    ):
        found = score_of(Qualifiers("", born), name="Pavel Smerdyakov", index=index)
        assert found == pytest.approx(plain + shift)


def test_a_score_is_never_above_one():
    exact = "Rodion Romanowitsch Rasskolnikow"
    assert score_of(Qualifiers("RU", BORN), name=exact) == 1.0


def hits(*, entries=None, **given):
    config = ScreeningSpec("name", "country", "born", review=0.9, **given.pop("bounds", {}))
    index = INDEX if entries is None else index_of(entries)
    return ListScreener(config, index).screen(given)


def test_a_name_blocks_from_the_threshold_on():
    for block, outcome in ((ALONE, Decision.BLOCK), (ALONE + 0.0001, Decision.REVIEW)):
        (hit,) = hits(name=CLOSE, bounds={"block": block})
        assert hit.outcome is outcome
    (raised,) = hits(name=CLOSE, country="Russia", born="1843-05-01T00:00:00Z")
    assert raised.score == pytest.approx(ALONE + 0.06)
    assert (raised.detail["country"], raised.detail["birth_date"]) == ("agrees", "agrees")


def test_an_embargoed_country_is_no_less_embargoed_for_being_risky():
    bounds = {"embargoed": frozenset({"KP"}), "high_risk": frozenset({"KP", "MM"})}
    assert [hit.outcome for hit in hits(country="KP", bounds=bounds)] == [Decision.BLOCK]
    assert [hit.outcome for hit in hits(country="MM", bounds=bounds)] == [Decision.REVIEW]
    assert hits(country="DE", bounds=bounds) == hits(bounds=bounds) == ()


def test_of_very_many_parties_the_ten_best_are_told_best_first():
    more = [company(f"S{i:02}", "SALTPETRE WORKS", "SALTPETER") for i in range(14)]
    found = hits(name="Saltpetre Works", entries=[*ENTRIES, *more])
    assert [hit.entry for hit in found] == [f"S{i:02}" for i in range(10)]
    assert {hit.matched for hit in found} == {"SALTPETRE WORKS"}


@pytest.mark.parametrize("odd", [7, None, True, ["Rodion Rasskolnikow"], {}, "", "  "])
def test_what_is_no_text_is_screened_as_nothing(odd):
    assert hits(name=odd, country=odd, born=odd) == ()


def test_a_company_that_bears_a_person_s_name_is_rather_another():
    name, names = "Zebulon Pike LLC", ENTRIES[6].names
    assert ENTRIES[6].kind == PERSON
    as_company = [replace(ENTRIES[6], kind=ENTITY), *ENTRIES[7:]]
    likely = score_of(Qualifiers(), name=name, index=index_of(as_company))
    assert score_of(Qualifiers(), name=name) == pytest.approx(0.9 * likely, abs=1e-4)
    assert score_of(Qualifiers(), name=names[0].text) == 1.0


def test_a_company_is_not_born():
    founded = ListedEntry(
        "C", ENTITY, (ListedName("SALTPETRE WORKS"),), born=(("1843-05-01",) * 2,)
    )
    index = index_of([*ENTRIES, founded])
    for born in (None, BORN, date(1950, 1, 1)):
        said = Qualifiers("", born)
        assert score_of(said, name="Saltpeter Works", index=index) == score_of(
            Qualifiers(), name="Saltpeter Works", index=index
        )


def test_a_weak_alias_counts_less_and_less_still_beside_other_words():
    strong = [
        replace(entry, names=tuple(name._replace(weak=False) for name in entry.names))
        for entry in ENTRIES
    ]
    for name, factor in (("Greybeard", 0.95), ("Greybeard Longfellow", 0.95 * 0.9)):
        known = score_of(Qualifiers(), name=name, index=index_of(strong), least=0.3)
        found = score_of(Qualifiers(), name=name, least=0.3)
        assert found == pytest.approx(factor * known, abs=1e-4)


def test_a_hit_says_in_words_what_was_found_and_what_speaks_against_it():
    (hit,) = hits(name=CLOSE, country="RU", born="1843-05-01")
    assert hit.text == (
        "99.81 % like 'Rasskolnikow, Rodion Romanowitsch' (entry 1, person); 1 word the same, "
        "1 close, 1 of the listed name missing; date of birth agrees; country agrees"
    )
    (alias,) = hits(name="Salpetra")
    assert alias.text == (
        "100 % like 'SALPETRA' (entry 6, entity); an alias of 'ORIENTAL SALTPETRE WORKS, S.A.'; "
        "1 word the same"
    )
    (weak,) = hits(name="Greybeard", country="DE")
    assert weak.text == (
        "95 % like 'GREYBEARD' (entry 7, person); a weak alias of 'PIKE, Zebulon'; 1 word the same"
    )
