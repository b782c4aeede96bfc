"""One cell from search to a checked removal.

Search proposes removals with a proof; the rigorous checker decides (`slicer.family.gate`). A certificate that it does
not accept is never returned: the cell then keeps its units.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from dispatcher.plan import Affine
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.certificate.verdict import Accepted, Rejected
from slicer.certificate.write import NOTHING
from slicer.family.claim import BITWISE, Claim
from slicer.family.counts import CellResult, counted
from slicer.family.gate import Gate, Gone, Units, flat
from slicer.family.proof import read_proof
from slicer.family.terms import Terms
from slicer.search.affine import ROOM, distance, fit, has_errors, with_errors
from slicer.search.attempt import attempt
from slicer.search.cell import CellSearch, search_cell
from slicer.search.contest import Contest, with_margins
from slicer.search.decide import decide_cell
from slicer.search.evaluate import evaluate
from slicer.search.falsify import sample_extremes, sample_points
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

    def run(self, cell: int, box: Box, terms: Terms, functions: list[Affine] | None = None) -> CellResult:
        """Search the cell, and return what the checker accepts.

        ``functions`` are affine members of other cells that may serve this one, too; a new one is added.
        """
        if terms.stopped():
            return self._accepted(cell, box, None, NOTHING)
        rng, spent = np.random.default_rng([terms.seed, cell]), 0
        if terms.attempts and self.claim.epsilon is not None and has_errors(self.network):
            near, spent = self._near(cell, box, terms, rng, [] if functions is None else functions)
            if near is not None:
                return near
        search, attested = self.search(box, terms, rng)
        return self._accepted(cell, box, replace(search, boxes=search.boxes + spent), attested)

    def search(self, box: Box, terms: Terms, rng: np.random.Generator) -> tuple[CellSearch, Units]:
        """What can be removed on a box; and the units that are inactive on the word of an adviser who is trusted."""
        how = box, terms.effort, rng, terms.stopped
        if self.contest is None:
            search = search_cell(self.prepared, *how, adviser=terms.adviser())
        else:
            search = decide_cell(self.prepared, self.contest, *how, adviser=terms.adviser(), attempts=terms.attempts)
        word = search.hinted if terms.trusting else NOTHING
        return search, word[word < self.network.relu_units]

    def shrink(self, cell: int, box: Box, result: CellResult, removed: Units) -> CellResult:
        """The same cell with fewer units removed (flat numbers, ascending), and no more proof than they need."""
        assert self.claim == BITWISE  # members are joined in this mode only
        proof = read_proof(result.certificate, self.prepared.offsets)
        attested = np.intersect1d(removed, proof.attested)
        gone = Gone(np.setdiff1d(removed, attested), attested)
        offer, verdict = self.gate.offer(cell, box, gone, proof.tree.trim(gone.proved), self.prepared.offsets)
        if isinstance(verdict, Rejected):  # then with all that was verified before
            certificate, member, verdict = self.gate.checked(cell, box, gone, proof.tree, self.prepared.offsets)
            offer = certificate, member, proof.tree
        assert isinstance(verdict, Accepted), verdict  # the same closings, verified once more, prove a smaller claim
        nodes = len(offer[2].nodes)
        counts = replace(result.counts, removed=verdict.removed, attested=verdict.attested, nodes=nodes)
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

    def _near(
        self, cell: int, box: Box, terms: Terms, rng: np.random.Generator, functions: list[Affine]
    ) -> tuple[CellResult | None, int]:
        """The cell with an affine member, if there is one that the checker accepts; and the boxes spent.

        One of ``functions`` is tried first, so that cells share it, then a fit, which is added to them.
        """
        points, spent = sample_points(box, rng), 0
        outputs = evaluate(self.prepared, points)[-1]
        limit = ROOM * np.array(self.claim.epsilon)
        known = [one for one in functions if (distance(one, points, outputs) <= limit).all()][:1]
        found = fit(points, outputs)
        own = [found.affine] if (found.distance <= limit).all() else []  # NaN, where slopes overflow, is no fit
        for affine in known + own:
            result, boxes = self._within(cell, box, affine, terms, rng)
            spent += boxes
            if result is not None:
                functions += own if affine is found.affine else []
                return result, spent
        return None, spent

    def _within(
        self, cell: int, box: Box, affine: Affine, terms: Terms, rng: np.random.Generator
    ) -> tuple[CellResult | None, int]:
        """The cell with an affine function that is proved to be within its bounds, or None; and the boxes spent."""
        prepared = Prepared(with_errors(self.network, affine, np.array(self.claim.epsilon)))
        errors = np.arange(prepared.relu_units) >= self.prepared.relu_units
        extremes = sample_extremes(prepared, box, rng)
        if not (extremes.largest[errors] < 0).all():
            return None, 0
        search, spent = attempt(prepared, box, terms.effort, rng, terms.stopped, known=(extremes, errors))
        if search is None:
            return None, spent
        gone = Gone(NOTHING, NOTHING, np.flatnonzero(errors), affine=affine)
        offer, verdict = self.gate.offer(cell, box, gone, search.tree.trim(gone.closed), prepared.offsets)
        if not isinstance(verdict, Accepted):
            return None, spent
        counts = counted(cell, search, self.prepared.offsets, gone, verdict, "accepted")
        return CellResult(*offer[:2], counts), spent

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
