"""A lithium-ion cell as an equivalent circuit, driven by random loads, and the sensor readings of its monitor.

Open-circuit voltage U(s), series resistance R0 and two RC pairs, the structure of Chen, Rincón-Mora, "Accurate
electrical battery model capable of predicting runtime and I-V performance", IEEE Transactions on Energy Conversion
21(2), 2006. Our own numbers, those of a 3 Ah cell of type 18650. With current I > 0 while discharging:

    s' = −I / (3600·Q)                      V = U(s) − R0·I − v1 − v2
    v_k' = I / C_k − v_k / (R_k·C_k)        R(T) = R(298.15 K) · exp(2500 K · (1/T − 1/298.15 K))
    U(s) = 3.45 + 0.75·s − 0.45·exp(−20·s)

All quantities are arrays with one entry per cell; time runs in steps of `STEP`, in which the current is constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CAPACITY = 3.0  # Ah
SERIES_RESISTANCE = 0.030  # Ω at 25 °C
PAIR_RESISTANCE = np.array([0.012, 0.018])  # Ω at 25 °C
PAIR_TIME = np.array([8.0, 150.0])  # s, R·C, taken as constant over temperature
ACTIVATION = 2500.0  # K
REFERENCE_TEMPERATURE = 298.15  # K
ZERO_CELSIUS = 273.15  # K

STEP = 1.0  # s
FILTER_TIME = 90.0  # s, of the monitor's low-pass filters
VOLTAGE_NOISE, CURRENT_NOISE, TEMPERATURE_NOISE = 0.002, 0.02, 0.3  # V, A, °C: standard deviations of the sensors

INPUTS = ("voltage", "current", "temperature", "filtered_voltage", "filtered_current")
LOWER = np.array([2.5, -3.0, -10.0, 2.5, -3.0])  # V, A, °C, V, A
UPPER = np.array([4.4, 6.0, 45.0, 4.4, 6.0])
CHARGE, DISCHARGE = -3.0, 6.0  # A: limits of the current


@dataclass(frozen=True)
class Record:
    """What the monitor saw and what was true: readings ``[n, 5]`` (columns `INPUTS`), state of charge ``[n]``."""

    readings: Array
    charge: Array


def open_circuit_voltage(charge: Array) -> Array:
    """Rest voltage (V) at a state of charge from 0 to 1: strictly increasing, 3.00 V when empty, 4.20 V when full."""
    return 3.45 + 0.75 * charge - 0.45 * np.exp(-20.0 * charge)


def resistance_factor(celsius: Array) -> Array:
    """Resistance relative to that at 25 °C: Arrhenius, 2.15 at 0 °C."""
    factor: Array = np.exp(ACTIVATION * (1.0 / (celsius + ZERO_CELSIUS) - 1.0 / REFERENCE_TEMPERATURE))
    return factor


def simulate(cells: int, seconds: int, *, every: int, seed: int) -> Record:
    """Run many cells side by side under random loads and record every ``every``-th second.

    Each cell starts at rest at a random charge and temperature. Its load changes at random times, on average once a
    minute: rest, charging or discharging; the current falls to zero in a step that would leave 2 % to 100 % charge or
    the voltage range. The temperature drifts slowly.
    """
    rng = np.random.default_rng(seed)
    charge = rng.uniform(0.02, 1.0, cells)
    celsius = rng.uniform(LOWER[2] + 2, UPPER[2] - 2, cells)
    pairs = np.zeros((2, cells))  # V across each RC pair
    load = np.zeros(cells)  # A, wanted
    filtered = np.stack([open_circuit_voltage(charge), np.zeros(cells)])  # V, A
    kept = []
    for second in range(seconds):
        load = np.where(rng.random(cells) < STEP / 60.0, random_load(rng, cells), load)
        celsius = np.clip(celsius + rng.normal(0.0, 0.02, cells), LOWER[2] + 2, UPPER[2] - 2)
        current = allowed(load, charge, pairs, celsius)
        charge = charge - current * STEP / (3600.0 * CAPACITY)
        pairs = relax(pairs, current, celsius)
        voltage = terminal_voltage(charge, pairs, current, celsius)
        sensed = measure(rng, voltage, current, celsius)
        filtered += (1.0 - np.exp(-STEP / FILTER_TIME)) * (sensed[:2] - filtered)
        if second % every == every - 1:
            kept.append((np.clip(np.concatenate([sensed, filtered]).T, LOWER, UPPER), charge))
    return Record(np.concatenate([readings for readings, _ in kept]), np.concatenate([truth for _, truth in kept]))


def random_load(rng: np.random.Generator, cells: int) -> Array:
    """A wanted current (A) per cell: rest (1 in 4), charging (1 in 2) or discharging, uniform up to the limit."""
    kind, strength = rng.random(cells), rng.random(cells)
    return np.where(kind < 0.25, 0.0, strength * np.where(kind < 0.75, CHARGE, DISCHARGE))


def terminal_voltage(charge: Array, pairs: Array, current: Array, celsius: Array) -> Array:
    """Voltage at the terminals (V)."""
    series = SERIES_RESISTANCE * resistance_factor(celsius) * current
    voltage: Array = open_circuit_voltage(charge) - series - pairs.sum(axis=0)
    return voltage


def allowed(load: Array, charge: Array, pairs: Array, celsius: Array) -> Array:
    """The wanted current, or zero where it would empty or overfill the cell or leave 2.6 V to 4.3 V."""
    after = charge - load * STEP / (3600.0 * CAPACITY)
    voltage = terminal_voltage(charge, pairs, load, celsius)
    return np.where((after >= 0.02) & (after <= 1.0) & (voltage >= 2.6) & (voltage <= 4.3), load, 0.0)


def relax(pairs: Array, current: Array, celsius: Array) -> Array:
    """Voltages across the RC pairs after a step at constant current (exact for it): ``[2, cells]``."""
    settled = np.outer(PAIR_RESISTANCE, resistance_factor(celsius) * current)
    return settled + np.exp(-STEP / PAIR_TIME)[:, None] * (pairs - settled)


def measure(rng: np.random.Generator, voltage: Array, current: Array, celsius: Array) -> Array:
    """Noisy sensor readings of voltage, current, temperature: ``[3, cells]``."""
    noise = rng.normal(size=(3, len(voltage)))
    deviation = np.array([VOLTAGE_NOISE, CURRENT_NOISE, TEMPERATURE_NOISE])
    return np.stack([voltage, current, celsius]) + deviation[:, None] * noise
