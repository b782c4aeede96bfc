"""Families for the tests: random networks of all layer kinds, cut into cells, each cell with another member."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dispatcher.interpret import eval32
from dispatcher.layers import Concat, Input, Layers, Relu, dense, freeze
from dispatcher.plan import Constant, Family, Member, MemberLayer, Readout, member_layers
from dispatcher.route import Router
from dispatcher.vectors import border_points, corner_points, random_points
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain, random_network
from tests.random_networks import mixed

DIGEST = "0123456789abcdef" * 4


def random_member(parent: Layers, rng: np.random.Generator, removed: tuple[float, ...] = (0.5,)) -> Member:
    """A member without a random share of the ReLU units; each ReLU layer's share is one of those given.

    It need not equal the parent anywhere: it is well formed.
    """
    shares = {place: rng.choice(removed) for place, layer in enumerate(parent) if isinstance(layer, Relu)}
    relus = [(place, unit) for place in shares for unit in range(parent[place].width)]
    return member_of(parent, {relu for relu in relus if rng.random() < shares[relu[0]]})


def random_family(seed: int, cells: int = 5) -> Family:
    """A random network over ``[-1, 1]^n``, each cell of which is served by a random member."""
    rng = np.random.default_rng(seed)
    parent = random_network(seed, length=16)
    return make_family(parent, cells, lambda _: random_member(parent, rng))


def wide_family(seed: int, cells: int = 12) -> Family:
    """A chain with layers of up to 50 units, of which members keep all, many, few or none."""
    rng = np.random.default_rng(seed)
    parent = chain([4, 40, int(rng.integers(12, 40)), 50, 20, 3], seed)
    return make_family(parent, cells, lambda _: random_member(parent, rng, (0.0, 0.1, 0.5, 0.8, 0.95, 1.0)))


def decision_family() -> Family:
    """A family of mode ``decision``: members keep all outputs, two of them, or none (output 1 always wins)."""
    parent, largest = chain([4, 20, 20, 4], 2), np.finfo(np.float32).max
    whole = make_family(parent, 6, lambda cell: member_of(parent, {(2, cell), (4, 2 * cell)}))
    inputs, *inner, outputs = whole.members[0].layers
    nothing = [replace(layer, units=(), prefixes=(), constants=()) for layer in inner]
    alone = tuple(Constant(unit, np.float32(0) if unit == 1 else largest) for unit in outputs.units)
    members = list(whole.members)
    members[0] = Member((inputs, *nothing, replace(outputs, constants=alone)))
    *before, last = members[3].layers
    members[3] = Member((*before, replace(last, prefixes=(), constants=(alone[0], alone[2]))))
    return replace(whole, mode="decision", decision="argmin", members=tuple(members))


def epsilon_family() -> Family:
    """A family of mode ``epsilon``: the first member is affine, so are three more; two keep units of the parent.

    Cells 3 and 7 share an affine member. Weights are zeros of either sign and subnormal numbers too.
    """
    rng, parent = np.random.default_rng(4), chain([3, 20, 20, 5], 4)
    kept = [random_member(parent, rng) for _ in range(2)]
    affine = [random_affine(parent, rng) for _ in range(4)]
    return with_members(parent, [affine[0], kept[0], affine[1], affine[2], kept[1], affine[3], kept[0], affine[2]])


def affine_family(cells: int = 5) -> Family:
    """A family of mode ``epsilon`` all of whose members are affine."""
    rng, parent = np.random.default_rng(6), chain([4, 9, 2], 6)
    return with_members(parent, [random_affine(parent, rng) for _ in range(cells)])


def random_affine(parent: Layers, rng: np.random.Generator) -> Member:
    """A member that is an affine function of the input; it need not be near the parent anywhere."""
    n_in, n_out = parent[0].width, parent[-1].width
    numbers = rng.normal(size=(n_out, n_in + 1))
    odd = rng.random(numbers.shape) < 0.2
    numbers[odd] = rng.choice([0.0, -0.0, 1e-40, -1e-45], odd.sum())
    layers = (MemberLayer(tuple(range(n_in))), *[MemberLayer(())] * (len(parent) - 1))
    reads = ((0, tuple(range(n_in))),)
    return Member(layers, Readout(reads, freeze(numbers[:, 1:], np.float32), freeze(numbers[:, 0], np.float32)))


def with_members(parent: Layers, members: list[Member]) -> Family:
    """A family of mode ``epsilon`` with a cell for each of these, some of which may be the same."""
    distinct = tuple(dict.fromkeys(members))
    cells = tuple(distinct.index(member) for member in members)
    epsilon = freeze(np.ones(parent[-1].width), np.float32)
    whole = make_family(parent, len(members))
    return replace(whole, mode="epsilon", epsilon=epsilon, members=distinct, cells=cells)


def mixed_family(seed: int, cells: int = 6) -> Family:
    """A network of all layer kinds with wider layers, of which members keep all, half, few or none."""
    rng = np.random.default_rng(seed)
    parent = mixed(rng, blocks=4, width=18).layers
    return make_family(parent, cells, lambda _: random_member(parent, rng, (0.0, 0.5, 0.9, 1.0)))


def family_with_prefixes() -> Family:
    """A family in which a Dense layer with a ReLU behind it begins with terms that are constant and not zero.

    Units 0 and 1 of the Concat are the ReLUs of constants, as the layer before them is removed; units 2 to 4 are not.
    """
    rng = np.random.default_rng(0)
    parent = (
        Input(3),
        dense(0, rng.normal(size=(4, 3))),
        Relu(1, 4),
        dense(2, rng.normal(size=(2, 4)), np.array([0.3, 0.7])),
        Relu(3, 2),
        dense(0, rng.normal(size=(3, 3))),
        Relu(5, 3),
        Concat((4, 6), 5),
        dense(7, rng.normal(size=(9, 5)), rng.normal(size=9)),
        Relu(8, 9),
        dense(9, rng.normal(size=(2, 9)), rng.normal(size=2)),
    )
    removed = {(2, unit) for unit in range(4)}
    return make_family(parent, 3, lambda cell: member_of(parent, removed | {(9, cell)}))


def chain_with_prefixes() -> Family:
    """A chain in which a layer that reads a list begins with constant terms, and which has constants among its units.

    Units 0 and 1 of the second layer read a removed unit only, so their ReLUs are constant and above zero.
    """
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(20, 16))
    weight[:2, 1:] = 0
    bias = np.concatenate([[0.3, 0.7], rng.normal(size=18)])
    parent = (
        Input(3),
        dense(0, rng.normal(size=(16, 3))),
        Relu(1, 16),
        dense(2, weight, bias),
        Relu(3, 20),
        dense(4, rng.normal(size=(18, 20)), rng.normal(size=18)),
        Relu(5, 18),
        dense(6, np.eye(2, 18), rng.normal(size=2)),
    )
    return make_family(parent, 4, lambda cell: member_of(parent, {(2, 0), (4, cell + 2), (6, 17)} if cell else set()))


def hard_points(family: Family, rng: np.random.Generator, count: int = 200) -> np.ndarray:
    """Random points, corners, and points on and one ulp beside every threshold: float32 ``[n, n_in]``."""
    borders = list(border_points(family, 10, rng))
    return np.concatenate([random_points(family, count, rng), corner_points(family, 32, rng), *borders])


def expected(family: Family, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell of every point and its member's `eval32`."""
    cells = Router(family.tree)(points)
    outputs = np.empty((len(points), family.parent[-1].width), np.float32)
    for cell in np.unique(cells):
        rows = cells == cell
        layers = member_layers(family.parent, family.members[family.cells[cell]])
        outputs[rows] = eval32(layers, points[rows])
    return cells, outputs
