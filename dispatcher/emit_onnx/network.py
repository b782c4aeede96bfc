"""A network, parent or packed member, as nodes of a graph."""

from __future__ import annotations

from dispatcher.emit_c99.program import last_uses
from dispatcher.emit_onnx.builder import GraphBuilder
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Layer, Layers, Relu

_OPERATORS = {"add": "Add", "mul": "Mul", "div": "Div"}


def add_network(builder: GraphBuilder, layers: Layers, source: str) -> str:
    """Append the nodes of a network that reads ``source [rows, n_in]``; returns its value's name, ``[rows, n_out]``.

    Layers that the output does not depend on, or that have no units, give no node.
    """
    names = {0: source}
    for position, (layer, last) in enumerate(zip(layers, last_uses(layers), strict=True)):
        if position and last >= 0 and layer.width:
            sources = [names[one] for one in layer.sources if layers[one].width]
            names[position] = _add_layer(builder, layer, sources, source)
    return names[len(layers) - 1]


def _add_layer(builder: GraphBuilder, layer: Layer, sources: list[str], rows_of: str) -> str:
    """The nodes of one layer, whose sources without units are left out."""
    match layer:
        case Dense():
            return _add_dense(builder, layer, sources, rows_of)
        case Elementwise():
            return builder.add(_OPERATORS[layer.op], [*sources, builder.floats(layer.constant)])
        case Relu():
            return builder.add("Relu", sources)
        case Gather():
            return builder.add("Gather", [*sources, builder.integers(layer.indices)], attributes={"axis": 1})
        case Concat():
            return builder.add("Concat", sources, attributes={"axis": 1})
        case Add():
            return builder.add("Add", sources)
    raise AssertionError("the input gives no node")


def _add_dense(builder: GraphBuilder, layer: Dense, sources: list[str], rows_of: str) -> str:
    """Gemm with the bias, then the sum of the constant prefixes; the bias for every row if there are no terms."""
    if sources:
        parts = [*sources, builder.floats(layer.weight), builder.floats(layer.bias)]
        value = builder.add("Gemm", parts, attributes={"transB": 1})
    else:
        rows = builder.add("Gather", [builder.add("Shape", [rows_of]), builder.integers([0])])
        shape = builder.add("Concat", [rows, builder.integers([layer.width])], attributes={"axis": 0})
        value = builder.add("Expand", [builder.floats(layer.bias), shape])
    return builder.add("Add", [value, builder.floats(layer.start)]) if layer.start.any() else value
