"""Two rewrites of a layer list that change no bit of any output: biases join their dense layers, unread layers go.

A matrix product without bias ends with ``fl(acc + 0) = acc``, so adding a constant next gives ``fl(acc + b)``, which
is what a `Dense` with this bias does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dispatcher.layers import Add, Concat, Dense, Elementwise, Input, Layer, Layers


def tidied(layers: Sequence[Layer], output: int) -> Layers:
    """The layers that the output at the given position needs, it last, with biases in their dense layers."""
    needed = only_needed(layers, output)
    return only_needed(with_biases(needed), len(needed) - 1)


def with_biases(layers: Layers) -> Layers:
    """Layers at the same positions; a constant added to a dense layer without bias and other readers is its bias."""
    readers = Counter(source for layer in layers for source in layer.sources)
    return tuple(_with_bias(layer, layers, readers) for layer in layers)


def _with_bias(layer: Layer, layers: Layers, readers: Counter[int]) -> Layer:
    """One layer, or the dense layer that replaces it and its source."""
    if not isinstance(layer, Elementwise) or layer.op != "add" or readers[layer.source] > 1:
        return layer
    source = layers[layer.source]
    return replace(source, bias=layer.constant) if isinstance(source, Dense) and not source.bias.any() else layer


def only_needed(layers: Sequence[Layer], output: int) -> Layers:
    """The input, the output and the layers between them that the output depends on, renumbered."""
    needed = {0, output}
    for position in range(output, 0, -1):
        if position in needed:
            needed.update(layers[position].sources)
    number = {position: index for index, position in enumerate(sorted(needed))}
    return tuple(_renumbered(layers[position], number) for position in sorted(needed))


def _renumbered(layer: Layer, number: dict[int, int]) -> Layer:
    """The layer with its sources' new positions."""
    match layer:
        case Input():
            return layer
        case Concat():
            return replace(layer, sources=tuple(number[source] for source in layer.sources))
        case Add():
            return replace(layer, sources=(number[layer.sources[0]], number[layer.sources[1]]))
        case _:
            return replace(layer, source=number[layer.source])
