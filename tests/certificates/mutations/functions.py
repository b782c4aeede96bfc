"""Lies about readouts: their numbers, their errors, the bounds, modes. Bases of other modes have none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dispatcher.literal import bits_text, bits_value
from tests.certificates.mutations.kinds import Kind, Random, flip_in, need, pick, two
from tests.certificates.opened import Json, Opened
from tests.certificates.trees import PHASES, close, closings, leaves, reopen

_Closing = tuple[int, str, int]  # node, phase, unit of the errors


def _layer(opened: Opened) -> int:
    """The relu layer of errors."""
    need("epsilon" in opened.family)
    return len(opened.parent["layers"]) + 3


def _served(opened: Opened, rng: Random) -> Json:
    """A certificate with a readout."""
    return pick(rng, [own for own in opened.certificates if "readout" in own])


def _kept(opened: Opened, rng: Random) -> Json:
    """A certificate without one, in mode ``epsilon``."""
    _layer(opened)
    return pick(rng, [own for own in opened.certificates if "readout" not in own])


def _errors(opened: Opened, own: Json) -> list[_Closing]:
    """The closings of errors in a proof."""
    layer = _layer(opened)
    return [(node, phase, unit) for node, phase, place, unit in closings(own["tree"]) if place == layer]


def _some(opened: Opened, rng: Random) -> tuple[Json, _Closing]:
    own = _served(opened, rng)
    return own, pick(rng, _errors(opened, own))


def _without_errors(opened: Opened, own: Json) -> None:
    """Close no errors."""
    for node, phase, unit in _errors(opened, own):
        reopen(own["tree"][node], phase, _layer(opened), unit)


def weight_changed(opened: Opened, rng: Random) -> None:
    """A bit of a weight."""
    rows = _served(opened, rng)["readout"]["weight"]
    place = rng.randrange(len(rows))
    rows[place] = flip_in(rows[place], rng)


def bias_changed(opened: Opened, rng: Random) -> None:
    """A bit of a bias."""
    readout = _served(opened, rng)["readout"]
    readout["bias"] = flip_in(readout["bias"], rng)


def member_changed(opened: Opened, rng: Random) -> None:
    """A bit of a member's own numbers."""
    readout = pick(rng, [member["readout"] for member in opened.members if "readout" in member])
    rows = readout["weight"]
    place = rng.randrange(len(rows))
    if rng.random() < 0.5:
        rows[place] = flip_in(rows[place], rng)
    else:
        readout["bias"] = flip_in(readout["bias"], rng)


def moved_by_its_bound(opened: Opened, rng: Random) -> None:
    """A function that is off by twice its bound, or a little more than that, on one side."""
    readout, n = _served(opened, rng)["readout"], opened.network.n_out
    output, bias = rng.randrange(n), bits_value(readout["bias"])
    bias[output] += np.float32(rng.choice([-2, -2.5, 2, 2.5]) * float.fromhex(opened.family["epsilon"][output]))
    readout["bias"] = bits_text(bias)


def outputs_exchanged(opened: Opened, rng: Random) -> None:
    """Two rows of weights change places, or two biases, or both."""
    readout, n = _served(opened, rng)["readout"], opened.network.n_out
    first, second = two(rng, range(n))
    order = [*range(n)]
    order[first], order[second] = second, first
    weight, bias = [readout["weight"][k] for k in order], bits_text(bits_value(readout["bias"])[order])
    readout |= pick(rng, [{"weight": weight}, {"bias": bias}, {"weight": weight, "bias": bias}])


def weights_overflow(opened: Opened, rng: Random) -> None:
    """All weights of an output are the largest number."""
    readout = _served(opened, rng)["readout"]
    row = rng.randrange(len(readout["weight"]))
    readout["weight"][row] = "7f7fffff" * (len(readout["weight"][row]) // 8)


def function_of_another_cell(opened: Opened, rng: Random) -> None:
    first, second = two(rng, [own for own in opened.certificates if "readout" in own])
    need(first["readout"] != second["readout"])
    first["readout"] = second["readout"]


def function_where_none_was(opened: Opened, rng: Random) -> None:
    """The function of another cell, and a root that says that it will do."""
    own = _kept(opened, rng)
    own["readout"] = _served(opened, rng)["readout"]
    for unit in range(2 * opened.network.n_out):
        close(own["tree"][0], "inactive", _layer(opened), unit)


def function_dropped(opened: Opened, rng: Random) -> None:
    """A function that no certificate speaks of."""
    own = _served(opened, rng)
    _without_errors(opened, own)
    del own["readout"]


def function_of_bad_form(opened: Opened, rng: Random) -> None:
    """Of another shape or type, not finite, with a key more or less, or none at all."""
    readout = _served(opened, rng)["readout"]
    rows, bias = readout["weight"], readout["bias"]
    weights = [rows[:-1], [*rows, rows[0]], [*rows[:-1], rows[-1][8:]], "".join(rows), [None, *rows[1:]]]
    weights.append(["ffc00000" + rows[0][8:], *rows[1:]])
    biases = [bias[8:], [bias], "7f800000" + bias[8:], bias + "00000000", None]
    bad = [{"source": 0}, *({"weight": value} for value in weights), *({"bias": value} for value in biases)]
    readout |= pick(rng, bad)


def function_is_none(opened: Opened, rng: Random) -> None:
    own = _served(opened, rng)
    own["readout"] = pick(rng, [None, [], {}, "", 0, own["readout"]["weight"], [own["readout"]]])


def error_dropped(opened: Opened, rng: Random) -> None:
    own, (node, phase, unit) = _some(opened, rng)
    reopen(own["tree"][node], phase, _layer(opened), unit)


def error_not_on_one_path(opened: Opened, rng: Random) -> None:
    """An error that all leaves but one close."""
    own, (_, _, unit) = _some(opened, rng)
    for node in own["tree"]:
        reopen(node, "inactive", _layer(opened), unit)
    for leaf in leaves(own["tree"])[1:]:
        close(own["tree"][leaf], "inactive", _layer(opened), unit)


def error_active(opened: Opened, rng: Random) -> None:
    own, (node, phase, unit) = _some(opened, rng)
    reopen(own["tree"][node], phase, _layer(opened), unit)
    close(own["tree"][node], "active", _layer(opened), unit)


def error_elsewhere(opened: Opened, rng: Random) -> None:
    """An error's number in another layer of those that make it, after them, or beyond all errors."""
    own, (node, phase, unit) = _some(opened, rng)
    layer, n = _layer(opened), opened.network.n_out
    reopen(own["tree"][node], phase, layer, unit)
    places = [(layer - 1, unit), (layer - 2, unit), (layer - 3, 0), (layer + 1, unit), (layer, 2 * n)]
    close(own["tree"][node], phase, *pick(rng, places))


def error_claimed(opened: Opened, rng: Random) -> None:
    """An error among the removed units, or on a solver's word."""
    own, (_, _, unit) = _some(opened, rng)
    own["removed"].append([_layer(opened), [unit]])
    if rng.random() < 0.5:
        own["attested"] = [[_layer(opened), [unit]]]


def error_where_no_function_is(opened: Opened, rng: Random) -> None:
    own = _kept(opened, rng)
    close(pick(rng, own["tree"]), pick(rng, PHASES), _layer(opened), rng.randrange(2 * opened.network.n_out))


def errors_at_the_root(opened: Opened, rng: Random) -> None:
    """A proof without its splits."""
    own = _served(opened, rng)
    need(len(own["tree"]) > 1)
    own["tree"] = [{"inactive": [[_layer(opened), [*range(2 * opened.network.n_out)]]]}]


def bound_smaller(opened: Opened, rng: Random) -> None:
    """One bound or all, by some powers of two."""
    _layer(opened)
    bounds, scale = opened.family["epsilon"], 2.0 ** -rng.randint(1, 20)
    for place in pick(rng, [[rng.randrange(len(bounds))], range(len(bounds))]):
        bounds[place] = (float.fromhex(bounds[place]) * scale).hex()


def bound_larger(opened: Opened, rng: Random) -> None:
    """One bound or all, by some powers of two: still true, only less is claimed."""
    _layer(opened)
    bounds, scale = opened.family["epsilon"], 2.0 ** rng.randint(1, 100)
    for place in pick(rng, [[rng.randrange(len(bounds))], range(len(bounds))]):
        bounds[place] = (float.fromhex(bounds[place]) * scale).hex()


def bound_of_zero(opened: Opened, rng: Random) -> None:
    _layer(opened)
    opened.family["epsilon"][rng.randrange(opened.network.n_out)] = pick(rng, ["0x0.0p+0", "-0x0.0p+0"])


def bounds_of_bad_form(opened: Opened, rng: Random) -> None:
    """Too few or many, negative, infinite, no numbers, of another type or spelling, or missing."""
    _layer(opened)
    bounds = opened.family["epsilon"]
    least, digits = "-0x0.0000000000001p-1022", "3f800000"
    bad = [bounds[1:], [*bounds, bounds[0]], [], None, bounds[0], [bounds], [None, *bounds[1:]], [1, *bounds[1:]],
           ["-" + bounds[0], *bounds[1:]], [least, *bounds[1:]], ["inf", *bounds[1:]], ["nan", *bounds[1:]],
           [digits, *bounds[1:]], [" " + bounds[0], *bounds[1:]], [(2.0**128).hex(), *bounds[1:]]]  # fmt: skip
    opened.family["epsilon"] = pick(rng, bad)
    if rng.random() < 1 / len(bad):
        del opened.family["epsilon"]


def mode_of_one_file(opened: Opened, rng: Random) -> None:
    """One file or two say another mode, or those of another mode say epsilon."""
    files = [opened.manifest, opened.family, *opened.certificates]
    modes = ["bitwise", "decision", "epsilon", "approximate"]
    for file in rng.sample(files, rng.randint(1, 2)):
        file["mode"] = pick(rng, [mode for mode in modes if mode != file["mode"]])


def mode_of_all_files(opened: Opened, rng: Random) -> None:
    """All say bitwise, with and without what belongs to functions, of which the members are left."""
    _layer(opened)
    if rng.random() < 0.5:
        for own in opened.certificates:
            _without_errors(opened, own)
            own.pop("readout", None)
    del opened.family["epsilon"]
    for file in (opened.manifest, opened.family, *opened.certificates):
        file["mode"] = "bitwise"


def _with_members(edit: Callable[[Opened, Random], None]) -> Callable[[Opened, Random], None]:
    """The edit, and the members that follow."""

    def edited(opened: Opened, rng: Random) -> None:
        edit(opened, rng)
        opened.rebuild_members()

    return edited


_OPEN, _MEMBER, _FORM, _UNPROVED = ("open", "unproved", "path"), ("member",), ("form",), ("unproved",)
KINDS = (
    Kind("a function's weight", weight_changed, _MEMBER),
    Kind("a function's weight, with its member", _with_members(weight_changed), _UNPROVED),
    Kind("a function's bias", bias_changed, _MEMBER),
    Kind("a function's bias, with its member", _with_members(bias_changed), _UNPROVED),
    Kind("a function's number in the member", member_changed, _MEMBER),
    Kind("a function beyond its bound, with its member", _with_members(moved_by_its_bound), _UNPROVED),
    Kind("a function's outputs exchanged, with its member", _with_members(outputs_exchanged), _UNPROVED),
    Kind("a function that overflows, with its member", _with_members(weights_overflow), ("overflow",)),
    Kind("the function of another cell", function_of_another_cell, _MEMBER),
    Kind("the function of another cell, with its member", _with_members(function_of_another_cell), _UNPROVED),
    Kind("a function where none was", function_where_none_was, _MEMBER),
    Kind("a function where none was, with its member", _with_members(function_where_none_was), _OPEN),
    Kind("a function dropped", function_dropped, _MEMBER),
    Kind("a function dropped, with its member", _with_members(function_dropped), ()),
    Kind("a function of bad form", _with_members(function_of_bad_form), _FORM),
    Kind("a function that is none", _with_members(function_is_none), _FORM),
    Kind("an error dropped", error_dropped, ("open",)),
    Kind("an error closed on all paths but one", error_not_on_one_path, _OPEN),
    Kind("an error closed active", error_active, _OPEN),
    Kind("an error in another place", error_elsewhere, _FORM),
    Kind("an error removed or attested", error_claimed, (*_FORM, "trust")),
    Kind("an error where no function is", error_where_no_function_is, _FORM),
    Kind("errors proved without splits", errors_at_the_root, _UNPROVED),
    Kind("a bound that is smaller", bound_smaller, _UNPROVED),
    Kind("a bound that is larger", bound_larger, ()),
    Kind("a bound of zero", bound_of_zero, _UNPROVED),
    Kind("bounds of bad form", bounds_of_bad_form, _FORM),
    Kind("another mode in one file or two", mode_of_one_file, (*_FORM, "identity")),
    Kind("mode bitwise in all files, with functions", mode_of_all_files, (*_MEMBER, "form")),
)
