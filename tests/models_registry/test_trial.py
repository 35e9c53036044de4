"""What an imported bundle must do before anybody may promote it."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper

from models_registry.bundle_files import ExchangeError
from models_registry.core.export import ForestBuilder, arrays_to_bytes
from models_registry.importing import import_bundle
from models_registry.models import ModelVersion
from scoring.core.bundle import MANIFEST, assemble
from tests.models_registry.bundle_zips import parts_of, repacked

pytestmark = pytest.mark.django_db


def refused(detector, content, match):
    with pytest.raises(ExchangeError, match=match):
        import_bundle(detector, content, actor=None)
    assert not ModelVersion.objects.exists()


def graph(*nodes, constants, columns):
    made = helper.make_graph(
        list(nodes), "g",
        [helper.make_tensor_value_info("matrix", TensorProto.FLOAT, [None, columns])],
        [helper.make_tensor_value_info("margin", TensorProto.DOUBLE, [None, 1])],
        constants,
    )  # fmt: skip
    opset = [helper.make_opsetid("", 21)]
    return helper.make_model(made, opset_imports=opset, ir_version=10).SerializeToString()


def test_a_model_that_gives_no_number_for_an_ordinary_event_is_refused(payments_detector, exported):
    manifest = json.loads(parts_of(exported)[1][MANIFEST])
    columns = len(manifest["encoder"]["columns"])
    steep = helper.make_tensor("steep", TensorProto.DOUBLE, [columns, 1], [1e9] * columns)
    content = graph(
        helper.make_node("Cast", ["matrix"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["wide", "wide"], ["square"]),
        helper.make_node("MatMul", ["square", "steep"], ["far"]),
        helper.make_node("Exp", ["far"], ["endless"]),
        helper.make_node("Sub", ["endless", "endless"], ["margin"]),
        constants=[steep],
        columns=columns,
    )
    refused(payments_detector, repacked(exported, model__onnx=content), "does not run")


def test_an_explanation_that_adds_up_for_the_event_of_nothing_alone_is_refused(
    payments_detector, exported
):
    digest, files = parts_of(exported)
    bundle = assemble(digest, json.loads(files[MANIFEST]), files)
    encoder, model = bundle.predictor.encoder, bundle.predictor.model
    of_nothing = model.margin(encoder.matrix(np.full((1, len(bundle.plan.names)), np.nan)))
    constant = ForestBuilder()
    constant.add_tree()
    constant.add_leaf(value=float(of_nothing[0]), cover=1.0)
    content = repacked(exported, explain__npz=arrays_to_bytes(constant.build().arrays()))
    refused(payments_detector, content, "does not add up")


@pytest.mark.parametrize(
    "reference",
    [[], 7, {"amount": 5}, *({"amount": {"deciles": said}} for said in ("x", [1.0], [None] * 11))],
)
def test_a_reference_that_reasons_could_not_read_is_refused(payments_detector, exported, reference):
    content = repacked(exported, manifest={"reference": reference})
    refused(payments_detector, content, "its reference does not say what is usual")


@pytest.mark.parametrize(
    "changed",
    [{"review": -1.0}, {"review": 2.0}, {"block": 0.0}, {"high": 0.0}, {"critical": -5.0}],
)
def test_thresholds_out_of_order_are_refused(payments_detector, exported, changed):
    thresholds = json.loads(parts_of(exported)[1][MANIFEST])["thresholds"] | changed
    content = repacked(exported, manifest={"thresholds": thresholds})
    refused(payments_detector, content, "out of order")
