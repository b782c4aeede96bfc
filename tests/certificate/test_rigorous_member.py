"""A rebuilt member returns the parent's bits wherever the removed units are inactive."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigorous_kit import (
    F32,
    canonical,
    chain,
    evaluate,
    evaluate_member,
    network_bytes,
    random_box,
    random_layers,
    rows,
    sample,
)

from dispatcher.layers import Concat, Elementwise, Input, Layers, Relu, dense, freeze
from slicer.certificate.rigorous import Checker, Refusal


def removable(layers: Layers, values: list[np.ndarray], rng: np.random.Generator) -> dict[int, list[int]]:
    """Relu units that are inactive at all the points, some left out at random."""
    found: dict[int, list[int]] = {}
    for position, layer in enumerate(layers):
        if isinstance(layer, Relu):
            off = (values[layer.source] <= 0).all(axis=0) & (rng.random(layer.width) < 0.8)
            found[position] = np.flatnonzero(off).tolist()
    return found


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32 - 1))
def test_member_equals_the_parent_where_removed_units_are_inactive(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, 3, 5, int(rng.integers(0, 14)))
    points = sample(rng, *random_box(rng, 3, 1.5), 40)
    values = evaluate(layers, points)
    removed = rows(removable(layers, values, rng))
    member = Checker(network_bytes(layers)).rebuild_member(removed)  # type: ignore[arg-type] # rows of two
    outputs = evaluate_member(layers, json.loads(member), points)
    assert (outputs == values[-1]).all()


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1))
def test_members_of_chains_shrink_and_keep_the_bits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = chain(rng, 2, 12, 12, 12, 3)
    points = sample(rng, *random_box(rng, 2, 0.3), 60)
    values = evaluate(layers, points)
    removed = removable(layers, values, rng)
    member = json.loads(Checker(network_bytes(layers)).rebuild_member(rows(removed)))  # type: ignore[arg-type] # rows
    assert (evaluate_member(layers, member, points) == values[-1]).all()
    for relu, units in removed.items():
        assert not set(units) & set(member["layers"][relu]["units"])


def entries(layers: Layers, removed: list[tuple[int, list[int]]]) -> list[dict[str, object]]:
    return json.loads(Checker(network_bytes(layers)).rebuild_member(removed))["layers"]  # type: ignore[no-any-return]


def test_nothing_removed_keeps_everything() -> None:
    layers = chain(np.random.default_rng(0), 2, 3, 3, 1)
    kept = [list(range(layer.width)) for layer in layers]
    assert entries(layers, []) == [{"units": units, "prefixes": [], "constants": []} for units in kept]


def constants_network() -> Layers:
    """Relu 2 with unit 0 constant 3 (a dense unit without inputs); relu 4 over a prefix; unread units."""
    weight = np.array([[0, 0], [1, 0], [0, 1]])
    second = np.array([[0.5, 0, 1], [0.5, 0, 0], [0, 1, 1]])
    return (
        Input(2),
        dense(0, weight, np.array([3, 0, 0])),
        Relu(1, 3),
        dense(2, second, np.array([1, 2, 0])),
        Relu(3, 3),
        dense(4, np.array([[1, 2, 3]]), np.array([0.25])),
    )


def test_constants_and_prefixes_are_summed_in_float32() -> None:
    assert entries(constants_network(), []) == [
        {"units": [0, 1], "prefixes": [], "constants": []},
        {"units": [1, 2], "prefixes": [], "constants": []},  # nobody needs the constant 3 any more
        {"units": [1, 2], "prefixes": [], "constants": []},
        {"units": [0, 1, 2], "prefixes": [[0, 2, "3fc00000"]], "constants": [[1, "40600000"]]},  # 3/2 and 3/2 + 2
        {"units": [0, 1, 2], "prefixes": [], "constants": []},
        {"units": [0], "prefixes": [], "constants": []},
    ]


def test_a_removed_unit_in_front_makes_a_prefix_of_the_constant_behind_it() -> None:
    assert entries(constants_network(), [(4, [0])])[2:] == [
        {"units": [1, 2], "prefixes": [], "constants": []},
        {"units": [2], "prefixes": [], "constants": []},
        {"units": [2], "prefixes": [], "constants": []},
        {"units": [0], "prefixes": [[0, 2, "40e00000"]], "constants": []},  # 2 · 7/2
    ]


def test_an_output_that_has_become_constant() -> None:
    layers = entries(constants_network(), [(2, [2]), (4, [2])])
    assert [layer["units"] for layer in layers] == [[0, 1], [], [], [], [], [0]]
    assert layers[-1]["constants"] == [[0, "411c0000"]]  # 5/2 + 2 · 7/2 + 1/4


def test_removed_units_that_other_kinds_of_layers_read_stay() -> None:
    layers = (Input(2), dense(0, np.eye(2)), Relu(1, 2), Concat((2, 1), 4))
    assert entries(layers, [(2, [0, 1])]) == [{"units": u, "prefixes": [], "constants": []} for u in ([0, 1],) * 3] + [
        {"units": [0, 1, 2, 3], "prefixes": [], "constants": []}
    ]


def test_a_layer_without_units_is_refused() -> None:
    layers = (Input(1), dense(0, np.zeros((0, 1))), Relu(1, 0), dense(2, np.zeros((1, 0)), np.array([2])))
    with pytest.raises(Refusal, match="at least one unit"):
        Checker(network_bytes(layers))


def test_constants_that_overflow_are_refused() -> None:
    big = freeze(np.array([3e38]), F32)
    layers = (Input(1), dense(0, np.zeros((1, 1)), np.array([3e38])), Elementwise(1, "add", big))
    with pytest.raises(Refusal, match="finite constants"):
        Checker(network_bytes(layers)).rebuild_member([])


def test_bytes_are_canonical_and_name_the_parent() -> None:
    checker = Checker(network_bytes(constants_network()))
    member = checker.rebuild_member([(2, [1])])
    record = json.loads(member)
    assert canonical(record) == member
    assert (record["format"], record["parent"]) == ("netslicer-member/1", checker.parent.digest)


def test_prefixes_that_overflow_are_refused() -> None:
    """Without h₀ unit 0 of layer 3 is the constant 2^100; 2^40 times that is a prefix, before a term that varies."""
    first = dense(0, np.ones((2, 1)))
    second = dense(2, np.array([[-(2.0**100), 0], [0, 1]]), np.array([2.0**100, 0]))
    layers = (Input(1), first, Relu(1, 2), second, Relu(3, 2), dense(4, np.array([[2.0**40, 1]])))
    checker = Checker(network_bytes(layers))
    checker.rebuild_member([])
    with pytest.raises(Refusal, match="finite constants"):
        checker.rebuild_member([(2, [0])])
