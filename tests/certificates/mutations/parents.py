"""Lies about the network itself: in ``family/parent.json``, digests following or not, and in the model."""

from __future__ import annotations

import numpy as np

from tests.certificates.mutations.kinds import Inapplicable, Kind, Random, flip_in, need, pick, removed_units, ulps
from tests.certificates.opened import PARENT, Files, Json, Opened


def _layers(parent: Json, *kinds: str) -> list[Json]:
    """The layers of some kinds, all if none are named."""
    return [layer for layer in parent["layers"] if layer["kind"] in kinds or not kinds]


def _weight(parent: Json, rng: Random) -> tuple[Json, int]:
    layer = pick(rng, _layers(parent, "dense"))
    return layer, rng.randrange(len(layer["weight"]))


def _flip_weight(parent: Json, rng: Random) -> None:
    layer, row = _weight(parent, rng)
    layer["weight"][row] = flip_in(layer["weight"][row], rng)


def _flip_bias(parent: Json, rng: Random) -> None:
    layer = pick(rng, _layers(parent, "dense"))
    layer["bias"] = flip_in(layer["bias"], rng)


def weight_bit(opened: Opened, rng: Random) -> None:
    """Every digest follows, and the members: a bundle of another network than the model's."""
    _flip_weight(opened.parent, rng)
    _rebuilt(opened)


def bias_bit(opened: Opened, rng: Random) -> None:
    _flip_bias(opened.parent, rng)
    _rebuilt(opened)


def _rebuilt(opened: Opened) -> None:
    """Let the members follow; inapplicable if a constant overflows then."""
    try:
        opened.rebuild_members()
    except (RuntimeWarning, ValueError) as error:
        raise Inapplicable from error


def weight_bit_undigested(files: Files, rng: Random) -> None:
    """Nothing but the manifest follows."""
    _flip_weight(files[PARENT], rng)


def bias_bit_undigested(files: Files, rng: Random) -> None:
    _flip_bias(files[PARENT], rng)


def weight_sign(opened: Opened, rng: Random) -> None:
    layer, row = _weight(opened.parent, rng)
    text = layer["weight"][row]
    places = [k for k in range(0, len(text), 8) if text[k : k + 8].strip("0") not in ("", "8")]
    place = pick(rng, places)
    flipped = f"{int(text[place : place + 8], 16) ^ 0x80000000:08x}"
    layer["weight"][row] = text[:place] + flipped + text[place + 8 :]
    _rebuilt(opened)


def removed_unit_active(opened: Opened, rng: Random) -> None:
    """The bias of a removed unit raised so that it is active everywhere; members and all digests follow."""
    own = pick(rng, [c for c in opened.certificates if c["removed"]])
    layer, unit = pick(rng, removed_units(own))
    source = opened.parent["layers"][opened.parent["layers"][layer]["source"]]
    need(source["kind"] == "dense")
    source["bias"] = source["bias"][: 8 * unit] + "447a0000" + source["bias"][8 * unit + 8 :]  # 1000
    _rebuilt(opened)


def rows_exchanged(opened: Opened, rng: Random) -> None:
    """Two units of a layer with removals change places."""
    layer = pick(rng, [entry for entry in _layers(opened.parent, "dense") if len(entry["weight"]) > 1])
    first = rng.randrange(len(layer["weight"]) - 1)
    need(layer["weight"][first] != layer["weight"][first + 1])
    layer["weight"][first], layer["weight"][first + 1] = layer["weight"][first + 1], layer["weight"][first]
    _rebuilt(opened)


def constant_bit(opened: Opened, rng: Random) -> None:
    layer = pick(rng, _layers(opened.parent, "elementwise"))
    layer["constant"] = flip_in(layer["constant"], rng)
    _rebuilt(opened)


def operation_changed(opened: Opened, rng: Random) -> None:
    layer = pick(rng, _layers(opened.parent, "elementwise"))
    layer["op"] = pick(rng, sorted({"add", "mul", "div"} - {layer["op"]}))
    _rebuilt(opened)


def gather_changed(opened: Opened, rng: Random) -> None:
    layer = pick(rng, _layers(opened.parent, "gather"))
    place = rng.randrange(len(layer["indices"]))
    other = (layer["indices"][place] + 1) % len(layer["indices"])
    layer["indices"][place] = other
    _rebuilt(opened)


def source_changed(opened: Opened, rng: Random) -> None:
    """A layer reads another layer of the same width."""
    layers = opened.network.layers
    places = [
        (position, other)
        for position, layer in enumerate(layers)
        for other in range(position)
        if layer.sources and other != layer.sources[0] and layers[other].width == layers[layer.sources[0]].width
    ]
    position, other = pick(rng, places)
    record = opened.parent["layers"][position]
    if "source" in record:
        record["source"] = other
    else:
        record["sources"][0] = other
    _rebuilt(opened)


def relu_to_copy(opened: Opened, rng: Random) -> None:
    """A relu layer becomes one that copies: its closings name no relu layer any more."""
    layer = pick(rng, _layers(opened.parent, "relu"))
    layer["kind"], layer["sources"] = "concat", [layer.pop("source")]


def overflow(opened: Opened, rng: Random) -> None:
    """A weight or bias so large that sums may overflow on the domain."""
    layer = pick(rng, _layers(opened.parent, "dense"))
    row = rng.randrange(len(layer["weight"]))
    if rng.random() < 0.5:
        layer["bias"] = layer["bias"][: 8 * row] + "7f000000" + layer["bias"][8 * row + 8 :]
    else:
        layer["weight"][row] = "7f7fffff" * (len(layer["weight"][row]) // 8)


def not_finite(opened: Opened, rng: Random) -> None:
    layer, row = _weight(opened.parent, rng)
    layer["weight"][row] = pick(rng, ["7f800000", "ff800000", "7fc00000"]) + layer["weight"][row][8:]


def source_ahead(opened: Opened, rng: Random) -> None:
    position = rng.randrange(1, len(opened.parent["layers"]))
    layer = opened.parent["layers"][position]
    other = pick(rng, [position, position + 1, -1, len(opened.parent["layers"])])
    if "source" in layer:
        layer["source"] = other
    else:
        layer["sources"][0] = other


def row_missing(opened: Opened, rng: Random) -> None:
    layer = pick(rng, [entry for entry in _layers(opened.parent, "dense") if len(entry["weight"]) > 1])
    layer["weight"].pop()


def layer_missing(opened: Opened, rng: Random) -> None:
    layers = opened.parent["layers"]
    del layers[rng.randrange(len(layers))]


def renamed(opened: Opened, rng: Random) -> None:
    """A layer's name, which has no meaning: the claim holds for the file, but the model's layer has another name."""
    layer = pick(rng, opened.parent["layers"])
    layer["name"] += "x"


def model_bit(contents: Files, rng: Random) -> None:
    """One bit of the model, before the manifest is written."""
    path = next(path for path in contents if path.startswith("parent."))
    content = bytearray(contents[path])
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    contents[path] = bytes(content)


def model_emptied(files: Files, rng: Random) -> None:
    path = next(path for path in files if path.startswith("parent."))
    files[path] = files[path][: rng.randrange(len(files[path]) // 2)]


def removed_unit_active_by_a_hair(opened: Opened, rng: Random) -> None:
    """A removed unit's bias one ulp above what keeps it from being positive at a corner of its cell."""
    own = pick(rng, [c for c in opened.certificates if len(c["tree"]) == 1 and c["removed"]])
    layer, unit = pick(rng, removed_units(own))
    source = opened.parent["layers"][opened.parent["layers"][layer]["source"]]
    need(source["kind"] == "dense" and source["source"] == 0)
    lower, upper = (list(map(float.fromhex, own["box"][side])) for side in ("lower", "upper"))
    weight = [float(x) for x in opened.network.layers[opened.parent["layers"][layer]["source"]].weight[unit]]
    most = sum(max(w * low, w * high) for w, low, high in zip(weight, lower, upper, strict=True))
    bias = np.float32(float.fromhex(ulps(float(np.float32(-most)).hex(), 1)))
    source["bias"] = source["bias"][: 8 * unit] + np.array(bias, ">f4").tobytes().hex() + source["bias"][8 * unit + 8 :]
    _rebuilt(opened)


_ANY = ("unproved", "member", "overflow", "source", "form", "path", "open")
KINDS = (
    Kind("parent weight one bit off, all digests and members follow", weight_bit, _ANY),
    Kind("parent bias one bit off, all digests and members follow", bias_bit, _ANY),
    Kind("parent weight one bit off, no digest follows", weight_bit_undigested, ("identity",), "then"),
    Kind("parent bias one bit off, no digest follows", bias_bit_undigested, ("identity",), "then"),
    Kind("parent weight with the other sign, all follows", weight_sign, _ANY),
    Kind("a removed unit made active, all follows", removed_unit_active, ("unproved",)),
    Kind("a removed unit made active by a hair, all follows", removed_unit_active_by_a_hair, ("unproved",)),
    Kind("two rows of weights exchanged, all follows", rows_exchanged, _ANY),
    Kind("element-wise constant one bit off, all follows", constant_bit, _ANY),
    Kind("element-wise operation changed, all follows", operation_changed, _ANY),
    Kind("gathered unit off by one, all follows", gather_changed, _ANY),
    Kind("a layer reads another, all follows", source_changed, _ANY),
    Kind("a relu layer that copies", relu_to_copy, ("form", "unproved")),
    Kind("weights so large that sums may overflow", overflow, ("overflow",)),
    Kind("weight not finite", not_finite, ("form",)),
    Kind("source that is not before its reader", source_ahead, ("form",)),
    Kind("row of weights missing", row_missing, ("form",)),
    Kind("layer missing", layer_missing, ("form", "member")),
    Kind("layer renamed, all follows", renamed, ("source",)),
    Kind("model one bit off", model_bit, ("source",), "then"),
    Kind("model cut off", model_emptied, ("source",), "then"),
)
