"""Who wins in a cell, in mode ``decision``: the parent extended by its margins, and which of them are worth a proof.

Unit k·n + i of the margins is output k less output i (for ``argmin`` the other way round), CERTIFICATE.md §5: output k
does not win where one of its margins is inactive. Nothing here proves anything; search treats margins as it treats all
other units.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from dispatcher.layers import Relu, dense
from dispatcher.plan import Decision
from slicer.network import Network

Mask = NDArray[np.bool_]
MOST_OUTPUTS = 64  # margins are as many as pairs of outputs


def check_contest(network: Network) -> None:
    """Refuse networks that decide nothing, or between very many outputs.

    Raises
    ------
    UnusableInput
        If there are less than two outputs, or more than `MOST_OUTPUTS`.
    """
    if not 2 <= network.n_out <= MOST_OUTPUTS:
        raise UnusableInput(
            f"expected 2 to {MOST_OUTPUTS} outputs to decide between, got {network.n_out}", where="--mode decision"
        )


def with_margins(network: Network, decision: Decision) -> Network:
    """The network followed by its margins, a dense layer and a relu layer of n² units."""
    last, n = len(network.layers) - 1, network.n_out
    rows = (np.eye(n)[:, None] - np.eye(n)).reshape(n * n, n)
    sign = 1 if decision == "argmax" else -1
    return Network((*network.layers, dense(last, sign * rows, name="margins"), Relu(last + 1, n * n, "lost")))


class Contest:
    """The outputs' margins in the flat numbering of ReLU units: they come last.

    Parameters
    ----------
    relu_units:
        Number of ReLU units, the ``outputs``² margins among them.
    """

    def __init__(self, relu_units: int, outputs: int) -> None:
        self.outputs, self.units, self.own = outputs, relu_units, relu_units - outputs**2

    def wanted(self, largest: NDArray[np.float64]) -> tuple[Mask, int | None]:
        """The margins to prove ``[n_relu]``, and the output that seems to win everywhere, if there is one.

        ``largest`` are the largest values seen of all units ``[n_relu]``. An output that always loses against one that
        may win is to lose against the one that it stays farthest behind.
        """
        behind = largest[self.own :].reshape(self.outputs, self.outputs)
        loses = behind < 0
        may_win = ~loses.any(axis=1)
        against = np.where(may_win, behind, np.inf).argmin(axis=1)
        lost = np.flatnonzero(~may_win & loses[np.arange(self.outputs), against])
        wanted = np.zeros(self.units, bool)
        wanted[self.own + lost * self.outputs + against[lost]] = True
        only = int(np.flatnonzero(may_win)[0]) if may_win.sum() == 1 == self.outputs - len(lost) else None
        return wanted, only

    def classes(self, closed: Mask) -> tuple[list[int], NDArray[np.int64]]:
        """The outputs that may win, and one closed margin against one of them for every other, ascending flat numbers.

        ``closed`` says which units are proved inactive on the whole cell ``[n_relu]``.
        """
        proved = closed[self.own :].reshape(self.outputs, self.outputs)
        beaten = proved.any(axis=1)
        behind = proved & ~beaten  # against outputs that nobody beats
        lost = np.flatnonzero(behind.any(axis=1))
        classes = [int(output) for output in np.setdiff1d(np.arange(self.outputs), lost)]
        return classes, self.lost(closed, classes)

    def lost(self, closed: Mask, classes: Collection[int]) -> NDArray[np.int64]:
        """One closed margin of every output outside of ``classes`` against one of these, ascending flat numbers."""
        may_win = np.isin(np.arange(self.outputs), list(classes))
        behind, others = closed[self.own :].reshape(self.outputs, self.outputs) & may_win, np.flatnonzero(~may_win)
        return np.asarray(self.own + others * self.outputs + behind[others].argmax(axis=1))
