"""Every number of an evaluation: by hand, by scikit-learn, and with an interval that holds."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from models_registry.core.evaluation import evaluate
from models_registry.core.intervals import _level
from models_registry.core.judgement import Traffic
from models_registry.core.kept_metrics import cards_in
from models_registry.core.metrics import cards_a_day
from scoring.core.decision import Thresholds
from scoring.core.shares import wilson
from scoring.core.spec import CostSpec

DAY = 86400.0
COSTS = CostSpec(review_cost=5.0, false_block_cost=20.0, loss_share=1.0, capacity=0.5)
BOUNDS = Thresholds(review=0.3, block=0.8, medium=0.3, high=0.5, critical=0.8)
BY_HAND = {
    "labels": np.array([1, 1, 0, 1, 0, 0, 0, 0]),
    "risk": np.array([0.9, 0.6, 0.85, 0.1, 0.4, 0.2, 0.05, 0.01]),
    "amounts": np.array([100.0, 50.0, 30.0, 40.0, 20.0, 10.0, 10.0, 10.0]),
    "entities": np.array([1, 2, 3, 1, 4, 5, 6, 7]),
    "event_time": np.arange(8) * DAY / 4,
}

TIGHT = replace(COSTS, capacity=0.02)


def judge(given, *, calibrated=True, bounds=BOUNDS, costs=TIGHT, **more):
    more = {"entities_a_day": 100} | more
    return evaluate(**given, calibrated=calibrated, thresholds=bounds, costs=costs, **more)


def drawn(n=4000, entities=400, seed=0):
    """Events of entities, some of which are bad for a while; risk is the true probability."""
    rng = np.random.default_rng(seed)
    entity = rng.integers(0, entities, n)
    burden = rng.beta(0.1, 4.0, entities)
    risk = np.clip(burden[entity] * rng.uniform(0.3, 1.7, n), 1e-4, 0.999)
    return {
        "labels": (rng.random(n) < risk).astype(int),
        "risk": risk,
        "amounts": rng.exponential(80.0, n),
        "entities": entity,
        "event_time": np.sort(rng.uniform(0, 7 * DAY, n)),
    }


def test_what_can_be_computed_by_hand_is_that():
    found, _ = judge(BY_HAND, costs=COSTS)
    # Flagged: 0.9 (bad, blocked), 0.85 (good, blocked), 0.6 (bad), 0.4 (good); missed: 0.1, 40.
    assert found["precision"] == pytest.approx(2 / 4, abs=1e-9)
    assert found["recall"] == pytest.approx(2 / 3, abs=1e-9)
    assert found["f1"] == pytest.approx(4 / 7, abs=1e-9)
    assert found["alert_rate"] == pytest.approx(0.5, abs=1e-9)
    assert found["false_alerts_per_true_alert"] == pytest.approx(1.0, abs=1e-9)
    assert found["cost_per_event"] == pytest.approx((20 + 5 + 5 + 40) / 8, abs=1e-9)
    # Without a model: approving all loses 190, reviewing all costs 40.
    assert found["savings"] == pytest.approx(1 - 70 / 40, abs=1e-9)
    assert found["value_detection_rate"] == pytest.approx(150 / 190, abs=1e-9)
    # Day one: cards 1, 2, 3, 1 (0.9, 0.6, 0.85); card 1 and 2 are found, nothing on day two.
    assert found["entity_precision_at_100"] == pytest.approx((0.02 + 0.0) / 2, abs=1e-9)


@pytest.mark.parametrize(
    ("capacity", "events", "k"),
    [(0.02, 4000, 10), (0.01, 4000, 6), (0.07, 4000, 40), (0.0001, 4000, 1), (0.5, 4000, 100)],
)
def test_card_precision_is_at_what_people_can_see_a_day_and_named_so(capacity, events, k):
    assert cards_a_day(capacity, events, 7) == k
    found, _ = judge(drawn(events), costs=replace(COSTS, capacity=capacity), entities_a_day=None)
    name = f"entity_precision_at_{k}"
    assert list(cards_in(found)) == [name] == list(cards_in(found["intervals"]))
    assert found[name] <= found["ceilings"][name]


def test_the_k_of_card_precision_counts_events_without_a_label_too():
    given = drawn()
    traffic = Traffic(np.tile(given["risk"], 2), np.tile(given["entities"], 2),
                      np.tile(given["event_time"], 2))  # fmt: skip
    found, _ = judge(given, resamples=0, traffic=traffic, entities_a_day=None)
    assert list(cards_in(found).values()) == [20]


def test_what_scikit_learn_computes_is_that_to_1e_9():
    given = drawn()
    labels, risk = given["labels"], given["risk"]
    found, _ = judge(given, resamples=0)
    flagged = risk >= BOUNDS.review
    expected = {
        "roc_auc": sk.roc_auc_score(labels, risk),
        "average_precision": sk.average_precision_score(labels, risk),
        "precision": sk.precision_score(labels, flagged),
        "recall": sk.recall_score(labels, flagged),
        "f1": sk.f1_score(labels, flagged),
        "brier": sk.brier_score_loss(labels, risk),
    }
    false, true, _ = sk.roc_curve(labels, risk, drop_intermediate=False)
    expected["recall_at_1pct_fpr"] = true[false <= 0.01].max()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def test_the_calibration_error_is_the_gap_of_ten_equal_groups():
    given = drawn()
    found, _ = judge(given, resamples=0)
    order = np.argsort(given["risk"], kind="stable")
    gaps = [
        len(group) * abs(given["risk"][group].mean() - given["labels"][group].mean())
        for group in np.array_split(order, 10)
    ]
    assert found["calibration_error"] == pytest.approx(sum(gaps) / 4000, abs=1e-9)


def test_every_metric_has_an_interval_around_it():
    found, curves = judge(drawn())
    plain = {"rows", "positives", "intervals", "resampled", "thresholds", "ceilings"}
    told = set(found) - plain
    assert set(found["intervals"]) == told
    for name, (low, high) in found["intervals"].items():
        assert low <= found[name] <= high, name
        assert low < high, name
    how = found["resampled"]
    told = {name: how.pop(name) for name in ("positive_blocks", "legitimate_blocks")}
    assert how == {"unit": "entity", "blocks": 400, "resamples": 400}
    assert told == pytest.approx({"positive_blocks": 22.9, "legitimate_blocks": 362.5}, abs=0.1)
    for point in curves["calibration"]:
        assert point["low"] <= point["observed"] <= point["high"]


def test_the_same_seed_gives_the_same_intervals():
    assert judge(drawn(), seed=4)[0]["intervals"] == judge(drawn(), seed=4)[0]["intervals"]


def test_bursts_on_one_entity_widen_the_interval():
    given = drawn()
    alone = judge(given | {"entities": np.arange(4000)})[0]["intervals"]["brier"]
    bursts = judge(given)[0]["intervals"]["brier"]
    assert bursts[1] - bursts[0] > alone[1] - alone[0]


def test_a_recall_of_one_is_not_called_certain():
    given = drawn()
    found, _ = judge(given | {"risk": given["labels"] * 0.9 + 0.05})
    assert found["recall"] == 1.0
    assert found["intervals"]["recall"][0] < 1.0


def test_what_every_draw_finds_perfect_is_not_called_certain():
    given = drawn()
    found, _ = judge(given | {"risk": given["labels"] * 0.9 + 0.05})
    assert found["recall_at_1pct_fpr"] == found["roc_auc"] == found["average_precision"] == 1.0
    assert found["intervals"]["recall_at_1pct_fpr"] == found["intervals"]["recall"]
    for name in ("roc_auc", "average_precision"):
        assert np.isnan(found["intervals"][name]).all(), name
    assert found["false_alerts_per_true_alert"] == 0.0
    low, high = found["intervals"]["precision"]
    bounds = found["intervals"]["false_alerts_per_true_alert"]
    assert bounds == pytest.approx((1.0 / high - 1.0, 1.0 / low - 1.0)) and bounds[1] > 0.0


@pytest.mark.parametrize("right", [True, False])
def test_an_f1_that_no_draw_changes_is_as_unsure_as_what_it_is_made_of(right):
    given = drawn()
    risk = given["labels"] * 0.9 + 0.05 if right else np.where(given["labels"] == 1, 0.05, 0.95)
    found, _ = judge(given | {"risk": risk})
    (p_low, p_high), (r_low, r_high) = (
        found["intervals"][name] for name in ("precision", "recall")
    )
    ends = 2 * p_low * r_low / (p_low + r_low or 1.0), 2 * p_high * r_high / (p_high + r_high)
    assert found["f1"] == float(right)
    assert found["intervals"]["f1"] == pytest.approx(ends) and ends[0] < ends[1]


def test_a_risk_that_tells_no_event_apart_keeps_its_exact_area():
    found, _ = judge(drawn() | {"risk": np.full(4000, 0.1)})
    assert found["intervals"]["roc_auc"] == pytest.approx((0.5, 0.5))


def test_without_amounts_or_probabilities_their_metrics_are_left_out():
    given = drawn() | {"amounts": np.full(4000, np.nan)}
    found, curves = judge(given, calibrated=False)
    absent = {"cost_per_event", "savings", "value_detection_rate", "brier", "calibration_error"}
    assert not absent & (set(found) | set(found["intervals"]))
    assert "calibration" not in curves


def test_without_positives_there_is_no_number_to_tell():
    given = drawn() | {"labels": np.zeros(4000, int)}
    found, _ = judge(given)
    assert np.isnan(found["recall"])
    assert np.isnan(found["intervals"]["average_precision"]).all()


def test_wilsons_interval_is_the_published_one():
    # 10 of 100: Wilson (1927) gives 0.0552 to 0.1744.
    assert wilson(10, 100) == pytest.approx((0.05522914, 0.17436566), abs=1e-7)
    assert wilson(0, 20) == pytest.approx((0.0, 0.16112516), abs=1e-7)
    assert np.isnan(wilson(0, 0)).all()


def test_alerts_and_what_people_see_are_shares_of_all_events():
    every = drawn()
    labelled = np.random.default_rng(1).random(4000) < np.clip(5 * every["risk"], 0.05, 1.0)
    some = {name: column[labelled] for name, column in every.items()}
    traffic = Traffic(every["risk"], every["entities"], every["event_time"])
    whole, alone = judge(every)[0], judge(some)[0]
    found, curves = judge(some, traffic=traffic)
    low, high = found["intervals"]["alert_rate"]
    assert low < found["alert_rate"] == whole["alert_rate"] < high < alone["alert_rate"]
    assert high - low == pytest.approx(np.diff(whole["intervals"]["alert_rate"])[0], rel=0.3)
    assert (found["precision"], found["rows"]) == (alone["precision"], labelled.sum())
    # What lies among the 80 riskiest of all events, not of the labelled ones.
    seen = some["risk"] >= np.sort(every["risk"])[-80]
    value = some["amounts"] * some["labels"]
    assert found["value_detection_rate"] == pytest.approx(value[seen].sum() / value.sum())
    assert curves["thresholds"]["events"] == 4000


def test_savings_set_the_cost_of_the_labelled_events_against_these_alone():
    given = drawn()
    labelled = given["risk"] > 0.01
    some = {name: column[labelled] for name, column in given.items()}
    traffic = Traffic(given["risk"], given["entities"], given["event_time"])
    found, _ = judge(some, traffic=traffic, costs=COSTS, resamples=0)
    lost = some["amounts"][some["labels"] == 1].sum() * COSTS.loss_share
    without = min(lost, COSTS.review_cost * labelled.sum()) / labelled.sum()
    assert found["savings"] == pytest.approx(1 - found["cost_per_event"] / without)


def test_where_all_events_have_labels_they_are_the_traffic():
    given = drawn()
    traffic = Traffic(given["risk"], given["entities"], given["event_time"])
    apart, whole = judge(given, traffic=traffic)[0], judge(given)[0]
    assert apart["value_detection_rate"] == whole["value_detection_rate"]
    assert apart["alert_rate"] == whole["alert_rate"]


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    names = ("roc_auc", "average_precision", "precision", "recall", "brier", "cost_per_event")
    truth, _ = judge(drawn(1_000_000, entities=100_000, seed=99), resamples=0)
    held = dict.fromkeys(names, 0)
    rounds = 200
    for seed in range(rounds):
        found, _ = judge(drawn(seed=seed), resamples=200, seed=seed)
        for name in names:
            low, high = found["intervals"][name]
            held[name] += low <= truth[name] <= high
    # Three standard errors of a share of 0.95 over 200 rounds are 0.046.
    assert all(count / rounds >= 0.90 for count in held.values()), held


def well_ranked(seed):
    """Some 70 bad events of 2,000 entities within 30 days, nearly all above the others."""
    given = drawn(4000, entities=2000, seed=seed)
    labels = (np.random.default_rng(seed).random(4000) < 0.02).astype(int)
    risk = 0.2 + 0.4 * labels + np.random.default_rng(seed + 1).normal(0, 0.1, 4000)
    month = np.sort(np.random.default_rng(seed).uniform(0, 30 * DAY, 4000))
    return given | {"labels": labels, "risk": np.clip(risk, 0.0, 1.0), "event_time": month}


def seldom_bad(seed):
    """A few entities in a hundred are bad for three days each, some of them harder to tell."""
    rng = np.random.default_rng(seed)
    entities, days = rng.integers(0, 800, 3000), np.sort(rng.uniform(0.0, 20.0, 3000))
    since = days - rng.uniform(0.0, 20.0, 800)[entities]
    labels = ((rng.random(800) < 0.05)[entities] & (since >= 0.0) & (since < 3.0)).astype(int)
    power = 4.5 + 0.7 * rng.normal(size=800)[entities]
    risk = 1.0 / (1.0 + np.exp(4.5 - power * labels - rng.normal(0.0, 1.3, 3000)))
    return drawn(3000, entities=800) | {
        "labels": labels, "risk": risk, "entities": entities, "event_time": days * DAY,
    }  # fmt: skip


def test_the_interval_of_an_area_close_to_1_holds_the_truth():
    """The truth is what such events give on average; percentiles held it in three of four runs."""
    found = [judge(seldom_bad(seed), resamples=60)[0] for seed in range(100)]
    areas = np.array([one["roc_auc"] for one in found])
    bounds = [one["intervals"]["roc_auc"] for one in found]
    assert np.mean([low <= np.nanmean(areas) <= high for low, high in bounds]) >= 0.87
    inside = [low < area < high for area, (low, high) in zip(areas, bounds, strict=True)]
    assert all(inside)


def few_large_frauds(seed, n=2000):
    """Some 18 bad events in 2,000, and amounts of which few make most of the sum."""
    rng = np.random.default_rng(seed)
    entities = rng.integers(0, 9 * n // 20, n)
    labels = ((rng.random(n) < 0.027)[entities] & (rng.random(n) < 1 / 3)).astype(int)
    return {
        "labels": labels,
        "risk": 1.0 / (1.0 + np.exp(2.3 + 1.2 * 0.7 - 2.0 * labels - rng.normal(size=n))),
        "amounts": rng.lognormal(3.5, 1.5, n) * (1.0 + 2.0 * labels),
        "entities": entities,
        "event_time": np.sort(rng.uniform(0.0, 7.0 * DAY, n)),
    }


def test_the_interval_of_the_cost_holds_the_truth_where_few_amounts_make_it():
    """Percentiles held it in less than four of five runs: they reach too little up."""
    truth = judge(few_large_frauds(99, n=1_000_000), resamples=0)[0]["cost_per_event"]
    found = [judge(few_large_frauds(seed), resamples=200)[0] for seed in range(100)]
    bounds = [one["intervals"]["cost_per_event"] for one in found]
    assert np.mean([low <= truth <= high for low, high in bounds]) >= 0.87
    for one, (low, high) in zip(found, bounds, strict=True):
        assert 0.0 <= low < one["cost_per_event"] < high


@pytest.mark.parametrize("largest", [2_000.0, 100_000.0])
def test_one_amount_that_is_nearly_all_there_is_does_not_blow_the_interval_up(largest):
    """A resample without it has hardly a spread of its own, and says anything at all."""
    few = few_large_frauds(0)
    ours = {"labels": np.arange(2000) < 18, "risk": np.full(2000, 0.1)}
    amounts = np.where(np.arange(2000) == 0, largest, 50.0)
    given = few | ours | {"amounts": amounts, "entities": np.arange(2000)}
    found, _ = judge(given, resamples=200)
    value, (low, high) = found["cost_per_event"], found["intervals"]["cost_per_event"]
    assert 0.0 <= low < value < high < 12.0 * value


def test_the_interval_of_card_precision_holds_it_where_days_have_few_places():
    for seed in range(10):
        found, _ = judge(well_ranked(seed), entities_a_day=2, resamples=200)
        value, (low, high) = (
            found["entity_precision_at_2"],
            found["intervals"]["entity_precision_at_2"],
        )
        assert 0.0 <= low < value < high <= 1.0


@pytest.mark.slow
def test_the_interval_of_card_precision_holds_the_truth_where_days_have_few_places():
    """The truth is what such events give on average."""
    name = "entity_precision_at_2"
    found = [judge(well_ranked(seed), entities_a_day=2, resamples=200)[0] for seed in range(150)]
    truth = np.mean([one[name] for one in found])
    bounds = [one["intervals"][name] for one in found]
    assert np.mean([low <= truth <= high for low, high in bounds]) >= 0.90


def test_probabilities_that_are_right_may_have_no_calibration_error_at_all():
    found, _ = judge(drawn())
    assert found["intervals"]["calibration_error"][0] == 0.0
    wrong = drawn()
    found, _ = judge(wrong | {"risk": wrong["risk"] ** 0.25})
    assert found["intervals"]["calibration_error"][0] > 0.1


def test_few_bad_entities_widen_the_interval_as_student_would():
    many, few = np.ones(1000), np.append(np.ones(4), np.zeros(996))
    assert _level(many) == pytest.approx(0.95, abs=1e-3)
    # t with 3 degrees of freedom, 3.18, times the root of 4/3: the normal's 99.98 %.
    assert _level(few) == pytest.approx(0.99976, abs=1e-4)
    assert _level(np.append(many, [1000.0])) > _level(many)


def test_its_memory_does_not_grow_with_the_curves_of_calibration():
    """Twenty columns of 8 bytes a row; one for each number of each group would be forty more."""
    given = drawn(n=100_000, entities=2_000)
    judge(BY_HAND)  # whatever is imported on the way is not its memory
    tracemalloc.start()
    judge(given, resamples=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 8 * 100_000 * 1.25
