"""Whether a bundle is true, decided without either checker: the judge of whatever both of them accept.

Every closing is proved again by the reference method in exact rational numbers (`Reference`, unit by unit); members are
rebuilt by the producer's rules and run against the parent at corners, borders and random points of their cells; the
deployed reader must load the bundle and return the parent's bits all over the domain; the model must be the parent.
In mode ``decision`` margins are bounded like all other units, and it is decisions that must not differ; in mode
``epsilon`` the errors of readouts are, and it is outputs that must not differ by more than their bounds.
What is missing is said in words; nothing missing means true.
"""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

import dispatcher
from dispatcher.files import read_network
from dispatcher.layers import Concat, Dense, Elementwise, Gather, Layers, Relu, dense, freeze
from dispatcher.literal import bits_value
from slicer.network import Network
from slicer.readers import read_network_bytes
from tests.certificate.exact_reference import IntervalRule, Reference
from tests.certificate.rigorous_kit import evaluate, evaluate_member
from tests.certificates.opened import Json, Opened, canonical, member_of, open_bundle, sha
from tests.certificates.trees import Corners, boxes, closings, corners, covers, halves, leaves, parents

F32 = np.float32
POINTS = 60
Claim = tuple[str | None, tuple[Fraction, ...]]  # argmax, argmin or None; the outputs' bounds, if any
Further = str | tuple[str, tuple[Fraction, ...]] | None  # a decision; a readout as JSON and the bounds; none


def doubts(bundle: Path) -> list[str]:
    """Everything that keeps a bundle on disk from being shown true, in words."""
    opened = open_bundle(bundle)
    network, found, mode = opened.network, list[str](), opened.manifest["mode"]
    scores = mode == "decision"
    if read_network_bytes(opened.source[1], opened.source[0], scores=scores).content != canonical(opened.parent):
        found.append("the source model reads as another network")
    modes, decision = {mode, opened.family["mode"], *(c["mode"] for c in opened.certificates)}, _decision(opened)
    if modes != {_mode(opened)} or decision not in (None, "argmax", "argmin"):
        found.append("another claim")
    if mode == "epsilon" and not (len(_epsilon(opened)) == network.n_out and min(_epsilon(opened)) >= 0):
        found.append("not one bound, no less than zero, for each output")
    if mode != "epsilon" and any("readout" in c for c in opened.certificates):
        found.append("readouts, but not in mode epsilon")
    if {"classes" in c for c in opened.certificates} != {decision is not None}:
        found.append("classes in mode bitwise, or none in mode decision")
    if decision and not (isinstance(network.layers[-1], Dense) and network.n_out > 1):
        found.append("nothing to decide, or a member that is not defined")
    cells = list(_cells(opened.family["tree"], 0, corners(opened.family["domain"])))
    if [cell for cell, _ in cells] != list(range(len(opened.certificates))):
        found.append("cells and certificates differ in number or order")
        return found
    for cell, box in cells:
        found += [f"cell {cell}: {doubt}" for doubt in _cell_doubts(opened, network, cell, box)]
    return found + _doubts_of_deployment(bundle, network, cells)


def _decision(opened: Opened) -> str | None:
    """What the family says that members decide; None if it says nothing."""
    decision: str | None = opened.family.get("decision")
    return decision


def _epsilon(opened: Opened) -> tuple[Fraction, ...]:
    """The bounds that the family names; none but in mode ``epsilon``."""
    return tuple(Fraction(float.fromhex(text)) for text in opened.family.get("epsilon", ()))


def _mode(opened: Opened) -> str:
    """The mode that the family's other keys are of."""
    return "decision" if "decision" in opened.family else "epsilon" if "epsilon" in opened.family else "bitwise"


def _cells(tree: Json, node: int, box: Corners) -> list[tuple[int, Corners]]:
    """Cells with their closed boxes, as routing reaches them from a node."""
    record = tree[node]
    if "cell" in record:
        return [(record["cell"], box)]
    low, high = halves(box, record["axis"], float.fromhex(record["threshold"]))
    return _cells(tree, record["low"], low) + _cells(tree, record["high"], high)


def _cell_doubts(opened: Opened, network: Network, cell: int, box: Corners) -> list[str]:
    """What is wrong or unproved about one cell."""
    certificate, decision = opened.certificates[cell], _decision(opened)
    found = []
    if certificate["cell"] != cell or not all(map(np.array_equal, corners(certificate["box"]), box)):
        found.append("the certificate is about another cell")
    member = opened.members[opened.family["cells"][cell]]
    names = [certificate["format"], certificate["parent"], certificate["member"]]
    if names != ["netslicer-certificate/2", network.digest, sha(canonical(member))]:
        found.append("the certificate is about another network or member")
    epsilon = _epsilon(opened) if "readout" in certificate else ()
    if json.loads(member_of(network, certificate, decision)) | {"parent": member["parent"]} != member:
        found.append("another member follows from the certificate")
    if not _equal_outputs(network.content, canonical(member), box, (decision, epsilon)):
        found.append("member and parent differ at a point")
    if "readout" in certificate and _largest_sum(network, certificate["readout"], epsilon, box) > 2**126:
        found.append("the readout may overflow")
    return found + _proof_doubts(opened, certificate, box)


def _proof_doubts(opened: Opened, certificate: Json, box: Corners) -> list[str]:
    """Closings that the exact reference method does not prove, and removed units left open that no solver attests."""
    tree, found = certificate["tree"], []
    if not covers(tree, box):
        return ["the proof tree does not cover the cell"]
    own: list[list[tuple[int, int, str]]] = [[] for _ in tree]
    for node, phase, layer, unit in closings(tree):
        own[node].append((layer, unit, phase))
    facts, further = [()], _further(opened, certificate)
    for parent in parents(tree).values():
        facts.append((*facts[parent], *own[parent]))
    for node, (lower, upper) in enumerate(boxes(tree, box)):
        claims = facts[node], tuple(own[node])
        unproved = _unproved(canonical(opened.parent), further, tuple(lower), tuple(upper), *claims)
        found += [f"tree[{node}]: {doubt}" for doubt in unproved]
    removed, attested = (
        {(layer, unit, "inactive") for layer, units in certificate.get(key, []) for unit in units}
        for key in ("removed", "attested")
    )
    for leaf in leaves(tree):
        closed = {*own[leaf], *facts[leaf]}
        found += [f"tree[{leaf}]: a removed unit is open" for _ in removed - attested - closed]
        found += [f"tree[{leaf}]: output {k} may win" for k in _unbeaten(opened, certificate, closed)]
        found += [f"tree[{leaf}]: error {k} is open" for k in _open_errors(opened, certificate, closed)]
    return found


def _open_errors(opened: Opened, certificate: Json, closed: set[tuple[int, int, str]]) -> list[int]:
    """Errors of a readout that nothing closes."""
    errors, layer = range(2 * opened.network.n_out if "readout" in certificate else 0), len(opened.parent["layers"]) + 3
    return [k for k in errors if (layer, k, "inactive") not in closed]


def _further(opened: Opened, certificate: Json) -> Further:
    """What the layers are made of that proofs of this cell add to the parent's."""
    if "readout" in certificate:
        return json.dumps(certificate["readout"]), _epsilon(opened)
    return _decision(opened)


def _largest_sum(network: Network, readout: Json, epsilon: tuple[Fraction, ...], box: Corners) -> Fraction:
    """The largest sum of magnitudes in the dense layer of a readout's errors (§4)."""
    layers = _with_errors(network.layers, json.dumps(readout), epsilon)
    bounds, dense_layer = IntervalRule(layers[:-2], *box, {}), len(layers) - 3
    parts = (bounds.terms(dense_layer, unit) for unit in range(2 * network.n_out))
    return max(sum((abs(w) * bounds.size(key) for key, w in terms.items()), abs(b)) for terms, b in parts)


def _unbeaten(opened: Opened, certificate: Json, closed: set[tuple[int, int, str]]) -> list[int]:
    """Outputs that are no classes and of which no closing says that they lose to one."""
    if _decision(opened) is None:
        return []
    n, lost, classes = opened.network.n_out, len(opened.parent["layers"]) + 1, certificate["classes"]
    others = set(range(n)).difference(classes)
    return sorted(k for k in others if not any((lost, k * n + i, "inactive") in closed for i in classes))


@lru_cache(maxsize=4096)
def _unproved(parent: bytes, further: Further, lower: tuple, upper: tuple, facts: tuple, claims: tuple) -> list[str]:
    """The claims on a box that exact arithmetic does not prove."""
    if not claims:
        return []
    layers = _layers(parent)
    if max(layer for layer, _, _ in claims) > len(layers):
        layers = _with_errors(layers, *further) if isinstance(further, tuple) else _with_margins(layers, further)
    own, last = len(_layers(parent)), len(layers) - 1  # what is named after the parent's own layers is the last one
    places = {layer: layer if layer < own else last for layer, _, _ in (*facts, *claims)}
    reference = Reference(layers, lower, upper, {(places[layer], unit): phase for layer, unit, phase in facts})
    found = []
    for position, unit, phase in claims:
        relu = layers[places[position]]
        assert isinstance(relu, Relu)
        low, high = reference.bounds[relu.source][unit]
        if not (high <= 0 if phase == "inactive" else low >= 0):
            found.append(f"unit {unit} of layer {position} is not proved {phase}")
    return found


@lru_cache(maxsize=64)
def _layers(parent: bytes) -> Layers:
    return read_network(parent)


def _with_margins(layers: Layers, decision: str | None) -> Layers:
    """The network and the differences of its outputs in pairs (§5): unit k·n + i is output k less output i."""
    n, sign = layers[-1].width, {"argmax": 1, "argmin": -1}[str(decision)]
    weight = np.zeros((n * n, n))
    for k, i in itertools.permutations(range(n), 2):
        weight[k * n + i, k], weight[k * n + i, i] = sign, -sign
    return (*layers, dense(len(layers) - 1, weight), Relu(len(layers), n * n))


def _with_errors(layers: Layers, readout: str, epsilon: tuple[Fraction, ...]) -> Layers:
    """The network and, less their bounds, the outputs' differences from a readout, above and below (§5).

    A layer for each row of ``reads`` comes before the four that the document names.
    """
    record, last, n = json.loads(readout), len(layers) - 1, layers[-1].width
    weight, bias = np.array([bits_value(row) for row in record["weight"]]), bits_value(record["bias"])
    own, bound = np.column_stack([np.eye(n), -weight]), np.array([*epsilon, *epsilon], float)
    read = [Gather(layer, freeze(np.array(units), np.int64)) for layer, units in record["reads"]]
    first = last + len(read) + 1
    return (
        *layers,
        *read,
        Concat((last, *range(last + 1, first)), own.shape[1], ""),
        dense(first, np.concatenate([own, -own]), np.concatenate([-bias, bias])),
        Elementwise(first + 1, "add", freeze(-bound, F32), ""),
        Relu(first + 2, 2 * n),
    )


@lru_cache(maxsize=1024)
def _outputs(parent: bytes, points: bytes) -> np.ndarray:
    """The parent's declared evaluation at points given by their bytes."""
    layers = _layers(parent)
    return evaluate(layers, np.frombuffer(points, F32).reshape(-1, layers[0].width))[-1]


def _equal_outputs(parent: bytes, member: bytes, box: Corners, claim: Claim) -> bool:
    """Whether a member returns at points of a box what it has to."""
    points = sample(box, POINTS)
    outputs = evaluate_member(_layers(parent), json.loads(member), points)
    return _same(outputs, _outputs(parent, points.tobytes()), claim)


def _same(outputs: np.ndarray, expected: np.ndarray, claim: Claim) -> bool:
    """Whether outputs ``[m, n]`` are those expected, or within bounds of them, or decide alike."""
    decision, epsilon = claim
    if not np.isfinite(outputs).all():
        return False
    if epsilon:
        pairs = zip(outputs.astype(float), expected.astype(float), strict=True)
        rows = (zip(epsilon, ours.tolist(), theirs.tolist(), strict=True) for ours, theirs in pairs)
        return all(abs(Fraction(y) - Fraction(v)) <= bound for row in rows for bound, y, v in row)
    if decision is None:
        return bool((outputs == expected).all())
    sign = F32(1 if decision == "argmax" else -1)
    first, wanted = ((sign * y == (sign * y).max(axis=1, keepdims=True)).argmax(axis=1) for y in (outputs, expected))
    return bool((first == wanted).all())


def sample(box: Corners, count: int) -> np.ndarray:
    """Corners (at most 64), their inner neighbours by one ulp, and random points, ``[m, n]`` float32."""
    lower, upper = (corner.astype(F32) for corner in box)
    rng = np.random.default_rng(0)
    choice = np.array(list(itertools.islice(itertools.product((False, True), repeat=len(lower)), 64)))
    inner = np.where(choice, np.nextafter(upper, lower), np.nextafter(lower, upper))
    spread = (lower + rng.random((count, len(lower))) * (upper.astype(float) - lower)).astype(F32)
    return np.clip(np.concatenate([np.where(choice, upper, lower), inner, spread]), lower, upper)


def _doubts_of_deployment(bundle: Path, network: Network, cells: list[tuple[int, Corners]]) -> list[str]:
    """Whether what a user loads is the parent at points of all cells and on their borders."""
    points = np.concatenate([sample(box, POINTS // 2) for _, box in cells])
    served, expected = dispatcher.load(bundle), _outputs(network.content, points.tobytes())
    decision, epsilon = served.family.decision, served.family.epsilon
    bounds = tuple(Fraction(float(bound)) for bound in (() if epsilon is None else epsilon))
    same = _same(served.predict(points), expected, (decision, bounds))
    if decision is not None:
        best = np.argmax if decision == "argmax" else np.argmin
        same &= bool((served.decide(points) == best(expected, axis=1)).all())
    return [] if same else ["the family differs from the parent"]
