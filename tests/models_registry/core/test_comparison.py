import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.ab_offline import Setting, passes, run
from models_registry.core.comparison import (
    Contender,
    _Cards,
    _Precision,
    backs_promotion,
    compare,
    could_decide,
    mcnemar,
    paired_card_precision,
    paired_means,
)
from models_registry.core.metrics import average_precision, entity_precision_at_k
from models_registry.core.resampling import Blocks, blocks_of, of_days
from scoring.core.spec import CostSpec

RNG = np.random.default_rng(11)
TRUTH = RNG.beta(0.3, 6.0, 4000)
LABELS = (RNG.random(4000) < TRUTH).astype(int)
AMOUNTS = RNG.exponential(200.0, 4000)
COSTS = CostSpec()
USUAL = {"costs": COSTS, "least_positives": 20, "resamples": 100}


def contender(noise: float, seed: int = 0) -> Contender:
    rng = np.random.default_rng(seed)
    risk = np.clip(TRUTH + noise * rng.normal(size=4000), 0, 1)
    return Contender(risk=risk, review=0.1, block=0.9)


def outcome(champion: Contender, candidate: Contender, **options):
    options = USUAL | {"amounts": AMOUNTS} | options
    return compare(LABELS, champion, candidate, **options)


def test_a_clearly_better_candidate_is_called_better_and_cheaper():
    found = outcome(contender(0.3), contender(0.0))
    assert (found.verdict, found.cheaper) == ("better", "better")
    assert found.average_precision.low > 0
    assert found.cost.high < 0


def test_a_clearly_worse_candidate_is_called_worse():
    assert outcome(contender(0.0), contender(0.3)).verdict == "worse"


def test_the_same_model_twice_is_undecided_with_no_difference():
    found = outcome(contender(0.1), contender(0.1))
    assert found.verdict == "undecided"
    assert found.average_precision.low == found.average_precision.high == 0.0


def test_too_few_positives_decide_nothing():
    labels = np.zeros(4000, dtype=int)
    labels[np.argsort(-TRUTH)[:20]] = 1
    contenders = contender(0.5), contender(0.0)
    found = compare(labels, *contenders, amounts=None, **USUAL)
    assert (found.verdict, found.cheaper, found.cost) == ("better", "undecided", None)
    found = compare(labels, *contenders, amounts=None, **(USUAL | {"least_positives": 21}))
    assert (found.positives, found.least_positives) == (20, 21)
    assert (found.verdict, found.cheaper) == ("undecided", "undecided")


def test_without_legitimate_events_who_flags_everything_is_no_cheaper():
    amounts = np.full(200, 100.0)
    half = Contender(np.arange(200) / 200, review=0.5, block=2.0)
    everything = Contender(np.arange(200) / 200, review=0.0, block=2.0)
    labels = np.ones(200, dtype=int)
    labels[:19] = 0
    found = compare(labels, half, everything, amounts=amounts, **USUAL)
    assert (found.verdict, found.cheaper, found.cost.high < 0) == ("undecided", "undecided", True)
    assert not could_decide(found.to_dict())
    labels[19] = 0
    found = compare(labels, half, everything, amounts=amounts, **USUAL)
    assert (found.cheaper, could_decide(found.to_dict())) == ("better", True)


def test_where_either_of_two_may_decide_each_has_to_be_surer():
    contenders = contender(0.2, 1), contender(0.15, 2)
    both = outcome(*contenders)
    alone = outcome(*contenders, amounts=None)
    assert (both.level, alone.level) == (0.975, 0.95)
    wide, narrow = both.average_precision, alone.average_precision
    assert wide.low < narrow.low < narrow.high < wide.high


def test_costs_are_compared_where_any_amount_is_known():
    some, none = np.where(np.arange(4000) % 2, AMOUNTS, np.nan), np.full(4000, np.nan)
    contenders = contender(0.3), contender(0.0)
    found = outcome(*contenders, amounts=some)
    assert (found.cheaper, found.level) == ("better", 0.975)
    found = outcome(*contenders, amounts=none)
    assert (found.cost, found.cheaper, found.level) == (None, "undecided", 0.95)


@pytest.mark.slow
def test_equal_candidates_pass_no_oftener_than_promised():
    """Of 100, each promised with 5 in 100 at most: 12 and more would happen in 1 of 200 only."""
    runs = [run(Setting(positives=40), seed, resamples=100) for seed in range(100)]
    assert binom.sf(11, 100, 0.05) < 0.005
    assert sum(map(passes, runs)) < 12


@pytest.mark.slow
@pytest.mark.parametrize("hosts", [1, 3])
def test_equal_candidates_pass_no_oftener_where_few_entities_have_incidents(hosts):
    setting = Setting(positives=40, entities=hosts, incident=4, share=0.5)
    runs = [run(setting, seed, resamples=100) for seed in range(100)]
    assert sum(map(passes, runs)) < 12
    assert {found.unit for found in runs} == {"day of an entity"}


def together(blocks: int, *, of: int = 42) -> Blocks:
    """`of` positives first among 4,000 rows, in so many blocks of one size; the rest apart."""
    code = np.arange(4000) + blocks
    code[:of] = np.arange(of) % blocks
    return Blocks(code.astype(np.int32), 4000 + blocks, "entity")


@pytest.mark.parametrize(("blocks", "verdict"), [(1, "undecided"), (5, "undecided"), (6, "better")])
def test_positives_that_lie_together_decide_nothing(blocks, verdict):
    labels = (np.arange(4000) < 42).astype(int)
    rng = np.random.default_rng(3)
    champion = Contender(rng.random(4000), 0.5, np.inf)
    candidate = Contender(labels + rng.random(4000), 0.5, np.inf)
    found = compare(labels, champion, candidate, amounts=None, blocks=together(blocks), **USUAL)
    assert (found.verdict, found.least_blocks) == (verdict, 6)
    assert found.blocks == pytest.approx(blocks, rel=0.02)


def test_whole_entities_drawn_together_widen_the_interval():
    rows = np.tile(np.arange(200), 20)
    champion, candidate = contender(0.2, 1), contender(0.15, 2)
    labels, amounts = LABELS[rows], AMOUNTS[rows]
    one, other = (Contender(c.risk[rows], c.review, c.block) for c in (champion, candidate))
    options = USUAL | {"amounts": amounts}
    loose = compare(labels, one, other, **options).average_precision
    blocks = blocks_of(rows, np.zeros(4000))
    honest = compare(labels, one, other, blocks=blocks, **options).average_precision
    assert honest.high - honest.low > 2 * (loose.high - loose.low)


def test_the_point_estimates_are_the_metrics_and_the_seed_repeats_the_interval():
    champion, candidate = contender(0.2), contender(0.1)
    found = outcome(champion, candidate, seed=5)
    assert found.average_precision.candidate == average_precision(LABELS, candidate.risk)
    assert found == outcome(champion, candidate, seed=5)
    assert found.to_dict()["average_precision"]["low"] == found.average_precision.low


def test_average_precision_of_a_draw_is_the_metric_of_the_rows_drawn_with_ties_too():
    risk = np.round(contender(0.2).risk, 1)
    weights = np.random.default_rng(2).integers(0, 3, 4000)
    drawn = np.repeat(np.arange(4000), weights)
    found = _Precision(LABELS, risk)
    assert found.weighted(weights.astype(float)) == pytest.approx(
        average_precision(LABELS[drawn], risk[drawn])
    )
    assert found.weighted(np.ones(4000)) == pytest.approx(found.value)


@pytest.mark.parametrize(
    ("verdict", "cheaper", "backed"),
    [("better", "undecided", True), ("undecided", "better", True), ("better", "worse", False),
     ("worse", "better", False), ("undecided", "undecided", False), ("worse", "worse", False)],
)  # fmt: skip
def test_a_promotion_is_backed_by_one_surely_better_and_none_surely_worse(verdict, cheaper, backed):
    assert backs_promotion(verdict, cheaper) is backed


def test_card_precision_under_equal_weights_is_the_metric():
    rng = np.random.default_rng(1)
    labels, risk = (rng.random(500) < 0.1).astype(int), rng.random(500)
    entities, days = rng.integers(60, size=500), np.repeat(np.arange(5), 100)
    cards = _Cards(labels, risk, entities, days, 10)
    assert cards.weighted(np.ones(500)) == pytest.approx(cards.value)
    assert cards.value == entity_precision_at_k(labels, risk, entities, days, 10)


def test_an_entity_drawn_twice_takes_two_places():
    labels, risk = np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7])
    cards = _Cards(labels, risk, np.arange(3), np.zeros(3), 2)
    assert cards.value == 0.5
    assert cards.weighted(np.array([2.0, 1.0, 1.0])) == 1.0


def test_paired_card_precision_of_a_better_ranking_lies_above():
    rng = np.random.default_rng(2)
    labels = (rng.random(3000) < 0.05).astype(int)
    noise = rng.normal(size=(2, 3000))
    found = paired_card_precision(
        labels, labels + 2.0 * noise[0], labels + 0.3 * noise[1],
        entities=np.arange(3000), days=np.repeat(np.arange(10), 300), k=15, resamples=100,
        blocks=blocks_of(np.arange(3000), np.zeros(3000)),
    )  # fmt: skip
    assert found.low > 0.0


def test_an_interval_of_days_is_as_wide_as_a_day_differs_from_the_next():
    rng = np.random.default_rng(1)
    drawn, by_day = rng.normal(0.4, 0.01, 4000), rng.permutation(np.tile([0.0, 1.0], 200))
    low, high = of_days(drawn, by_day, 0.95)
    assert (low, high) == pytest.approx((0.451, 0.549), abs=0.005)
    for without_noise in (np.full(100, 0.5), np.linspace(0.8, 0.2, 100)):
        low, high = of_days(drawn, without_noise, 0.95)
        assert (low, high) == pytest.approx((0.480, 0.520), abs=0.002)


def at_few_places(seed, k, powers):
    """Some of 400 entities are bad for some days; the two rankings see it with different power."""
    rng = np.random.default_rng(seed)
    entities, days = rng.integers(0, 400, 3000), np.repeat(np.arange(30), 100)
    begins, lasts = rng.integers(0, 30, 400), rng.geometric(0.4, 400)
    bad, since = rng.random(400) < 0.15, days - begins[entities]
    labels = (bad[entities] & (since >= 0) & (since < lasts[entities])).astype(int)
    champion, candidate = (power * labels + rng.normal(size=3000) for power in powers)
    return paired_card_precision(
        labels, champion, candidate, entities=entities, days=days, k=k,
        blocks=blocks_of(entities, days), resamples=60, seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize(("k", "powers"), [(1, (1.5, 3.0)), (1, (3.5, 1.5)), (2, (1.5, 3.5))])
def test_a_difference_in_card_precision_holds_the_truth_at_few_places(k, powers):
    """The truth is what such events give on average."""
    found = [at_few_places(seed, k, powers) for seed in range(60)]
    truth = np.mean([one.difference for one in found])
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.9
    assert all(one.low <= one.difference <= one.high for one in found)


def test_days_of_few_entities_are_drawn_apart():
    labels, days = np.array([1, 0, 0, 0]), np.array([0, 0, 1, 1])
    entities, risk = np.array([7, 8, 7, 8]), np.array([0.9, 0.1, 0.9, 0.1])
    cards = _Cards(labels, risk, entities, days, 1)
    assert cards.value == 0.5
    # The first day of 7 is not drawn: its second one takes the place there.
    assert cards.weighted(np.array([0.0, 1.0, 1.0, 1.0])) == 0.0
    assert cards.weighted(np.array([1.0, 1.0, 0.0, 1.0])) == 0.5


def test_weighted_means_count_a_row_as_often_as_it_stands_for():
    found = paired_means(
        np.array([1.0, 0.0]), np.array([0.0, 0.0]), labels=np.array([1, 0]),
        weights=np.array([1.0, 3.0]), blocks=blocks_of(np.arange(2), np.zeros(2)), resamples=20,
    )  # fmt: skip
    assert (found.champion, found.candidate, found.difference) == (0.25, 0.0, -0.25)


def test_few_bad_entities_widen_the_interval_of_the_cost():
    """The same costs: told of few entities, and of one that stands for most, by wider intervals."""
    rng = np.random.default_rng(0)
    costs, blocks = rng.exponential(1.0, (2, 400)), blocks_of(np.arange(400), np.zeros(400))

    def width(bad, heaviest=1.0):
        labels, weights = (np.arange(400) < bad).astype(int), np.ones(400)
        weights[0] = heaviest
        found = paired_means(*costs, labels=labels, weights=weights, blocks=blocks, resamples=200)
        return found.high - found.low

    assert width(5) > 1.2 * width(200)
    assert width(20, heaviest=20.0) > 1.2 * width(200, heaviest=20.0)


@pytest.mark.parametrize(("theirs", "ours"), [(2, 9), (0, 1), (5, 5), (600, 700)])
def test_mcnemar_is_the_mid_p_of_the_binomial(theirs, ours):
    champion = np.array([True] * theirs + [False] * ours + [True] * 50)
    candidate = np.array([False] * theirs + [True] * ours + [True] * 50)
    found = mcnemar(champion, candidate)
    n, k = theirs + ours, min(theirs, ours)
    expected = min(1.0, 2 * binom.cdf(k, n, 0.5) - binom.pmf(k, n, 0.5))
    assert (found.champion_only, found.candidate_only) == (theirs, ours)
    assert found.p == pytest.approx(expected, rel=0.02)


def test_mcnemar_of_equal_decisions_says_nothing():
    same = np.array([True, False])
    assert np.isnan(mcnemar(same, same).p)
