"""What an advisor is for: how often random encounters come too close with its advisories and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from examples.collision_avoidance.encounter import NOISE, NOISE_PROBABILITY, RANGE, TURN_RATE, Array, advance
from examples.collision_avoidance.table import sample_states

# Scores [n, 5] of states [n, 5]; the lowest wins.
Advisor = Callable[[Array], NDArray[np.float32]]

TOO_CLOSE = 500.0  # m


@dataclass(frozen=True)
class Outcome:
    """Share of encounters that came closer than `TOO_CLOSE`, and of decisions that were alerts."""

    too_close: float
    alerts: float


def silent(states: Array) -> NDArray[np.float32]:
    """The advisor that always says clear of conflict."""
    return np.tile(np.array([0, 1, 1, 1, 1], np.float32), (len(states), 1))


def collision_courses(count: int, rng: np.random.Generator) -> Array:
    """Random states ``[count, 5]``, 6 to 12 km apart, that come closer than `TOO_CLOSE` if both fly straight on."""
    found = np.empty((0, 5))
    while len(found) < count:
        states = sample_states(100_000, rng)
        states[:, 0] = (RANGE[-1] + states[:, 0]) / 2
        position = states[:, 0] * np.exp(1j * states[:, 1])
        velocity = states[:, 4] * np.exp(1j * states[:, 2]) - states[:, 3]
        along = position * velocity.conj() / np.abs(velocity)  # m, real part: how far the intruder has still to come
        found = np.concatenate([found, states[(along.real < 0) & (np.abs(along.imag) < TOO_CLOSE)]])
    return found[:count]


def fly(advisor: Advisor, count: int, *, seed: int, steps: int = 60) -> Outcome:
    """Fly ``count`` random collision courses, each for at most ``steps`` steps.

    An encounter is over when the aircraft are farther apart than the table reaches. The same seed gives every advisor
    the same encounters and the same noise.
    """
    rng = np.random.default_rng(seed)
    states = collision_courses(count, rng)
    closest, flying, alerts, decisions = states[:, 0].copy(), np.full(count, True), 0, 0
    for _ in range(steps):
        advisory = advisor(states).argmin(axis=1)
        alerts += int(np.count_nonzero(advisory[flying]))
        decisions += int(np.count_nonzero(flying))
        noise = NOISE[rng.choice(len(NOISE), size=count, p=NOISE_PROBABILITY)]
        *following, least = advance(
            (states[:, 0], states[:, 1], states[:, 2]),
            (states[:, 3], states[:, 4]),
            (TURN_RATE[advisory] + noise[:, 0], noise[:, 1]),
        )
        closest[flying] = np.minimum(closest, least)[flying]
        flying &= following[0] <= RANGE[-1]
        states[flying, :3] = np.stack(following, axis=1)[flying]
    return Outcome(float((closest < TOO_CLOSE).mean()), alerts / decisions)
