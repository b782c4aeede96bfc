"""Which inputs to ask a deployed copy: greedily those that reveal most of what the inputs before them did not.

Three things are to be revealed: both sides of every border (a wrong threshold moves the cell), for every cell each
member that does not belong there (a unit that it lacks is active), and the bits of every member's weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatcher.inspection.sensitivity import BITS, Floats, visible_bits
from dispatcher.interpret import evaluate_all
from dispatcher.layers import Dense, Relu
from dispatcher.plan import Family, member_layers
from dispatcher.route import Router
from dispatcher.vectors import Points, border_sides, box_points, cell_boxes

CANDIDATES = 8  # among which the best is taken


def inspection_points(family: Family, count: int, seed: int = 0) -> Points:
    """Inputs ``[count, n_in]`` of the domain; the same for the same family, count and seed.

    Both sides of every border come first, those of cells before the others, if the count allows; then inputs of the
    cells about which least is known.
    """
    rng = np.random.default_rng(seed)
    known = _Known(family)
    chosen = [known.best(side.points(CANDIDATES, rng)) for side in border_sides(family)[:count]]
    boxes = cell_boxes(family)
    while len(chosen) < count:
        lower, upper = boxes[known.least_known_cell()]
        chosen.append(known.best(box_points(lower, upper, CANDIDATES, rng)))
    return np.array(chosen, np.float32).reshape(count, len(family.lower))


class _Known:
    """What the chosen inputs reveal: the bits of every member's weights, and misplaced members of every cell."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.route = Router(family.tree)
        self.layers = [member_layers(family.parent, member) for member in family.members]
        self.bits: list[list[Floats]] = [
            [np.zeros(layer.weight.shape) for layer in layers if isinstance(layer, Dense)] for layers in self.layers
        ]
        self.weights = [max(1, sum(bits.size for bits in of_member)) for of_member in self.bits]
        self.relus = [position for position, layer in enumerate(family.parent) if isinstance(layer, Relu)]
        self.lacking = _lacking_units(family, self.relus)
        self.misplaced = np.zeros((len(family.cells), len(family.members)), np.bool_)
        self.unknown = np.full(len(family.cells), 2.0)  # what was still to be gained in a cell when it was last asked

    def best(self, candidates: Points) -> Points:
        """The candidate ``[n_in]`` of one cell that reveals most, which then is known."""
        cell = int(self.route(candidates[:1])[0])
        member = self.family.cells[cell]
        bits = visible_bits(self.layers[member], candidates)
        misplaced = self._misplaced(candidates)
        gains = (misplaced & ~self.misplaced[cell]).mean(axis=1)
        for new, old in zip(bits, self.bits[member], strict=True):
            gains += np.maximum(new - old, 0).sum(axis=(1, 2)) / (BITS * self.weights[member])
        index = int(gains.argmax())
        self.misplaced[cell] |= misplaced[index]
        self.bits[member] = [np.maximum(old, new[index]) for new, old in zip(bits, self.bits[member], strict=True)]
        self.unknown[cell] = gains[index]
        best: Points = candidates[index]
        return best

    def _misplaced(self, points: Points) -> NDArray[np.bool_]:
        """Which members ``[n_points, n_members]`` lack a unit that is active."""
        values = evaluate_all(self.family.parent, points)
        active = np.concatenate([values[position] > 0 for position in self.relus] or [points[:, :0] > 0], axis=1)
        wrong: NDArray[np.bool_] = active.astype(np.float32) @ self.lacking.T > 0
        return wrong

    def least_known_cell(self) -> int:
        """The cell whose last input revealed most; cells that were not asked come before all others."""
        return int(self.unknown.argmax())


def _lacking_units(family: Family, relus: list[int]) -> NDArray[np.float32]:
    """Which ReLU units ``[n_members, n_units]`` a member lacks: 0 or 1."""
    rows = []
    for member in family.members:
        row = [np.ones(family.parent[position].width, np.float32) for position in relus]
        for position, lacking in zip(relus, row, strict=True):
            lacking[list(member.layers[position].units)] = 0
        rows.append(np.concatenate([*row, np.zeros(0, np.float32)]))
    return np.array(rows, np.float32)
