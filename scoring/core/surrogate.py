"""A straight line through the model near one event, and how well it fits.

After Ribeiro, Singh & Guestrin, "Why should I trust you?" (LIME, 2016): perturb the event, let the
model judge the perturbations, weigh them by nearness and fit a ridge regression. It answers another
question than the contributions (what would happen if this moved a little, not how the score came
about), and it is an approximation: it carries its own fit, measured on perturbations that it did
not see, and says when not to be believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.core.bundle import Bundle
from scoring.core.inference import ModelError
from scoring.core.types import Floats

FITTED: Final = 2000
HELD_OUT: Final = 1000
WIDTH: Final = 0.75
"""Of the kernel, times the root of the number of features, as in LIME's own implementation."""
RIDGE: Final = 1e-3
STANDARD_PER_RANGE: Final = 2.563
"""Standard deviations of a normal distribution between its 10th and 90th percentile."""
KEPT: Final = 0.5
"""Chance of a category to stay as it is in a perturbation."""
GOOD_FIT: Final = 0.9
FAIR_FIT: Final = 0.6


@dataclass(frozen=True, slots=True)
class Weight:
    """One feature of the line. `per_step` is in the model's margin.

    For a number: what one standard step more (`step`, in the feature's unit) adds. For a category
    (`step` 0): what being as it is adds, against being another.
    """

    feature: str
    per_step: float
    step: float


@dataclass(frozen=True, slots=True)
class Surrogate:
    """The line, largest weight first. `fit` is the weighted R squared, at most 1, None where the
    model does not move at all; `predicted` is what the line says of the event, `margin` the model.
    `link` says what a margin is (see inference.score_of).
    """

    weights: tuple[Weight, ...]
    intercept: float
    predicted: float
    margin: float
    link: str
    fit: float | None
    samples: int
    seed: int

    @property
    def statement(self) -> str:
        """How far to trust it, as a sentence."""
        if self.fit is None:
            return "Nothing near this event moves the model: it judges all of it alike."
        if self.fit >= GOOD_FIT:
            return "Near this event the model behaves like this line."
        if self.fit >= FAIR_FIT:
            return "The line follows the model roughly; take directions from it, not sizes."
        return (
            "No line describes the model here: it jumps or combines features. "
            "Trust the contributions, which are exact, and not these weights."
        )


def fit_surrogate(bundle: Bundle, vector: Floats, *, seed: int = 0) -> Surrogate | None:
    """The line near `vector` float64[k]; None when no model can score it. Same seed, same line.

    Numbers are moved by the spread that training saw, within its range; categories drawn by
    their shares. What is missing stays missing and what is known stays known.
    """
    predictor = bundle.predictor
    if predictor is None:
        return None
    names = bundle.plan.names
    facts = [bundle.reference.get(name, {}) for name in names]
    levels = [_levels(fact) for fact in facts]
    steps = np.array([_step(fact) for fact in facts])
    steps[np.isnan(vector)] = 0.0
    rng = np.random.default_rng(seed)
    moved = _perturb(rng, vector, facts, levels, steps)
    try:
        margins = predictor.model.margin(predictor.encoder.matrix(moved))
    except ModelError:
        return None
    return _fit(names, vector, moved, margins, steps, levels, seed, predictor.model.link)


def _levels(fact: Mapping[str, Any]) -> tuple[Floats, Floats] | None:
    """(codes, shares) of a category; None for a number."""
    found = fact.get("levels")
    if not found:
        return None
    shares = np.array([level["share"] for level in found], float)
    return np.array([level["value"] for level in found], float), shares / shares.sum()


def _step(fact: Mapping[str, Any]) -> float:
    """A standard step of a number by the middle of its distribution, which outliers leave alone."""
    deciles = fact.get("deciles")
    if not deciles:
        return 0.0
    middle = float(deciles[-2] - deciles[1]) / STANDARD_PER_RANGE
    return middle if middle > 0.0 else float(fact.get("std") or 0.0)


def _perturb(
    rng: "np.random.Generator",  # Quoted: numpy loads its generators (4 MB) where first named.
    vector: Floats,
    facts: Sequence[Mapping[str, Any]],
    levels: Sequence[tuple[Floats, Floats] | None],
    steps: Floats,
) -> Floats:
    """float64[1 + FITTED + HELD_OUT, k]; the first row is the event itself."""
    n = FITTED + HELD_OUT
    moved = np.tile(vector, (n + 1, 1))
    for i, (fact, known) in enumerate(zip(facts, levels, strict=True)):
        if known is not None and not np.isnan(vector[i]):
            drawn = rng.choice(known[0], size=n, p=known[1])
            moved[1:, i] = np.where(rng.random(n) < KEPT, vector[i], drawn)
        elif steps[i] > 0.0:
            low, high = fact["deciles"][0], fact["deciles"][-1]
            raw = vector[i] + steps[i] * rng.standard_normal(n)
            moved[1:, i] = np.clip(raw, min(low, vector[i]), max(high, vector[i]))
    return moved


def _fit(
    names: Sequence[str],
    vector: Floats,
    moved: Floats,
    margins: Floats,
    steps: Floats,
    levels: Sequence[tuple[Floats, Floats] | None],
    seed: int,
    link: str,
) -> Surrogate:
    category = np.array([known is not None for known in levels]) & ~np.isnan(vector)
    same = moved == vector
    used = np.flatnonzero((steps > 0.0) | (category & ~same.all(axis=0)))
    # What the line is drawn over: standard steps away from the event, 1 for "as it is".
    scale = np.where(steps > 0.0, steps, 1.0)
    distance = (moved - vector)[:, used] / scale[used]
    plain = np.where(category[used], same[:, used], distance)
    away = np.where(category[used], ~same[:, used], distance)
    width = WIDTH * np.sqrt(max(len(used), 1))
    near = np.exp(-(away * away).sum(axis=1) / width**2)
    train, test = slice(1, 1 + FITTED), slice(1 + FITTED, None)
    weights, intercept = _ridge(plain[train], margins[train], near[train])
    order = np.argsort(-np.abs(weights), kind="stable")
    told = tuple(Weight(names[used[j]], float(weights[j]), float(steps[used[j]])) for j in order)
    return Surrogate(
        weights=told,
        intercept=intercept,
        predicted=float(plain[0] @ weights + intercept),
        margin=float(margins[0]),
        link=link,
        fit=_r_squared(plain[test] @ weights + intercept, margins[test], near[test]),
        samples=FITTED + HELD_OUT,
        seed=seed,
    )


def _ridge(x: Floats, y: Floats, weight: Floats) -> tuple[Floats, float]:
    """Weighted ridge regression; the intercept is not shrunk. x: float64[n, d]."""
    total = weight.sum()
    centre, middle = weight @ x / total, float(weight @ y / total)
    apart = x - centre
    gram = (apart * weight[:, None]).T @ apart
    shrunk = gram + RIDGE * total * np.eye(x.shape[1])
    weights: NDArray[np.float64] = np.linalg.solve(shrunk, apart.T @ (weight * (y - middle)))
    return weights, middle - float(centre @ weights)


def _r_squared(told: Floats, true: Floats, weight: Floats) -> float | None:
    middle = weight @ true / weight.sum()
    spread = float(weight @ (true - middle) ** 2 / weight.sum())
    if spread < 1e-18:
        return None
    return 1.0 - float(weight @ (true - told) ** 2 / weight.sum()) / spread
