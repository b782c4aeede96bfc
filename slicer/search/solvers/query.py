"""What a solver is asked, in no solver's language: whether a ReLU unit can leave its phase on a box.

Invariant: every variable's bounds are finite, ordered, and of width at most 2, and contain the values that real
arithmetic gives it on the box. The equations are those of real arithmetic: rounding noise is left out, so an answer
says nothing about float32 until eval32 has confirmed it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from slicer.box import Box

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Form:
    """An affine form Σ coefficients·variables[indices] + constant; indices ascend, ``[k]`` and ``[k]``."""

    indices: NDArray[np.int64]
    coefficients: Array
    constant: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.coefficients).all() and np.isfinite(self.constant)):
            raise UnusableInput("expected finite coefficients after rescaling, got NaN or infinity", where="query")

    def times(self, factor: float) -> Form:
        """The form multiplied by a number."""
        return Form(self.indices, self.coefficients * factor, self.constant * factor)

    def minus(self, variable: int) -> Form:
        """The form less a variable that comes after all of its own."""
        return Form(np.append(self.indices, variable), np.append(self.coefficients, -1.0), self.constant)


@dataclass(frozen=True, eq=False, slots=True)
class Unit:
    """A ReLU unit's pre-activation z in units of its interval's half-width.

    Attributes
    ----------
    form:
        z over the variables of earlier layers.
    lower, upper:
        Bounds of z.
    variable:
        The variable that equals z where the unit is unstable and depends on the input, −1 elsewhere.
    before:
        How many variables, equations and ReLU constraints the earlier layers have: all that z depends on.
    """

    form: Form
    lower: float
    upper: float
    variable: int
    before: tuple[int, int, int]

    @property
    def phase(self) -> int:
        """The phase that the interval alone shows: −1 inactive, +1 active, 0 unstable."""
        return -1 if self.upper <= 0 else int(self.lower >= 0)


@dataclass(frozen=True, eq=False, slots=True)
class Question:
    """Whether an assignment within the bounds meets all equations and ReLU constraints.

    The last variable is the target t = −phase·z, bounded below by 0. The first ones are the inputs on [−1, 1].

    Attributes
    ----------
    lower, upper:
        Bounds of the variables ``[n]``.
    equations:
        Forms that equal zero; each ends with a variable that no earlier one has.
    relus:
        Pairs (z, relu(z)) of variables ``[k, 2]``.
    n_in:
        Number of inputs.
    """

    lower: Array
    upper: Array
    equations: tuple[Form, ...]
    relus: NDArray[np.int64]
    n_in: int

    def __post_init__(self) -> None:
        check_bounds(self.lower, self.upper)

    @property
    def target(self) -> int:
        """The target's variable."""
        return len(self.lower) - 1


@dataclass(frozen=True, eq=False, slots=True)
class Encoding:
    """A network on a box, rescaled: inputs to [−1, 1], every unit by its interval's half-width.

    Units that the intervals show inactive have no variable, stably active ones one (shifted to [−1, 1]), unstable ones
    two, z and relu(z), related by a ReLU constraint. Units that do not depend on the input have none either.

    Attributes
    ----------
    lower, upper, equations, relus:
        As in `Question`, of all layers, in the order of the layers.
    units:
        Every ReLU unit by its flat number.

    Raises
    ------
    UnusableInput
        If a bound or a coefficient is NaN or infinite, or bounds cross.
    """

    box: Box
    lower: Array
    upper: Array
    equations: tuple[Form, ...]
    relus: NDArray[np.int64]
    units: tuple[Unit, ...]

    def __post_init__(self) -> None:
        check_bounds(self.lower, self.upper)

    def question(self, unit: int, phase: int) -> Question | None:
        """Whether the unit can leave its phase (−1 inactive, +1 active); None if the intervals exclude it."""
        asked = self.units[unit]
        upper = asked.upper if phase < 0 else -asked.lower
        if upper <= 0:
            return None
        variables, equations, relus = asked.before
        target = asked.form.times(-float(phase)).minus(variables)
        return Question(
            np.append(self.lower[:variables], 0.0),
            np.append(self.upper[:variables], upper),
            (*self.equations[:equations], target),
            self.relus[:relus],
            self.box.dimension,
        )

    def up_to(self, units: Collection[int]) -> tuple[int, int, int]:
        """How many variables, equations and ReLU constraints these units' layers and all earlier ones have."""
        deepest = max((self.units[unit].before for unit in units), default=(0, 0, 0))
        whole = len(self.lower), len(self.equations), len(self.relus)
        return min((unit.before for unit in self.units if unit.before > deepest), default=whole)

    def point(self, inputs: Array) -> Array:
        """The input that scaled values ``[n_in]`` stand for, ``[n_in]``; it may lie outside the box by rounding."""
        lower, upper = self.box.lower.astype(np.float64), self.box.upper.astype(np.float64)
        return (lower + upper) / 2 + (upper - lower) / 2 * inputs


def check_bounds(lower: Array, upper: Array) -> None:
    """Refuse bounds on which solvers have been seen to answer anything: NaN, infinite or crossing ones.

    Raises
    ------
    UnusableInput
        Naming the first variable.
    """
    wrong = ~(np.isfinite(lower) & np.isfinite(upper) & (lower <= upper))
    if wrong.any():
        first = int(wrong.argmax())
        raise UnusableInput(
            f"expected finite bounds with lower <= upper, got {lower[first]}:{upper[first]}",
            where=f"query variable {first}",
        )
