"""A parent network's file: every layer of `dispatcher.layers`, its float32 numbers as bits, so nothing is rounded."""

from __future__ import annotations

import numpy as np

from dispatcher.encode import Fields, canonical_json, read_json
from dispatcher.errors import UnusableBundle, UnusableInput
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layer, Layers, Relu, check_layers, freeze
from dispatcher.literal import bits_text, bits_value

NETWORK_FORMAT = "netslicer-network/1"
PARENT_FILE = "family/parent.json"

# Units of one layer, and of all layers together. Some kinds state a width without listing anything (input, relu,
# concat, add): without limits a file of forty concatenations would describe a network that fits into no memory.
MAX_WIDTH = 1 << 24
MAX_UNITS = 1 << 26


def network_bytes(layers: Layers) -> bytes:
    """Canonical bytes of a parent network. ``start`` vectors are not written: a parent's are zero."""
    return canonical_json({"format": NETWORK_FORMAT, "layers": [_layer_record(layer) for layer in layers]})


def _layer_record(layer: Layer) -> dict[str, object]:
    """One layer as a JSON object."""
    record: dict[str, object] = {"kind": type(layer).__name__.lower(), "name": layer.name}
    match layer:
        case Input():
            record |= {"width": layer.width}
        case Dense():
            if layer.start.any():
                raise ValueError("a parent network has no constant prefixes")
            rows = [bits_text(row) for row in layer.weight]
            record |= {"source": layer.source, "weight": rows, "bias": bits_text(layer.bias)}
        case Elementwise():
            record |= {"source": layer.source, "op": layer.op, "constant": bits_text(layer.constant)}
        case Relu():
            record |= {"source": layer.source}
        case Gather():
            record |= {"source": layer.source, "indices": [int(index) for index in layer.indices]}
        case Concat() | Add():
            record |= {"sources": list(layer.sources)}
    return record


def read_network(content: bytes, where: str = PARENT_FILE) -> Layers:
    """Parse and validate a parent network.

    Raises
    ------
    UnusableBundle
        Naming the layer and key.
    """
    fields = read_json(content, where)
    expect_format(fields, NETWORK_FORMAT)
    layers: list[Layer] = []
    widths: list[int] = []
    units = 0
    for record in fields.records("layers"):
        layers.append(_read_layer(record, widths))
        record.done()
        widths.append(layers[-1].width)
        units += widths[-1]
        if widths[-1] > MAX_WIDTH or units > MAX_UNITS:
            raise UnusableBundle(
                f"expected at most {MAX_WIDTH} units in a layer and {MAX_UNITS} in all, got {widths[-1]} and {units}",
                where=record.where,
            )
    fields.done()
    return _checked(tuple(layers), where)


def expect_format(fields: Fields, expected: str) -> None:
    """Refuse any other format or version."""
    got = fields.text("format")
    if got != expected:
        raise UnusableBundle(f"expected format {expected}, got {got[:60]!r}", where=fields.where)


def _checked(layers: Layers, where: str) -> Layers:
    """The layers, validated; problems become bundle errors."""
    try:
        check_layers(layers)
    except UnusableInput as error:
        place = f"{where}: {error.where}" if error.where else where
        raise UnusableBundle(error.what, where=place) from error
    return layers


def _read_layer(record: Fields, widths: list[int]) -> Layer:
    """One layer from its JSON object; ``widths`` are those of the layers before it."""
    kind, name = record.text("kind"), record.text("name")
    if (kind == "input") != (not widths):
        raise UnusableBundle("expected exactly one input layer, the first", where=record.where)
    if kind == "input":
        return Input(record.integer("width", 1, MAX_WIDTH), name)
    if kind in ("concat", "add"):
        return _read_join(record, kind, name, widths)
    source = record.integer("source", 0, len(widths) - 1)
    match kind:
        case "dense":
            return _read_dense(record, source, name, widths[source])
        case "elementwise":
            constant = freeze(record.parsed("constant", bits_value), np.float32)
            return Elementwise(source, record.parsed("op", _read_op), constant, name)
        case "relu":
            return Relu(source, widths[source], name)
        case "gather":
            return Gather(source, freeze(np.array(record.integers("indices", widths[source])), np.int64), name)
    raise UnusableBundle(f"unknown layer kind {kind[:40]!r}", where=record.where)


def _read_join(record: Fields, kind: str, name: str, widths: list[int]) -> Concat | Add:
    """A layer with several sources."""
    sources = tuple(record.integers("sources", len(widths)))
    if kind == "concat":
        return Concat(sources, sum(widths[source] for source in sources), name)
    if len(sources) != 2:
        raise UnusableBundle(f"expected two sources, got {len(sources)}", where=record.where)
    return Add((sources[0], sources[1]), widths[sources[0]], name)


def _read_dense(record: Fields, source: int, name: str, n_in: int) -> Dense:
    """A Dense layer from rows of bits."""
    bias = freeze(record.parsed("bias", bits_value), np.float32)
    rows = record.texts("weight")
    if len(rows) != len(bias) or any(len(row) != 8 * n_in for row in rows):
        raise UnusableBundle(f"expected {len(bias)} rows of {n_in} float32 values", where=f"{record.where}: weight")
    try:
        flat = bits_value("".join(rows))
    except ValueError as error:
        raise UnusableBundle(str(error), where=f"{record.where}: weight") from error
    weight = freeze(flat.reshape(len(bias), n_in), np.float32)
    return Dense(source, weight, bias, freeze(np.zeros(len(bias)), np.float32), name)


def _read_op(text: str) -> str:
    """The name of an element-wise operator."""
    if text not in ("add", "mul", "div"):
        raise ValueError(f"expected add, mul or div, got {text[:40]!r}")
    return text
