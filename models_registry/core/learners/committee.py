"""Several models of one algorithm, heard together as one."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.export import (
    ExportedModel,
    Forest,
    export_forest,
    export_linear,
    join_forests,
)
from models_registry.core.learners.base import (
    FloatArray,
    Learner,
    Matrix,
    OnProgress,
    ShouldStop,
)

MEAN_WITH: Final = "mean_with"
"""Where parameters say what the others of a committee have otherwise than the first."""


class Committee(Learner):
    """The mean of the margins of several learners of one algorithm, all fitted on the same rows.

    What each of them took from chance averages out (Breiman, "Bagging predictors", 1996). One
    model is exported: the trees of all, or the mean of the lines.
    """

    def __init__(self, members: Sequence[Learner]) -> None:
        first = members[0]
        self.members = list(members)
        self.name = first.name  # type: ignore[misc]
        self.title = first.title  # type: ignore[misc]
        self.supervised = first.supervised  # type: ignore[misc]
        self.link = first.link  # type: ignore[misc]

    def parameters(self) -> dict[str, Any]:
        """Those of the first, and under `mean_with` what each of the others has otherwise."""
        own, *others = (member.parameters() for member in self.members)
        apart = [{k: v for k, v in other.items() if v != own[k]} for other in others]
        return own | {MEAN_WITH: apart}

    def with_seed(self, seed: int) -> "Committee":
        return Committee([member.with_seed(seed) for member in self.members])

    def _fit(
        self,
        matrix: Matrix,
        labels: NDArray[np.int8] | None,
        weights: FloatArray | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        for number, member in enumerate(self.members):

            def report(part: float, number: int = number) -> None:
                on_progress((number + part) / len(self.members))

            member.fit(matrix, labels, weights=weights, on_progress=report, should_stop=should_stop)

    def _margin(self, matrix: Matrix) -> FloatArray:
        return mean_margin(self.members, matrix)

    def export(self) -> ExportedModel:
        return export_mean(self.members)


def mean_margin(members: Sequence[Learner], matrix: Matrix) -> FloatArray:
    """The mean of the margins of fitted learners, float64[n]."""
    result: FloatArray = np.mean([one.margin(matrix) for one in members], axis=0)
    return result


def export_mean(members: Sequence[Learner]) -> ExportedModel:
    """One model whose margin is the mean of theirs; they are fitted, and all trees or all lines."""
    parts = [member.export().arrays for member in members]
    columns, link = members[0].n_columns_, members[0].link
    if "roots" in parts[0]:
        share = 1.0 / len(parts)
        forests = [(_forest(arrays), share) for arrays in parts]
        return export_forest(join_forests(forests), n_columns=columns, link=link)
    return export_linear(
        coef=_mean(parts, "coef"),
        background=_mean(parts, "background"),
        intercept=float(_mean(parts, "intercept")),
        link=link,
    )


def _forest(arrays: dict[str, Any]) -> Forest:
    return Forest(**(arrays | {"offset": float(arrays["offset"])}))


def _mean(parts: Sequence[dict[str, NDArray[Any]]], name: str) -> FloatArray:
    result: FloatArray = np.mean([arrays[name] for arrays in parts], axis=0)
    return result
