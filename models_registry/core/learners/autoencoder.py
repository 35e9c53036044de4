"""Autoencoder: a small network that gives usual rows back and fails on unusual ones."""

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPRegressor

from models_registry.core.export import ExportedModel
from models_registry.core.graphs import export_network
from models_registry.core.learners.base import (
    FloatArray,
    Learner,
    LearnerError,
    Matrix,
    OnProgress,
    ShouldStop,
    TrainingCancelledError,
)
from models_registry.core.learners.scaling import center_and_slope, sampled_rows

CLIP: Final = 5.0
CAP: Final = 100.0
BATCH: Final = 256
LEAST_UPDATES: Final = 1000
SMALLEST_ERROR: Final = 1e-6


class Autoencoder(Learner):
    """Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks" (2006): a
    network with a narrow middle, fitted by scikit-learn on standardised columns.

    margin = squared reconstruction error in units of the training rows' median, so that score =
    margin / (1 + margin) of a typical row is 0.5. The network sees at most 5 standard deviations,
    and an error counts at most 100, so that one wild value in training does not bend it. `narrow`
    is the middle's width as a share of the varying columns. Labels are ignored.
    """

    name: ClassVar[str] = "autoencoder"
    title: ClassVar[str] = "Autoencoder"
    supervised: ClassVar[bool] = False
    link: ClassVar[str] = "ratio"

    def __init__(
        self,
        *,
        hidden: int = 16,
        narrow: float = 0.4,
        n_epochs: int = 30,
        learning_rate: float = 0.005,
        n_samples: int = 50_000,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.narrow = narrow
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.n_samples = n_samples
        self.seed = seed

    def _fit(
        self,
        matrix: Matrix,
        labels: NDArray[np.int8] | None,
        weights: FloatArray | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        if not (self.hidden >= 1 and 0 < self.narrow <= 1 and self.n_epochs >= 1):
            raise LearnerError("hidden and n_epochs must be positive, narrow lie in (0, 1].")
        if len(matrix) < 2:
            raise LearnerError("An autoencoder needs at least two rows.")
        self.center_, self.slope_ = center_and_slope(matrix, weights)
        rng = np.random.default_rng(self.seed)
        rows = self._seen(matrix[sampled_rows(len(matrix), self.n_samples, weights, rng)])
        middle = max(1, int(self.narrow * np.count_nonzero(self.slope_)))
        model = MLPRegressor(
            hidden_layer_sizes=(self.hidden, middle, self.hidden),
            activation="relu",
            learning_rate_init=self.learning_rate,
            batch_size=min(BATCH, len(rows)),
            random_state=self.seed,
        )
        target = rows[:, 0] if rows.shape[1] == 1 else rows
        # A few hundred rows are too few updates in as many epochs as serve many. An epoch is an
        # update for each batch, however few rows that holds.
        updates = -(-len(rows) // BATCH)
        epochs = max(self.n_epochs, -(-LEAST_UPDATES // updates))
        for epoch in range(epochs):
            if should_stop():
                raise TrainingCancelledError
            model.partial_fit(rows, target)
            on_progress((epoch + 1) / epochs)
        self.model_ = model
        errors = self._errors(matrix)
        typical = float(np.median(errors.sum(axis=1)))
        self.typical_ = max(typical, SMALLEST_ERROR * matrix.shape[1])
        self.usual_ = np.average(errors, axis=0, weights=weights) / self.typical_

    def _standardised(self, matrix: Matrix) -> FloatArray:
        result: FloatArray = (matrix.astype(np.float64) - self.center_) * self.slope_
        return result

    def _seen(self, matrix: Matrix) -> FloatArray:
        """What the network gets to see."""
        return np.clip(self._standardised(matrix), -CLIP, CLIP)

    def _errors(self, matrix: Matrix) -> FloatArray:
        """Squared reconstruction errors float64[n, m]."""
        rebuilt = self.model_.predict(self._seen(matrix)).reshape(matrix.shape)
        error = np.clip(self._standardised(matrix), -CAP, CAP) - rebuilt
        result: FloatArray = np.square(error) * (self.slope_ != 0)
        return result

    def _margin(self, matrix: Matrix) -> FloatArray:
        result: FloatArray = self._errors(matrix).sum(axis=1) / self.typical_
        return result

    def export(self) -> ExportedModel:
        arrays: dict[str, NDArray[Any]] = {
            "center": self.center_,
            "slope": self.slope_,
            "clip": np.array(CLIP),
            "cap": np.array(CAP),
            "usual": self.usual_,
            "typical": np.array(self.typical_),
        }
        layers = zip(self.model_.coefs_, self.model_.intercepts_, strict=True)
        for number, (weight, bias) in enumerate(layers):
            arrays |= {f"weight_{number}": weight, f"bias_{number}": bias}
        return export_network(arrays, link=self.link)
