"""Narrow ranges: domains and cells of a few float32 numbers, of one, and inputs that do not vary at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import slicer
from dispatcher.errors import UnusableInput
from dispatcher.layers import dense
from tests.attack.forge import claiming, draft_of, with_boxes, write_draft
from tests.attack.forgeries import exact_reason
from tests.attack.hunt import hunt
from tests.attack.judge import PlainJudge
from tests.attack.target import open_target
from tests.random_networks import chain
from tests.traps.models import write_model
from tests.traps.pipeline import box, passes

F32 = np.float32


def after(value: float, numbers: int) -> float:
    """The float32 number so many further up."""
    for _ in range(numbers):
        value = np.nextafter(F32(value), F32(np.inf))
    return float(value)


@pytest.mark.parametrize("width", [1e-5, 1e-7, 1e-12])
def test_narrow_boxes_around_zero(width, tmp_path):
    network = chain(np.random.default_rng(7), [3, 10, 10, 2])
    found = passes(network, box((-width, width), (0, width), (-width, 0)), 6, tmp_path)
    assert sum(found.removed) > 0  # almost every unit's sign is that of its bias


@pytest.mark.parametrize("width", [1e-5, 1e-6])
def test_narrow_boxes_away_from_zero(width, tmp_path):
    network = chain(np.random.default_rng(8), [3, 10, 10, 2])
    found = passes(network, box((0.7, 0.7 + width), (-0.3 - width, -0.3), (0.1, 0.1 + width)), 5, tmp_path)
    assert sum(found.removed) > 0


def test_one_narrow_unit_in_an_ordinary_box(tmp_path):
    """The second layer's unit 0 varies by 1e-6 only, around a value that is just not zero, on either side of it."""
    network = chain(np.random.default_rng(9), [2, 8, 8, 2])
    layers = list(network.layers)
    weight, bias = np.array(layers[3].weight), np.array(layers[3].bias)
    weight[:2] *= F32(1e-6)
    bias[:2] = [-1e-7, 1e-7]
    layers[3] = dense(2, weight, bias)
    passes(slicer.Network(tuple(layers)), box((-1, 1), (-1, 1)), 4, tmp_path)


@pytest.mark.parametrize("numbers", [1, 2, 3, 4])
def test_domains_of_a_few_numbers_per_input(numbers, tmp_path):
    network = chain(np.random.default_rng(1), [2, 6, 6, 1])
    cells = {1: 1, 2: 4, 3: 4, 4: 9}[numbers]  # as many as can be cut: a cut needs a number strictly inside
    domain = box((0.3, after(0.3, numbers)), (1.0, after(1.0, numbers)))
    found = passes(network, domain, cells, tmp_path, cuts="uniform")
    width = found.target.cells.upper - found.target.cells.lower
    assert (width <= np.spacing(F32(1.0)) * 2).all()


def test_more_cells_than_numbers_are_refused_with_one_clear_error(tmp_path):
    model = write_model(tmp_path / "net.onnx", chain(np.random.default_rng(1), [1, 4, 1]))
    with pytest.raises(UnusableInput, match=r"enough float32 numbers to cut.*fewer cells"):
        slicer.compress(model, box((0.3, after(0.3, 2))), tmp_path / "bundle", slicer.Options(cells=5, jobs=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx"]


def test_a_domain_with_a_single_point(tmp_path):
    network = chain(np.random.default_rng(2), [3, 8, 8, 2])
    found = passes(network, box((0.5, 0.5), (-1, -1), (0, 0)), 1, tmp_path)
    assert found.removed[0] > 0


def test_inputs_that_do_not_vary(tmp_path):
    network = chain(np.random.default_rng(3), [4, 10, 10, 2])
    found = passes(network, box((0.25, 0.25), (-1, 1), (-0.0, 0.0), (-1, 1)), 7, tmp_path)
    assert set(found.target.routing.axis.tolist()) == {1, 3}


def test_the_domain_s_lower_bound_as_a_threshold_makes_a_cell_without_width(tmp_path):
    """Our own cuts lie strictly inside; another producer's need not, and readers allow it (CERTIFICATE.md §7)."""
    passed = passes(chain(np.random.default_rng(4), [2, 8, 2]), box((0, 1), (0, 1)), 2, tmp_path)
    draft = draft_of(passed.target)
    tree = (replace(draft.family.tree[0], threshold=0.0), *draft.family.tree[1:])
    moved = replace(draft, family=replace(draft.family, tree=tree))
    moved = with_boxes(claiming(claiming(moved, 0, {}), 1, {}))
    path = write_draft(moved, tmp_path / "moved")
    assert slicer.audit(path).accepted
    assert exact_reason(path, [0, 1]) == ""
    target = open_target(path)
    assert (target.cells.lower[0] == target.cells.upper[0]).any()
    assert all(finding.clean for finding in hunt(target, PlainJudge(target), 2000, 500, 0).values())
