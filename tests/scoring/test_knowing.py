"""What is known of a score, in words."""

from scoring.knowing import _span


def test_the_ends_of_a_band_are_rounded_half_up():
    assert (_span(12.5, 20.5), _span(2.25, 4.75)) == ("13\N{EN DASH}21 %", "2.3\N{EN DASH}4.8 %")
