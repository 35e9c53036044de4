"""ECOD: how far out in the tails a row lies, column by column, without labels or parameters."""

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from models_registry.core.export import ExportedModel
from models_registry.core.graphs import export_tails
from models_registry.core.learners.base import (
    FloatArray,
    Learner,
    LearnerError,
    Matrix,
    OnProgress,
    ShouldStop,
)
from scoring.core.tails import TailExplainer

CHUNK_ROWS: Final = 20_000


class ECOD(Learner):
    """Li et al., "ECOD: Unsupervised outlier detection using empirical cumulative distribution
    functions" (IEEE TKDE 2022), in our own numpy.

    margin = the largest of three sums of -log tail shares (scoring.core.tails) in units of the
    training rows' median, so that score = margin / (1 + margin) of a typical row is 0.5. A row
    counts itself among the training rows, so nothing is infinitely far out. The distributions are
    kept at ranks that grow by `step` from both ends: exact in the far tails, and a tail share is
    never off by more than that factor elsewhere. Nothing is random: `seed` is kept for the common
    interface. Labels are ignored.
    """

    name: ClassVar[str] = "ecod"
    title: ClassVar[str] = "Empirical tails (ECOD)"
    supervised: ClassVar[bool] = False
    link: ClassVar[str] = "ratio"

    def __init__(self, *, step: float = 1.05, seed: int = 0) -> None:
        self.step = step
        self.seed = seed

    def _fit(
        self,
        matrix: Matrix,
        labels: NDArray[np.int8] | None,
        weights: FloatArray | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        if not 1.0 < self.step <= 2.0:
            raise LearnerError("step must lie above 1, at most at 2.")
        share = np.ones(len(matrix)) if weights is None else weights
        rows, share = matrix[share > 0], share[share > 0]
        if len(rows) < 2:
            raise LearnerError("ECOD needs at least two rows.")
        m = rows.shape[1]
        parts = [_tails(rows[:, column], share, self.step) for column in range(m)]
        edges, left, right = (
            np.concatenate([part[i] for part in parts]) for i in range(3)
        )  # fmt: skip
        lean = [_skewness(rows[:, column], share) > 0 for column in range(m)]
        self.arrays_ = {
            "edges": edges.astype(np.float32),
            "first": np.cumsum([0, *(part[0].size for part in parts)]),
            "left_tail": left,
            "right_tail": right,
            "leans_right": np.array(lean, np.int8),
            "usual": np.zeros(m),
            "typical": np.array(1.0),
        }
        on_progress(0.5)
        chosen = self._parts(rows)
        sums = chosen.sum(axis=1)
        typical = float(np.median(sums)) or 1.0
        usual = np.average(chosen, axis=0, weights=share) / typical
        self.arrays_ |= {"usual": usual, "typical": np.array(typical)}

    def _parts(self, rows: Matrix) -> FloatArray:
        """What each column says of each row, float64[n, m]; add up to the margin."""
        explainer = TailExplainer(self.arrays_)
        found = [
            explainer.contributions(rows[start : start + CHUNK_ROWS]) + self.arrays_["usual"]
            for start in range(0, len(rows), CHUNK_ROWS)
        ]
        return np.concatenate(found)

    def _margin(self, matrix: Matrix) -> FloatArray:
        result: FloatArray = self._parts(matrix).sum(axis=1)
        return result

    def export(self) -> ExportedModel:
        return export_tails(self.arrays_, link=self.link)


def _tails(
    values: NDArray[np.float32], weights: FloatArray, step: float
) -> tuple[NDArray[np.float32], FloatArray, FloatArray]:
    """Edges [e] of a column, and -log of the left and right tail share [e + 1] between them.

    Weights count as rows, on average 1.
    """
    distinct, place = np.unique(values, return_inverse=True)
    count = np.bincount(place, weights * (len(values) / weights.sum()), len(distinct))
    up_to: FloatArray = np.cumsum(count, dtype=np.float64)
    total = float(up_to[-1])
    kept = _kept(up_to, total - up_to + count, step)
    low = np.nextafter(distinct[0], np.float32(-np.inf))
    edges = np.concatenate([[low], distinct[kept]])
    at_most = np.concatenate([[0.0], up_to[kept]])
    # In (e1, e2] up to e2 lie to the left, and all above e1 to the right.
    left = np.append(at_most, total)
    right = total - np.append(0.0, at_most)
    tails = [-np.log(np.minimum((side + 1.0) / (total + 1.0), 1.0)) for side in (left, right)]
    return edges, tails[0], tails[1]


def _kept(up_to: FloatArray, from_here: FloatArray, step: float) -> NDArray[np.intp]:
    """Which of the distinct values are edges: the rank from the nearer end grows by `step`.

    `up_to` and `from_here` [k]: how many rows lie at most, and at least, as high as each value.
    """
    level = np.floor(np.log(np.minimum(up_to, from_here)) / np.log(step))
    rising = up_to <= from_here
    changes = np.append((np.diff(level) != 0) | (np.diff(rising.astype(int)) != 0), True)
    return np.flatnonzero(changes)


def _skewness(values: NDArray[np.float32], weights: FloatArray) -> float:
    wide = values.astype(np.float64)
    centred = wide - np.average(wide, weights=weights)
    return float(np.average(centred**3, weights=weights))
