"""What a graph's inputs, outputs and free dimensions are called, and what else people find in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

__all__ = ["drop_traces", "name_dimensions", "rename"]


def drop_traces(model: ModelProto) -> None:
    """Remove what torch notes of each node: lines of source code, and paths of the machine that exported.

    Such notes are part of the format from version 10 on only.
    """
    graph = model.graph
    for holder in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        del holder.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""


def name_dimensions(model: ModelProto, names: Mapping[int, str]) -> None:
    """Name the free dimensions of the input, where torch numbers its symbols: ``batch`` for ``s34``.

    Shapes of values in between are dropped: what they say in torch's symbols, a reader infers.

    Args:
        model: changed in place.
        names: position among the input's dimensions to name; fixed ones keep their number.
    """
    graph = model.graph
    del graph.value_info[:]
    named: dict[str, str] = {}
    for position, dimension in enumerate(graph.input[0].type.tensor_type.shape.dim):
        if dimension.dim_param and position in names:
            named[dimension.dim_param] = names[position]
    for value in (*graph.input, *graph.output):
        _rename_dimensions(value, named)


def _rename_dimensions(value: ValueInfoProto, named: Mapping[str, str]) -> None:
    for dimension in value.type.tensor_type.shape.dim:
        if dimension.dim_param in named:
            dimension.dim_param = named[dimension.dim_param]


def rename(graph: GraphProto, wanted: Mapping[str, str]) -> None:
    """Call values of the graph otherwise; what had the new name before gets another.

    Args:
        graph: changed in place.
        wanted: name to new name, which differ from each other.
    """
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {value.name for value in (*graph.initializer, *graph.input, *graph.output)}
    names = {old: new for old, new in wanted.items() if old != new}
    for new in list(names.values()):
        if new in taken and new not in names:
            names[new] = _free(f"{new}_inside", taken | {*names.values()})
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]
    for value in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
