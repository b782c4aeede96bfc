"""`eval32`: the declared evaluation of `dispatcher.layers` and nothing faster; the oracle that all else must equal.

Every operation is one element-wise numpy call on float32 arrays, so it rounds once, to nearest even. A Dense layer
adds its terms one source unit after the other, for all units and all rows of the batch at a time. No BLAS, which would
choose its own order of summation, and no fused multiply-add.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layer, Layers, Relu

Values = NDArray[np.float32]

_VALUES = 1 << 24  # values of all layers together that one block of rows may need: 64 MiB
_OPERATORS: dict[str, np.ufunc] = {"add": np.add, "mul": np.multiply, "div": np.divide}


def eval32(layers: Layers, inputs: NDArray[np.float32]) -> Values:
    """The network's outputs in the declared evaluation.

    Parameters
    ----------
    layers:
        A valid network (see `dispatcher.layers.check_layers`).
    inputs:
        Float32 ``[batch, n_in]``. Overflow and NaN are not errors here: they propagate as IEEE-754 says.

    Returns
    -------
    Values
        Float32 ``[batch, n_out]``.
    """
    outputs = np.empty((len(inputs), layers[-1].width), np.float32)
    rows = max(1, _VALUES // sum(layer.width for layer in layers))
    for first in range(0, len(inputs), rows):
        block = slice(first, first + rows)
        outputs[block] = evaluate_all(layers, inputs[block])[-1]
    return outputs


def evaluate_all(layers: Layers, inputs: NDArray[np.float32]) -> list[Values]:
    """Every layer's values in the declared evaluation: a list of float32 arrays ``[batch, width]``, the input's first.

    The arrays are stored unit by unit (Fortran order), so one unit's values over the batch lie side by side.
    """
    if inputs.dtype != np.float32 or inputs.ndim != 2 or inputs.shape[1] != layers[0].width:
        raise ValueError(f"expected float32 [batch, {layers[0].width}], got {inputs.dtype} {list(inputs.shape)}")
    values: list[Values] = []  # [width, batch]: a term of a Dense layer is then one contiguous row times a column
    with np.errstate(all="ignore"):
        for layer in layers:
            sources = [values[source] for source in layer.sources]
            values.append(evaluate_layer(layer, sources) if sources else np.ascontiguousarray(inputs.T))
    return [value.T for value in values]


def evaluate_layer(layer: Layer, sources: list[Values]) -> Values:
    """One layer's values ``[width, batch]`` from its sources' values ``[width, batch]``."""
    match layer:
        case Dense():
            return dense_values(layer, sources[0])
        case Elementwise():
            return _float32(_OPERATORS[layer.op](sources[0], layer.constant[:, None]))
        case Relu():
            return relu_values(sources[0])
        case Gather():
            return sources[0][layer.indices]
        case Concat():
            return np.concatenate(sources, axis=0)
        case Add():
            return _float32(np.add(sources[0], sources[1]))
        case Input():
            raise AssertionError("the input has no value of its own")


def dense_values(layer: Dense, source: Values) -> Values:
    """Values ``[n_out, batch]`` of a Dense layer from its source's ``[n_in, batch]``: terms added by ascending j."""
    shape = layer.width, source.shape[1]
    accumulator = np.array(np.broadcast_to(layer.start[:, None], shape), order="C")
    term = np.empty(shape, np.float32)
    for j, value in enumerate(source):
        np.multiply(layer.weight[:, j, None], value, out=term)
        np.add(accumulator, term, out=accumulator)
    np.add(accumulator, layer.bias[:, None], out=accumulator)
    return accumulator


def relu_values(source: Values) -> Values:
    """``h > 0 ? h : +0``: unlike a maximum, this maps −0 to +0 and NaN to +0, as the emitted C does."""
    return np.where(source > 0, source, np.float32(0))


def _float32(values: NDArray[Any]) -> Values:
    """The values, which are float32 because both operands were."""
    assert values.dtype == np.float32
    return values
