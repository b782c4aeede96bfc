"""One cell from search to a checked removal.

Search proposes removals with a proof; the rigorous checker decides (`slicer.family.gate`). A certificate that it does
not accept is never returned: the cell then keeps its units.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from dispatcher.plan import Readout
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.certificate.verdict import Accepted, Rejected
from slicer.certificate.write import NOTHING
from slicer.family.claim import BITWISE, Claim
from slicer.family.counts import CellResult, counted
from slicer.family.ending import Ending, Endings, Proved
from slicer.family.gate import Gate, Gone, Units, flat
from slicer.family.proof import read_proof
from slicer.family.terms import Terms
from slicer.search.cell import CellSearch, search_cell
from slicer.search.contest import Contest, with_margins
from slicer.search.decide import decide_cell
from slicer.search.tree import ProofTree, TreeNode

# How often a cell's proof is offered to the checker, each time without the closings it refused with all facts.
ATTEMPTS = 3
_LEAF = ProofTree([TreeNode(NOTHING, NOTHING)])


class CellWorker:
    """A network prepared for working on its cells, about which something is claimed."""

    def __init__(self, parent: bytes, claim: Claim = BITWISE) -> None:
        self.claim, decision = claim, claim.decision
        self.gate = Gate(parent, claim)
        self.network = self.gate.network
        self.prepared = Prepared(self.network if decision is None else with_margins(self.network, decision))
        self.contest = None if decision is None else Contest(self.prepared.relu_units, self.network.n_out)
        self.endings = None if claim.epsilon is None else Endings(self.prepared, claim.epsilon)

    def run(self, cell: int, box: Box, terms: Terms, functions: list[Readout] | None = None) -> CellResult:
        """Search the cell, and return what the checker accepts.

        ``functions`` are affine functions that serve other cells, and may serve this one, too; a new one is added.
        """
        if terms.stopped():
            return self._accepted(cell, box, None, NOTHING)
        rng, spent = np.random.default_rng([terms.seed, cell]), 0
        known = [] if functions is None else functions
        for ending in self.endings.affine(box, terms, rng, known) if terms.attempts and self.endings else ():
            spent += ending.boxes
            result = self._ended(cell, box, ending.proved)
            if result is not None:
                known += [] if any(one is ending.readout for one in known) else [ending.readout]
                return result
        search, attested = self.search(box, terms, rng)
        search = replace(search, boxes=search.boxes + spent)
        shorter = self.shorter(box, search, attested, terms, rng)
        if shorter is not None:
            search = replace(search, boxes=search.boxes + shorter.boxes)
        result = None if shorter is None else self._ended(cell, box, shorter.proved, search)
        return result or self._accepted(cell, box, search, attested)

    def search(self, box: Box, terms: Terms, rng: np.random.Generator) -> tuple[CellSearch, Units]:
        """What can be removed on a box; and the units that are inactive on the word of an adviser who is trusted."""
        how = box, terms.effort, rng, terms.stopped
        if self.contest is None:
            search = search_cell(self.prepared, *how, adviser=terms.adviser())
        else:
            search = decide_cell(self.prepared, self.contest, *how, adviser=terms.adviser(), attempts=terms.attempts)
        word = search.hinted if terms.trusting else NOTHING
        return search, word[word < self.network.relu_units]

    def shorter(
        self, box: Box, search: CellSearch, attested: Units, terms: Terms, rng: np.random.Generator
    ) -> Ending | None:
        """A readout that leaves less than the member without the units that a search of the box found."""
        if self.endings is None or len(attested) or terms.stopped():
            return None
        return self.endings.shorter(box, self.gone(search.tree, attested).proved, terms, rng)

    def shrink(
        self, cell: int, box: Box, result: CellResult, removed: Units, classes: list[int] | None = None
    ) -> CellResult:
        """The same cell with fewer units removed (flat numbers, ascending), and no more proof than they need.

        In mode ``decision`` more outputs may win, ``classes``; in mode ``epsilon`` a readout is given up.
        """
        proof = read_proof(result.certificate, self.prepared.offsets)
        attested, lost = np.intersect1d(removed, proof.attested), NOTHING
        if self.contest is not None and classes is not None:
            lost = self.contest.lost(proof.tree.closed_everywhere(self.prepared.relu_units), classes)
        gone = Gone(np.setdiff1d(removed, attested), attested, lost, classes)
        offer, verdict = self.gate.offer(cell, box, gone, proof.tree.trim(gone.closed), self.prepared.offsets)
        if isinstance(verdict, Rejected):  # then with all that was verified before
            certificate, member, verdict = self.gate.checked(cell, box, gone, proof.tree, self.prepared.offsets)
            offer = certificate, member, proof.tree
        assert isinstance(verdict, Accepted), verdict  # the same closings, verified once more, prove a smaller claim
        nodes = len(offer[2].nodes)
        counts = replace(result.counts, removed=verdict.removed, attested=verdict.attested, nodes=nodes)
        counts = replace(counts, classes=len(classes or ()), affine=False, readout=0, parts=())
        return CellResult(*offer[:2], counts)

    def _accepted(self, cell: int, box: Box, search: CellSearch | None, attested: Units) -> CellResult:
        """The leanest proof that the checker accepts; at last the one without any removal."""
        given_up, whole = "accepted", search.tree if search else _LEAF
        for _ in range(ATTEMPTS if search else 0):
            gone = self.gone(whole, attested)
            whole = whole.trim(gone.closed)
            result, verdict = self.gate.offer(cell, box, gone, whole, self.prepared.offsets)
            if isinstance(verdict, Accepted):
                counts = counted(cell, search, self.prepared.offsets, gone, verdict, given_up)
                return CellResult(*result[:2], counts)
            given_up, whole = str(verdict), whole.without(flat(verdict, self.prepared.offsets))
        gone = self.gone(_LEAF, NOTHING)
        certificate, member, verdict = self.gate.checked(cell, box, gone, _LEAF, self.prepared.offsets)
        assert isinstance(verdict, Accepted), verdict  # a certificate without claims is always acceptable
        counts = counted(cell, search, self.prepared.offsets, gone, verdict, given_up)
        return CellResult(certificate, member, counts)

    def _ended(self, cell: int, box: Box, proved: Proved | None, search: CellSearch | None = None) -> CellResult | None:
        """The cell with a member that ends in a readout, if the checker accepts it.

        ``search`` is the one to be counted; None for that of the proof.
        """
        if proved is None:
            return None
        search = search or proved.search
        tree = proved.search.tree.trim(proved.gone.closed)
        offer, verdict = self.gate.offer(cell, box, proved.gone, tree, proved.offsets)
        if not isinstance(verdict, Accepted):
            return None
        return CellResult(*offer[:2], counted(cell, search, self.prepared.offsets, proved.gone, verdict, "accepted"))

    def gone(self, tree: ProofTree, attested: Units) -> Gone:
        """All that a tree allows to claim."""
        closed = tree.closed_everywhere(self.prepared.relu_units)
        if self.contest is None:
            return Gone(np.flatnonzero(closed), attested)
        classes, lost = self.contest.classes(closed)
        if len(classes) == 1:  # then there is nothing left to remove
            return Gone(NOTHING, NOTHING, lost, classes)
        return Gone(np.flatnonzero(closed[: self.contest.own]), attested, lost, classes)


@lru_cache(maxsize=1)
def cell_worker(parent: bytes, claim: Claim = BITWISE) -> CellWorker:
    """The worker of this process for a parent; preparing it takes longer than a small cell."""
    return CellWorker(parent, claim)
