"""Solvers advise truly or not at all: witnesses are real, hints are no proofs, and sampling never contradicts them."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.interpret import evaluate_all
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.network import Network
from slicer.search.solvers.advice import Hint, Reply, ask
from slicer.search.solvers.child import Limit
from slicer.search.solvers.encode import encode
from slicer.search.solvers.joint import ask_milp_for_all
from slicer.search.solvers.marabou import NOT_INSTALLED, ask_marabou
from slicer.search.solvers.milp import ask_milp
from slicer.search.solvers.witness import STEPS, confirmed, inside
from slicer.search.verdict import TIME, UNCONFIRMED, Open, Proved, Refuted
from tests.random_networks import chain, mixed, random_box, seeds

LIMIT = Limit(20.0)


def _joint(prepared, encoding, unit, phase, limit):
    verdicts, _ = ask_milp_for_all(prepared, encoding, {unit: phase}, limit)
    return verdicts[unit]


def _marabou(prepared, encoding, unit, phase, limit):
    pytest.importorskip("maraboupy", reason="maraboupy has no wheel for this Python")
    return ask_marabou(prepared, encoding, unit, phase, limit).verdict


def _milp(prepared, encoding, unit, phase, limit):
    return ask_milp(prepared, encoding, unit, phase, limit).verdict


SOLVERS = [_marabou, _milp, _joint]


def _own(network: Network, points: np.ndarray) -> np.ndarray:
    """Pre-activations of all ReLU units in eval32 ``[m, n_relu]``."""
    values = evaluate_all(network.layers, points)
    return np.concatenate([values[network.layers[p].source] for p in network.relu_layers], axis=1)


def _grid(box: Box, steps: int) -> np.ndarray:
    """A grid over the box with its corners."""
    axes = [np.linspace(lower, upper, steps) for lower, upper in zip(box.lower, box.upper, strict=True)]
    return inside(np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1).astype(np.float64), box)


def _check(network: Network, box: Box, unit: int, phase: int, verdict, values: np.ndarray) -> None:
    """The verdict against eval32 at its witness and at many points."""
    assert not isinstance(verdict, Proved)
    if isinstance(verdict, Refuted):
        assert verdict.witness.dtype == np.float32
        assert box.contains(verdict.witness[None]).all()
        assert phase * _own(network, verdict.witness[None])[0, unit] < 0
    elif isinstance(verdict, Hint):
        assert verdict.phase == phase
        assert (phase * values[:, unit] >= 0).all()
    else:
        # Only a unit that touches zero can be found without being confirmed; a grid sees it up to its step.
        assert verdict == Open(UNCONFIRMED)
        assert abs(values[:, unit]).min() <= 1e-4 + _largest_step(values[:, unit], network.n_in)


def _largest_step(values: np.ndarray, dimension: int) -> float:
    """The largest difference between neighbours on a grid with as many steps on every axis, values ``[steps^n]``."""
    steps = round(len(values) ** (1 / dimension))
    grid = values.reshape((steps,) * dimension)
    return max(abs(np.diff(grid, axis=axis)).max() for axis in range(dimension))


@pytest.mark.parametrize("solver", SOLVERS)
@given(seed=seeds, kind=st.sampled_from(["chain", "deep", "mixed"]), width=st.sampled_from([0.05, 0.5, 2.0]))
@settings(deadline=None, max_examples=6)
def test_answers_agree_with_a_dense_grid(solver, seed, kind, width):
    rng = np.random.default_rng(seed)
    shapes = {"chain": [2, 6, 5, 1], "deep": [2, 4, 4, 4, 4, 1]}
    network = mixed(rng, blocks=2, width=4) if kind == "mixed" else chain(rng, shapes[kind])
    box = random_box(rng, network.n_in, width)
    prepared, values = Prepared(network), _own(network, _grid(box, 90 if network.n_in == 2 else 20))
    encoding = encode(prepared, box)
    for unit in rng.permutation(prepared.relu_units)[:6]:
        for phase in (-1, 1):
            _check(network, box, int(unit), phase, solver(prepared, encoding, int(unit), phase, LIMIT), values)


@given(seed=seeds)
@settings(deadline=None, max_examples=10)
def test_all_units_at_once_agree_with_one_by_one(seed):
    rng = np.random.default_rng(seed)
    network = chain(rng, [2, 6, 6, 1])
    box, prepared = random_box(rng, 2, 1.0), Prepared(network)
    encoding, values = encode(prepared, box), _own(network, _grid(box, 90))
    phases = {unit: (-1, 1)[int(rng.integers(2))] for unit in range(prepared.relu_units)}
    phases = {unit: phase for unit, phase in phases.items() if encoding.question(unit, phase)}
    verdicts, seconds = ask_milp_for_all(prepared, encoding, phases, LIMIT)
    assert verdicts.keys() == phases.keys()
    assert seconds > 0 or not any(encoding.units[unit].phase == 0 for unit in phases)
    for unit, phase in phases.items():
        _check(network, box, unit, phase, verdicts[unit], values)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("seed", "shape", "width", "unit"),
    [
        (115, [2, 4, 4, 4, 4, 1], 2.0, 4),  # milp: "infeasible" with presolve
        (356, None, 0.5, 7),  # the same, also without bounds on anything but the inputs
        (
            497934,
            None,
            2.0,
            3,
        ),  # joint milp: "infeasible" without presolve, for bounds 1e-6 wider than the implied ones
        (498147, [2, 6, 5, 1], 2.0, 10),  # milp: the same
    ],
)
def test_disagreements_between_solvers_are_settled(solver, seed, shape, width, unit):
    """Programs that HiGHS 1.15 calls infeasible, against witnesses of the others."""
    rng = np.random.default_rng(seed)
    network = chain(rng, shape) if shape else mixed(rng, blocks=2, width=4)
    box, prepared = random_box(rng, network.n_in, width), Prepared(network)
    assert isinstance(solver(prepared, encode(prepared, box), unit, 1, LIMIT), Refuted)


def _crossing(rng: np.random.Generator, network: Network, width: float) -> tuple[Box, int] | None:
    """A box of the given width around a zero of some unit's pre-activation, found by bisection between two points."""
    first, second = rng.uniform(-1, 1, (2, network.n_in)).astype(np.float32)
    low, high = _own(network, np.stack([first, second]))
    crossing = np.flatnonzero((low < 0) & (high > 0))
    if not len(crossing):
        return None
    unit = int(crossing[-1])
    for _ in range(30):
        middle = ((first.astype(np.float64) + second) / 2).astype(np.float32)
        first, second = (middle, second) if _own(network, middle[None])[0, unit] < 0 else (first, middle)
    centre = first.astype(np.float64)
    return Box.outward(centre - width / 2, centre + width / 2), unit


@pytest.mark.parametrize("solver", SOLVERS)
def test_narrow_boxes_mislead_no_solver(solver):
    """On a box of width 1e-6 around a zero both phases occur; unscaled queries are answered UNSAT there."""
    asked = refuted = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        network = chain(rng, [2, 8, 8, 1])
        found = _crossing(rng, network, 1e-6)
        if found is None:
            continue
        (box, unit), prepared = found, Prepared(network)
        values = _own(network, _grid(box, 60))[:, unit]
        for phase in (-1, 1):
            verdict = solver(prepared, encode(prepared, box), unit, phase, LIMIT)
            assert not isinstance(verdict, Proved)
            if (phase * values < 0).any():
                asked += 1
                assert not isinstance(verdict, Hint)
            if isinstance(verdict, Refuted):
                refuted += 1
                assert box.contains(verdict.witness[None]).all()
                assert phase * _own(network, verdict.witness[None])[0, unit] < 0
    assert asked >= 15
    assert refuted >= asked * 0.9


def _one_unit() -> tuple[Prepared, Box]:
    network = chain(np.random.default_rng(3), [2, 6, 6, 1])
    return Prepared(network), Box(np.float32([-1, -1]), np.float32([1, 1]))


@pytest.mark.parametrize(
    ("solve", "expected"),
    [
        (lambda _question, _seconds: Reply(True, None, "no"), Hint("liar", -1)),
        (lambda _question, _seconds: Reply(False, None, "lost"), Open("lost")),
        (lambda _question, _seconds: Reply(False, np.full(2, np.nan), "found"), None),
        (lambda _question, _seconds: 1 / 0, Open("liar: ZeroDivisionError: division by zero")),
        (lambda _question, _seconds: time.sleep(600), Open(TIME)),
    ],
)
def test_whatever_a_solver_does_is_no_proof(solve, expected):
    prepared, box = _one_unit()
    encoding = encode(prepared, box)
    unit = next(unit for unit, found in enumerate(encoding.units) if found.phase == 0)
    advice = ask("liar", solve, prepared, encoding, (unit, -1), Limit(0.5))
    assert advice.verdict == expected if expected else isinstance(advice.verdict, Open | Refuted)


def test_unusable_bounds_reach_no_solver():
    prepared, box = _one_unit()
    encoding = encode(prepared, box)
    broken = replace(encoding, units=tuple(replace(unit, upper=np.inf) for unit in encoding.units))
    advice = ask("liar", lambda *_: Reply(True, None, "no"), prepared, broken, (0, -1), LIMIT)
    assert isinstance(advice.verdict, Open) and "expected finite bounds" in advice.verdict.reason


@pytest.mark.parametrize("solver", [ask_marabou, ask_milp])
def test_time_is_no_answer(solver):
    prepared, box = _one_unit()
    encoding = encode(prepared, box)
    unit = next(unit for unit, found in enumerate(encoding.units) if found.phase == 0)
    assert isinstance(solver(prepared, encoding, unit, -1, Limit(1e-6)).verdict, Open)
    verdicts, _ = ask_milp_for_all(prepared, encoding, {unit: -1}, Limit(1e-6))
    assert verdicts == {unit: Open(TIME)}


def test_without_maraboupy_marabou_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "maraboupy", None)
    prepared, box = _one_unit()
    advice = ask_marabou(prepared, encode(prepared, box), 0, -1, LIMIT)
    assert (advice.verdict, advice.seconds) == (Open(NOT_INSTALLED), 0.0)


def test_what_intervals_exclude_is_not_asked():
    prepared, box = _one_unit()
    encoding = encode(prepared, Box(box.upper, box.upper))
    phases = {unit: found.phase for unit, found in enumerate(encoding.units)}
    advice = [ask_milp(prepared, encoding, unit, phase, Limit(0.0)) for unit, phase in phases.items()]
    assert {a.verdict.solver for a in advice} == {"intervals"}
    verdicts, seconds = ask_milp_for_all(prepared, encoding, phases, Limit(0.0))
    assert {v.solver for v in verdicts.values()} == {"intervals"} and seconds == 0
    wrong, _ = ask_milp_for_all(prepared, encoding, {0: -phases[0]}, Limit(0.0))
    assert isinstance(wrong[0], Refuted)


def test_a_point_on_the_zero_line_becomes_a_witness_beside_it():
    prepared, box = _one_unit()
    network = prepared.network
    found = _crossing(np.random.default_rng(1), network, 0.5)
    assert found is not None
    small, unit = found
    centre = (small.lower.astype(np.float64) + small.upper) / 2
    for phase in (-1, 1):
        witness = confirmed(prepared, box, centre, unit, phase)
        assert witness is not None
        assert phase * _own(network, witness[None])[0, unit] < 0
        assert np.abs(witness - centre).max() <= 2 * STEPS[-1]
    far = np.array([50.0, np.nan])
    assert box.contains(inside(far[None], box)).all()
    holds = np.flatnonzero(_own(network, _grid(box, 90)).min(axis=0) > 0.05)
    assert all(confirmed(prepared, box, centre, int(unit), 1) is None for unit in holds)
