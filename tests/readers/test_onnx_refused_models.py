"""Models that are not covered, or damaged, as a whole: one clear error each, in full."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from dispatcher.errors import UnusableInput
from slicer.readers import read_network_bytes

from .models import changed, f32, model, node, read

W = f32([1, 2], [3, 4])
NAN = np.float32(np.nan)


def plain(opset=13, **kwargs):
    """A model that is fine."""
    return model([node("MatMul", "x W")], [1, 2], {"W": W}, opset=opset, **kwargs)


def with_weights(values):
    """A model whose weights are the tensor message."""
    return changed(model([node("MatMul", "x W")], [1, 2]), lambda proto: proto.graph.initializer.append(values))


def external():
    """Weights in another file."""
    tensor = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def second_input(proto):
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 2]))


def second_output(proto):
    proto.graph.output.append(helper.make_tensor_value_info("W", TensorProto.FLOAT, [2, 2]))


def without_shape(proto):
    proto.graph.input[0].type.tensor_type.ClearField("shape")


def local_function(proto):
    proto.functions.append(helper.make_function("d", "f", ["a"], ["b"], [node("Relu", "a", "b")], []))


def branch():
    """An If node: control flow."""
    graph = helper.make_graph([node("Relu", "x")], "g", [], [helper.make_tensor_value_info("y", 1, [1, 2])])
    return helper.make_node("If", ["c"], ["y"], name="fork", then_branch=graph, else_branch=graph)


COVERED = (
    "export the model with these operators only: Add, BatchNormalization, Cast, Concat, Constant, Div, Dropout, "
    "Flatten, Gather, Gemm, Identity, MatMul, Mul, Neg, Relu, Reshape, Shape, Slice, Squeeze, Sub, Transpose, Unsqueeze"
)
CONVERT = "convert the model with onnx.version_converter.convert_version(model, 17)"

MODELS = {
    "no nodes": (model([], [1, 2], output="x"), "expected a graph with nodes, got an empty one"),
    "opset 7": (plain(7), f"expected an operator set (opset) from 8 to 22, got 7 ({CONVERT})"),
    "opset 23": (plain(23), f"expected an operator set (opset) from 8 to 22, got 23 ({CONVERT})"),
    "no opset": (
        changed(plain(), lambda proto: proto.ClearField("opset_import")),
        f"expected an operator set (opset) from 8 to 22, got none ({CONVERT})",
    ),
    "two inputs": (changed(plain(), second_input), "expected one input, got 2: 'x', 'z'"),
    "no input": (changed(plain(), lambda proto: proto.graph.ClearField("input")), "expected one input, got 0"),
    "two outputs": (changed(plain(), second_output), "expected one output, got 2: 'y', 'W'"),
    "float64": (
        plain(kind=TensorProto.DOUBLE),
        "input 'x': expected elements of type FLOAT (float32), got DOUBLE (export the model in float32)",
    ),
    "float16": (
        plain(kind=TensorProto.FLOAT16),
        "input 'x': expected elements of type FLOAT (float32), got FLOAT16 (export the model in float32)",
    ),
    "float64 weights": (
        model([node("MatMul", "x W")], [1, 2], {"W": W.astype(np.float64)}),
        "node 'MatMul_0' (MatMul, opset 13): expected float32 operands, got a constant of type float64",
    ),
    "float16 weights": (
        model([node("MatMul", "x W")], [1, 2], {"W": W.astype(np.float16)}),
        "node 'MatMul_0' (MatMul, opset 13): initializer 'W': "
        "expected values of type FLOAT, DOUBLE, INT32, INT64, BOOL, got FLOAT16",
    ),
    "dynamic size": (
        model([node("Relu", "x")], ["N", 3, "width", None]),
        "input 'x': expected fixed sizes after a leading batch dimension, got [N, 3, width, ?] "
        "(export the model with a fixed input shape)",
    ),
    "only a batch": (
        model([node("Relu", "x")], ["N"]),
        "input 'x': expected fixed sizes after a leading batch dimension, got [N] "
        "(export the model with a fixed input shape)",
    ),
    "no shape": (
        changed(plain(), without_shape),
        "input 'x': expected an input with a shape, got none (export the model with the input's shape)",
    ),
    "huge input": (
        model([node("Relu", "x")], [1, 1 << 40]),
        "input 'x': expected at most 16777216 elements, got shape [1, 1099511627776]",
    ),
    "local functions": (
        changed(plain(), local_function),
        "expected a graph without local functions (inline them with onnx.inliner)",
    ),
    "operator": (
        model([helper.make_node("Sigmoid", ["x"], ["y"], name="gate")], [1, 2]),
        f"node 'gate' (Sigmoid, opset 13): the operator 'Sigmoid' is not covered ({COVERED})",
    ),
    "control flow": (
        model([branch()], [1, 2], {"c": np.array(True)}),
        f"node 'fork' (If, opset 13): the operator 'If' is not covered ({COVERED})",
    ),
    "foreign operator": (
        model([helper.make_node("Relu", ["x"], ["y"], domain="com.acme")], [1, 2]),
        f"node 'Relu_0' (Relu, opset 13): the operator 'com.acme.Relu' is not covered ({COVERED})",
    ),
    "softmax": (
        model([node("MatMul", "x W", "t"), node("Softmax", "t")], [1, 2], {"W": W}),
        "node 'Softmax_1' (Softmax, opset 13): Softmax is dropped only at the end of a model, and only in "
        "mode 'decision' (export the model without it: the order of the scores stays the same)",
    ),
    "undefined": (
        model([node("Add", "x z")], [1, 2]),
        "node 'Add_0' (Add, opset 13): expected tensors that are defined, got 'z', which nothing before it defines",
    ),
    "loop": (
        model([node("Add", "x y", "t"), node("Relu", "t")], [1, 2]),
        "node 'Add_0' (Add, opset 13): expected tensors that are defined, got 'y', which nothing before it defines",
    ),
    "defined twice": (
        model([node("Relu", "x"), node("Neg", "x")], [1, 2]),
        "expected every tensor to be defined once, got 'y' twice",
    ),
    "mask": (
        model([helper.make_node("Dropout", ["x"], ["t", "mask"]), node("Add", "t mask")], [1, 2]),
        "node 'Add_1' (Add, opset 13): expected tensors that are defined, "
        "got 'mask', which is no operator's first output",
    ),
    "no output": (
        model([node("Relu", "x", "t")], [1, 2]),
        "output 'y': expected tensors that are defined, got 'y', which nothing before it defines",
    ),
    "constant output": (
        model([node("Relu", "W")], [1, 2], {"W": W}),
        "output 'y': expected an output that depends on the input, got a constant",
    ),
    "identity": (
        model([node("Identity", "x")], [1, 2]),
        "output 'y': expected a network that computes something, got one that returns its input",
    ),
    "external data": (
        with_weights(external()),
        "node 'MatMul_0' (MatMul, opset 13): initializer 'W': expected the values inside the model file, "
        "got a reference to external data "
        "(load the model with onnx.load and save it with onnx.save_model(…, save_as_external_data=False))",
    ),
    "too few weights": (
        with_weights(TensorProto(name="W", data_type=1, dims=[2, 2], float_data=[1, 2, 3])),
        "node 'MatMul_0' (MatMul, opset 13): initializer 'W': expected 4 values for shape [2, 2]: "
        "cannot reshape array of size 3 into shape (2,2)",
    ),
    "negative size": (
        with_weights(TensorProto(name="W", data_type=1, dims=[2, -2])),
        "node 'MatMul_0' (MatMul, opset 13): initializer 'W': expected a shape without negative sizes, got [2, -2]",
    ),
    "NaN": (
        model([node("MatMul", "x W")], [1, 2], {"W": f32([1, 2], [NAN, 4])}),
        "node 'MatMul_0' (MatMul, opset 13): initializer 'W': expected finite numbers, got nan at [1, 0]",
    ),
    "infinity": (
        model([node("Constant", "", "c", value_float=-np.inf), node("Add", "x c")], [1, 2]),
        "node 'Constant_0' (Constant, opset 13): expected finite numbers, got -inf at []",
    ),
    "overflow": (
        model([node("Mul", "c c", "d"), node("Add", "x d")], [1, 2], {"c": f32(1e30)}),
        "layer 1 (Elementwise 'Add_1'): expected finite numbers, got NaN or infinity",
    ),
    "sparse weights": (
        changed(plain(), lambda proto: proto.graph.sparse_initializer.add()),
        "expected dense initializers, got sparse ones (store them as dense tensors)",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_one_clear_error(name):
    proto, message = MODELS[name]
    with pytest.raises(UnusableInput) as caught:
        read(proto)
    assert str(caught.value) == f"model.onnx: {message}"


def test_names_that_are_not_text():
    content = plain().SerializeToString().replace(b"MatMul", b"Mat\xff\xfel")
    with pytest.raises(UnusableInput, match=r"model\.onnx: expected names in UTF-8, got b'Mat\\xff\\xfel'"):
        read_network_bytes(content, "model.onnx")


def test_all_tensors_together_are_limited():
    """Forty nodes that double the elements would ask for a terabyte."""
    nodes = [node("Concat", f"t{i} t{i}", f"t{i + 1}", axis=0) for i in range(40)]
    nodes = [node("Relu", "x", "t0"), *nodes, node("Relu", "t40")]
    with pytest.raises(UnusableInput, match=r"Concat_\d+' \(Concat, opset 13\): expected at most"):
        read(model(nodes, [1 << 16]))


def test_every_covered_operator_is_named_in_the_errors():
    from slicer.readers.onnx.operators import OPERATORS

    assert [name for name in sorted(OPERATORS) if name not in COVERED] == ["Softmax"]


def test_the_fine_model_is_fine():
    assert read(plain()).n_out == 2
