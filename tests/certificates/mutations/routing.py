"""Lies about the domain, the routing tree and which member serves which cell. The digests follow."""

from __future__ import annotations

from tests.certificates.mutations.kinds import (
    Inapplicable,
    Kind,
    Random,
    between,
    need,
    negated,
    pick,
    two,
    ulps,
)
from tests.certificates.opened import Json, Opened


def _splits(opened: Opened) -> list[Json]:
    return [node for node in opened.family["tree"] if "axis" in node]


def _leaves(opened: Opened) -> list[Json]:
    return [node for node in opened.family["tree"] if "cell" in node]


def threshold_up(opened: Opened, rng: Random) -> None:
    node = pick(rng, _splits(opened))
    node["threshold"] = ulps(node["threshold"], 1)


def threshold_down(opened: Opened, rng: Random) -> None:
    node = pick(rng, _splits(opened))
    node["threshold"] = ulps(node["threshold"], -1)


def threshold_negated(opened: Opened, rng: Random) -> None:
    node = pick(rng, _splits(opened))
    node["threshold"] = negated(node["threshold"])


def threshold_elsewhere(opened: Opened, rng: Random) -> None:
    node = pick(rng, _splits(opened))
    domain = opened.family["domain"]
    node["threshold"] = between(rng, domain["lower"][node["axis"]], domain["upper"][node["axis"]])


def threshold_on_the_border(opened: Opened, rng: Random) -> None:
    node = pick(rng, _splits(opened))
    node["threshold"] = opened.family["domain"][pick(rng, ["lower", "upper"])][node["axis"]]


def axis_changed(opened: Opened, rng: Random) -> None:
    node = pick(rng, _splits(opened))
    node["axis"] = pick(rng, [k for k in range(len(opened.family["domain"]["lower"])) if k != node["axis"]])


def children_swapped(opened: Opened, rng: Random) -> None:
    node = pick(rng, _splits(opened))
    node["low"], node["high"] = node["high"], node["low"]


def child_shared(opened: Opened, rng: Random) -> None:
    node = pick(rng, _splits(opened))
    node["low"] = node["high"]


def child_off_by_one(opened: Opened, rng: Random) -> None:
    node = pick(rng, _splits(opened))
    node[pick(rng, ["low", "high"])] += pick(rng, [-1, 1])


def cells_renumbered(opened: Opened, rng: Random) -> None:
    first, second = two(rng, _leaves(opened))
    first["cell"], second["cell"] = second["cell"], first["cell"]


def cell_doubled(opened: Opened, rng: Random) -> None:
    first, second = two(rng, _leaves(opened))
    first["cell"] = second["cell"]


def leaf_dropped(opened: Opened, rng: Random) -> None:
    """A split of two leaves becomes the first of them; cells, certificates and members close ranks."""
    tree = opened.family["tree"]
    places = [k for k, node in enumerate(tree) if "axis" in node and {"cell"} == {*tree[k + 1]} == {*tree[k + 2]}]
    place = pick(rng, places)
    gone = tree[place + 2]["cell"]
    opened.family["tree"] = [*tree[:place], tree[place + 1], *tree[place + 3 :]]
    for node in opened.family["tree"]:
        for key in {"low", "high"} & node.keys():
            node[key] -= 2 * (node[key] > place)
        if "cell" in node:
            node["cell"] -= node["cell"] > gone
    del opened.certificates[gone], opened.family["cells"][gone]
    for cell, certificate in enumerate(opened.certificates):
        certificate["cell"] = cell
    _use_all_members(opened)


def _use_all_members(opened: Opened) -> None:
    """Drop members that no cell uses, and put the others in the order of their first cell."""
    used = list(dict.fromkeys(opened.family["cells"]))
    opened.members = [opened.members[k] for k in used]
    opened.family["cells"] = [used.index(k) for k in opened.family["cells"]]


def last_cell_dropped(opened: Opened, rng: Random) -> None:
    """The last cell's certificate is missing, and its place in the list of cells."""
    opened.certificates.pop()
    opened.family["cells"].pop()
    _use_all_members(opened)


def certificate_missing(opened: Opened, rng: Random) -> None:
    opened.certificates.pop()


def certificate_too_many(opened: Opened, rng: Random) -> None:
    opened.certificates.append(opened.certificates[-1] | {"cell": len(opened.certificates)})


def cells_permuted(opened: Opened, rng: Random) -> None:
    """Two cells are served by each other's members."""
    cells = opened.family["cells"]
    first, second = two(rng, range(len(cells)))
    need(cells[first] != cells[second])
    cells[first], cells[second] = cells[second], cells[first]
    _use_all_members(opened)


def other_member(opened: Opened, rng: Random) -> None:
    """A cell is served by the member of another; its certificate names that one."""
    cells = opened.family["cells"]
    cell = rng.randrange(len(cells))
    cells[cell] = pick(rng, [k for k in range(len(opened.members)) if k != cells[cell]])
    _use_all_members(opened)


def members_reversed(opened: Opened, rng: Random) -> None:
    need(len(opened.members) > 1)
    opened.members.reverse()
    opened.family["cells"] = [len(opened.members) - 1 - k for k in opened.family["cells"]]


def members_permuted(opened: Opened, rng: Random) -> None:
    """Members change places; the cells keep their numbers."""
    first, second = two(rng, range(len(opened.members)))
    opened.members[first], opened.members[second] = opened.members[second], opened.members[first]


def member_unused(opened: Opened, rng: Random) -> None:
    """A member that no cell uses: the parent itself, whole."""
    copy = opened.copy()
    for certificate in copy.certificates:
        certificate["removed"] = []
    copy.rebuild_members()
    if copy.members[0]["layers"] in [member["layers"] for member in opened.members]:
        raise Inapplicable
    opened.members.insert(rng.randrange(len(opened.members) + 1), copy.members[0])


def cell_off(opened: Opened, rng: Random) -> None:
    cells = opened.family["cells"]
    cells[rng.randrange(len(cells))] += pick(rng, [-1, 1, len(opened.members)])


def _corner(opened: Opened, rng: Random) -> tuple[Json, int]:
    """A side of the domain and an input whose interval has a width."""
    domain = opened.family["domain"]
    axis = pick(rng, [k for k, (a, b) in enumerate(zip(domain["lower"], domain["upper"], strict=True)) if a != b])
    return domain, axis


def domain_one_ulp_wider(opened: Opened, rng: Random) -> None:
    domain, axis = _corner(opened, rng)
    side, step = pick(rng, [("lower", -1), ("upper", 1)])
    domain[side][axis] = ulps(domain[side][axis], step)


def domain_one_ulp_narrower(opened: Opened, rng: Random) -> None:
    domain, axis = _corner(opened, rng)
    side, step = pick(rng, [("lower", 1), ("upper", -1)])
    domain[side][axis] = ulps(domain[side][axis], step)


def domain_wider(opened: Opened, rng: Random) -> None:
    domain, axis = _corner(opened, rng)
    side = pick(rng, ["lower", "upper"])
    sign = 1 if side == "upper" else -1
    domain[side][axis] = (float.fromhex(domain[side][axis]) + sign * rng.randint(1, 1000)).hex()


def domain_inverted(opened: Opened, rng: Random) -> None:
    domain, axis = _corner(opened, rng)
    domain["lower"][axis], domain["upper"][axis] = domain["upper"][axis], domain["lower"][axis]


def inputs_exchanged(opened: Opened, rng: Random) -> None:
    """The intervals of two inputs change places."""
    domain = opened.family["domain"]
    first, second = two(rng, range(len(domain["lower"])))
    for side in domain.values():
        side[first], side[second] = side[second], side[first]


def domain_and_boxes_wider(opened: Opened, rng: Random) -> None:
    """The domain grows, and with it the boxes in the certificates of its border cells; the proofs stay as they were."""
    domain, axis = _corner(opened, rng)
    side = pick(rng, ["lower", "upper"])
    before, sign = domain[side][axis], 1 if side == "upper" else -1
    domain[side][axis] = (float.fromhex(before) + sign * pick(rng, [1, 4, 64, 2**20])).hex()
    for certificate in opened.certificates:
        if certificate["box"][side][axis] == before:
            certificate["box"][side][axis] = domain[side][axis]


def overflow_made_possible(opened: Opened, rng: Random) -> None:
    """The domain and the border boxes grow until sums may overflow."""
    domain, axis = _corner(opened, rng)
    side = pick(rng, ["lower", "upper"])
    before, sign = domain[side][axis], 1 if side == "upper" else -1
    domain[side][axis] = (sign * 2.0 ** rng.randint(126, 127)).hex()
    for certificate in opened.certificates:
        if certificate["box"][side][axis] == before:
            certificate["box"][side][axis] = domain[side][axis]


_ROUTING, _CELL = ("routing",), ("box", "routing")
KINDS = (
    Kind("routing threshold one ulp up", threshold_up, _CELL),
    Kind("routing threshold one ulp down", threshold_down, _CELL),
    Kind("routing threshold with the other sign", threshold_negated, _CELL),
    Kind("routing threshold elsewhere in the domain", threshold_elsewhere, _CELL),
    Kind("routing threshold on the domain's border", threshold_on_the_border, _CELL),
    Kind("routing axis changed", axis_changed, _CELL),
    Kind("routing children swapped", children_swapped, _ROUTING),
    Kind("one child for both sides", child_shared, _ROUTING),
    Kind("position of a child off by one", child_off_by_one, _ROUTING),
    Kind("two cells renumbered", cells_renumbered, _ROUTING),
    Kind("a cell doubled, another missing", cell_doubled, _ROUTING),
    Kind("a leaf of the routing tree dropped", leaf_dropped, ("box",)),
    Kind("the last cell left out of the lists", last_cell_dropped, ("routing", "listing")),
    Kind("a certificate missing", certificate_missing, ("listing",)),
    Kind("a certificate too many", certificate_too_many, ("listing",)),
    Kind("the members of two cells exchanged", cells_permuted, ("member",)),
    Kind("a cell served by another cell's member", other_member, ("member",)),
    Kind("members listed in another order", members_reversed, ("routing",)),
    Kind("members permuted, cells not", members_permuted, ("member",)),
    Kind("a member that no cell uses", member_unused, ("routing", "member")),
    Kind("the member of a cell off by one", cell_off, ("routing", "member", "form")),
    Kind("domain one ulp wider", domain_one_ulp_wider, ("box",)),
    Kind("domain one ulp narrower", domain_one_ulp_narrower, ("box", "routing")),
    Kind("domain much wider", domain_wider, ("box",)),
    Kind("lower and upper of the domain swapped", domain_inverted, ("form", "routing")),
    Kind("the intervals of two inputs exchanged", inputs_exchanged, ("box", "routing")),
    Kind("domain and boxes wider, proofs as before", domain_and_boxes_wider, ("unproved",)),
    Kind("overflow made possible", overflow_made_possible, ("overflow",)),
)
