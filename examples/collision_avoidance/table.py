"""States between the table's grid points, what the network learns of them, and how well an advisor agrees with it.

A state is a row range, bearing, relative heading, own speed, intruder speed: the network's five inputs, in this order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from examples.collision_avoidance.encounter import ANGLE, RANGE, SPEED, Array, locate

INPUTS = ("range", "bearing", "relative_heading", "own_speed", "intruder_speed")
LOWER = np.array([RANGE[0], ANGLE[0], ANGLE[0], SPEED[0], SPEED[0]])
UPPER = np.array([RANGE[-1], ANGLE[-1], ANGLE[-1], SPEED[-1], SPEED[-1]])

# A cost this far above the best advisory's is as bad as any: the network spends no accuracy beyond.
COST_CAP = 20.0


def interpolate(table: NDArray[np.float32], states: Array) -> NDArray[np.float32]:
    """Costs ``[n, 5]`` of any states ``[n, 5]`` of the domain, linear between grid points along every axis."""
    order = (3, 4, 0, 1, 2)  # the table's axes as columns of a state
    grids = (SPEED, SPEED, RANGE, ANGLE, ANGLE)
    located = [locate(grid, states[:, column]) for grid, column in zip(grids, order, strict=True)]
    costs = np.zeros((len(states), table.shape[-1]), np.float32)
    for corner in np.ndindex(*(2,) * len(grids)):
        index = tuple(low + offset for (low, _), offset in zip(located, corner, strict=True))
        factors = [share if offset else 1 - share for (_, share), offset in zip(located, corner, strict=True)]
        costs += np.prod(factors, axis=0).astype(np.float32)[:, None] * table[index]
    return costs


def sample_states(count: int, rng: np.random.Generator, *, nearness: float = 1.0) -> Array:
    """Random states ``[count, 5]``: uniform over the domain, with the range drawn as 12 km · u^nearness."""
    uniform = rng.random((count, len(LOWER)))
    uniform[:, 0] **= nearness
    states: Array = LOWER + uniform * (UPPER - LOWER)
    return states


def excess(costs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cost above the best advisory's, at most `COST_CAP`: what the network learns."""
    above: NDArray[np.float32] = costs - costs.min(axis=1, keepdims=True)
    return np.minimum(above, np.float32(COST_CAP))


@dataclass(frozen=True)
class Agreement:
    """How an advisor compares with the table on a set of states.

    Attributes
    ----------
    same:
        Share of states with the table's advisory.
    same_alert:
        The same among states in which the table gives an alert, i.e. not clear of conflict.
    regret:
        Mean cost, by the table, of the advisor's choice above the best choice.
    nearly:
        Share of states whose choice costs at most one weak advisory step (5) more than the best.
    """

    same: float
    same_alert: float
    regret: float
    nearly: float


def agreement(scores: NDArray[np.float32], costs: NDArray[np.float32]) -> Agreement:
    """Compare scores of an advisor with costs of the table, both ``[n, 5]``; the lowest wins in both."""
    chosen, best = scores.argmin(axis=1), costs.argmin(axis=1)
    regret = np.take_along_axis(costs, chosen[:, None], axis=1)[:, 0] - costs.min(axis=1)
    same, alert = chosen == best, best > 0
    return Agreement(
        float(same.mean()), float(same[alert].mean()), float(regret.mean(dtype=float)), float((regret <= 5.0).mean())
    )
