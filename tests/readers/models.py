"""Small ONNX models, written down node by node."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from slicer.readers import read_network_bytes

INPUT, OUTPUT = "x", "y"


def constant(name, values, dtype=np.float32):
    """An initializer."""
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def model(nodes, shape, constants=None, *, opset=13, ir=8, output=OUTPUT, kind=TensorProto.FLOAT):
    """A model with one input "x" of the shape (entries: sizes, names or None) and one output."""
    initializers = [constant(k, v, np.asarray(v).dtype) for k, v in (constants or {}).items()]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(INPUT, kind, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        initializers,
    )
    return helper.make_model(graph, ir_version=ir, opset_imports=[helper.make_opsetid("", opset)])


def changed(proto, change):
    """The model after a change in place."""
    change(proto)
    return proto


def old_model(nodes, shape, constants, *, opset=8):
    """A model as tools wrote it for IR 3: every initializer is listed as an input too, before the real one."""
    result = model(nodes, shape, constants, opset=opset, ir=3)
    (real,) = result.graph.input
    listed = [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in result.graph.initializer]
    del result.graph.input[:]
    result.graph.input.extend([*listed, real])
    result.graph.output[0].type.tensor_type.shape.dim.add().dim_param = "rows"
    onnx.checker.check_model(result)
    return result


def node(kind, inputs, output=OUTPUT, name="", **attributes):
    """A node with one output."""
    return helper.make_node(kind, inputs.split(), [output], name=name, **attributes)


def read(proto):
    """The network in a model."""
    return read_network_bytes(proto.SerializeToString(), "model.onnx")


def f32(*values):
    """Float32 values."""
    return np.array(values, np.float32)
