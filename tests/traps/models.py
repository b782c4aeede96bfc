"""ONNX models of networks of any layer kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Layer, Relu
from slicer.network import Network

_OPERATORS = {"add": "Add", "mul": "Mul", "div": "Div"}


def write_model(path: Path, network: Network) -> Path:
    """The network as a model whose nodes are its layers, one by one."""
    constants: dict[str, np.ndarray] = {}
    nodes = [_node(p, layer, constants) for p, layer in enumerate(network.layers) if p]
    values = [
        helper.make_tensor_value_info(f"v{position}", TensorProto.FLOAT, [1, network.layers[position].width])
        for position in (0, len(network.layers) - 1)
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "trap", values[:1], values[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def _node(position: int, layer: Layer, constants: dict[str, np.ndarray]) -> NodeProto:
    """The node of one layer; its numbers join the constants."""
    sources, output = [f"v{source}" for source in layer.sources], [f"v{position}"]
    match layer:
        case Dense():
            constants |= {f"W{position}": np.array(layer.weight), f"b{position}": np.array(layer.bias)}
            return helper.make_node("Gemm", [*sources, f"W{position}", f"b{position}"], output, transB=1)
        case Relu():
            return helper.make_node("Relu", sources, output)
        case Elementwise():
            constants[f"c{position}"] = np.array(layer.constant)[None]
            return helper.make_node(_OPERATORS[layer.op], [*sources, f"c{position}"], output)
        case Gather():
            constants[f"i{position}"] = np.array(layer.indices)
            return helper.make_node("Gather", [*sources, f"i{position}"], output, axis=1)
        case Concat():
            return helper.make_node("Concat", sources, output, axis=1)
        case Add():
            return helper.make_node("Add", sources, output)
    raise AssertionError(layer)
