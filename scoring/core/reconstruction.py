"""Contributions of an autoencoder: each column's own part of the reconstruction error.

z = (x - center) * slope, at most `cap` to either side; a network sees z within +-`clip` and gives
z back as well as what usually goes together allows. margin = sum over the columns of
(z - reconstruction)^2, in units of `typical`: additive by nature. A contribution is the column's
part less its mean over the training rows. It says where the error shows, which is not always the
column that is wrong: the network tells each from the others.
"""

from typing import Final

import numpy as np

from scoring.core.attribution import (
    Arrays,
    Attribution,
    ExplainError,
    FloatArray,
    Matrix,
    finite,
    wide_rows,
)

NETWORK_ARRAYS: Final = (
    "center", "slope", "weight_0", "bias_0", "clip", "cap", "usual", "typical",
)  # fmt: skip
CHUNK_NUMBERS: Final = 200_000


class ReconstructionExplainer(Attribution):
    """`center`, `slope` and `usual` [m]; `weight_l` [in, out] and `bias_l` [out] of each layer l
    (rectified between them, as it is after the last); `clip`, `cap` and `typical` [], positive.

    A slope of 0 is a column that never varied; it contributes nothing.
    """

    def __init__(self, arrays: Arrays) -> None:
        self._center = finite(arrays, "center", -1)
        m = self._center.size
        self._slope = finite(arrays, "slope", m)
        self._usual = finite(arrays, "usual", m)
        self._clip, self._cap, typical = (
            float(finite(arrays, name)) for name in ("clip", "cap", "typical")
        )
        if not min(self._clip, self._cap, typical) > 0:
            raise ExplainError("'clip', 'cap' and 'typical' must be positive.")
        self._part = (self._slope != 0) / typical
        self._layers: list[tuple[FloatArray, FloatArray]] = []
        width = m
        while f"weight_{len(self._layers)}" in arrays:
            number = len(self._layers)
            weight = finite(arrays, f"weight_{number}", width, -1)
            width = weight.shape[1]
            self._layers.append((weight, finite(arrays, f"bias_{number}", width)))
        if width != m:
            raise ExplainError(f"The network gives {width} columns back, not {m}.")
        self.base = float(self._usual.sum())
        self._step = max(1, CHUNK_NUMBERS // max(weight.size for weight, _ in self._layers))

    def contributions(self, matrix: Matrix) -> FloatArray:
        rows = (wide_rows(matrix, self._center.size) - self._center) * self._slope
        result = np.empty(rows.shape)
        for start in range(0, len(rows), self._step):
            part = rows[start : start + self._step]
            error = np.minimum(np.maximum(part, -self._cap), self._cap) - self._rebuilt(part)
            result[start : start + self._step] = np.square(error) * self._part - self._usual
        return result

    def _rebuilt(self, rows: FloatArray) -> FloatArray:
        value = np.minimum(np.maximum(rows, -self._clip), self._clip)
        for number, (weight, bias) in enumerate(self._layers):
            if number:
                value = np.maximum(value, 0.0)
            # Not a matrix product: its sums are made in an order that hangs on the batch.
            value = np.add.reduce(value[:, :, None] * weight, axis=1) + bias
        return value
