"""All cells side by side in the order of the routing tree, as wide as their parts of the volume: nothing is hidden."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from slicer.report.drawing import canvas, colour, legend, rectangle, text
from slicer.report.markup import Markup, element
from slicer.report.record import CellRecord, Contents

WIDTH = 720  # px; also the number of pieces of a strip with more cells than that
_BY_BADNESS = ("accepted", "attested", "not checked", "rejected")
_CLASSES = ("good", "word", "open", "bad")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the strip, from start to end in pixels: mean work of its cells, and their worst verdict (its rank)."""

    start: float
    end: float
    work: float
    rank: int


def work_range(contents: Contents) -> tuple[float, float]:
    """Least and largest work of a member, in parts of the parent's multiply-accumulates."""
    parts = [member.cost.mac / max(contents.parent.mac, 1) for member in contents.members]
    return min(parts), max(parts)


def part_of_range(value: float, bounds: tuple[float, float]) -> float:
    """Where a value stands in a range, 0 to 1; in the middle of an empty one."""
    low, high = bounds
    return (value - low) / (high - low) if high > low else 0.5


def cell_strip(contents: Contents) -> Markup:
    """The strip with its legend: verdicts above, work below."""
    bounds, pieces = work_range(contents), strip_pieces(contents)
    gap = 1.0 if len(pieces) <= WIDTH // 6 else 0.0
    shapes = []
    for piece in pieces:
        width = max(piece.end - piece.start - gap, 0.2)
        shapes.append(rectangle(piece.start, 2, width, 18, class_=_CLASSES[piece.rank]))
        shapes.append(rectangle(piece.start, 24, width, 40, fill=colour(part_of_range(piece.work, bounds))))
    ranks = [_rank(cell) for cell in contents.cells]
    numbers = [(word, ranks.count(rank)) for rank, word in enumerate(_BY_BADNESS)]
    counts = ", ".join(f"{number:,} {word}" for word, number in numbers if number or word != "attested")
    words = [text(0, 78, "0 %"), text(WIDTH, 78, "100 % of the volume", "end")]
    many = "One cell" if len(ranks) == 1 else f"{len(ranks):,} cells"
    title = f"{many} in routing order: {counts}"
    caption = (
        f"{title}. Every cell once; widths are parts of the domain's volume and fill it. Above: verdict (plain: "
        "accepted, dotted outline: attested, dashed outline: not checked, hatched: rejected). Below: work left, as in "
        "the legend."
    )
    ramp = legend(
        "work left, % of the parent's multiply-accumulates", f"{100 * bounds[0]:.1f} %", f"{100 * bounds[1]:.1f} %"
    )
    drawn = canvas(WIDTH, 82, title, [_hatch(), *shapes, *words])
    return element("figure", ramp, drawn, element("figcaption", caption))


def strip_pieces(contents: Contents) -> list[Piece]:
    """The cells, or pixels where there are more cells than pixels. Cells without volume have no piece of their own."""
    ends = [WIDTH * total for total in itertools.accumulate(cell.share for cell in contents.cells)]
    rows = list(zip([0.0, *ends[:-1]], ends, contents.cells, strict=True))
    if len(rows) <= WIDTH:
        return [_piece([cell], start, end, contents) for start, end, cell in rows if cell.share > 0]
    groups = [list(group) for _, group in itertools.groupby(rows, key=lambda row: int(row[0]))]
    starts = [float(int(group[0][0])) for group in groups]
    return [
        _piece([cell for _, _, cell in group], start, end, contents)
        for group, start, end in zip(groups, starts, [*starts[1:], float(WIDTH)], strict=True)
    ]


def _piece(cells: Sequence[CellRecord], start: float, end: float, contents: Contents) -> Piece:
    """Neighbouring cells as one piece."""
    volume = sum(cell.share for cell in cells)
    work = sum(cell.share * contents.members[cell.member].cost.mac for cell in cells)
    mean = work / (volume * max(contents.parent.mac, 1)) if volume else 0.0
    return Piece(start, end, mean, max(map(_rank, cells)))


def _rank(cell: CellRecord) -> int:
    """The worst of a cell's verdicts."""
    return max(_BY_BADNESS.index(verdict.outcome) for verdict in cell.verdicts.values())


def _hatch() -> Markup:
    """The pattern of rejected cells: visible without colour."""
    stripe = element("path", d="M0 6 6 0", stroke="#b00020", stroke_width=2)
    return element("defs", element("pattern", stripe, id="hatch", width=6, height=6, patternUnits="userSpaceOnUse"))
