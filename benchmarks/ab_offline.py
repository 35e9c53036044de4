"""`python -m benchmarks.ab_offline`: how often an equal candidate passes on the test part of its
training, and how often a better one does.

Each run is one comparison as a training makes it (models_registry.core.comparison): events new to
both models, seen through noise of their own; review thresholds of least cost on many other events.
It passes by the rule of a promotion.
"""

import argparse
from dataclasses import dataclass
from functools import cache, partial
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from benchmarks.ab_simulation import COSTS, LEAST_POSITIVES, wilson
from models_registry.core.comparison import Comparison, Contender, backs_promotion, compare
from models_registry.core.costs import decision_costs
from models_registry.core.resampling import Blocks, blocks_of

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """One setting: events and positives of the test part, entities, the candidate's noise. Bad
    events come in incidents of so many, each on one entity and one of so many days; `share` of the
    noise of its events is common to them."""

    positives: int
    candidate_noise: float = 1.0
    events: int = 4000
    entities: int = 1500
    incident: int = 2
    days: int = 14
    share: float = 0.0


def sample(
    setting: Setting, rng: np.random.Generator
) -> tuple[NDArray[np.int8], FloatArray, FloatArray]:
    """(labels, true risk, amounts) of so many events. Bad events share entities, as fraud does."""
    labels = np.zeros(setting.events, dtype=np.int8)
    labels[: setting.positives] = 1
    truth = np.where(labels == 1, 3.0, 0.0) + rng.normal(0.0, 1.0, setting.events)
    return labels, truth, np.round(rng.lognormal(4.0, 1.2, setting.events), 2)


def blocks_for(
    setting: Setting, labels: NDArray[np.int8], rng: np.random.Generator
) -> tuple[Blocks, NDArray[np.intp]]:
    """(what is drawn together; the incident of each bad event)."""
    incidents = max(setting.positives // setting.incident, 1)
    incident = rng.integers(incidents, size=setting.events)
    entity, day = (
        np.where(
            labels == 1,
            rng.integers(n, size=incidents)[incident],
            rng.integers(n, size=setting.events),
        )
        for n in (setting.entities, setting.days)
    )
    return blocks_of(entity, day), incident


def cheapest(labels: NDArray[np.int8], risk: FloatArray, amounts: FloatArray) -> float:
    """The review threshold of least cost among 60 quantiles."""
    tried = np.quantile(risk, 1 - np.geomspace(0.001, 0.2, 60))
    costs = [
        decision_costs(labels, risk, amounts, review=one, block=np.inf, costs=COSTS).mean()
        for one in tried
    ]
    return float(tried[int(np.argmin(costs))])


@cache
def review_at(noise: float) -> float:
    """The threshold of a model with so much noise, chosen on so many events that it is no accident:
    two models of one noise cost the same in the mean."""
    rng = np.random.default_rng(0)
    many = Setting(positives=2_000, events=200_000)
    labels, truth, amounts = sample(many, rng)
    return cheapest(labels, truth + rng.normal(0.0, noise, many.events), amounts)


def _seen(
    labels: NDArray[np.int8], incident: NDArray[np.intp], rng: np.random.Generator, share: float
) -> FloatArray:
    """Noise of variance 1; of bad events `share` of it is that of their incident."""
    own = rng.normal(0.0, 1.0, labels.size)
    common = rng.normal(0.0, 1.0, labels.size)[incident]
    mixed = np.sqrt(1.0 - share) * own + np.sqrt(share) * common
    return np.where(labels == 1, mixed, own)


def run(setting: Setting, seed: int, *, resamples: int = 500) -> Comparison:
    """One candidate against one champion."""
    rng = np.random.default_rng(seed)
    labels, truth, amounts = sample(setting, rng)
    blocks, incident = blocks_for(setting, labels, rng)
    contenders = [
        Contender(
            truth + noise * _seen(labels, incident, rng, setting.share), review_at(noise), np.inf
        )
        for noise in (1.0, setting.candidate_noise)
    ]
    return compare(
        labels,
        *contenders,
        amounts=amounts,
        costs=COSTS,
        least_positives=LEAST_POSITIVES,
        blocks=blocks,
        seed=seed,
        resamples=resamples,
    )


def passes(found: Comparison) -> bool:
    """Whether it would back a promotion."""
    return backs_promotion(found.verdict, found.cheaper)


def settings(noise: float) -> list[Setting]:
    """Many entities with ever more positives; and few, whose incidents are seen alike in part."""
    many = [Setting(positives, noise) for positives in (LEAST_POSITIVES, 40, 80, 160)]
    few = [
        Setting(positives, noise, entities=entities, incident=4, share=0.5)
        for entities, positives in ((1, 40), (3, 40), (3, 160))
    ]
    return many + few


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ab_offline", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = monotonic()
    print("| candidate | entities | positives | runs | passes | ranks better | costs less |")
    print("|---|--:|--:|--:|---|---|---|")
    for name, noise in (("equal", 1.0), ("better (noise 0.6)", 0.6), ("worse (noise 1.5)", 1.5)):
        # The promise is about many equal candidates; the power needs no such precision.
        count = options.runs if noise == 1.0 else max(options.runs // 5, 1)
        for setting in settings(noise):
            found = [run(setting, options.seed * 1_000_003 + i) for i in range(count)]
            hits = [
                sum(map(passes, found)),
                sum(one.verdict == "better" for one in found),
                sum(one.cheaper == "better" for one in found),
            ]
            cells = " | ".join(map(partial(_share, of=count), hits))
            print(
                f"| {name} | {setting.entities} | {setting.positives} | {count} | {cells} |",
                flush=True,
            )
    print(f"\n{monotonic() - begun:.0f} s")


def _share(hits: int, of: int) -> str:
    low, high = wilson(hits, of)
    return f"{hits / of:.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()
