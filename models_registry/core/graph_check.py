"""Look through an ONNX graph from elsewhere before anything runs it.

It is read by the ONNX library, as what runs it does, and may consist of the operators of our own
learners alone: no loop, no function, no tensor in another file. None of them makes a shape out of
numbers, so the shapes that are inferred beforehand (https://onnx.ai/onnx/repo-docs/
ShapeInference.html) hold for every row that is ever scored: each value grows with the rows and no
faster, and is bounded. Trees may lead downwards only, for so many steps.

Needs the onnx package, and memory for whatever a file makes of it: models_registry.trial runs this
in a process that has little.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, helper, numpy_helper

OPERATORS: Final = frozenset((
    "Add", "Cast", "Clip", "Div", "Exp", "Gather", "Gemm", "MatMul", "Max", "Mul", "Relu", "Sub",
    "TreeEnsemble", "Where",
))  # fmt: skip
DOMAINS: Final = frozenset(("", "ai.onnx", "ai.onnx.ml"))
MOST_NODES: Final = 500
ROWS: Final = "n"
MOST_WIDTH: Final = 1 << 17
"""Numbers per row, over all values of the graph: 1 MB of float64."""
MOST_CONSTANT: Final = 1 << 24
"""Numbers in all values that do not depend on rows, and are not stored in the file."""
MOST_STEPS: Final = 1_000_000
"""Splits that a row passes in the worst case, over all trees."""
TREES: Final = "TreeEnsemble"
LESS_OR_EQUAL: Final = 0
TREE_ATTRIBUTES: Final = frozenset((
    "aggregate_function", "leaf_targetids", "leaf_weights", "n_targets", "nodes_falseleafs",
    "nodes_falsenodeids", "nodes_featureids", "nodes_modes", "nodes_splits", "nodes_trueleafs",
    "nodes_truenodeids", "post_transform", "tree_roots",
))  # fmt: skip
PLAIN: Final = frozenset((
    AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING, AttributeProto.TENSOR,
    AttributeProto.FLOATS, AttributeProto.INTS,
))  # fmt: skip

Shape = tuple[int | str, ...]
Integers = NDArray[np.int64]


class GraphError(ValueError):
    """A graph that is not run; the message says what it holds."""


def check_graph(content: bytes) -> None:
    """Raises GraphError unless the model in `content` consists of known operators, and all that it
    computes is bounded as above."""
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf's errors share no base class with ours.
        raise GraphError("The file is no ONNX graph.") from error
    _check_parts(model)
    shapes = _shapes(model)
    width = constant = 0
    for node in model.graph.node:
        for name in node.output:
            shape = shapes.get(name)
            if shape is None or ROWS in shape[1:] or "" in shape:
                raise GraphError(f"How large '{name[:60]}' becomes cannot be told beforehand.")
            size = prod(d for d in shape if isinstance(d, int))
            width += size if ROWS in shape else 0
            constant += size if ROWS not in shape else 0
    if width > MOST_WIDTH or constant > MOST_CONSTANT:
        raise GraphError(
            f"The graph computes {width:,} numbers per row and {constant:,} besides; at most "
            f"{MOST_WIDTH:,} and {MOST_CONSTANT:,} are allowed."
        )
    steps = sum(_steps(node, shapes) for node in model.graph.node if node.op_type == TREES)
    if steps > MOST_STEPS:
        raise GraphError(f"Its trees take up to {steps:,} steps; {MOST_STEPS:,} are allowed.")


def _check_parts(model: Any) -> None:
    """Known operators, plain attributes, tensors that lie in the file itself."""
    size = model.ByteSize()
    model.DiscardUnknownFields()
    if model.ByteSize() != size or model.training_info:
        raise GraphError("The file holds more than a graph.")
    graph = model.graph
    if model.functions:
        raise GraphError("The graph defines functions of its own.")
    if graph.sparse_initializer:
        raise GraphError("The graph holds a sparse tensor.")
    if not 0 < len(graph.node) <= MOST_NODES:
        raise GraphError(
            f"The graph has {len(graph.node):,} operators; 1 to {MOST_NODES} are allowed."
        )
    tensors = list(graph.initializer)
    for node in graph.node:
        if node.op_type not in OPERATORS or node.domain not in DOMAINS:
            named = f"{node.domain}:{node.op_type}" if node.domain else node.op_type
            raise GraphError(f"The graph uses the operator '{named[:80]}', which is not allowed.")
        if any(attribute.type not in PLAIN for attribute in node.attribute):
            raise GraphError("An operator holds a graph of its own, or a sparse tensor.")
        tensors += [one.t for one in node.attribute if one.HasField("t")]
    if any(tensor.external_data or tensor.data_location for tensor in tensors):
        raise GraphError("A tensor of the graph lies in another file.")


def _shapes(model: Any) -> dict[str, Shape]:
    """The shape of every value by its name; "" is a length that nobody knows."""
    graph = model.graph
    # What the file says of its values is not asked: all is inferred from inputs and constants.
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in constants and len(dims) == 2 and not dims[0].dim_value:
            dims[0].dim_param = ROWS
    try:
        inferred = onnx.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        )
    except Exception as error:  # As above.
        raise GraphError(f"The graph does not fit together: {str(error)[:200]}") from error
    found = inferred.graph
    return {
        value.name: tuple(_length(dim) for dim in value.type.tensor_type.shape.dim)
        for value in (*found.input, *found.value_info, *found.output)
        if value.type.tensor_type.HasField("shape")
    }


def _length(dim: Any) -> int | str:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return ROWS if dim.dim_param == ROWS else ""


def _steps(node: NodeProto, shapes: dict[str, Shape]) -> int:
    """Splits that a row passes at most. Raises GraphError unless all indices lead somewhere and
    each split's children come after it: a row arrives at a leaf."""
    names = [attribute.name for attribute in node.attribute]
    if len(set(names)) != len(names) or not set(names) <= TREE_ATTRIBUTES:
        raise GraphError("A tree is described in a way that is not read.")
    found = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    try:
        features, leaves = _numbers(found["nodes_featureids"]), _numbers(found["leaf_targetids"])
        roots = _numbers(found["tree_roots"])
        modes = numpy_helper.to_array(found["nodes_modes"])
        targets = int(found.get("n_targets", 1))
        sides = [
            (_numbers(found[f"nodes_{side}nodeids"]), _numbers(found[f"nodes_{side}leafs"]))
            for side in ("true", "false")
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise GraphError(f"A tree is incomplete: {error}.") from error
    count = features.size
    columns = shapes.get(node.input[0], ("",))[-1]
    if not isinstance(columns, int) or modes.shape != (count,) or (modes != LESS_OR_EQUAL).any():
        raise GraphError("A tree splits in a way that is not read.")
    _within(features, columns)
    _within(leaves, targets)
    _within(roots, count)
    return _deepest(roots, [_children(*side, count=count, leaves=leaves.size) for side in sides])


def _children(ids: Integers, is_leaf: Integers, *, count: int, leaves: int) -> Integers:
    """The split that comes next, by split; -1 where a leaf does."""
    if ids.shape != (count,) or is_leaf.shape != (count,):
        raise GraphError("A tree is incomplete.")
    leaf = is_leaf != 0
    _within(ids[leaf], leaves)
    _within(ids[~leaf], count)
    if (ids[~leaf] <= np.flatnonzero(~leaf)).any():
        raise GraphError("A tree leads back to where it came from.")
    return np.where(leaf, -1, ids)


def _deepest(roots: Integers, children: Sequence[Integers]) -> int:
    """Over all trees, the splits on the longest way from the root."""
    left, right = (side.tolist() for side in children)
    depth = [0] * (len(left) + 1)  # The last one is that of a leaf, which -1 reads.
    for place in range(len(left) - 1, -1, -1):
        depth[place] = 1 + max(depth[left[place]], depth[right[place]])
    return sum(depth[root] for root in roots.tolist())


def _numbers(values: Any) -> Integers:
    return np.asarray(values, dtype=np.int64).reshape(-1)


def _within(numbers: Integers, end: int) -> None:
    if numbers.size and not 0 <= int(numbers.min()) <= int(numbers.max()) < end:
        raise GraphError("A tree points to something that is not there.")
