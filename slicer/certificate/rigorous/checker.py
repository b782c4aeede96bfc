"""`Checker`: the verdict on one cell's certificate, and on the parent's overflow. The parent is prepared once."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import ArrayLike

from slicer.certificate.rigorous import form
from slicer.certificate.rigorous.bounds import Bounds
from slicer.certificate.rigorous.closings import Failure, verify
from slicer.certificate.rigorous.form import Refusal, expect
from slicer.certificate.rigorous.member import rebuild
from slicer.certificate.rigorous.parent import FILE, Parent, T
from slicer.certificate.rigorous.proof import Box, walk
from slicer.certificate.verdict import Accepted, Rejected, Verdict

PRODUCER_MARGIN = 2.0**-10
UNTRUSTED = "expected proofs only: a solver's word counts only where solvers are trusted"
_KEYS = ("format", "mode", "cell", "box", "parent", "member", "removed", "tree")
_NODES, _NUMBERS = 1 << 10, 1 << 22  # verified together: nodes, but with fewer numbers in an array over all units


class Checker:
    """Checks certificates against one parent; holds nothing else, so any number of cells in any order.

    Parameters
    ----------
    parent:
        The bytes of ``family/parent.json``.
    decision:
        ``argmax`` or ``argmin`` to check certificates of mode ``decision``, None for mode ``bitwise``.

    Raises
    ------
    Refusal
        If they are not a network in canonical form; its ``verdict`` says where and why.
    """

    def __init__(self, parent: bytes, decision: str | None = None) -> None:
        self.parent = Parent(parent, decision)

    def check_overflow(self, lower: ArrayLike, upper: ArrayLike) -> Verdict:
        """Whether no evaluation on the box ``[n_in]`` can overflow (CERTIFICATE.md §4)."""
        bounds = Bounds(self.parent, np.array([lower], np.float64), np.array([upper], np.float64))
        with np.errstate(all="ignore"):
            for position, layer in enumerate(self.parent.layers[: self.parent.depth]):
                scale = bounds.extend(position, 1)[:, 0]
                if position and not layer.rounding:
                    continue  # only inputs and sums are limited; a layer that moves numbers cannot overflow
                scale = scale * (1 + self.parent.kappa * (layer.rounding > 0))
                bad = np.flatnonzero(~(scale <= 1 / T))
                if len(bad):
                    where = f"{FILE}: layers[{position}]: unit {bad[0]}"
                    return Rejected(where, "expected no overflow: sums of magnitudes up to 2^126 on the domain")
        return Accepted()

    def rebuild_member(self, removed: Iterable[tuple[int, list[int]]], classes: Collection[int] | None = None) -> bytes:
        """The file of the member without the removed units, rows (relu layer, units) (CERTIFICATE.md §3).

        In mode ``decision`` only ``classes`` may win.

        Raises
        ------
        Refusal
            If a constant overflows, as it cannot if the units are inactive.
        """
        numbers = [self.parent.relus[layer] + unit for layer, units in removed for unit in units]
        return rebuild(self.parent, numbers, classes)

    def check_cell(
        self,
        cell: int,
        lower: ArrayLike,
        upper: ArrayLike,
        certificate: bytes,
        member: bytes,
        *,
        margin: float = 0.0,
        trust_solver: bool = False,
    ) -> Verdict:
        """The verdict on one cell: steps 1 to 4 of CERTIFICATE.md §6.

        Parameters
        ----------
        cell, lower, upper:
            Index and closed box of the cell, float32 numbers ``[n_in]``.
        certificate, member:
            Bytes of the two files.
        margin:
            How much room closings must leave, as a share of N (CERTIFICATE.md §5): 0 for an audit,
            `PRODUCER_MARGIN` for a producer's gate.
        trust_solver:
            Whether units may be removed on a solver's word; the verdict counts them as ``attested``.
        """
        try:
            box = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
            return self._check(cell, box, certificate, member, (margin, trust_solver))
        except Refusal as refusal:
            return refusal.verdict

    def _check(self, cell: int, box: Box, certificate: bytes, member: bytes, how: tuple[float, bool]) -> Verdict:
        margin, trust_solver = how
        where, digest = certificate_path(cell), hashlib.sha256(member).hexdigest()
        decision = self.parent.decision
        keys, mode = (_KEYS, "bitwise") if decision is None else ((*_KEYS, "classes"), "decision")
        fields = form.record(form.read(certificate, where), where, keys, ("attested",))
        form.fixed(fields, where, format="netslicer-certificate/2", mode=mode, cell=cell)
        form.fixed(fields, where, parent=self.parent.digest, member=digest)
        corners = form.corners(fields["box"], f"{where}: box", self.parent.inputs)
        expect(all(map(np.array_equal, corners, box)), f"{where}: box", "expected the box of the cell")
        removed = self.parent.numbers(fields["removed"], f"{where}: removed", own=True)
        classes = None if decision is None else self._classes(fields["classes"], f"{where}: classes")
        follows = rebuild(self.parent, removed, classes) == member
        expect(follows, f"{where}: removed", "expected another member's file to follow from it")
        attested, place = set[int](), f"{where}: attested"
        if "attested" in fields:
            attested = set(self.parent.numbers(fields["attested"], place, own=True))
            expect(attested and attested.issubset(removed), place, "expected units of the removed ones, no empty list")
            expect(trust_solver, place, UNTRUSTED)
        losses = [] if classes is None else self._losses(classes)
        nodes = walk(self.parent, fields["tree"], box, set(removed) - attested, f"{where}: tree", losses)
        closings, worst, failures = 0, -np.inf, list[Failure]()
        together = max(1, min(_NODES, _NUMBERS // self.parent.size))
        while batch := list(itertools.islice(nodes, together)):
            bounds, unproved = verify(self.parent, batch, margin)
            closings, worst = closings + len(bounds), max(worst, float(bounds.max()))
            failures += unproved
        if failures:
            return _rejected(where, sorted(failures))
        return Accepted(len(fields["tree"]), closings, len(removed), -worst if closings else None, len(attested))

    def _classes(self, value: object, where: str) -> list[int]:
        """The outputs that may win."""
        classes = form.integers(value, where, self.parent.outputs, increasing=True)
        expect(classes, where, "expected at least one output")
        return classes

    def _losses(self, classes: list[int]) -> list[list[int]]:
        """For every other output the margins one of which has to be closed on every path."""
        lost = sorted(set(range(self.parent.outputs)) - set(classes))
        return [self.parent.losses(output, classes) for output in lost]


def certificate_path(cell: int) -> str:
    """Where a cell's certificate stands in the bundle."""
    return f"certificates/{cell:06d}.json"


def _rejected(where: str, failures: list[Failure]) -> Rejected:
    """The verdict on closings that do not hold."""
    node, layer, unit, bound = failures[0]
    got = "facts that contradict the bounds" if np.isnan(bound) else f"a bound {bound:.6g} above zero"
    why = f"expected a proved sign of unit {unit} of relu layer {layer}, got {got}"
    return Rejected(f"{where}: tree[{node}]", why, tuple(failure[:3] for failure in failures))
