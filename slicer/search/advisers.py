"""Which solver to ask, and what its word may do: direct the search, or remove a unit without a proof (attested)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from slicer.search.advised import Adviser, Ask
from slicer.search.solvers.marabou import ask_marabou
from slicer.search.solvers.milp import ask_milp

SOLVERS: dict[str, Ask] = {"marabou": ask_marabou, "milp": ask_milp}


@dataclass(frozen=True, slots=True)
class Advising:
    """The same for all cells of a run.

    Attributes
    ----------
    solver:
        A name of `SOLVERS`.
    seconds:
        Clock time for a question; how much a solver finds out in it depends on the machine.
    trusted:
        Whether a unit that it calls inactive is removed where search finds no proof.
    """

    solver: str
    seconds: float
    trusted: bool = False

    def adviser(self, end: float = math.inf) -> Adviser:
        """Whom to ask, until a clock time (`time.time`)."""
        return Adviser(SOLVERS[self.solver], self.seconds, end)
