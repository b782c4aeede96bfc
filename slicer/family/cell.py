"""One cell from search to a checked removal: the unit of work that the pipeline hands to its workers.

The gate stands here. Search proposes removals with a proof; the rigorous checker decides. A certificate that it does
not accept is never returned: the cell then keeps its units.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dispatcher.encode import digest
from dispatcher.files import member_bytes, read_network
from dispatcher.literal import bits_text
from dispatcher.plan import Affine
from slicer.bounds.linear import Prepared
from slicer.bounds.reference import MARGIN
from slicer.box import Box
from slicer.certificate.rigorous import Checker
from slicer.certificate.verdict import Accepted, Rejected, Verdict
from slicer.certificate.write import NOTHING, certificate_bytes, unit_lists
from slicer.family.claim import BITWISE, Claim
from slicer.family.proof import read_proof
from slicer.network import Network
from slicer.reduce.affine import affine_member
from slicer.reduce.classes import fixed_outputs
from slicer.reduce.member import build_member
from slicer.search.advisers import Advising
from slicer.search.affine import ROOM, fit, with_errors
from slicer.search.attempt import attempt
from slicer.search.cell import CellSearch, search_cell
from slicer.search.contest import Contest, with_margins
from slicer.search.decide import decide_cell
from slicer.search.evaluate import evaluate
from slicer.search.falsify import sample_extremes, sample_points
from slicer.search.tree import ProofTree, TreeNode
from slicer.search.verdict import TIME, Open, Proved, Refuted
from slicer.search.verdict import Verdict as CandidateVerdict

Units = NDArray[np.int64]
Offsets = dict[int, int]

# How often a cell's proof is offered to the checker, each time without the closings it refused with all facts.
ATTEMPTS = 3
_LEAF = ProofTree([TreeNode(NOTHING, NOTHING)])


@dataclass(frozen=True, slots=True)
class CellCounts:
    """What search did in a cell; ``search.json`` holds one per cell. No part of any proof.

    Attributes
    ----------
    candidates:
        Units whose phase never changed over the falsifier's points: the sum of the next four.
    removed, attested:
        ReLU units removed by the accepted certificate, and how many of them on a solver's word.
    boxes:
        Work units spent.
    nodes:
        Nodes of the certificate's tree.
    classes:
        In mode ``decision`` how many outputs may win in the cell; else 0.
    affine:
        Whether the member is an affine function (mode ``epsilon``).
    truncated:
        Whether the time limit stopped the search.
    gate:
        ``accepted``, or what the checker refused although all facts were given (those closings were given up).
    witnesses:
        For every refuted candidate (ReLU layer, unit, phase hoped for, float32 bits of an input as hex digits): there
        eval32 finds the unit's pre-activation above zero if the phase is −1, below zero if it is +1.
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
    attested: int = 0
    classes: int = 0
    affine: bool = False
    witnesses: tuple[tuple[int, int, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CellResult:
    """Files of one cell, as plain bytes that cross process boundaries."""

    certificate: bytes
    member: bytes
    counts: CellCounts


@dataclass(frozen=True, eq=False, slots=True)
class _Gone:
    """What a certificate claims, in flat numbers of units.

    Attributes
    ----------
    proved, attested:
        Units to remove: those that a tree proves inactive, and those on a solver's word.
    lost:
        In mode ``decision`` the margins by which the tree proves that outputs do not win (`slicer.search.contest`).
    classes:
        In mode ``decision`` the outputs that may win; else None.
    affine:
        In mode ``epsilon`` the affine function that is the member, if it is one; ``lost`` are its errors then.
    """

    proved: Units
    attested: Units
    lost: Units = field(default_factory=lambda: NOTHING)
    classes: list[int] | None = None
    affine: Affine | None = None

    @property
    def closed(self) -> Units:
        """All that the tree has to prove inactive, ascending."""
        return np.concatenate([self.proved, self.lost])


class CellWorker:
    """A network prepared for working on its cells, about which something is claimed."""

    def __init__(self, parent: bytes, claim: Claim = BITWISE) -> None:
        self.network = Network(read_network(parent))
        self.parent_digest = digest(parent)
        decision = claim.decision
        self.claim = claim
        self.prepared = Prepared(self.network if decision is None else with_margins(self.network, decision))
        self.contest = None if decision is None else Contest(self.prepared.relu_units, self.network.n_out)
        self.checker = Checker(parent, decision, claim.epsilon)

    def run(
        self,
        cell: int,
        box: Box,
        effort: int,
        seed: int,
        end: float = math.inf,
        advising: Advising | None = None,
    ) -> CellResult:
        """Search the cell until a clock time (`time.time`), and return what the checker accepts."""

        def stopped() -> bool:
            return time.time() > end

        if stopped():
            return self._accepted(cell, box, None, NOTHING)
        adviser = advising.adviser(end) if advising else None
        rng = np.random.default_rng([seed, cell])
        spent = 0
        if self.claim.epsilon is not None:
            near, spent = self._near(cell, box, effort, rng, stopped)
            if near is not None:
                return near
        if self.contest is None:
            search = search_cell(self.prepared, box, effort, rng, stopped, adviser=adviser)
        else:
            search = decide_cell(self.prepared, self.contest, box, effort, rng, stopped, adviser=adviser)
        search = replace(search, boxes=search.boxes + spent)
        word = search.hinted if advising and advising.trusted else NOTHING
        return self._accepted(cell, box, search, word[word < self.network.relu_units])

    def shrink(self, cell: int, box: Box, result: CellResult, removed: Units) -> CellResult:
        """The same cell with fewer units removed (flat numbers, ascending), and no more proof than they need."""
        assert self.claim == BITWISE  # members are joined in this mode only
        proof = read_proof(result.certificate, self.prepared.offsets)
        attested = np.intersect1d(removed, proof.attested)
        gone = _Gone(np.setdiff1d(removed, attested), attested)
        offer, verdict = self._offer(cell, box, gone, proof.tree.trim(gone.proved))
        if isinstance(verdict, Rejected):  # then with all that was verified before
            certificate, member, verdict = self._checked(cell, box, gone, proof.tree)
            offer = certificate, member, proof.tree
        assert isinstance(verdict, Accepted), verdict  # the same closings, verified once more, prove a smaller claim
        nodes = len(offer[2].nodes)
        counts = replace(result.counts, removed=verdict.removed, attested=verdict.attested, nodes=nodes)
        return CellResult(*offer[:2], counts)

    def _accepted(self, cell: int, box: Box, search: CellSearch | None, attested: Units) -> CellResult:
        """The leanest proof that the checker accepts; at last the one without any removal."""
        given_up, whole = "accepted", search.tree if search else _LEAF
        for _ in range(ATTEMPTS if search else 0):
            gone = self._gone(whole, attested)
            whole = whole.trim(gone.closed)
            result, verdict = self._offer(cell, box, gone, whole)
            if isinstance(verdict, Accepted):
                return CellResult(*result[:2], self._counts(cell, search, gone, result[2], verdict, given_up))
            given_up, whole = str(verdict), whole.without(self._flat(verdict))
        gone = self._gone(_LEAF, NOTHING)
        certificate, member, verdict = self._checked(cell, box, gone, _LEAF)
        assert isinstance(verdict, Accepted), verdict  # a certificate without claims is always acceptable
        counts = self._counts(cell, search, gone, _LEAF, verdict, given_up)
        return CellResult(certificate, member, counts)

    def _near(
        self, cell: int, box: Box, effort: int, rng: np.random.Generator, stopped: Callable[[], bool]
    ) -> tuple[CellResult | None, int]:
        """The cell with an affine member, if there is one that the checker accepts; and the boxes spent."""
        epsilon = np.array(self.claim.epsilon)
        points = sample_points(box, rng)
        found = fit(points, evaluate(self.prepared, points)[-1])
        if (found.distance > ROOM * epsilon).any():
            return None, 0
        prepared = Prepared(with_errors(self.network, found.affine, epsilon))
        errors = np.arange(prepared.relu_units) >= self.prepared.relu_units
        extremes = sample_extremes(prepared, box, rng)
        if not (extremes.largest[errors] < 0).all():
            return None, 0
        search, spent = attempt(prepared, box, effort, rng, stopped, known=(extremes, errors))
        if search is None:
            return None, spent
        gone = _Gone(NOTHING, NOTHING, np.flatnonzero(errors), affine=found.affine)
        offer, verdict = self._offer(cell, box, gone, search.tree.trim(gone.closed), prepared.offsets)
        if not isinstance(verdict, Accepted):
            return None, spent
        return CellResult(*offer[:2], self._counts(cell, search, gone, offer[2], verdict, "accepted")), spent

    def _gone(self, tree: ProofTree, attested: Units) -> _Gone:
        """All that a tree allows to claim."""
        closed = tree.closed_everywhere(self.prepared.relu_units)
        if self.contest is None:
            return _Gone(np.flatnonzero(closed), attested, NOTHING, None)
        classes, lost = self.contest.classes(closed)
        if len(classes) == 1:  # then there is nothing left to remove
            return _Gone(NOTHING, NOTHING, lost, classes)
        return _Gone(np.flatnonzero(closed[: self.contest.own]), attested, lost, classes)

    def _offer(
        self, cell: int, box: Box, gone: _Gone, whole: ProofTree, offsets: Offsets | None = None
    ) -> tuple[tuple[bytes, bytes, ProofTree], Verdict]:
        """Offer a proof with no facts, with those for refused closings, with all; the last offer and its verdict.

        ``offsets`` are where the ReLU layers of the proof begin in the flat numbering; None for those of all cells.
        """
        tree = whole.lean(gone.closed)
        certificate, member, verdict = self._checked(cell, box, gone, tree, offsets)
        if isinstance(verdict, Rejected):
            tree = whole.lean(gone.closed, self._flat(verdict, offsets))
            certificate, member, verdict = self._checked(cell, box, gone, tree, offsets)
        if isinstance(verdict, Rejected):
            tree = whole
            certificate, member, verdict = self._checked(cell, box, gone, tree, offsets)
        return (certificate, member, tree), verdict

    def _flat(self, refusal: Rejected, offsets: Offsets | None = None) -> list[tuple[int, int]]:
        """The refused closings as (node, flat unit)."""
        offsets = offsets or self.prepared.offsets
        return [(node, offsets[layer] + unit) for node, layer, unit in refusal.unproved]

    def _checked(
        self, cell: int, box: Box, gone: _Gone, tree: ProofTree, offsets: Offsets | None = None
    ) -> tuple[bytes, bytes, Verdict]:
        """Certificate and member for what is claimed, with the checker's verdict."""
        offsets, removed = offsets or self.prepared.offsets, np.union1d(gone.proved, gone.attested)
        by_layer = {layer: set(units) for layer, units in unit_lists(removed, offsets)}
        fixed, classes = None, gone.classes
        if self.claim.decision is not None and classes is not None:
            fixed = fixed_outputs(self.claim.decision, self.network.n_out, classes)
        reduced = build_member(self.network, by_layer, fixed)
        if gone.affine is not None:
            reduced = affine_member(self.network, gone.affine)
        member = member_bytes(reduced, self.parent_digest)
        names, attested = (self.parent_digest, digest(member)), gone.attested
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
            affine=gone.affine,
        )
        trusted = len(attested) > 0  # whoever gave them trusts the solver
        corners = box.lower, box.upper
        verdict = self.checker.check_cell(cell, *corners, certificate, member, margin=MARGIN, trust_solver=trusted)
        return certificate, member, verdict

    def _counts(
        self, cell: int, search: CellSearch | None, gone: _Gone, tree: ProofTree, verdict: Accepted, gate: str
    ) -> CellCounts:
        """Counts of a finished cell."""
        verdicts = search.verdicts if search else {}
        refuted = {unit: found for unit, found in sorted(verdicts.items()) if isinstance(found, Refuted)}
        places = [(layer, unit) for layer, units in unit_lists(refuted, self.prepared.offsets) for unit in units]
        found = [(int(search.phases[unit]), bits_text(one.witness)) for unit, one in refuted.items()] if search else []
        return replace(
            _search_counts(cell, search, list(verdicts.values())),
            removed=verdict.removed,
            attested=verdict.attested,
            classes=len(gone.classes or ()),
            affine=gone.affine is not None,
            nodes=len(tree.nodes),
            gate=gate,
            witnesses=tuple((*place, *witness) for place, witness in zip(places, found, strict=True)),
        )


def _search_counts(cell: int, search: CellSearch | None, verdicts: list[CandidateVerdict]) -> CellCounts:
    """What the search alone says."""
    proved = [verdict.phase for verdict in verdicts if isinstance(verdict, Proved)]
    return CellCounts(
        cell=cell,
        candidates=len(verdicts),
        proved_inactive=proved.count(-1),
        proved_active=proved.count(1),
        refuted=sum(isinstance(verdict, Refuted) for verdict in verdicts),
        open=sum(isinstance(verdict, Open) for verdict in verdicts),
        removed=0,
        boxes=search.boxes if search else 0,
        nodes=1,
        truncated=search is None or Open(TIME) in verdicts,
        gate="",
    )


@lru_cache(maxsize=1)
def cell_worker(parent: bytes, claim: Claim = BITWISE) -> CellWorker:
    """The worker of this process for a parent; preparing it takes longer than a small cell."""
    return CellWorker(parent, claim)
