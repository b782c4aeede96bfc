"""The network of the bundle ``read`` (`tests.certificates.bases`), units of all kinds of layers of which are read.

On [0, 1]², with b = x₀ + x₁; the first unit of layer 1 is inactive, the third is the constant 1, whatever is removed:

    layer 1   x₀ − 2   b   1                       layer 3   of the relus: 1   relu(b)   0
    layer 4   s = 2 · 1 + relu(b) + 0 − 1          t = 3 · 1 + 0 + ½
    layer 6   2·relu(s)   ½·relu(t)                layer 7   3·relu(s)   3/2·relu(t), as sums of layers 5 and 6
    layer 8   s   t   3·relu(s)   3/2·relu(t)      layer 9   u = s − 5/2
    layer 11  y₀ = 4·relu(u) + 1                   y₁ = −relu(u)

b is not negative, so that relu(b) = b, s = b + 1 is active and u is b − 3/2. Without the inactive unit the row of s has
a prefix, 2, and t is the constant 7/2.

Cell 0 (x₀ ≤ ½) reads relu(u) and the outputs are exact, but for rounding; what else is read for y₀ adds up to zero:
b + 1 − s, 3 · 2·relu(s) − 2 · 3·relu(s) and 4 · 21/4 − 21. Cell 1 reads s alone: (s − 2)/3 is off from relu(u) by at
most 1/6, at b = ½, 3/2 and 2, and by 1/3 from 0, the line below relu(u). The bounds are 3/2 and 3/8.
Errors are relu layer 15.
"""

from __future__ import annotations

import numpy as np

from dispatcher.layers import Add, Concat, Elementwise, Gather, Input, Layers, Relu, dense, freeze


def read_layers() -> Layers:
    """The network of the module docstring."""
    return (
        Input(2),
        dense(0, np.array([[1, 0], [1, 1], [0, 0]]), np.array([-2, 0, 1])),
        Relu(1, 3),
        Gather(2, freeze(np.array([2, 1, 0]), np.int64)),
        dense(3, np.array([[2, 1, 1], [3, 0, 1]]), np.array([-1, 0.5])),
        Relu(4, 2),
        Elementwise(5, "mul", freeze(np.array([2, 0.5]), np.float32)),
        Add((5, 6), 2),
        Concat((4, 7), 4),
        dense(8, np.array([[1, 0, 0, 0]]), np.array([-2.5])),
        Relu(9, 1),
        dense(10, np.array([[4], [-1]]), np.array([1, 0])),
    )
