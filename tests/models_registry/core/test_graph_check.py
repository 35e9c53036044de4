"""Graphs of ours pass; what a hostile one might use does not."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models_registry.core import graph_check
from models_registry.core.export import ForestBuilder, ensemble_attributes
from models_registry.core.graph_check import GraphError, check_graph
from models_registry.core.learners.catalogue import LEARNERS, make_learner

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(300, 4)).astype(np.float32)
LABELS = (MATRIX[:, 0] > 0.8).astype(int)


def model_of(*nodes, initializer=(), functions=(), domains=None):
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])],
        initializer=list(initializer),
    )
    opsets = [helper.make_opsetid(*pair) for pair in (domains or {"": 21}).items()]
    return helper.make_model(graph, functions=list(functions), opset_imports=opsets)


def refused(model, match):
    with pytest.raises(GraphError, match=match):
        check_graph(model.SerializeToString())


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_every_learners_graph_passes(name):
    learner = make_learner(name)
    learner.fit(MATRIX, LABELS)
    check_graph(learner.export().onnx)


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Loop", "Range", "Tile"])
def test_operators_that_make_memory_or_loop_are_refused(operator):
    refused(model_of(helper.make_node(operator, ["x"], ["y"])), operator)


def test_an_operator_of_another_domain_is_refused():
    refused(model_of(helper.make_node("Relu", ["x"], ["y"], domain="com.evil")), "com.evil")


def test_a_graph_inside_an_operator_is_refused():
    inner = helper.make_graph([], "inner", [], [])
    node = helper.make_node("Relu", ["x"], ["y"])
    node.attribute.append(helper.make_attribute("body", inner))
    refused(model_of(node), "graph of its own")


def test_an_operator_that_says_twice_what_it_is_is_taken_at_its_last_word():
    """Of two fields every reader takes the last; a check that takes the first is no check."""
    node = helper.make_node("Expand", ["x", "s"], ["y"]).SerializeToString()
    node = b"\x22\x03Add" + node
    graph = model_of().graph
    graph.initializer.append(numpy_helper.from_array(np.array([9, 4]), "s"))
    model = model_of()
    model.ClearField("graph")
    inner = b"\x0a" + bytes([len(node)]) + node + graph.SerializeToString()
    content = model.SerializeToString() + b"\x3a" + varint(len(inner)) + inner
    with pytest.raises(GraphError, match="Expand"):
        check_graph(content)


def varint(number):
    return bytes([number & 127 | 128, number >> 7]) if number > 127 else bytes([number])


def test_fields_that_nobody_knows_are_refused():
    content = model_of(helper.make_node("Relu", ["x"], ["y"])).SerializeToString()
    check_graph(content)
    with pytest.raises(GraphError, match="more than a graph"):
        check_graph(content + b"\xfa\x3e\x01x")


def doubling(times, operator="Concat", **settings):
    names = ["x", *(f"v{i}" for i in range(times)), "y"]
    return [helper.make_node(operator, [a, a], [b], **settings) for a, b in pairwise(names)]


def test_values_that_double_are_refused():
    refused(model_of(*doubling(24, axis=0)), "Concat")


@pytest.mark.parametrize("operator", ["Concat", "Reshape", "Slice", "Squeeze", "Transpose"])
def test_operators_that_could_make_shapes_out_of_numbers_are_refused(operator):
    refused(model_of(helper.make_node(operator, ["x"], ["y"])), operator)


def test_a_value_that_grows_with_the_square_of_the_rows_is_refused():
    square = helper.make_node("Gemm", ["x", "x"], ["y"], transB=1)
    refused(model_of(square), "cannot be told")


def test_a_value_that_gets_wider_with_each_operator_is_refused():
    """Rows are looked up by what was looked up: [n, 4], [n, 4, 50], [n, 4, 50, 50] ..."""
    table = numpy_helper.from_array(np.zeros((50, 50), np.int64), "table")
    nodes = [helper.make_node("Cast", ["x"], ["v0"], to=TensorProto.INT64)]
    nodes += [helper.make_node("Gather", ["table", f"v{i}"], [f"v{i + 1}"]) for i in range(3)]
    nodes.append(helper.make_node("Cast", ["v3"], ["y"], to=TensorProto.FLOAT))
    refused(model_of(*nodes, initializer=[table]), "numbers per row")


def test_constants_that_make_a_large_one_are_refused():
    long = numpy_helper.from_array(np.ones((5000, 1), np.float32), "long")
    flat = numpy_helper.from_array(np.ones((1, 5000), np.float32), "flat")
    nodes = [helper.make_node("MatMul", ["long", "flat"], ["w"])]
    nodes.append(helper.make_node("Relu", ["x"], ["y"]))
    refused(model_of(*nodes, initializer=[long, flat]), "25,000,000 besides")


def test_what_the_file_says_of_its_shapes_is_not_asked():
    model = model_of(helper.make_node("Gemm", ["x", "x"], ["y"], transB=1))
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    refused(model, "cannot be told")


def tree_model(**changed):
    builder = ForestBuilder()
    builder.add_tree()
    upper, lower = (builder.add_split(feature=f, threshold=0.0, cover=1.0) for f in (0, 1))
    leaves = [builder.add_leaf(value=1.0, cover=1.0) for _ in range(3)]
    builder.link(upper, left=lower, right=leaves[0])
    builder.link(lower, left=leaves[1], right=leaves[2])
    attributes = ensemble_attributes(builder.build()) | changed
    return model_of(
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("TreeEnsemble", ["wide"], ["t"], domain="ai.onnx.ml", **attributes),
        helper.make_node("Cast", ["t"], ["y"], to=TensorProto.FLOAT),
        domains={"": 21, "ai.onnx.ml": 5},
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"nodes_truenodeids": [0, 1]}, "leads back"),
        ({"nodes_truenodeids": [1, 9]}, "not there"),
        ({"nodes_featureids": [0, 4]}, "not there"),
        ({"nodes_featureids": [0, -1]}, "not there"),
        ({"tree_roots": [2]}, "not there"),
        ({"leaf_targetids": [0, 0, 1]}, "not there"),
        ({"nodes_trueleafs": [1]}, "must have 2 elements"),
        ({"nodes_hitrates": [1.0, 1.0]}, "not read"),
    ],
)
def test_a_tree_leads_downwards_to_what_is_there(changed, said):
    check_graph(tree_model().SerializeToString())
    refused(tree_model(**changed), said)


def test_trees_that_take_very_many_steps_are_refused(monkeypatch):
    monkeypatch.setattr(graph_check, "MOST_STEPS", 4)
    check_graph(tree_model(tree_roots=[0, 0]).SerializeToString())
    refused(tree_model(tree_roots=[0, 0, 1]), "up to 5 steps")


def test_a_tensor_in_another_file_is_refused():
    tensor = numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, location="/etc/passwd")
    node = helper.make_node("Relu", ["x"], ["y"])
    refused(model_of(node, initializer=[tensor]), "another file")


def test_functions_are_refused():
    function = helper.make_function(
        "own", "f", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])],
        [helper.make_opsetid("", 21)],
    )  # fmt: skip
    refused(model_of(helper.make_node("Relu", ["x"], ["y"]), functions=[function]), "functions")


@given(st.binary(max_size=300))
def test_whatever_bytes_come_it_passes_or_refuses(content):
    try:
        check_graph(content)
    except GraphError:
        return
    raise AssertionError("no random bytes hold a graph of known operators")


def test_a_cut_graph_is_refused():
    learner = make_learner("logistic_regression")
    learner.fit(MATRIX, LABELS)
    with pytest.raises(GraphError):
        check_graph(learner.export().onnx[:-3])
