"""How a cell, or a block of cells, is searched."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from slicer.search.advised import Adviser
from slicer.search.advisers import Advising


@dataclass(frozen=True, slots=True)
class Terms:
    """How much to search, and until when.

    Attributes
    ----------
    effort:
        Work units (bounded boxes).
    seed:
        Of random points, with the number of the cell.
    end:
        Clock time (`time.time`) at which search stops.
    advising:
        Which solver to ask about what search leaves open; None for none.
    attempts:
        Whether to try claims after which nothing of the network is left.
    """

    effort: int
    seed: int
    end: float = math.inf
    advising: Advising | None = None
    attempts: bool = True

    def stopped(self) -> bool:
        """Whether time is up."""
        return time.time() > self.end

    def adviser(self) -> Adviser | None:
        """Whom to ask."""
        return self.advising.adviser(self.end) if self.advising else None

    @property
    def trusting(self) -> bool:
        """Whether the adviser's word is enough to remove a unit."""
        return self.advising is not None and self.advising.trusted
