"""Lies in a member's file under an honest certificate. Digests and names follow, so that only the content is wrong."""

from __future__ import annotations

from tests.certificates.mutations.kinds import Kind, Random, need, one_bit, pick, two
from tests.certificates.opened import Json, Opened


def _layers(opened: Opened, rng: Random) -> list[Json]:
    return pick(rng, opened.members)["layers"]


def _units(opened: Opened, rng: Random, *, inner: bool = True) -> list[int]:
    """The units of a layer, which are not all inputs or all outputs if it is an inner one."""
    layers = _layers(opened, rng)
    return pick(rng, [layer["units"] for layer in (layers[1:-1] if inner else layers) if layer["units"]])


def _row(opened: Opened, rng: Random, key: str) -> tuple[list[Json], Json]:
    """A list of prefixes or constants, and a row of it."""
    lists = [layer[key] for member in opened.members for layer in member["layers"] if layer[key]]
    rows = pick(rng, lists)
    return rows, pick(rng, rows)


def _width(opened: Opened, units: list[int]) -> int:
    """The parent's width of the layer whose list of units this is."""
    position = next(
        p for member in opened.members for p, layer in enumerate(member["layers"]) if layer["units"] is units
    )
    return opened.network.layers[position].width


def unit_dropped(opened: Opened, rng: Random) -> None:
    units = _units(opened, rng)
    units.remove(pick(rng, units))


def input_or_output_dropped(opened: Opened, rng: Random) -> None:
    layers = _layers(opened, rng)
    units = pick(rng, [layers[0]["units"], layers[-1]["units"]])
    units.remove(pick(rng, units))


def unit_added(opened: Opened, rng: Random) -> None:
    units = pick(rng, [layer["units"] for layer in _layers(opened, rng)])
    units.append(pick(rng, sorted(set(range(_width(opened, units))) - set(units))))
    units.sort()


def unit_replaced(opened: Opened, rng: Random) -> None:
    """A unit's neighbour in its place."""
    units = _units(opened, rng)
    place = rng.randrange(len(units))
    other = units[place] + pick(rng, [-1, 1])
    need(0 <= other < _width(opened, units) and other not in units)
    units[place] = other


def unit_outside(opened: Opened, rng: Random) -> None:
    units = _units(opened, rng, inner=False)
    units.append(_width(opened, units))


def units_disordered(opened: Opened, rng: Random) -> None:
    units = _units(opened, rng, inner=False)
    first, second = two(rng, range(len(units)))
    units[first], units[second] = units[second], units[first]


def unit_doubled(opened: Opened, rng: Random) -> None:
    units = _units(opened, rng, inner=False)
    place = rng.randrange(len(units))
    units.insert(place, units[place])


def prefix_value(opened: Opened, rng: Random) -> None:
    _, row = _row(opened, rng, "prefixes")
    row[2] = one_bit(row[2], rng)


def prefix_first(opened: Opened, rng: Random) -> None:
    _, row = _row(opened, rng, "prefixes")
    row[1] += pick(rng, [-1, 1])


def prefix_unit(opened: Opened, rng: Random) -> None:
    _, row = _row(opened, rng, "prefixes")
    row[0] += pick(rng, [-1, 1])


def prefix_dropped(opened: Opened, rng: Random) -> None:
    rows, row = _row(opened, rng, "prefixes")
    rows.remove(row)


def prefix_added(opened: Opened, rng: Random) -> None:
    """A prefix for a dense unit that has none; zero, so that only its terms go missing."""
    layers = _layers(opened, rng)
    place = pick(rng, [p for p, layer in enumerate(opened.parent["layers"]) if layer["kind"] == "dense"])
    named = {row[0] for key in ("prefixes", "constants") for row in layers[place][key]}
    unit = pick(rng, sorted(set(layers[place]["units"]) - named))
    layers[place]["prefixes"].append([unit, rng.randint(1, 3), "00000000"])
    layers[place]["prefixes"].sort()


def prefix_empty(opened: Opened, rng: Random) -> None:
    """A prefix recorded although all its terms are zero: it would change no bit, but the rules do not record it."""
    layers = _layers(opened, rng)
    place = pick(rng, [p for p, layer in enumerate(opened.parent["layers"]) if layer["kind"] == "dense"])
    named = {row[0] for key in ("prefixes", "constants") for row in layers[place][key]}
    unit = pick(rng, sorted(set(layers[place]["units"]) - named))
    layers[place]["prefixes"].append([unit, 0, "00000000"])
    layers[place]["prefixes"].sort()


def prefix_as_constant(opened: Opened, rng: Random) -> None:
    rows, row = _row(opened, rng, "prefixes")
    rows.remove(row)
    layer = next(entry for m in opened.members for entry in m["layers"] if entry["prefixes"] is rows)
    layer["constants"] = sorted([*layer["constants"], [row[0], row[2]]])


def constant_value(opened: Opened, rng: Random) -> None:
    _, row = _row(opened, rng, "constants")
    row[1] = one_bit(row[1], rng)


def constant_sign(opened: Opened, rng: Random) -> None:
    _, row = _row(opened, rng, "constants")
    row[1] = f"{int(row[1], 16) ^ 0x80000000:08x}"


def constant_unit(opened: Opened, rng: Random) -> None:
    _, row = _row(opened, rng, "constants")
    row[0] += pick(rng, [-1, 1])


def constant_dropped(opened: Opened, rng: Random) -> None:
    rows, row = _row(opened, rng, "constants")
    rows.remove(row)


def constant_added(opened: Opened, rng: Random) -> None:
    """A dense unit that varies is called constant, with its bias as value."""
    layers = _layers(opened, rng)
    place = pick(rng, [p for p, layer in enumerate(opened.parent["layers"]) if layer["kind"] == "dense"])
    named = {row[0] for key in ("prefixes", "constants") for row in layers[place][key]}
    unit = pick(rng, sorted(set(layers[place]["units"]) - named))
    bias = opened.parent["layers"][place]["bias"]
    layers[place]["constants"] = sorted([*layers[place]["constants"], [unit, bias[8 * unit : 8 * unit + 8]]])


def constants_of_a_relu(opened: Opened, rng: Random) -> None:
    """A constant recorded in a layer that is not dense."""
    layers = _layers(opened, rng)
    place = pick(rng, [p for p, layer in enumerate(opened.parent["layers"]) if layer["kind"] != "dense"])
    layers[place]["constants"].append([pick(rng, layers[place]["units"]), "00000000"])


def layers_exchanged(opened: Opened, rng: Random) -> None:
    layers = _layers(opened, rng)
    first, second = two(rng, range(len(layers)))
    layers[first], layers[second] = layers[second], layers[first]


def layer_missing(opened: Opened, rng: Random) -> None:
    layers = _layers(opened, rng)
    del layers[rng.randrange(len(layers))]


def layer_doubled(opened: Opened, rng: Random) -> None:
    layers = _layers(opened, rng)
    place = rng.randrange(len(layers))
    layers.insert(place, layers[place])


def layer_emptied(opened: Opened, rng: Random) -> None:
    layers = _layers(opened, rng)
    place = pick(rng, [p for p, layer in enumerate(layers) if layer["units"]])
    layers[place] = {"units": [], "prefixes": [], "constants": []}


def another_format(opened: Opened, rng: Random) -> None:
    pick(rng, opened.members)["format"] = pick(
        rng, ["netslicer-member/2", "netslicer-member/01", "Netslicer-member/1", ""]
    )


def another_key(opened: Opened, rng: Random) -> None:
    member = pick(rng, opened.members)
    pick(rng, [member, *member["layers"]])["weights"] = []


_EDITS = {
    "member unit dropped": unit_dropped,
    "member input or output dropped": input_or_output_dropped,
    "member unit added": unit_added,
    "member unit replaced by its neighbour": unit_replaced,
    "member unit that does not exist": unit_outside,
    "member units out of order": units_disordered,
    "member unit doubled": unit_doubled,
    "prefix value one bit off": prefix_value,
    "prefix end off by one": prefix_first,
    "prefix of the neighbouring unit": prefix_unit,
    "prefix dropped": prefix_dropped,
    "prefix added": prefix_added,
    "prefix without terms": prefix_empty,
    "prefix called a constant": prefix_as_constant,
    "constant one bit off": constant_value,
    "constant with the other sign": constant_sign,
    "constant of the neighbouring unit": constant_unit,
    "constant dropped": constant_dropped,
    "constant added": constant_added,
    "constant in a layer that is not dense": constants_of_a_relu,
    "member layers exchanged": layers_exchanged,
    "member layer missing": layer_missing,
    "member layer doubled": layer_doubled,
    "member layer emptied": layer_emptied,
    "member of another format": another_format,
    "member with another key": another_key,
}
KINDS = tuple(Kind(name, edit, ("member",)) for name, edit in _EDITS.items())
