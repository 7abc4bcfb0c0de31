"""What is found in the file: names that were asked for, and nothing of the machine that wrote it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rescli.exporters.onnx.names import drop_traces, name_dimensions, rename

onnx = pytest.importorskip("onnx")


@pytest.fixture
def model() -> Any:
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("Add", ["images", "bias"], ["add"]), helper.make_node("Relu", ["add"], ["y"])]
    entry = nodes[0].metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.stack_trace", 'File "/home/somebody/graph.py", line 45'
    nodes[1].doc_string = "/home/somebody"
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["s34", 3, "s34", "s7"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["s34", 3, "s34", "s7"])],
        [numpy_helper.from_array(np.float32(1), "bias")],
        value_info=[helper.make_tensor_value_info("add", TensorProto.FLOAT, ["s34", 3, "s34", "s7"])],
    )
    return helper.make_model(graph)


def test_traces_are_dropped(model: Any) -> None:
    assert b"somebody" in model.SerializeToString()
    drop_traces(model)
    assert b"somebody" not in model.SerializeToString()
    assert b"torch" not in model.SerializeToString()


def test_free_dimensions_get_names(model: Any) -> None:
    name_dimensions(model, {0: "batch", 3: "width"})
    for value in (model.graph.input[0], model.graph.output[0]):
        sides = [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        assert sides == ["batch", 3, "batch", "width"]
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize(
    ("wanted", "inner"),
    [
        ({"images": "input", "y": "output"}, ["input", "bias", "add", "output"]),
        ({"images": "add", "y": "bias"}, ["add", "bias_inside", "add_inside", "bias"]),
        ({"images": "y", "y": "images"}, ["y", "bias", "add", "images"]),
        ({"images": "images", "y": "y"}, ["images", "bias", "add", "y"]),
    ],
)
def test_renaming_never_joins_two_values(model: Any, wanted: dict[str, str], inner: list[str]) -> None:
    rename(model.graph, wanted)
    first, second = model.graph.node
    assert [*first.input, *first.output, *second.output] == inner
    assert list(second.input) == [inner[2]]
    assert model.graph.input[0].name == inner[0]
    assert model.graph.output[0].name == inner[3]
    onnx.checker.check_model(model, full_check=True)
