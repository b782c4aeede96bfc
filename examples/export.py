"""From trained weights to ONNX: float32, one node per arithmetic step, normalisation kept as nodes of its own.

The graph is Sub, Div (input normalisation), then Gemm and Relu by turns, then Mul, Add (output denormalisation).
Nothing is folded into the weights, so users see the model in the units of their sensors.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 8
OPSET = 13


@dataclass(frozen=True)
class Scaling:
    """Physical value = centre + scale · normalised value, per unit ``[n]``; a centre of None means zero."""

    scale: ArrayLike
    centre: ArrayLike | None = None

    def normalise(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Normalised float32 values of physical ones ``[n_rows, n]``."""
        centre = 0.0 if self.centre is None else np.asarray(self.centre)
        normalised: NDArray[np.float32] = ((values - centre) / np.asarray(self.scale)).astype(np.float32)
        return normalised


class _Chain:
    """A graph under construction in which every node reads the one before."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.last = "input"

    def append(self, operator: str, name: str, **constants: ArrayLike) -> None:
        """Add a node whose further inputs are float32 initializers called ``name_constant``."""
        inputs = [self.last]
        for key, value in constants.items():
            inputs.append(f"{name}_{key}")
            self.initializers.append(numpy_helper.from_array(np.asarray(value, np.float32), inputs[-1]))
        attributes = {"transB": 1} if operator == "Gemm" else {}
        self.nodes.append(helper.make_node(operator, inputs, [f"{name}_out"], name=name, **attributes))
        self.last = f"{name}_out"


def mlp_model(
    weights: Sequence[NDArray[np.floating]],
    biases: Sequence[NDArray[np.floating]],
    *,
    inputs: Scaling,
    outputs: Scaling | None = None,
    name: str,
) -> onnx.ModelProto:
    """A multilayer perceptron with ReLUs between its layers.

    Parameters
    ----------
    weights, biases:
        Per layer ``[n_in, n_out]`` and ``[n_out]`` (scikit-learn's ``coefs_`` and ``intercepts_``).
    inputs, outputs:
        Scaling of the inputs (before the first layer) and of the outputs (after the last; None for none).
    name:
        Graph name.
    """
    chain = _Chain()
    if inputs.centre is not None:
        chain.append("Sub", "centre_input", constant=inputs.centre)
    chain.append("Div", "scale_input", constant=inputs.scale)
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        chain.append("Gemm", f"dense{index}", weight=weight.T, bias=bias)
        if index < len(weights):
            chain.append("Relu", f"relu{index}")
    if outputs is not None:
        chain.append("Mul", "scale_output", constant=outputs.scale)
        if outputs.centre is not None:
            chain.append("Add", "centre_output", constant=outputs.centre)
    return _model(chain, name, len(weights[0]), len(biases[-1]))


def _model(chain: _Chain, name: str, n_in: int, n_out: int) -> onnx.ModelProto:
    """The checked model around a finished chain; its last value is called ``output``."""
    chain.nodes[-1].output[0] = "output"
    graph = helper.make_graph(
        chain.nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", n_in])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", n_out])],
        initializer=chain.initializers,
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opset, producer_name="netslicer examples")
    onnx.checker.check_model(model, full_check=True)
    return model


def write_model(model: onnx.ModelProto, *paths: Path) -> None:
    """Write the model, the same bytes every time, to all paths."""
    content = model.SerializeToString(deterministic=True)
    for path in paths:
        path.write_bytes(content)


def write_columns(header: Sequence[str], rows: ArrayLike, *paths: Path) -> None:
    """Write a CSV of float32 numbers, each in its shortest exact decimal spelling."""
    for path in paths:
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows([str(value) for value in row] for row in np.asarray(rows, np.float32))


def write_domain(lower: ArrayLike, upper: ArrayLike, *paths: Path) -> None:
    """Write an input box as CSV with the header ``lower,upper``, one row per input."""
    write_columns(("lower", "upper"), np.stack([np.asarray(lower), np.asarray(upper)], axis=1), *paths)
