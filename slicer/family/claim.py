"""What is claimed of a family's members: the strength of equivalence, with what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

from dispatcher.plan import Decision, Mode


@dataclass(frozen=True, slots=True)
class Claim:
    """The same bits, or the same ``decision``, or outputs within ``epsilon`` (a float32 number for each)."""

    decision: Decision | None = None
    epsilon: tuple[float, ...] | None = None

    @property
    def mode(self) -> Mode:
        """The strength in one word."""
        if self.decision is not None:
            return "decision"
        return "bitwise" if self.epsilon is None else "epsilon"


BITWISE = Claim()
