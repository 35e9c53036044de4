"""Look through an ONNX graph from elsewhere before anything runs it.

A graph is refused when it holds what no model of ours needs and a hostile one might use: operators
of another domain, operators that make memory out of small numbers, loops, functions, and tensors
that lie in other files. Reading needs no ONNX library, which the web process does not load: this
follows the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) down the few
fields of onnx.proto3 that matter.
"""

from collections.abc import Iterator
from typing import Final

OPERATORS: Final = frozenset((
    "TreeEnsemble", "TreeEnsembleRegressor", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div",
    "Neg", "Abs", "Sqrt", "Pow", "Exp", "Log", "Erf", "Relu", "LeakyRelu", "Sigmoid", "Tanh",
    "Softplus", "Clip", "Max", "Min", "Where", "Less", "LessOrEqual", "Greater",
    "GreaterOrEqual", "Equal", "And", "Or", "Not", "Cast", "Identity", "Concat", "Reshape",
    "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Gather", "Slice", "ReduceSum",
    "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ArgMax", "Softmax",
    "LogSoftmax", "Sum", "Mean", "Constant", "IsNaN", "Sign", "Floor", "Ceil", "Round", "CDist",
    "Scaler",
))  # fmt: skip
DOMAINS: Final = frozenset(("", "ai.onnx", "ai.onnx.ml"))
MOST_NODES: Final = 2000
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# Field numbers of onnx.proto3.
MODEL_GRAPH, MODEL_FUNCTIONS = 7, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
ATTRIBUTE_SPARSE = (22, 23)
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14


class GraphError(ValueError):
    """A graph that is not run; the message says what it holds."""


def check_graph(content: bytes) -> None:
    """Raises GraphError unless the model in `content` consists of known, harmless operators."""
    graphs = [value for number, value in _fields(content) if number == MODEL_GRAPH]
    if any(number == MODEL_FUNCTIONS for number, _ in _fields(content)):
        raise GraphError("The graph defines functions of its own.")
    if len(graphs) != 1:
        raise GraphError("The file holds no graph.")
    nodes = 0
    for number, value in _fields(_bytes(graphs[0])):
        if number == GRAPH_NODE:
            nodes += 1
            _check_node(_bytes(value))
        elif number == GRAPH_INITIALIZER:
            _check_tensor(_bytes(value))
        elif number == GRAPH_SPARSE:
            raise GraphError("The graph holds a sparse tensor.")
    if not 0 < nodes <= MOST_NODES:
        raise GraphError(f"The graph has {nodes} operators; 1 to {MOST_NODES} are allowed.")


def _check_node(node: bytes) -> None:
    fields = list(_fields(node))
    operator = next((_text(value) for number, value in fields if number == NODE_OPERATOR), "")
    domain = next((_text(value) for number, value in fields if number == NODE_DOMAIN), "")
    if operator not in OPERATORS or domain not in DOMAINS:
        named = f"{domain}:{operator}" if domain else operator
        raise GraphError(f"The graph uses the operator '{named}', which is not allowed.")
    for number, value in fields:
        if number == NODE_ATTRIBUTE:
            _check_attribute(_bytes(value))


def _check_attribute(attribute: bytes) -> None:
    for number, value in _fields(attribute):
        if number in ATTRIBUTE_GRAPHS:
            raise GraphError("An operator of the graph holds a graph of its own.")
        if number in ATTRIBUTE_SPARSE:
            raise GraphError("An operator of the graph holds a sparse tensor.")
        if number in ATTRIBUTE_TENSORS:
            _check_tensor(_bytes(value))


def _check_tensor(tensor: bytes) -> None:
    for number, value in _fields(tensor):
        if number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value != 0):
            raise GraphError("A tensor of the graph lies in another file.")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise GraphError("The file is no ONNX graph.")
    return value


def _text(value: int | bytes) -> str:
    return _bytes(value)[:80].decode("utf-8", "replace")


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a message: numbers as int, everything else as bytes."""
    at, end = 0, len(content)
    while at < end:
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == BYTES:
            size, at = _varint(content, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise GraphError("The file is no ONNX graph.")
        if at + size > end:
            raise GraphError("The graph ends too early.")
        yield number, content[at : at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """(number, place after it). Raises GraphError past ten bytes or the end."""
    found = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise GraphError("The graph ends too early.")
        byte = content[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
    raise GraphError("The file is no ONNX graph.")
