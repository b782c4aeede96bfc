"""The emitted module has the bits of `eval32`, with numpy and without, and refuses what cannot be served."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.cli import main
from dispatcher.emit_python import emit_python
from dispatcher.errors import UnusableInput
from dispatcher.layers import Elementwise, Input, dense, freeze
from dispatcher.runtime import Dispatcher
from tests.dispatcher.bundle_samples import make_bundle, make_family
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import (
    DIGEST,
    chain_with_prefixes,
    decision_family,
    epsilon_family,
    expected,
    family_with_prefixes,
    hard_points,
    mixed_family,
    mixed_readouts,
    random_family,
    readout_family,
    readouts_behind_prefixes,
    residual_readouts,
    wide_family,
)
from tests.emit_c99.host import bits

FAMILIES = {
    **{f"random {seed}": random_family(seed) for seed in range(4)},
    "wide": wide_family(0),
    "mixed": mixed_family(0),
    "prefixes": family_with_prefixes(),
    "chain with prefixes": chain_with_prefixes(),
    "decision": decision_family(),
    "affine": epsilon_family(),
    "readouts": readout_family(),
    "residual readouts": residual_readouts(),
    "readouts behind prefixes": readouts_behind_prefixes(),
    **{f"mixed readouts {seed}": mixed_readouts(seed) for seed in range(3)},
    "identity": make_family((Input(3),), 4),
    "one cell": make_family(chain([2, 3, 1])),
}


def load_module(family, directory: Path):
    """The emitted module, imported."""
    (path,) = emit_python(family, DIGEST, directory / "out", "net")
    spec = importlib.util.spec_from_file_location("net", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FAMILIES)
def test_same_bits_with_numpy_and_without(name, tmp_path):
    family = FAMILIES[name]
    net = load_module(family, tmp_path)
    points = hard_points(family, np.random.default_rng(0), 50)
    cells, outputs = expected(family, points)
    assert (bits(net.predict(points)) == bits(outputs)).all()
    some = np.random.default_rng(0).permutation(len(points))[:60]
    plain = net.predict(points[some].tolist())
    assert type(plain[0][0]) is float
    assert (bits(np.array(plain, np.float32)) == bits(outputs[some])).all()
    assert net.route(points.tolist()) == cells.tolist()
    assert (points.shape[1], outputs.shape[1]) == (net.INPUTS, net.OUTPUTS)
    assert (len(family.cells), DIGEST) == (net.CELLS, net.BUNDLE_DIGEST)


def test_without_numpy_or_anything_else(tmp_path):
    """An isolated interpreter that cannot import numpy."""
    family = wide_family(1)
    (path,) = emit_python(family, DIGEST, tmp_path / "out", "net")
    points = hard_points(family, np.random.default_rng(0), 20)[:30]
    code = (
        "import sys, json\nsys.modules['numpy'] = None\nsys.path.insert(0, sys.argv[1])\nimport net\n"
        "assert net.np is None\nprint(json.dumps(net.predict(json.load(sys.stdin))))\n"
    )
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", code, str(path.parent)]
    done = subprocess.run(command, input=json.dumps(points.tolist()), capture_output=True, text=True, check=True)
    assert (bits(np.array(json.loads(done.stdout), np.float32)) == bits(expected(family, points)[1])).all()


@pytest.mark.parametrize("policy", ["clamp", "parent"])
def test_out_of_domain_is_what_the_runtime_does(policy, tmp_path):
    family = mixed_family(1)
    net = load_module(family, tmp_path)
    points = hard_points(family, np.random.default_rng(0), 20)[:40] * np.float32(1.5)
    outputs = Dispatcher(family).predict(points, out_of_domain=policy)
    assert (bits(net.predict(points, policy)) == bits(outputs)).all()
    assert (bits(np.array(net.predict(points.tolist(), policy), np.float32)) == bits(outputs)).all()


@pytest.mark.parametrize("kind", [list, np.array])
def test_what_cannot_be_served_is_refused(kind, tmp_path):
    net = load_module(make_family(chain([2, 3, 1])), tmp_path)
    for rows, policy, message in (
        ([[0, 0], [0, 1.5]], "error", "row 1: outside the domain"),
        ([[0, float("nan")]], "parent", "row 0: expected numbers, got nan"),
        ([[0, float("inf")]], "parent", "row 0: outside the domain"),
        ([[0, 0, 0]], "error", "row 0: expected 2 inputs, got 3"),
        ([[0, 0]], "ignore", "expected error, clamp or parent"),
    ):
        with pytest.raises(ValueError, match=message):
            net.predict(kind(rows), policy)
    assert net.predict([[0, float("inf")]], "clamp") == net.predict([[0, 1]])
    assert len(net.predict(kind([]))) == 0


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A module of any network."""
    return load_module(make_family(chain([1, 1])), tmp_path_factory.mktemp("module"))


@settings(deadline=None, max_examples=200)
@given(st.floats(width=32), st.floats(width=32))
def test_plain_arithmetic_is_that_of_float32(net, a, b):
    """Sums, products and quotients of any two float32 numbers."""
    with np.errstate(all="ignore"):
        x, y = np.float32(a), np.float32(b)
        for kind, result in (("add", x + y), ("mul", x * y), ("div", x / y)):
            got = np.float32(net._float32(net._OPERATIONS[kind](a, b)))
            assert got == result or (np.isnan(got) and np.isnan(result))


def test_overflow_and_subnormal_numbers(tmp_path):
    large, small = freeze(np.array([3e38]), np.float32), freeze(np.array([1e-38]), np.float32)
    layers = (Input(1), Elementwise(0, "mul", large), dense(1, [[2.0], [1e-45]]), Elementwise(0, "mul", small))
    for network in (layers[:3], (layers[0], Elementwise(0, "div", large), Elementwise(1, "mul", small))):
        family = make_family(network, 2)
        net = load_module(family, tmp_path / str(len(network)) / type(network[-1]).__name__)
        points = np.array([[1], [-1], [0.3], [1e-30]], np.float32)
        outputs = expected(family, points)[1]
        assert (bits(net.predict(points)) == bits(outputs)).all()
        assert (bits(np.array(net.predict(points.tolist()), np.float32)) == bits(outputs)).all()


def test_the_command_line_writes_the_module(tmp_path, capsys):
    bundle = make_bundle(tmp_path / "bundle", FAMILIES["one cell"])
    words = ["emit", str(bundle), "--target", "python", "--prefix", "net", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "out" / "net.py")]


@pytest.mark.parametrize("name", ["", "2net", "my-net", "class", "json", "nét", "../net"])
def test_names_that_are_none(name, tmp_path):
    with pytest.raises(UnusableInput, match="prefix: expected a Python identifier"):
        emit_python(FAMILIES["one cell"], DIGEST, tmp_path / "net", name)
