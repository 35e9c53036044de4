"""Graphs of ours pass; what a hostile one might use does not."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models_registry.core.graph_check import GraphError, check_graph
from models_registry.core.learners.catalogue import LEARNERS, make_learner

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(300, 4)).astype(np.float32)
LABELS = (MATRIX[:, 0] > 0.8).astype(int)


def model_of(*nodes, initializer=(), functions=()):
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])],
        initializer=list(initializer),
    )
    return helper.make_model(graph, functions=list(functions))


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
