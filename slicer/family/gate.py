"""The gate: what search proposes about a cell, written down and put to the rigorous checker, which decides."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dispatcher.encode import digest
from dispatcher.files import member_bytes, read_network
from dispatcher.plan import Readout
from slicer.bounds.reference import MARGIN
from slicer.box import Box
from slicer.certificate.rigorous import Checker
from slicer.certificate.verdict import Rejected, Verdict
from slicer.certificate.write import NOTHING, certificate_bytes, unit_lists
from slicer.family.claim import Claim
from slicer.network import Network
from slicer.reduce.classes import fixed_outputs
from slicer.reduce.member import build_member
from slicer.search.tree import ProofTree

Units = NDArray[np.int64]
Offsets = dict[int, int]


@dataclass(frozen=True, eq=False, slots=True)
class Gone:
    """What a certificate claims, in flat numbers of units.

    Attributes
    ----------
    proved, attested:
        Units to remove: those that a tree proves inactive, and those on a solver's word.
    lost:
        In mode ``decision`` the margins by which the tree proves that outputs do not win (`slicer.search.contest`).
    classes:
        In mode ``decision`` the outputs that may win; else None.
    readout:
        In mode ``epsilon`` that in which the member ends, if it does; ``lost`` are its errors then.
    """

    proved: Units
    attested: Units
    lost: Units = field(default_factory=lambda: NOTHING)
    classes: list[int] | None = None
    readout: Readout | None = None

    @property
    def closed(self) -> Units:
        """All that the tree has to prove inactive, ascending."""
        return np.concatenate([self.proved, self.lost])


class Gate:
    """Certificates and members of one parent, and what the checker says to them."""

    def __init__(self, parent: bytes, claim: Claim) -> None:
        self.network, self.claim = Network(read_network(parent)), claim
        self._parent = digest(parent)
        self.checker = Checker(parent, claim.decision, claim.epsilon)

    def offer(
        self, cell: int, box: Box, gone: Gone, whole: ProofTree, offsets: Offsets
    ) -> tuple[tuple[bytes, bytes, ProofTree], Verdict]:
        """Offer a proof with no facts, with those for refused closings, with all; the last offer and its verdict.

        ``offsets`` are where the ReLU layers of the proof begin in the flat numbering.
        """
        tree = whole.lean(gone.closed)
        certificate, member, verdict = self.checked(cell, box, gone, tree, offsets)
        if isinstance(verdict, Rejected):
            tree = whole.lean(gone.closed, flat(verdict, offsets))
            certificate, member, verdict = self.checked(cell, box, gone, tree, offsets)
        if isinstance(verdict, Rejected):
            tree = whole
            certificate, member, verdict = self.checked(cell, box, gone, tree, offsets)
        return (certificate, member, tree), verdict

    def checked(
        self, cell: int, box: Box, gone: Gone, tree: ProofTree, offsets: Offsets
    ) -> tuple[bytes, bytes, Verdict]:
        """Certificate and member for what is claimed, with the checker's verdict."""
        removed = np.union1d(gone.proved, gone.attested)
        by_layer = {layer: set(units) for layer, units in unit_lists(removed, offsets)}
        fixed, classes = None, gone.classes
        if self.claim.decision is not None and classes is not None:
            fixed = fixed_outputs(self.claim.decision, self.network.n_out, classes)
        member = member_bytes(build_member(self.network, by_layer, fixed, gone.readout), self._parent)
        names, attested = (self._parent, digest(member)), gone.attested
        certificate = certificate_bytes(
            cell,
            box,
            names,
            removed,
            tree,
            offsets,
            attested=attested,
            mode=self.claim.mode,
            classes=classes,
            readout=gone.readout,
        )
        trusted = len(attested) > 0  # whoever gave them trusts the solver
        corners = box.lower, box.upper
        verdict = self.checker.check_cell(cell, *corners, certificate, member, margin=MARGIN, trust_solver=trusted)
        return certificate, member, verdict


def flat(refusal: Rejected, offsets: Offsets) -> list[tuple[int, int]]:
    """The refused closings as (node, flat unit)."""
    return [(node, offsets[layer] + unit) for node, layer, unit in refusal.unproved]
