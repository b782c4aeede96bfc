"""What a bundle promises of outputs at a point: the parent's numbers, its decision, or numbers near its own."""

from __future__ import annotations

import numpy as np

from dispatcher.plan import Decision, Family


def bounds_of(family: Family) -> np.ndarray:
    """By how much each output may differ in each cell, float32 ``[n_cells, n_out]``.

    More than 0 only in cells whose member ends in a readout: the others promise the parent's numbers in mode
    ``epsilon``, too.
    """
    bounds = np.zeros((len(family.cells), family.parent[-1].width), np.float32)
    if family.epsilon is not None:
        bounds[has_readout(family)] = family.epsilon
    return bounds


def has_readout(family: Family) -> np.ndarray:
    """Which cells a member with a readout serves ``[n_cells]``."""
    return np.array([family.members[member].readout is not None for member in family.cells])


def differing(
    decision: Decision | None, outputs: np.ndarray, expected: np.ndarray, bounds: np.ndarray | float = 0
) -> np.ndarray:
    """Which rows ``[m]`` of outputs ``[m, n_out]`` are not what was promised, for the parent's and ``bounds`` alike.

    In mode ``decision`` rows that decide otherwise, whatever the bounds.
    """
    if decision is None:
        return beyond(outputs, expected, bounds).any(axis=1)
    return decided(decision, outputs) != decided(decision, expected)


def decided(decision: Decision, outputs: np.ndarray) -> np.ndarray:
    """Where the largest (smallest) of outputs ``[m, n_out]`` stand, of equal ones the first."""
    return outputs.argmax(axis=1) if decision == "argmax" else outputs.argmin(axis=1)


def beyond(outputs: np.ndarray, expected: np.ndarray, bounds: np.ndarray | float) -> np.ndarray:
    """Which float32 outputs differ by more than their bounds, as real numbers; all NaN do.

    A float64 difference that equals its bound may have been rounded down to it: its rounding error decides (Knuth's
    TwoSum, The Art of Computer Programming 2, 4.2.2).
    """
    a, b = outputs.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = a - b
        part = difference - a
        rest = (a - (difference - part)) - (b + part)
        size, more = np.abs(difference), np.where(difference < 0, -rest, rest)
        within = (size < bounds) | ((size == bounds) & (more <= 0))
    return ~((a == b) | within)


def shares_of(outputs: np.ndarray, expected: np.ndarray, bounds: np.ndarray | float) -> np.ndarray:
    """Differences as shares of their bounds, float64; of a bound of 0, and of NaN, infinitely much."""
    a, b = outputs.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.abs(a - b) / np.asarray(bounds, np.float64)
    return np.where(a == b, 0, np.where(np.isnan(share), np.inf, share))
