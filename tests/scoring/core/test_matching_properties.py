"""What must hold for every name: order, case, marks, punctuation, unseen letters change nothing."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.core.name_search import find_matches
from scoring.core.screening import Qualifiers, find_parties
from tests.scoring.core.screening_lists import ENTRIES, company, index_of, person

INDEX = index_of()
NAMES = [name.text for entry in ENTRIES for name in entry.names if not name.weak]
LEAST = 0.3
listed = st.sampled_from(NAMES)
# Words that are no particles, and too short and too strange to be written as one with another.
word = st.text("bcdfgklmnprstvz", min_size=4, max_size=9)
people = st.lists(word, min_size=2, max_size=4, unique=True)
quick = settings(max_examples=60, deadline=None)


def scores(name):
    """Every match with its score, by the number of the listed name."""
    return {m.number: round(m.score, 9) for m in find_matches(INDEX, name, LEAST)}


def one_way(given_words, listed_words):
    index = index_of([company("1", " ".join(listed_words))])
    found = find_matches(index, " ".join(given_words), 0.0)
    return found[0].score if found else 0.0


@quick
@given(listed, st.randoms(use_true_random=False))
def test_the_order_of_words_changes_nothing(name, random):
    words = name.replace(",", " ").split()
    random.shuffle(words)
    assert max(scores(" ".join(words)).values()) == 1.0


@quick
@given(people, st.randoms(use_true_random=False))
def test_the_order_changes_no_score_of_anybody(words, random):
    shuffled = list(words)
    random.shuffle(shuffled)
    assert abs(one_way(words, words[:-1]) - one_way(shuffled, words[:-1])) < 1e-9


@quick
@given(listed, st.data())
def test_case_changes_nothing(name, data):
    other = "".join(c.upper() if data.draw(st.booleans()) else c.lower() for c in name)
    assert scores(other) == scores(name)


@quick
@given(listed, st.data())
def test_marks_change_nothing(name, data):
    marks = "\u0301\u0308\u030c\u0327"
    marked = "".join(
        c + data.draw(st.sampled_from(marks)) if c.isalpha() and data.draw(st.booleans()) else c
        for c in name
    )
    assert scores(unicodedata.normalize("NFC", marked)) == scores(name)


# Soft hyphen, zero-width space and joiners, direction marks, byte order mark, grapheme joiner,
# variation selectors, jamo fillers, a tag, a control character.
UNSEEN = (
    "\u00ad\u200b\u200c\u200d\u2060\u200e\u202e\u2069\u061c\ufeff"
    "\u034f\ufe0f\u180b\u1160\U000e0041\x01"
)


@quick
@given(listed, st.data())
def test_characters_that_nobody_sees_change_nothing(name, data):
    sown = "".join(c + data.draw(st.text(UNSEEN, max_size=2)) for c in name)
    assert scores(data.draw(st.sampled_from(["", UNSEEN * 30])) + sown) == scores(name)


@quick
@given(listed, st.sampled_from([" ", "  ", " - ", ", ", "\t", " / ", "\u00a0", "\u3164"]))
def test_punctuation_and_spaces_change_nothing(name, between):
    words = name.replace(",", " ").replace("-", " ").replace(".", "").split()
    assert scores(between.join(words)) == scores(" ".join(words))


@quick
@given(people)
def test_a_name_matches_itself_fully(words):
    assert one_way(words, words) == 1.0


@quick
@given(people, people)
def test_a_score_is_a_share_and_only_equals_reach_one(ours, theirs):
    score = one_way(ours, theirs)
    assert 0.0 <= score <= 1.0
    assert score < 1.0 or sorted(ours) == sorted(theirs)


@quick
@given(people, st.integers(0, 3), st.sampled_from("bcdfg"))
def test_a_slip_counts_the_same_in_either_name(words, which, letter):
    slipped = list(words)
    slipped[which % len(words)] += letter
    # Both words are strangers to the other list, so neither weighs more than the other.
    assert abs(one_way(words, slipped) - one_way(slipped, words)) < 0.02


countries = st.sampled_from(["RU", "DE", ""])
births = st.dates().filter(lambda day: abs(day.year - 1843) > 2)


@quick
@given(st.sampled_from(["Rodion Rasskolnikow", "Rodion R. Rasskolnikov", "Raskolnikow Rodion"]),
       births)  # fmt: skip
def test_qualifiers_raise_when_they_agree_and_lower_when_they_contradict(name, other):
    same = ENTRIES[0].born[0][0]

    def score(country="", born=None):
        return find_parties(INDEX, name, Qualifiers(country, born), 0.5)[0].score

    agreed = type(other).fromisoformat(same)
    assert score("DE", other) < score("", other) <= score() <= score("RU") <= score("RU", agreed)
    assert score("DE") < score()
    assert score("DE", agreed) >= score("DE")


def test_one_more_listed_party_changes_nothing_for_the_exact_name():
    more = index_of([*ENTRIES, person("9999", "Swidrigailow", "Arkadij")])
    assert find_matches(more, "Arkadij Swidrigailow", LEAST)[0].score == 1.0
