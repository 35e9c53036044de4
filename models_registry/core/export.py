"""Turn fitted trees and linear models into ONNX and plain arrays, and prove that nothing changed.

The graph is written with onnx's own helper: one `TreeEnsemble` (or one `Gemm`) in float64 over the
float32 matrix. A threshold is floored to the nearest float32 below it, which no float32 input can
tell from the original, so a row takes the same branch here, in the graph and in the tables.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from scoring.core.attribution import Arrays
from scoring.core.explain import Explainer, additivity_error
from scoring.core.inference import INPUT_NAME, OUTPUT_NAME, Model
from scoring.core.tree_shap import NO_FEATURE, floor_float32

PARITY_TOLERANCE = 1e-6
PARITY_ROWS = 20_000
"""Rows that a graph is given at once: some hold a number per row and support vector."""
ONNX_IR_VERSION = 10
ONNX_OPSETS = (("", 21), ("ai.onnx.ml", 5))
LESS_OR_EQUAL = 0
SUM = 1

Matrix = NDArray[np.float32]
FloatArray = NDArray[np.float64]


class ExportError(ValueError):
    """An exported model that differs from the fitted one, or arrays that cannot be exported."""


class HasMargin(Protocol):
    def margin(self, matrix: Matrix) -> FloatArray: ...


@dataclass(frozen=True)
class ExportedModel:
    """What a bundle stores of a model: the graph, the arrays for the explainer, the link."""

    onnx: bytes
    arrays: dict[str, NDArray[Any]]
    link: str


@dataclass(frozen=True)
class Forest:
    """Trees as node arrays in one block; see `Explainer.from_arrays` for the meaning of each."""

    feature: NDArray[np.int32]
    threshold: FloatArray
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: FloatArray
    cover: FloatArray
    roots: NDArray[np.int32]
    offset: float = 0.0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays as a bundle stores them."""
        return {
            "feature": self.feature, "threshold": self.threshold, "left": self.left,
            "right": self.right, "value": self.value, "cover": self.cover, "roots": self.roots,
            "offset": np.array(self.offset, dtype=np.float64),
        }  # fmt: skip


class ForestBuilder:
    """Collects nodes, parents before children, into a `Forest`."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, float, float, float]] = []
        self._children: list[tuple[int, int]] = []
        self._roots: list[int] = []

    def add_tree(self) -> None:
        """The next node that is added is the root of a new tree."""
        self._roots.append(len(self._rows))

    def add_split(self, *, feature: int, threshold: float, cover: float) -> int:
        """A node that sends x[feature] <= threshold to the left; returns its index."""
        return self._add((feature, threshold, 0.0, cover))

    def add_leaf(self, *, value: float, cover: float) -> int:
        """A leaf; returns its index."""
        return self._add((NO_FEATURE, 0.0, value, cover))

    def link(self, parent: int, *, left: int, right: int) -> None:
        """Name the children of a split."""
        self._children[parent] = (left, right)

    def _add(self, row: tuple[int, float, float, float]) -> int:
        self._rows.append(row)
        self._children.append((0, 0))
        return len(self._rows) - 1

    def build(self, *, offset: float = 0.0) -> Forest:
        """The forest; thresholds floored to float32."""
        feature, threshold, value, cover = np.array(self._rows, dtype=np.float64).reshape(-1, 4).T
        children = np.array(self._children, dtype=np.int32).reshape(-1, 2)
        return Forest(
            feature=feature.astype(np.int32),
            threshold=floor_float32(threshold).astype(np.float64),
            left=children[:, 0].copy(),
            right=children[:, 1].copy(),
            value=value.copy(),
            cover=cover.copy(),
            roots=np.array(self._roots, dtype=np.int32),
            offset=offset,
        )


def join_forests(parts: Sequence[tuple[Forest, float]], *, offset: float = 0.0) -> Forest:
    """One forest of all trees, each forest's values and offset times its weight, plus `offset`."""
    sizes = [forest.feature.size for forest, _ in parts]
    starts = np.cumsum([0, *sizes[:-1]])

    def moved(name: str) -> NDArray[np.int32]:
        found = zip((getattr(forest, name) for forest, _ in parts), starts, strict=True)
        return np.concatenate([indices + start for indices, start in found]).astype(np.int32)

    return Forest(
        feature=np.concatenate([forest.feature for forest, _ in parts]),
        threshold=np.concatenate([forest.threshold for forest, _ in parts]),
        left=moved("left"),
        right=moved("right"),
        value=np.concatenate([weight * forest.value for forest, weight in parts]),
        cover=np.concatenate([forest.cover for forest, _ in parts]),
        roots=moved("roots"),
        offset=offset + sum(weight * forest.offset for forest, weight in parts),
    )


def export_forest(forest: Forest, *, n_columns: int, link: str) -> ExportedModel:
    """A forest over a matrix [n, n_columns] as one `TreeEnsemble` and its arrays."""
    if forest.feature.size and forest.feature.max() >= n_columns:
        raise ExportError("A tree reads a column that the matrix does not have.")
    nodes = [
        helper.make_node("Cast", [INPUT_NAME], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node(
            "TreeEnsemble", ["wide"], ["trees"], domain="ai.onnx.ml", **ensemble_attributes(forest)
        ),
        helper.make_node("Add", ["trees", "offset"], [OUTPUT_NAME]),
    ]
    offset = helper.make_tensor("offset", TensorProto.DOUBLE, [1], [_constant(forest)])
    return ExportedModel(build_graph(nodes, [offset], n_columns), forest.arrays(), link)


def _constant(forest: Forest) -> float:
    """The offset and the trees that never split: the operator knows no tree without a split."""
    lone = forest.roots[forest.feature[forest.roots] == NO_FEATURE]
    return forest.offset + float(forest.value[lone].sum())


def ensemble_attributes(forest: Forest) -> dict[str, Any]:
    """Attributes of ai.onnx.ml 5 `TreeEnsemble`, which numbers splits and leaves apart."""
    is_leaf = forest.feature == NO_FEATURE
    place = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(~is_leaf)) - 1
    split = np.flatnonzero(~is_leaf)
    roots = forest.roots[~is_leaf[forest.roots]]
    if split.size == 0:
        return _silent_ensemble()
    left, right = forest.left[split], forest.right[split]
    leaves = forest.value[is_leaf].tolist()
    return {
        "n_targets": 1,
        "aggregate_function": SUM,
        "post_transform": 0,
        "tree_roots": place[roots].tolist(),
        "nodes_featureids": forest.feature[split].tolist(),
        "nodes_splits": doubles("splits", forest.threshold[split].tolist()),
        "nodes_modes": helper.make_tensor(
            "modes", TensorProto.UINT8, [split.size], [LESS_OR_EQUAL] * split.size
        ),
        "nodes_truenodeids": place[left].tolist(),
        "nodes_trueleafs": is_leaf[left].astype(int).tolist(),
        "nodes_falsenodeids": place[right].tolist(),
        "nodes_falseleafs": is_leaf[right].astype(int).tolist(),
        "leaf_targetids": [0] * len(leaves),
        "leaf_weights": doubles("weights", leaves),
    }


def _silent_ensemble() -> dict[str, Any]:
    """One split whose two leaves hold 0: a forest that learned nothing but its offset."""
    builder = ForestBuilder()
    builder.add_tree()
    root = builder.add_split(feature=0, threshold=0.0, cover=2.0)
    leaves = [builder.add_leaf(value=0.0, cover=1.0) for _ in range(2)]
    builder.link(root, left=leaves[0], right=leaves[1])
    return ensemble_attributes(builder.build())


def export_linear(
    *, coef: FloatArray, background: FloatArray, intercept: float, link: str
) -> ExportedModel:
    """margin = intercept + coef . x as one `Gemm`; `coef` and `background` float64[m]."""
    nodes = [
        helper.make_node("Cast", [INPUT_NAME], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Gemm", ["wide", "coef", "intercept"], [OUTPUT_NAME]),
    ]
    weights = [
        helper.make_tensor("coef", TensorProto.DOUBLE, [coef.size, 1], coef.tolist()),
        helper.make_tensor("intercept", TensorProto.DOUBLE, [1], [intercept]),
    ]
    arrays = {
        "coef": np.asarray(coef, dtype=np.float64),
        "background": np.asarray(background, dtype=np.float64),
        "intercept": np.array(intercept, dtype=np.float64),
    }
    return ExportedModel(build_graph(nodes, weights, coef.size), arrays, link)


def doubles(name: str, values: list[float]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)


def build_graph(
    nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], n_columns: int
) -> bytes:
    """The bytes of a checked model that maps float32[n, n_columns] to float64[n, 1]."""
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [None, n_columns])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.DOUBLE, [None, 1])],
        constants,
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in ONNX_OPSETS]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ONNX_IR_VERSION)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def check_parity(learner: HasMargin, exported: ExportedModel, matrix: Matrix) -> float:
    """Largest |margin of the learner - margin of the graph|, or of the explainer's sum, as a share
    of the margin where that is above 1: a margin has no unit, and some reach thousands.

    Raises `ExportError` past 1e-6: a bundle must never score otherwise than what was judged.
    """
    expected = learner.margin(matrix)
    model = Model(exported.onnx, link=exported.link)
    starts = range(0, max(len(matrix), 1), PARITY_ROWS)
    margin = np.concatenate([model.margin(matrix[at : at + PARITY_ROWS]) for at in starts])
    explainer = Explainer.from_arrays(exported.arrays)
    rows = matrix[:1000]
    gaps = additivity_error(explainer.base, explainer.contributions(rows), expected[:1000])
    size = np.maximum(np.abs(expected), 1.0)
    apart = np.abs(margin - expected) / size
    worst = float(max(apart.max(initial=0.0), (gaps / size[:1000]).max(initial=0.0)))
    if not worst <= PARITY_TOLERANCE:
        raise ExportError(f"The exported model differs from the fitted one by {worst:.3g}.")
    return worst


def arrays_to_bytes(arrays: Arrays) -> bytes:
    """An npz archive of plain arrays; the same arrays give the same bytes."""
    if any(array.dtype.hasobject for array in arrays.values()):
        raise ExportError("Only plain numeric arrays can be stored.")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def arrays_from_bytes(content: bytes) -> dict[str, NDArray[Any]]:
    """The reverse of `arrays_to_bytes`; never unpickles."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
