"""One mixed-integer program for many units at once.

Serra, Yu, Kumar, Ramalingam, *Scaling Up Exact Neural Network Compression by ReLU Stability*, NeurIPS 2021: maximise
Σp + Σq, where p_i says that unit i (never seen active) is active in the solution found, and q_i that unit i (never seen
inactive) is inactive. Their solver takes out units in a callback; here every solution's input is evaluated with eval32,
the units that it refutes leave the objective, and the program is solved again until its optimum is 0. The optimum is 0
where no solution reaches 1, so that is asked for, and any solution is enough.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from slicer.bounds.linear import Prepared
from slicer.search.solvers.advice import INTERVALS, Hint
from slicer.search.solvers.child import Answer, Crashed, Killed, Limit, run_in_child
from slicer.search.solvers.milp import Optimum, maximise
from slicer.search.solvers.program import Program, at_least_one, program
from slicer.search.solvers.query import Encoding
from slicer.search.solvers.witness import confirmed, contradicted, inside
from slicer.search.verdict import TIME, UNCONFIRMED, Open, Refuted

Array = NDArray[np.float64]

NAME = "joint milp"


def ask_milp_for_all(
    prepared: Prepared, encoding: Encoding, phases: Mapping[int, int], limit: Limit
) -> tuple[dict[int, Refuted | Hint | Open], float]:
    """Which of the claims (flat unit: phase) can fail on the encoding's box? The limit is for all of them together.

    Returns
    -------
    dict, float
        A verdict for every claim; the CPU seconds of all children.
    """
    claims = _Claims(prepared, encoding, phases)
    end, spent = time.monotonic() + limit.clock, 0.0
    while claims.wanted:
        left = Limit(end - time.monotonic(), limit.cpu - spent)
        outcome = run_in_child(left, maximise, claims.program(), left.clock, claims.enough)
        spent += outcome.seconds
        claims.take(outcome)
    return claims.verdicts, spent


class _Claims:
    """The claims that are still wanted, flat unit to phase, and the verdicts on the others."""

    def __init__(self, prepared: Prepared, encoding: Encoding, phases: Mapping[int, int]) -> None:
        self.prepared = prepared
        self.encoding = encoding
        variables, equations, relus = encoding.up_to(phases)
        self.constraints = program(
            encoding.lower[:variables],
            encoding.upper[:variables],
            encoding.equations[:equations],
            encoding.relus[:relus],
        )
        columns = range(variables, variables + relus)
        self.binary: dict[int, int] = dict(
            zip(encoding.relus[:relus, 0].tolist(), columns, strict=True)
        )  # of a unit's variable
        self.wanted: dict[int, int] = {}
        self.verdicts: dict[int, Refuted | Hint | Open] = {}
        for unit, phase in phases.items():
            if encoding.units[unit].variable >= 0:
                self.wanted[unit] = phase
            else:
                self.verdicts[unit] = self._stable(unit, phase)

    def _stable(self, unit: int, phase: int) -> Refuted | Hint | Open:
        """A unit that has no binary: the intervals show its phase, or it is a constant; any point tells."""
        if self.encoding.units[unit].phase == phase:
            return Hint(INTERVALS, phase)
        return self._near(self.encoding.point(np.zeros(self.encoding.box.dimension)), unit, phase)

    def _near(self, point: Array, unit: int, phase: int) -> Refuted | Open:
        """What eval32 says of a claim at and near a point."""
        witness = confirmed(self.prepared, self.encoding.box, point, unit, phase)
        return Open(UNCONFIRMED) if witness is None else Refuted(witness)

    @property
    def enough(self) -> float:
        """A gain below that of every solution (the objective leaves out the number of units hoped active)."""
        return 1 / 2 - sum(phase > 0 for phase in self.wanted.values())

    def program(self) -> Program:
        """Find a point where a wanted claim fails."""
        columns = {phase: [self._column(u) for u, p in self.wanted.items() if p == phase] for phase in (-1, 1)}
        return at_least_one(self.constraints, np.array(columns[-1], np.int64), np.array(columns[1], np.int64))

    def _column(self, unit: int) -> int:
        """The binary that says whether an unstable unit is active."""
        return self.binary[self.encoding.units[unit].variable]

    def take(self, outcome: Answer[Optimum] | Killed | Crashed) -> None:
        """Draw the conclusions; at least one claim is settled."""
        match outcome:
            case Answer(optimum, _):
                before = len(self.wanted)
                if optimum.values is not None:
                    self._try(optimum.values)
                if optimum.infeasible:
                    self._settle({unit: Hint(NAME, phase) for unit, phase in self.wanted.items()})
                elif len(self.wanted) == before:
                    self._settle(dict.fromkeys(self.wanted, Open(optimum.words)))
            case Killed():
                self._settle(dict.fromkeys(self.wanted, Open(TIME)))
            case Crashed(why, _):
                self._settle(dict.fromkeys(self.wanted, Open(f"{NAME}: {why}")))

    def _try(self, values: Array) -> None:
        """Settle the claims that eval32 contradicts at the solution, and those that only the solver says fail there."""
        box, point = self.encoding.box, self.encoding.point(values[: self.encoding.box.dimension])
        phases = np.zeros(self.prepared.relu_units, np.int8)
        phases[list(self.wanted)] = list(self.wanted.values())
        witness = inside(point[None], box)[0]
        refuted = set(np.flatnonzero(contradicted(self.prepared, witness, phases)).tolist())
        settled: dict[int, Refuted | Hint | Open] = {unit: Refuted(witness) for unit in refuted}
        for unit, phase in self.wanted.items():
            if unit not in refuted and (values[self._column(unit)] > 1 / 2) == (phase < 0):
                settled[unit] = self._near(point, unit, phase)
        self._settle(settled)

    def _settle(self, verdicts: Mapping[int, Refuted | Hint | Open]) -> None:
        """Move claims from the wanted to those with a verdict."""
        self.verdicts.update(verdicts)
        self.wanted = {unit: phase for unit, phase in self.wanted.items() if unit not in verdicts}
