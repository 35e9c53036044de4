"""A name that hides a listed one is read as what it may stand for; others are read once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.core.readings import HIDDEN, MOST_READINGS, other_readings
from scoring.core.screening import ListScreener, Qualifiers, explain, find_parties
from scoring.core.spec import ScreeningSpec
from scoring.core.types import Decision
from tests.scoring.core.screening_lists import ENTRIES, FILLERS, index_of, person

INDEX = index_of()
SPEC = ScreeningSpec(
    name_field="name", country_field="country", birth_date_field="born", lists=("test_list",),
    review=0.9, block=0.97, embargoed=frozenset(), high_risk=frozenset(),
)  # fmt: skip
SCREENER = ListScreener(SPEC, INDEX)
ORDINARY = [*FILLERS, *(name.text for entry in ENTRIES for name in entry.names)]


@pytest.mark.parametrize(
    ("written", "how"),
    [
        ("Nicanor\u200bMadariaga Quiroga", "nobody sees"),
        ("NicanorMadariagaQuiroga", "capitals"),
        ("NicanorMadariaga Quiroga", "capitals"),
        ("N i c a n o r Madariaga Quiroga", "single letters"),
        ("N i c a n o r M a d a r i a g a Quiroga", "single letters"),
        ("Nicanor Madariaga Quiroga and Anna Gulfen", "several parties"),
        ("Anna Gulfen & Nicanor Madariaga Quiroga", "several parties"),
        ("Anna Gulfen/Nicanor Madariaga Quiroga", "several parties"),
        ("Nicanor Madariaga Quiroga & X", "several parties"),
        ("A B & C D & E F & G H & I J & K L & M N & Nicanor Madariaga Quiroga", "several parties"),
    ],
)
def test_a_listed_name_that_is_written_otherwise_is_found(written, how):
    (hit,) = SCREENER.screen({"name": written})
    assert (hit.entry, hit.outcome) == ("2", Decision.BLOCK)
    assert how in hit.text


def test_a_listed_name_in_letters_that_the_tables_do_not_know_is_found():
    entries = [person("1", "MA", "Xiaohong"), person("2", "AZHAR", "Masud"), *ENTRIES]
    index = index_of(entries)
    screener = ListScreener(SPEC, index)
    for written, entry in (
        *(("马晓红", "1"), ("馬曉紅 / Anna Gulfen", "1"), ("Mr 马晓红。", "1")),
        *(("马晓红 and Anna Gulfen", "1"), ("李方伟、马晓红", "1"), ("মাসুদ আজহার", "2")),
    ):
        (hit,) = screener.screen({"name": written})
        assert (hit.entry, "the name was read" in hit.text) == (entry, True)
    before = ListScreener(replace(SPEC, readings=HIDDEN), index)
    assert before.screen({"name": "马晓红"}) == ()


def test_both_of_two_listed_parties_are_found():
    hits = SCREENER.screen({"name": "Nicanor Madariaga Quiroga and Zebulon Pike"})
    assert {hit.entry for hit in hits} == {"2", "7"}


@pytest.mark.parametrize(
    "name",
    [
        *("J R Madariaga", "Smith and Sons", "John Smith and Sons", "Smith & Co", "Anna McGulfen"),
        *("José Müller", "RASSKOLNIKOW", "iPhone Shop", "al-Otaibi", "Anna & Bert"),
    ],
)
def test_a_name_without_a_sign_is_read_once(name):
    assert other_readings(name) == ()


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("JoséÁlvarez", "José Álvarez"),
        ("ІванІваненко", "Іван Іваненко"),
        ("ΓιώργοςΠαπάς", "Γιώργος Παπάς"),
        ("McGulfen", "Mc Gulfen"),
    ],
)
def test_capitals_of_every_script_part_a_name_that_is_one_word(name, reading):
    assert [text for text, _ in other_readings(name)] == [reading]


def test_names_as_listed_and_ordinary_ones_give_what_they_gave():
    for name in ORDINARY:
        assert other_readings(name) == ()
        found = find_parties(INDEX, name, Qualifiers(), SPEC.review)[:10]
        texts = sorted(hit.text for hit in SCREENER.screen({"name": name}))
        assert texts == sorted(explain(finding) for finding in found)


@given(st.text(st.sampled_from("aB и毛&/;\u200b"), max_size=400))
def test_readings_are_few_whatever_is_written(name):
    assert len(other_readings(name)) <= MOST_READINGS
