import numpy as np
import pytest

from models_registry.core.calibration import (
    BETTER,
    FEW,
    TOO_FEW,
    choose_calibration,
    fit_calibration,
    fit_isotonic,
    fit_platt,
)
from models_registry.core.metrics import brier_score, expected_calibration_error
from scoring.core.inference import score_of

RNG = np.random.default_rng(7)
MARGINS = RNG.normal(-3.0, 2.0, 20000)


def labels_from(probability: np.ndarray) -> np.ndarray:
    return (RNG.random(probability.size) < probability).astype(int)


LABELS = labels_from(score_of(0.5 * MARGINS - 1.0, "logit"))


def test_platt_finds_the_slope_and_intercept_that_made_the_labels():
    found = fit_platt(MARGINS, LABELS)
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.intercept == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic, fit_calibration])
def test_calibrated_probabilities_are_honest_on_other_rows(fit):
    found = fit(MARGINS[:10000], LABELS[:10000])
    raw = score_of(MARGINS[10000:], "logit")
    calibrated = found.probability(MARGINS[10000:])
    assert expected_calibration_error(LABELS[10000:], calibrated) < 0.02
    assert brier_score(LABELS[10000:], calibrated) < brier_score(LABELS[10000:], raw)


def test_the_isotonic_map_keeps_order_and_shuns_0_and_1():
    perfect = (MARGINS > 0).astype(int)
    probabilities = fit_isotonic(MARGINS, perfect).probability(np.sort(MARGINS))
    assert (np.diff(probabilities) >= 0).all()
    assert probabilities.min() > 0
    assert probabilities.max() < 1


def test_a_curve_that_is_no_logistic_gets_an_isotonic_map():
    odd = labels_from(np.where(MARGINS > -3.0, 0.3, 0.02))
    assert fit_calibration(MARGINS, odd).kind == "isotonic"


def test_few_positives_get_platt_and_hardly_any_get_nothing():
    few, hardly = np.zeros(20000, dtype=int), np.zeros(20000, dtype=int)
    few[:12], hardly[:3] = 1, 1
    assert fit_calibration(MARGINS, few).kind == "platt"
    assert fit_calibration(MARGINS, hardly).kind == "none"


@pytest.mark.parametrize("rare", [0, 1])
@pytest.mark.parametrize(
    ("older", "newer", "why"),
    [(2, 2, TOO_FEW), (3, 2, FEW), (0, 40, FEW), (19, 30, FEW), (30, 19, FEW), (20, 20, BETTER)],
)
def test_both_are_tried_where_each_half_has_twenty_of_the_rarer_kind(rare, older, newer, why):
    labels = np.full(400, 1 - rare)
    labels[:older] = labels[200 : 200 + newer] = rare
    found, told = choose_calibration(MARGINS[:400], labels)
    assert told["why"] == why
    assert found.kind == told["chosen"]
    assert ("brier" in told) is (why == BETTER)


@pytest.mark.parametrize("rows", [2000, 20000])
def test_what_errs_less_on_the_newer_half_is_fitted_on_all_rows(rows):
    margins, labels, half = MARGINS[:rows], LABELS[:rows], rows // 2
    found, told = choose_calibration(margins, labels)
    fits = {"platt": fit_platt, "isotonic": fit_isotonic}
    for name, fit in fits.items():
        trial = fit(margins[:half], labels[:half]).probability(margins[half:])
        assert told["brier"][name] == pytest.approx(brier_score(labels[half:], trial))
    assert told["chosen"] == min(fits, key=told["brier"].__getitem__)
    assert found == fits[told["chosen"]](margins, labels)


@pytest.mark.parametrize("margins", [-MARGINS, np.zeros(20000), np.full(20000, 0.1)])
def test_margins_that_say_nothing_get_nearly_the_overall_rate(margins):
    probabilities = fit_platt(margins, LABELS).probability(margins)
    assert probabilities.mean() == pytest.approx(LABELS.mean(), rel=0.05)
    assert np.isfinite(fit_platt(margins, LABELS).intercept)
    assert abs(fit_platt(margins, LABELS).slope) < 1e3


def test_separable_classes_do_not_break_the_fit():
    margins = np.concatenate([np.full(50, -30.0), np.full(50, 30.0)])
    found = fit_platt(margins, (margins > 0).astype(int))
    assert found.probability(np.array([30.0]))[0] == pytest.approx(51 / 52, abs=0.01)


def test_tied_margins_get_one_probability():
    margins = np.repeat([0.0, 1.0, 2.0], 100)
    labels = np.tile([0] * 9 + [1], 30)
    found = fit_isotonic(margins, labels)
    assert found.probability(np.array([1.0]))[0] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1.0, 1e3, 1e7])
@pytest.mark.parametrize("known", [True, False])
def test_platt_gives_the_same_whatever_the_unit_of_margins(factor, known):
    rng = np.random.default_rng(7)
    labels = (np.arange(2000) % 40 == 0).astype(int)
    margins = rng.normal(size=2000) + (2.0 * labels if known else 0.0)
    usual = np.asarray(fit_platt(margins, labels).probability(margins))
    scaled = factor * margins
    found = np.asarray(fit_platt(scaled, labels).probability(scaled))
    assert found == pytest.approx(usual, rel=1e-4)


def test_margins_that_say_nothing_give_every_row_the_rate_however_far_it_lies():
    rng = np.random.default_rng(3)
    margins = 5_000.0 * rng.standard_t(1.5, size=3000)
    labels = np.zeros(3000, dtype=int)
    labels[np.argsort(margins)[:10]] = 1  # The lowest: higher margins are not riskier at all.
    found = np.asarray(fit_platt(margins, labels).probability(margins))
    assert found == pytest.approx(np.full(3000, 11 / 3002), rel=5e-3)
    assert (np.diff(found[np.argsort(margins)]) >= 0).all()
