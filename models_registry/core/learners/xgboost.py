"""Gradient boosted trees by XGBoost."""

import json
from typing import Any, ClassVar, Final

import numpy as np
import xgboost
from numpy.typing import NDArray

from models_registry.core.export import ExportedModel, Forest, ForestBuilder, export_forest
from models_registry.core.learners.base import (
    FloatArray,
    Learner,
    LearnerError,
    Matrix,
    OnProgress,
    ShouldStop,
    TrainingCancelledError,
)

MAX_DEPTH: Final = 6
CHUNK_ROWS: Final = 50_000
SMALLEST_COVER: Final = 1e-12


class XGBoost(Learner):
    """Chen & Guestrin, "XGBoost: a scalable tree boosting system" (KDD 2016), logistic loss.

    `max_bin` stands at 4096 and the start at even odds, because coarse histograms miss rules on the
    tail of an amount, and a fitted start shrinks the hessians of a rare class against
    `min_child_weight`: on the handbook's transactions the two are worth 0.05 average precision.
    `max_depth` <= 6 keeps exact contributions cheap. `n_jobs` = 1 unless the caller knows that its
    process will not fork afterwards.
    """

    name: ClassVar[str] = "xgboost"
    title: ClassVar[str] = "Gradient boosted trees (XGBoost)"
    supervised: ClassVar[bool] = True
    link: ClassVar[str] = "logit"

    def __init__(
        self,
        *,
        n_trees: int = 100,
        learning_rate: float = 0.1,
        max_depth: int = 3,
        min_child_weight: float = 1.0,
        reg_lambda: float = 1.0,
        row_share: float = 1.0,
        column_share: float = 1.0,
        max_bin: int = 4096,
        n_jobs: int = 1,
        seed: int = 0,
    ) -> None:
        self.n_trees = n_trees
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.row_share = row_share
        self.column_share = column_share
        self.max_bin = max_bin
        self.n_jobs = n_jobs
        self.seed = seed

    def _fit(
        self,
        matrix: Matrix,
        labels: NDArray[np.int8] | None,
        weights: FloatArray | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        if not 1 <= self.max_depth <= MAX_DEPTH:
            raise LearnerError(f"max_depth must lie in 1..{MAX_DEPTH}.")
        # The parameter alone leaves some of its loops with a thread for every processor.
        with xgboost.config_context(nthread=self.n_jobs):
            data = xgboost.QuantileDMatrix(
                matrix, label=labels, weight=weights, max_bin=self.max_bin, nthread=self.n_jobs
            )
            self.booster_ = xgboost.train(
                self._library_parameters(),
                data,
                num_boost_round=self.n_trees,
                callbacks=[_Watch(self.n_trees, on_progress, should_stop)],
            )
        self._forest = self._read_trees()

    def _library_parameters(self) -> dict[str, Any]:
        return {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "base_score": 0.5,
            "eta": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "lambda": self.reg_lambda,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "max_bin": self.max_bin,
            "nthread": self.n_jobs,
            "seed": self.seed,
            "verbosity": 0,
        }

    def _margin(self, matrix: Matrix) -> FloatArray:
        """XGBoost says in which leaves a row falls; it would add them up in float32."""
        result = np.empty(len(matrix))
        for start in range(0, len(matrix), CHUNK_ROWS):
            leaves = self._leaves(matrix[start : start + CHUNK_ROWS])
            places = leaves + self._forest.roots
            result[start : start + CHUNK_ROWS] = self._forest.value[places].sum(axis=1)
        return result

    def _leaves(self, matrix: Matrix) -> NDArray[np.intp]:
        """intp[n, trees]: the number of each row's leaf in each tree."""
        with xgboost.config_context(nthread=self.n_jobs):
            rows = xgboost.DMatrix(matrix, nthread=self.n_jobs)
            found = self.booster_.predict(rows, pred_leaf=True)
        return np.asarray(found).reshape(len(matrix), -1).astype(np.intp)

    def forest(self) -> Forest:
        """The trees as node arrays."""
        return self._forest

    def export(self) -> ExportedModel:
        return export_forest(self._forest, n_columns=self.n_columns_, link=self.link)

    def _read_trees(self) -> Forest:
        """Node arrays in XGBoost's own order, which puts children after their parents."""
        model = json.loads(bytes(self.booster_.save_raw("json")))
        builder = ForestBuilder()
        for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
            _add_tree(builder, tree)
        return builder.build()


class _Watch(xgboost.callback.TrainingCallback):
    """Reports each tree and stops when asked."""

    def __init__(self, n_trees: int, on_progress: OnProgress, should_stop: ShouldStop) -> None:
        super().__init__()
        self._n_trees, self._report, self._stopped = n_trees, on_progress, should_stop

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Called by XGBoost after each tree."""
        if self._stopped():
            raise TrainingCancelledError
        self._report((epoch + 1) / self._n_trees)
        return False


def _add_tree(builder: ForestBuilder, tree: dict[str, Any]) -> None:
    """One tree of XGBoost's JSON: a split sends x < condition to the left; a leaf's condition is
    its value."""
    builder.add_tree()
    condition = np.array(tree["split_conditions"], np.float32)
    # x < c and x <= the float32 below c are the same for any float32 x.
    below = np.nextafter(condition, np.float32(-np.inf)).tolist()
    covers = np.maximum(np.array(tree["sum_hessian"], float), SMALLEST_COVER).tolist()
    offset = None
    for node, (left, right) in enumerate(
        zip(tree["left_children"], tree["right_children"], strict=True)
    ):
        if left < 0:
            index = builder.add_leaf(value=float(condition[node]), cover=covers[node])
        else:
            index = builder.add_split(
                feature=int(tree["split_indices"][node]), threshold=below[node], cover=covers[node]
            )
        offset = index if offset is None else offset
        if left >= 0:
            builder.link(index, left=offset + left, right=offset + right)
