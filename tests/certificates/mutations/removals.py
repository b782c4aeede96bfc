"""Lies about which units are removed, and certificates that belong elsewhere. The digests follow."""

from __future__ import annotations

from tests.certificates.mutations.kinds import (
    Kind,
    Random,
    between,
    certificate,
    exchange,
    keep,
    need,
    pick,
    remove,
    removed_units,
    two,
    ulps,
    widths,
)
from tests.certificates.opened import Json, Opened
from tests.certificates.trees import close, closings, leaves, reopen


def _other_unit(opened: Opened, own: Json, rng: Random) -> tuple[int, int]:
    """A unit that the certificate does not remove."""
    units = [(layer, unit) for layer, width in widths(opened).items() for unit in range(width)]
    return pick(rng, sorted(set(units) - set(removed_units(own))))


def _removed(own: Json, rng: Random) -> tuple[int, int]:
    return pick(rng, removed_units(own))


def added(opened: Opened, rng: Random) -> None:
    """A unit more, the member as it was."""
    own = certificate(opened, rng)
    remove(own, *_other_unit(opened, own, rng))


def added_with_member(opened: Opened, rng: Random) -> None:
    """A unit more, and the member that follows; nothing in the proof closes it."""
    own = certificate(opened, rng)
    closed = {(layer, unit) for _, phase, layer, unit in closings(own["tree"]) if phase == "inactive"}
    unit = _other_unit(opened, own, rng)
    need(unit not in closed)
    remove(own, *unit)
    opened.rebuild_members()


def added_with_closing(opened: Opened, rng: Random) -> None:
    """A unit more, the member that follows, and a closing at the root that asserts it."""
    own = certificate(opened, rng)
    unit = _other_unit(opened, own, rng)
    need(unit not in {closing[2:] for closing in closings(own["tree"])})
    remove(own, *unit)
    close(own["tree"][0], "inactive", *unit)
    opened.rebuild_members()


def dropped(opened: Opened, rng: Random) -> None:
    """A unit less, the member as it was."""
    own = certificate(opened, rng)
    keep(own, *_removed(own, rng))


def dropped_with_member(opened: Opened, rng: Random) -> None:
    """A unit less, and the member that follows: still true, only less is claimed."""
    own = certificate(opened, rng)
    keep(own, *_removed(own, rng))
    opened.rebuild_members()


def nothing_claimed(opened: Opened, rng: Random) -> None:
    own = certificate(opened, rng)
    need(own["removed"])
    own["removed"] = []


def whole_member(opened: Opened, rng: Random) -> None:
    """The member that keeps everything, under a certificate with removals."""
    own = certificate(opened, rng)
    removed, own["removed"] = own["removed"], []
    need(removed)
    opened.rebuild_members()
    own["removed"] = removed


def unit_off_by_one(opened: Opened, rng: Random) -> None:
    """The neighbour of a removed unit is claimed in its place, with its member; the proof is that of the unit."""
    own = certificate(opened, rng)
    layer, unit = _removed(own, rng)
    other = unit + pick(rng, [-1, 1])
    need(0 <= other < widths(opened)[layer] and (layer, other) not in removed_units(own))
    keep(own, layer, unit)
    remove(own, layer, other)
    opened.rebuild_members()


def unit_off_by_one_everywhere(opened: Opened, rng: Random) -> None:
    """The neighbour takes the unit's place, in the removals, the member and every closing."""
    own = certificate(opened, rng)
    layer, unit = _removed(own, rng)
    other = unit + pick(rng, [-1, 1])
    need(0 <= other < widths(opened)[layer])
    need((layer, other) not in {closing[2:] for closing in closings(own["tree"])} | set(removed_units(own)))
    _rename(own, (layer, unit), (layer, other))
    opened.rebuild_members()


def layer_off_by_one(opened: Opened, rng: Random) -> None:
    """The unit of that number in another relu layer takes the unit's place everywhere."""
    own = certificate(opened, rng)
    layer, unit = _removed(own, rng)
    other = pick(rng, [key for key, width in widths(opened).items() if key != layer and unit < width])
    need((other, unit) not in {closing[2:] for closing in closings(own["tree"])} | set(removed_units(own)))
    _rename(own, (layer, unit), (other, unit))
    opened.rebuild_members()


def _rename(own: Json, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Let a certificate speak of another unit."""
    keep(own, *before)
    remove(own, *after)
    for node, phase, layer, unit in list(closings(own["tree"])):
        if (layer, unit) == before:
            reopen(own["tree"][node], phase, layer, unit)
            close(own["tree"][node], phase, *after)


def not_a_relu(opened: Opened, rng: Random) -> None:
    """A removed unit of a layer that is no relu layer."""
    own = certificate(opened, rng)
    layer = pick(rng, sorted(set(range(len(opened.parent["layers"]) + 1)) - widths(opened).keys()))
    own["removed"] = sorted([*own["removed"], [layer, [0]]])


def unit_outside(opened: Opened, rng: Random) -> None:
    own = certificate(opened, rng)
    layer, width = pick(rng, list(widths(opened).items()))
    remove(own, layer, pick(rng, [width, -1, width + 2**40]))


def unit_twice(opened: Opened, rng: Random) -> None:
    own = certificate(opened, rng)
    row = pick(rng, own["removed"])
    row[1].append(pick(rng, row[1]))
    row[1].sort()


def layer_twice(opened: Opened, rng: Random) -> None:
    own = certificate(opened, rng)
    own["removed"].insert(0, pick(rng, own["removed"]))


def empty_list(opened: Opened, rng: Random) -> None:
    """A layer of removals with no units, and the member that follows."""
    pick(rng, certificate(opened, rng)["removed"])[1] = []
    opened.rebuild_members()


def not_on_one_path(opened: Opened, rng: Random) -> None:
    """A removed unit that all leaves but one close."""
    own = pick(rng, [c for c in opened.certificates if c["removed"]])
    layer, unit = _removed(own, rng)
    tree = own["tree"]
    for node, phase, *of in list(closings(tree)):
        if of == [layer, unit]:
            reopen(tree[node], phase, layer, unit)
    open_leaf = pick(rng, leaves(tree))
    for leaf in leaves(tree):
        if leaf != open_leaf:
            close(tree[leaf], "inactive", layer, unit)


def active_instead(opened: Opened, rng: Random) -> None:
    """A removed unit that is closed active wherever it was closed inactive."""
    own = certificate(opened, rng)
    wanted = _removed(own, rng)
    for node, phase, layer, unit in list(closings(own["tree"])):
        if (layer, unit) == wanted and phase == "inactive":
            reopen(own["tree"][node], "inactive", layer, unit)
            close(own["tree"][node], "active", layer, unit)


def box_one_ulp(opened: Opened, rng: Random) -> None:
    own = certificate(opened, rng)
    corner = own["box"][pick(rng, ["lower", "upper"])]
    axis = rng.randrange(len(corner))
    corner[axis] = ulps(corner[axis], pick(rng, [-1, 1]))


def box_corner_moved(opened: Opened, rng: Random) -> None:
    own = certificate(opened, rng)
    side, axis = pick(rng, ["lower", "upper"]), rng.randrange(len(own["box"]["lower"]))
    own["box"][side][axis] = between(rng, own["box"]["lower"][axis], own["box"]["upper"][axis])


def box_of_another(opened: Opened, rng: Random) -> None:
    first, second = two(rng, opened.certificates)
    need(first["box"] != second["box"])
    first["box"] = second["box"]


def cell_of_another(opened: Opened, rng: Random) -> None:
    own = certificate(opened, rng)
    own["cell"] += pick(rng, [-1, 1, 10**6])


def certificates_exchanged(opened: Opened, rng: Random) -> None:
    first, second = two(rng, range(len(opened.certificates)))
    both = opened.certificates
    both[first], both[second] = both[second], both[first]


def proofs_exchanged(opened: Opened, rng: Random) -> None:
    """Two certificates change places but for cell and box, and the members with them."""
    first, second = two(rng, opened.certificates)
    for key in {"removed", "tree", "classes", "readout"} & {*first, *second}:
        exchange(first, second, key)
    opened.rebuild_members()


def proof_of_another(opened: Opened, rng: Random) -> None:
    """A cell with the proof tree of another, its own removals and member."""
    first, second = two(rng, opened.certificates)
    first["tree"] = second["tree"]


def attested(opened: Opened, rng: Random) -> None:
    """A removed unit on a solver's word, though it is proved."""
    own = certificate(opened, rng)
    layer, unit = _removed(own, rng)
    own["attested"] = [[layer, [unit]]]


def added_attested(opened: Opened, rng: Random) -> None:
    """A unit more, and the member that follows, on a solver's word."""
    own = certificate(opened, rng)
    layer, unit = _other_unit(opened, own, rng)
    remove(own, layer, unit)
    own["attested"] = [[layer, [unit]]]
    opened.rebuild_members()


def attested_without_removal(opened: Opened, rng: Random) -> None:
    own = certificate(opened, rng)
    layer, unit = _other_unit(opened, own, rng)
    own["attested"] = [[layer, [unit]]]


def attested_nothing(opened: Opened, rng: Random) -> None:
    certificate(opened, rng)["attested"] = []


_MEMBER, _FORM, _IDENTITY = ("member",), ("form",), ("identity",)
KINDS = (
    Kind("a removal added", added, ("member", "open")),
    Kind("a removal added, with its member", added_with_member, ("open",)),
    Kind("a removal added, with its member and a closing", added_with_closing, ("unproved",)),
    Kind("a removal dropped", dropped, _MEMBER),
    Kind("a removal dropped, with its member", dropped_with_member, ()),
    Kind("no removal claimed, member as before", nothing_claimed, _MEMBER),
    Kind("removals claimed, member with all units", whole_member, _MEMBER),
    Kind("removed unit off by one, with its member", unit_off_by_one, ("open",)),
    Kind("removed unit off by one, in the proof too", unit_off_by_one_everywhere, ("unproved",)),
    Kind("removed unit in another layer, in the proof too", layer_off_by_one, ("unproved",)),
    Kind("a removed unit of no relu layer", not_a_relu, _FORM),
    Kind("a removed unit that does not exist", unit_outside, _FORM),
    Kind("a removed unit listed twice", unit_twice, _FORM),
    Kind("a layer of removals listed twice", layer_twice, _FORM),
    Kind("an empty list of removed units", empty_list, _FORM),
    Kind("a removed unit closed on all paths but one", not_on_one_path, ("open", "unproved")),
    Kind("a removed unit closed active", active_instead, ("open", "unproved")),
    Kind("a removal on a solver's word", attested, ("trust",)),
    Kind("a removal added, with its member, on a solver's word", added_attested, ("trust",)),
    Kind("a solver's word on a unit that is not removed", attested_without_removal, _FORM),
    Kind("an empty list of solvers' words", attested_nothing, _FORM),
    Kind("box corner one ulp off", box_one_ulp, ("box", "form")),
    Kind("box corner moved", box_corner_moved, ("box",)),
    Kind("box of another cell", box_of_another, ("box",)),
    Kind("cell number off", cell_of_another, _IDENTITY),
    Kind("certificates of two cells exchanged", certificates_exchanged, _IDENTITY),
    Kind("proofs and members of two cells exchanged", proofs_exchanged, ("unproved", "path", "tree")),
    Kind("proof of another cell", proof_of_another, ("unproved", "open", "path", "tree", "form")),
)
