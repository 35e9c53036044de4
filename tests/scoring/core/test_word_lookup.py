"""Words are found by what they are, by sound and one slip away: as their keys say, one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scoring.core import name_index, word_lookup
from scoring.core.word_keys import keys_of, own_key, slip_keys
from scoring.core.word_lookup import WordLookup, distinct, ranges
from tests.scoring.core.screening_lists import index_of

INDEX = index_of()
WORDS = list(INDEX.words)
KEYS = [keys_of(w, slips=not INDEX.only_join[number]) for number, w in enumerate(WORDS)]
written = st.text("aabdehiklmnorstuwжш", min_size=1, max_size=12)


@st.composite
def near_listed(draw):
    """A listed word, perhaps with letters put in, left out or changed."""
    word = draw(st.sampled_from(WORDS))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(word)))
        word = word[:at] + draw(st.sampled_from(["", *"aehlks"])) + word[at + draw(st.booleans()) :]
    return word or "a"


@given(st.lists(near_listed(), min_size=1, max_size=5, unique=True))
def test_words_looked_up_together_find_what_shares_a_key_with_each(words):
    for word, (_, found) in zip(words, INDEX.look(words), strict=True):
        keys = keys_of(word)
        assert found == [number for number, others in enumerate(KEYS) if keys & others]


@given(written)
def test_what_is_left_of_a_word_has_the_key_of_the_word_that_it_is(word):
    shorter = {word[:i] + word[i + 1 :] for i in range(len(word)) if len(word) > 2}
    assert slip_keys(word) == {own_key(other) for other in shorter}


def test_a_listed_word_is_known_by_its_number_and_its_neighbours_by_sound_and_slip():
    words = index_of().words
    lookup = WordLookup(words, INDEX.cluster, INDEX.only_join)
    number = lookup.number_of("rasskolnikow")
    assert words[number] == "rasskolnikow"
    assert number in lookup.related(number)
    assert lookup.number_of("rasskolnikov") == -1
    assert number in lookup.like("rasskolnikov", lookup.sounding_like("rasskolnikov"))


def test_who_looks_up_more_words_than_are_remembered_forgets_the_oldest_one_only(monkeypatch):
    monkeypatch.setattr(name_index, "REMEMBERED_WORDS", 3)
    index, looked = index_of([]), []
    look = index._look
    monkeypatch.setattr(index, "_look", lambda word: looked.append(word) or look(word))
    index.look(["ali", "boris", "chen", "dora"])
    index.look(["boris", "chen", "dora", "ali"])
    assert looked == ["ali", "boris", "chen", "dora", "ali"]


def test_what_a_listed_word_may_stand_for_is_kept_and_not_reckoned_again(monkeypatch):
    index = index_of()
    monkeypatch.setattr(word_lookup, "slip_keys", None)
    (known, found), _ = index.look(["rasskolnikow", "ali"])
    assert known.listed
    assert [index.words[number] for number in found] == ["rasskolnikow"]


def test_an_index_without_names_looks_up_nothing():
    known, found = index_of([]).look(["anybody"])[0]
    assert (known.cluster, known.listed, found) == (-1, False, [])


def test_runs_of_numbers_are_told_one_after_another():
    first, last = np.array([3, 7, 7]), np.array([5, 7, 9])
    assert ranges(first, last).tolist() == [3, 4, 7, 8]
    assert distinct(np.array([4, 1, 4, 2])).tolist() == [1, 2, 4]
