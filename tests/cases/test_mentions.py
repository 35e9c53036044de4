"""Who a comment speaks to."""

import pytest

from cases.mentions import MOST_MENTIONS, mentioned_names


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
