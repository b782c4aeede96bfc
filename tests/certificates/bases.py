"""The honest bundles that lies are told about: made by hand, a compressed chain, two compressed graphs, a classifier.

Between them the graphs have all kinds of layers; members of the first have prefixes, in the second all cells share one.
The classifier is compressed in mode ``decision``, for the smallest of three outputs, the tolerant chain in mode
``epsilon``.

The first one made by hand, on [−1, 1]², can be checked with a pencil:

    layer 1   a = −2 + x₀ + x₁/4    p = x₀ + x₁    q = x₀ − x₁    c = 3 + x₁    d = x₀ − ½
    layer 3   g = 2·relu(a) + ¾     f = relu(p) + relu(q) − 5/2   e = relu(c) − 1   h = relu(d) + ½
    layer 5   y₀ = ½·relu(g) + relu(f) + relu(e) + 3·relu(h) − ¼     y₁ = −2·relu(g) + relu(f) + 1

Cell 0 is x₀ ≤ 0, cell 1 the rest with x₁ ≤ ½, cell 2 what remains. a and f are inactive everywhere, d in cell 0; c, e
and g are active. So g is the constant ¾, y₁ the constant −½, y₀ begins with the prefix ⅜, and h is the constant ½ in
cell 0. p and q are needless without f. In cell 1 f needs cuts of x₁: for the whole cell the lines over p and q give
+0.1, for x₁ cut at 0 and −½ less than zero. The root's active closings there are facts that nothing rests on.

The contest is the same in mode ``decision``. y₀ − y₁ = 5/8 + relu(e) + 3·relu(h) > 0, so y₀ always is the largest
output and y₁ the smallest. Margins are the dense layer 6 and the relu layer 7; its unit 2 is y₁ − y₀. In cell 0 both
outputs stay classes; in the others only y₀ does: cell 1 closes the margin on both children of its root, cell 2 at its
root. These two have one member, which has nothing but two constants.

The first network once more in mode ``epsilon``, on [−1, 3/2] × [−1, 1]: where x₀ ≤ 1 f is not active, so that
y₀ = 29/8 + x₁ + 3·relu(d) and y₁ = −½. The bounds are ½ and ¼. In cell 0, without d, the affine functions 29/8 + x₁ and
−½ are the outputs but for rounding. Cell 1 keeps its units. In cell 2 the first function is 13/4 + 3/2·x₀ + x₁, and y₀
less that is 3/8 − 3/2·x₀ where x₀ ≤ ½, 3/2·x₀ − 9/8 where x₀ ≥ ½: at most 3/8 in magnitude, as the line over relu(d)
says for the whole cell, the one below it where d has one sign. Errors are relu layer 9: its units 0 and 1 say that y₀
and y₁ are at most their bounds above the functions, 2 and 3 at most so far below.

Where x₀ ≥ 1, f is 2·x₀ − 5/2 and changes its sign at 5/4; a is still inactive, d is x₀ − ½. Cell 3 (x₁ ≤ ½) reads the
inputs, relu(g), which is ¾ as a is removed, and relu(f): y₀ = 7/4 + 3·x₀ + x₁ + ½·relu(g) + relu(f) and
y₁ = 1 − 2·relu(g) + relu(f), but for rounding. Cell 4 reads relu(d) and, of another layer, relu(e) = 2 + x₁, and takes
relu(d) − 5/8, which is x₀ − 9/8, for relu(f): y₀ is 1 + 4·relu(d) + relu(e), y₁ is relu(d) − 9/8, each off by at most
1/8. The line below relu(f) says less than that: error 3, above ¼, is closed on both sides of x₀ = 5/4.

The graph of `tests.certificates.read_network` in mode ``epsilon``: readouts of units of all kinds of layers.

The three outputs, on [−1, 1]: y₀ = 4·relu(x) y₁ = 4·relu(−x) y₂ = |x| − ½. In the only cell y₂ never is the largest,
but stays behind y₁ where x ≤ 0, and behind y₀ where x ≥ 0: the margins 7 and 6 of relu layer 5.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from dispatcher.layers import Input, Layers, Relu, dense
from dispatcher.literal import bits_text
from slicer.family.compress import compress
from slicer.family.options import Options
from slicer.network import Network
from slicer.readers import read_network_bytes
from tests.certificates.graph_onnx import graph_bytes
from tests.certificates.opened import Json, Opened, open_bundle
from tests.certificates.read_network import read_layers
from tests.certificates.trees import close
from tests.onnx_files import onnx_bytes
from tests.random_networks import chain, mixed

HAND, CHAIN, PREFIXES, RESIDUAL, CONTEST, CLASSIFIER = "hand", "chain", "prefixes", "residual", "contest", "classifier"
NEAR, TOLERANT, READ = "near", "tolerant", "read"
BASES = (HAND, CHAIN, PREFIXES, RESIDUAL, CONTEST, CLASSIFIER, NEAR, TOLERANT, READ)


def base(name: str, folder: Path) -> Opened:
    """A fresh copy of an honest bundle, taken apart; ``folder`` is where `compress` may work."""
    return _made(name, folder).copy()


@cache
def _made(name: str, folder: Path) -> Opened:
    if name in _BY_HAND:
        return _BY_HAND[name]()
    network, domain, options = _compressed(name)
    model = folder / f"{name}.onnx"
    model.write_bytes(graph_bytes(network))
    bundle = compress(model, domain, folder / name, replace(options, cuts="uniform", effort=60, jobs=1))
    return open_bundle(bundle.path)


def _compressed(name: str) -> tuple[Network, str, Options]:
    """Network, domain and options; the seeds are chosen for proofs with splits in several cells."""
    if name == CHAIN:
        return chain(np.random.default_rng(3), [2, 7, 6, 2]), "0,1;-0.5,1", Options(cells=4)
    if name == CLASSIFIER:
        return chain(np.random.default_rng(8), [2, 5, 3]), "-1:1", Options(cells=4, mode="decision", decision="argmin")
    if name == TOLERANT:
        return chain(np.random.default_rng(9), [2, 6, 2]), "-1:1", Options(cells=4, mode="epsilon", epsilon="10%")
    seed = {PREFIXES: 22, RESIDUAL: 41}[name]
    return mixed(np.random.default_rng(seed), blocks=3, width=4), "-1:1", Options(cells=4)


def hand_layers() -> Layers:
    """The network of the module docstring."""
    first = np.array([[1, 0.25], [1, 1], [1, -1], [0, 1], [1, 0]])
    second = np.array([[2, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]])
    third = np.array([[0.5, 1, 1, 3], [-2, 1, 0, 0]])
    return (
        Input(2),
        dense(0, first, np.array([-2, 0, 0, 3, -0.5])),
        Relu(1, 5),
        dense(2, second, np.array([0.75, -2.5, -1, 0.5])),
        Relu(3, 4),
        dense(4, third, np.array([-0.25, 1])),
    )


def hand() -> Opened:
    """The bundle of the module docstring."""
    source = onnx_bytes(Network(hand_layers()))
    network = read_network_bytes(source, "parent.onnx")
    one, half = 1.0, 0.5
    whole = box_record((-one, -one), (one, one))
    nodes = [
        {"axis": 0, "threshold": (0.0).hex(), "low": 1, "high": 2},
        {"cell": 0},
        {"axis": 1, "threshold": half.hex(), "low": 3, "high": 4},
        {"cell": 1},
        {"cell": 2},
    ]
    close_f = {"inactive": [[4, [1]]]}
    trees = [
        [{"inactive": [[2, [0, 4]], [4, [1]]]}],
        [
            {"active": [[2, [3]], [4, [2]]], "inactive": [[2, [0]]], "axis": 1, "threshold": (0.0).hex()},
            {"axis": 1, "threshold": (-half).hex()},
            *(close_f, close_f, close_f),
        ],
        [{"active": [[2, [3]]], "inactive": [[2, [0]], [4, [1]]]}],
    ]
    boxes = [
        box_record((-one, -one), (0.0, one)),
        box_record((0.0, -one), (one, half)),
        box_record((0.0, half), (one, one)),
    ]
    removed = [[[2, [0, 4]], [4, [1]]], [[2, [0]], [4, [1]]], [[2, [0]], [4, [1]]]]
    certificates = [
        {"format": "netslicer-certificate/2", "mode": "bitwise", "cell": cell, "box": boxes[cell], "parent": "",
         "member": "", "removed": removed[cell], "tree": trees[cell]}
        for cell in range(3)
    ]  # fmt: skip
    family = {"format": "netslicer-family/1", "mode": "bitwise", "parent": "", "domain": whole, "tree": nodes,
              "members": [], "cells": [0, 1, 1]}  # fmt: skip
    manifest = {"format": "netslicer-bundle/1", "mode": "bitwise", "source": "parent.onnx", "truncated": False,
                "options": {"cells": 3, "seed": 0}, "tools": {"netslicer": "by hand"}}  # fmt: skip
    parent = json.loads(network.content)
    result = Opened(("parent.onnx", source), parent, family, [], json.loads(json.dumps(certificates)), manifest)
    result.rebuild_members()
    return result


def worked() -> Opened:
    """The worked example of CERTIFICATE.md §6: one cell, one removed unit, two empty layers, a constant output."""
    layers = (
        Input(2),
        dense(0, np.array([[1, 0.25]]), np.array([-2])),
        Relu(1, 1),
        dense(2, np.array([[0.5]]), np.array([3])),
    )
    result, source = hand(), onnx_bytes(Network(layers))
    result.source = ("parent.onnx", source)
    result.parent = json.loads(read_network_bytes(source, "parent.onnx").content)
    result.family |= {"tree": [{"cell": 0}], "cells": [0]}
    close = [[2, [0]]]
    box = box_record((-1.0, -1.0), (1.0, 1.0))
    result.certificates = [result.certificates[0] | {"box": box, "removed": close, "tree": [{"inactive": close}]}]
    result.rebuild_members()
    return result


def contest(decision: str = "argmax") -> Opened:
    """The first bundle in mode ``decision``; for ``argmin`` y₁ wins."""
    result, winner = hand(), 0 if decision == "argmax" else 1
    result.manifest["mode"] = result.family["mode"] = "decision"
    result.family["decision"] = decision
    for certificate, classes in zip(result.certificates, ([0, 1], [winner], [winner]), strict=True):
        certificate |= {"mode": "decision", "classes": classes}
    margin = 2 * (1 - winner) + winner
    for cell, node in ((1, 1), (1, 4), (2, 0)):
        close(result.certificates[cell]["tree"][node], "inactive", 7, margin)
    result.rebuild_members()
    return result


def three() -> Opened:
    """The bundle of three outputs."""
    first, second = np.array([[1], [-1]]), np.array([[4, 0], [0, 4], [1, 1]])
    result = hand()
    source = onnx_bytes(Network((Input(1), dense(0, first), Relu(1, 2), dense(2, second, np.array([0, 0, -0.5])))))
    result.source = ("parent.onnx", source)
    result.parent = json.loads(read_network_bytes(source, "parent.onnx").content)
    result.manifest["mode"] = "decision"
    box = box_record((-1.0,), (1.0,))
    result.family |= {"mode": "decision", "decision": "argmax", "domain": box, "tree": [{"cell": 0}], "cells": [0]}
    tree = [{"axis": 0, "threshold": (0.0).hex()}, {"inactive": [[5, [7]]]}, {"inactive": [[5, [6]]]}]
    own = {"mode": "decision", "box": box, "classes": [0, 1], "removed": [], "tree": tree}
    result.certificates = [result.certificates[0] | own]
    result.rebuild_members()
    return result


def near() -> Opened:
    """The bundle of readouts: of inputs in cells 0 and 2, of hidden units in cells 3 and 4."""
    result, one, half, end = hand(), 1.0, 0.5, 1.5
    result.manifest["mode"] = result.family["mode"] = "epsilon"
    result.family["epsilon"] = [(0.5).hex(), (0.25).hex()]
    result.family["domain"] = box_record((-one, -one), (end, one))
    result.family["tree"] = [
        {"axis": 0, "threshold": one.hex(), "low": 1, "high": 6},
        {"axis": 0, "threshold": (0.0).hex(), "low": 2, "high": 3},
        {"cell": 0},
        {"axis": 1, "threshold": half.hex(), "low": 4, "high": 5},
        {"cell": 1},
        {"cell": 2},
        {"axis": 1, "threshold": half.hex(), "low": 7, "high": 8},
        {"cell": 3},
        {"cell": 4},
    ]
    result.family["cells"] = [0] * 5
    for cell, box in ((3, box_record((one, -one), (end, half))), (4, box_record((one, half), (end, one)))):
        result.certificates.append(result.certificates[0] | {"cell": cell, "box": box})
    inputs, hidden, two = [[0, [0, 1]]], [[0, [0, 1]], [4, [0, 1]]], [[2, [4]], [4, [2]]]
    readouts = {
        0: readout(inputs, [[0, 1], [0, 0]], [3.625, -0.5]),
        2: readout(inputs, [[1.5, 1], [0, 0]], [3.25, -0.5]),
        3: readout(hidden, [[3, 1, 0.5, 1], [0, 0, -2, 1]], [1.75, 1]),
        4: readout(two, [[4, 1], [1, 0]], [1, -1.125]),
    }
    trees = {
        0: [{"inactive": [[9, [0, 1, 2, 3]]]}],
        2: [_cut(0.5, [[9, [0, 1, 3]]]), *[{"inactive": [[9, [2]]]}] * 2],
        3: [{"inactive": [[2, [0]], [9, [0, 1, 2, 3]]]}],
        4: [_cut(1.25, [[9, [0, 1, 2]]]), *[{"inactive": [[9, [3]]]}] * 2],
    }
    for certificate in result.certificates:
        certificate["mode"] = "epsilon"
    for cell, ending in readouts.items():
        removed = [[2, [0]]] if cell == 3 else []
        result.certificates[cell] |= {"removed": removed, "tree": trees[cell], "readout": ending}
    result.certificates = json.loads(json.dumps(result.certificates))
    result.rebuild_members()
    return result


def read() -> Opened:
    """The bundle of readouts of a graph (`tests.certificates.read_network`)."""
    result, network = hand(), Network(read_layers())
    result.source = ("parent.onnx", graph_bytes(network))
    result.parent = json.loads(read_network_bytes(*reversed(result.source)).content)
    result.manifest["mode"] = "epsilon"
    nodes = [{"axis": 0, "threshold": (0.5).hex(), "low": 1, "high": 2}, {"cell": 0}, {"cell": 1}]
    result.family |= {"mode": "epsilon", "epsilon": [(1.5).hex(), (0.375).hex()], "tree": nodes, "cells": [0, 0]}
    result.family["domain"] = box_record((0.0, 0.0), (1.0, 1.0))
    reads = [[1, [1]], [3, [0]], [4, [0]], [6, [0]], [7, [1]], [8, [2]], [10, [0]]]
    all_kinds = readout(reads, [[1, 1, -1, 3, 4, -2, 4], [0, 0, 0, 0, 0, 0, -1]], [-20, 0])
    chord = readout([[4, [0]]], [[4 / 3], [-1 / 3]], [-5 / 3, 2 / 3])
    own = {"mode": "epsilon", "removed": [[2, [0]]], "tree": [{"inactive": [[2, [0]], [15, [0, 1, 2, 3]]]}]}
    boxes = box_record((0.0, 0.0), (0.5, 1.0)), box_record((0.5, 0.0), (1.0, 1.0))
    result.certificates = [
        result.certificates[cell] | own | {"box": box, "readout": ending}
        for cell, (box, ending) in enumerate(zip(boxes, (all_kinds, chord), strict=True))
    ]
    result.certificates = json.loads(json.dumps(result.certificates))
    result.rebuild_members()
    return result


def readout(reads: Json, weight: list[list[float]], bias: list[float]) -> Json:
    """A readout as certificates write it."""
    rows = [bits_text(np.float32(row)) for row in weight]
    return {"reads": reads, "weight": rows, "bias": bits_text(np.float32(bias))}


def _cut(threshold: float, inactive: Json) -> Json:
    """A split of x₀ that closes units."""
    return {"axis": 0, "threshold": threshold.hex(), "inactive": inactive}


_BY_HAND = {HAND: hand, CONTEST: contest, NEAR: near, READ: read}


def box_record(lower: tuple[float, ...], upper: tuple[float, ...]) -> Json:
    return {"lower": [x.hex() for x in lower], "upper": [x.hex() for x in upper]}
