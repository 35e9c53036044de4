import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from models_registry.core.metrics import (
    at_threshold,
    average_precision,
    bootstrap_interval,
    brier_score,
    calibration_points,
    count_of,
    entity_precision_at_k,
    entity_precision_ceiling,
    expected_calibration_error,
    precision_recall_points,
    recall_at_false_positive_rate,
    roc_auc,
    roc_points,
    value_detection_rate,
)

RNG = np.random.default_rng(3)
LABELS = (RNG.random(500) < 0.1).astype(int)
SCORES = np.round(RNG.random(500) + 0.4 * LABELS, 2)

scored_rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=60
).filter(lambda rows: len({label for label, _ in rows}) == 2)


@given(scored_rows)
def test_the_ranking_metrics_equal_scikit_learns_with_ties(rows):
    labels, scores = np.array(rows).T
    assert roc_auc(labels, scores * 0.1) == pytest.approx(sk.roc_auc_score(labels, scores))
    expected = sk.average_precision_score(labels, scores)
    assert average_precision(labels, scores * 0.1) == pytest.approx(expected)


def test_weights_count_like_repeated_rows():
    weights = RNG.integers(0, 4, 500)
    repeated = np.repeat(np.arange(500), weights)
    assert average_precision(LABELS, SCORES, weights.astype(float)) == pytest.approx(
        average_precision(LABELS[repeated], SCORES[repeated])
    )


def test_precision_recall_and_f1_equal_scikit_learns():
    found, flagged = at_threshold(LABELS, SCORES, 0.8), SCORES >= 0.8
    assert found.precision == pytest.approx(sk.precision_score(LABELS, flagged))
    assert found.recall == pytest.approx(sk.recall_score(LABELS, flagged))
    assert found.f1 == pytest.approx(sk.f1_score(LABELS, flagged))
    assert found.alert_rate == pytest.approx(flagged.mean())
    assert found.false_positive_rate == pytest.approx(flagged[LABELS == 0].mean())


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(0, 4), st.integers(0, 3)),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 4),
)
def test_no_ranking_is_above_the_ceiling_and_labels_reach_it_where_a_day_has_room(rows, k):
    labels, scores, cards, days = np.array(rows).T
    ceiling = entity_precision_ceiling(labels, cards, days, k)
    assert entity_precision_at_k(labels, scores * 0.1, cards, days, k) <= ceiling + 1e-12
    perfect = entity_precision_at_k(labels, labels.astype(float), cards, days, k)
    assert perfect <= ceiling + 1e-12
    if all(np.unique(cards[(labels == 1) & (days == day)]).size <= k for day in set(days)):
        assert perfect == pytest.approx(ceiling)


def test_the_ceiling_holds_where_a_day_has_more_bad_entities_than_places():
    # Ranking by labels takes the entity that comes back tomorrow; a luckier one does not.
    labels, cards, days = np.array([1, 1, 1]), np.array([0, 1, 0]), np.array([0, 0, 1])
    assert entity_precision_at_k(labels, labels.astype(float), cards, days, 1) == 0.5
    assert entity_precision_at_k(labels, np.array([0.5, 0.9, 0.9]), cards, days, 1) == 1.0
    assert entity_precision_ceiling(labels, cards, days, 1) == 1.0


def test_recall_at_a_false_positive_rate_equals_scikit_learns_curve():
    false, true, _ = sk.roc_curve(LABELS, SCORES, drop_intermediate=False)
    expected = true[false <= 0.05].max()
    assert recall_at_false_positive_rate(LABELS, SCORES, 0.05) == pytest.approx(expected)


def test_the_brier_score_equals_scikit_learns():
    p = np.clip(SCORES, 0, 1)
    assert brier_score(LABELS, p) == pytest.approx(sk.brier_score_loss(LABELS, p))


def test_questions_without_an_answer_give_nan():
    none = np.zeros(4)
    for metric in (roc_auc, average_precision, recall_at_false_positive_rate):
        assert np.isnan(metric(none, np.arange(4.0)))
    assert np.isnan(value_detection_rate(none, none, none, 0.5))


def test_an_entity_counts_once_a_day_by_its_highest_score():
    labels, scores = np.array([1, 0, 0]), np.array([0.2, 0.9, 0.8])
    cards, days = np.array(["a", "a", "b"]), np.zeros(3)
    assert entity_precision_at_k(labels, scores, cards, days, k=1) == 1.0


def test_an_entity_once_found_is_not_found_again():
    labels, scores = np.array([1, 1, 0]), np.array([0.9, 0.9, 0.1])
    cards, days = np.array(["a", "a", "b"]), np.array([0, 1, 1])
    assert entity_precision_at_k(labels, scores, cards, days, k=1) == 0.5


def test_an_entity_that_was_missed_stays_in_the_game():
    labels, scores = np.array([1, 0, 1]), np.array([0.1, 0.9, 0.9])
    cards, days = np.array(["a", "b", "a"]), np.array([0, 0, 1])
    assert entity_precision_at_k(labels, scores, cards, days, k=1) == 0.5


def test_the_value_detection_rate_weighs_frauds_by_their_amount():
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.1, 0.5, 0.4])
    amounts = np.array([30.0, 10.0, 500.0, np.nan])
    assert value_detection_rate(labels, scores, amounts, 0.25) == 0.75


def test_so_many_of_n_are_as_many_as_the_decimals_say():
    percents = [count_of(percent / 100.0, n) for n in (100, 1000) for percent in range(101)]
    assert percents == [percent * n // 100 for n in (100, 1000) for percent in range(101)]
    assert all(count_of(k / n, n) == k for n in (3, 49, 93, 10_007) for k in range(n + 1))
    assert [count_of(0.29, 103), count_of(0.999999, 10**6), count_of(0.5, 0)] == [29, 999_999, 0]


def test_the_riskiest_29_of_100_events_are_29():
    ranked = np.linspace(1.0, 0.0, 100)
    last = (np.arange(100) == 28).astype(int)
    assert value_detection_rate(last, ranked, np.ones(100), 0.29) == 1.0
    # Of 100 negatives 29 may be flagged before the only positive.
    labels = (np.arange(101) == 29).astype(int)
    assert recall_at_false_positive_rate(labels, np.linspace(1.0, 0.0, 101), 0.29) == 1.0


def test_an_unknown_amount_of_a_fraud_counts_as_the_median_one():
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.1, 0.5, 0.4])
    amounts = np.array([np.nan, 10.0, 30.0, 500.0])
    assert value_detection_rate(labels, scores, amounts, 0.25) == 0.75


def test_honest_probabilities_have_a_small_calibration_error():
    p = RNG.random(20000)
    labels = (RNG.random(20000) < p).astype(int)
    assert expected_calibration_error(labels, p) < 0.02
    assert expected_calibration_error(labels, p**3) > 0.1
    assert len(calibration_points(labels, p)) == 10


def test_the_points_of_the_curves_are_those_that_a_hand_computes():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    assert roc_points(labels, scores) == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    expected = [(0.5, 1), (0.5, 0.5), (1, 2 / 3), (1, 0.5)]
    assert precision_recall_points(labels, scores) == expected


@pytest.mark.parametrize("label", [0, 1])
def test_where_all_are_of_one_kind_there_is_no_roc_curve(label):
    assert roc_points(np.full(3, label), np.arange(3.0)) == []
    assert bool(precision_recall_points(np.full(3, label), np.arange(3.0))) is bool(label)


def test_curves_are_thinned_but_keep_their_ends():
    roc = roc_points(LABELS, RNG.random(500), size=20)
    assert len(roc) <= 21
    assert (roc[0], roc[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert precision_recall_points(LABELS, SCORES, size=20)[-1][0] == 1.0


def test_a_bootstrap_interval_holds_the_mean_and_repeats_with_its_seed():
    values = RNG.normal(5.0, 1.0, 400)
    low, high = bootstrap_interval(lambda rows: float(values[rows].mean()), 400, seed=1)
    assert low < values.mean() < high
    assert high - low == pytest.approx(4 / 20, rel=0.3)
    again = bootstrap_interval(lambda rows: float(values[rows].mean()), 400, seed=1)
    assert again == (low, high)
