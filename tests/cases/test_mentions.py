"""Who a comment speaks to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.mentions import MOST_MENTIONS, mentioned_names, split_mentions

texts = st.text(st.sampled_from("@ab.-_ \n,éß1"), max_size=60)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ask @lead, please.", ["lead"]),
        ("@ana and @ben.k: look", ["ana", "ben.k"]),
        ("@ana @ana", ["ana"]),
        ("mail me at ana@example.com", []),
        ("@", []),
        ("@... and @-", []),
        ("(@zoë)", ["zoë"]),
        ("@ana.", ["ana"]),
        ("nobody", []),
    ],
)
def test_names_after_an_at_sign_are_mentioned(text, names):
    assert mentioned_names(text) == names


def test_nobody_can_mention_everybody():
    text = " ".join(f"@user{i}" for i in range(100))
    assert len(mentioned_names(text)) == MOST_MENTIONS


@given(texts)
def test_the_parts_of_a_text_are_the_text(text):
    names = frozenset(mentioned_names(text))
    parts = split_mentions(text, names)
    assert "".join(part for part, _ in parts) == text
    assert {part[1:] for part, marked in parts if marked} == names


@given(texts)
def test_only_known_names_are_marked(text):
    assert not any(marked for _, marked in split_mentions(text, frozenset()))
