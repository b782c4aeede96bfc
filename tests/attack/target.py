"""`Target`: an open bundle as the hunt sees it. Nothing in it is believed but the source model and the routing tree.

The parent is the source model, read again, not ``family/parent.json``; the box of a cell follows from the routing tree,
not from the certificate; which units are claimed inactive is what the certificate says. In mode ``decision`` margins
(CERTIFICATE.md §5) are units as well: those of outputs that a certificate calls no classes are aimed at. In mode
``epsilon`` proofs speak of errors of the readout that the certificate names; what is judged is the member.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dispatcher.errors import UnusableBundle
from dispatcher.layers import Concat, Layers, Relu
from dispatcher.load import Bundle, certificate_file, load_bundle
from dispatcher.plan import Family
from dispatcher.tree import Leaf, Split, Tree
from slicer.bounds.linear import Prepared
from slicer.network import Network
from slicer.readers import read_network_bytes
from slicer.search.contest import with_margins
from slicer.search.readout import with_errors
from tests.attack.proof import Boxes, Closings, Cuts, make_cuts, read_proof, read_readout, replaced


@dataclass(frozen=True, eq=False)
class Target:
    """A bundle under attack.

    Attributes
    ----------
    bundle:
        The bundle, its digests verified; its proofs are not.
    network:
        The source model, read again.
    prepared:
        The same, with the margins of mode ``decision``.
    cells:
        The float32 points that are routed to each cell.
    routing:
        The thresholds of the routing tree.
    removed:
        Which ReLU units each certificate claims to be inactive, ``[n_cells, n_relu]``, in the flat numbering.
    lost:
        The margins one of which is inactive at each input, for every output that is no class; in the same form.
    """

    bundle: Bundle
    network: Network
    prepared: Prepared
    cells: Boxes
    routing: Cuts
    removed: np.ndarray
    lost: np.ndarray

    @property
    def tapped(self) -> Layers:
        """The parent with the pre-activations of all units, margins too, before its outputs."""
        return tapped(self.prepared.network.layers, len(self.network.layers) - 1)

    @property
    def domain(self) -> Boxes:
        """The domain: one box."""
        return Boxes(self.bundle.family.lower[None], self.bundle.family.upper[None])

    def cuts(self, cell: int) -> Cuts:
        """The thresholds of a cell's proof tree, with the parts of the certificate's box that they cut."""
        return read_proof(_certificate(self.bundle, cell), self.extended(cell).offsets)[0]

    def closings(self, cell: int) -> Closings:
        """What a cell's proof tree claims, with the parts of the certificate's box for which it does."""
        return read_proof(_certificate(self.bundle, cell), self.extended(cell).offsets)[1]

    def extended(self, cell: int) -> Prepared:
        """The network that a cell's proof is about: with margins, or the errors of the certificate's readout."""
        certificate = _certificate(self.bundle, cell)
        return (
            Prepared(extended(self.network, self.bundle.family, certificate))
            if "readout" in certificate
            else self.prepared
        )


def open_target(path: Path) -> Target:
    """Open a bundle for an attack.

    Raises
    ------
    UnusableBundle
        If it is none, or its source model has other layers than its family.
    """
    bundle = load_bundle(path)
    source, family = bundle.manifest.source, bundle.family
    network = read_network_bytes(bundle.read(source), source, scores=family.decision is not None)
    if _shape(network.layers) != _shape(family.parent):
        raise UnusableBundle("expected a model with the family's layers", where=source)
    prepared = Prepared(extended(network, family, {}))
    cells, routing = tree_boxes(family.tree, family.lower, family.upper)
    removed, lost = np.zeros((2, len(cells), prepared.relu_units), bool)
    for cell in range(len(cells)):
        for layer, units in _certificate(bundle, cell)["removed"]:
            removed[cell, np.array(units) + prepared.offsets[layer]] = True
        if family.decision is not None:
            lost[cell, network.relu_units :] = _lost(_certificate(bundle, cell)["classes"], network.n_out)
    return Target(bundle, network, prepared, cells, routing, removed, lost)


def extended(network: Network, family: Family, certificate: Mapping[str, Any]) -> Network:
    """The network with the layers that a certificate's proof may speak of (CERTIFICATE.md §5)."""
    if family.decision is not None:
        return with_margins(network, family.decision)
    readout = read_readout(certificate)
    return network if readout is None else with_errors(network, readout, family.epsilon)


def _lost(classes: list[int], outputs: int) -> np.ndarray:
    """The margins ``[outputs²]`` of outputs that are no classes against those that are."""
    wins = np.isin(np.arange(outputs), classes)
    return np.outer(~wins, wins).reshape(-1)


def tree_boxes(tree: Tree, lower: np.ndarray, upper: np.ndarray) -> tuple[Boxes, Cuts]:
    """The points of each cell, and the thresholds with the points that meet them.

    ``x[axis] <= threshold`` goes low, so the high child begins at the next float32 number.
    """
    pending, cells, cuts = {0: (lower, upper)}, [], []
    for position, node in enumerate(tree):
        low, high = pending.pop(position)
        if isinstance(node, Leaf):
            cells.append((low, high))
            continue
        threshold = np.float32(node.threshold)
        cuts.append((node.axis, threshold, low, high))
        pending[node.low] = low, replaced(high, node.axis, threshold)
        pending[node.high] = replaced(low, node.axis, np.nextafter(threshold, np.float32(np.inf))), high
    assert sum(isinstance(node, Split) for node in tree) == len(cuts) == len(cells) - 1
    return Boxes(np.array([box[0] for box in cells]), np.array([box[1] for box in cells])), make_cuts(cuts, len(lower))


def tapped(layers: Layers, outputs: int | None = None) -> Layers:
    """The network with all ReLU units' pre-activations (flat numbering) before its outputs, a layer's position.

    Without ``outputs`` the pre-activations are all there is.
    """
    sources = [layer.sources[0] for layer in layers if isinstance(layer, Relu)]
    taps = tuple(sources) if outputs is None else (*sources, outputs)
    return (*layers, Concat(taps, sum(layers[source].width for source in taps), "taps"))


def _shape(layers: Layers) -> list[tuple[type, int, tuple[int, ...]]]:
    """Kinds, widths and sources of all layers."""
    return [(type(layer), layer.width, layer.sources) for layer in layers]


def _certificate(bundle: Bundle, cell: int) -> dict:
    return json.loads(bundle.read(certificate_file(cell)))
