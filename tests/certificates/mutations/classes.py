"""Lies about decisions: classes, margins, modes, and which decision it is. Bases of mode ``bitwise`` have none."""

from __future__ import annotations

from collections.abc import Callable

from tests.certificates.mutations.kinds import Kind, Random, need, pick, two
from tests.certificates.opened import Json, Opened
from tests.certificates.trees import PHASES, close, closings, leaves, reopen

_Margin = tuple[int, str, int, int]  # node, phase, output, output that it loses against
_LARGEST = {"argmax": "ff7fffff", "argmin": "7f7fffff"}


def _layer(opened: Opened) -> int:
    """The relu layer of margins."""
    need("decision" in opened.family)
    return len(opened.parent["layers"]) + 1


def _margins(opened: Opened, own: Json) -> list[_Margin]:
    """The closings of margins in a proof."""
    layer, n = _layer(opened), opened.network.n_out
    return [(node, phase, *divmod(unit, n)) for node, phase, place, unit in closings(own["tree"]) if place == layer]


def _move(opened: Opened, own: Json, margin: _Margin, phase: str, output: int, other: int) -> None:
    """Another closing in the place of a margin's, or one that is there already."""
    node, before, k, i = margin
    layer, n = _layer(opened), opened.network.n_out
    reopen(own["tree"][node], before, layer, k * n + i)
    close(own["tree"][node], phase, layer, output * n + other)


def _some(opened: Opened, rng: Random) -> tuple[Json, _Margin]:
    """A certificate that closes margins, and one of these closings."""
    _layer(opened)
    own = pick(rng, [own for own in opened.certificates if _margins(opened, own)])
    return own, pick(rng, _margins(opened, own))


def _decided(opened: Opened, rng: Random, *, least: int = 1, most: int = 99) -> Json:
    """A certificate with some number of classes."""
    _layer(opened)
    return pick(rng, [own for own in opened.certificates if least <= len(own["classes"]) <= most])


def _others(opened: Opened, own: Json) -> list[int]:
    return sorted(set(range(opened.network.n_out)).difference(own["classes"]))


def class_dropped(opened: Opened, rng: Random) -> None:
    own = _decided(opened, rng)
    own["classes"].remove(pick(rng, own["classes"]))
    need(own["classes"])


def class_added(opened: Opened, rng: Random) -> None:
    own = _decided(opened, rng, most=opened.network.n_out - 1)
    own["classes"] = sorted([*own["classes"], pick(rng, _others(opened, own))])


def class_exchanged(opened: Opened, rng: Random) -> None:
    """A loser for a class."""
    own = _decided(opened, rng, most=opened.network.n_out - 1)
    gone, new = pick(rng, own["classes"]), pick(rng, _others(opened, own))
    own["classes"] = sorted({*own["classes"], new} - {gone})


def class_dropped_and_asserted(opened: Opened, rng: Random) -> None:
    """A class less, and a margin at the root by which it loses against another one."""
    own = _decided(opened, rng, least=2)
    gone, other = two(rng, own["classes"])
    own["classes"].remove(gone)
    layer, unit = _layer(opened), gone * opened.network.n_out + other
    for node in own["tree"]:
        for phase in PHASES:
            reopen(node, phase, layer, unit)
    close(own["tree"][0], "inactive", layer, unit)


def classes_of_another_cell(opened: Opened, rng: Random) -> None:
    _layer(opened)
    first, second = two(rng, opened.certificates)
    need(not set(second["classes"]) >= set(first["classes"]))
    first["classes"] = second["classes"]


def classes_of_bad_form(opened: Opened, rng: Random) -> None:
    """Empty, out of order, doubled, beyond the outputs, of another type, in rows, or missing."""
    own, n = _decided(opened, rng), opened.network.n_out
    classes = own["classes"]
    bad = [[], [*classes, classes[-1]], [1, 0], [*classes, n], [-1, *classes], None, classes[0], [classes], [True], "0"]
    own["classes"] = pick(rng, bad)
    if rng.random() < 1 / len(bad):
        del own["classes"]


def margin_dropped(opened: Opened, rng: Random) -> None:
    own, (node, phase, k, i) = _some(opened, rng)
    reopen(own["tree"][node], phase, _layer(opened), k * opened.network.n_out + i)


def margin_not_on_one_path(opened: Opened, rng: Random) -> None:
    """A margin that all leaves but one close."""
    own, (_, _, k, i) = _some(opened, rng)
    layer, unit = _layer(opened), k * opened.network.n_out + i
    for node in own["tree"]:
        reopen(node, "inactive", layer, unit)
    for leaf in leaves(own["tree"])[1:]:
        close(own["tree"][leaf], "inactive", layer, unit)


def margin_reversed(opened: Opened, rng: Random) -> None:
    own, margin = _some(opened, rng)
    _move(opened, own, margin, margin[1], margin[3], margin[2])


def margin_of_others(opened: Opened, rng: Random) -> None:
    """The margin of another pair of outputs, any of all."""
    own, margin = _some(opened, rng)
    n = opened.network.n_out
    taken = {closed[2:] for closed in _margins(opened, own)}
    pairs = [(k, i) for k in range(n) for i in range(n) if (k, i) not in taken]
    _move(opened, own, margin, margin[1], *pick(rng, pairs))


def margin_against_itself(opened: Opened, rng: Random) -> None:
    own, (node, phase, k, _) = _some(opened, rng)
    close(own["tree"][node], phase, _layer(opened), k * (opened.network.n_out + 1))


def margin_active(opened: Opened, rng: Random) -> None:
    own, margin = _some(opened, rng)
    _move(opened, own, margin, "active", *margin[2:])


def margin_elsewhere(opened: Opened, rng: Random) -> None:
    """A margin's number in the layer of its differences, of the outputs, or after both, or beyond all margins."""
    own, (node, phase, k, i) = _some(opened, rng)
    layer, n = _layer(opened), opened.network.n_out
    reopen(own["tree"][node], phase, layer, k * n + i)
    places = [(layer - 1, k * n + i), (layer - 2, k), (layer + 1, k), (layer, n * n)]
    close(own["tree"][node], phase, *pick(rng, places))


def margin_claimed(opened: Opened, rng: Random) -> None:
    """A margin among the removed units, or on a solver's word."""
    own, (_, _, k, i) = _some(opened, rng)
    row = [_layer(opened), [k * opened.network.n_out + i]]
    own["removed"].append(row)
    if rng.random() < 0.5:
        own["attested"] = [row]


def other_decision(opened: Opened, _rng: Random) -> None:
    _layer(opened)
    opened.family["decision"] = {"argmax": "argmin", "argmin": "argmax"}[opened.family["decision"]]


def no_decision(opened: Opened, rng: Random) -> None:
    _layer(opened)
    opened.family["decision"] = pick(rng, [None, "", "argmedian", "Argmax", ["argmax"], "argmax ", 1, "bitwise"])


def mode_of_one_file(opened: Opened, rng: Random) -> None:
    """One or two of the modes are the other one, with and without what belongs to it."""
    files = [opened.manifest, opened.family, *opened.certificates]
    for file in rng.sample(files, rng.randint(1, 2)):
        bitwise = file["mode"] == "bitwise"
        file["mode"] = "decision" if bitwise else "bitwise"
        if rng.random() < 0.5:
            extra = "decision" if file is opened.family else "classes"
            if bitwise and file is not opened.manifest:
                file[extra] = "argmax" if file is opened.family else [0, 1]
            else:
                file.pop(extra, None)


def mode_of_all_files(opened: Opened, _rng: Random) -> None:
    """All say bitwise, of members that only decide."""
    _layer(opened)
    del opened.family["decision"]
    for own in opened.certificates:
        del own["classes"]
    for file in (opened.manifest, opened.family, *opened.certificates):
        file["mode"] = "bitwise"


def _last(opened: Opened, rng: Random) -> tuple[list[Json], Json]:
    """The constants of a member's outputs, and one of those that lose."""
    _layer(opened)
    lost = _LARGEST[opened.family["decision"]]
    lists = [member["layers"][-1]["constants"] for member in opened.members]
    rows = pick(rng, [rows for rows in lists if lost in dict(rows).values()])
    return rows, pick(rng, [row for row in rows if row[1] == lost])


def loser_of_another_value(opened: Opened, rng: Random) -> None:
    _, row = _last(opened, rng)
    row[1] = pick(rng, ["00000000", "80000000", f"{int(row[1], 16) ^ 1:08x}", f"{int(row[1], 16) ^ 1 << 31:08x}"])


def loser_computed(opened: Opened, rng: Random) -> None:
    """An output that cannot win has its own bits, or those of its bias."""
    rows, row = _last(opened, rng)
    rows.remove(row)


def _with_members(edit: Callable[[Opened, Random], None]) -> Callable[[Opened, Random], None]:
    """The edit, and the members that follow."""

    def edited(opened: Opened, rng: Random) -> None:
        edit(opened, rng)
        opened.rebuild_members()

    return edited


_OPEN, _MEMBER, _FORM = ("open", "unproved", "path"), ("member",), ("form",)
KINDS = (
    Kind("a class dropped", class_dropped, _MEMBER),
    Kind("a class dropped, with its member", _with_members(class_dropped), _OPEN),
    Kind("a class dropped, with its member and a margin", _with_members(class_dropped_and_asserted), _OPEN),
    Kind("a class added", class_added, _MEMBER),
    Kind("a class added, with its member", _with_members(class_added), ()),
    Kind("a loser for a class, with its member", _with_members(class_exchanged), _OPEN),
    Kind("classes of another cell, with its member", _with_members(classes_of_another_cell), _OPEN),
    Kind("classes of bad form", classes_of_bad_form, _FORM),
    Kind("a margin dropped", margin_dropped, ("open",)),
    Kind("a margin closed on all paths but one", margin_not_on_one_path, _OPEN),
    Kind("a margin reversed", margin_reversed, _OPEN),
    Kind("a margin of other outputs", margin_of_others, _OPEN),
    Kind("a margin of an output against itself", margin_against_itself, ("unproved",)),
    Kind("a margin closed active", margin_active, _OPEN),
    Kind("a margin in another place", margin_elsewhere, _FORM),
    Kind("a margin removed or attested", margin_claimed, (*_FORM, "trust")),
    Kind("the other decision", other_decision, _MEMBER),
    Kind("the other decision, with its members", _with_members(other_decision), _OPEN),
    Kind("no decision", no_decision, _FORM),
    Kind("the other mode in one file or two", mode_of_one_file, (*_FORM, "identity")),
    Kind("mode bitwise in all files", mode_of_all_files, (*_MEMBER, "form")),
    Kind("a loser of another value", loser_of_another_value, _MEMBER),
    Kind("a loser that is no constant", loser_computed, _MEMBER),
)
