"""A warning that would come at every turn comes once in a while."""

import logging

from accounts.seldom import Seldom

LOGGER = logging.getLogger("tests.seldom")


def test_it_says_again_what_lasts_once_in_a_while_with_how_often_it_kept_silent(caplog):
    clock = iter([0.0, 1.0, 59.0, 60.0, 121.0])
    told = Seldom(LOGGER, clock=lambda: next(clock))
    for turn in range(5):
        told.warning("Redis is gone (%s).", turn)
    assert caplog.messages == [
        "Redis is gone (0).",
        "Redis is gone (3). 2 more since the last such line.",
        "Redis is gone (4).",
    ]
