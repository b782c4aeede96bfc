"""Attacks: random proofs and random changes. Whatever is accepted must be true; nothing may raise."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import rigorous_example as example
from hypothesis import given, settings
from hypothesis import strategies as st
from rigorous_kit import (
    F32,
    canonical,
    certificate,
    chain,
    evaluate,
    evaluate_member,
    network_bytes,
    random_box,
    random_layers,
    sample,
)

from dispatcher.layers import Layers, Relu
from slicer.certificate.rigorous import Checker
from slicer.certificate.verdict import Accepted, Rejected

seeds = st.integers(0, 2**32 - 1)
Box = tuple[np.ndarray, np.ndarray]


class Prover:
    """Writes a proof tree that closes what a few points suggest, true or not, and remembers where."""

    def __init__(self, rng: np.random.Generator, layers: Layers) -> None:
        self.rng, self.layers = rng, layers
        self.tree: list[dict[str, Any]] = []
        self.asserted: list[tuple[int, list[int], Box, list[tuple[int, int, str]]]] = []

    def prove(self, box: Box, depth: int, above: list[int], closed: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """Append the subtree of a box; the units closed inactive on every path below it (or at it)."""
        node: dict[str, Any] = {}
        position = len(self.tree)
        self.tree.append(node)
        marks = self._guess(box, closed)
        for key in ("inactive", "active"):
            units: dict[int, list[int]] = {}
            for relu, unit, mark in marks:
                if mark == key:
                    units.setdefault(relu, []).append(unit)
            if units:
                node[key] = [[relu, units[relu]] for relu in sorted(units)]
        self.asserted.append((position, above, box, marks))
        own = {(relu, unit) for relu, unit, mark in marks if mark == "inactive"}
        if not depth:
            return own
        axis = int(self.rng.integers(0, len(box[0])))
        threshold = F32((float(box[0][axis]) + float(box[1][axis])) / 2)
        node |= {"axis": axis, "threshold": float(threshold).hex()}
        low, high = box[1].copy(), box[0].copy()
        low[axis] = high[axis] = threshold
        below = closed | {mark[:2] for mark in marks}
        path = [*above, position]
        left = self.prove((box[0], low), depth - 1, path, below)
        return own | (left & self.prove((high, box[1]), depth - 1, path, below))

    def _guess(self, box: Box, closed: set[tuple[int, int]]) -> list[tuple[int, int, str]]:
        """Units whose sign is the same at six points of the box, a random half of them."""
        values = evaluate(self.layers, sample(self.rng, *box, 6))
        marks = []
        for relu, layer in enumerate(self.layers):
            for unit in range(layer.width if isinstance(layer, Relu) else 0):
                z = values[layer.sources[0]][:, unit]
                mark = "inactive" if (z <= 0).all() else "active" if (z >= 0).all() else ""
                if mark and (relu, unit) not in closed and self.rng.random() < 0.5:
                    marks.append((relu, unit, mark))
        return marks


@settings(deadline=None, max_examples=120)
@given(seed=seeds, wired=st.booleans())
def test_what_is_proved_holds_at_every_point(seed: int, wired: bool) -> None:
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, 2, 4, 10) if wired else chain(rng, 2, 6, 6, 6, 2)
    box = random_box(rng, 2, 1.5)
    prover = Prover(rng, layers)
    gone = prover.prove(box, int(rng.integers(0, 4)), [], set())
    removed: dict[int, list[int]] = {}
    for relu, unit in sorted(gone):
        removed.setdefault(relu, []).append(unit)
    checker = Checker(network_bytes(layers))
    record, member = certificate(checker, box, removed, prover.tree)
    verdict = checker.check_cell(0, *box, canonical(record), member)
    assert isinstance(verdict, Accepted) or verdict.unproved, verdict
    open_closings = set() if isinstance(verdict, Accepted) else set(verdict.unproved)
    broken = {closing[0] for closing in open_closings}
    for position, above, part, marks in prover.asserted:
        if broken & set(above):
            continue  # rests on facts that are not proved
        values = evaluate(layers, sample(rng, *part, 200))
        for relu, unit, mark in marks:
            if (position, relu, unit) not in open_closings:
                z = values[layers[relu].sources[0]][:, unit]
                assert (z <= 0 if mark == "inactive" else z >= 0).all()
    if isinstance(verdict, Accepted):
        points = sample(rng, *box, 200)
        outputs = evaluate_member(layers, json.loads(member), points)
        assert (outputs == evaluate(layers, points)[-1]).all()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a JSON value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in entries for found in ((*path, key), *places(item, (*path, key)))]


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 8),
    st.just(10**300),
    st.sampled_from(["", "nan", "inf", "0x0.0p+0", "-0x0.0p+0", "0x1.0000000000000p-1", "\ud800", "0" * 64]),
    st.lists(st.integers(-1, 5), max_size=3),
    st.lists(st.lists(st.integers(-1, 5), max_size=2), max_size=2),
    st.dictionaries(st.sampled_from(["axis", "threshold", "inactive", "active"]), st.integers(-1, 3), max_size=2),
)


@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_random_changes_raise_nothing_and_prove_nothing_false(data: st.DataObject) -> None:
    record, member = example.example()
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(record)))
        inner: Any = record
        for key in path[:-1]:
            inner = inner[key]
        if data.draw(st.booleans()):
            other: Any = record
            for key in data.draw(st.sampled_from(places(record))):
                other = other[key]
            inner[path[-1]] = json.loads(json.dumps(other))
        else:
            inner[path[-1]] = data.draw(ODD)
    verdict = example.checker().check_cell(0, example.LOWER, example.UPPER, canonical(record), member)
    assert isinstance(verdict, (Accepted, Rejected))
    if isinstance(verdict, Accepted):
        rng = np.random.default_rng(0)
        values = evaluate(example.layers(), sample(rng, example.LOWER, example.UPPER, 2000))
        for relu, units in record["removed"]:
            assert (values[relu - 1][:, units] <= 0).all()


@settings(deadline=None, max_examples=100)
@given(content=st.binary(max_size=60))
def test_random_bytes_are_rejected(content: bytes) -> None:
    _, member = example.example()
    assert isinstance(example.checker().check_cell(0, example.LOWER, example.UPPER, content, member), Rejected)
