"""What search says about one candidate. Only a checker's acceptance of the proof makes `Proved` count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Proved:
    """The tree closes the unit on every path; ``phase`` is −1 (inactive) or +1 (active)."""

    phase: int


@dataclass(frozen=True, eq=False, slots=True)
class Refuted:
    """A float32 input ``[n_in]`` at which eval32 gives the unit the other phase."""

    witness: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Open:
    """Neither, and why."""

    reason: str


Verdict = Proved | Refuted | Open
EFFORT = "effort spent"
TIME = "time limit"
UNCONFIRMED = "witness not confirmed by eval32"
