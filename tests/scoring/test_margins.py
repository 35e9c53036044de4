"""Every kind of margin has words, and its score leads back to it."""

import numpy as np
import pytest

from models_registry.core.learners.catalogue import LEARNERS
from scoring.core.inference import LINKS, score_of
from scoring.margins import LINK_OF, WORDS, margin_within


def test_every_link_has_words():
    assert set(WORDS) == set(LINKS)


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_the_link_of_a_learner_is_known_without_its_bundle(name):
    assert LINK_OF.get(name, "logit") == LEARNERS[name].link


@pytest.mark.parametrize(
    ("link", "margin"), [("logit", -1.5), ("isolation", -0.7), ("ratio", 3.0), ("share", 0.2)]
)
def test_a_score_leads_back_to_its_margin(link, margin):
    assert margin_within(float(score_of(np.array([margin]), link)[0]), link) == pytest.approx(
        margin
    )


@pytest.mark.parametrize(
    ("link", "amount", "text"),
    [
        ("logit", 0.7, "\N{MULTIPLICATION SIGN} 2.0"),
        ("isolation", -1.0, "÷ 2.0"),
        ("ratio", 0.4217, "+ 0.422"),
        ("share", -0.05, "\N{MINUS SIGN} 0.05"),
        ("share", 0.0001, "≈ 0"),
        ("ratio", 5e6, "+ > 1,000"),
    ],
)
def test_weights_say_what_they_do(link, amount, text):
    assert WORDS[link].weight(amount) == text


def test_a_column_of_weights_says_how_they_are_read():
    assert (WORDS["logit"].sign, WORDS["logit"].effect) == (
        "\N{MULTIPLICATION SIGN}",
        "Multiplies the odds",
    )
    assert (WORDS["share"].sign, WORDS["share"].effect) == ("+", "Adds to the share of votes")
