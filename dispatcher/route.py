"""`Router`: the routing tree as arrays, walked for all rows of a batch at a time, comparing float32 with float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatcher.tree import Leaf, Split, Tree


class Router:
    """Finds the cell of every input.

    Parameters
    ----------
    tree:
        A valid routing tree (see `dispatcher.tree.check_tree`).
    """

    def __init__(self, tree: Tree) -> None:
        splits = [node if isinstance(node, Split) else Split(0, 0.0, 0, 0) for node in tree]
        self._axis = np.array([split.axis for split in splits], np.int64)
        self._threshold = np.array([split.threshold for split in splits], np.float32)
        self._next = np.array([[split.high, split.low] for split in splits], np.int64)  # [node, outcome of the test]
        self._cell = np.array([node.cell if isinstance(node, Leaf) else -1 for node in tree], np.int64)

    def __call__(self, points: NDArray[np.float32]) -> NDArray[np.int64]:
        """Cell indices ``[batch]`` of float32 points ``[batch, n_in]``."""
        node = np.zeros(len(points), np.int64)
        active = np.arange(len(points))
        while True:
            active = active[self._cell[node[active]] < 0]
            if not active.size:
                break
            at = node[active]
            low = points[active, self._axis[at]] <= self._threshold[at]
            node[active] = self._next[at, low.astype(np.int64)]
        cells: NDArray[np.int64] = self._cell[node]
        return cells
