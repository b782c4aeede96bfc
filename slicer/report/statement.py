"""The claim of a bundle in plain words: the sense of CERTIFICATE.md §1 to §4, which is the normative text."""

from __future__ import annotations

from collections.abc import Sequence

from dispatcher.plan import Decision
from slicer.report.record import Statement

ARITHMETIC = {
    "rigorous": "binary64 floating point (numpy), every rounding error counted and added outward",
    "exact": "integers, rounded outward to a stated width; Python's standard library and nothing else",
}

_CLAIM = (
    "For every vector of finite float32 numbers in the domain, the member network to which the routing tree sends it "
    "returns the same result as the parent network in every output. The same means equal under IEEE-754 comparison "
    "(so that −0 equals 0), and neither network meets a NaN or an infinity on the way."
)

_WINNERS = {"argmax": "largest", "argmin": "smallest"}

_DECISION = (
    "For every vector of finite float32 numbers in the domain, the member network to which the routing tree sends it "
    "and the parent network have their {0} output in the same place; of equal ones the first counts. Neither network "
    "meets a NaN or an infinity on the way. Nothing else about the outputs is claimed."
)

_DECIDED = (
    "In a cell some outputs may win and the others are proved not to: they stay behind one of those at every input, by "
    "more than any rounding. The member returns the parent's bits for outputs that may win, and the number farthest "
    "from winning for the others. If only one output may win, nothing is computed."
)

_EPSILON = (
    "For every vector of finite float32 numbers in the domain, each output of the member network to which the routing "
    "tree sends it differs from the parent network's by at most its bound{0}. Neither network meets a NaN or an "
    "infinity on the way."
)

_READOUT = (
    "In a cell the member either keeps the parent's bits; or it ends in a readout, an affine function of the inputs or "
    "of units that keep the parent's bits, which is proved to be within the bounds at every input of the cell, the "
    "rounding of both networks included."
)

_BUDGET = (
    "A bound is a budget for the whole way from the model file to the result. Reading the model takes nothing of it: "
    "the audit reads the file again and finds the parent's numbers, all of them float32. Reduction and the rounding of "
    "both networks at run time share all of it: one proof bounds their sum, and no part of it is set aside for either."
)

_PARTS = " In the proofs verified here reduction takes at most {} of the outputs' bounds, and rounding adds at most {}."

_EVALUATION = (
    "Both networks are evaluated in IEEE-754 binary32, rounding to nearest, ties to even. A dense unit starts from +0 "
    "(or, in a member, from the stored sum of its constant prefix), adds the rounded products weight · input one after "
    "the other in the order of the inputs, and adds the bias last. A ReLU gives z where z > 0, else +0. Element-wise "
    "layers are evaluated operator by operator, as the model has them.",
    "A unit was left out only if it is proved that its pre-activation is at most 0 on the whole closed cell, or if "
    "leaving it out then follows: everything it reads is constant, or nobody reads it any more. The terms left out of "
    "the remaining sums are exactly zero, or are a prefix that was summed beforehand in the same order.",
    "The proof bounds the network over the real numbers with every possible rounding error as a free disturbance. So "
    "the removed units are inactive for any order of summation, with or without fused multiply-add, and with subnormal "
    "numbers flushed to zero. The equality of results, in contrast, belongs to the order of evaluation above.",
)

_ASSUMPTIONS = (
    "The deployed code evaluates members in the order above in IEEE-754 binary32. The emitted C99 does, if it is "
    "compiled without contraction to fused multiply-add and without fast-math options.",
    "Inputs are float32 numbers that lie in the domain; what happens outside is the caller's decision.",
    "The checker's own program, Python and the processor computed correctly during the audit, and no two different "
    "files have the same sha256.",
)

_SOLVER = (
    "A solver was right that {:,} of the removed units are inactive on their cells. Nothing proves it: these removals "
    "are attested, and a solver's mistake would change results unnoticed."
)

_ONE_CHECKER = (
    "One checker was used, the rigorous one; it relies on numpy and its matrix products. Run the audit with --exact to "
    "have every certificate checked by the exact checker as well, which shares no code with it.",
)

_NOT_CLAIMED = (
    "anything about inputs outside the domain, or about NaN and infinity as inputs",
    "equality of results in evaluations that contract to fused multiply-add, sum in another order, use another "
    "precision or rounding mode, or flush subnormal numbers to zero",
    "that the parent is a good model, or fit for its purpose",
    "anything about compilers and hardware that do not implement IEEE-754 binary32",
    "that the members are as small as they could be: units that were not proved superfluous stay",
    "anything about files that belong to no proof, such as search.json, beyond their size and sha256",
)


def statement(
    *,
    exact: bool,
    attested: int,
    mode: str = "bitwise",
    decision: Decision | None = None,
    epsilon: Sequence[float] | None = None,
    parts: Sequence[tuple[float, float]] = (),
) -> Statement:
    """What a bundle claims.

    Parameters
    ----------
    mode, decision, epsilon:
        The claim; ``decision`` and ``epsilon`` belong to modes of these names and are None if they cannot be read.
    exact:
        Whether both checkers were asked.
    attested:
        Number of removals that rest on a solver's word.
    parts:
        What reduction and rounding take of each bound at most, if anything.
    """
    assumptions = ((_SOLVER.format(attested),) if attested else ()) + _ASSUMPTIONS + (() if exact else _ONE_CHECKER)
    claim, means = _CLAIM, tuple[str, ...](_EVALUATION)
    if mode == "decision":
        word = _WINNERS[decision] if decision else "largest or smallest (as the family says)"
        claim, means = _DECISION.format(word), (_DECIDED, *_EVALUATION)
    if mode == "epsilon":
        bounds = "" if epsilon is None else f": {', '.join(f'{bound:.9g}' for bound in epsilon)}"
        taken = [", ".join(f"{part:.3g}" for part in column) for column in zip(*parts, strict=True)]
        budget = _BUDGET + (_PARTS.format(*taken) if taken else "")
        claim, means = _EPSILON.format(bounds), (_READOUT, budget, *_EVALUATION)
    return Statement(claim, means, assumptions, _NOT_CLAIMED)
