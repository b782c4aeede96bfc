"""The encounter model: geometry of one step, interpolation, and the table as a solution of Bellman's equation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.collision_avoidance import encounter
from examples.collision_avoidance.encounter import ANGLE, DISCOUNT, RANGE, SPEED, STEP, TURN_RATE, advance, locate
from examples.collision_avoidance.table import LOWER, UPPER, interpolate

LEFT_RIGHT = [0, 2, 1, 4, 3]  # the advisories seen in a mirror

states = st.tuples(
    st.floats(0.0, 12000.0), st.floats(-np.pi, np.pi), st.floats(-np.pi, np.pi), st.floats(50, 150), st.floats(50, 150)
)
turn_rates = st.floats(-0.06, 0.06)


def step(state: tuple[float, ...], own_rate: float, intruder_rate: float) -> np.ndarray:
    """Next range, bearing, relative heading and least distance of one state."""
    one = [np.array([value]) for value in state]
    return np.concatenate(advance((one[0], one[1], one[2]), (one[3], one[4]), (own_rate, intruder_rate)))


@settings(deadline=None, max_examples=100)
@given(states)
def test_straight_flight_is_vector_addition(state: tuple[float, ...]) -> None:
    distance, bearing, heading, own, intruder = state
    ahead = distance * np.cos(bearing) + STEP * (intruder * np.cos(heading) - own)
    left = distance * np.sin(bearing) + STEP * intruder * np.sin(heading)
    got = step(state, 0.0, 0.0)
    assert got[0] * np.cos(got[1]) == pytest.approx(ahead, abs=1e-6)
    assert got[0] * np.sin(got[1]) == pytest.approx(left, abs=1e-6)
    path = np.linspace(0, 1, 501)[:, None] * [ahead - distance * np.cos(bearing), left - distance * np.sin(bearing)]
    on_the_way = np.hypot(distance * np.cos(bearing) + path[:, 0], distance * np.sin(bearing) + path[:, 1])
    assert got[3] <= on_the_way.min() + 1e-6
    assert got[3] >= on_the_way.min() - STEP * 300.0 / 500.0  # the path moves at most that far between two points


@settings(deadline=None, max_examples=100)
@given(states, turn_rates)
def test_a_full_circle_returns_to_its_start(state: tuple[float, ...], rate: float) -> None:
    """Chords of a circular arc add up: flying it in steps ends where the arc ends (seen by a hovering intruder)."""
    distance, bearing, heading, own, _ = state
    turns = 7
    place = np.array([distance * np.exp(1j * bearing)])
    parts = (np.abs(place), np.angle(place), np.array([heading]))
    for _ in range(turns):
        *parts, _ = advance(tuple(parts), (own, 0.0), (rate, 0.0))
    turned = turns * STEP * rate
    arc = own * turns * STEP * (np.expm1(1j * turned) / (1j * turned) if abs(turned) > 1e-9 else 1.0)
    expected = (place - arc) * np.exp(-1j * turned)
    assert parts[0] * np.exp(1j * parts[1]) == pytest.approx(expected, abs=1e-5)


@settings(deadline=None, max_examples=100)
@given(states, turn_rates, turn_rates)
def test_mirrored_states_stay_mirrored(state: tuple[float, ...], own_rate: float, intruder_rate: float) -> None:
    mirrored = (state[0], -state[1], -state[2], state[3], state[4])
    got, image = step(state, own_rate, intruder_rate), step(mirrored, -own_rate, -intruder_rate)
    np.testing.assert_allclose(image[[0, 3]], got[[0, 3]], atol=1e-6)
    np.testing.assert_allclose(np.exp(-1j * image[2]), np.exp(1j * got[2]), atol=1e-9)
    place, reflected = (values[0] * np.exp(1j * values[1]) for values in (got, image))
    assert reflected == pytest.approx(np.conj(place), abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(st.floats(-500.0, 13000.0))
def test_locate_finds_the_interval_and_moves_outsiders_to_the_ends(value: float) -> None:
    index, share = locate(RANGE, np.array([value]))
    place = RANGE[index] + share * (RANGE[index + 1] - RANGE[index])
    assert place[0] == pytest.approx(np.clip(value, RANGE[0], RANGE[-1]))
    assert 0.0 <= share[0] <= 1.0


def test_interpolation_reproduces_multilinear_functions() -> None:
    """Exact at grid points and in between for a function that is linear along every axis."""
    grid = np.stack(np.meshgrid(SPEED, SPEED, RANGE, ANGLE, ANGLE, indexing="ij"), axis=-1)
    plane = np.array([0.02, -0.01, 0.001, 0.5, -0.25])
    table = (grid @ plane + 1e-6 * grid[..., 0] * grid[..., 2])[..., None].astype(np.float32)
    points = LOWER + np.random.default_rng(0).random((500, 5)) * (UPPER - LOWER)
    expected = points[:, [3, 4, 0, 1, 2]] @ plane + 1e-6 * points[:, 3] * points[:, 0]
    np.testing.assert_allclose(interpolate(table, points)[:, 0], expected, atol=1e-4)


@pytest.fixture(scope="module")
def solution() -> np.ndarray:
    """Costs of the fastest pair of aircraft, ``[range, bearing, heading, advisory]``."""
    return encounter.solve((SPEED[-1], SPEED[-1]))


def test_solution_satisfies_bellmans_equation(solution: np.ndarray) -> None:
    """For grid states, expectation over the noise recomputed state by state from `advance` and `interpolate`."""
    rng = np.random.default_rng(0)
    place = [rng.integers(len(grid), size=300) for grid in (RANGE, ANGLE, ANGLE)]
    state = (RANGE[place[0]], ANGLE[place[1]], ANGLE[place[2]])
    value = np.broadcast_to(solution.min(axis=-1)[None, None, ..., None], (4, 4, *solution.shape[:3], 1))
    for advisory, rate in enumerate(TURN_RATE):
        expected = np.full(300, encounter.ADVISORY_COST[advisory])
        for (own, other), probability in zip(encounter.NOISE, encounter.NOISE_PROBABILITY, strict=True):
            distance, bearing, heading, closest = advance(state, (SPEED[-1], SPEED[-1]), (rate + own, other))
            rows = np.stack([distance, bearing, heading, np.full(300, SPEED[-1]), np.full(300, SPEED[-1])], axis=1)
            later = np.where(distance <= RANGE[-1], DISCOUNT * interpolate(value, rows)[:, 0], 0.0)
            chance = encounter.collision_chance(closest)
            expected += probability * (chance * encounter.COLLISION_COST + (1 - chance) * later)
        np.testing.assert_allclose(solution[(*place, advisory)], expected, atol=0.15)  # solved to 0.1


def test_solution_is_symmetric_under_mirroring(solution: np.ndarray) -> None:
    np.testing.assert_allclose(solution[:, ::-1, ::-1, LEFT_RIGHT], solution, atol=0.05)


def test_advisories_make_sense(solution: np.ndarray) -> None:
    """Nothing to say to aircraft that fly apart; a strong turn for a head-on course; a collision costs its cost."""
    ahead, opposite = len(ANGLE) // 2, 0
    assert solution[20, 0, ahead].argmin() == 0  # intruder behind at 6 km on the same heading
    head_on = solution[RANGE.searchsorted(4000.0), ahead, opposite]
    assert head_on.argmin() in (3, 4)
    assert solution.min() >= 0.0
    assert solution.max() <= encounter.COLLISION_COST + encounter.ADVISORY_COST.max()
