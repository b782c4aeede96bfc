"""The ``.nnet`` format (Kyle Julian, Stanford, 2016): ReLU networks as text, with their normalisation.

The normalisation becomes explicit layers, never folded into weights: inputs ``(x − mean) / range``, outputs ``y ·
range + mean``. So the network reads and returns raw units, and its domain is given in raw units. The format also lets
evaluators clip inputs to the minima and maxima of its header; that clipping is **not** modelled: give these limits as
the domain.

Every number is the float32 nearest to its decimal text.

::

    // any number of comment lines
    layers, inputs, outputs, largest layer size
    inputs, size of layer 1, …, outputs
    unused flag
    input minima
    input maxima
    means of the inputs, then one of all outputs
    ranges of the inputs, then one of all outputs
    per layer: one line per unit with its weights, then one line per unit with its bias
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from dispatcher.layers import Elementwise, Input, Layer, Relu, dense, freeze
from slicer.network import Network
from slicer.readers.decimals import nearest_float32
from slicer.readers.files import decode, located

_MAX_LAYERS = 10_000
_COUNT = re.compile(r"0*[1-9][0-9]{0,7}\Z")


class _Lines:
    """The data lines of a file one after the other, each with its number."""

    def __init__(self, text: str) -> None:
        lines = text.split("\n")
        numbered = enumerate(lines, start=1)
        self._lines: Iterator[tuple[int, str]] = ((n, line) for n, line in numbered if not line.startswith("//"))
        self._last = len(lines)
        self.number = 0

    def fields(self, meaning: str) -> list[str]:
        """The comma-separated fields of the next line; a comma at its end separates nothing."""
        previous = self.number
        self.number, line = next(self._lines, (previous + 1, ""))
        line = line.strip()
        where, fix = f"line {self.number}", "is the file complete?"
        if not line:
            raise UnusableInput(f"expected {meaning}, got no data", where=where, fix=fix)
        if self.number == self._last and not line.endswith(","):  # the beginning of a number is a number too
            raise UnusableInput(f"expected {meaning} and a comma or line end, got {line[-20:]!r}", where=where, fix=fix)
        return line.removesuffix(",").split(",")

    def counts(self, meaning: str, expected: int) -> list[int]:
        """The next line's positive integers."""
        fields = [field.strip() for field in self.fields(meaning)]
        if len(fields) != expected or not all(_COUNT.match(field) for field in fields):
            raise UnusableInput(f"expected {meaning}, got {', '.join(fields)[:60]}", where=f"line {self.number}")
        return [int(field) for field in fields]

    def numbers(self, meaning: str, expected: int) -> NDArray[np.float32]:
        """The next line's numbers ``[expected]``."""
        fields = self.fields(meaning)
        with located(f"line {self.number}"):
            if len(fields) != expected:
                raise UnusableInput(f"expected {meaning}: {expected} numbers, got {len(fields)}")
            return nearest_float32(fields)

    def done(self) -> None:
        """Refuse data after the last layer."""
        for number, line in self._lines:
            if line.strip():
                raise UnusableInput(
                    "expected the end of the file after the last layer's biases", where=f"line {number}"
                )


def read_nnet(content: bytes) -> Network:
    """The network in the bytes of a ``.nnet`` file.

    Raises
    ------
    UnusableInput
        Naming the line, what it should hold and what it holds.
    """
    lines = _Lines(decode(content))
    sizes = _read_sizes(lines)
    mean, spread = _read_normalisation(lines, sizes[0])
    layers: list[Layer] = [Input(sizes[0])]
    _append(layers, "add", -mean[:-1], "input/mean")
    _append(layers, "div", spread[:-1], "input/range")
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes), start=1):
        weight, bias = _read_layer(lines, index, n_in, n_out)
        layers.append(dense(len(layers) - 1, weight, bias, name=f"layer {index}"))
        if index < len(sizes) - 1:
            layers.append(Relu(len(layers) - 1, n_out, f"relu {index}"))
    lines.done()
    _append(layers, "mul", np.repeat(spread[-1], sizes[-1]), "output/range")
    _append(layers, "add", np.repeat(mean[-1], sizes[-1]), "output/mean")
    return Network(tuple(layers))


def _read_sizes(lines: _Lines) -> list[int]:
    """Widths of the input and of every layer, from the first two data lines."""
    count, n_in, n_out, _ = lines.counts("four positive counts (layers, inputs, outputs, largest layer)", 4)
    if count > _MAX_LAYERS:
        raise UnusableInput(f"expected at most {_MAX_LAYERS} layers, got {count}", where=f"line {lines.number}")
    sizes = lines.counts(f"the {count + 1} sizes of the input and of {count} layers", count + 1)
    if sizes[0] != n_in or sizes[-1] != n_out:
        raise UnusableInput(
            f"expected sizes from {n_in} to {n_out} as the first line says, got {sizes[0]} to {sizes[-1]}",
            where=f"line {lines.number}",
        )
    return sizes


def _read_normalisation(lines: _Lines, n_in: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means and ranges ``[n_in + 1]``: of every input, and of all outputs; flag, minima and maxima are skipped."""
    lines.fields("the unused flag")
    lines.numbers("the minimum of every input", n_in)
    lines.numbers("the maximum of every input", n_in)
    mean = lines.numbers("the mean of every input and one of the outputs", n_in + 1)
    spread = lines.numbers("the range of every input and one of the outputs", n_in + 1)
    if not spread.all():
        raise UnusableInput("expected ranges other than zero", where=f"line {lines.number}")
    return mean, spread


def _read_layer(lines: _Lines, index: int, n_in: int, n_out: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight ``[n_out, n_in]`` and bias ``[n_out]`` of one layer."""
    rows = [lines.numbers(f"weights of layer {index}, unit {unit}", n_in) for unit in range(n_out)]
    biases = [lines.numbers(f"bias of layer {index}, unit {unit}", 1) for unit in range(n_out)]
    return np.stack(rows), np.concatenate(biases)


def _append(layers: list[Layer], op: Literal["add", "mul", "div"], constant: NDArray[np.float32], name: str) -> None:
    """Append one normalisation layer, unless it changes nothing (adding 0, multiplying by or dividing by 1)."""
    if (constant != (0 if op == "add" else 1)).any():
        layers.append(Elementwise(len(layers) - 1, op, freeze(constant, np.float32), name))
