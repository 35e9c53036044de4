import numpy as np
import pytest
from onnx import TensorProto, helper

from models_registry.core.export import ForestBuilder, export_forest, export_linear
from scoring.core.inference import Calibration, Model, ModelError, score_of


def linear(link: str = "logit") -> Model:
    exported = export_linear(
        coef=np.array([1.0, 2.0]), background=np.zeros(2), intercept=-1.0, link=link
    )
    return Model(exported.onnx, link=exported.link)


def stump() -> Model:
    builder = ForestBuilder()
    builder.add_tree()
    root = builder.add_split(feature=1, threshold=0.1, cover=10)
    left = builder.add_leaf(value=-1.0, cover=6)
    right = builder.add_leaf(value=1e-9, cover=4)
    builder.link(root, left=left, right=right)
    builder.add_tree()
    builder.add_leaf(value=0.5, cover=10)
    return Model(export_forest(builder.build(), n_columns=2, link="logit").onnx, link="logit")


def test_a_linear_model_gives_its_margin():
    assert linear().margin(np.float32([[3.0, 4.0], [0.0, 0.0]])).tolist() == [10.0, -1.0]


def test_a_forest_keeps_double_precision_and_its_lone_leaves():
    margins = stump().margin(np.array([[0.0, 0.1], [0.0, 0.2]]))
    # float32(0.1) lies above 0.1: the serving matrix is float32, and so it goes right.
    assert margins.tolist() == [0.5 + 1e-9, 0.5 + 1e-9]
    assert stump().margin(np.float32([[0.0, 0.09]])).tolist() == [-0.5]


def test_the_score_follows_the_link():
    row = np.float32([[0.0, 0.0]])
    assert linear().score(row)[0] == pytest.approx(1 / (1 + np.e))
    assert linear("isolation").score(row)[0] == 0.5
    assert score_of(np.array([-2.0, 0.0, 1.0, 99.0]), "ratio").tolist() == [0.0, 0.0, 0.5, 0.99]
    assert score_of(np.array([-0.1, 0.25, 1.1]), "share").tolist() == [0.0, 0.25, 1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_number_that_is_not_finite_in_float32_is_refused(bad):
    with pytest.raises(ModelError, match="NaN"):
        linear().margin(np.array([[0.0, bad]]))


@pytest.mark.parametrize("shape", [(1, 3), (2,), (1, 2, 1)])
def test_a_matrix_of_another_shape_is_refused(shape):
    with pytest.raises(ModelError, match="reads"):
        linear().margin(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize("content", [b"", b"not a graph"])
def test_a_broken_graph_is_refused(content):
    with pytest.raises(ModelError, match="cannot be loaded"):
        Model(content, link="logit")


def test_a_graph_of_another_signature_is_refused():
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    with pytest.raises(ModelError, match="must map"):
        Model(model.SerializeToString(), link="logit")


def test_an_unknown_link_is_refused():
    with pytest.raises(ModelError, match="link"):
        linear("probit")
    with pytest.raises(ModelError, match="link"):
        score_of(np.zeros(1), "probit")


def test_extreme_margins_have_scores_in_order_and_without_warnings():
    margins = np.array([-700.0, -50.0, 0.0, 30.0, 1000.0])
    scores = score_of(margins, "logit")
    assert (np.diff(scores) >= 0).all()
    assert scores[1] == pytest.approx(np.exp(-50))
    assert scores[-1] == 1.0


ISOTONIC = Calibration(kind="isotonic", knots=(-1.0, 0.0, 2.0), values=(0.0, 0.25, 1.0))
PLATT = Calibration(kind="platt", slope=2.0, intercept=-1.0)


@pytest.mark.parametrize("calibration", [ISOTONIC, PLATT])
def test_probabilities_keep_the_order_and_never_reach_0_or_1(calibration):
    probabilities = calibration.probability(np.linspace(-900, 900, 1001))
    assert (np.diff(probabilities) >= 0).all()
    assert probabilities.min() == 1e-6
    assert probabilities.max() == 1 - 1e-6


def test_isotonic_probabilities_are_interpolated():
    assert ISOTONIC.probability(np.array([1.0])) == pytest.approx([0.625])


def test_without_calibration_there_is_no_probability():
    assert Calibration().probability(np.zeros(3)) is None


@pytest.mark.parametrize("calibration", [Calibration(), ISOTONIC, PLATT])
def test_a_calibration_survives_as_a_dict(calibration):
    assert Calibration.from_dict(calibration.to_dict()) == calibration


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "magic"},
        {"kind": "platt", "slope": -1.0},
        {"kind": "platt", "slope": None},
        {"kind": "isotonic", "knots": [], "values": []},
        {"kind": "isotonic", "knots": [1.0, 1.0], "values": [0.1, 0.2]},
        {"kind": "isotonic", "knots": [0.0, 1.0], "values": [0.3, 0.2]},
        {"kind": "isotonic", "knots": [0.0, 1.0], "values": [0.3, 1.2]},
    ],
)
def test_a_malformed_calibration_is_refused(data):
    with pytest.raises(ModelError):
        Calibration.from_dict(data)
