"""A network small enough to prove by hand, with a certificate that needs splits, facts and both kinds of closings.

On [−1, 1]²: relu layer 2 over a = −2 + x₀ + x₁/4 (inactive), p = x₀ + x₁, q = x₀ − x₁, c = 3 + x₁ (active); relu layer
4 over f = relu(p) + relu(q) − 5/2 and e = relu(c) − 1 (active). f is at most −½, but one box does not show it: the
lines over p and q give 3 − 5/2. With x₁ cut at 0 and ±½ they give less than zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rigorous_kit import F32, certificate, network_bytes

from dispatcher.layers import Input, Layers, Relu, dense
from slicer.certificate.rigorous import Checker

LOWER, UPPER = np.array([-1, -1], F32), np.array([1, 1], F32)
Record = dict[str, Any]
Mutation = Callable[[Record], object]


def layers() -> Layers:
    first = np.array([[1, 0.25], [1, 1], [1, -1], [0, 1]])
    second = np.array([[0, 1, 1, 0], [0, 0, 0, 1]])
    return (
        Input(2),
        dense(0, first, np.array([-2, 0, 0, 3])),
        Relu(1, 4),
        dense(2, second, np.array([-2.5, -1])),
        Relu(3, 2),
        dense(4, np.array([[0.5, 1]])),
    )


def checker() -> Checker:
    return Checker(network_bytes(layers()))


def tree() -> list[Record]:
    half = 0.5
    close: Record = {"inactive": [[4, [0]]]}
    root: Record = {"active": [[2, [3]], [4, [1]]], "inactive": [[2, [0]]], "axis": 1, "threshold": (0.0).hex()}
    low: Record = {"axis": 1, "threshold": (-half).hex()}
    high: Record = {"axis": 1, "threshold": half.hex()}
    return [root, low, dict(close), dict(close), high, dict(close), dict(close)]


def example() -> tuple[Record, bytes]:
    """The certificate as a JSON value, and its member."""
    return certificate(checker(), (LOWER, UPPER), {2: [0], 4: [0]}, tree())
