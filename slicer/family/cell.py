"""One cell from search to a checked removal: the unit of work that the pipeline hands to its workers.

The gate stands here. Search proposes removals with a proof; the rigorous checker decides. A certificate that it does
not accept is never returned: the cell then keeps its units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dispatcher.encode import digest
from dispatcher.files import member_bytes, read_network
from slicer.bounds.linear import Prepared
from slicer.bounds.reference import MARGIN
from slicer.box import Box
from slicer.certificate.rigorous import Checker
from slicer.certificate.verdict import Accepted, Rejected, Verdict
from slicer.certificate.write import certificate_bytes, unit_lists
from slicer.network import Network
from slicer.reduce.member import build_member
from slicer.search.cell import CellSearch, search_cell
from slicer.search.tree import ProofTree, TreeNode
from slicer.search.verdict import TIME, Open, Proved, Refuted

# How often a cell's proof is offered to the checker, each time without the closings it refused with all facts.
ATTEMPTS = 3
_LEAF = ProofTree([TreeNode(np.zeros(0, np.int64), np.zeros(0, np.int64))])


@dataclass(frozen=True, slots=True)
class CellCounts:
    """What search did in a cell; ``search.json`` holds one per cell. No part of any proof.

    Attributes
    ----------
    candidates:
        Units whose phase never changed over the falsifier's points: the sum of the next four.
    removed:
        ReLU units removed by the accepted certificate.
    boxes:
        Work units spent.
    nodes:
        Nodes of the certificate's tree.
    truncated:
        Whether the time limit stopped the search.
    gate:
        ``accepted``, or what the checker refused although all facts were given (those closings were given up).
    """

    cell: int
    candidates: int
    proved_inactive: int
    proved_active: int
    refuted: int
    open: int
    removed: int
    boxes: int
    nodes: int
    truncated: bool
    gate: str


@dataclass(frozen=True, slots=True)
class CellResult:
    """Files of one cell, as plain bytes that cross process boundaries."""

    certificate: bytes
    member: bytes
    counts: CellCounts


class CellWorker:
    """A network prepared for working on its cells."""

    def __init__(self, parent: bytes) -> None:
        self.network = Network(read_network(parent))
        self.parent_digest = digest(parent)
        self.prepared = Prepared(self.network)
        self.checker = Checker(parent)

    def run(self, cell: int, box: Box, effort: int, seed: int, stopped: Callable[[], bool]) -> CellResult:
        """Search the cell, and return what the checker accepts."""
        if stopped():
            return self._accepted(cell, box, None)
        return self._accepted(
            cell, box, search_cell(self.prepared, box, effort, np.random.default_rng([seed, cell]), stopped)
        )

    def _accepted(self, cell: int, box: Box, search: CellSearch | None) -> CellResult:
        """The leanest proof that the checker accepts; at last the one without any removal."""
        given_up, whole = "accepted", search.tree if search else _LEAF
        for _ in range(ATTEMPTS if search else 0):
            removed = np.flatnonzero(whole.closed_everywhere(self.prepared.relu_units))
            whole = whole.trim(removed)
            result, refusal = self._offer(cell, box, removed, whole)
            if isinstance(refusal, Accepted):
                return CellResult(*result[:2], _counts(cell, search, removed, result[2], given_up))
            given_up, whole = str(refusal), whole.without(self._flat(refusal))
        nothing = np.zeros(0, np.int64)
        certificate, member, verdict = self._checked(cell, box, nothing, _LEAF)
        assert isinstance(verdict, Accepted), verdict  # a certificate without claims is always acceptable
        return CellResult(certificate, member, _counts(cell, search, nothing, _LEAF, given_up))

    def _offer(
        self, cell: int, box: Box, removed: NDArray[np.int64], whole: ProofTree
    ) -> tuple[tuple[bytes, bytes, ProofTree], Verdict]:
        """Offer a proof with no facts, with those for refused closings, with all; the last offer and its verdict."""
        tree = whole.lean(removed)
        certificate, member, verdict = self._checked(cell, box, removed, tree)
        if isinstance(verdict, Rejected):
            tree = whole.lean(removed, self._flat(verdict))
            certificate, member, verdict = self._checked(cell, box, removed, tree)
        if isinstance(verdict, Rejected):
            tree = whole
            certificate, member, verdict = self._checked(cell, box, removed, tree)
        return (certificate, member, tree), verdict

    def _flat(self, refusal: Rejected) -> list[tuple[int, int]]:
        """The refused closings as (node, flat unit)."""
        return [(node, self.prepared.offsets[layer] + unit) for node, layer, unit in refusal.unproved]

    def _checked(
        self, cell: int, box: Box, removed: NDArray[np.int64], tree: ProofTree
    ) -> tuple[bytes, bytes, Verdict]:
        """Certificate and member for a set of removals, with the checker's verdict."""
        offsets = self.prepared.offsets
        by_layer = {layer: set(units) for layer, units in unit_lists(removed, offsets)}
        member = member_bytes(build_member(self.network, by_layer), self.parent_digest)
        certificate = certificate_bytes(cell, box, (self.parent_digest, digest(member)), removed, tree, offsets)
        verdict = self.checker.check_cell(cell, box.lower, box.upper, certificate, member, margin=MARGIN)
        return certificate, member, verdict


def _counts(cell: int, search: CellSearch | None, removed: NDArray[np.int64], tree: ProofTree, gate: str) -> CellCounts:
    """Counts of a finished cell."""
    verdicts = list(search.verdicts.values()) if search else []
    proved = [verdict.phase for verdict in verdicts if isinstance(verdict, Proved)]
    return CellCounts(
        cell=cell,
        candidates=len(verdicts),
        proved_inactive=proved.count(-1),
        proved_active=proved.count(1),
        refuted=sum(isinstance(verdict, Refuted) for verdict in verdicts),
        open=sum(isinstance(verdict, Open) for verdict in verdicts),
        removed=len(removed),
        boxes=search.boxes if search else 0,
        nodes=len(tree.nodes),
        truncated=search is None or Open(TIME) in verdicts,
        gate=gate,
    )


@lru_cache(maxsize=1)
def cell_worker(parent: bytes) -> CellWorker:
    """The worker of this process for a parent; preparing it takes longer than a small cell."""
    return CellWorker(parent)
