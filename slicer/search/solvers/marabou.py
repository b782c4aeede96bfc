"""Marabou as adviser (the only importer of maraboupy): one query per unit, as Lahav and Katz ask it.

Its UNSAT has been measured to be wrong where a variable's range is below 1e-5, hence the rescaled encoding, and hence
no more than a `Hint`. Wu et al., *Marabou 2.0: A Versatile Formal Analyzer of Neural Networks*, CAV 2024; Lahav, Katz,
*Pruning and Slicing Neural Networks using Formal Verification*, FMCAD 2021.
"""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from slicer.bounds.linear import Prepared
from slicer.search.solvers.advice import Advice, Reply, ask
from slicer.search.solvers.child import Limit
from slicer.search.solvers.query import Encoding, Form, Question
from slicer.search.verdict import TIME, Open

NAME = "marabou"
NOT_INSTALLED = "marabou: maraboupy is not installed (it has wheels for CPython 3.8 to 3.11 only)"


def ask_marabou(prepared: Prepared, encoding: Encoding, unit: int, phase: int, limit: Limit) -> Advice:
    """Whether the unit can leave its phase (−1 inactive, +1 active) on the encoding's box."""
    if not installed():
        return Advice(Open(NOT_INSTALLED), 0.0)
    return ask(NAME, solve, prepared, encoding, (unit, phase), limit)


def installed() -> bool:
    """Whether there is a Marabou to ask."""
    return _core() is not None


def solve(question: Question, seconds: float) -> Reply:
    """One query in this process: it prints, replaces signal handlers and may not end, so run it in a child."""
    if len(question.equations[-1].indices) == 1:  # a constant, and Marabou fails on targets that depend on nothing
        return Reply(question.equations[-1].constant < 0, np.zeros(question.n_in), "constant")
    core = _core()
    assert core is not None  # ask_marabou made sure of it
    options = core.Options()
    options._verbosity = 0
    options._timeoutInSeconds = math.ceil(seconds)
    options._numWorkers = options._numBlasThreads = 1
    status, values, _ = core.solve(_query(core, question), options, "")
    inputs = np.array([values[variable] for variable in range(question.n_in)]) if status == "sat" else None
    return Reply(status == "unsat", inputs, TIME if status == "TIMEOUT" else f"{NAME}: {status}")


def _core() -> ModuleType | None:
    """Marabou's compiled module, None where it is not installed."""
    try:
        from maraboupy import MarabouCore  # noqa: PLC0415 - optional, and not needed by most runs
    except ImportError:
        return None
    core: ModuleType = MarabouCore
    return core


def _query(core: ModuleType, question: Question) -> object:
    """The question in Marabou's terms; the target is its one output."""
    query = core.InputQuery()
    query.setNumberOfVariables(len(question.lower))
    for variable, (lower, upper) in enumerate(zip(question.lower, question.upper, strict=True)):
        query.setLowerBound(variable, float(lower))
        query.setUpperBound(variable, float(upper))
    for variable in range(question.n_in):
        query.markInputVariable(variable, variable)
    query.markOutputVariable(question.target, 0)
    for form in question.equations:
        query.addEquation(_equation(core, form))
    for before, after in question.relus.tolist():
        core.addReluConstraint(query, before, after)
    return query


def _equation(core: ModuleType, form: Form) -> object:
    """``form = 0``."""
    equation = core.Equation()
    for variable, coefficient in zip(form.indices.tolist(), form.coefficients.tolist(), strict=True):
        equation.addAddend(coefficient, variable)
    equation.setScalar(-form.constant)
    return equation
