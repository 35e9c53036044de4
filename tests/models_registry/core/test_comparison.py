import numpy as np

from models_registry.core.comparison import Contender, compare
from models_registry.core.metrics import average_precision
from scoring.core.spec import CostSpec

RNG = np.random.default_rng(11)
TRUTH = RNG.beta(0.3, 6.0, 4000)
LABELS = (RNG.random(4000) < TRUTH).astype(int)
AMOUNTS = RNG.exponential(200.0, 4000)
COSTS = CostSpec()


def contender(noise: float, seed: int = 0) -> Contender:
    rng = np.random.default_rng(seed)
    risk = np.clip(TRUTH + noise * rng.normal(size=4000), 0, 1)
    return Contender(risk=risk, review=0.1, block=0.9)


def outcome(champion: Contender, candidate: Contender, **options):
    options = {"amounts": AMOUNTS, "costs": COSTS, "resamples": 100} | options
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
    labels[np.argsort(-TRUTH)[:5]] = 1
    found = compare(labels, contender(0.5), contender(0.0), amounts=None, costs=COSTS)
    assert (found.positives, found.verdict, found.cheaper) == (5, "undecided", "undecided")
    assert found.cost is None


def test_whole_entities_drawn_together_widen_the_interval():
    rows = np.tile(np.arange(200), 20)
    champion, candidate = contender(0.2, 1), contender(0.15, 2)
    labels, amounts = LABELS[rows], AMOUNTS[rows]
    one, other = (Contender(c.risk[rows], c.review, c.block) for c in (champion, candidate))
    options = {"amounts": amounts, "costs": COSTS, "resamples": 100}
    loose = compare(labels, one, other, **options).average_precision
    honest = compare(labels, one, other, entities=rows, **options).average_precision
    assert honest.high - honest.low > 2 * (loose.high - loose.low)


def test_the_point_estimates_are_the_metrics_and_the_seed_repeats_the_interval():
    champion, candidate = contender(0.2), contender(0.1)
    found = outcome(champion, candidate, seed=5)
    assert found.average_precision.candidate == average_precision(LABELS, candidate.risk)
    assert found == outcome(champion, candidate, seed=5)
    assert found.to_dict()["average_precision"]["low"] == found.average_precision.low
