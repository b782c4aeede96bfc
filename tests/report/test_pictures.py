"""Pictures: the projection is the true mean over what it hides, and the strip tiles the domain."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.report.charts import layer_chart, shortened, work_histogram
from slicer.report.drawing import Frame, ink, shade
from slicer.report.projection import MAX_BINS, project, views
from slicer.report.record import (
    CellRecord,
    CellVerdict,
    Contents,
    CostRecord,
    InputRecord,
    LayerRecord,
    MemberRecord,
)
from slicer.report.strip import WIDTH, cell_strip, strip_pieces
from slicer.report.views import cell_views
from tests.report.kit import Page

PARENT = 1000
Box = list[tuple[float, float]]


def contents_of(boxes: list[Box], work: list[int], outcomes: list[str] | None = None) -> Contents:
    """Cells of [0, 1]^n as a report describes them, one member each."""
    inputs = len(boxes[0])
    outcomes = outcomes or ["accepted"] * len(boxes)
    cells = tuple(
        CellRecord(
            box=tuple((axis, *bounds) for axis, bounds in enumerate(box) if bounds != (0.0, 1.0)),
            share=float(np.prod([high - low for low, high in box])),
            comparisons=0,
            member=cell,
            certificate="",
            removals=(),
            classes=(),
            proof=None,
            verdicts={"rigorous": CellVerdict(outcome, "", "", None)},  # type: ignore[arg-type] # one of the words
        )
        for cell, (box, outcome) in enumerate(zip(boxes, outcomes, strict=True))
    )
    cut = [len({bound for box in boxes for bound in box[axis]}) - 2 for axis in range(inputs)]
    members = tuple(MemberRecord("", CostRecord(mac, 0), (), 0, 0, False, False, 1) for mac in work)
    mean = sum(cell.share * mac for cell, mac in zip(cells, work, strict=True))
    whole = tuple(InputRecord(0.0, 1.0, count, count) for count in cut)
    return Contents(None, None, whole, 1, CostRecord(PARENT, 0), mean, 0.0, (), members, cells)


def random_cells(rng: np.random.Generator, inputs: int, count: int, steps: int = 8) -> list[Box]:
    """A random partition of [0, 1]^inputs whose borders are multiples of 1/steps, in preorder."""
    boxes: list[Box] = [[(0.0, 1.0)] * inputs]
    while len(boxes) < count:
        place, axis = int(rng.integers(len(boxes))), int(rng.integers(inputs))
        low, high = (round(bound * steps) for bound in boxes[place][axis])
        if high - low > 1:
            cut = int(rng.integers(low + 1, high)) / steps
            halves = [(low / steps, cut), (cut, high / steps)]
            boxes[place : place + 1] = [[*boxes[place][:axis], half, *boxes[place][axis + 1 :]] for half in halves]
    return boxes


def brute_force(boxes: list[Box], work: list[int], steps: int = 8) -> np.ndarray:
    """Work of the cell around every lattice point, ``[steps] * inputs``: the points lie inside the cells."""
    inputs = len(boxes[0])
    lattice = np.zeros((steps,) * inputs)
    for box, mac in zip(boxes, work, strict=True):
        lattice[tuple(slice(round(low * steps), round(high * steps)) for low, high in box)] = mac
    return lattice / PARENT


@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(2, 30))
@settings(deadline=None, max_examples=40)
def test_the_projection_is_the_mean_over_the_hidden_inputs(seed, inputs, count):
    rng = np.random.default_rng(seed)
    boxes = random_cells(rng, inputs, count)
    work = rng.integers(0, PARENT, count).tolist()
    lattice = brute_force(boxes, work)
    for axes in [(0,), (inputs - 1,), (0, 1), (1, 0)]:
        projection = project(contents_of(boxes, work), axes)
        hidden = tuple(axis for axis in range(inputs) if axis not in axes)
        mean = lattice.mean(axis=hidden) if hidden else lattice
        mean = mean.T if axes == (1, 0) else mean
        places = [np.searchsorted(borders, (np.arange(8) + 0.5) / 8) - 1 for borders in projection.borders]
        drawn = np.array(projection.work)[np.ix_(*places)] if len(axes) > 1 else np.array(projection.work)[places[0], 0]
        np.testing.assert_allclose(drawn, mean, atol=1e-12)
        assert projection.exact


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_the_strip_tiles_the_volume(seed, count):
    rng = np.random.default_rng(seed)
    boxes = random_cells(rng, 2, count)
    pieces = strip_pieces(contents_of(boxes, rng.integers(0, PARENT, count).tolist()))
    assert len(pieces) == count
    assert (pieces[0].start, pieces[-1].end) == (0, pytest.approx(WIDTH))
    assert all(one.end == two.start for one, two in itertools.pairwise(pieces))


def grid(side: int) -> list[Box]:
    """side² equal cells."""
    edges = [k / side for k in range(side + 1)]
    return [[across, up] for across in itertools.pairwise(edges) for up in itertools.pairwise(edges)]


def test_many_cells_make_a_small_picture():
    """16,384 cells: 720 pieces of strip, 64² bins, and the means are right though bins cut through cells."""
    boxes = grid(128)
    work = [k % PARENT for k in range(len(boxes))]
    contents = contents_of(boxes, work)
    pieces = strip_pieces(contents)
    assert len(pieces) == WIDTH
    assert sum((piece.end - piece.start) * piece.work for piece in pieces) / WIDTH == pytest.approx(
        contents.mac_mean / PARENT, rel=1e-2
    )
    projection = project(contents, (0, 1))
    assert np.array(projection.work).shape == (MAX_BINS, MAX_BINS)
    assert np.mean(projection.work) == pytest.approx(contents.mac_mean / PARENT)
    lattice = np.array(work).reshape(64, 2, 64, 2).mean(axis=(1, 3)) / PARENT
    np.testing.assert_allclose(projection.work, lattice)
    assert len(cell_views(contents)) + len(cell_strip(contents)) < 1_000_000


def test_bins_that_do_not_fit_the_cells_are_said_to_be_so():
    contents = contents_of([[(k / 100, (k + 1) / 100)] for k in range(100)], list(range(100)))
    projection = project(contents, (0,))
    assert not projection.exact
    assert np.mean(projection.work) == pytest.approx(contents.mac_mean / PARENT)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([[(0.0, 1.0), (0.0, 1.0)]], []),
        ([[(0.0, 0.5)], [(0.5, 1.0)]], [(0,)]),
        ([[(0.0, 1.0), (0.0, 0.5)], [(0.0, 1.0), (0.5, 1.0)]], [(1,)]),
        (grid(3), [(0, 1)]),
    ],
)
def test_which_inputs_are_drawn(boxes, expected):
    contents = contents_of(boxes, [PARENT // 2] * len(boxes))
    assert views(contents) == expected
    page = Page(f"<div>{cell_views(contents)}{cell_strip(contents)}</div>")
    assert sum(tag == "svg" for tag, _ in page.tags) == 2 + len(expected)


def test_the_most_cut_inputs_are_drawn():
    inputs = tuple(
        InputRecord(0.0, 1.0, cuts, mean) for cuts, mean in ((9, 0.1), (1, 1.0), (0, 0.0), (3, 0.7), (5, 2.0))
    )
    contents = Contents(None, None, inputs, 1, CostRecord(1, 1), 1.0, 1.0, (), (), ())
    assert views(contents) == [(1, 3), (1, 4), (3, 4)]


def test_verdicts_show_without_colour():
    boxes = [[(0.0, 0.25)], [(0.25, 0.5)], [(0.5, 1.0)]]
    contents = contents_of(boxes, [1, 2, 3], ["accepted", "rejected", "not checked"])
    page = Page(f"<div>{cell_strip(contents)}</div>")
    classes = [attributes["class"] for tag, attributes in page.tags if tag == "rect" and "class" in attributes]
    assert classes == ["good", "bad", "open"]
    assert "3 cells in routing order: 1 accepted, 1 not checked, 1 rejected" in page.words["title"]


def test_a_rejected_cell_shows_among_many():
    outcomes = ["accepted"] * 16384
    outcomes[777] = "rejected"
    pieces = strip_pieces(contents_of(grid(128), [1] * 16384, outcomes))
    assert [piece.rank for piece in pieces].count(3) == 1


def test_cells_without_volume_do_no_harm():
    """A threshold on a lower bound makes a cell of width zero."""
    boxes = [[(0.0, 0.0), (0.0, 1.0)], [(0.0, 1.0), (0.0, 0.5)], [(0.0, 1.0), (0.5, 1.0)]]
    contents = contents_of(boxes, [900, 100, 300])
    assert len(strip_pieces(contents)) == 2
    assert project(contents, (1,)).work == [[0.1], [0.3]]
    assert project(contents, (0, 1)).extremes == (0.1, 0.3)


def bars(markup: str) -> list[dict[str, Any]]:
    """Attributes of the bars of a chart."""
    page = Page(f"<div>{markup}</div>")
    return [attributes for tag, attributes in page.tags if tag == "rect" and attributes.get("class") == "bar"]


def test_the_histogram_weighs_by_volume():
    contents = contents_of([[(0.0, 0.25)], [(0.25, 1.0)]], [105, 905])
    low, high = bars(work_histogram(contents))
    assert float(high["height"]) == pytest.approx(3 * float(low["height"]), abs=0.05)
    assert float(high["x"]) > float(low["x"])


def test_the_bars_of_layers_are_their_parts():
    layers = [
        LayerRecord("input", "in", 9, 9, 9.0, 9),
        LayerRecord("relu", "first", 40, 10, 20.0, 30),
        LayerRecord("relu", "<b>", 20, 20, 20.0, 20),
    ]
    first, second = bars(layer_chart(layers))
    assert first["width"] == second["width"]
    assert "&lt;b&gt;" in layer_chart(layers)
    assert "no ReLU layer" in layer_chart(layers[:1])


def test_small_helpers():
    assert shortened("a" * 30) == "a" * 21 + "…"
    assert shortened("a" * 22) == "a" * 22
    assert shade(0) != shade(1)
    assert (ink(0), ink(1)) == ("#111", "#fff")
    luma = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in (shade(k / 40) for k in range(41))]
    assert all(a > b for a, b in itertools.pairwise(luma))
    frame = Frame(10, 0, 100, 50)
    assert frame.across([2.0, 3.0, 6.0]) == [10, 35, 110]
    assert frame.up([2.0, 3.0, 6.0]) == [50, 37.5, 0]
