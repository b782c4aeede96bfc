"""`Target`: an open bundle as the hunt sees it. Nothing in it is believed but the source model and the routing tree.

The parent is the source model, read again, not ``family/parent.json``; the box of a cell follows from the routing tree,
not from the certificate; which units are claimed inactive is what the certificate says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dispatcher.errors import UnusableBundle
from dispatcher.layers import Concat, Layers, Relu
from dispatcher.load import Bundle, certificate_file, load_bundle
from dispatcher.tree import Leaf, Split, Tree
from slicer.bounds.linear import Prepared
from slicer.network import Network
from slicer.readers import read_network_bytes
from tests.attack.proof import Boxes, Closings, Cuts, make_cuts, read_proof, replaced


@dataclass(frozen=True, eq=False)
class Target:
    """A bundle under attack.

    Attributes
    ----------
    bundle:
        The bundle, its digests verified; its proofs are not.
    prepared:
        The source model, read again.
    cells:
        The float32 points that are routed to each cell.
    routing:
        The thresholds of the routing tree.
    removed:
        Which ReLU units each certificate claims to be inactive, ``[n_cells, n_relu]``, in the flat numbering.
    """

    bundle: Bundle
    prepared: Prepared
    cells: Boxes
    routing: Cuts
    removed: np.ndarray

    @property
    def network(self) -> Network:
        """The parent."""
        return self.prepared.network

    @property
    def domain(self) -> Boxes:
        """The domain: one box."""
        return Boxes(self.bundle.family.lower[None], self.bundle.family.upper[None])

    def cuts(self, cell: int) -> Cuts:
        """The thresholds of a cell's proof tree, with the parts of the certificate's box that they cut."""
        return read_proof(_certificate(self.bundle, cell), self.prepared.offsets)[0]

    def closings(self, cell: int) -> Closings:
        """What a cell's proof tree claims, with the parts of the certificate's box for which it does."""
        return read_proof(_certificate(self.bundle, cell), self.prepared.offsets)[1]


def open_target(path: Path) -> Target:
    """Open a bundle for an attack.

    Raises
    ------
    UnusableBundle
        If it is none, or its source model has other layers than its family.
    """
    bundle = load_bundle(path)
    network = read_network_bytes(bundle.read(bundle.manifest.source), bundle.manifest.source)
    family, prepared = bundle.family, Prepared(network)
    if _shape(network.layers) != _shape(family.parent):
        raise UnusableBundle("expected a model with the family's layers", where=bundle.manifest.source)
    cells, routing = tree_boxes(family.tree, family.lower, family.upper)
    removed = np.zeros((len(cells), prepared.relu_units), bool)
    for cell in range(len(cells)):
        for layer, units in _certificate(bundle, cell)["removed"]:
            removed[cell, np.array(units) + prepared.offsets[layer]] = True
    return Target(bundle, prepared, cells, routing, removed)


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


def tapped(layers: Layers) -> Layers:
    """The network with all ReLU units' pre-activations (flat numbering) before its outputs."""
    sources = [layer.sources[0] for layer in layers if isinstance(layer, Relu)]
    taps = (*sources, len(layers) - 1)
    return (*layers, Concat(taps, sum(layers[source].width for source in taps), "taps"))


def _shape(layers: Layers) -> list[tuple[type, int, tuple[int, ...]]]:
    """Kinds, widths and sources of all layers."""
    return [(type(layer), layer.width, layer.sources) for layer in layers]


def _certificate(bundle: Bundle, cell: int) -> dict:
    return json.loads(bundle.read(certificate_file(cell)))
