"""Mixed-integer programs as advisers (the only importer of highspy): `maximise`, and one program per unit.

Floating point with tolerances: "infeasible" is no more than a `Hint`, and a solution counts once eval32 confirms it.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from slicer.bounds.linear import Prepared
from slicer.search.solvers.advice import Advice, Reply, ask
from slicer.search.solvers.child import Limit
from slicer.search.solvers.program import Program, program
from slicer.search.solvers.query import Encoding, Question
from slicer.search.verdict import TIME

NAME = "milp"

# A scaled target above this is a solution worth trying: it leaves room for float32 and for the solver's tolerance.
ENOUGH = 1e-4
# HiGHS' feasibility tolerance of mixed-integer programs: a smaller target is none.
TOLERANCE = 1e-6
# Share of the time that the solver is told it has: the rest is for building, and for handing back what it found.
SHARE = 0.9
# HiGHS 1.15 with presolve called 4 of 29,000 feasible small programs infeasible, none without; restarts presolve again.
# Without, these programs are solved as fast.
OPTIONS = {"output_flag": False, "threads": 1, "presolve": "off", "mip_allow_restart": False}


@dataclass(frozen=True, eq=False, slots=True)
class Optimum:
    """What HiGHS says of a program.

    Attributes
    ----------
    infeasible, optimal:
        Whether it says that there is no solution, or that ``values`` has the largest gain; neither when it was stopped.
    values:
        The best solution found, by column, None if there is none.
    gain:
        Its gain; −infinity if there is none.
    words:
        `TIME`, or HiGHS' name of the outcome.
    """

    infeasible: bool
    optimal: bool
    values: NDArray[np.float64] | None
    gain: float
    words: str


def ask_milp(prepared: Prepared, encoding: Encoding, unit: int, phase: int, limit: Limit) -> Advice:
    """Whether the unit can leave its phase (−1 inactive, +1 active) on the encoding's box."""
    return ask(NAME, solve, prepared, encoding, (unit, phase), limit)


def solve(question: Question, seconds: float) -> Reply:
    """Maximise the target, which is at least 0, until it exceeds `ENOUGH`, in this process."""
    constraints = program(question.lower, question.upper, question.equations, question.relus)
    constraints.gain[question.target] = 1.0
    optimum = maximise(constraints, seconds, ENOUGH)
    excluded = optimum.infeasible or (optimum.optimal and optimum.gain <= TOLERANCE)
    inputs = None if optimum.values is None else optimum.values[: question.n_in]
    return Reply(excluded, inputs, optimum.words)


def maximise(constraints: Program, seconds: float, enough: float) -> Optimum:
    """Run HiGHS on one thread, in this process, until the optimum, a gain above ``enough``, or its time limit.

    Raises
    ------
    ValueError
        If HiGHS refuses the program.
    """
    highs = highspy.Highs()
    for option, value in {**OPTIONS, "time_limit": SHARE * seconds, "objective_target": -enough}.items():
        assert highs.setOptionValue(option, value) == highspy.HighsStatus.kOk, option
    if highs.passModel(_model(constraints)) == highspy.HighsStatus.kError:
        raise ValueError("HiGHS refuses the program")
    highs.run()
    return _optimum(highs)


def _model(constraints: Program) -> highspy.HighsLp:
    """The program in HiGHS' terms, as a minimisation."""
    model, rows = highspy.HighsLp(), constraints.rows
    model.num_col_, model.num_row_ = len(constraints.lower), len(rows.lower)
    model.col_cost_ = -constraints.gain
    model.col_lower_, model.col_upper_ = constraints.lower, constraints.upper
    model.row_lower_, model.row_upper_ = rows.lower, rows.upper
    kinds = highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger
    model.integrality_ = [kinds[int(binary)] for binary in constraints.binary]
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = rows.start, rows.index, rows.value
    return model


def _optimum(highs: highspy.Highs) -> Optimum:
    """The outcome of a run."""
    status, info = highs.getModelStatus(), highs.getInfo()
    found = info.primal_solution_status == highspy.kSolutionStatusFeasible
    stopped = status == highspy.HighsModelStatus.kTimeLimit
    return Optimum(
        status == highspy.HighsModelStatus.kInfeasible,
        status == highspy.HighsModelStatus.kOptimal,
        np.array(highs.getSolution().col_value) if found else None,
        -float(info.objective_function_value) if found else -np.inf,
        TIME if stopped else f"{NAME}: {highs.modelStatusToString(status)}",
    )
