"""Gemm and MatMul with one constant factor: `Dense` layers.

The declared order of a sum is by ascending inner index, whichever factor is constant. Leading dimensions give a dense
layer with zeros between the blocks: a term with a zero weight changes no bit.
"""

from __future__ import annotations

import math

import numpy as np

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.tensor import Array, Constant, Shape, Tensor, View, common_shape, moved, single_precision

MAX_WEIGHTS = 1 << 27  # of one layer, the zeros between blocks included: 512 MB


def matmul(node: Node, builder: Builder) -> Tensor:
    """``A · B`` with numpy's rules for vectors and leading dimensions."""
    left, right = node.operand(0), node.operand(1)
    if not left.shape or not right.shape:
        raise UnusableInput("expected factors with at least one dimension, got a single number")
    row, column = len(left.shape) == 1, len(right.shape) == 1
    if row:
        left = moved(left, lambda array: array[None, :])
    if column:
        right = moved(right, lambda array: array[:, None])
    result = _product(left, right, node.name, builder)
    shape = result.shape[:-2] + result.shape[-2:-1] * (not row) + result.shape[-1:] * (not column)
    return moved(result, lambda array: array.reshape(shape))


def gemm(node: Node, builder: Builder) -> Tensor:
    """``α·A'·B' + β·C``: the product, then ``fl(α · …)``, then ``fl(β·C)`` added.

    Factors of 1 make no layer, and with α = 1 a constant ``fl(β·C)`` ends as the dense layer's bias (see `tidy`).
    """
    left = _transposed(node.operand(0), node.integer("transA", 0))
    right = _transposed(node.operand(1), node.integer("transB", 0))
    alpha, beta = (np.full((), node.real(name, 1.0), np.float32) for name in ("alpha", "beta"))
    product = builder.elementwise(_product(left, right, node.name, builder), "mul", alpha, f"{node.name}/alpha")
    offset = node.optional(2)
    if offset is None:
        return product
    if common_shape(product.shape, offset.shape) != product.shape:
        raise UnusableInput(f"expected an input 2 that broadcasts to {list(product.shape)}, got {list(offset.shape)}")
    scaled = builder.elementwise(single_precision(offset), "mul", beta, f"{node.name}/beta")
    return builder.add(product, scaled, f"{node.name}/bias")


def _transposed(matrix: Tensor, transpose: int) -> Tensor:
    """A factor of Gemm."""
    if len(matrix.shape) != 2:
        raise UnusableInput(f"expected a matrix, got shape {list(matrix.shape)}")
    return moved(matrix, np.transpose) if transpose else matrix


def _product(left: Tensor, right: Tensor, name: str, builder: Builder) -> Tensor:
    """The product ``[…, m, n]`` of ``[…, m, k]`` and ``[…, k, n]``."""
    if left.shape[-1] != right.shape[-2]:
        got = f"{list(left.shape)} and {list(right.shape)}"
        raise UnusableInput(f"expected factors with equal inner sizes, got shapes {got}")
    shape = (*common_shape(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    match left, right:
        case Constant(), Constant():
            return Constant(_constant_product(left.values, right.values, shape))
        case View(), Constant():
            weight = _weight(left.shape, right.values[..., None, :, :], shape, column_axis=-1)
            return builder.dense(left, weight, shape, name)
        case Constant(), View():
            weight = _weight(right.shape, left.values[..., :, :, None], shape, column_axis=-3)
            return builder.dense(right, weight, shape, name)
    raise UnusableInput("expected a constant factor, got two tensors that depend on the input")


def _weight(vector: Shape, factors: Array, shape: Shape, *, column_axis: int) -> Array:
    """Dense weights ``[elements of the product, elements of the computed factor]``.

    Parameters
    ----------
    vector:
        Shape of the computed factor: ``[…, m, k]`` or ``[…, k, n]``.
    factors:
        The constant, broadcasting to ``[…, m, k, n]``.
    shape:
        Of the product, ``[…, m, n]``.
    column_axis:
        Where the computed factor lacks an axis of ``[…, m, k, n]``: −1 (n) or −3 (m).
    """
    outputs, inputs = math.prod(shape), math.prod(vector)
    if outputs * inputs > MAX_WEIGHTS:
        raise UnusableInput(f"expected at most {MAX_WEIGHTS} weights of one layer, got {outputs} x {inputs}")
    rows = np.arange(outputs).reshape(shape)[..., :, None, :]
    columns = np.expand_dims(np.arange(inputs).reshape(vector), column_axis)
    weight = np.zeros((outputs, inputs), np.float32)
    weight[rows, columns] = factors
    return weight


def _constant_product(left: Array, right: Array, shape: Shape) -> Array:
    """A product of two constants, summed in the declared order."""
    total = np.zeros(shape, np.float32)
    with np.errstate(all="ignore"):  # what overflows is refused when a layer uses it
        for k in range(left.shape[-1]):
            total += left[..., :, k, None] * right[..., None, k, :]
    return total
