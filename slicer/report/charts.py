"""Savings as charts: how much work is left in which part of the domain, and how many units of each ReLU layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slicer.report.drawing import canvas, line, rectangle, text
from slicer.report.markup import Markup, element, join
from slicer.report.record import Contents, LayerRecord

_WIDTH, _LEFT, _TOP = 720, 46, 14
_BINS, _HEIGHT = 50, 150
_NAME, _ROW, _LIMIT = 190, 22, 22  # px, px, characters


def work_histogram(contents: Contents) -> Markup:
    """The share of the domain's volume over the work of its member, in percent of the parent's."""
    parent = max(contents.parent.mac, 1)
    percent = np.array([100 * contents.members[cell.member].cost.mac / parent for cell in contents.cells])
    shares = np.array([cell.share for cell in contents.cells])
    counts, _ = np.histogram(percent, _BINS, (0, 100), weights=shares)
    mean = 100 * contents.mac_mean / parent
    description = (
        f"Work per inference by volume: mean {mean:.1f} %, from {percent.min():.1f} % to {percent.max():.1f} % of the "
        "parent's multiply-accumulates"
    )
    figure = canvas(_WIDTH, _TOP + _HEIGHT + 42, description, _bars(counts.tolist(), mean))
    caption = element("figcaption", f"{description}. Each bar is {100 // _BINS} % wide; the line is the mean.")
    return element("figure", figure, caption)


def _bars(counts: Sequence[float], mean: float) -> list[Markup]:
    """The histogram's shapes; the tallest bar fills the height."""
    width, base, most = _WIDTH - _LEFT - 20, _TOP + _HEIGHT, max(*counts, 1e-9)
    step = width / _BINS
    heights = [_HEIGHT * count / most for count in counts]
    bars = [
        rectangle(_LEFT + step * k + 0.5, base - height, step - 1, height, class_="bar")
        for k, height in enumerate(heights)
        if height > 0
    ]
    marks = [
        join([line(x, base, x, base + 4), text(x, base + 16, f"{percent} %", "middle")])
        for percent in range(0, 101, 10)
        for x in [_LEFT + width * percent / 100]
    ]
    levels = [text(_LEFT - 6, _TOP + 8, f"{100 * most:.0f} %", "end"), text(_LEFT - 6, base, "0", "end")]
    place, label = _LEFT + width * mean / 100, f"mean {mean:.1f} %"
    words = [
        text(_LEFT + width / 2, base + 34, "work left, % of the parent's multiply-accumulates", "middle"),
        text(place + 5, _TOP - 3, label) if mean < 80 else text(place - 5, _TOP - 3, label, "end"),
    ]
    return [*bars, line(_LEFT, base, _LEFT + width, base), *marks, *levels, line(place, _TOP - 12, place, base), *words]


def layer_chart(layers: Sequence[LayerRecord]) -> Markup:
    """Units left in every ReLU layer: outline for the parent, bar for the mean, thin line from least to most."""
    relus = [(position, layer) for position, layer in enumerate(layers) if layer.kind == "relu" and layer.units]
    if not relus:
        return element("p", "The parent has no ReLU layer.")
    most = max(layer.units for _, layer in relus)
    rows = [_row(index, position, layer, most) for index, (position, layer) in enumerate(relus)]
    total = f"Units left of {len(relus)} ReLU layers, mean by volume"
    figure = canvas(_WIDTH, _ROW * len(relus) + 6, total, rows)
    caption = "Units left in each ReLU layer: outline parent, bar mean weighted by volume, thin line least to most."
    return element("figure", figure, element("figcaption", caption))


def _row(index: int, position: int, layer: LayerRecord, most: int) -> Markup:
    """One layer's bar."""
    y, scale = _ROW * index + 4, (_WIDTH - _NAME - 130) / most
    start, middle = _NAME + scale * layer.units_min, y + 7
    return element(
        "g",
        text(_NAME - 8, y + 11, shortened(f"{position} {layer.name}"), "end"),
        rectangle(_NAME, y, scale * layer.units_mean, 14, class_="bar"),
        rectangle(_NAME, y, scale * layer.units, 14, class_="frame"),
        line(start, middle, _NAME + scale * layer.units_max, middle, "range"),
        text(_NAME + scale * layer.units + 8, y + 11, f"{layer.units_mean:.1f} of {layer.units}"),
    )


def shortened(name: str) -> str:
    """A name that fits beside a chart."""
    return name if len(name) <= _LIMIT else name[: _LIMIT - 1] + "…"
