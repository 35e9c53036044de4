"""Small, made-up data for the tests of learning: rare positives, a rule on a tail, one-hot."""

import numpy as np
from numpy.typing import NDArray


def risky_rows(n: int = 3000, seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """matrix float32[n, 6] and labels int8[n], about 8 % of them 1."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 6)).astype(np.float32)
    matrix[:, 0] = np.exp(1.5 * matrix[:, 0])
    matrix[:, 4] = matrix[:, 4] > 0
    matrix[:, 5] = 7.0
    log_odds = -4.5 + 1.5 * matrix[:, 1] + 3.0 * (matrix[:, 0] > 5) + matrix[:, 2] * matrix[:, 4]
    labels = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.int8)
    return matrix, labels
