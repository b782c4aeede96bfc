"""The advisory network does what its README states: agrees with its table and keeps aircraft apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from examples.collision_avoidance import flight
from examples.collision_avoidance.encounter import ADVISORIES, SPEED, solve
from examples.collision_avoidance.table import COST_CAP, INPUTS, agreement, excess, interpolate

HERE = Path(__file__).parents[2] / "examples" / "collision_avoidance"


@pytest.fixture(scope="module")
def network() -> flight.Advisor:
    evaluator = ReferenceEvaluator(str(HERE / "collision_avoidance.onnx"))
    return lambda states: evaluator.run(None, {"input": states.astype(np.float32)})[0]


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    """Rows of the committed sample: five inputs, five costs."""
    return np.loadtxt(HERE / "sample.csv", delimiter=",", skiprows=1, dtype=np.float32)


def test_sample_is_of_the_table_that_the_committed_model_computes(sample: np.ndarray) -> None:
    """The last hundred rows have the highest speeds: that part of the table is quick to compute again."""
    header = (HERE / "sample.csv").read_text(encoding="utf-8").splitlines()[0]
    assert tuple(header.split(",")) == (*INPUTS, *ADVISORIES)
    fastest = sample[-100:]
    assert (fastest[:, 3:5] == SPEED[-1]).all()
    part = solve((SPEED[-1], SPEED[-1]))
    table = np.broadcast_to(part, (len(SPEED), len(SPEED), *part.shape))
    np.testing.assert_allclose(interpolate(table, fastest[:, :5].astype(np.float64)), fastest[:, 5:], atol=0.05)


def test_agreement_with_the_table_is_as_stated(network: flight.Advisor, sample: np.ndarray) -> None:
    result = agreement(network(sample[:, :5]), sample[:, 5:])
    assert result.same == pytest.approx(0.970, abs=0.0021)  # near ties may fall otherwise on another machine
    assert result.same_alert == pytest.approx(0.866, abs=0.0121)
    assert result.nearly >= 0.998
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    assert "97.0 %" in readme
    assert "86.6 %" in readme


def test_network_computes_the_capped_excess_cost(network: flight.Advisor, sample: np.ndarray) -> None:
    error = network(sample[:, :5]) - excess(sample[:, 5:])
    assert np.sqrt(np.mean(error**2)) < 0.05 * COST_CAP


def test_network_keeps_aircraft_apart(network: flight.Advisor) -> None:
    alone = flight.fly(flight.silent, 2000, seed=0)
    advised = flight.fly(network, 2000, seed=0)
    assert 0.35 < alone.too_close < 0.45
    assert alone.alerts == 0.0
    assert advised.too_close <= 0.002
    assert advised.alerts < 0.15


def test_collision_courses_collide_when_flown_straight() -> None:
    """A fine simulation of straight flight meets every course's promise."""
    states = flight.collision_courses(50, np.random.default_rng(0))
    time = np.linspace(0.0, 2000.0, 20001)[:, None]  # s
    velocity = states[:, 4] * np.exp(1j * states[:, 2]) - states[:, 3]
    track = np.abs(states[:, 0] * np.exp(1j * states[:, 1]) + time * velocity)
    assert (track[0] >= 6000.0).all()
    assert (track.min(axis=0) < flight.TOO_CLOSE + 1.0).all()


def test_agreement_counts_what_it_says() -> None:
    costs = np.array([[0, 5, 5, 15, 15], [100, 40, 60, 30, 90], [7, 3, 9, 9, 9]], np.float32)
    scores = np.array([[0, 1, 1, 1, 1], [1, 0, 1, 1, 1], [0, 1, 1, 1, 1]], np.float32)  # chooses 0, 1, 0
    result = agreement(scores, costs)
    assert result.same == pytest.approx(1 / 3)
    assert result.same_alert == 0.0
    assert result.regret == pytest.approx((0 + 10 + 4) / 3)
    assert result.nearly == pytest.approx(2 / 3)


def test_excess_is_zero_at_the_best_and_capped() -> None:
    costs = np.array([[3, 8, 500, 4, 23.5]], np.float32)
    np.testing.assert_array_equal(excess(costs), [[0, 5, 20, 1, 20]])
