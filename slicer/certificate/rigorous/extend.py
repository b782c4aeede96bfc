"""The layers by which proofs extend the parent (CERTIFICATE.md §5): margins of outputs, errors of a readout."""

from __future__ import annotations

import numpy as np

from slicer.certificate.rigorous.form import Array, Indices, expect
from slicer.certificate.rigorous.parent import FILE, Layer, Parent, U

MAX_OUTPUTS = 64  # of a network that decides: its margins are as many as pairs of outputs
MAX_WEIGHTS = 1 << 20  # of the errors of a readout, which grow with the square of the outputs


def with_margins(parent: Parent, decision: str) -> Parent:
    """Output k less output i for every pair, the other way round for ``argmin``, and their relu.

    Raises
    ------
    Refusal
        If the last layer is not dense, or has one output or very many.
    """
    n = parent.outputs
    good = parent.layers[-1].kind == "dense" and 2 <= n <= MAX_OUTPUTS
    expect(good, FILE, f"expected a last layer that is dense, with 2 to {MAX_OUTPUTS} outputs, to decide")
    rows = (np.eye(n)[:, None] - np.eye(n)).reshape(n * n, n) * (-1 if decision == "argmin" else 1)
    last = parent.spans[-1]
    dense = _dense(parent.depth - 1, np.arange(last.start, last.stop), rows, np.zeros(n * n))
    return _extended(parent, [dense, _plain("relu", parent.depth, parent.size, np.zeros(n * n), 0.0)])


def with_errors(parent: Parent, read: Indices, weight: Array, bias: Array, epsilon: Array) -> Parent:
    """Outputs less those of a readout of units ``read``, and the negatives, less ``epsilon``, and their relu.

    Raises
    ------
    Refusal
        If these are very many.
    """
    number = 2 * parent.outputs * (parent.outputs + len(read))
    expect(number <= MAX_WEIGHTS, FILE, f"expected errors of at most {MAX_WEIGHTS} weights, got {number}")
    n, last = parent.outputs, parent.spans[parent.depth - 1]
    both = np.concatenate([np.arange(last.start, last.stop), read])
    one, rows = np.ones(1), np.hstack([np.eye(n), -weight])
    sources = [p for p, span in enumerate(parent.spans[:-1]) if ((span.start <= read) & (read < span.stop)).any()]
    concat = Layer("concat", [parent.depth - 1, *sources], both[None], np.zeros(len(both)), one, one, 0.0)
    first = parent.size + len(both)  # unit of the dense layer
    dense = _dense(parent.depth, np.arange(parent.size, first), np.vstack([rows, -rows]), np.concatenate([-bias, bias]))
    less = _plain("elementwise", parent.depth + 1, first, -np.tile(epsilon, 2), U)
    relu = _plain("relu", parent.depth + 2, first + 2 * n, np.zeros(2 * n), 0.0)
    extended = _extended(parent, [concat, dense, less, relu])
    extended.errors = parent.depth + 2
    return extended


def _dense(source: int, given: Indices, weight: Array, bias: Array) -> Layer:
    """A dense layer over ``given`` units."""
    rounded = (len(given) + 1) * U
    return Layer("dense", [source], given, bias, weight, np.ones(1), rounded / (1 - rounded))


def _plain(kind: str, source: int, first: int, constant: Array, rounding: float) -> Layer:
    """A layer whose units read one unit each of its source, which begins with unit ``first`` of all."""
    units = np.arange(first, first + len(constant))[None]
    return Layer(kind, [source], units, constant, np.ones(1), np.ones(1), rounding)


def _extended(parent: Parent, layers: list[Layer]) -> Parent:
    """The parent with more layers, of which each reads the one before."""
    extended = parent.copy()
    for layer in layers:
        extended.append(layer, FILE)
    extended.derive()
    return extended
