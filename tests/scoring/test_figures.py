"""Figures of predictions as data: names that stay apart and are told whole."""

from scoring.figures import Step, distinct, factor, waterfall

LONG = "different location values of this user in the 30 days up to 7 days ago"


def test_bars_of_one_name_stay_apart_and_no_name_is_cut():
    assert distinct([LONG, "Country", LONG]) == [LONG, "Country", f"{LONG} (2)"]


def test_the_waterfall_has_the_whole_name_of_each_bar():
    drawn = waterfall(0.0, [Step(LONG, 1.0, "x 2")], share=lambda margin: 0.5, noun="Score")
    assert drawn["data"][1]["y"] == [LONG]
    assert drawn["layout"]["yaxis"]["categoryarray"][1] == LONG


def test_a_factor_that_ends_in_a_half_is_rounded_away_from_nothing():
    assert (factor(1.0, base=14.5), factor(-1.0, base=2.25)) == ("\u00d7 15", "÷ 2.3")
