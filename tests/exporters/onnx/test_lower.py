"""A graph said in older operator sets computes the same, or is refused. ONNX's own reference computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rescli.exporters.choices import NEWEST_OPSET, OLDEST_OPSET
from rescli.exporters.onnx.lower import NeedsNewerOpset, lower, opset_of
from rescli.exporters.onnx.runtimes import IR_VERSIONS

onnx = pytest.importorskip("onnx")


def graph_of(nodes: list[Any], *, constants: dict[str, Any] | None = None, opset: int = 18) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 4, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(value), name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def computed(model: Any) -> Any:
    from onnx.reference import ReferenceEvaluator

    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)
    return ReferenceEvaluator(model).run(None, {"x": x})[0]


def node(operator: str, *inputs: str, out: str = "y", **attributes: Any) -> Any:
    return onnx.helper.make_node(operator, list(inputs), [out], **attributes)


SAYABLE = {
    "the mean's axes are an attribute": (
        [node("ReduceMean", "x", "axes", keepdims=0)],
        {"axes": np.array([2, 3])},
    ),
    "their constant may be a node": (
        [
            onnx.helper.make_node(
                "Constant", [], ["axes"], value=onnx.numpy_helper.from_array(np.array([1, 3]))
            ),
            node("ReduceMax", "x", "axes", keepdims=1),
        ],
        {},
    ),
    "without axes all are reduced": ([node("ReduceMean", "x", keepdims=0)], {}),
    "channels are padded": ([node("Pad", "x", "pads")], {"pads": np.array([0, 1, 0, 0, 0, 1, 0, 0])}),
    "a part of the shape is cut out": (
        [node("Shape", "x", out="sides", start=2, end=4), node("Cast", "sides", to=1)],
        {},
    ),
    "the last of the shape, from behind": (
        [node("Shape", "x", out="side", start=-1), node("Cast", "side", to=1)],
        {},
    ),
    "a zero that nobody has": (
        [node("Reshape", "x", "shape", allowzero=1)],
        {"shape": np.array([2, 12, 6])},
    ),
    "more types": ([node("Relu", "x", out="r"), node("Add", "r", "x")], {}),
}


@pytest.mark.parametrize("opset", range(OLDEST_OPSET, 18))
@pytest.mark.parametrize("what", SAYABLE)
def test_it_computes_the_same(what: str, opset: int) -> None:
    nodes, constants = SAYABLE[what]
    model = graph_of(nodes, constants=constants)
    before = computed(model)
    declared = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, before.shape)
    model.graph.output[0].CopyFrom(declared)
    lower(model, opset)
    assert opset_of(model) == opset
    model.ir_version = IR_VERSIONS[opset]
    onnx.checker.check_model(model, full_check=True)
    assert np.array_equal(computed(model), before)
    used = {name for one in model.graph.node for name in one.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used


@pytest.mark.parametrize(
    ("operator", "nodes", "oldest"),
    [
        ("LayerNormalization", [node("LayerNormalization", "x", "scale", axis=-1)], 17),
        ("Pad", [node("Pad", "x", "pads", "", "axes")], 18),
        ("ReduceMean", [node("Identity", "axes", out="a"), node("ReduceMean", "x", "a")], 18),
    ],
)
def test_what_an_older_set_cannot_say_is_refused(operator: str, nodes: list[Any], oldest: int) -> None:
    constants = {"scale": np.ones(6, np.float32), "pads": np.array([1, 1]), "axes": np.array([3])}
    for opset in range(OLDEST_OPSET, 18):
        model = graph_of(nodes, constants=constants)
        if opset >= oldest:
            lower(model, opset)
            continue
        with pytest.raises(NeedsNewerOpset) as refused:
            lower(model, opset)
        assert refused.value.operator == operator


def test_a_zero_that_is_meant_is_refused() -> None:
    model = graph_of([node("Reshape", "x", "shape", allowzero=1)], constants={"shape": np.array([0, 2])})
    with pytest.raises(NeedsNewerOpset):
        lower(model, 13)


def test_every_operator_set_has_the_format_version_that_it_came_with() -> None:
    assert list(IR_VERSIONS) == list(range(OLDEST_OPSET, NEWEST_OPSET + 1))
    for opset, version in IR_VERSIONS.items():
        assert version == onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])
