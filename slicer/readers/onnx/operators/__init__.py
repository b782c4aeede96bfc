"""The operators that are read: one family per file, each a function of a node and the builder.

An operator takes its node's inputs and attributes, appends the layers that its declared evaluation needs and returns
its first output. To add one, write the function in its family's file and enter it in `OPERATORS`.
"""

from __future__ import annotations

from collections.abc import Callable

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.operators import (
    activations,
    arithmetic,
    constants,
    identity,
    normalization,
    products,
    selection,
    shapes,
)
from slicer.readers.onnx.tensor import Tensor

Operator = Callable[[Node, Builder], Tensor]

OPERATORS: dict[str, Operator] = {
    "Add": arithmetic.add,
    "BatchNormalization": normalization.batch_normalization,
    "Cast": identity.cast,
    "Concat": selection.concat,
    "Constant": constants.constant,
    "Div": arithmetic.div,
    "Dropout": identity.dropout,
    "Flatten": shapes.flatten,
    "Gather": selection.gather,
    "Gemm": products.gemm,
    "Identity": identity.identity,
    "MatMul": products.matmul,
    "Mul": arithmetic.mul,
    "Neg": arithmetic.neg,
    "Relu": activations.relu,
    "Reshape": shapes.reshape,
    "Shape": constants.shape,
    "Slice": selection.slice_,
    "Softmax": activations.softmax,
    "Squeeze": shapes.squeeze,
    "Sub": arithmetic.sub,
    "Transpose": shapes.transpose,
    "Unsqueeze": shapes.unsqueeze,
}


def operator(domain: str, kind: str) -> Operator:
    """The function that reads an operator.

    Raises
    ------
    UnusableInput
        If the operator is not covered.
    """
    if domain in ("", "ai.onnx") and kind in OPERATORS:
        return OPERATORS[kind]
    name = f"{domain}.{kind}" if domain else kind
    covered = ", ".join(sorted(set(OPERATORS) - {"Softmax"}))
    raise UnusableInput(
        f"the operator {name!r} is not covered", fix=f"export the model with these operators only: {covered}"
    )
