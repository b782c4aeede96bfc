"""Operators with inputs or attributes that are not covered, or make no sense: one clear error each, in full."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from dispatcher.errors import UnusableInput

from .models import changed, f32, model, node, read

W = f32([1, 2], [3, 4])

NODES = {
    "shapes of Add": (
        model([node("Add", "x c")], [1, 2], {"c": f32(1, 2, 3)}),
        "node 'Add_0' (Add, opset 13): expected shapes that broadcast, got [1, 2] and [3]",
    ),
    "shapes of MatMul": (
        model([node("MatMul", "x c")], [1, 2], {"c": f32([1], [2], [3])}),
        "node 'MatMul_0' (MatMul, opset 13): expected factors with equal inner sizes, got shapes [1, 2] and [3, 1]",
    ),
    "number in MatMul": (
        model([node("MatMul", "x c")], [1, 2], {"c": np.float32(1)}),
        "node 'MatMul_0' (MatMul, opset 13): expected factors with at least one dimension, got a single number",
    ),
    "two computed factors": (
        model([node("MatMul", "x x")], [2, 2]),
        "node 'MatMul_0' (MatMul, opset 13): expected a constant factor, got two tensors that depend on the input",
    ),
    "large product": (
        model([node("MatMul", "x c")], [1 << 12, 1 << 12], {"c": np.zeros((1 << 12, 1), np.float32)}),
        "node 'MatMul_0' (MatMul, opset 13): expected at most 134217728 weights of one layer, got 4096 x 16777216",
    ),
    "no matrix in Gemm": (
        model([node("Gemm", "x W")], [1, 1, 2], {"W": W}),
        "node 'Gemm_0' (Gemm, opset 13): expected a matrix, got shape [1, 1, 2]",
    ),
    "offset of Gemm": (
        model([node("Gemm", "x W c")], [1, 2], {"W": W, "c": f32([1], [2])}),
        "node 'Gemm_0' (Gemm, opset 13): expected an input 2 that broadcasts to [1, 2], got [2, 1]",
    ),
    "product": (
        model([node("Mul", "x x")], [1, 2]),
        "node 'Mul_0' (Mul, opset 13): expected a constant for one factor, got a tensor that depends on the input",
    ),
    "quotient": (
        model([node("Div", "c x")], [1, 2], {"c": f32(1)}),
        "node 'Div_0' (Div, opset 13): expected a constant for the divisor, got a tensor that depends on the input",
    ),
    "division by zero": (
        model([node("Div", "x c")], [1, 2], {"c": f32(1, 0)}),
        "layer 1 (Elementwise 'Div_0'): expected divisors of at least 2^-126 in magnitude, "
        "got zero or a subnormal number",
    ),
    "integers": (
        model([node("Add", "x c")], [1, 2], {"c": np.array([1, 2])}),
        "node 'Add_0' (Add, opset 13): expected float32 operands, got a constant of type int64",
    ),
    "cast": (
        model([node("Cast", "x", to=TensorProto.DOUBLE)], [1, 2]),
        "node 'Cast_0' (Cast, opset 13): expected a cast to FLOAT (float32), got DOUBLE (export the model in float32)",
    ),
    "training": (
        model([helper.make_node("Dropout", ["x", "", "t"], ["y"])], [1, 2], {"t": np.array(True)}),
        "node 'Dropout_0' (Dropout, opset 13): expected a model for inference, got training_mode "
        "(export the model in evaluation mode)",
    ),
    "training normalisation": (
        model([node("BatchNormalization", "x c c c c", training_mode=1)], [1, 2], {"c": f32(1, 2)}, opset=15),
        "node 'BatchNormalization_0' (BatchNormalization, opset 15): expected inference with statistics per channel, "
        "got training_mode = 1 or spatial = 0 (export the model in evaluation mode)",
    ),
    "channels": (
        model([node("BatchNormalization", "x c c c c")], [1, 3], {"c": f32(1, 2)}),
        "node 'BatchNormalization_0' (BatchNormalization, opset 13): expected 3 numbers of scale, got shape [2]",
    ),
    "variance": (
        model([node("BatchNormalization", "x c c c v")], [1, 2], {"c": f32(1, 2), "v": f32(1, -1)}),
        "node 'BatchNormalization_0' (BatchNormalization, opset 13): expected variance + epsilon above 0",
    ),
    "normalised vector": (
        model([node("BatchNormalization", "x c c c c")], [2], {"c": f32(1, 2)}),
        "node 'BatchNormalization_0' (BatchNormalization, opset 13): expected an input [batch, channels, …], "
        "got shape [2]",
    ),
    "reshape": (
        model([node("Reshape", "x s")], [1, 6], {"s": np.array([4, -1])}),
        "node 'Reshape_0' (Reshape, opset 13): expected a shape for the elements of [1, 6], got [4, 1]",
    ),
    "allowzero": (
        model([node("Reshape", "x s", allowzero=1)], [2, 3], {"s": np.array([0, 3])}, opset=14),
        "node 'Reshape_0' (Reshape, opset 14): expected a shape for the elements of [2, 3], got [0, 3]",
    ),
    "computed shape": (
        model([node("Reshape", "x x")], [1, 6]),
        "node 'Reshape_0' (Reshape, opset 13): expected a constant for the shape, "
        "got a tensor that depends on the input",
    ),
    "shape of floats": (
        model([node("Reshape", "x s")], [1, 6], {"s": f32(2, 3)}),
        "node 'Reshape_0' (Reshape, opset 13): expected a vector of integers for the shape, got float32 [2]",
    ),
    "many dimensions": (
        model([node("Reshape", "x s")], [1, 6], {"s": np.array([1] * 16 + [6])}),
        "node 'Reshape_0' (Reshape, opset 13): expected at most 16 dimensions, got 17",
    ),
    "flatten": (
        model([node("Flatten", "x", axis=3)], [1, 2]),
        "node 'Flatten_0' (Flatten, opset 13): expected an axis from -2 to 1, got 3",
    ),
    "squeeze": (
        model([node("Squeeze", "x a")], [1, 2], {"a": np.array([1])}),
        "node 'Squeeze_0' (Squeeze, opset 13): expected size 1 along axes [1], got shape [1, 2]",
    ),
    "unsqueeze": (
        model([node("Unsqueeze", "x a")], [1, 2], {"a": np.array([0, -4])}),
        "node 'Unsqueeze_0' (Unsqueeze, opset 13): expected every axis once, got [0, -4]",
    ),
    "no axes": (
        model([node("Unsqueeze", "x")], [2]),
        "node 'Unsqueeze_0' (Unsqueeze, opset 13): expected axes, got none",
    ),
    "axes twice": (
        model([node("Squeeze", "x a", axes=[0])], [1, 2], {"a": np.array([0])}),
        "node 'Squeeze_0' (Squeeze, opset 13): expected 'axes' as an attribute or as an input, got both",
    ),
    "transpose": (
        model([node("Transpose", "x", perm=[0, 0])], [1, 2]),
        "node 'Transpose_0' (Transpose, opset 13): expected a permutation of 2 axes, got [0, 0]",
    ),
    "empty slice": (
        model([node("Slice", "x s s")], [1, 2], {"s": np.array([1])}),
        "node 'Slice_0' (Slice, opset 13): expected a result with at least one element, got shape [0, 2]",
    ),
    "slice without ends": (
        model([node("Slice", "x", starts=[0])], [1, 2], opset=9),
        "node 'Slice_0' (Slice, opset 9): expected starts and ends, got none",
    ),
    "slice twice": (
        model([node("Slice", "x s e a")], [4], {"s": np.array([0, 1]), "e": np.array([2, 2]), "a": np.array([0, 0])}),
        "node 'Slice_0' (Slice, opset 13): expected one start, end and step for each of the axes [0, 0]",
    ),
    "step 0": (
        model([node("Slice", "x i e i i")], [4], {"i": np.array([0]), "e": np.array([2])}),
        "node 'Slice_0' (Slice, opset 13): expected a step other than 0",
    ),
    "gather": (
        model([node("Gather", "x i")], [2], {"i": np.array([2])}),
        "node 'Gather_0' (Gather, opset 13): expected integer indices from -2 to 1",
    ),
    "concat": (
        model([node("Concat", "x c", axis=0)], [1, 2], {"c": f32([1, 2, 3])}),
        "node 'Concat_0' (Concat, opset 13): expected equal shapes but for axis 0, got [1, 2], [1, 3]",
    ),
    "concat without axis": (
        model([node("Concat", "x x")], [1, 2]),
        "node 'Concat_0' (Concat, opset 13): expected an axis and at least one input",
    ),
    "concat with nothing": (
        model([node("Concat", "x c", axis=1)], [1, 2], {"c": np.zeros((1, 0), np.float32)}),
        "node 'Concat_0' (Concat, opset 13): expected a constant with at least one element, got shape [1, 0]",
    ),
    "concat of types": (
        model([node("Concat", "a b", "c", axis=0), node("Add", "x c")], [2], {"a": f32(1), "b": np.array([1])}),
        "node 'Concat_0' (Concat, opset 13): expected constants of one type",
    ),
    "constant without value": (
        model([node("Constant", "", "c"), node("Add", "x c")], [2]),
        "node 'Constant_0' (Constant, opset 13): expected one value (a tensor or numbers), got 0",
    ),
    "cast of a constant": (
        model([node("Cast", "c", "d", to=TensorProto.STRING), node("Add", "x d")], [2], {"c": f32(1)}),
        "node 'Cast_0' (Cast, opset 13): expected a cast to FLOAT, DOUBLE, INT32, INT64, BOOL, got STRING",
    ),
    "missing operand": (
        model([node("Add", "x")], [2]),
        "node 'Add_0' (Add, opset 13): expected an input 1 (counted from 0), got none",
    ),
    "extra operand": (
        model([node("Relu", "x x")], [2]),
        "node 'Relu_0' (Relu, opset 13): expected no input 1 (counted from 0), got one",
    ),
    "attribute": (
        model([node("Relu", "x", alpha=0.1)], [2]),
        "node 'Relu_0' (Relu, opset 13): expected only attributes of this operator, got 'alpha'",
    ),
    "attribute type": (
        model([node("Flatten", "x", axis=1.0)], [1, 2]),
        "node 'Flatten_0' (Flatten, opset 13): expected an attribute 'axis' of type INT, got FLOAT",
    ),
    "attribute twice": (
        changed(model([node("Flatten", "x", axis=1)], [1, 2]), lambda p: p.graph.node[0].attribute.add(name="axis")),
        "node 'Flatten_0' (Flatten, opset 13): expected every attribute once, got one twice",
    ),
}


@pytest.mark.parametrize("name", NODES)
def test_one_clear_error(name):
    proto, message = NODES[name]
    with pytest.raises(UnusableInput) as caught:
        read(proto)
    assert str(caught.value) == f"model.onnx: {message}"
