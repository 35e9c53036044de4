"""ONNX graphs of the models that are neither trees nor lines, from the arrays that explain them.

Everything is float64. A row must get the same bits alone and in any batch
(tests/scoring/core/test_batch_invariance.py). onnxruntime keeps that for matrix products, but not
for sums along a row, which it begins where memory is aligned, nor for what it computes several
numbers at a time (exp) where a row has a rest: so sums are products with ones, and support vectors
are filled up to whole groups.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models_registry.core.export import (
    ExportedModel,
    ForestBuilder,
    build_graph,
    ensemble_attributes,
)
from scoring.core.inference import INPUT_NAME, OUTPUT_NAME

GROUP: Final = 8
"""Numbers that the widest processors compute together."""

Arrays = dict[str, NDArray[Any]]


class _Graph:
    """Nodes and constants, collected in order."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def put(self, name: str, values: Any, kind: type[Any] = np.float64) -> str:
        """A constant; returns its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def run(self, operator: str, inputs: Sequence[str], output: str, **settings: Any) -> str:
        """A node with one output; returns the output's name."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **settings))
        return output

    def standardised(self, arrays: Arrays) -> str:
        """z = (x - center) * slope."""
        self.run("Cast", [INPUT_NAME], "wide", to=TensorProto.DOUBLE)
        self.run("Sub", ["wide", self.put("center", arrays["center"])], "centred")
        if arrays["slope"].size == 1:
            # onnxruntime turns a product with one number before a MatMul into a float32.
            slope = self.put("slope", arrays["slope"][:, None])
            return self.run("MatMul", ["centred", slope], "z")
        return self.run("Mul", ["centred", self.put("slope", arrays["slope"])], "z")

    def row_sums(self, values: str, output: str, weights: NDArray[np.float64]) -> str:
        """float64[n, 1]: the weighted sums of the rows of float64[n, m], `weights` [m]."""
        column = self.put(f"weights_of_{output}", weights[:, None])
        return self.run("MatMul", [values, column], output)

    def export(self, arrays: Arrays, n_columns: int, link: str) -> ExportedModel:
        return ExportedModel(build_graph(self.nodes, self.constants, n_columns), arrays, link)


def export_kernel(arrays: Arrays, *, link: str) -> ExportedModel:
    """-sum_i dual_i exp(-gamma |z - support_i|^2); see scoring.core.kernel_shap."""
    graph = _Graph()
    rest = -len(arrays["dual"]) % GROUP
    support = np.pad(arrays["support"], ((0, rest), (0, 0)))
    dual = np.pad(arrays["dual"], (0, rest))
    z = graph.standardised(arrays)
    graph.row_sums(graph.run("Mul", [z, z], "squares"), "length", np.ones(support.shape[1]))
    graph.put("own", np.square(support).sum(axis=1)[None, :])
    graph.run("MatMul", [z, graph.put("twice", 2.0 * support.T)], "product")
    graph.run("Add", ["length", "own"], "lengths")
    graph.run("Sub", ["lengths", "product"], "distance")
    graph.run("Mul", ["distance", graph.put("rate", -arrays["gamma"])], "exponent")
    graph.run("Exp", ["exponent"], "kernel")
    graph.row_sums("kernel", OUTPUT_NAME, -dual)
    return graph.export(arrays, support.shape[1], link)


def export_tails(arrays: Arrays, *, link: str) -> ExportedModel:
    """The largest of three sums of tails; see scoring.core.tails."""
    graph = _Graph()
    m = arrays["usual"].size
    graph.run("Cast", [INPUT_NAME], "wide", to=TensorProto.DOUBLE)
    graph.run("TreeEnsemble", ["wide"], "interval", domain="ai.onnx.ml", **_interval_trees(arrays))
    graph.run("Cast", ["interval"], "whole", to=TensorProto.INT64)
    starts = arrays["first"][:-1] + np.arange(m)
    graph.run("Add", ["whole", graph.put("starts", starts, np.int64)], "place")
    for side in ("left_tail", "right_tail"):
        graph.run("Gather", [graph.put(f"{side}s", arrays[side]), "place"], side)
        graph.row_sums(side, f"{side}_sum", np.ones(m))
    leans = graph.put("leans", arrays["leans_right"] > 0, np.bool_)
    graph.run("Where", [leans, "right_tail", "left_tail"], "leaning")
    graph.row_sums("leaning", "leaning_sum", np.ones(m))
    graph.run("Max", ["left_tail_sum", "right_tail_sum", "leaning_sum"], "largest")
    graph.run("Div", ["largest", graph.put("typical", arrays["typical"])], OUTPUT_NAME)
    return graph.export(arrays, m, link)


def _interval_trees(arrays: Arrays) -> dict[str, Any]:
    """A balanced tree for each column whose leaves hold the number of the value's interval."""
    builder = ForestBuilder()
    columns: list[int] = []
    first = arrays["first"]
    for column in range(len(first) - 1):
        edges = arrays["edges"][first[column] : first[column + 1]].tolist()
        builder.add_tree()
        _halve(builder, column, edges, 0)
        columns += [column] * (len(edges) + 1)
    return ensemble_attributes(builder.build()) | {
        "n_targets": len(first) - 1,
        "leaf_targetids": columns,
    }


def _halve(builder: ForestBuilder, column: int, edges: list[float], begin: int) -> int:
    """A node that finds the interval among the edges, the lowest of which is number `begin`."""
    if not edges:
        return builder.add_leaf(value=float(begin), cover=1.0)
    middle = len(edges) // 2
    node = builder.add_split(feature=column, threshold=edges[middle], cover=1.0)
    left = _halve(builder, column, edges[:middle], begin)
    right = _halve(builder, column, edges[middle + 1 :], begin + middle + 1)
    builder.link(node, left=left, right=right)
    return node


def export_network(arrays: Arrays, *, link: str) -> ExportedModel:
    """The reconstruction error of an autoencoder; see scoring.core.reconstruction."""
    graph = _Graph()
    z = graph.standardised(arrays)
    clip, cap = float(arrays["clip"]), float(arrays["cap"])
    value = _within(graph, z, clip, "clip")
    layer = 0
    while f"weight_{layer}" in arrays:
        if layer:
            value = graph.run("Relu", [value], f"bent_{layer}")
        weight = graph.put(f"weight_{layer}", arrays[f"weight_{layer}"])
        bias = graph.put(f"bias_{layer}", arrays[f"bias_{layer}"])
        graph.run("MatMul", [value, weight], f"product_{layer}")
        value = graph.run("Add", [f"product_{layer}", bias], f"layer_{layer}")
        layer += 1
    graph.run("Sub", [_within(graph, z, cap, "cap"), value], "error")
    graph.run("Mul", ["error", "error"], "square")
    part = (arrays["slope"] != 0) / float(arrays["typical"])
    graph.row_sums("square", OUTPUT_NAME, part)
    return graph.export(arrays, part.size, link)


def _within(graph: _Graph, value: str, bound: float, name: str) -> str:
    low, high = graph.put(f"{name}_low", -bound), graph.put(f"{name}_high", bound)
    return graph.run("Clip", [value, low, high], f"{name}ped")
