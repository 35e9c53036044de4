"""Run a bundle's exported model and turn its margins into scores and probabilities.

Only numpy and onnxruntime: the serving process never loads a training library.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

LINKS: Final = ("logit", "isolation", "ratio", "share")
INPUT_NAME: Final = "matrix"
OUTPUT_NAME: Final = "margin"
PROBABILITY_CLIP: Final = 1e-6

FloatArray = NDArray[np.float64]


class ModelError(ValueError):
    """A model that cannot be loaded, or an input that it must not score."""


class Model:
    """One exported model: `matrix` float32[n, m] in, `margin` float64[n] out.

    The session has one thread: it is as fast as any for one row, and it starts no threads that a
    later fork would lose. Raises `ModelError` on a graph that is broken or of another shape.
    """

    def __init__(self, onnx_bytes: bytes, *, link: str) -> None:
        if link not in LINKS:
            raise ModelError(f"Unknown link '{link}': expected one of {', '.join(LINKS)}.")
        self.link = link
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4
        # An arena of each session would keep what its largest batch took; without it no slower.
        options.enable_cpu_mem_arena = False
        try:
            self._session = onnxruntime.InferenceSession(
                onnx_bytes, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base class but this one.
            raise ModelError(f"The model's graph cannot be loaded: {error}") from error
        self.n_columns = _check_signature(self._session)

    def margin(self, matrix: NDArray[np.floating[Any]]) -> FloatArray:
        """Margins float64[n] of `matrix` [n, m]; higher is riskier.

        Raises `ModelError` on a wrong shape, a value that is not finite in float32, or a margin
        that is not finite.
        """
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(matrix, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.n_columns:
            raise ModelError(
                f"The model reads [n, {self.n_columns}] numbers, not {list(np.shape(matrix))}."
            )
        if not np.isfinite(rows).all():
            raise ModelError("The model's input holds a NaN or an infinite number.")
        result: FloatArray = self._session.run([OUTPUT_NAME], {INPUT_NAME: rows})[0]
        if not np.isfinite(result).all():
            raise ModelError("The model gave a NaN or an infinite number.")
        return result.reshape(-1)

    def score(self, matrix: NDArray[np.floating[Any]]) -> FloatArray:
        """Scores float64[n] in [0, 1]; higher is riskier."""
        return score_of(self.margin(matrix), self.link)


def _check_signature(session: Any) -> int:
    """The number of columns of the graph, or `ModelError` if it is not one of ours."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if (
        [(node.name, node.type) for node in inputs] != [(INPUT_NAME, "tensor(float)")]
        or [(node.name, node.type) for node in outputs] != [(OUTPUT_NAME, "tensor(double)")]
        or len(inputs[0].shape) != 2
        or not isinstance(inputs[0].shape[1], int)
    ):
        raise ModelError(
            f"The model's graph must map '{INPUT_NAME}' float32[n, m] to '{OUTPUT_NAME}' float64."
        )
    return int(inputs[0].shape[1])


def score_of(margin: FloatArray, link: str) -> FloatArray:
    """Map margins to scores in [0, 1], keeping their order.

    `logit`: the logistic function. `isolation`: 2**margin with margin <= 0, for an isolation
    forest -E[h]/c: the anomaly score of Liu, Ting & Zhou, "Isolation Forest" (ICDM 2008).
    `ratio`: margin / (1 + margin) with a margin that counts how often what is typical; the typical
    row has 0.5, and far rows stay apart. `share`: the margin itself, a mean of votes.
    """
    margins = np.asarray(margin, dtype=np.float64)
    if link == "logit":
        return _sigmoid(margins)
    if link == "isolation":
        scores: FloatArray = np.exp2(np.minimum(margins, 0.0))
        return scores
    if link == "ratio":
        times = np.maximum(margins, 0.0)
        ratios: FloatArray = times / (1.0 + times)
        return ratios
    if link == "share":
        shares: FloatArray = np.minimum(np.maximum(margins, 0.0), 1.0)
        return shares
    raise ModelError(f"Unknown link '{link}': expected one of {', '.join(LINKS)}.")


def _sigmoid(values: FloatArray) -> FloatArray:
    """Logistic function without overflow, and without rounding small probabilities to 0."""
    result: FloatArray = np.exp(-np.logaddexp(0.0, -values))
    return result


@dataclass(frozen=True)
class Calibration:
    """A monotone map from margins to probabilities.

    `none`: there is none. `platt`: sigmoid(slope * margin + intercept), slope > 0 (Platt 1999).
    `isotonic`: linear interpolation between `knots` (margins, rising) with `values`
    (probabilities, never falling), flat outside them (Zadrozny & Elkan 2002).
    Probabilities stay inside [1e-6, 1 - 1e-6]. Raises `ModelError` on parameters that are not so.
    """

    kind: str = "none"
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    _knots: FloatArray = field(init=False, repr=False, compare=False)
    _values: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        knots = np.asarray(self.knots, dtype=np.float64)
        values = np.asarray(self.values, dtype=np.float64)
        if self.kind == "platt":
            if not (np.isfinite([self.slope, self.intercept]).all() and self.slope > 0):
                raise ModelError("A Platt calibration needs a positive, finite slope.")
        elif self.kind == "isotonic":
            _check_isotonic(knots, values)
        elif self.kind != "none":
            raise ModelError(f"Unknown calibration '{self.kind}'.")
        object.__setattr__(self, "_knots", knots)
        object.__setattr__(self, "_values", values)

    def probability(self, margin: FloatArray) -> FloatArray | None:
        """Probabilities float64[n] of margins float64[n], or None without a calibration."""
        if self.kind == "none":
            return None
        margins = np.asarray(margin, dtype=np.float64)
        if self.kind == "platt":
            raw = _sigmoid(self.slope * margins + self.intercept)
        else:
            raw = np.interp(margins, self._knots, self._values)
        return np.minimum(np.maximum(raw, PROBABILITY_CLIP), 1.0 - PROBABILITY_CLIP)

    def to_dict(self) -> dict[str, Any]:
        """The parameters that `kind` uses, ready for JSON."""
        if self.kind == "platt":
            return {"kind": "platt", "slope": self.slope, "intercept": self.intercept}
        if self.kind == "isotonic":
            return {"kind": "isotonic", "knots": list(self.knots), "values": list(self.values)}
        return {"kind": "none"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibration":
        """The reverse of `to_dict`; raises `ModelError` on anything malformed."""
        try:
            return cls(
                kind=str(data["kind"]),
                slope=float(data.get("slope", 1.0)),
                intercept=float(data.get("intercept", 0.0)),
                knots=tuple(float(knot) for knot in data.get("knots", ())),
                values=tuple(float(value) for value in data.get("values", ())),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"The calibration is malformed: {error!r}") from error


def _check_isotonic(knots: FloatArray, values: FloatArray) -> None:
    if knots.size == 0 or knots.shape != values.shape:
        raise ModelError("An isotonic calibration needs as many values as knots, at least one.")
    if not (np.isfinite(knots).all() and (np.diff(knots) > 0).all()):
        raise ModelError("The knots of an isotonic calibration must be finite and rising.")
    if not ((values >= 0).all() and (values <= 1).all() and (np.diff(values) >= 0).all()):
        raise ModelError("The values of an isotonic calibration must rise within [0, 1].")
