"""What a model becomes: no layer too many, names that lead back to the file, old files, batch dimensions."""

import itertools

import numpy as np
import pytest
from onnx import helper

from dispatcher.interpret import eval32
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Relu, dense
from slicer.readers.onnx.tidy import tidied

from .models import constant, f32, model, node, old_model, read

W = f32([1, 2], [3, 4])


def kinds(network):
    """The layers' classes after the input."""
    assert isinstance(network.layers[0], Input)
    return [type(layer) for layer in network.layers[1:]]


def test_a_product_and_an_added_constant_are_one_dense_layer():
    for add in (node("Add", "t c"), node("Add", "c t")):
        network = read(model([node("MatMul", "x W", "t", name="product"), add], [1, 2], {"W": W, "c": f32(5, 6)}))
        (layer,) = network.layers[1:]
        assert isinstance(layer, Dense)
        np.testing.assert_array_equal(layer.weight, W.T)
        np.testing.assert_array_equal(layer.bias, [5, 6])
        assert layer.name == "product"


def test_a_subtracted_constant_is_a_negated_bias():
    network = read(model([node("MatMul", "x W", "t"), node("Sub", "t c")], [1, 2], {"W": W, "c": f32(5, 6)}))
    np.testing.assert_array_equal(network.layers[1].bias, [-5, -6])


def test_a_product_that_is_read_twice_keeps_its_own_value():
    nodes = [node("MatMul", "x W", "t"), node("Add", "t c", "u"), node("Add", "t u")]
    network = read(model(nodes, [1, 2], {"W": W, "c": f32(5, 6)}))
    assert kinds(network) == [Dense, Elementwise, Add]


def test_a_second_bias_rounds_a_second_time():
    nodes = [node("Gemm", "x W c", "t"), node("Add", "t c")]
    assert kinds(read(model(nodes, [1, 2], {"W": W, "c": f32(5, 6)}))) == [Dense, Elementwise]


def test_a_bias_is_never_added_to_another_bias():
    layers = (Input(1), dense(0, f32([2]), f32(3)), Elementwise(1, "add", f32(4)))
    assert [type(layer) for layer in tidied(layers, 2)] == [Input, Dense, Elementwise]


def test_a_scaled_product_is_not_folded():
    network = read(model([node("Gemm", "x W c", alpha=0.5)], [1, 2], {"W": W, "c": f32(5, 6)}))
    assert kinds(network) == [Dense, Elementwise, Elementwise]
    np.testing.assert_array_equal(network.layers[1].weight, W.T)
    assert [layer.op for layer in network.layers[2:]] == ["mul", "add"]


@pytest.mark.parametrize(("kind", "neutral"), [("Add", 0), ("Sub", 0), ("Mul", 1), ("Div", 1)])
def test_operators_that_change_no_value_make_no_layer(kind, neutral):
    nodes = [node(kind, "x c", "t"), node("Relu", "t")]
    assert kinds(read(model(nodes, [1, 2], {"c": f32(neutral, neutral)}))) == [Relu]


def test_moving_values_there_and_back_makes_no_layer():
    nodes = [
        node("Transpose", "x", "a", perm=[0, 2, 1]),
        node("Relu", "a", "b"),
        node("Add", "b c", "d"),
        node("Transpose", "d", "e", perm=[0, 2, 1]),
        node("Flatten", "e", "f"),
        node("MatMul", "f W"),
    ]
    network = read(model(nodes, [1, 2, 2], {"c": f32([1, 2], [3, 4]), "W": np.ones((4, 1), np.float32)}))
    assert kinds(network) == [Relu, Elementwise, Dense]
    np.testing.assert_array_equal(network.layers[2].constant, [1, 3, 2, 4])


def test_a_dense_layer_reads_the_order_of_its_tensor_and_equal_gathers_are_one():
    nodes = [
        node("Transpose", "x", "t"),
        node("Flatten", "t", "a", axis=0),
        node("MatMul", "a W", "b"),
        node("MatMul", "a W", "c"),
        node("Sub", "b c"),
    ]
    network = read(model(nodes, [2, 2], {"W": np.ones((4, 1), np.float32)}))
    assert kinds(network)[:3] == [Gather, Dense, Dense]
    np.testing.assert_array_equal(network.layers[1].indices, [0, 2, 1, 3])


def test_repeated_values_are_computed_once():
    nodes = [node("Add", "x z", "t"), node("Relu", "t", "r"), node("MatMul", "r W")]
    network = read(model(nodes, [1, 2], {"z": f32([0], [0], [0]), "W": np.ones((2, 1), np.float32)}))
    assert kinds(network) == [Relu, Gather, Dense]  # [3, 2] · [2, 1]: three equal rows
    assert network.layers[1].width == 2
    assert network.n_out == 3


def test_only_selected_values_are_computed():
    nodes = [node("Slice", "x s e", "t"), node("Relu", "t", "r"), node("Concat", "r x", axis=0)]
    network = read(model(nodes, [4], {"s": np.array([1]), "e": np.array([3])}))
    assert kinds(network) == [Gather, Relu, Concat]
    assert network.layers[2].width == 2


def test_what_the_output_does_not_need_is_not_read():
    nodes = [node("Sigmoid", "x", "unused"), node("Relu", "x", "also_unused"), node("Neg", "x")]
    assert kinds(read(model(nodes, [1, 2], {"nan": f32(np.nan)}))) == [Elementwise]


def test_layers_are_named_after_their_nodes():
    nodes = [
        node("Transpose", "x", "t"),
        node("MatMul", "t W", "u", name="first"),
        node("Relu", "u", "v"),
        node("BatchNormalization", "v o z o o", "w", name="norm", epsilon=0.0),
        node("Sub", "w v"),
    ]
    network = read(model(nodes, [2, 2], {"W": W, "o": f32(2, 3), "z": f32(0, 0)}))
    names = [
        "x",
        "first/gather",
        "first",
        "Relu_2",
        "norm/mean",
        "norm/deviation",
        "norm/scale",
        "Sub_4/minus",
        "Sub_4",
    ]
    assert [layer.name for layer in network.layers] == names


def test_an_old_file_with_initializers_as_inputs_and_a_subtraction_in_front():
    """The form of the ACAS Xu networks in VNN-COMP: IR 3, opset 8, input [1, 1, 1, 5]."""
    rng = np.random.default_rng(1)
    sizes = [5, 8, 8, 3]
    constants = {"mean": rng.normal(size=(1, 1, 1, 5)).astype(np.float32)}
    nodes = [node("Sub", "x mean", "s"), node("Flatten", "s", "h0", axis=1)]
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        constants |= {f"W{i}": rng.normal(size=(n_in, n_out)).astype(np.float32)}
        constants |= {f"B{i}": rng.normal(size=n_out).astype(np.float32)}
        last = i == len(sizes) - 2
        nodes += [node("MatMul", f"h{i} W{i}", f"m{i}"), node("Add", f"m{i} B{i}", "y" if last else f"a{i}")]
        nodes += [] if last else [node("Relu", f"a{i}", f"h{i + 1}")]
    network = read(old_model(nodes, [1, 1, 1, 5], constants))
    assert kinds(network) == [Elementwise, Dense, Relu, Dense, Relu, Dense]
    assert network.describe().startswith("5-8-8-3 (16 ReLUs")
    np.testing.assert_array_equal(network.layers[1].constant, -constants["mean"].reshape(-1))
    x = rng.normal(size=(3, 5)).astype(np.float32)
    h = x.astype(np.float64) - constants["mean"].reshape(-1)
    for i in range(3):
        h = h @ constants[f"W{i}"] + constants[f"B{i}"]
        h = h if i == 2 else np.maximum(h, 0)
    np.testing.assert_allclose(eval32(network.layers, x), h, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [1, "N", None, 0, -1])
def test_the_batch_dimension_counts_as_one(batch):
    nodes = [node("Reshape", "x s", "t"), node("MatMul", "t W")]
    network = read(model(nodes, [batch, 1, 2], {"s": np.array([0, -1]), "W": W}))
    assert kinds(network) == [Dense]
    assert (network.n_in, network.n_out) == (2, 2)


@pytest.mark.parametrize("shape", [[], [2], [2, 3], [1, 2, 3], [1, 1, 1, 5]])
def test_inputs_of_any_rank_are_flattened_in_c_order(shape):
    network = read(model([node("Neg", "x")], shape))
    size = int(np.prod(shape))
    points = np.arange(size, dtype=np.float32)[None]
    np.testing.assert_array_equal(eval32(network.layers, points), -points)


def test_numbers_stored_as_fields_or_as_bytes_are_the_same():
    raw = model([node("MatMul", "x W")], [1, 2], {"W": W})
    fields = model([node("MatMul", "x W")], [1, 2])
    fields.graph.initializer.append(helper.make_tensor("W", 1, W.shape, W.reshape(-1)))
    assert not fields.graph.initializer[0].HasField("raw_data")
    assert read(raw).digest == read(fields).digest


def test_reading_twice_gives_the_same_network():
    nodes = [node("Transpose", "x", "t"), node("Relu", "t", "r"), node("Concat", "r x c", axis=0)]
    proto = model(nodes, [2, 2], {"c": W})
    assert read(proto).digest == read(proto).digest


def test_a_constant_beside_computed_values_is_a_bias():
    network = read(model([node("Concat", "x c", axis=1)], [1, 2], {"c": f32([7, 7, 8])}))
    assert kinds(network) == [Gather, Dense, Concat, Gather]
    dense = network.layers[2]
    assert not dense.weight.any()
    np.testing.assert_array_equal(dense.bias, [7, 8])


def test_initializers_are_decoded_only_if_something_reads_them():
    proto = model([node("Neg", "x")], [1, 2])
    proto.graph.initializer.append(constant("text", [1], np.uint8))
    assert kinds(read(proto)) == [Elementwise]
