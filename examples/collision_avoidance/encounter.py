"""Horizontal encounters of two aircraft as a Markov decision process, solved by value iteration on a grid.

State: range r (m), bearing θ of the intruder seen from the own nose (rad, positive left), heading ψ of the intruder
relative to the own heading (rad, positive left), and the two speeds (m/s), which stay constant during an encounter.
The five decisions are the advisories of `ADVISORIES`. The idea, a table of advisory costs by dynamic programming and a
network that stands in for the table, is that of ACAS X: Kochenderfer, Holland, Chryssanthacopoulos, "Next-generation
airborne collision avoidance system", Lincoln Laboratory Journal 19(1), 2012; Julian, Kochenderfer, Owen, "Deep neural
network compression for aircraft collision avoidance systems", JGCD 42(3), 2019. Model and numbers are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = Array | float  # one for each of n states, or one for all

ADVISORIES = ("clear_of_conflict", "weak_left", "weak_right", "strong_left", "strong_right")
TURN_RATE = np.radians([0.0, 1.5, -1.5, 3.0, -3.0])  # rad/s, own turn rate that follows each advisory
ADVISORY_COST = np.array([0.0, 5.0, 5.0, 15.0, 15.0])  # per step
COLLISION_COST = 1000.0

STEP = 5.0  # s between decisions
DISCOUNT = 0.98  # per step
DANGER_RANGE = 2000.0  # m: aircraft that stay farther apart never collide

# Noise of the turn rates (own, intruder), rad/s, as five weighted points: standard deviations 0.27 and 1.1 deg/s.
NOISE = np.radians([[0.0, 0.0], [0.5, 0.0], [-0.5, 0.0], [0.0, 2.0], [0.0, -2.0]])
NOISE_PROBABILITY = np.array([0.4, 0.15, 0.15, 0.15, 0.15])

RANGE = np.concatenate([np.arange(0.0, 2000.0, 200.0), np.arange(2000.0, 12001.0, 400.0)])  # m
ANGLE = np.linspace(-np.pi, np.pi, 49)  # rad; both ends are the same direction
SPEED = np.array([50.0, 80.0, 115.0, 150.0])  # m/s


@dataclass(frozen=True)
class Transition:
    """Where one advisory and one noise point lead, for all grid states of a speed pair.

    Attributes
    ----------
    corners, weights:
        Grid positions and trilinear weights of the next states ``[8, n]``; the weights of a state that leaves the
        table's range are zero: the encounter is over.
    collision:
        Chance of a collision during the step ``[n]``.
    """

    corners: NDArray[np.int32]
    weights: NDArray[np.float32]
    collision: NDArray[np.float32]


def advance(
    state: tuple[Array, Array, Array], speeds: tuple[Numbers, Numbers], rates: tuple[Numbers, Numbers]
) -> tuple[Array, Array, Array, Array]:
    """One step of both aircraft on circular arcs.

    Parameters
    ----------
    state:
        Range, bearing and relative heading, ``[n]`` each.
    speeds, rates:
        Own and intruder's speed (m/s) and turn rate (rad/s), ``[n]`` or scalars.

    Returns
    -------
    tuple
        The next range, bearing and relative heading, and the least distance on the way, ``[n]`` each. For the distance
        chords stand for the arcs: within 5 s an arc leaves its chord by less than 37 m at 150 m/s and 4.5 deg/s.
    """
    distance, bearing, heading = state
    own_turn, intruder_turn = rates[0] * STEP, rates[1] * STEP
    start = distance * np.exp(1j * bearing)  # relative position: real axis ahead, imaginary axis left
    move = _chord(speeds[1], intruder_turn) * np.exp(1j * heading) - _chord(speeds[0], own_turn)
    share = np.clip(-(start * move.conj()).real / np.maximum(np.abs(move) ** 2, 1e-9), 0.0, 1.0)
    end = (start + move) * np.exp(-1j * own_turn)
    following = np.angle(np.exp(1j * (heading + intruder_turn - own_turn)))
    return np.abs(end), np.angle(end), following, np.abs(start + share * move)


def _chord(speed: Numbers, turn: Numbers) -> NDArray[np.complex128]:
    """Displacement during one step that turns by ``turn``, in the frame of the heading at its start."""
    length = speed * STEP * np.sinc(turn / (2 * np.pi))
    return np.asarray(length * np.exp(0.5j * turn), np.complex128)


def collision_chance(closest: Array) -> Array:
    """Chance of a collision in a step with the given least distance: (1 − d / `DANGER_RANGE`)², at least 0."""
    nearness: Array = np.clip(1.0 - closest / DANGER_RANGE, 0.0, 1.0)
    return nearness**2


def locate(grid: Array, values: Array) -> tuple[NDArray[np.int32], Array]:
    """Grid interval of each value and the position in it, 0 to 1 (values outside are moved to the ends)."""
    index = np.clip(np.searchsorted(grid, values, side="right") - 1, 0, len(grid) - 2)
    share = (values - grid[index]) / (grid[index + 1] - grid[index])
    return index.astype(np.int32), np.clip(share, 0.0, 1.0)


def transition(speeds: tuple[float, float], rates: tuple[float, float]) -> Transition:
    """The step of all grid states of a speed pair with the given turn rates."""
    shape = (len(RANGE), len(ANGLE), len(ANGLE))
    distance, bearing, heading = (axis.ravel() for axis in np.meshgrid(RANGE, ANGLE, ANGLE, indexing="ij"))
    *following, closest = advance((distance, bearing, heading), speeds, rates)
    located = [locate(grid, values) for grid, values in zip((RANGE, ANGLE, ANGLE), following, strict=True)]
    inside = following[0] <= RANGE[-1]
    corners, weights = [], []
    for corner in np.ndindex(2, 2, 2):
        index = [low + offset for (low, _), offset in zip(located, corner, strict=True)]
        factors = [share if offset else 1 - share for (_, share), offset in zip(located, corner, strict=True)]
        corners.append(np.ravel_multi_index(index, shape).astype(np.int32))
        weights.append((np.prod(factors, axis=0) * inside).astype(np.float32))
    return Transition(np.array(corners), np.array(weights), collision_chance(closest).astype(np.float32))


def solve(speeds: tuple[float, float], *, tolerance: float = 0.1) -> NDArray[np.float32]:
    """Advisory costs ``[range, bearing, heading, advisory]`` of one speed pair, by value iteration.

    Q(s, a) = cost(a) + E[c · `COLLISION_COST` + (1 − c) · γ · min_b Q(s', b)], with c the chance of a collision during
    the step, which ends the encounter. Iterates until no value moves by more than ``tolerance``.
    """
    steps = [[transition(speeds, (rate + own, other)) for own, other in NOISE] for rate in TURN_RATE]
    value = np.zeros(len(RANGE) * len(ANGLE) ** 2, np.float32)
    moved = np.inf
    while moved > tolerance:
        costs = np.stack([_expected_cost(outcomes, value) for outcomes in steps], axis=1)
        costs += ADVISORY_COST.astype(np.float32)
        best = costs.min(axis=1)
        moved = float(np.abs(best - value).max())
        value = best
    return costs.reshape(len(RANGE), len(ANGLE), len(ANGLE), len(ADVISORIES))


def _expected_cost(outcomes: list[Transition], value: NDArray[np.float32]) -> NDArray[np.float32]:
    """Expected collision and later cost of one advisory ``[n]``."""
    total = np.zeros_like(value)
    for outcome, probability in zip(outcomes, NOISE_PROBABILITY.astype(np.float32), strict=True):
        later = np.float32(DISCOUNT) * np.einsum("kn,kn->n", outcome.weights, value[outcome.corners])
        total += probability * (later + outcome.collision * (np.float32(COLLISION_COST) - later))
    return total


def cost_table() -> NDArray[np.float32]:
    """The whole table ``[own speed, intruder speed, range, bearing, heading, advisory]``."""
    return np.array([[solve((own, intruder)) for intruder in SPEED] for own in SPEED])
