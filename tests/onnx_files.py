"""ONNX files of test networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dispatcher.layers import Dense, Input, Relu
from slicer.network import Network


def onnx_bytes(network: Network, *, opset: int = 13) -> bytes:
    """A chain of Dense and Relu layers as an ONNX model of Gemm and Relu nodes."""
    nodes, constants = [], []
    for position, layer in enumerate(network.layers):
        source = f"v{position - 1}"
        match layer:
            case Input():
                assert position == 0
            case Dense():
                constants.append(numpy_helper.from_array(np.array(layer.weight), f"W{position}"))
                constants.append(numpy_helper.from_array(np.array(layer.bias), f"b{position}"))
                inputs = [source, f"W{position}", f"b{position}"]
                nodes.append(helper.make_node("Gemm", inputs, [f"v{position}"], name=f"gemm{position}", transB=1))
            case Relu():
                nodes.append(helper.make_node("Relu", [source], [f"v{position}"], name=f"relu{position}"))
            case _:
                raise AssertionError("only chains")
    first = helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1, network.n_in])
    last = helper.make_tensor_value_info(f"v{len(network.layers) - 1}", TensorProto.FLOAT, [1, network.n_out])
    graph = helper.make_graph(nodes, "test", [first], [last], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def write_onnx(path: Path, network: Network) -> Path:
    """The same as a file."""
    path.write_bytes(onnx_bytes(network))
    return path
