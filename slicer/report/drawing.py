"""SVG primitives: shapes on a canvas, a ramp of colour, axes. Text and lines take the page's own colour.

Coordinates are rounded to hundredths of a pixel, so that equal data give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slicer.report.markup import Markup, element, join

# From little work (light) to much (dark); lightness falls steadily, so that grey prints show the same order.
_RAMP = ((237, 243, 240), (166, 206, 190), (84, 158, 157), (36, 103, 125), (20, 50, 79))
_DARK = 150  # luma below which writing on a colour is white
_STEPS, _STEP = 50, 6  # of a legend: number, px


@dataclass(frozen=True, slots=True)
class Frame:
    """The area of a picture inside its canvas, in pixels; below and to the right there is room for an axis."""

    left: float
    top: float
    width: float
    height: float

    @property
    def outside(self) -> tuple[float, float]:
        """Width and height of the canvas."""
        return self.left + self.width + 22, self.top + self.height + 40

    def across(self, borders: Sequence[float]) -> list[float]:
        """Places of numbers from left to right; the first and last are the frame's own borders."""
        return [self.left + self.width * part for part in _parts(borders)]

    def up(self, borders: Sequence[float]) -> list[float]:
        """Places of numbers from the bottom to the top."""
        return [self.top + self.height * (1 - part) for part in _parts(borders)]


def _parts(borders: Sequence[float]) -> list[float]:
    """Numbers as parts of the range from the first to the last."""
    whole = borders[-1] - borders[0]
    return [(border - borders[0]) / whole for border in borders]


def number(value: float) -> str:
    """A coordinate."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def shade(part: float) -> tuple[int, int, int]:
    """The colour at a part of the ramp, 0 to 1."""
    place = min(max(part, 0.0), 1.0) * (len(_RAMP) - 1)
    index = min(int(place), len(_RAMP) - 2)
    rest = place - index
    red, green, blue = (round(a + rest * (b - a)) for a, b in zip(_RAMP[index], _RAMP[index + 1], strict=True))
    return red, green, blue


def colour(part: float) -> str:
    """The same as an attribute."""
    red, green, blue = shade(part)
    return f"#{red:02x}{green:02x}{blue:02x}"


def ink(part: float) -> str:
    """The colour of writing on the ramp's colour."""
    red, green, blue = shade(part)
    return "#fff" if 0.299 * red + 0.587 * green + 0.114 * blue < _DARK else "#111"


def rectangle(x: float, y: float, width: float, height: float, **attributes: str | float | None) -> Markup:
    """A rectangle."""
    return element("rect", x=number(x), y=number(y), width=number(width), height=number(height), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str = "axis") -> Markup:
    """A straight line."""
    return element("line", x1=number(x1), y1=number(y1), x2=number(x2), y2=number(y2), class_=class_)


def text(x: float, y: float, content: str, anchor: str = "start", **attributes: str | float | None) -> Markup:
    """Writing whose start, middle or end stands at x."""
    placed = None if anchor == "start" else anchor
    return element("text", content, x=number(x), y=number(y), text_anchor=placed, **attributes)


def canvas(width: float, height: float, description: str, shapes: Iterable[str]) -> Markup:
    """An ``<svg>`` that scales with the page; the description is for readers who cannot see it."""
    return element(
        "svg",
        element("title", description),
        join(shapes),
        viewBox=f"0 0 {number(width)} {number(height)}",
        style=f"max-width:{number(width)}px",
        role="img",
    )


def legend(label: str, low: str, high: str) -> Markup:
    """The ramp as a bar between the words for its ends."""
    width = _STEPS * _STEP
    steps = [rectangle(_STEP * i, 14, _STEP + 0.2, 10, fill=colour(i / (_STEPS - 1))) for i in range(_STEPS)]
    words = [text(0, 10, label), text(0, 36, low), text(width, 36, high, "end")]
    return canvas(width + 2, 40, f"{label}: light is {low}, dark is {high}", [*words, *steps])


def axis_below(frame: Frame, borders: Sequence[float], label: str) -> Markup:
    """Numbers and a name under a picture."""
    places, base = frame.across(borders), frame.top + frame.height
    marks = [
        join([line(places[k], base, places[k], base + 4), text(places[k], base + 16, short(borders[k]), "middle")])
        for k in _spaced(places, 44)
    ]
    return element("g", *marks, text(frame.left + frame.width / 2, base + 34, label, "middle"))


def axis_left(frame: Frame, borders: Sequence[float], label: str) -> Markup:
    """Numbers and a name beside a picture."""
    places, start = frame.up(borders), frame.left
    marks = [
        join([line(start - 4, places[k], start, places[k]), text(start - 7, places[k] + 4, short(borders[k]), "end")])
        for k in _spaced(places, 18)
    ]
    turned = f"translate(11 {number(frame.top + frame.height / 2)}) rotate(-90)"
    return element("g", *marks, text(0, 0, label, "middle", transform=turned))


def _spaced(places: Sequence[float], least: float) -> list[int]:
    """Which of the places get a number: at most five, the ends among them, none too near to another."""
    count = min(len(places), 5)
    kept, last = [0], len(places) - 1
    for k in range(1, count - 1):
        tick = round(k * last / (count - 1))
        if min(abs(places[tick] - places[kept[-1]]), abs(places[tick] - places[last])) >= least:
            kept.append(tick)
    return [*kept, last]


def short(value: float) -> str:
    """A number on an axis, with at most five digits."""
    return f"{value:.5g}"
