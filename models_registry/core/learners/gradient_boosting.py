"""Gradient boosted trees by LightGBM: the strongest learner for labelled events."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models_registry.core.export import ExportedModel, ForestBuilder, export_forest
from models_registry.core.learners.base import (
    FloatArray,
    Learner,
    LearnerError,
    Matrix,
    OnProgress,
    ShouldStop,
    TrainingCancelledError,
)

MAX_LEAVES: Final = 12
MAX_DEPTH: Final = 6


class GradientBoosting(Learner):
    """LightGBM with a logistic loss, deterministic for a seed.

    `max_bin` stands at 4095 because coarser histograms miss rules on the tail of an amount, and
    no intercept is fitted because it shrinks the hessians of a rare class against their minimum.
    `num_leaves` <= 12 and `max_depth` <= 6 keep exact contributions cheap. Each tree sees a random
    `column_share` of the columns.
    `n_jobs` = 1 unless the caller knows that its process will not fork afterwards.
    """

    name: ClassVar[str] = "lightgbm"
    title: ClassVar[str] = "Gradient boosted trees"
    supervised: ClassVar[bool] = True
    link: ClassVar[str] = "logit"

    def __init__(
        self,
        *,
        n_trees: int = 250,
        learning_rate: float = 0.03,
        num_leaves: int = 12,
        max_depth: int = 6,
        min_child_samples: int = 40,
        reg_lambda: float = 1.0,
        max_bin: int = 4095,
        column_share: float = 1.0,
        n_jobs: int = 1,
        seed: int = 0,
    ) -> None:
        self.n_trees = n_trees
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.min_child_samples = min_child_samples
        self.reg_lambda = reg_lambda
        self.max_bin = max_bin
        self.column_share = column_share
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
        if not (2 <= self.num_leaves <= MAX_LEAVES and 1 <= self.max_depth <= MAX_DEPTH):
            raise LearnerError(
                f"num_leaves must lie in 2..{MAX_LEAVES} and max_depth in 1..{MAX_DEPTH}."
            )
        parameters = self._library_parameters()
        data = lightgbm.Dataset(
            matrix, label=labels, weight=weights, params=parameters, free_raw_data=True
        )
        self.booster_ = lightgbm.train(
            parameters,
            data,
            num_boost_round=self.n_trees,
            callbacks=[_watch(on_progress, should_stop)],
        )

    def _library_parameters(self) -> dict[str, Any]:
        return {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "max_depth": self.max_depth,
            "min_data_in_leaf": self.min_child_samples,
            "lambda_l2": self.reg_lambda,
            "max_bin": self.max_bin,
            "feature_fraction": self.column_share,
            "boost_from_average": False,
            "use_missing": False,
            "num_threads": self.n_jobs,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def _margin(self, matrix: Matrix) -> FloatArray:
        result = self.booster_.predict(matrix, raw_score=True, num_threads=self.n_jobs)
        return np.asarray(result, dtype=np.float64)

    def export(self) -> ExportedModel:
        builder = ForestBuilder()
        for tree in self.booster_.dump_model()["tree_info"]:
            builder.add_tree()
            _add_node(builder, tree["tree_structure"])
        return export_forest(builder.build(), n_columns=self.n_columns_, link=self.link)


def _watch(on_progress: OnProgress, should_stop: ShouldStop) -> Callable[[Any], None]:
    """A LightGBM callback that reports each tree and stops when asked."""

    def after_tree(env: Any) -> None:
        if should_stop():
            raise TrainingCancelledError
        on_progress((env.iteration + 1) / env.end_iteration)

    return after_tree


def _add_node(builder: ForestBuilder, node: dict[str, Any]) -> int:
    """Add one node of LightGBM's dump, and all below it; returns its index."""
    if "split_feature" not in node:
        # A tree that never split has no count; its cover divides nothing.
        cover = float(node.get("leaf_count") or 1)
        return builder.add_leaf(value=float(node["leaf_value"]), cover=cover)
    if node["decision_type"] != "<=":
        raise LearnerError(f"Unexpected split of type {node['decision_type']!r}.")
    index = builder.add_split(
        feature=int(node["split_feature"]),
        threshold=float(node["threshold"]),
        cover=float(node["internal_count"]),
    )
    left = _add_node(builder, node["left_child"])
    right = _add_node(builder, node["right_child"])
    builder.link(index, left=left, right=right)
    return index
