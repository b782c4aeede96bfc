"""Advice: a witness refutes, a hint earns more search, and a solver's lie removes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from dispatcher.interpret import evaluate_all
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.search.advised import Adviser
from slicer.search.cell import search_cell
from slicer.search.solvers.advice import Advice, Hint
from slicer.search.solvers.marabou import ask_marabou
from slicer.search.verdict import Open, Proved, Refuted
from tests.random_networks import chain

BOX = Box(np.float32([-1, -1, -1]), np.float32([1, 1, 1]))
EFFORT = 3


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    """A network with candidates that three boxes do not decide."""
    for seed in range(100):
        candidate = Prepared(chain(np.random.default_rng(seed), [3, 12, 12, 12, 2]))
        if len(_open(_search(candidate))) >= 3:
            return candidate
    raise AssertionError("no network with open candidates")


def _search(prepared: Prepared, adviser: Adviser | None = None, effort: int = EFFORT):
    return search_cell(prepared, BOX, effort, np.random.default_rng(0), adviser=adviser)


def _open(found) -> list[int]:
    return [unit for unit, verdict in found.verdicts.items() if isinstance(verdict, Open)]


def test_what_stays_open_is_asked_about_and_nothing_else(prepared):
    asked = []

    def silent(_prepared, _encoding, unit, phase, limit):
        asked.append((unit, phase, limit.clock))
        return Advice(Open("says nothing"), 0.0)

    plain, advised = _search(prepared), _search(prepared, Adviser(silent, 2.5))
    assert [unit for unit, _, _ in asked] == _open(plain) == _open(advised)
    assert {seconds for _, _, seconds in asked} == {2.5}
    assert advised.boxes == plain.boxes


def test_a_solver_that_lies_about_everything_removes_nothing_that_an_input_activates(prepared):
    liar = Adviser(lambda _prepared, _encoding, _unit, phase, _limit: Advice(Hint("liar", phase), 0.0), 1.0)
    found = _search(prepared, liar)
    points = BOX.sample(20_000, np.random.default_rng(1))
    values = evaluate_all(prepared.network.layers, points)
    for unit in found.inactive:
        relu = max(position for position, start in prepared.offsets.items() if start <= unit)
        source = prepared.network.layers[relu].sources[0]
        assert values[source][:, unit - prepared.offsets[relu]].max() <= 0
    assert set(found.inactive) >= set(_search(prepared).inactive)


def test_a_hint_earns_its_candidate_another_search(prepared):
    unit = _open(_search(prepared))[0]

    def hint(_prepared, _encoding, asked, phase, _limit):
        return Advice(Hint("one", phase) if asked == unit else Open("says nothing"), 0.0)

    found = _search(prepared, Adviser(hint, 1.0))
    assert EFFORT < found.boxes <= 2 * EFFORT


def test_marabous_advice_agrees_with_a_long_search(prepared):
    pytest.importorskip("maraboupy", reason="maraboupy has wheels for CPython 3.8 to 3.11 only")
    long = _search(prepared, effort=4000)
    advised = _search(prepared, Adviser(ask_marabou, 20.0), effort=200)
    for unit, verdict in advised.verdicts.items():
        known = long.verdicts.get(unit)
        if isinstance(verdict, Refuted):
            assert not isinstance(known, Proved)
        if isinstance(verdict, Proved):
            assert not isinstance(known, Refuted)
    assert len(_open(advised)) <= len(_open(_search(prepared, effort=200)))
