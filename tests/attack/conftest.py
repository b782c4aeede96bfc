"""Accepted bundles to attack, made once per test process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import slicer
from dispatcher.layers import Input, Relu, dense
from slicer.network import Network
from tests.attack.target import Target, open_target
from tests.onnx_files import write_onnx
from tests.random_networks import chain


def sparse() -> Network:
    """Two inputs on [0, 1]²; where x₀ ≤ ¾, units become constants, first and further on in their layer.

    Units 0 and 1 of the first layer are inactive for x₀ ≤ ¾. Units 0 and 3 of the second read nothing else.
    """
    rng = np.random.default_rng(3)
    first = dense(0, [[1, 0], [0.8, 0.1], [-1, 0.3], [0.2, 1], [0.7, -0.9]], [-0.8, -0.75, 0.9, 0.1, 0.2])
    weight = rng.normal(0, 0.7, (5, 5))
    weight[[0, 3]] = 0
    weight[[0, 3], [0, 1]] = 1.1, -0.9
    second = dense(2, weight, [0.3, 0.1, 0.2, 0.7, -0.1])
    return Network(
        (Input(2), first, Relu(1, 5), second, Relu(3, 5), dense(4, rng.normal(size=(3, 5)), [0.1, -0.2, 0.3]))
    )


NETWORKS = {
    "dense": lambda: chain(np.random.default_rng(11), [3, 16, 16, 2]),
    "sparse": sparse,
    "argmax": lambda: chain(np.random.default_rng(8), [2, 12, 4]),
    "argmin": lambda: chain(np.random.default_rng(5), [2, 12, 4]),
    "near": lambda: chain(np.random.default_rng(10), [2, 8, 6, 6, 3]),
}


DECIDED = ("argmax", "argmin")
_DECIDES = {name: {"mode": "decision", "decision": name} for name in DECIDED}
MODES = _DECIDES | {"near": {"mode": "epsilon", "epsilon": "5%"}}  # options of those that are not bitwise


@pytest.fixture(scope="session")
def bundles(tmp_path_factory) -> dict[str, Path]:
    """Accepted bundles by the names of their networks: eight cells each."""
    directory, made = tmp_path_factory.mktemp("accepted"), {}
    for name, network in NETWORKS.items():
        model = write_onnx(directory / f"{name}.onnx", network())
        options = slicer.Options(cells=8, cuts="uniform", effort=60, jobs=1, **MODES.get(name, {}))
        made[name] = slicer.compress(model, "0:1", directory / name, options).path
        assert slicer.audit(made[name]).accepted
    return made


@pytest.fixture(scope="session")
def targets(bundles) -> dict[str, Target]:
    """The same, opened for attack."""
    return {name: open_target(path) for name, path in bundles.items()}
