"""Cells that keep all their units: what is left for cells whose search was not finished.

Their certificates claim nothing, so they need no search and no worker; the rigorous checker accepts them as any other.
"""

from __future__ import annotations

import numpy as np

from dispatcher.encode import digest
from dispatcher.files import member_bytes, read_network
from slicer.box import Box
from slicer.certificate.rigorous import Checker
from slicer.certificate.verdict import Accepted
from slicer.certificate.write import certificate_bytes
from slicer.family.claim import BITWISE, Claim
from slicer.family.counts import CellCounts, CellResult
from slicer.network import Network
from slicer.reduce.member import build_member
from slicer.search.tree import ProofTree, TreeNode

GIVEN_UP = "given up: "  # how `CellCounts.gate` begins if the search of a cell failed and not by a checker's refusal


class Keeper:
    """Makes the results of cells that keep all units of one parent."""

    def __init__(self, parent: bytes, claim: Claim = BITWISE) -> None:
        self._checker, self._mode = Checker(parent, claim.decision, claim.epsilon), claim.mode
        self._parent = digest(parent)
        network = Network(read_network(parent))
        self._member = member_bytes(build_member(network, {}), self._parent)
        self._classes = None if claim.decision is None else range(network.n_out)

    def result(self, cell: int, box: Box, why: str = "") -> CellResult:
        """The cell's certificate, member and counts; ``why`` its search failed, nothing if it was out of time."""
        nothing = np.zeros(0, np.int64)
        tree = ProofTree([TreeNode(nothing, nothing)])
        names = self._parent, digest(self._member)
        certificate = certificate_bytes(cell, box, names, nothing, tree, {}, mode=self._mode, classes=self._classes)
        verdict = self._checker.check_cell(cell, box.lower, box.upper, certificate, self._member)
        assert isinstance(verdict, Accepted), verdict  # a certificate without claims is always acceptable
        return CellResult(certificate, self._member, _counts(cell, why))


def _counts(cell: int, why: str) -> CellCounts:
    """Counts of a cell in which nothing was found."""
    return CellCounts(
        cell=cell,
        candidates=0,
        proved_inactive=0,
        proved_active=0,
        refuted=0,
        open=0,
        removed=0,
        boxes=0,
        nodes=1,
        truncated=not why,
        gate=f"{GIVEN_UP}{why}" if why else "accepted",
    )
