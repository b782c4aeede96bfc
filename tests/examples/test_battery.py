"""The battery model obeys its equations, and the estimator is as good as its README states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from examples.battery import circuit

HERE = Path(__file__).parents[2] / "examples" / "battery"


def test_estimator_is_as_good_as_stated() -> None:
    """On the README's trajectories, simulated again."""
    record = circuit.simulate(200, 7200, every=10, seed=1)
    model = ReferenceEvaluator(onnx.load(HERE / "battery.onnx"))
    error = model.run(None, {"input": record.readings.astype(np.float32)})[0][:, 0] - record.charge
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.0113, abs=0.0003)
    assert np.quantile(np.abs(error), 0.99) == pytest.approx(0.0386, abs=0.001)
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    assert "1.1 % of full charge" in readme
    assert "within 3.9 %" in readme


def test_records_lie_in_the_domain_and_cover_it() -> None:
    record = circuit.simulate(100, 3600, every=20, seed=3)
    assert record.readings.shape == (100 * 180, 5)
    assert (record.readings >= circuit.LOWER).all()
    assert (record.readings <= circuit.UPPER).all()
    assert (np.ptp(record.readings, axis=0) > 0.6 * (circuit.UPPER - circuit.LOWER)).all()
    assert record.charge.min() >= 0.02
    assert record.charge.max() <= 1.0
    assert np.ptp(record.charge) > 0.9


def test_the_same_seed_gives_the_same_record() -> None:
    first, again, other = (circuit.simulate(5, 200, every=10, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.readings, again.readings)
    np.testing.assert_array_equal(first.charge, again.charge)
    assert (first.charge != other.charge).all()


def test_open_circuit_voltage_increases_from_3_to_4_2() -> None:
    voltage = circuit.open_circuit_voltage(np.linspace(0.0, 1.0, 1001))
    assert (np.diff(voltage) > 0).all()
    assert voltage[[0, -1]] == pytest.approx([3.0, 4.2], abs=1e-8)


def test_resistance_is_given_at_25_degrees_and_falls_with_temperature() -> None:
    factor = circuit.resistance_factor(np.array([-10.0, 0.0, 25.0, 45.0]))
    assert factor[2] == pytest.approx(1.0)
    assert factor[1] == pytest.approx(2.15, abs=0.005)  # as the docstring says
    assert (np.diff(factor) < 0).all()


@settings(deadline=None, max_examples=50)
@given(st.floats(-3.0, 6.0), st.floats(-0.2, 0.2), st.floats(-10.0, 45.0), st.integers(1, 300))
def test_pairs_relax_as_the_differential_equation_says(
    amperes: float, start: float, celsius: float, steps: int
) -> None:
    """Constant current from v(0): v(t) = R·I + (v(0) − R·I)·exp(−t/RC)."""
    pairs, current, temperature = np.full((2, 1), start), np.array([amperes]), np.array([celsius])
    for _ in range(steps):
        pairs = circuit.relax(pairs, current, temperature)
    settled = circuit.PAIR_RESISTANCE * circuit.resistance_factor(temperature) * amperes
    expected = settled + (start - settled) * np.exp(-steps * circuit.STEP / circuit.PAIR_TIME)
    np.testing.assert_allclose(pairs[:, 0], expected, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.floats(-3.0, 6.0), st.floats(0.02, 1.0), st.floats(-10.0, 45.0))
def test_no_current_leaves_the_allowed_region(amperes: float, charge: float, celsius: float) -> None:
    one = (np.array([amperes]), np.array([charge]), np.zeros((2, 1)), np.array([celsius]))
    current = circuit.allowed(*one)
    voltage = circuit.terminal_voltage(one[1], one[2], current, one[3])
    assert current[0] in (0.0, amperes)
    assert 2.6 <= voltage[0] <= 4.3
    assert 0.02 <= charge - current[0] * circuit.STEP / (3600 * circuit.CAPACITY) <= 1.0
