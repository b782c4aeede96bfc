"""What work in a part of a cell is expected to count, in mode ``decision``: nothing where one output always wins.

That is expected where it wins at all points, and the margins of all others are expected to be proved. Elsewhere work
counts half at least, and the more the more often another output wins: where few points are in the way, few more cuts
leave most of the part without work.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatcher.plan import Decision

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Stakes:
    """The outputs of a network and what is decided by them."""

    def __init__(self, decision: Decision, outputs: int) -> None:
        self._decision, self._outputs = decision, outputs

    def wins(self, scores: Array) -> Array:
        """1 where an output wins, else 0, for outputs at some points ``[m, n_out]``."""
        best = scores.argmax(axis=1) if self._decision == "argmax" else scores.argmin(axis=1)
        result = np.zeros(scores.shape)
        result[np.arange(len(scores)), best] = 1
        return result

    def weight(self, wins: Array, stay: Mask) -> Array:
        """What a multiply-accumulate counts ``[…]``.

        Parameters
        ----------
        wins:
            How often each output wins at the points ``[…, n_out]``, at least once in all.
        stay:
            Which ReLU units are expected to stay, the margins last ``[…, n_relu]``.
        """
        n = self._outputs
        others = 1 - wins.max(axis=-1) / wins.sum(axis=-1)
        against = wins.argmax(axis=-1)
        margins = stay[..., -n * n :].reshape(*stay.shape[:-1], n, n)
        unproved = np.take_along_axis(margins, against[..., None, None], axis=-1)[..., 0] & (
            np.arange(n) != against[..., None]
        )
        return np.where((others > 0) | unproved.any(axis=-1), (1 + np.sqrt(others)) / 2, 0.0)
