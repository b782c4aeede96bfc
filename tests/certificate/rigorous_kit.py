"""What the tests of the rigorous checker share: random networks of all layer kinds, and a plain writer of bundles."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import numpy as np

from dispatcher.files import network_bytes
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layers, Relu, check_layers, dense, freeze
from slicer.certificate.rigorous import Checker

F32 = np.float32


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def random_layers(rng: np.random.Generator, inputs: int = 2, width: int = 4, depth: int = 8) -> Layers:
    """A network of all kinds of layers, wired at random; most sources are read more than once."""
    layers: list[Any] = [Input(inputs)]
    for kind in rng.choice(["dense", "dense", "relu", "relu", "elementwise", "gather", "concat", "add"], depth):
        source = int(rng.integers(max(0, len(layers) - 3), len(layers)))
        layers.append(_layer(str(kind), rng, layers, source, width))
    last = len(layers) - 1
    layers.append(dense(last, rng.normal(size=(2, layers[last].width)), rng.normal(size=2)))
    check_layers(layers)
    return tuple(layers)


def _layer(kind: str, rng: np.random.Generator, layers: list[Any], source: int, width: int) -> Any:
    n = layers[source].width
    if kind == "dense":
        weight = rng.normal(size=(width, n)) * (rng.random((width, n)) < 0.8)
        return dense(source, weight, rng.normal(size=width) * 0.5)
    if kind == "relu":
        return Relu(source, n)
    if kind == "elementwise":
        op = str(rng.choice(["add", "mul", "div"]))
        constant = rng.choice([-1, 1], n) * (0.5 + rng.random(n))
        return Elementwise(source, op, freeze(constant, F32))  # type: ignore[arg-type] # one of the three
    if kind == "gather":
        return Gather(source, freeze(rng.integers(0, n, width), np.int64))
    if kind == "concat":
        other = int(rng.integers(0, len(layers)))
        return Concat((source, other, source), 2 * n + layers[other].width)
    equal = [position for position, layer in enumerate(layers) if layer.width == n]
    return Add((source, int(rng.choice(equal))), n)


def chain(rng: np.random.Generator, *widths: int, scale: float = 1.0) -> Layers:
    """Dense layers with relus between: ``chain(rng, 2, 5, 5, 1)``."""
    layers: list[Any] = [Input(widths[0])]
    for index, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        if index:
            layers.append(Relu(len(layers) - 1, n_in))
        weight = rng.normal(size=(n_out, n_in)) * scale
        layers.append(dense(len(layers) - 1, weight, rng.normal(size=n_out) * 0.5))
    return tuple(layers)


def random_box(rng: np.random.Generator, inputs: int, size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Corners in float32; now and then an input of width zero."""
    centre, half = rng.normal(size=inputs), size * rng.random(inputs) * (rng.random(inputs) < 0.9)
    lower, upper = (centre - half).astype(F32), (centre + half).astype(F32)
    return lower, np.maximum(lower, upper)


def sample(rng: np.random.Generator, lower: np.ndarray, upper: np.ndarray, count: int) -> np.ndarray:
    """Float32 points of the box, ``[count, n]``; a third on the border."""
    share = rng.random((count, len(lower)))
    share = np.where(rng.random(share.shape) < 0.3, np.round(share), share)
    points = (lower + share * (upper.astype(float) - lower)).astype(F32)
    return np.clip(points, lower, upper)


def evaluate(layers: Layers, points: np.ndarray) -> list[np.ndarray]:
    """Every layer in the declared evaluation, float32 ``[count, width]``: written from CERTIFICATE.md §2."""
    values: list[np.ndarray] = []
    for layer in layers:
        values.append(evaluate_layer(layer, values) if values else points)
    return values


def evaluate_layer(layer: Any, values: list[np.ndarray]) -> np.ndarray:
    """One layer in the declared evaluation; those before it are known."""
    match layer:
        case Dense():
            value = np.zeros((len(values[0]), layer.width), F32)
            for j in range(layer.weight.shape[1]):
                value = value + layer.weight[:, j] * values[layer.source][:, [j]]
            value = value + layer.bias
        case Elementwise():
            h, c = values[layer.source], layer.constant
            value = h + c if layer.op == "add" else h * c if layer.op == "mul" else h / c
        case Relu():
            value = np.where(values[layer.source] > 0, values[layer.source], F32(0))
        case Gather():
            value = values[layer.source][:, layer.indices]
        case Concat():
            value = np.concatenate([values[source] for source in layer.sources], axis=1)
        case Add():
            value = values[layer.sources[0]] + values[layer.sources[1]]
    assert value.dtype == F32
    return value


def evaluate_member(layers: Layers, member: dict[str, Any], points: np.ndarray) -> np.ndarray:
    """A member's outputs from its file alone, as CERTIFICATE.md §3 says; a unit that it lacks is NaN."""
    values: list[np.ndarray] = []
    for layer, entry in zip(layers, member["layers"], strict=True):
        value = np.full((len(points), layer.width), np.nan, F32)
        units = entry["units"]
        prefixes = {unit: (first, _bits(digits)) for unit, first, digits in entry["prefixes"]}
        constants = {unit: _bits(digits) for unit, digits in entry["constants"]}
        if isinstance(layer, Dense):
            kept = member["layers"][layer.source]["units"]
            for unit in units:
                first, start = prefixes.get(unit, (0, F32(0)))
                terms = [] if unit in constants else [j for j in kept if j >= first]
                value[:, unit] = start
                for j in terms:
                    value[:, unit] += layer.weight[unit, j] * values[layer.source][:, j]
                value[:, unit] += constants.get(unit, layer.bias[unit])
        elif isinstance(layer, Input):
            value = points
        else:
            whole = evaluate_layer(layer, values)
            value[:, units] = whole[:, units]
        values.append(value)
    return _read_off(member["readout"], values) if "readout" in member else values[-1]


def _read_off(readout: dict[str, Any], values: list[np.ndarray]) -> np.ndarray:
    """The outputs of a readout: one dense layer over the units read."""
    weight, bias = np.array([_numbers(row) for row in readout["weight"]]), _numbers(readout["bias"])
    read = np.column_stack([values[layer][:, unit] for layer, units in readout["reads"] for unit in units])
    return evaluate((Input(read.shape[1]), dense(0, weight, bias)), read)[-1]


def _bits(digits: str) -> np.float32:
    return F32(_numbers(digits)[0])


def _numbers(digits: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(digits), ">f4").astype(F32)


def rows(units: dict[int, list[int]]) -> list[list[object]]:
    """{relu layer: units} as the document writes it."""
    return [[layer, sorted(units[layer])] for layer in sorted(units) if units[layer]]


def box_record(lower: np.ndarray, upper: np.ndarray) -> dict[str, list[str]]:
    return {"lower": [float(x).hex() for x in lower], "upper": [float(x).hex() for x in upper]}


def certificate(
    checker: Checker,
    box: tuple[np.ndarray, np.ndarray],
    removed: dict[int, list[int]],
    tree: list[dict[str, object]],
    cell: int = 0,
) -> tuple[dict[str, Any], bytes]:
    """A certificate as a JSON value, and the bytes of its member."""
    listed = rows(removed)
    member = checker.rebuild_member([(layer, units) for layer, units in listed])  # type: ignore[misc] # two items each
    record = {
        "format": "netslicer-certificate/2",
        "mode": "bitwise",
        "cell": cell,
        "box": box_record(*box),
        "parent": checker.parent.digest,
        "member": sha(member),
        "removed": listed,
        "tree": tree,
    }
    return record, member


def manifest(files: dict[str, bytes]) -> bytes:
    """The manifest of these files."""
    entries = [{"path": path, "sha256": sha(files[path]), "size": len(files[path])} for path in sorted(files)]
    fields = {"format": "netslicer-bundle/1", "mode": "bitwise", "source": "parent.onnx", "truncated": False}
    return canonical(fields | {"options": {"cells": 3}, "tools": {"numpy": np.__version__}, "files": entries})


def example_layers() -> Layers:
    """Two inputs on [−1, 1]²; relu units 0 and 1 of layer 2: −2 + x₀ + x₁/4 (inactive) and x₀."""
    first = dense(0, np.array([[1, 0.25], [1, 0]]), np.array([-2, 0]))
    return (Input(2, "x"), first, Relu(1, 2), dense(2, np.array([[0.5, 2]]), np.array([3])))


def example_bundle() -> dict[str, Any]:
    """A bundle of three cells as JSON values (bytes for the model): x₀ ≤ −½, x₀ ≤ 0, x₀ > 0; two members."""
    parent = network_bytes(example_layers())
    checker = Checker(parent)
    lower, upper = np.array([-1, -1], F32), np.array([1, 1], F32)
    cuts = [(-1.0, -0.5), (-0.5, 0.0), (0.0, 1.0)]
    files: dict[str, Any] = {"parent.onnx": b"the model as it was given", "family/parent.json": json.loads(parent)}
    names = []
    for cell, (low, high) in enumerate(cuts):
        box = np.array([low, -1], F32), np.array([high, 1], F32)
        units = [0, 1] if high < 0 else [0]  # x₀ ≤ 0 proves nothing: r is positive
        tree = [{"inactive": [[2, units]]}]
        record, member = certificate(checker, box, {2: units}, tree, cell)
        names.append(sha(member))
        files[f"family/members/{names[-1]}.json"] = json.loads(member)
        files[f"certificates/{cell:06d}.json"] = record
    half, zero = (-0.5).hex(), (0.0).hex()
    nodes = [
        {"axis": 0, "threshold": zero, "low": 1, "high": 4},
        {"axis": 0, "threshold": half, "low": 2, "high": 3},
        {"cell": 0},
        {"cell": 1},
        {"cell": 2},
    ]
    members = list(dict.fromkeys(names))
    files["family/family.json"] = {
        "format": "netslicer-family/1",
        "mode": "bitwise",
        "parent": sha(parent),
        "domain": box_record(lower, upper),
        "tree": nodes,
        "members": members,
        "cells": [members.index(name) for name in names],
    }
    return files


def written(files: dict[str, Any]) -> dict[str, bytes]:
    """JSON values as canonical bytes, and the manifest of the result."""
    contents = {path: value if isinstance(value, bytes) else canonical(value) for path, value in files.items()}
    return contents | {"manifest.json": manifest(contents)}
