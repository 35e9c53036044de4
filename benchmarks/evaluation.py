"""`python -m benchmarks.evaluation`: how fast, and how honest, are the numbers of an evaluation?

Four parts: seconds for a million rows with all intervals; how often the intervals hold a truth
that is known; the same of card precision where a day has few places; recall corrected by the random
audit beside the naive one. One thread.
"""

import argparse
import resource
import time
from typing import Any

import numpy as np

from benchmarks.measure import Row, table
from models_registry.core.audit import correct
from models_registry.core.evaluation import evaluate
from models_registry.core.kept_metrics import card_precision_at
from models_registry.core.selection import AUDITED, NOT_SELECTED, SELECTED
from scoring.core.decision import Thresholds
from scoring.core.spec import CostSpec

DAY = 86400.0
BOUNDS = Thresholds(review=0.3, block=0.8, medium=0.3, high=0.5, critical=0.8)
COSTS = CostSpec(review_cost=5.0, false_block_cost=20.0, loss_share=1.0, capacity=0.02)
WORLDS: tuple[dict[str, Any], ...] = (
    {"audit": 0.02},
    {"audit": 0.05},
    {"audit": 0.02, "answers": 0.8},
    {"audit": 0.05, "other": True},
    {"audit": 0.2, "other": True},
    {"audit": 0.05, "share": 0.05, "answers": 0.9, "other": True},
)


def events(n: int, entities: int, seed: int, *, days: int = 7) -> dict[str, Any]:
    """Events whose entities differ in how bad they are; the risk is the true probability."""
    rng = np.random.default_rng(seed)
    entity = rng.integers(0, entities, n)
    burden = rng.beta(0.1, 4.0, entities)
    risk = np.clip(burden[entity] * rng.uniform(0.3, 1.7, n), 1e-4, 0.999)
    return {
        "labels": (rng.random(n) < risk).astype(int),
        "risk": risk,
        "amounts": rng.exponential(80.0, n),
        "entities": entity,
        "event_time": np.sort(rng.uniform(0, days * DAY, n)),
    }


def judge(given: dict[str, Any], **more: Any) -> dict[str, Any]:
    how: dict[str, Any] = {"thresholds": BOUNDS, "costs": COSTS, "entities_a_day": 100}
    return evaluate(**given, calibrated=True, **(how | more))[0]


def speed() -> list[Row]:
    """A row per number of entities."""
    rows = []
    for entities in (50_000, 1_000_000):
        given = events(1_000_000, entities, 0, days=30)
        begun, used = time.perf_counter(), time.process_time()
        found = judge(given)
        rows.append(
            {
                "rows": 1_000_000,
                "entities": found["resampled"]["blocks"],
                "positives": found["positives"],
                "intervals": len(found["intervals"]),
                "resamples": found["resampled"]["resamples"],
                "seconds": round(time.perf_counter() - begun, 2),
                "CPU s": round(time.process_time() - used, 2),
                "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    return rows


def coverage(rounds: int, size: int, entities: int) -> list[Row]:
    """A row per metric: its true value, how often the 95 % interval held it.

    Card precision depends on how many entities there are: its truth is the mean over all rounds.
    """
    truth = judge(events(2_000_000, 200_000, 999_999), resamples=0)
    found = [
        judge(events(size, entities, seed), resamples=400, seed=seed) for seed in range(rounds)
    ]
    truth["entity_precision_at_100"] = np.mean([one["entity_precision_at_100"] for one in found])
    # A threshold above every risk has no precision: such rounds have no interval.
    rows = []
    for name in found[0]["intervals"]:
        bounds = [one["intervals"][name] for one in found if np.isfinite(one["intervals"][name][0])]
        held = [low <= truth[name] <= high for low, high in bounds]
        rows.append(
            {
                "metric": name,
                "truth": f"{truth[name]:.4f}",
                "mean": f"{np.nanmean([one[name] for one in found]):.4f}",
                "held": f"{np.mean(held):.3f}",
                "truth lower": f"{np.mean([truth[name] < low for low, _ in bounds]):.3f}",
                "truth higher": f"{np.mean([truth[name] > high for _, high in bounds]):.3f}",
                "width": f"{np.mean([high - low for low, high in bounds]):.4f}",
            }
        )
    return rows


def places(rounds: int) -> list[Row]:
    """Two rows per number of places a day: how often the interval of card precision held the mean
    over all rounds, and how often the very value that it is told beside.

    The risk is the true probability, or ranks nearly all bad events above the others.
    """
    rows = []
    for k, entities, days in ((2, 400, 30), (2, 2000, 30), (5, 400, 7), (100, 400, 7)):
        for well in (False, True):
            name, found = card_precision_at(k), []
            for seed in range(rounds):
                given = events(4_000, entities, seed, days=days)
                if well:
                    noise = np.random.default_rng(seed).normal(0.0, 0.15, 4_000)
                    given["risk"] = np.clip(0.1 + 0.6 * given["labels"] + noise, 1e-4, 0.999)
                one = judge(given, entities_a_day=k, resamples=400, seed=seed)
                found.append((one[name], *one["intervals"][name], one["ceilings"][name]))
            # What is perfect in every resample has no interval.
            value, low, high, ceiling = np.array([one for one in found if np.isfinite(one[1])]).T
            rows.append(
                {
                    "places": k,
                    "entities": entities,
                    "days": days,
                    "ranked": "well" if well else "fairly",
                    "truth": f"{value.mean():.3f}",
                    "ceiling": f"{ceiling.mean():.3f}",
                    "held": f"{np.mean((low <= value.mean()) & (value.mean() <= high)):.3f}",
                    "own value": f"{np.mean((low <= value) & (value <= high)):.3f}",
                    "width": f"{np.mean(high - low):.3f}",
                }
            )
    return rows


def audited(rounds: int) -> list[Row]:
    """A row per world: mean of the true, naive and corrected recall, and coverage."""
    return [_world(rounds, **world) for world in WORLDS]


def _world(
    rounds: int, *, audit: float, answers: float = 1.0, other: bool = False, share: float = 0.01
) -> Row:
    n, rng = 20_000, np.random.default_rng(0)
    true, naive, corrected, held, told = [], [], [], [], 0
    for _ in range(rounds):
        truth = (rng.random(n) < share).astype(int)
        signal = rng.normal(size=n) + 1.6 * truth
        served = signal > 2.3
        flagged = signal + 0.6 * rng.normal(size=n) > 2.2 if other else served
        drawn = ~served & (rng.random(n) < audit)
        selection = np.where(served, SELECTED, np.where(drawn, AUDITED, NOT_SELECTED))
        seen = (selection != NOT_SELECTED) & (rng.random(n) < answers)
        labels = np.where(seen, truth, -1)
        found = correct(labels, flagged, selection, np.where(served, 1.0, audit))
        if found.recall is None:
            continue
        told += 1
        recall = (flagged & (truth == 1)).sum() / truth.sum()
        true.append(recall)
        naive.append(found.naive_recall)
        corrected.append(found.recall.value)
        held.append(found.recall.low <= recall <= found.recall.high)
    return {
        "audited": f"{audit:.0%}",
        "answers": f"{answers:.0%}",
        "judged": "another model" if other else "the one that served",
        "bad": f"{share:.0%}",
        "true": f"{np.mean(true):.3f}",
        "naive": f"{np.mean(naive):.3f}",
        "corrected": f"{np.mean(corrected):.3f}",
        "held": f"{np.mean(held):.3f}",
        "rounds": told,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    rounds = parser.parse_args().rounds
    found = speed()
    print(table("All metrics with intervals", found, tuple(found[0])))
    for size, entities in ((4000, 400), (20_000, 2000)):
        found = coverage(rounds, size, entities)
        title = f"95 % intervals, {rounds} samples of {size:,} events of {entities:,} entities"
        print(table(title, found, tuple(found[0])))
    found = places(rounds)
    print(
        table(
            f"Card precision where a day has few places, {rounds} samples", found, tuple(found[0])
        )
    )
    found = audited(2 * rounds)
    print(table("Recall corrected by the random audit, 20,000 events", found, tuple(found[0])))


if __name__ == "__main__":
    main()
