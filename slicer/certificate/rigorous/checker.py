"""`Checker`: the verdict on one cell's certificate, and on the parent's overflow. The parent is prepared once."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from slicer.certificate.rigorous import form
from slicer.certificate.rigorous.bounds import Bounds
from slicer.certificate.rigorous.closings import Failure, verify
from slicer.certificate.rigorous.extend import with_errors, with_margins
from slicer.certificate.rigorous.form import Array, Indices, Refusal, expect
from slicer.certificate.rigorous.member import fixed_outputs, rebuild
from slicer.certificate.rigorous.parent import FILE, Parent, T
from slicer.certificate.rigorous.proof import Box, Demands, errors, losses, walk
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
        ``argmax`` or ``argmin`` to check certificates of mode ``decision``.
    epsilon:
        Bounds ``[n_out]`` to check certificates of mode ``epsilon``. Without either: mode ``bitwise``.

    Raises
    ------
    Refusal
        If they are not a network in canonical form, or there is not one bound for each output; its ``verdict`` says
        where and why.
    """

    def __init__(self, parent: bytes, decision: str | None = None, epsilon: ArrayLike | None = None) -> None:
        own, self.decision = Parent(parent), decision
        self.parent = own if decision is None else with_margins(own, decision)
        self.epsilon = None if epsilon is None else np.asarray(epsilon, np.float64)
        single = self.epsilon is None or self.epsilon.shape == (own.outputs,)
        expect(single, "epsilon", "expected a bound for each output")
        self.mode = "decision" if decision else "bitwise" if epsilon is None else "epsilon"

    def check_overflow(self, lower: ArrayLike, upper: ArrayLike) -> Verdict:
        """Whether no evaluation on the box ``[n_in]`` can overflow (CERTIFICATE.md §4)."""
        large = _overflows(self.parent, (np.asarray(lower, np.float64), np.asarray(upper, np.float64)))
        found = next(((p, units[0]) for p, units in large if p < self.parent.depth and len(units)), None)
        if found is None:
            return Accepted()
        where = f"{FILE}: layers[{found[0]}]: unit {found[1]}"
        return Rejected(where, "expected no overflow: sums of magnitudes up to 2^126 on the domain")

    def rebuild_member(self, removed: Iterable[tuple[int, list[int]]], classes: Collection[int] | None = None) -> bytes:
        """The file of the member without the removed units, rows (relu layer, units) (CERTIFICATE.md §3).

        In mode ``decision`` only ``classes`` may win.

        Raises
        ------
        Refusal
            If a constant overflows, as it cannot if the units are inactive.
        """
        numbers = [self.parent.relus[layer] + unit for layer, units in removed for unit in units]
        outputs = self.parent.outputs
        fixed = None if classes is None else fixed_outputs(str(self.decision), outputs, classes)
        return rebuild(self.parent, numbers, fixed)

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
        """The verdict on one cell: steps 1 to 6 of CERTIFICATE.md §6.

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
        keys = (*_KEYS, "classes") if self.mode == "decision" else _KEYS
        optional = ("attested", "readout") if self.mode == "epsilon" else ("attested",)
        fields = form.record(form.read(certificate, where), where, keys, optional)
        form.fixed(fields, where, format="netslicer-certificate/2", mode=self.mode, cell=cell)
        form.fixed(fields, where, parent=self.parent.digest, member=digest)
        corners = form.corners(fields["box"], f"{where}: box", self.parent.inputs)
        expect(all(map(np.array_equal, corners, box)), f"{where}: box", "expected the box of the cell")
        removed = self.parent.numbers(fields["removed"], f"{where}: removed", own=True)
        parent, follows, demands = self._claimed(fields, removed, box, where)
        expect(follows == member, f"{where}: removed", "expected another member's file to follow from it")
        attested, place = set[int](), f"{where}: attested"
        if "attested" in fields:
            attested = set(self.parent.numbers(fields["attested"], place, own=True))
            expect(attested and attested.issubset(removed), place, "expected units of the removed ones, no empty list")
            expect(trust_solver, place, UNTRUSTED)
        nodes = walk(parent, fields["tree"], box, set(removed) - attested, f"{where}: tree", demands)
        closings, worst, failures = 0, -np.inf, list[Failure]()
        spent = np.full((2, 2 * parent.outputs), -np.inf)
        together = max(1, min(_NODES, _NUMBERS // parent.size))
        while batch := list(itertools.islice(nodes, together)):
            run = verify(parent, batch, margin)
            bounds, unproved = run.outcome()
            spent = np.maximum(spent, run.spent)
            closings, worst = closings + len(bounds), max(worst, float(bounds.max()))
            failures += unproved
        if failures:
            return _rejected(where, sorted(failures))
        least = -worst if closings else None
        return Accepted(len(fields["tree"]), closings, len(removed), least, len(attested), self._parts(spent))

    def _parts(self, spent: Array) -> tuple[tuple[float, float], ...]:
        """What reduction and rounding take of each output's bound, from errors on both sides; empty without errors."""
        if self.epsilon is None or not np.isfinite(spent).all():
            return ()
        reduction, rounding = spent.reshape(2, 2, -1).max(axis=1)
        return tuple(zip(np.maximum(reduction + self.epsilon, 0).tolist(), rounding.tolist(), strict=True))

    def _claimed(
        self, fields: dict[str, Any], removed: list[int], box: Box, where: str
    ) -> tuple[Parent, bytes, Demands]:
        """The parent as the proof extends it, the member's file, and what every path closes besides removed units."""
        if self.decision is not None:
            classes = form.integers(fields["classes"], f"{where}: classes", self.parent.outputs, increasing=True)
            expect(classes, f"{where}: classes", "expected at least one output")
            member = rebuild(self.parent, removed, fixed_outputs(self.decision, self.parent.outputs, classes))
            return self.parent, member, losses(self.parent, classes)
        if self.epsilon is not None and "readout" in fields:
            read, extended = self._ending(fields["readout"], box, f"{where}: readout")
            return extended, rebuild(self.parent, removed, readout=(fields["readout"], read)), errors(extended)
        return self.parent, rebuild(self.parent, removed), Demands()

    def _ending(self, value: object, box: Box, where: str) -> tuple[Indices, Parent]:
        """The units that a readout reads, and the parent with its errors, which must not overflow on the box (§4)."""
        assert self.epsilon is not None
        parent, readout = self.parent, form.record(value, where, ("reads", "weight", "bias"))
        before = dict(enumerate(parent.spans[: parent.depth - 1]))
        read = parent.listed(readout["reads"], f"{where}: reads", before, "layer before the last")
        expect(read, f"{where}: reads", "expected at least one unit")
        rows = form.items(readout["weight"], f"{where}: weight")
        expect(len(rows) == parent.outputs, f"{where}: weight", f"expected {parent.outputs} rows")
        weight = np.array([form.vector(row, f"{where}: weight", len(read)) for row in rows])
        bias = form.vector(readout["bias"], f"{where}: bias", len(rows))
        extended = with_errors(parent, np.array(read), weight, bias, self.epsilon)
        large = dict(_overflows(extended, box))[parent.depth + 1]
        expect(not len(large), where, "expected no overflow: sums of magnitudes up to 2^126")
        return np.array(read), extended


def _overflows(parent: Parent, box: Box) -> Iterator[tuple[int, Indices]]:
    """Of every layer, in their order, the units whose sums may exceed 2^126 on the box, by the interval rule (§4)."""
    bounds = Bounds(parent, *(side[None] for side in box))
    for position, layer in enumerate(parent.layers):
        with np.errstate(all="ignore"):
            scale = bounds.extend(position, 1)[:, 0] * (1 + parent.kappa * (layer.rounding > 0))
        limited = layer.rounding > 0 or position == 0  # a layer that moves numbers cannot overflow
        yield position, np.flatnonzero(~(scale <= 1 / T) & limited)


def certificate_path(cell: int) -> str:
    """Where a cell's certificate stands in the bundle."""
    return f"certificates/{cell:06d}.json"


def _rejected(where: str, failures: list[Failure]) -> Rejected:
    """The verdict on closings that do not hold."""
    node, layer, unit, bound = failures[0]
    got = "facts that contradict the bounds" if np.isnan(bound) else f"a bound {bound:.6g} above zero"
    why = f"expected a proved sign of unit {unit} of relu layer {layer}, got {got}"
    return Rejected(f"{where}: tree[{node}]", why, tuple(failure[:3] for failure in failures))
