"""What a budget led to, as a picture: flash against work, of the families that no other one beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from slicer.report.drawing import Frame, axis_left, line, rectangle, text
from slicer.report.markup import Markup, element

_FRAME = Frame(70, 30, 560, 300)
_STYLE = (
    "text{font:12px sans-serif} line{stroke:#14324f} .range{stroke-dasharray:4 3} .mean{fill:#24677d} "
    ".max{fill:none;stroke:#24677d} .chosen{fill:none;stroke:#b03020;stroke-width:2}"
)
_DOT = 6  # px


def budget_svg(budget: dict[str, Any]) -> str:
    """The families of a summary's budget as an SVG file: mean and largest multiply-accumulates over bytes of flash.

    Flash has a logarithmic scale, work begins at zero; the chosen family has a frame.
    """
    steps, base = budget["steps"], _FRAME.top + _FRAME.height
    top = max(step["mac_max"] for step in steps) or 1
    across = _across([step["flash"] for step in steps])
    shapes = [axis_left(_FRAME, [0, top / 2, top], "multiply-accumulates per inference")]
    shapes.append(line(_FRAME.left, base, _FRAME.left + _FRAME.width, base))
    for key, name, dashes in (("mac_max", "max", "range"), ("mac_mean", "mean", "axis")):
        up = _FRAME.up([0, *(step[key] for step in steps), top])[1:-1]
        shapes += [line(*ends, dashes) for ends in zip(across, up, across[1:], up[1:], strict=False)]
        shapes += [_dot(x, y, _DOT, name) for x, y in zip(across, up, strict=True)]
        shapes += [
            _dot(x, y, 2 * _DOT, "chosen")
            for x, y, step in zip(across, up, steps, strict=True)
            if step == budget["chosen"]
        ]
    for place, anchor in {0: "start", len(steps) - 1: "end"}.items():
        words = f"{steps[place]['flash']:,} ({steps[place]['layout']}, {steps[place]['members']:,} members)"
        shapes.append(text(_FRAME.left + _FRAME.width * (anchor == "end"), base + 16, words, anchor))
    shapes.append(text(_FRAME.left + _FRAME.width / 2, base + 34, "bytes of flash; dots mean, rings largest", "middle"))
    width, height = _FRAME.outside
    return str(
        element(
            "svg",
            element("title", "Flash against work"),
            element("style", _STYLE),
            *shapes,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {width:g} {height:g}",
        )
    )


def _across(flash: Sequence[int]) -> list[float]:
    """Places of bytes of flash, the least at the left and the most at the right; one alone stands in the middle."""
    logs = [math.log(value) for value in flash]
    if logs[0] == logs[-1]:
        return [_FRAME.left + _FRAME.width / 2] * len(logs)
    return _FRAME.across(logs)


def _dot(x: float, y: float, size: int, class_: str) -> Markup:
    """A mark around a place."""
    return rectangle(x - size / 2, y - size / 2, size, size, rx=size / 2, class_=class_)
