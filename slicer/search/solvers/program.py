"""A question as a mixed-integer program: one binary per unstable unit, big-M from its own bounds.

The formulation of Tjeng, Xiao, Tedrake, *Evaluating Robustness of Neural Networks with Mixed Integer Programming*,
ICLR 2019; its linear relaxation is the triangle of every unit. Plain arrays: no solver is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slicer.search.solvers.query import Form

Array = NDArray[np.float64]

# Bounds that equations imply are given wider by this much. Ours exceed the implied ones by the rounding noise, about
# 1e-6 in scaled units: HiGHS 1.15, whose tolerance that is, then called a few feasible programs infeasible.
WIDER = 1e-3


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Linear constraints ``lower <= A·x <= upper`` with A by rows: ``start[i]:start[i+1]`` are the entries of row i."""

    start: NDArray[np.int32]
    index: NDArray[np.int32]
    value: Array
    lower: Array
    upper: Array


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """Maximise ``gain · x`` over the rows and column bounds, columns of ``binary`` in {0, 1}.

    Columns are the variables, then one binary per ReLU constraint: 1 where the unit is active.
    """

    lower: Array
    upper: Array
    binary: NDArray[np.bool_]
    gain: Array
    rows: Rows


def program(lower: Array, upper: Array, equations: Sequence[Form], relus: NDArray[np.int64]) -> Program:
    """The constraints of a question or an encoding, without an objective.

    ``lower`` of 0 is meant (a post-activation, a target); all other bounds but the inputs' follow from the equations.

    Per ReLU constraint (z, h) with binary a and bounds l < 0 < u of z:  h >= z,  h <= z − l·(1 − a),  h <= u·a.
    """
    variables, count = len(lower), len(relus)
    before, after = relus[:, 0], relus[:, 1]
    active = np.arange(variables, variables + count)
    low, high, one = lower[before], upper[before], np.ones(count)
    infinite = np.full(count, np.inf)
    parts = [
        _equations(equations),
        _block([after, before], [one, -one], 0 * one, infinite),
        _block([after, before, active], [one, -one, -low], -infinite, -low),
        _block([after, active], [one, -high], -infinite, 0 * one),
    ]
    implied = np.zeros(variables)
    implied[[form.indices[-1] for form in equations]] = implied[after] = WIDER
    return Program(
        np.concatenate([np.where(lower < 0, lower - implied, lower), 0 * one]),
        np.concatenate([upper + implied, one]),
        np.repeat([False, True], [variables, count]),
        np.zeros(variables + count),
        _joined(parts),
    )


def at_least_one(base: Program, wanted_on: NDArray[np.int64], wanted_off: NDArray[np.int64]) -> Program:
    """The program with the gain Σ a over ``wanted_on`` plus Σ (1 − a) over ``wanted_off``, which must reach 1.

    The objective leaves out the constant, the number of ``wanted_off``.
    """
    gain = base.gain.copy()
    gain[wanted_on], gain[wanted_off] = 1.0, -1.0
    columns = np.flatnonzero(gain)
    floor = np.array([1.0 - len(wanted_off)])
    row = _block(
        [columns[i : i + 1] for i in range(len(columns))], list(gain[columns][:, None]), floor, np.array([np.inf])
    )
    return replace(base, gain=gain, rows=_joined([base.rows, row]))


def _equations(equations: Sequence[Form]) -> Rows:
    """Every form equal to zero."""
    sizes = [len(form.indices) for form in equations]
    right = np.array([-form.constant for form in equations], np.float64)
    empty = [np.zeros(0)]
    return Rows(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        np.concatenate([*empty, *(form.indices for form in equations)]).astype(np.int32),
        np.concatenate([*empty, *(form.coefficients for form in equations)]),
        right,
        right,
    )


def _block(columns: Sequence[NDArray[np.int64]], values: Sequence[Array], lower: Array, upper: Array) -> Rows:
    """Equally long rows: the i-th has the i-th of each of ``columns`` and ``values``."""
    index, value = np.stack(columns, axis=1), np.stack(values, axis=1)
    start = np.arange(len(index) + 1) * index.shape[1]
    return Rows(start.astype(np.int32), index.ravel().astype(np.int32), value.ravel(), lower, upper)


def _joined(parts: Sequence[Rows]) -> Rows:
    """All rows, one part after the other."""
    offsets = np.cumsum([0, *(len(part.index) for part in parts[:-1])])
    starts = [part.start[:-1] + offset for part, offset in zip(parts, offsets, strict=True)]
    index = np.concatenate([part.index for part in parts])
    return Rows(
        np.concatenate([*starts, [len(index)]]).astype(np.int32),
        index,
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.lower for part in parts]),
        np.concatenate([part.upper for part in parts]),
    )
