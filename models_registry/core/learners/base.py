"""What every learner promises. The conformance suite in tests/ holds each one to it."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models_registry.core.export import ExportedModel
from scoring.core.inference import score_of

Matrix = NDArray[np.float32]
FloatArray = NDArray[np.float64]
Labels = NDArray[Any]
OnProgress = Callable[[float], None]
ShouldStop = Callable[[], bool]


class LearnerError(ValueError):
    """Parameters or data from which nothing can be learned."""


class TrainingCancelledError(Exception):
    """Raised out of `fit` after `should_stop` said so; the learner stays as it was."""


class Learner(ABC):
    """Base of all learners: keyword-only constructor that only stores, `fit`, `score`.

    A higher margin and a higher score mean a riskier row. Fitted attributes end in `_`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    supervised: ClassVar[bool]
    link: ClassVar[str]

    def fit(
        self,
        matrix: Matrix,
        labels: Labels | None = None,
        *,
        weights: FloatArray | None = None,
        on_progress: OnProgress | None = None,
        should_stop: ShouldStop | None = None,
    ) -> "Learner":
        """Learn from `matrix` float32[n, m], `labels` [n] (0/1, None if unsupervised) and
        `weights` float64[n]; returns self.

        `on_progress` hears the finished fraction (0 to 1); `should_stop` is asked between steps.
        Raises `LearnerError` on unusable data, `TrainingCancelledError` when stopped.
        """
        rows = check_matrix(matrix)
        target = check_labels(labels, len(rows)) if self.supervised else None
        if weights is not None and (len(weights) != len(rows) or not (weights >= 0).all()):
            raise LearnerError("Weights must be as many as the rows and not negative.")
        report = on_progress or (lambda fraction: None)
        stopped = should_stop or (lambda: False)
        if stopped():
            raise TrainingCancelledError
        report(0.0)
        self._fit(rows, target, weights, report, stopped)
        self.n_columns_ = rows.shape[1]
        report(1.0)
        return self

    def margin(self, matrix: Matrix) -> FloatArray:
        """Margins float64[n], by the training library itself."""
        rows = check_matrix(matrix)
        if not hasattr(self, "n_columns_"):
            raise LearnerError("This learner has not been fitted.")
        if rows.shape[1] != self.n_columns_:
            raise LearnerError(f"Fitted on {self.n_columns_} columns, given {rows.shape[1]}.")
        return self._margin(rows)

    def score(self, matrix: Matrix) -> FloatArray:
        """Scores float64[n] in [0, 1]."""
        return score_of(self.margin(matrix), self.link)

    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments, for the record."""
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names}

    def with_seed(self, seed: int) -> "Learner":
        """Another one, unfitted, that differs by its seed alone."""
        return type(self)(**(self.parameters() | {"seed": seed}))

    @abstractmethod
    def export(self) -> ExportedModel:
        """The fitted model as ONNX bytes, arrays for the explainer, and its link."""

    @abstractmethod
    def _fit(
        self,
        matrix: Matrix,
        labels: NDArray[np.int8] | None,
        weights: FloatArray | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None: ...

    @abstractmethod
    def _margin(self, matrix: Matrix) -> FloatArray: ...


def check_matrix(matrix: Matrix) -> Matrix:
    """`matrix` as contiguous float32[n, m], or `LearnerError` if it is empty or not finite."""
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(matrix, dtype=np.float32)
    if rows.ndim != 2 or rows.size == 0:
        raise LearnerError(f"Expected rows and columns, not a shape of {list(rows.shape)}.")
    if not np.isfinite(rows).all():
        raise LearnerError("The matrix holds a NaN or an infinite number.")
    return rows


def check_labels(labels: Labels | None, n_rows: int) -> NDArray[np.int8]:
    """`labels` as int8[n_rows] of 0 and 1, or `LearnerError` if one class is missing."""
    if labels is None:
        raise LearnerError("This learner needs labels.")
    values = np.asarray(labels)
    if values.shape != (n_rows,) or not np.isin(values, (0, 1)).all():
        raise LearnerError("Labels must be 0 or 1, one for each row.")
    target = values.astype(np.int8)
    if target.min() == target.max():
        raise LearnerError("Labels of both classes are needed to learn.")
    return target
