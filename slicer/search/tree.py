"""The proof tree under construction: boxes by splits, and the phases closed at each node.

Invariant: a node's closings are phases that its own box's bounds proved with the facts of its ancestors; children cover
their parent's box. The tree says nothing about which units matter: `trim` keeps what a set of removals needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Units = NDArray[np.int64]
Corner = NDArray[np.float32]


@dataclass(eq=False, slots=True)
class TreeNode:
    """One node: flat numbers of the ReLU units closed here, and the split below it if there is one."""

    inactive: Units
    active: Units
    axis: int = -1
    threshold: float = 0.0
    children: tuple[int, int] | None = None


def _only(node: TreeNode, removed: Units, limit: int) -> TreeNode:
    """The node with the inactive closings of ``removed``, and any closings of units below ``limit``."""
    inactive = node.inactive[np.isin(node.inactive, removed) | (node.inactive < limit)]
    return replace(node, inactive=inactive, active=node.active[node.active < limit])


@dataclass(eq=False)
class ProofTree:
    """Nodes in creation order; node 0 is the root. Children come after their parent."""

    nodes: list[TreeNode] = field(default_factory=list)

    def add(self, inactive: Units, active: Units) -> int:
        """Append a node without a split; returns its index."""
        self.nodes.append(TreeNode(inactive, active))
        return len(self.nodes) - 1

    def append(self, parent: int, side: int, child: int) -> None:
        """Make a node the low (0) or the high (1) child of another one; of none if ``parent`` is negative."""
        if parent >= 0:
            first, second = self.nodes[parent].children or (child, child)
            self.nodes[parent].children = (first, child) if side else (child, second)

    def split(self, index: int, axis: int, threshold: float, children: tuple[int, int]) -> None:
        """Turn a leaf into a split."""
        node = self.nodes[index]
        node.axis, node.threshold, node.children = axis, threshold, children

    def closed_everywhere(self, units: int) -> NDArray[np.bool_]:
        """Which of the ``units`` ReLU units are closed inactive on every path from the root to a leaf."""
        closed = np.zeros((len(self.nodes), units), bool)
        for index in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[index]
            if node.children:
                closed[index] = closed[node.children[0]] & closed[node.children[1]]
            closed[index, node.inactive] = True
        return np.asarray(closed[0])

    def trim(self, removed: Units) -> ProofTree:
        """The part that proves ``removed`` inactive, in preorder.

        Closings of other units are facts that make bounds further down tighter; they stay where something lies below.
        """
        result = ProofTree()
        self._copy(removed, self._useful(removed), result)
        return result

    def lean(self, removed: Units, tight: Iterable[tuple[int, int]] = ()) -> ProofTree:
        """The same nodes with the closings of ``removed`` only, but for the facts that closings in ``tight`` can use.

        Closings of other units help as facts below them. Few closings, (node, flat unit), need that help; the proper
        ancestors of their nodes keep the closings of earlier units (flat numbers ascend with the layers).
        """
        parent = {child: index for index, node in enumerate(self.nodes) for child in node.children or ()}
        limit: dict[int, int] = {}
        for node, unit in tight:
            above = parent.get(node)
            while above is not None and limit.get(above, -1) < unit:
                limit[above] = unit
                above = parent.get(above)
        return ProofTree([_only(node, removed, limit.get(i, -1)) for i, node in enumerate(self.nodes)])

    def within(self, lower: Corner, upper: Corner) -> ProofTree:
        """The same proof on a part of its box, in preorder; corners ``[n_in]``.

        Splits that leave the part on one side are none there; their closings are handed down.
        """
        result = ProofTree()
        stack = [(0, -1, 0, lower, upper)]
        while stack:
            index, parent, side, lower, upper = stack.pop()
            nodes = self._until_split(index, lower, upper)
            inactive, active = (np.sort(np.concatenate([getattr(n, p) for n in nodes])) for p in ("inactive", "active"))
            copy, last = result.add(inactive, active), nodes[-1]
            result.append(parent, side, copy)
            if last.children:
                result.nodes[copy].axis, result.nodes[copy].threshold = last.axis, last.threshold
                on_axis = np.arange(len(lower)) == last.axis
                stack.append((last.children[1], copy, 1, np.where(on_axis, last.threshold, lower), upper))
                stack.append((last.children[0], copy, 0, lower, np.where(on_axis, last.threshold, upper)))
        return result

    def _until_split(self, index: int, lower: Corner, upper: Corner) -> list[TreeNode]:
        """A node and those below it that hold the whole box, down to a leaf or to a split through the box's inside."""
        nodes = [self.nodes[index]]
        while nodes[-1].children:
            node = nodes[-1]
            if lower[node.axis] < node.threshold < upper[node.axis]:
                break
            nodes.append(self.nodes[nodes[-1].children[0 if upper[node.axis] <= node.threshold else 1]])
        return nodes

    def without(self, closings: Iterable[tuple[int, int]]) -> ProofTree:
        """The same tree less some closings, given as (node, flat unit)."""
        refused: dict[int, list[int]] = {}
        for node, unit in closings:
            refused.setdefault(node, []).append(unit)
        nodes = [replace(node) for node in self.nodes]
        for index, units in refused.items():
            nodes[index].inactive = np.setdiff1d(nodes[index].inactive, units)
            nodes[index].active = np.setdiff1d(nodes[index].active, units)
        return ProofTree(nodes)

    def _useful(self, removed: Units) -> NDArray[np.bool_]:
        """Which nodes have a closing of a removed unit in their subtree."""
        wanted = set(removed.tolist())
        useful = np.zeros(len(self.nodes), bool)
        for index in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[index]
            below = node.children is not None and bool(useful[list(node.children)].any())
            useful[index] = below or not wanted.isdisjoint(node.inactive.tolist())
        return useful

    def _copy(self, removed: Units, keep: NDArray[np.bool_], result: ProofTree) -> None:
        """Copy the useful part in preorder, iteratively (trees may be deep)."""
        stack: list[tuple[int, int, int]] = [(0, -1, 0)]
        while stack:
            index, parent, side = stack.pop()
            node = self.nodes[index]
            below = node.children is not None and bool(keep[list(node.children)].any())
            inactive = node.inactive if below else np.intersect1d(node.inactive, removed)
            copy = result.add(inactive, node.active if below else node.active[:0])
            result.append(parent, side, copy)
            if below and node.children:
                result.nodes[copy].axis, result.nodes[copy].threshold = node.axis, node.threshold
                stack.extend([(node.children[1], copy, 1), (node.children[0], copy, 0)])
