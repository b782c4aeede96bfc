"""Any network of the layer vocabulary as an ONNX model, so that a bundle of it has a source model to compare with."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layer, Relu
from slicer.network import Network

_OPERATORS = {"add": "Add", "mul": "Mul", "div": "Div"}


def graph_bytes(network: Network) -> bytes:
    """One node per layer; layer p is the tensor vp ``[1, width]``."""
    nodes, constants = [], []
    for position, layer in enumerate(network.layers):
        if isinstance(layer, Input):
            continue
        operator, arrays, attributes = _node(layer)
        names = [f"c{position}_{index}" for index in range(len(arrays))]
        constants += [numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True)]
        inputs = [f"v{source}" for source in layer.sources] + names
        nodes.append(helper.make_node(operator, inputs, [f"v{position}"], name=f"{operator}{position}", **attributes))
    first = helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1, network.n_in])
    last = helper.make_tensor_value_info(f"v{len(network.layers) - 1}", TensorProto.FLOAT, [1, network.n_out])
    graph = helper.make_graph(nodes, "test", [first], [last], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _node(layer: Layer) -> tuple[str, list[np.ndarray], dict[str, int]]:
    """Operator, constants and attributes of a layer."""
    match layer:
        case Dense():
            return "Gemm", [np.array(layer.weight), np.array(layer.bias)], {"transB": 1}
        case Elementwise():
            return _OPERATORS[layer.op], [np.array(layer.constant)], {}
        case Relu():
            return "Relu", [], {}
        case Gather():
            return "Gather", [np.array(layer.indices)], {"axis": 1}
        case Concat():
            return "Concat", [], {"axis": 1}
        case Add():
            return "Add", [], {}
    raise AssertionError(layer)
