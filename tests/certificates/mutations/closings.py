"""Lies in what the nodes of a proof close: false, missing, in another place, phase or unit."""

from __future__ import annotations

from tests.certificates.mutations.kinds import (
    Kind,
    Random,
    certificate,
    closing_of,
    keep,
    large_tree,
    need,
    pick,
    tree_of,
    widths,
)
from tests.certificates.opened import Json, Opened
from tests.certificates.trees import PHASES, ancestors, children, close, closings, end, parents, reopen

_OTHER = dict(zip(PHASES, reversed(PHASES), strict=True))


def removal_not_closed(opened: Opened, rng: Random) -> None:
    """A closing of a removed unit is missing."""
    own = certificate(opened, rng)
    node, phase, layer, unit = closing_of(own["tree"], rng, "inactive")
    need(unit in dict(map(tuple, own["removed"])).get(layer, ()))
    reopen(own["tree"][node], phase, layer, unit)


def closing_dropped(opened: Opened, rng: Random) -> None:
    """Any closing is missing, also one that is a mere fact."""
    tree = tree_of(opened, rng)
    node, *closing = closing_of(tree, rng)
    reopen(tree[node], *closing)


def closing_added(opened: Opened, rng: Random) -> None:
    """Any unit that the path leaves open, closed in any phase: true for some, false for most."""
    tree = tree_of(opened, rng)
    node = rng.randrange(len(tree))
    near = {node, *ancestors(tree, node), *range(node, end(tree, node))}
    taken = {closing[2:] for closing in closings(tree) if closing[0] in near}
    units = [(layer, unit) for layer, width in widths(opened).items() for unit in range(width)]
    close(tree[node], pick(rng, PHASES), *pick(rng, sorted(set(units) - taken)))


def closing_flipped(opened: Opened, rng: Random) -> None:
    tree = tree_of(opened, rng)
    node, phase, layer, unit = closing_of(tree, rng)
    reopen(tree[node], phase, layer, unit)
    close(tree[node], _OTHER[phase], layer, unit)


def node_flipped(opened: Opened, rng: Random) -> None:
    """All closings of a node in the other phase."""
    tree = tree_of(opened, rng)
    node = tree[closing_of(tree, rng)[0]]
    lists = {_OTHER[phase]: node.pop(phase) for phase in PHASES if phase in node}
    node |= lists


def closing_to_sibling(opened: Opened, rng: Random) -> None:
    """A leaf's closing stands in its sibling."""
    tree = large_tree(opened, rng)
    above = parents(tree)
    node, phase, layer, unit = pick(rng, [c for c in closings(tree) if c[0] in above])
    sibling = next(child for child in children(tree, above[node]) if child != node)
    reopen(tree[node], phase, layer, unit)
    if (layer, unit) not in {c[2:] for c in closings(tree[sibling : end(tree, sibling)])}:
        close(tree[sibling], phase, layer, unit)


def closing_up(opened: Opened, rng: Random) -> None:
    """A closing is asserted on the parent's box already."""
    tree = large_tree(opened, rng)
    above = parents(tree)
    node, phase, layer, unit = pick(rng, [c for c in closings(tree) if c[0] in above])
    parent = above[node]
    for other in range(parent, end(tree, parent)):
        for key in PHASES:
            reopen(tree[other], key, layer, unit)
    close(tree[parent], phase, layer, unit)


def closing_down(opened: Opened, rng: Random) -> None:
    """A closing of a split stands in one of its children only: the other uses what is no fact there."""
    tree = large_tree(opened, rng)
    node, phase, layer, unit = pick(rng, [c for c in closings(tree) if "axis" in tree[c[0]]])
    reopen(tree[node], phase, layer, unit)
    close(tree[pick(rng, children(tree, node))], phase, layer, unit)


def closing_repeated(opened: Opened, rng: Random) -> None:
    """A unit closed again below: in the same phase or in the other."""
    tree = large_tree(opened, rng)
    node, _, layer, unit = pick(rng, [c for c in closings(tree) if "axis" in tree[c[0]]])
    close(tree[rng.randrange(node + 1, end(tree, node))], pick(rng, PHASES), layer, unit)


def closing_in_both_phases(opened: Opened, rng: Random) -> None:
    tree = tree_of(opened, rng)
    node, phase, layer, unit = closing_of(tree, rng)
    close(tree[node], _OTHER[phase], layer, unit)


def closing_unit_off(opened: Opened, rng: Random) -> None:
    """The neighbour is closed in the unit's place."""
    tree = tree_of(opened, rng)
    node, phase, layer, unit = closing_of(tree, rng)
    other = unit + pick(rng, [-1, 1])
    need((layer, other) not in {c[2:] for c in closings([tree[node]])})
    reopen(tree[node], phase, layer, unit)
    close(tree[node], phase, layer, other)


def closing_layer_off(opened: Opened, rng: Random) -> None:
    """The unit of that number in the layer before or after."""
    tree = tree_of(opened, rng)
    node, phase, layer, unit = closing_of(tree, rng)
    other = layer + pick(rng, [-1, 1, -2, 2, -3, 3])
    need((other, unit) not in {c[2:] for c in closings([tree[node]])})
    reopen(tree[node], phase, layer, unit)
    close(tree[node], phase, other, unit)


def fact_then_claim(opened: Opened, rng: Random) -> None:
    """An unproved fact at a split for which everything below it is honest: facts must be proved where they stand."""
    own = pick(rng, [c for c in opened.certificates if len(c["tree"]) > 1])
    tree = own["tree"]
    _, phase, layer, unit = pick(rng, [c for c in closings(tree) if c[0]])
    need("readout" not in own or layer in widths(opened))  # no path may leave an error open
    for other, key, *of in list(closings(tree)):
        if of == [layer, unit]:
            reopen(tree[other], key, layer, unit)
    keep(own, layer, unit)
    if layer > len(opened.parent["layers"]):
        own["classes"] = sorted({*own["classes"], unit // opened.network.n_out})
    close(tree[0], _OTHER[phase], layer, unit)
    opened.rebuild_members()


def _any_node(opened: Opened, rng: Random) -> Json:
    return pick(rng, tree_of(opened, rng))


def empty_lists(opened: Opened, rng: Random) -> None:
    node = _any_node(opened, rng)
    node[pick(rng, [phase for phase in PHASES if phase not in node])] = []


_WEAK = ("unproved", "open", "path", "tree")
KINDS = (
    Kind("closing of a removed unit dropped", removal_not_closed, ("open",)),
    Kind("any closing dropped", closing_dropped, _WEAK),
    Kind("any closing added", closing_added, _WEAK),
    Kind("active and inactive exchanged", closing_flipped, _WEAK),
    Kind("all closings of a node exchanged", node_flipped, _WEAK),
    Kind("closing moved to the sibling", closing_to_sibling, _WEAK),
    Kind("closing moved up", closing_up, _WEAK),
    Kind("closing moved down to one child", closing_down, _WEAK),
    Kind("unit closed again below", closing_repeated, ("path",)),
    Kind("unit closed in both phases", closing_in_both_phases, ("path",)),
    Kind("closed unit off by one", closing_unit_off, (*_WEAK, "form")),
    Kind("closed layer off", closing_layer_off, (*_WEAK, "form")),
    Kind("fact that is not proved", fact_then_claim, ("unproved",)),
    Kind("empty list of closings", empty_lists, ("form",)),
)
