"""PSI against the reference, and the rule that keeps small samples quiet."""

import numpy as np
import pytest
from scipy import stats

from models_registry.core.drift import (
    LEAST_ROWS,
    chance_bound,
    chi2_quantile,
    feature_drifts,
    number_bins,
    overall,
    psi,
)
from models_registry.core.reference import describe_features


def drift(reference, values, *, categorical=(), shares=True):
    described = describe_features(np.c_[reference], ["x"], categorical=categorical)
    if not shares:
        described["x"].pop("shares", None)
    [found] = feature_drifts(np.c_[values], ["x"], described)
    return found


def normal(rows, *, seed=1, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(shift, scale, rows)


def test_psi_of_equal_shares_is_zero_and_known_shares_give_the_known_number():
    even = np.array([0.5, 0.5])
    assert psi(even, even, rows=1000) == 0.0
    skewed = np.array([0.6, 0.4])
    expected = 0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.4 / 0.5)
    assert psi(even, skewed, rows=1000) == pytest.approx(expected)
    assert psi(skewed, even, rows=1000) == pytest.approx(expected)


def test_the_same_distribution_is_stable():
    assert drift(normal(5000), normal(5000, seed=2)).status == "stable"


@pytest.mark.parametrize(("shift", "status"), [(0.4, "moderate"), (1.0, "major")])
def test_a_shift_is_seen(shift, status):
    assert drift(normal(5000), normal(5000, seed=2, shift=shift)).status == status


def test_small_samples_without_drift_hardly_ever_alarm():
    reference = normal(1000)
    samples = [normal(100, seed=seed) for seed in range(300)]
    found = [drift(reference, values) for values in samples]
    naive = np.mean([one.psi > 0.1 for one in found])
    assert naive > 0.2  # What a fixed bound of 0.1 would have done.
    assert np.mean([one.status != "stable" for one in found]) <= 0.03


def test_a_big_change_alarms_in_a_small_sample_too():
    assert drift(normal(1000), normal(100, seed=2, shift=2.0)).status == "major"


def test_nothing_is_said_of_too_few_rows_or_without_a_reference():
    assert drift(normal(5000), normal(LEAST_ROWS - 1)).status == "unknown"
    assert drift(normal(LEAST_ROWS - 1), normal(5000)).status == "unknown"
    [found] = feature_drifts(np.c_[normal(500)], ["x"], {})
    assert (found.status, found.psi) == ("unknown", None)
    assert drift(np.full(500, np.nan), normal(500)).status == "unknown"


@pytest.mark.parametrize("shares", [True, False])
@pytest.mark.parametrize("zeros", [0.05, 0.35, 0.399, 0.95, 1.0])
def test_a_frequent_value_is_no_drift_by_itself(zeros, shares):
    def draw(seed):
        rng = np.random.default_rng(seed)
        return np.where(rng.random(4000) < zeros, 0.0, rng.exponential(1.0, 4000))

    assert drift(draw(1), draw(2), shares=shares).status == "stable"


def test_more_of_a_frequent_value_is_drift():
    rng = np.random.default_rng(1)
    half, most = (np.where(rng.random(4000) < p, 0.0, rng.random(4000) + 1) for p in (0.5, 0.9))
    assert drift(half, most).status == "major"


def test_missing_values_have_a_bin_of_their_own():
    values = normal(3000, seed=2)
    values[:1500] = np.nan
    assert drift(normal(3000), values).status == "major"
    assert drift(values, values).psi == 0.0


def test_categories_are_compared_by_level_and_new_levels_count():
    rng = np.random.default_rng(1)
    reference = rng.choice([1.0, 2.0, 3.0], 3000)
    assert drift(reference, rng.choice([1.0, 2.0, 3.0], 3000), categorical=["x"]).status == "stable"
    assert drift(reference, rng.choice([1.0, 2.0, 9.0], 3000), categorical=["x"]).status == "major"


def test_chi2_quantiles_are_close_to_the_exact_ones():
    for degrees in (1, 2, 5, 9, 20):
        for level in (0.99, 0.9997):
            exact = stats.chi2.ppf(level, degrees)
            assert chi2_quantile(level, degrees) == pytest.approx(exact, rel=0.06)


def test_the_chance_bound_shrinks_with_more_rows():
    assert chance_bound(10, 100, 1000, 0.99) == pytest.approx(0.238, abs=0.01)
    assert chance_bound(10, 10_000, 10_000, 0.99) < 0.005
    assert chance_bound(1, 100, 100, 0.99) == 0.0


def test_old_bundles_without_shares_give_tenths_between_distinct_deciles():
    edges, shares = number_bins({"deciles": list(range(11))})
    assert (edges == np.arange(1, 10)).all()
    assert shares == pytest.approx([0.1] * 10)


def test_the_worst_feature_speaks_for_all():
    described = describe_features(np.c_[normal(2000), normal(2000, seed=5)], ["a", "b"])
    moved = np.c_[normal(2000, seed=2), normal(2000, seed=3, shift=2.0)]
    found = feature_drifts(moved, ["a", "b"], described)
    assert [one.status for one in found] == ["stable", "major"]
    assert overall(found) == "major"
    assert overall([]) == "unknown"


def test_columns_and_names_must_fit():
    with pytest.raises(ValueError, match="do not fit"):
        feature_drifts(np.zeros((5, 2)), ["a"], {})
