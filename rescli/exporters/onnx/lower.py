"""An ONNX graph in an older operator set, where its operators mean the same there.

torch writes operator set 18 and newer, and ONNX's own converter knows no way down for some of what networks
of images use. Whether an operator changed between two sets is looked up in ONNX's schemas; one that changed
is lowered by a rule of this file, or the graph needs the newer set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

__all__ = ["NeedsNewerOpset", "lower", "opset_of"]


class NeedsNewerOpset(Exception):
    """An operator that the older set lacks, or has with another meaning.

    Args:
        operator: its name, such as ``LayerNormalization``.
    """

    def __init__(self, operator: str) -> None:
        super().__init__(operator)
        self.operator = operator


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators that the file imports."""
    return int(max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")))


def lower(model: ModelProto, opset: int) -> None:
    """Turn the graph, in place, into one of an older operator set that computes the same.

    Raises:
        NeedsNewerOpset: it cannot be said in that set; the model is half changed then.
    """
    now = opset_of(model)
    for index, node in reversed(list(enumerate(model.graph.node))):
        if node.domain not in ("", "ai.onnx"):
            continue
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise NeedsNewerOpset(node.op_type)  # branches and loops: nothing here looks inside
        there = _since(node.op_type, opset)
        if there is None:
            raise NeedsNewerOpset(node.op_type)
        if there == _since(node.op_type, now) or node.op_type in _OF_MORE_TYPES:
            continue
        rule = _RULES.get(node.op_type)
        if rule is None or not rule(_Place(model.graph, index, node, opset)):
            raise NeedsNewerOpset(node.op_type)
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = opset
    _drop_unused(model.graph)


def _since(operator: str, opset: int) -> int | None:
    from onnx import defs

    try:
        return int(defs.get_schema(operator, opset).since_version)
    except defs.SchemaError:
        return None


@dataclass(frozen=True)
class _Place:
    """A node, where it stands, and the operator set that it is to be said in."""

    graph: GraphProto
    index: int
    node: NodeProto
    opset: int

    def integers(self, name: str) -> list[int] | None:
        """Those of an initializer, or of a Constant node; None where they are computed."""
        from onnx import numpy_helper

        tensors = {tensor.name: tensor for tensor in self.graph.initializer}
        tensor = tensors.get(name)
        if tensor is None:
            made_by = next((node for node in self.graph.node if name in node.output), None)
            if made_by is None or made_by.op_type != "Constant":
                return None
            tensor = next((one.t for one in made_by.attribute if one.name == "value"), None)
        return None if tensor is None else [int(n) for n in numpy_helper.to_array(tensor).reshape(-1)]


def _reduce(place: _Place) -> bool:
    """Before 18 the axes are an attribute and no input."""
    from onnx import helper

    node = place.node
    keeps_all = bool(_take(node, "noop_with_empty_axes", 0))
    if len(node.input) > 1 and node.input[1]:
        axes = place.integers(node.input[1])
        if axes is None:
            return False
        node.attribute.append(helper.make_attribute("axes", axes))
    elif keeps_all:
        return False
    del node.input[1:]
    return True


def _pad(place: _Place) -> bool:
    """Before 18 all axes are padded."""
    return len(place.node.input) < 4 or not place.node.input[3]


def _reshape(place: _Place) -> bool:
    """Before 14 a zero in the shape stands for the input's own size."""
    if place.opset >= 14 or not _take(place.node, "allowzero", 0):
        return True
    shape = place.integers(place.node.input[1])
    return shape is not None and 0 not in shape


def _shape(place: _Place) -> bool:
    """Before 15 the whole shape is given, from which a part is cut."""
    from onnx import TensorProto, helper

    if place.opset >= 15:
        return True
    node, made = place.node, place.node.output[0]
    bounds = [_take(node, "start", 0), _take(node, "end", _END)]
    if bounds == [0, _END]:
        return True
    node.output[0] = f"{made}_whole"
    names = [f"{made}_first", f"{made}_beyond"]
    for name, value in zip(names, bounds, strict=True):
        place.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
    place.graph.node.insert(place.index + 1, helper.make_node("Slice", [node.output[0], *names], [made]))
    return True


def _batch_norm(place: _Place) -> bool:
    """Before 14 there is no mode of training, which no export is in."""
    return place.opset >= 14 or not _take(place.node, "training_mode", 0)


_END = 2**31
"""More than any tensor has dimensions."""

_REDUCING = ("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare")

_RULES: dict[str, Callable[[_Place], bool]] = {
    **dict.fromkeys(_REDUCING, _reduce),
    "BatchNormalization": _batch_norm,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
}
"""How an operator of set 18 is said in 13 to 17. False: it cannot be."""

_OF_MORE_TYPES = frozenset(
    [
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Div",
        "Equal",
        "Exp",
        "Expand",
        "Flatten",
        "Floor",
        "Gemm",
        "GreaterOrEqual",
        "HardSigmoid",
        "Identity",
        "LeakyRelu",
        "LessOrEqual",
        "MatMul",
        "Max",
        "Min",
        "Mul",
        "Pow",
        "PRelu",
        "Relu",
        "Sigmoid",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Unsqueeze",
        "Where",
    ]
)
"""What newer sets have for more types of numbers and else alike. Which types a graph has, runtimes check."""


def _take(node: NodeProto, name: str, default: int) -> int:
    """The value of an integer attribute, which the node loses."""
    found: AttributeProto | None = next((one for one in node.attribute if one.name == name), None)
    if found is None:
        return default
    value = int(found.i)
    node.attribute.remove(found)
    return value


def _drop_unused(graph: GraphProto) -> None:
    """Axes that became attributes are no longer anyone's input."""
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
