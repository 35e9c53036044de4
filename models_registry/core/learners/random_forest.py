"""Random forest by scikit-learn: many deep-enough trees that vote."""

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

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

MAX_DEPTH: Final = 10
MAX_LEAVES: Final = 128
TREES_A_STEP: Final = 10


class RandomForest(Learner):
    """Breiman, "Random forests" (2001), fitted by scikit-learn; margin = mean share of the votes.

    `max_depth` and `max_leaves` bound what an exact explanation costs; docs/evidence/learners.md
    says what they cost in precision. Leaves are grown best first, so the cap cuts off what
    separates least. `n_jobs` = 1 unless the caller knows that its process will not fork afterwards.
    """

    name: ClassVar[str] = "random_forest"
    title: ClassVar[str] = "Random forest"
    supervised: ClassVar[bool] = True
    link: ClassVar[str] = "share"

    def __init__(
        self,
        *,
        n_trees: int = 100,
        max_depth: int = 10,
        max_leaves: int = 64,
        min_child_samples: int = 5,
        column_share: float = 0.5,
        n_jobs: int = 1,
        seed: int = 0,
    ) -> None:
        self.n_trees = n_trees
        self.max_depth = max_depth
        self.max_leaves = max_leaves
        self.min_child_samples = min_child_samples
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
        if not (1 <= self.max_depth <= MAX_DEPTH and 2 <= self.max_leaves <= MAX_LEAVES):
            raise LearnerError(
                f"max_depth must lie in 1..{MAX_DEPTH} and max_leaves in 2..{MAX_LEAVES}."
            )
        if not (self.n_trees >= 1 and 0 < self.column_share <= 1):
            raise LearnerError("n_trees must be positive and column_share lie in (0, 1].")
        model = RandomForestClassifier(
            max_depth=self.max_depth,
            max_leaf_nodes=self.max_leaves,
            min_samples_leaf=self.min_child_samples,
            max_features=self.column_share,
            warm_start=True,
            n_jobs=self.n_jobs,
            random_state=self.seed,
        )
        for count in [*range(TREES_A_STEP, self.n_trees, TREES_A_STEP), self.n_trees]:
            if should_stop():
                raise TrainingCancelledError
            model.set_params(n_estimators=count).fit(matrix, labels, sample_weight=weights)
            on_progress(count / self.n_trees)
        self.model_ = model

    def _margin(self, matrix: Matrix) -> FloatArray:
        result: FloatArray = self.model_.predict_proba(matrix)[:, 1]
        return result

    def votes_of_unseen(self, matrix: Matrix) -> FloatArray:
        """Of each row of the training `matrix` [n, m]: the share of votes of the trees that did not
        learn from it, float64[n]; NaN where every tree did."""
        votes, count = np.zeros(len(matrix)), np.zeros(len(matrix))
        drawn = zip(self.model_.estimators_, self.model_.estimators_samples_, strict=True)
        for tree, seen in drawn:
            unseen = np.ones(len(matrix), bool)
            unseen[seen] = False
            votes[unseen] += tree.predict_proba(matrix[unseen])[:, 1]
            count += unseen
        with np.errstate(invalid="ignore"):
            result: FloatArray = votes / count
        return result

    def forest(self) -> Forest:
        """The trees as node arrays."""
        builder = ForestBuilder()
        for tree in self.model_.estimators_:
            builder.add_tree()
            _add_node(builder, tree.tree_, 0, 1.0 / self.n_trees)
        return builder.build()

    def export(self) -> ExportedModel:
        return export_forest(self.forest(), n_columns=self.n_columns_, link=self.link)


def _add_node(builder: ForestBuilder, tree: Any, node: int, scale: float) -> int:
    """Add one node of scikit-learn's tree, and all below it; returns its index."""
    cover = float(tree.weighted_n_node_samples[node])
    if tree.children_left[node] < 0:
        genuine, fraud = tree.value[node][0]
        return builder.add_leaf(value=scale * float(fraud / (genuine + fraud)), cover=cover)
    index = builder.add_split(
        feature=int(tree.feature[node]), threshold=float(tree.threshold[node]), cover=cover
    )
    left = _add_node(builder, tree, int(tree.children_left[node]), scale)
    right = _add_node(builder, tree, int(tree.children_right[node]), scale)
    builder.link(index, left=left, right=right)
    return index
