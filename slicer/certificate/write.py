"""Writing a cell's certificate (CERTIFICATE.md §6). A writer proves nothing: checkers have parsers of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dispatcher.encode import canonical_json
from dispatcher.files.member import readout_record
from dispatcher.literal import hex_text
from dispatcher.plan import Mode, Readout
from slicer.box import Box
from slicer.search.tree import ProofTree, TreeNode

NOTHING = np.zeros(0, np.int64)
CERTIFICATE_FORMAT = "netslicer-certificate/2"


def certificate_bytes(
    cell: int,
    box: Box,
    digests: tuple[str, str],
    removed: NDArray[np.int64],
    tree: ProofTree,
    offsets: dict[int, int],
    *,
    attested: NDArray[np.int64] = NOTHING,
    mode: Mode = "bitwise",
    classes: Sequence[int] | None = None,
    readout: Readout | None = None,
) -> bytes:
    """Canonical bytes of a certificate.

    Parameters
    ----------
    digests:
        Of the parent and of the member.
    removed:
        Flat numbers of the removed ReLU units, ascending.
    attested:
        Those of them that rest on a solver's word.
    classes:
        In mode ``decision`` the outputs that may win; else None.
    readout:
        In mode ``epsilon`` that of the member, if it ends in one.
    tree:
        The trimmed proof tree, in preorder.
    offsets:
        First flat number of each ReLU layer, by position.
    """
    record: dict[str, object] = {
        "format": CERTIFICATE_FORMAT,
        "mode": mode,
        "cell": cell,
        "box": {"lower": [hex_text(x) for x in box.lower], "upper": [hex_text(x) for x in box.upper]},
        "parent": digests[0],
        "member": digests[1],
        "removed": unit_lists(removed, offsets),
        "tree": [_node(node, offsets) for node in tree.nodes],
    }
    if len(attested):
        record["attested"] = unit_lists(attested, offsets)
    if classes is not None:
        record["classes"] = list(classes)
    if readout is not None:
        record["readout"] = readout_record(readout)
    return canonical_json(record)


def unit_lists(units: Iterable[int] | NDArray[np.int64], offsets: dict[int, int]) -> list[tuple[int, list[int]]]:
    """Flat unit numbers as rows (ReLU layer, [unit, …]) by increasing layer and unit."""
    starts = sorted((start, layer) for layer, start in offsets.items())
    rows: dict[int, list[int]] = {}
    for flat in sorted(int(unit) for unit in units):
        start, layer = max(pair for pair in starts if pair[0] <= flat)
        rows.setdefault(layer, []).append(flat - start)
    return [(layer, rows[layer]) for layer in sorted(rows)]


def _node(node: TreeNode, offsets: dict[int, int]) -> dict[str, object]:
    """One proof node."""
    record: dict[str, object] = {}
    if len(node.inactive):
        record["inactive"] = unit_lists(node.inactive, offsets)
    if len(node.active):
        record["active"] = unit_lists(node.active, offsets)
    if node.children:
        record |= {"axis": node.axis, "threshold": hex_text(node.threshold)}
    return record
