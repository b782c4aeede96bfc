"""Pictures of the cells over the inputs that are cut most often, coloured by the work that is left."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from slicer.report.drawing import Frame, axis_below, axis_left, canvas, colour, ink, line, rectangle, text
from slicer.report.markup import Markup, element, join
from slicer.report.projection import MAX_BINS, Projection, project, views
from slicer.report.record import Contents
from slicer.report.strip import part_of_range, work_range

_PLANE = Frame(66, 8, 250, 250)
_STEPS = Frame(66, 8, 640, 160)


def cell_views(contents: Contents) -> Markup:
    """All pictures, or a sentence if the domain is one cell."""
    pictures = [_view(project(contents, axes), work_range(contents)) for axes in views(contents)]
    if not pictures:
        return element("p", "The domain is one cell: there is nothing to draw over its inputs.")
    caption = (
        "Work left over the inputs that are cut most often: at each place the mean over all other inputs, in percent "
        f"of the parent's. Lines are borders of cells (bins are evenly spaced if there are more than {MAX_BINS})."
    )
    return element("figure", element("div", *pictures, class_="views"), element("figcaption", caption))


def _view(projection: Projection, bounds: tuple[float, float]) -> Markup:
    """Cells over one or two inputs."""
    return _steps(projection) if len(projection.axes) == 1 else _plane(projection, bounds)


def _plane(projection: Projection, bounds: tuple[float, float]) -> Markup:
    """Rectangles over two inputs, coloured by work and labelled where they are large enough."""
    frame = _PLANE
    x, y = frame.across(projection.borders[0]), frame.up(projection.borders[1])
    shapes, words = [], []
    for i, j in itertools.product(range(len(x) - 1), range(len(y) - 1)):
        value, width, height = projection.work[i][j], x[i + 1] - x[i], y[j] - y[j + 1]
        part = part_of_range(value, bounds)
        shapes.append(rectangle(x[i], y[j + 1], width, height, fill=colour(part)))
        if width >= 24 and height >= 14:  # px: room for two digits
            place = x[i] + width / 2, y[j] - height / 2 + 4
            words.append(text(*place, f"{100 * value:.0f}", "middle", style=f"fill:{ink(part)}"))
    cells = element("g", *shapes, class_="cells" if projection.exact else None)
    border = rectangle(frame.left, frame.top, frame.width, frame.height, class_="frame")
    first, second = projection.axes
    axes = axis_below(frame, projection.borders[0], f"x{first}"), axis_left(frame, projection.borders[1], f"x{second}")
    title = f"Cells over inputs {first} and {second}: mean work from {_span(projection)}"
    return canvas(*frame.outside, title, [cells, *words, border, *axes])


def _steps(projection: Projection) -> Markup:
    """Work as steps over the only input that is cut."""
    frame, x = _STEPS, _STEPS.across(projection.borders[0])
    bars = [
        rectangle(start, frame.top + frame.height * (1 - part), end - start, frame.height * part, class_="bar")
        for (start, end), (part,) in zip(itertools.pairwise(x), projection.work, strict=True)
    ]
    axis = projection.axes[0]
    below = axis_below(frame, projection.borders[0], f"x{axis}")
    title = f"Work over input {axis}: from {_span(projection)}"
    return canvas(*frame.outside, title, [_levels(frame, (0, 50, 100)), *bars, below])


def _levels(frame: Frame, percents: Sequence[int]) -> Markup:
    """Lines across the frame, with their percentages."""
    places = [(percent, frame.top + frame.height * (1 - percent / 100)) for percent in percents]
    return join(
        [
            join(
                [line(frame.left, y, frame.left + frame.width, y, "grid"), text(frame.left - 6, y + 4, f"{p} %", "end")]
            )
            for p, y in places
        ]
    )


def _span(projection: Projection) -> str:
    """The extremes in words."""
    low, high = projection.extremes
    return f"{100 * low:.1f} % to {100 * high:.1f} % of the parent's multiply-accumulates"
