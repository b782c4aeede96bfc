"""Families for the tests: random networks of all layer kinds, cut into cells, each cell with another member."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dispatcher.interpret import eval32
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layers, Relu, dense, freeze
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


def readout_family() -> Family:
    """A family of mode ``epsilon``: nine members read hidden units, two keep all outputs, two are affine.

    Of two hidden layers and the input, of one, of one and the input; some with the parent's weights of the last hidden
    layer, some with other weights that they have in common. The last cell shares the member of the third.
    """
    rng, parent = np.random.default_rng(8), chain([4, 20, 33, 18, 3], 8)
    some = [
        random_readout(parent, [0, 4, 6], rng, 0.6, kept=True),
        random_affine(parent, rng),
        random_readout(parent, [0, 2, 4], rng, 0.7),
        random_member(parent, rng, (0.2, 0.5)),
        random_readout(parent, [2], rng),
        random_readout(parent, [4, 6], rng, 0.4, kept=True),
        random_readout(parent, [0, 6], rng, 0.5),
        random_member(parent, rng, (0.5, 0.8)),
        random_affine(parent, rng),
        *(member_with(parent, one) for one in _alike(parent, rng)),
    ]
    return with_members(parent, [*some, some[2]])


def _alike(parent: Layers, rng: np.random.Generator) -> list[Readout]:
    """Readouts of many units of the last hidden layer with weights in common, which are not the parent's."""
    place = len(parent) - 2
    weight = rng.normal(size=(parent[-1].width, parent[place].width))
    chosen = [tuple(np.flatnonzero(rng.random(weight.shape[1]) < 0.8).tolist()) for _ in range(4)]
    return [
        Readout(((place, units),), freeze(weight[:, list(units)], np.float32), freeze(weight[:, number], np.float32))
        for number, units in enumerate(chosen)
    ]


def member_with(parent: Layers, readout: Readout) -> Member:
    """The member with a readout of which no unit is removed."""
    return member_of(parent, set(), readout)


def random_affine(parent: Layers, rng: np.random.Generator) -> Member:
    """A member that is an affine function of the input; it need not be near the parent anywhere."""
    n_in, n_out = parent[0].width, parent[-1].width
    numbers = _odd_numbers(rng, (n_out, n_in + 1))
    layers = (MemberLayer(tuple(range(n_in))), *[MemberLayer(())] * (len(parent) - 1))
    reads = ((0, tuple(range(n_in))),)
    return Member(layers, Readout(reads, freeze(numbers[:, 1:], np.float32), freeze(numbers[:, 0], np.float32)))


def random_readout(
    parent: Layers, layers: list[int], rng: np.random.Generator, share: float = 1.0, *, kept: bool = False
) -> Member:
    """A member that reads its outputs off some units of these layers; a share of the ReLU units is removed.

    ``kept``: a Dense layer that reads the last of them, and the outputs off it, lends its weights.
    """
    removed = {
        (place, unit)
        for place, layer in enumerate(parent)
        if isinstance(layer, Relu)
        for unit in range(layer.width)
        if rng.random() > share
    }
    reads = tuple((place, _some_units(parent[place].width, rng)) for place in sorted(layers))
    n_read, n_out = sum(len(units) for _, units in reads), parent[-1].width
    weight = _odd_numbers(rng, (n_out, n_read))
    if kept:
        last, units = parent[-1], reads[-1][1]
        assert isinstance(last, Dense)
        assert last.source == reads[-1][0]
        weight[:, -len(units) :] = last.weight[:, list(units)]
    bias = freeze(_odd_numbers(rng, (n_out,)), np.float32)
    return member_of(parent, removed, Readout(reads, freeze(weight, np.float32), bias))


def _some_units(width: int, rng: np.random.Generator) -> tuple[int, ...]:
    """One unit at the least."""
    units = np.flatnonzero(rng.random(width) < rng.choice([0.2, 0.6, 1.0]))
    return tuple(units.tolist()) or (int(rng.integers(width)),)


def _odd_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers among which are zeros of either sign and subnormal ones."""
    numbers = rng.normal(size=shape)
    odd = rng.random(shape) < 0.2
    numbers[odd] = rng.choice([0.0, -0.0, 1e-40, -1e-45], odd.sum())
    return numbers


def with_members(parent: Layers, members: list[Member]) -> Family:
    """A family of mode ``epsilon`` with a cell for each of these, some of which may be the same."""
    distinct = tuple(dict.fromkeys(members))
    cells = tuple(distinct.index(member) for member in members)
    epsilon = freeze(np.ones(parent[-1].width), np.float32)
    whole = make_family(parent, len(members))
    return replace(whole, mode="epsilon", epsilon=epsilon, members=distinct, cells=cells)


def readouts_alone() -> Family:
    """A family all of whose members read hidden units, and an input that is wider than all that their steps read."""
    rng = np.random.default_rng(2)
    parent = (
        Input(6),
        Gather(0, freeze([4, 1], np.int64)),
        dense(1, rng.normal(size=(5, 2)), rng.normal(size=5)),
        Relu(2, 5),
        dense(3, rng.normal(size=(4, 5)), rng.normal(size=4)),
        Relu(4, 4),
        dense(5, rng.normal(size=(4, 4))),
    )
    return with_members(parent, [random_readout(parent, [0, layer], rng) for layer in (3, 5, 3)])


def readouts_of_waiting_layers() -> Family:
    """A family whose members read ReLU layers that come some steps after the Dense layers before them.

    Of the first, a vector, a member reads while a list waits for the next step; no output depends on the second.
    """
    rng = np.random.default_rng(4)
    parent = (
        Input(3),
        dense(0, rng.normal(size=(7, 3)), rng.normal(size=7)),
        dense(0, rng.normal(size=(9, 3)), rng.normal(size=9)),
        dense(0, rng.normal(size=(8, 3)), rng.normal(size=8)),
        dense(0, rng.normal(size=(5, 3)), rng.normal(size=5)),
        Relu(1, 7),
        Relu(2, 9),
        Relu(4, 5),
        dense(7, rng.normal(size=(6, 5)), rng.normal(size=6)),
        Relu(8, 6),
        Concat((9, 5, 3), 21),
        dense(10, rng.normal(size=(2, 21))),
    )
    reads = ([5, 9], [6, 9], [5, 6], [5, 7], [6, 7, 10])
    return with_members(parent, [random_readout(parent, [*one], rng) for one in reads])


def readouts_of_a_layer_aside() -> Family:
    """A family whose members read a ReLU layer that no output depends on, behind a step that could take its memory."""
    rng = np.random.default_rng(5)
    parent = (
        Input(3),
        dense(0, rng.normal(size=(9, 3)), rng.normal(size=9)),
        dense(0, rng.normal(size=(8, 3)), rng.normal(size=8)),
        Relu(1, 9),
        Elementwise(2, "mul", freeze(rng.normal(size=8), np.float32)),
    )
    return with_members(parent, [random_readout(parent, layers, rng) for layers in ([3], [0, 3], [2, 3])])


def readouts_with_others_live() -> Family:
    """A family whose members read some units of a list with weights in common, and need the others besides."""
    rng, parent = np.random.default_rng(6), chain([3, 9, 4, 4], 6)
    weight = rng.normal(size=(4, 9 + 4))

    def member(number: int) -> Member:
        units = tuple(unit for unit in range(9) if unit % 4 != number)
        numbers = freeze(weight[:, [*units, 9, 11]], np.float32), freeze(rng.normal(size=4), np.float32)
        return member_with(parent, Readout(((2, units), (4, (0, 2))), *numbers))

    return with_members(parent, [member(number) for number in range(4)])


def readouts_of_a_single_sum() -> Family:
    """A family whose members read some units of a list, and a single sum of all of them: rows are one apart."""
    rng = np.random.default_rng(7)
    weight = rng.normal(size=(9, 3)), rng.normal(size=(1, 9))
    parent = (
        Input(3),
        dense(0, weight[0]),
        Relu(1, 9),
        dense(2, weight[1]),
        Elementwise(3, "add", freeze([1], np.float32)),
    )
    return with_members(parent, [random_readout(parent, [2, 3], rng) for _ in range(4)])


def residual_readouts() -> Family:
    """Residual layers, of which members read some, an element-wise one between them; and one that is a vector.

    The outputs are read off a Concat, whose weights two members keep.
    """
    rng = np.random.default_rng(3)
    parent = (
        Input(3),
        dense(0, rng.normal(size=(16, 3)), rng.normal(size=16)),
        Relu(1, 16),
        dense(2, rng.normal(size=(16, 16)), rng.normal(size=16)),
        Add((2, 3), 16),
        Relu(4, 16),
        Elementwise(5, "mul", freeze(rng.normal(size=16), np.float32)),
        dense(6, rng.normal(size=(12, 16)), rng.normal(size=12)),
        Relu(7, 12),
        Concat((8, 5), 28),
        dense(9, rng.normal(size=(2, 28)), rng.normal(size=2)),
    )
    members = [
        random_readout(parent, [0, 5, 9], rng, 0.6, kept=True),
        random_readout(parent, [2, 6], rng, 0.6),
        random_readout(parent, [0, 3, 4], rng, 0.8),
        random_member(parent, rng),
        random_readout(parent, [9], rng, kept=True),
        random_readout(parent, [2, 5, 6, 8], rng, 0.5),
        random_affine(parent, rng),
    ]
    return with_members(parent, members)


def readouts_behind_prefixes() -> Family:
    """A family in which units that are read, or before those, begin with constant terms or are constants."""
    whole, rng = chain_with_prefixes(), np.random.default_rng(5)
    parent = whole.parent
    reads = [((3, 5), (4, 7)), ((1,), (0, 1, 4))]
    members = [
        member_of(parent, {(2, 0), (4, 3)}, _numbers(rng, parent, ((4, one), (6, other)))) for one, other in reads
    ]
    members += [member_of(parent, {(2, 0)}, _numbers(rng, parent, ((4, (0, 1, 2, 5)),)))]
    return with_members(parent, [*members, whole.members[1], random_affine(parent, rng)])


def _numbers(rng: np.random.Generator, parent: Layers, reads: tuple[tuple[int, tuple[int, ...]], ...]) -> Readout:
    """A readout with random numbers."""
    n_read, n_out = sum(len(units) for _, units in reads), parent[-1].width
    return Readout(
        reads, freeze(rng.normal(size=(n_out, n_read)), np.float32), freeze(rng.normal(size=n_out), np.float32)
    )


def mixed_readouts(seed: int, cells: int = 6) -> Family:
    """A network of all layer kinds; members read up to four layers of any kind, or none, or keep the outputs.

    Some of these layers have no value of their own in the parent's program: Dense layers before a ReLU, layers that no
    output depends on.
    """
    rng = np.random.default_rng(seed)
    parent = mixed(rng, blocks=4, width=18).layers
    layers = [place for place, layer in enumerate(parent[:-1]) if layer.width]
    members = [random_member(parent, rng, (0.0, 0.5)), random_affine(parent, rng)]
    while len(members) < cells:
        some = rng.choice(layers, min(len(layers), int(rng.integers(1, 5))), replace=False)
        if some.max() > 0:
            members.append(random_readout(parent, some.tolist(), rng, float(rng.choice([0.3, 0.7, 1.0]))))
    return with_members(parent, [members[index] for index in rng.permutation(cells)])


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
