"""Bounds leave out nobody: the search finds what the plain scorer finds among all names."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.core import name_search, screening
from scoring.core.likeness import make_query
from scoring.core.name_search import compare, find_matches, search
from scoring.core.names import PLAIN, parse_name
from scoring.core.screening import ListScreener
from scoring.core.spec import ScreeningSpec
from scoring.core.watchlist import Records
from scoring.core.word_keys import keys_of
from tests.scoring.core.screening_lists import ENTRIES, company, index_of, person

PEOPLE = [
    person("1", "Rasskolnikow", "Rodion Romanowitsch"),
    person("2", "Madariaga Quiroga", "Nicanor", "Nico Madariaga"),
    person("3", "al-Khwarizmi", "Muhammad ibn Musa", "Al-Khorezmi"),
    person("4", "Tae", "Jong Un"),
    person("5", "Khan", "Ali", "Ali Khan the Second"),
    company("6", "Oriental Saltpetre Works, S.A.", "Salpetra"),
    person("7", "Romanowa", "Maria", "Maria Rodionowna"),
]
INDEX, LARGE = index_of(PEOPLE), index_of()
NAMES = [name.text for entry in PEOPLE for name in entry.names]
LETTERS = "abdehiklmnorstuw"


@st.composite
def written(draw):
    """A listed name with words dropped, borrowed from another one, turned round, and slips."""
    words = draw(st.sampled_from(NAMES)).replace(",", " ").split()
    words += draw(st.lists(st.sampled_from(" ".join(NAMES).split()), max_size=1))
    words = draw(st.permutations(words))[: draw(st.integers(1, len(words)))]
    text = " ".join(words)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(text) - 1))
        letter = draw(st.sampled_from(["", *LETTERS]))
        text = text[:place] + letter + text[place + draw(st.integers(0, 1)) :]
    return text


def plainly(index, name, least):
    """What the scorer says of every name of the index, one by one, without any bound."""
    query = make_query(index, parse_name(name))
    everyone = np.arange(index.names, dtype=np.int32)
    return compare(index, query, everyone, least, bounded=False)


def can_be_looked_up(match):
    """Whether a paired word is the same, sounds the same or is one slip away: what the index finds.

    Small words lead to nobody, and listed words written as one are known as they are only.
    """
    return any(
        is_plain(pair.given)
        and is_plain(pair.listed)
        and keys_of(pair.given.replace(" ", ""))
        & keys_of(pair.listed.replace(" ", ""), slips=" " not in pair.listed)
        for pair in match.pairs
    )


def is_plain(text):
    return any(word.kind == PLAIN for word in parse_name(text, whole=False).words)


@settings(max_examples=200, deadline=None)
@given(written(), st.sampled_from([0.80, 0.84, 0.90, 0.97]))
def test_the_search_finds_what_the_plain_scorer_finds_among_all_names(name, least):
    if parse_name(name).words:
        plain, found = plainly(INDEX, name, least), find_matches(INDEX, name, least)
        assert found == [match for match in plain if match in found or can_be_looked_up(match)]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([n.text for entry in ENTRIES for n in entry.names]), written())
def test_bounds_drop_no_name_of_a_larger_list(listed, other):
    name = f"{listed.split()[0]} {other}"
    query = make_query(LARGE, parse_name(name))
    some = np.arange(0, LARGE.names, 7, dtype=np.int32)
    bounded = compare(LARGE, query, some, 0.8)
    assert bounded == compare(LARGE, query, some, 0.8, bounded=False)


@settings(max_examples=60, deadline=None)
@given(written(), st.sampled_from([0.80, 0.90]))
def test_the_best_name_of_every_party_is_kept_when_lesser_ones_are_left_out(name, least):
    form = parse_name(name)
    best = {}
    for match in search(INDEX, form, least):
        best.setdefault(INDEX.listed(match.number).entry.id, match.score)
    once = {}
    for match in search(INDEX, form, least, once=True):
        once.setdefault(INDEX.listed(match.number).entry.id, match.score)
    assert once == best


def test_a_name_that_comes_again_is_not_compared_again(monkeypatch):
    config = ScreeningSpec(name_field="name", country_field="", lists=("test_list",))
    screener = ListScreener(config, INDEX)
    once = screener.screen({"name": "Rodion  Rasskolnikow "})
    monkeypatch.setattr(screening, "find_parties", None)
    assert once
    assert screener.screen({"name": "Rodion Rasskolnikow"}) == once


def test_a_party_is_read_once_for_all_its_names_that_match(monkeypatch):
    read, entries = [], Records.__getitem__
    monkeypatch.setattr(
        Records, "__getitem__", lambda self, number: read.append(number) or entries(self, number)
    )
    assert screening.find_parties(INDEX, "Maria Rodionowna Romanowa", screening.Qualifiers(), 0.5)
    assert len(read) == 1


def test_a_name_that_several_parties_share_is_paired_once(monkeypatch):
    paired, score_one = [], name_search.score_one
    monkeypatch.setattr(
        name_search, "score_one", lambda *args: paired.append(args) or score_one(*args)
    )
    index = index_of([company(str(i), "Salpetra Works") for i in range(4)])
    found = screening.find_parties(index, "Salpetra Works", screening.Qualifiers(), 0.9)
    assert [(f.listed.entry.id, f.score) for f in found] == [(str(i), 1.0) for i in range(4)]
    assert len(paired) == 1
