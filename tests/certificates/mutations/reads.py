"""Lies about what readouts read: units more, less, exchanged, removed, not kept, or named in another form."""

from __future__ import annotations

import itertools

import numpy as np

from dispatcher.literal import bits_text, bits_value
from tests.certificates.mutations.kinds import Kind, Random, need, pick, remove, removed_units, two
from tests.certificates.opened import Json, Opened
from tests.certificates.trees import close

_Read = tuple[int, int]  # layer and unit


def _served(opened: Opened, rng: Random) -> Json:
    """A certificate with a readout, one that reads hidden units if there is one."""
    served = [own for own in opened.certificates if "readout" in own]
    hidden = [own for own in served if own["readout"]["reads"][-1][0]]
    return pick(rng, hidden or served)


def _parts(own: Json) -> tuple[list[_Read], np.ndarray]:
    """The units that a readout reads, and its weights ``[n_out, n_read]``."""
    readout = own["readout"]
    reads = [(layer, unit) for layer, units in readout["reads"] for unit in units]
    return reads, np.array([bits_value(row) for row in readout["weight"]])


def _put(own: Json, reads: list[_Read], weight: np.ndarray) -> None:
    """Write units and weights, in the order of the units."""
    order = sorted(range(len(reads)), key=lambda place: reads[place])
    rows = itertools.groupby((reads[place] for place in order), key=lambda read: read[0])
    own["readout"]["reads"] = [[layer, [unit for _, unit in units]] for layer, units in rows]
    own["readout"]["weight"] = [bits_text(row[order].astype(np.float32)) for row in weight]


def _others(opened: Opened, own: Json) -> list[_Read]:
    """The units before the last layer that a readout does not read."""
    layers = opened.network.layers[:-1]
    units = [(place, unit) for place, layer in enumerate(layers) for unit in range(layer.width)]
    return [read for read in units if read not in _parts(own)[0]]


def _add(own: Json, read: _Read, weights: list[float]) -> None:
    """Read one unit more."""
    reads, weight = _parts(own)
    _put(own, [*reads, read], np.column_stack([weight, np.float32(weights)]))


def unit_more(opened: Opened, rng: Random) -> None:
    """Another unit is read, too, with some weight."""
    own = _served(opened, rng)
    weights = [rng.choice([0.0, 0.25, -1.0, 4.0]) for _ in own["readout"]["weight"]]
    _add(own, pick(rng, _others(opened, own)), weights)
    opened.rebuild_members()


def unit_for_nothing(opened: Opened, rng: Random) -> None:
    """Another unit is read, too, with zeros as weights: the member keeps what it needs."""
    own = _served(opened, rng)
    _add(own, pick(rng, _others(opened, own)), [rng.choice([0.0, -0.0]) for _ in own["readout"]["weight"]])
    opened.rebuild_members()


def removed_unit(opened: Opened, rng: Random) -> None:
    """A removed unit is read, with any weight: it is zero, as far as the proof of the errors knows it."""
    own = pick(rng, [own for own in opened.certificates if "readout" in own and own["removed"]])
    removed = [read for read in removed_units(own) if read in _others(opened, own)]
    _add(own, pick(rng, removed), [rng.uniform(-9, 9) for _ in own["readout"]["weight"]])
    opened.rebuild_members()


def unit_less(opened: Opened, rng: Random) -> None:
    """A unit is read no more; its weights go, too."""
    own = _served(opened, rng)
    reads, weight = _parts(own)
    need(len(reads) > 1)
    gone = rng.randrange(len(reads))
    _put(own, reads[:gone] + reads[gone + 1 :], np.delete(weight, gone, axis=1))
    opened.rebuild_members()


def other_unit(opened: Opened, rng: Random) -> None:
    """Another unit of the layer, or of any other, is read by the weights of one."""
    own = _served(opened, rng)
    reads, weight = _parts(own)
    place, others = rng.randrange(len(reads)), _others(opened, own)
    near = [read for read in others if read[0] == reads[place][0]]
    reads[place] = pick(rng, pick(rng, [near or others, others]))
    _put(own, reads, weight)
    opened.rebuild_members()


def other_layer(opened: Opened, rng: Random) -> None:
    """The unit of the same number in a layer beside."""
    own = _served(opened, rng)
    reads, weight = _parts(own)
    place = rng.randrange(len(reads))
    layer, unit = reads[place][0] + rng.choice([-2, -1, 1, 2]), reads[place][1]
    need((layer, unit) in _others(opened, own))
    reads[place] = layer, unit
    _put(own, reads, weight)
    opened.rebuild_members()


def weights_permuted(opened: Opened, rng: Random) -> None:
    """Two columns of the weights change places, in all rows or in one."""
    own = _served(opened, rng)
    _, weight = _parts(own)
    first, second = two(rng, range(weight.shape[1]))
    for row in pick(rng, [range(len(weight)), [rng.randrange(len(weight))]]):
        weight[row, [first, second]] = weight[row, [second, first]]
    own["readout"]["weight"] = [bits_text(row) for row in weight]
    opened.rebuild_members()


def reads_of_one_side(opened: Opened, rng: Random) -> None:
    """Another unit in the certificate only, or in the member's file only."""
    own = _served(opened, rng)
    member = opened.members[opened.family["cells"][opened.certificates.index(own)]]
    row = rng.randrange(len(own["readout"]["reads"]))
    place = rng.randrange(len(own["readout"]["reads"][row][1]))
    layer, units = own["readout"]["reads"][row]
    others = set(range(opened.network.layers[layer].width)).difference(units)
    need(others)
    changed = sorted({*units, rng.choice(sorted(others))} - {units[place]})
    rng.choice([own, member])["readout"]["reads"][row] = [layer, changed]


def member_lacks_what_is_read(opened: Opened, rng: Random) -> None:
    """A unit that is read is not kept, or nothing of its layer is."""
    own = _served(opened, rng)
    member = opened.members[opened.family["cells"][opened.certificates.index(own)]]
    layer, units = pick(rng, own["readout"]["reads"])
    gone = set(pick(rng, [units, [rng.choice(units)]]))
    entry = member["layers"][layer]
    entry["units"] = [unit for unit in entry["units"] if unit not in gone]
    for key in ("prefixes", "constants"):
        entry[key] = [row for row in entry[key] if row[0] not in gone]


def member_keeps_more(opened: Opened, rng: Random) -> None:
    """A unit that nobody needs, in any layer; outputs too."""
    own = _served(opened, rng)
    member = opened.members[opened.family["cells"][opened.certificates.index(own)]]
    widths = {place: layer.width for place, layer in enumerate(opened.network.layers)}
    entries = [(place, entry) for place, entry in enumerate(member["layers"]) if len(entry["units"]) < widths[place]]
    place, entry = pick(rng, entries)
    entry["units"] = sorted({*entry["units"], rng.choice(sorted(set(range(widths[place])) - {*entry["units"]}))})


def removal_dropped(opened: Opened, rng: Random) -> None:
    """A removal less; the member is what it was, without the unit."""
    own = pick(rng, [own for own in opened.certificates if "readout" in own and own["removed"]])
    row = pick(rng, own["removed"])
    row[1].remove(rng.choice(row[1]))
    own["removed"] = [row for row in own["removed"] if row[1]]


def removal_dropped_with_member(opened: Opened, rng: Random) -> None:
    """A removal less, and the member that follows: what is claimed is less, too."""
    removal_dropped(opened, rng)
    opened.rebuild_members()


def removal_added(opened: Opened, rng: Random) -> None:
    """A removal more, before what is read or behind it, closed at the root of the proof or nowhere."""
    own = _served(opened, rng)
    relus = [place for place, layer in enumerate(opened.network.layers) if type(layer).__name__ == "Relu"]
    units = [(place, unit) for place in relus for unit in range(opened.network.layers[place].width)]
    layer, unit = pick(rng, [pair for pair in units if pair not in removed_units(own)])
    remove(own, layer, unit)
    if rng.random() < 0.75:
        close(own["tree"][0], "inactive", layer, unit)
    opened.rebuild_members()


def overflow_by_one_unit(opened: Opened, rng: Random) -> None:
    """All bounds are as large as can be, and the largest number is the weight of one unit."""
    own = _served(opened, rng)
    reads, weight = _parts(own)
    weight[rng.randrange(len(weight)), rng.randrange(len(reads))] = np.finfo(np.float32).max
    own["readout"]["weight"] = [bits_text(row) for row in weight]
    opened.family["epsilon"] = ["0x1.fffffe0000000p+127"] * len(weight)
    opened.rebuild_members()


def reads_of_bad_form(opened: Opened, rng: Random) -> None:
    """Out of order, twice, empty, beyond what there is, of other types; weights follow or do not."""
    own = _served(opened, rng)
    reads, layers = own["readout"]["reads"], opened.network.layers
    (layer, units), last = pick(rng, reads), len(layers) - 1
    width, rows = layers[layer].width, [row for row in reads if row[0] != layer]
    bad = [None, [], {}, "", 0, {str(place): units for place, units in reads}, [None], [layer], reads[0], [[]],
           [[layer]], [[layer, units, units]], [[layer, units[0]]], [*reads, reads[-1]], [reads[0], *reads],
           [*reads, [layer, []]], [*rows, [layer, []]], [*reads, [last, [0]]], [[last, [0]]], [[-1, [0]], *reads],
           [*reads, [last + 1, [0]]], [*reads, [last + 4, [0]]], [*rows, [layer, [*units, units[-1]]]],
           [*rows, [layer, [*units, width]]], [*rows, [layer, [-1, *units]]], [*rows, [layer, [True]]],
           [*rows, [layer, [False]]], [*rows, [layer, [float(units[0])]]], [*rows, [float(layer), units]],
           [*rows, [bool(layer), [*range(99)]]], [*rows, [layer, [str(units[0])]]], [*rows, [layer, [None]]],
           [*rows, [str(layer), units]], [*rows, [layer, {}]]]  # fmt: skip
    bad += [[*rows, [layer, units[::-1]]]] * (len(units) > 1) + [reads[::-1]] * (len(reads) > 1)
    own["readout"]["reads"] = pick(rng, bad)
    if rng.random() < 0.5:
        opened.rebuild_members()


def weights_of_bad_length(opened: Opened, rng: Random) -> None:
    """A unit is read no more, or one more is, but weights stay as they were; or the other way round."""
    own = _served(opened, rng)
    reads, weight = _parts(own)
    longer, shorter = np.column_stack([weight, weight[:, :1]]), weight[:, :-1]
    if rng.random() < 0.5:
        own["readout"]["weight"] = [bits_text(row) for row in pick(rng, [longer, shorter])]
    else:
        before = own["readout"]["weight"]
        unit = pick(rng, _others(opened, own))
        _put(own, [*reads, unit], longer)
        own["readout"]["weight"] = before
    opened.rebuild_members()


_UNPROVED, _MEMBER, _FORM = ("unproved",), ("member",), ("form",)
KINDS = (
    Kind("a readout of a unit more", unit_more, _UNPROVED),
    Kind("a readout of a unit more by zeros", unit_for_nothing, ()),
    Kind("a readout of a removed unit", removed_unit, _UNPROVED),
    Kind("a readout of a unit less", unit_less, (*_UNPROVED, "form")),
    Kind("a readout of another unit", other_unit, _UNPROVED),
    Kind("a readout of another layer", other_layer, _UNPROVED),
    Kind("a readout's weights permuted", weights_permuted, _UNPROVED),
    Kind("a readout's units in one place only", reads_of_one_side, (*_MEMBER, "unproved")),
    Kind("a unit that is read and not kept", member_lacks_what_is_read, _MEMBER),
    Kind("a unit beside a readout that nobody needs", member_keeps_more, _MEMBER),
    Kind("a removal of a readout dropped", removal_dropped, (*_MEMBER, "unproved")),
    Kind("a removal of a readout dropped, with its member", removal_dropped_with_member, ()),
    Kind("a removal of a readout added", removal_added, ("open", "unproved", "path")),
    Kind("a readout that overflows by one unit", overflow_by_one_unit, ("overflow", "unproved")),
    Kind("reads of bad form", reads_of_bad_form, (*_FORM, "json")),
    Kind("weights of other reads", weights_of_bad_length, _FORM),
)
