"""A number that ends in a half is rounded away from nothing on every panel, as people round."""

from models_registry.backtest_panels import count
from models_registry.drift_models import DriftStatistic
from models_registry.drift_panels import _row
from models_registry.evaluation_panels import audited_words
from models_registry.explanation_figures import feature_lines
from models_registry.metric_rows import to_one
from models_registry.tuning_panels import _summary

FOUND = {"seconds": 15, "trials": 9, "given_up": 0, "folds": 3, "best": 0.53125, "default": 0.5}
AUDITED = {"naive_recall": 0.5, "audited": 9, "drawn": 9, "audited_positives": 1, "answered": 1.0}


def test_counts_and_ratios_are_rounded_half_up():
    assert (count(2.5, about=False), count(4, about=True)) == ("3", "about 4")
    assert to_one(2.25) == "2.3:1"


def test_the_distances_of_drift_are_rounded_half_up():
    row = _row(DriftStatistic(psi=0.0625, bound=0.0625, chi2=2.25, name="amount"))
    assert (row.psi, row.chi2) == ("0.063", "2.3")
    assert row.hints["psi"] == "stays under 0.063 by chance"


def test_what_a_search_took_and_found_is_rounded_half_up():
    assert "in 0.3 minutes" in _summary(FOUND)
    assert "precision 0.5313" in _summary(FOUND)


def test_the_size_of_an_audit_and_an_average_share_are_rounded_half_up():
    assert audited_words({**AUDITED, "effective_size": 2.5})["effective"] == "3"
    features = [{"feature": "amount", "mean_abs": 0.03125, "mean": 0.0}]
    assert feature_lines(features)[0].mean_abs == "0.0313"
