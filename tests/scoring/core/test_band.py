"""The band of a probability: read from a bundle, moved on the scale of log-odds, never a crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.core.band import KEY, band_of, shifted

GROUPS = [
    {"begin": 0.0, "end": 0.5, "rows": 90, "hits": 9, "expected": 10.0,
     "shift_low": -1.0, "shift_high": 0.5},
    {"begin": 0.5, "end": 1.0, "rows": 40, "hits": 30, "expected": 31.0,
     "shift_low": -0.2, "shift_high": 0.2},
]  # fmt: skip
MANIFEST = {KEY: {"groups": GROUPS}}
shares = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-6, 1.0 - 1e-6))


@given(shares)
def test_a_probability_lies_in_its_band_where_no_shift_is_allowed_too(p):
    band = band_of(MANIFEST, p)
    assert band is not None
    assert 0.0 <= band.low <= p + 1e-12 and p - 1e-12 <= band.high <= 1.0


@given(shares, shares)
def test_within_a_group_the_riskier_event_has_the_higher_band(a, b):
    low, high = sorted((a, b))
    if (low < 0.5) == (high < 0.5):
        first, second = band_of(MANIFEST, low), band_of(MANIFEST, high)
        assert first.low <= second.low and first.high <= second.high


def test_each_probability_belongs_to_one_group_and_one_to_the_last():
    assert [band_of(MANIFEST, p).rows for p in (0.0, 0.49, 0.5, 1.0)] == [90, 90, 40, 40]


@given(st.floats(0.001, 0.999), st.floats(-5, 5))
def test_a_shift_is_undone_by_its_opposite(p, shift):
    assert shifted(shifted(p, shift), -shift) == pytest.approx(p)


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {KEY: {}},
        {KEY: None},
        {KEY: {"groups": [{"end": 1.0}]}},
        {KEY: {"groups": 7}},
        {KEY: {"groups": [GROUPS[0] | {"rows": 0}]}},
        {KEY: {"groups": [GROUPS[0] | {"shift_low": 2.0}]}},
    ],
)
def test_a_bundle_without_sound_bands_has_none(manifest):
    assert band_of(manifest, 0.4) is None


def test_without_a_probability_there_is_no_band():
    assert band_of(MANIFEST, None) is None
