"""`ask`: what a solver's reply is worth. Its witness refutes once eval32 confirms it; all else proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from slicer.bounds.linear import Prepared
from slicer.search.solvers.child import Answer, Crashed, Killed, Limit, run_in_child
from slicer.search.solvers.query import Encoding, Question
from slicer.search.solvers.witness import confirmed
from slicer.search.verdict import TIME, UNCONFIRMED, Open, Refuted

Array = NDArray[np.float64]

INTERVALS = "intervals"


@dataclass(frozen=True, slots=True)
class Hint:
    """A solver's word, in floating point and without noise, that the unit keeps ``phase`` on the box; never a proof."""

    solver: str
    phase: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What a solver returns, as plain data.

    Attributes
    ----------
    excluded:
        Whether it says that no assignment exists.
    inputs:
        Scaled inputs of the best assignment found ``[n_in]``, None if there is none.
    status:
        Why it has neither: `TIME`, or its own words.
    """

    excluded: bool
    inputs: Array | None
    status: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What came of a question, and the CPU seconds that the solver's child took."""

    verdict: Refuted | Hint | Open
    seconds: float


Solve = Callable[[Question, float], Reply]


def ask(
    name: str, solve: Solve, prepared: Prepared, encoding: Encoding, claim: tuple[int, int], limit: Limit
) -> Advice:
    """Ask one solver whether a claim (flat unit, phase: −1 inactive, +1 active) can fail on the encoding's box.

    Parameters
    ----------
    solve:
        Called with the question and the clock seconds it has, in a child that is killed at the limit.
    """
    unit, phase = claim
    try:
        question = encoding.question(unit, phase)
    except UnusableInput as error:
        return Advice(Open(str(error)), 0.0)
    if question is None:
        return Advice(Hint(INTERVALS, phase), 0.0)
    outcome = run_in_child(limit, solve, question, limit.clock)
    match outcome:
        case Answer(reply, seconds):
            return Advice(_verdict(name, reply, prepared, encoding, claim), seconds)
        case Killed(_, seconds):
            return Advice(Open(TIME), seconds)
        case Crashed(why, seconds):
            return Advice(Open(f"{name}: {why}"), seconds)


def _verdict(
    name: str, reply: Reply, prepared: Prepared, encoding: Encoding, claim: tuple[int, int]
) -> Refuted | Hint | Open:
    """The reply after its witness was tried."""
    unit, phase = claim
    if reply.inputs is not None:
        witness = confirmed(prepared, encoding.box, encoding.point(reply.inputs), unit, phase)
        if witness is not None:
            return Refuted(witness)
    if reply.excluded:
        return Hint(name, phase)
    return Open(UNCONFIRMED if reply.inputs is not None else reply.status)
