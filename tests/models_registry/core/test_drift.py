"""Drift against the reference: an effect and its significance; small samples are kept quiet."""

import numpy as np
import pytest
from scipy import stats

from models_registry.core.distances import number_bins, psi
from models_registry.core.drift import (
    LEAST_ROWS,
    Drift,
    chance_bound,
    chi2_quantile,
    feature_drifts,
    judge_drifts,
    measure_rate,
    measure_values,
    overall,
)
from models_registry.core.reference import describe_features, describe_values


def drift(reference, values, *, categorical=(), shares=True, sketch=True):
    described = describe_features(np.c_[reference], ["x"], categorical=categorical)
    for name, kept in (("shares", shares), ("sketch", shares and sketch)):
        if not kept:
            described["x"].pop(name, None)
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


@pytest.mark.parametrize(
    ("measured", "status"),
    [
        ({"psi": 0.099}, "stable"),
        ({"psi": 0.1}, "moderate"),
        ({"psi": 0.249}, "moderate"),
        ({"psi": 0.25}, "major"),
        ({"wasserstein": 0.125, "wasserstein_error": 0.03, "ks": 1.0}, "stable"),
        ({"wasserstein": 0.135, "wasserstein_error": 0.03}, "moderate"),
        ({"wasserstein": 0.525, "wasserstein_error": 0.03}, "moderate"),
        ({"wasserstein": 0.535, "wasserstein_error": 0.03}, "major"),
        ({"ks": 0.11, "ks_error": 0.02}, "stable"),
        ({"ks": 0.13, "ks_error": 0.02}, "moderate"),
        ({"ks": 0.26, "ks_error": 0.02}, "moderate"),
        ({"ks": 0.28, "ks_error": 0.02}, "major"),
        ({"change": 1.49, "psi": 1.0}, "stable"),
        ({"change": 1.5}, "moderate"),
        ({"change": 1.99}, "moderate"),
        ({"change": 2.0}, "major"),
        ({"change": 0.5}, "major"),
        ({"psi": 0.25, "p": 0.01}, "stable"),
        ({"psi": 0.25, "p": 0.0099}, "major"),
    ],
)
def test_a_verdict_needs_an_effect_and_its_significance(measured, status):
    (found,) = judge_drifts([Drift("x", **({"p": 1e-9} | measured))])
    assert found.status == status


def test_a_million_rows_do_not_flag_trivia():
    found = drift(normal(400_000), normal(400_000, seed=2, shift=0.03))
    assert found.p < 1e-6  # It is there, for sure,
    assert found.status == "stable"  # and it does not matter.


def test_a_shift_that_keeps_every_decile_is_seen_by_its_distance():
    reference = normal(5000)
    moved = normal(5000, seed=2)
    moved = np.where(moved > np.quantile(reference, 0.9), moved + 6.0, moved)
    found = drift(reference, moved)
    assert found.psi < 0.1 < 0.5 < found.wasserstein
    assert found.status == "major"


def test_distances_are_those_of_scipy_within_what_they_say():
    rng = np.random.default_rng(3)
    reference, values = rng.lognormal(3.0, 1.2, 80_000), rng.lognormal(3.1, 1.2, 4000)
    found = drift(reference, values)
    exact = stats.ks_2samp(reference, values).statistic
    work = stats.wasserstein_distance(reference, values) / reference.std()
    assert found.basis == "sketch"
    assert abs(found.ks - exact) <= found.ks_error < 0.003
    assert abs(found.wasserstein - work) <= found.wasserstein_error


def test_few_distinct_values_are_kept_exactly():
    rng = np.random.default_rng(3)
    reference, values = rng.poisson(4.0, 20_000).astype(float), rng.poisson(4.3, 3000).astype(float)
    found = drift(reference, values)
    assert found.basis == "exact"
    assert found.ks == pytest.approx(stats.ks_2samp(reference, values).statistic)
    work = stats.wasserstein_distance(reference, values) / reference.std()
    assert found.wasserstein == pytest.approx(work)


def test_chi_squared_is_that_of_scipy():
    rng = np.random.default_rng(3)
    reference, values = rng.choice([1.0, 2.0, 3.0], 3000), rng.choice([1.0, 2.0, 3.0], 2000)
    found = drift(reference, values, categorical=["x"])
    table = [[(part == level).sum() for level in (1.0, 2.0, 3.0)] for part in (reference, values)]
    assert found.chi2 == pytest.approx(stats.chi2_contingency(table).statistic)


def test_an_old_bundle_has_a_lower_bound_of_ks_and_no_wasserstein():
    reference, values = normal(5000), normal(5000, seed=2, shift=0.4)
    old, new = drift(reference, values, sketch=False), drift(reference, values)
    assert (old.basis, old.wasserstein) == ("binned", None)
    assert 0.5 * new.ks < old.ks <= new.ks + new.ks_error
    assert old.status == "moderate"


def test_nothing_is_said_of_too_few_rows_or_without_a_reference():
    few = drift(normal(5000), normal(312))
    assert (few.status, few.psi, few.reason) == ("unknown", None, "Needs 1,000 events, has 312.")
    assert drift(normal(5000), normal(LEAST_ROWS - 1, shift=9.0)).status == "unknown"
    assert "of training" in drift(normal(LEAST_ROWS - 1), normal(5000)).reason
    [found] = feature_drifts(np.c_[normal(1500)], ["x"], {})
    assert (found.status, found.psi) == ("unknown", None)
    assert "no reference" in found.reason


def test_what_was_always_missing_and_comes_now_is_drift():
    found = drift(np.full(1500, np.nan), normal(1500))
    assert (found.status, found.missing, found.reference_missing) == ("major", 0.0, 1.0)


def test_a_rate_that_doubles_is_major_though_its_psi_is_nothing():
    reference = {"rows": 60_000, "share": 0.01}
    [found] = judge_drifts(
        [measure_rate("r", positives=200, rows=10_000, reference=reference, what="x")]
    )
    assert (found.status, found.change) == ("major", pytest.approx(2.0))
    assert found.psi < 0.01


@pytest.mark.parametrize(
    ("positives", "rows", "reason"),
    [(3, 900, "Needs 1,000 labels, has 900."), (3, 2000, "Needs 10 of either kind")],
)
def test_a_rate_of_too_little_is_unknown(positives, rows, reason):
    reference = {"rows": 50_000, "share": 0.002}
    found = measure_rate("r", positives=positives, rows=rows, reference=reference, what="labels")
    assert found.status == "unknown"
    assert found.reason.startswith(reason)


def test_the_same_rate_is_stable():
    reference = {"rows": 60_000, "share": 0.01}
    measured = measure_rate("r", positives=104, rows=10_000, reference=reference, what="x")
    assert judge_drifts([measured])[0].status == "stable"


@pytest.mark.slow
def test_a_whole_check_hardly_ever_alarms_when_nothing_moved():
    """The full rates, with intervals and powers, are in docs/evidence/drift.md."""
    names = [f"f{i}" for i in range(15)]
    described = describe_features(normal(15_000).reshape(-1, 15), names)
    checks = [
        feature_drifts(normal(15_000, seed=seed).reshape(-1, 15), names, described)
        for seed in range(2, 202)
    ]
    assert np.mean([overall(check) != "stable" for check in checks]) <= 0.02


def test_each_feature_by_itself_would_alarm_more_often_than_all_of_them_together():
    described = describe_values(normal(1000))
    alone = [measure_values("x", normal(1000, seed=seed), described) for seed in range(2, 402)]
    assert 0.0 < np.mean([one.p < 0.05 for one in alone]) <= 0.07


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


@pytest.mark.parametrize("constant", [5.0, 0.1, 0.0])
@pytest.mark.parametrize("step", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("share", "status"), [(1.0, "major"), (0.025, "moderate"), (0.005, "stable")]
)
@pytest.mark.parametrize("sketch", [True, False])
def test_what_never_varied_drifts_in_either_direction(constant, step, share, status, sketch):
    moved = np.full(4000, constant)
    moved[: int(4000 * share)] += step
    found = drift(np.full(4000, constant), moved, sketch=sketch)
    assert (found.status, found.wasserstein) == (status, None)
    assert found.ks == pytest.approx(share)


@pytest.mark.parametrize(("to", "status"), [(0.05, "major"), (0.2, "major")])
def test_what_varied_by_rounding_only_drifts_by_the_share_that_moved(to, status):
    reference = np.where(np.arange(4000) % 100, 0.1, np.nextafter(0.1, 0.0))
    found = drift(reference, np.full(4000, to))
    assert (found.status, found.wasserstein, found.moved) == (status, None, 1.0)


def test_a_constant_of_an_old_bundle_has_no_spread_of_rounding():
    described = describe_features(np.c_[np.full(4000, 0.1)], ["x"])
    described["x"]["std"] = 1.4e-17
    [found] = feature_drifts(np.c_[np.where(np.arange(4000) % 100, 0.1, 0.2)], ["x"], described)
    assert (found.status, found.wasserstein) == ("stable", None)


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


@pytest.mark.parametrize(
    ("rate", "others", "status"),
    [
        ("stable", {}, "unknown"),
        ("moderate", {}, "moderate"),
        ("stable", {"score": "stable"}, "stable"),
        ("stable", {"feature": "stable"}, "stable"),
        ("unknown", {"feature": "stable"}, "stable"),
        ("stable", {"feature": "major"}, "major"),
    ],
)
def test_a_steady_rate_alone_calls_nothing_stable(rate, others, status):
    told = {"feature": "unknown", "score": "unknown"} | others
    found = [Drift(role, role, status=one) for role, one in told.items()]
    assert overall([*found, Drift("fraud rate", "rate", status=rate)]) == status


def test_columns_and_names_must_fit():
    with pytest.raises(ValueError, match="do not fit"):
        feature_drifts(np.zeros((5, 2)), ["a"], {})
