"""Lies in the shape of a proof tree: thresholds, axes, nodes missing, doubled or in another order."""

from __future__ import annotations

from tests.certificates.mutations.kinds import (
    Kind,
    Random,
    between,
    certificate,
    large_tree,
    need,
    negated,
    pick,
    tree_of,
    two,
    ulps,
)
from tests.certificates.opened import Json, Opened
from tests.certificates.trees import PHASES, Tree, ancestors, children, close, closings, end, leaves, splits


def _split(opened: Opened, rng: Random) -> tuple[Tree, int]:
    tree = large_tree(opened, rng)
    return tree, pick(rng, splits(tree))


def threshold_up(opened: Opened, rng: Random) -> None:
    tree, node = _split(opened, rng)
    tree[node]["threshold"] = ulps(tree[node]["threshold"], 1)


def threshold_down(opened: Opened, rng: Random) -> None:
    tree, node = _split(opened, rng)
    tree[node]["threshold"] = ulps(tree[node]["threshold"], -1)


def threshold_negated(opened: Opened, rng: Random) -> None:
    tree, node = _split(opened, rng)
    tree[node]["threshold"] = negated(tree[node]["threshold"])


def threshold_elsewhere(opened: Opened, rng: Random) -> None:
    tree, node = _split(opened, rng)
    domain, axis = opened.family["domain"], tree[node]["axis"]
    tree[node]["threshold"] = between(rng, domain["lower"][axis], domain["upper"][axis])


def threshold_on_a_border(opened: Opened, rng: Random) -> None:
    """Everything goes to one child."""
    own = pick(rng, [c for c in opened.certificates if len(c["tree"]) > 1])
    node = own["tree"][0]
    node["threshold"] = own["box"][pick(rng, ["lower", "upper"])][node["axis"]]


def threshold_outside(opened: Opened, rng: Random) -> None:
    own = pick(rng, [c for c in opened.certificates if len(c["tree"]) > 1])
    node = own["tree"][0]
    side, step = pick(rng, [("lower", -1), ("upper", 1)])
    node["threshold"] = ulps(own["box"][side][node["axis"]], step * rng.randint(1, 3))


def axis_changed(opened: Opened, rng: Random) -> None:
    tree, node = _split(opened, rng)
    inputs = opened.parent["layers"][0]["width"]
    tree[node]["axis"] = pick(rng, [axis for axis in range(inputs) if axis != tree[node]["axis"]])


def axis_outside(opened: Opened, rng: Random) -> None:
    tree, node = _split(opened, rng)
    tree[node]["axis"] = pick(rng, [-1, opened.parent["layers"][0]["width"], 2**70])


def leaf_dropped(opened: Opened, rng: Random) -> None:
    tree = large_tree(opened, rng)
    del tree[pick(rng, leaves(tree))]


def leaf_doubled(opened: Opened, rng: Random) -> None:
    tree = tree_of(opened, rng)
    place = pick(rng, leaves(tree))
    tree.insert(place, tree[place])


def node_without_split(opened: Opened, rng: Random) -> None:
    """A split that forgets axis and threshold: a leaf with nodes after it."""
    tree, node = _split(opened, rng)
    del tree[node]["axis"], tree[node]["threshold"]


def leaf_with_split(opened: Opened, rng: Random) -> None:
    """A leaf that becomes a split without children."""
    own = certificate(opened, rng)
    node = own["tree"][pick(rng, leaves(own["tree"]))]
    axis = rng.randrange(len(own["box"]["lower"]))
    node |= {"axis": axis, "threshold": own["box"]["lower"][axis]}


def subtrees_swapped(opened: Opened, rng: Random) -> None:
    tree, node = _split(opened, rng)
    low, high = children(tree, node)
    after = end(tree, high)
    need(tree[low:high] != tree[high:after])
    tree[low:after] = tree[high:after] + tree[low:high]


def subtree_pruned(opened: Opened, rng: Random) -> None:
    """A leaf without closings in place of a subtree."""
    tree, node = _split(opened, rng)
    tree[node : end(tree, node)] = [{key: tree[node][key] for key in PHASES if key in tree[node]}]


def subtree_collapsed(opened: Opened, rng: Random) -> None:
    """A leaf that asserts without cuts what the leaves of a subtree prove with them."""
    tree, node = _split(opened, rng)
    after = end(tree, node)
    leaf = {key: tree[node][key] for key in PHASES if key in tree[node]}
    for _, phase, layer, unit in closings(tree[node + 1 : after]):
        if (layer, unit) not in {closing[2:] for closing in closings([leaf])}:
            close(leaf, phase, layer, unit)
    tree[node:after] = [leaf]


def split_inserted(opened: Opened, rng: Random) -> None:
    """A superfluous cut: both parts are proved in the same way. True, only longer."""
    own = certificate(opened, rng)
    tree, leaf = own["tree"], pick(rng, leaves(own["tree"]))
    axis = rng.randrange(len(own["box"]["lower"]))
    cuts = [tree[node] for node in ancestors(tree, leaf) if tree[node]["axis"] == axis]
    at = cuts[0]["threshold"] if cuts else between(rng, own["box"]["lower"][axis], own["box"]["upper"][axis])
    tree[leaf : leaf + 1] = [{"axis": axis, "threshold": at}, tree[leaf], dict(tree[leaf])]


def nodes_exchanged(opened: Opened, rng: Random) -> None:
    tree = large_tree(opened, rng)
    first, second = two(rng, range(len(tree)))
    need(tree[first] != tree[second])
    tree[first], tree[second] = tree[second], tree[first]


def tree_reversed(opened: Opened, rng: Random) -> None:
    tree = large_tree(opened, rng)
    need(tree != tree[::-1])
    tree.reverse()


def tree_rotated(opened: Opened, rng: Random) -> None:
    tree = large_tree(opened, rng)
    first = rng.randrange(1, len(tree))
    tree[:] = tree[first:] + tree[:first]


def tree_emptied(opened: Opened, rng: Random) -> None:
    certificate(opened, rng)["tree"] = []


def _any_node(opened: Opened, rng: Random) -> Json:
    return pick(rng, tree_of(opened, rng))


def half_a_split(opened: Opened, rng: Random) -> None:
    tree, node = _split(opened, rng)
    del tree[node][pick(rng, ["axis", "threshold"])]


def node_key(opened: Opened, rng: Random) -> None:
    _any_node(opened, rng)[pick(rng, ["facts", "Axis", "slope", ""])] = 0


_SHAPE, _WEAK = ("tree", "form", "open", "path"), ("unproved", "open", "path", "tree")
KINDS = (
    Kind("proof threshold one ulp up", threshold_up, _WEAK),
    Kind("proof threshold one ulp down", threshold_down, _WEAK),
    Kind("proof threshold with the other sign", threshold_negated, _WEAK),
    Kind("proof threshold elsewhere in the domain", threshold_elsewhere, _WEAK),
    Kind("proof threshold on a border of the box", threshold_on_a_border, _WEAK),
    Kind("proof threshold outside the box", threshold_outside, ("tree",)),
    Kind("proof axis changed", axis_changed, _WEAK),
    Kind("proof axis that does not exist", axis_outside, ("form", "json")),
    Kind("leaf dropped", leaf_dropped, (*_SHAPE, "unproved")),
    Kind("leaf doubled", leaf_doubled, (*_SHAPE, "unproved")),
    Kind("a split turned into a leaf", node_without_split, _SHAPE),
    Kind("a leaf turned into a split", leaf_with_split, _SHAPE),
    Kind("subtrees swapped", subtrees_swapped, _WEAK),
    Kind("subtree pruned", subtree_pruned, ("open",)),
    Kind("subtree asserted without its cuts", subtree_collapsed, ("unproved",)),
    Kind("superfluous split", split_inserted, ("unproved",)),
    Kind("two nodes exchanged", nodes_exchanged, (*_WEAK, "form")),
    Kind("proof reversed", tree_reversed, _WEAK),
    Kind("proof rotated", tree_rotated, _WEAK),
    Kind("proof emptied", tree_emptied, ("tree",)),
    Kind("half a split", half_a_split, ("form",)),
    Kind("proof node with another key", node_key, ("form",)),
)
