"""Every operator on numbers that can be checked by hand, in the forms of older and newer opsets."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from dispatcher.interpret import eval32

from .models import f32, model, node, read

MATRIX = np.arange(1, 7, dtype=np.float32)  # [[1, 2, 3], [4, 5, 6]]
TURNED = [-1, -4, -2, -5, -3, -6]  # its transpose, negated
TURN, NEG = node("Transpose", "t", "u", perm=[1, 0]), node("Neg", "u")


def ints(*values):
    """An int64 vector."""
    return np.array(values, np.int64)


def case(name, nodes, shape, constants, x, expected, opset=13):
    """Nodes from "x" of the shape to "y", constants, one input and the outputs that it must give exactly."""
    nodes = nodes if isinstance(nodes, list) else [nodes]
    return pytest.param(model(nodes, shape, constants, opset=opset), x, expected, id=f"{name}-{opset}")


W = np.array([[1, 2], [3, 4], [5, 6]], np.float32)  # [3, 2]
NORMALISATION = {"s": f32(2, 3), "b": f32(10, 20), "m": f32(1, 2), "v": f32(4, 16)}

AFFINE = [
    case(
        "gemm", node("Gemm", "x W b"), [1, 3], {"W": W, "b": f32(10, 20)}, [1, 1, 2], [1 + 3 + 10 + 10, 2 + 4 + 12 + 20]
    ),
    case("gemm-no-bias", node("Gemm", "x W"), [1, 3], {"W": W}, [1, 1, 2], [14, 18]),
    case("gemm-trans-b", node("Gemm", "x W", transB=1), [1, 2], {"W": W}, [1, 10], [21, 43, 65]),
    case("gemm-trans-a", node("Gemm", "x W", transA=1), [3, 1], {"W": W}, [1, 1, 2], [14, 18]),
    case(
        "gemm-alpha-beta",
        node("Gemm", "x W b", alpha=0.5, beta=2.0),
        [1, 3],
        {"W": W, "b": f32(10, 20)},
        [1, 1, 2],
        [7 + 20, 9 + 40],
    ),
    case("gemm-computed-offset", node("Gemm", "c W x"), [1, 2], {"c": f32([1, 1, 2]), "W": W}, [1, 2], [15, 20]),
    case("matmul-right", node("MatMul", "x W"), [1, 3], {"W": W}, [1, 1, 2], [14, 18], opset=8),
    case("matmul-left", node("MatMul", "W x"), [2, 1], {"W": W}, [1, 10], [21, 43, 65]),
    case("matmul-left-matrix", node("MatMul", "W x"), [2, 2], {"W": W}, [1, 2, 10, 20], [21, 42, 43, 86, 65, 130]),
    case("matmul-vector", node("MatMul", "x W"), [3], {"W": W}, [1, 1, 2], [14, 18]),
    case("matmul-by-vector", node("MatMul", "x v"), [2, 2], {"v": f32(1, 10)}, [1, 2, 3, 4], [21, 43]),
    case("matmul-leading", node("MatMul", "x v"), [2, 1, 2], {"v": f32([1], [10])}, [1, 2, 3, 4], [21, 43]),
    case("add", node("Add", "x c"), [1, 2], {"c": f32(0.5, -1)}, [1, 1], [1.5, 0]),
    case("add-first", node("Add", "c x"), [1, 2], {"c": f32(0.5)}, [1, 2], [1.5, 2.5]),
    case("add-enlarging", node("Add", "x c"), [1, 2], {"c": f32([1], [2])}, [10, 20], [11, 21, 12, 22]),
    case("sub", node("Sub", "x c"), [1, 2], {"c": f32(0.5, -1)}, [1, 1], [0.5, 2]),
    case("sub-from", node("Sub", "c x"), [1, 2], {"c": f32(0.5, -1)}, [1, 1], [-0.5, -2]),
    case("mul", node("Mul", "x c"), [1, 2], {"c": f32(0.5, -1)}, [3, 3], [1.5, -3]),
    case("mul-first", node("Mul", "c x"), [1, 2], {"c": f32(0.5, -1)}, [3, 3], [1.5, -3]),
    case("div", node("Div", "x c"), [1, 2], {"c": f32(2, -3)}, [1, 1], [0.5, np.float32(1) / np.float32(-3)]),
    case("neg", node("Neg", "x"), [1, 2], {}, [1, -2], [-1, 2]),
    case("relu", node("Relu", "x"), [1, 3], {}, [1, -2, 0], [1, 0, 0]),
    *(
        case(
            "batch-normalization",
            node("BatchNormalization", "x s b m v", epsilon=0.0),
            [1, 2, 2],
            NORMALISATION,
            [1, 3, 2, 6],  # channel 0: (x − 1) / 2 · 2 + 10; channel 1: (x − 2) / 4 · 3 + 20
            [10, 12, 20, 23],
            opset,
        )
        for opset in (8, 9, 15)
    ),
]

RESIDUAL = [
    case("residual-add", [node("Relu", "x", "r"), node("Add", "r x")], [1, 2], {}, [1, -2], [2, -2]),
    case("residual-sub", [node("Relu", "x", "r"), node("Sub", "r x")], [1, 2], {}, [1, -2], [0, 2]),
    case("twice", node("Add", "x x"), [1, 2], {}, [1, -2], [2, -4]),
    case(
        "residual-turned",  # x + xᵀ
        [node("Transpose", "x", "t"), node("Add", "x t")],
        [2, 2],
        {},
        [1, 2, 3, 4],
        [2, 5, 5, 8],
    ),
    case(
        "residual-broadcast",
        [node("MatMul", "x o", "s"), node("Sub", "x s")],
        [1, 3],
        {"o": f32([1], [1], [1])},
        [1, 2, 3],
        [-5, -4, -3],
    ),
    case(
        "residual-broadcast-first",
        [node("MatMul", "x o", "s"), node("Sub", "s x")],
        [1, 3],
        {"o": f32([1], [1], [1])},
        [1, 2, 3],
        [5, 4, 3],
    ),
]

MOVING = [
    case("transpose", [node("Transpose", "x", "u"), NEG], [2, 3], {}, MATRIX, TURNED),
    case("transpose-perm", [node("Transpose", "x", "u", perm=[0, 2, 1]), NEG], [1, 2, 3], {}, MATRIX, TURNED),
    case("flatten", [node("Flatten", "x", "t", axis=1), TURN, NEG], [2, 3, 1], {}, MATRIX, TURNED),
    case("flatten-negative", [node("Flatten", "x", "t", axis=-1), TURN, NEG], [1, 2, 3], {}, MATRIX, TURNED),
    case("reshape", [node("Reshape", "x s", "t"), TURN, NEG], [1, 6], {"s": ints(2, -1)}, MATRIX, TURNED),
    case("reshape-0", [node("Reshape", "x s", "t"), TURN, NEG], [2, 3, 1], {"s": ints(0, 3)}, MATRIX, TURNED, opset=8),
    case("squeeze", [node("Squeeze", "x", "t", axes=[1]), TURN, NEG], [2, 1, 3], {}, MATRIX, TURNED, opset=8),
    case("squeeze", [node("Squeeze", "x a", "t"), TURN, NEG], [2, 1, 3], {"a": ints(-2)}, MATRIX, TURNED),
    case("squeeze-all", [node("Squeeze", "x", "t"), TURN, NEG], [1, 2, 1, 3], {}, MATRIX, TURNED),
    *(
        case(
            "unsqueeze",
            [node("Unsqueeze", inputs, "t", **axes), node("Transpose", "t", "u", perm=[3, 1, 0, 2]), NEG],
            [2, 3],
            constants,
            MATRIX,
            TURNED,
            opset,
        )
        for opset, inputs, axes, constants in ((8, "x", {"axes": [0, 2]}, {}), (13, "x a", {}, {"a": ints(0, -2)}))
    ),
    case("identity", [node("Identity", "x", "u"), NEG], [1, 2], {}, [1, 2], [-1, -2]),
    case("dropout", [node("Dropout", "x", "u", ratio=0.7), NEG], [1, 2], {}, [1, 2], [-1, -2], opset=8),
    case(
        "dropout",
        [node("Dropout", "x r t", "u"), NEG],
        [1, 2],
        {"r": np.float32(0.7), "t": np.array(False)},
        [1, 2],
        [-1, -2],
    ),
    case("cast", [node("Cast", "x", "u", to=TensorProto.FLOAT), NEG], [1, 2], {}, [1, 2], [-1, -2]),
    case(
        "slice",
        [node("Slice", "x", "u", starts=[0, -2], ends=[2**31 - 1, 2**31 - 1]), NEG],
        [2, 3],
        {},
        MATRIX,
        [-2, -3, -5, -6],
        opset=8,
    ),
    case(
        "slice-backward",
        [node("Slice", "x s e a t", "u"), NEG],
        [2, 3],
        {"s": ints(-1), "e": ints(-(2**63)), "a": ints(1), "t": ints(-2)},
        MATRIX,
        [-3, -1, -6, -4],
    ),
    case(
        "slice-backward-from-before-the-front",  # the standard clamps such a start to the first element
        [node("Slice", "x s e a t", "u"), node("Neg", "u")],
        [3],
        {"s": ints(-10), "e": ints(-(2**63)), "a": ints(0), "t": ints(-1)},
        [1, 2, 3],
        [-1],
    ),
    case("gather", [node("Gather", "x i", "u", axis=1), NEG], [2, 3], {"i": ints(-1, 0, -1)}, MATRIX,
         [-3, -1, -3, -6, -4, -6]),
    case("gather-scalar", [node("Gather", "x i", "u"), NEG], [2, 3], {"i": np.int64(1)}, MATRIX, [-4, -5, -6]),
    case("concat", [node("Neg", "x", "n"), node("Concat", "n x", axis=1)], [1, 2], {}, [1, 2], [-1, -2, 1, 2]),
    case(
        "concat-interleaved",
        [node("Neg", "x", "n"), node("Concat", "n x n", axis=-1)],
        [2, 1],
        {},
        [1, 2],
        [-1, 1, -1, -2, 2, -2],
    ),
    case("concat-constant", node("Concat", "x c x", axis=1), [1, 1], {"c": f32([7, 8, 7])}, [1], [1, 7, 8, 7, 1]),
    case("concat-parts", [node("Slice", "x s e", "p"), node("Relu", "x", "r"), node("Concat", "p r", axis=0)],
         [3], {"s": ints(1), "e": ints(2)}, [1, -2, 3], [-2, 1, 0, 3]),
]  # fmt: skip

CONSTANTS = [
    case(
        "constant",
        [helper.make_node("Constant", [], ["c"], value=helper.make_tensor("", 1, [2], [1, 2])), node("Add", "x c")],
        [1, 2],
        {},
        [10, 10],
        [11, 12],
        opset=8,
    ),
    case("constant-float", [node("Constant", "", "c", value_float=1.5), node("Add", "x c")],
         [2], {}, [1, 2], [2.5, 3.5]),
    case("constant-floats", [node("Constant", "", "c", value_floats=[1.0, 2.0]), node("Add", "x c")],
         [2], {}, [1, 2], [2, 4]),
    case("constant-ints", [node("Constant", "", "s", value_ints=[2, 3]), node("Reshape", "x s", "t"), TURN, NEG],
         [6], {}, MATRIX, TURNED),
    case("constant-int", [node("Constant", "", "i", value_int=1), node("Gather", "x i", "u"), NEG],
         [2], {}, [5, 6], [-6]),
    case(
        "shape-arithmetic",  # x.view(x.size(0), -1), as exporters write it
        [node("Shape", "x", "a"), node("Gather", "a zero", "b"), node("Unsqueeze", "b", "c", axes=[0]),
         node("Concat", "c minus", "d", axis=0), node("Reshape", "x d", "t"), TURN, NEG],
        ["N", 2, 3],
        {"zero": np.int64(0), "minus": ints(-1)},
        MATRIX,
        -MATRIX,
        opset=9,
    ),
    case(
        "shape-part",
        [node("Shape", "x", "s", start=1, end=-1), node("Reshape", "x s", "t"), TURN, NEG],
        [1, 2, 3, 1],
        {},
        MATRIX,
        TURNED,
        opset=15,
    ),
    case(
        "folded",  # x + ((b - -b) / 2) with b = 2 * [1, 2] + 1
        [node("Mul", "two c", "a"), node("Add", "a one", "b"), node("Neg", "b", "d"), node("Relu", "b", "e"),
         node("Sub", "e d", "f"), node("Div", "f two", "g"), node("Add", "x g")],
        [1, 2],
        {"two": f32(2), "c": f32(1, 2), "one": f32(1)},
        [10, 20],
        [13, 25],
    ),
    case(
        "folded-product",
        [node("Gemm", "W W o", "a", transB=1, alpha=0.5), node("MatMul", "x a")],
        [1, 2],
        {"W": f32([1, 2], [3, 4]), "o": f32(0.5)},
        [1, 1],  # W·Wᵀ = [[5, 11], [11, 25]]
        [3 + 6, 6 + 13],
    ),
    case("cast-constant", [node("Cast", "d", "c", to=TensorProto.FLOAT), node("Add", "x c")],
         [2], {"d": np.array([1.5, 2], np.float64)}, [1, 1], [2.5, 3]),
]  # fmt: skip


@pytest.mark.parametrize(("proto", "x", "expected"), AFFINE + RESIDUAL + MOVING + CONSTANTS)
def test_operator(proto, x, expected):
    result = eval32(read(proto).layers, np.array([x], np.float32))
    np.testing.assert_array_equal(result, np.array([expected], np.float32))


def test_the_batch_normalisation_divisor_is_rounded_once_from_float64():
    variance = np.linspace(0, 2, 100, dtype=np.float32)
    constants = {"o": np.ones(100, np.float32), "z": np.zeros(100, np.float32), "v": variance}
    (_, divide) = read(model([node("BatchNormalization", "x o z z v")], [1, 100], constants)).layers
    assert divide.op == "div"
    exact = np.sqrt(variance.astype(np.float64) + np.float64(np.float32(1e-5)))
    np.testing.assert_array_equal(divide.constant, exact.astype(np.float32))
    assert (divide.constant != np.sqrt(variance + np.float32(1e-5))).any()


def test_sums_are_by_ascending_inner_index_whichever_factor_is_constant():
    """(2^24 + 1) + 1 is 2^24 in float32, but 2^24 + (1 + 1) is not: the order is visible."""
    big = np.float32(2**24)
    for nodes, shape, weight in (
        ([node("MatMul", "x W")], [1, 3], f32([1], [1], [1])),
        ([node("MatMul", "W x")], [3, 1], f32([1, 1, 1])),
        ([node("Transpose", "x", "t"), node("MatMul", "t W")], [3, 1], f32([1], [1], [1])),
    ):
        layers = read(model(nodes, shape, {"W": weight})).layers
        assert eval32(layers, f32([big, 1, 1])) == big
        assert eval32(layers, f32([1, 1, big])) == big + 2
