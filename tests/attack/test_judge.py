"""The judges count exactly what is wrong, and agree with each other."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from dispatcher.errors import UnusableBundle, UnusableInput
from dispatcher.host import host_compiler
from dispatcher.interpret import eval32
from dispatcher.layers import Relu
from tests.attack.forge import claiming, draft_of, write_draft
from tests.attack.judge import Finding, HostJudge, PlainJudge, checksum, nothing
from tests.attack.points import tie_points, within
from tests.attack.target import Target, open_target, tapped
from tests.certificates.bases import near
from tests.certificates.opened import store

F32 = np.float32
needs_compiler = pytest.mark.skipif(host_compiler() is None, reason="no C compiler on this machine")


@pytest.fixture(scope="module")
def lying(targets, tmp_path_factory) -> Target:
    """The dense bundle, whose cell 2 claims that all units are inactive."""
    draft = draft_of(targets["dense"])
    everything = {
        place: set(range(layer.width)) for place, layer in enumerate(draft.parent.layers) if isinstance(layer, Relu)
    }
    return open_target(write_draft(claiming(draft, 2, everything), tmp_path_factory.mktemp("lying") / "bundle"))


def batches(target: Target, sizes: tuple[int, ...]) -> list[tuple[int, np.ndarray]]:
    rng = np.random.default_rng(4)
    return [(number % 3, within(target.domain[np.zeros(size, np.int64)], rng)) for number, size in enumerate(sizes)]


def counts(finding: Finding) -> tuple[int, ...]:
    return finding.points, finding.different, finding.active, finding.refused


def test_taps_come_before_the_outputs(targets):
    layers = targets["sparse"].network.layers
    points = np.random.default_rng(0).random((20, 2)).astype(F32)
    values = eval32(tapped(layers, len(layers) - 1), points)
    assert values.shape == (20, 5 + 5 + 3)
    np.testing.assert_array_equal(values[:, 10:], eval32(layers, points))


def test_an_honest_bundle_is_clean(targets):
    for target in targets.values():
        (found,) = PlainJudge(target)(
            [(0, within(target.domain[np.zeros(3000, np.int64)], np.random.default_rng(0)))], 1
        )
        assert found.clean
        assert found.points == 3000
        assert found.largest < 0
        assert np.isnan(found.witness).all()


def test_every_point_of_the_lying_cell_is_found_and_no_other(lying):
    cell = within(lying.cells[np.full(500, 2)], np.random.default_rng(0))
    other = within(lying.cells[np.full(400, 1)], np.random.default_rng(0))
    inside, outside = PlainJudge(lying)([(0, cell), (1, other)], 2)
    assert counts(inside) == (500, 500, 500, 0)
    assert counts(outside) == (400, 0, 0, 0)
    assert inside.largest > 0 > outside.largest
    assert (inside.witness == cell[0]).all()
    parent = lying.tapped
    assert eval32(parent, inside.largest_at[None])[0, : lying.prepared.relu_units].max() == F32(inside.largest)


@needs_compiler
@pytest.mark.parametrize("jobs", [1, 3])
def test_the_compiled_judge_agrees_with_the_plain_one(lying, tmp_path, jobs):
    points = batches(lying, (1, 1500, 7, 2049, 300, 11))
    judge = HostJudge(lying, tmp_path, host_compiler(), jobs)
    expected = PlainJudge(lying)(points, 4)
    assert sum(finding.different for finding in expected) > 0
    for a, b in zip(expected, judge(points, 4), strict=True):
        assert counts(a) == counts(b)
        assert a.checksum == b.checksum
        assert a.largest == b.largest
        np.testing.assert_array_equal(a.largest_at, b.largest_at)
        witness = b.witness[None]
        if a.different:
            assert not (eval32(lying.network.layers, witness) == PlainJudge(lying).family.predict(witness)).all()
    assert counts(expected[3]) == (0, 0, 0, 0)


@needs_compiler
@pytest.mark.parametrize("network", ["argmax", "argmin"])
def test_the_compiled_judge_compares_decisions_as_the_plain_one_does(targets, tmp_path, network):
    """Of an honest bundle, and of one whose cells all say that the first output wins."""
    draft = draft_of(targets[network])
    for cell in range(len(draft.certificates)):
        draft = claiming(draft, cell, {}, classes=[0])
    for name, target in (("honest", targets[network]), ("lying", open_target(write_draft(draft, tmp_path / "bundle")))):
        (tmp_path / name).mkdir()
        points = [(0, points) for points in tie_points(target, 1500, np.random.default_rng(0))]
        judges = PlainJudge(target), HostJudge(target, tmp_path / name, host_compiler())
        expected, found = (judge(points, 1)[0] for judge in judges)
        assert counts(expected) == counts(found)
        assert expected.checksum == found.checksum
        assert expected.clean == (name == "honest")


@needs_compiler
def test_points_outside_the_domain_are_refused_not_judged(targets, tmp_path):
    judge = HostJudge(targets["sparse"], tmp_path, host_compiler())
    (found,) = judge([(0, F32([[0.5, 0.5], [0.5, 1.5], [np.nan, 0.5]]))], 1)
    assert counts(found) == (3, 0, 0, 2)
    assert not found.clean


@needs_compiler
def test_a_judge_that_dies_is_an_error_and_leaves_no_process(targets, tmp_path):
    judge = HostJudge(targets["sparse"], tmp_path, host_compiler(), jobs=2)
    points = np.full((5000, 2), 0.5, F32)
    with pytest.raises(AssertionError, match="ended with 2"):
        judge(itertools.repeat((7, points), 50), 1)  # a kind that was not announced


@needs_compiler
def test_an_error_while_points_are_made_ends_the_judges(targets, tmp_path):
    judge = HostJudge(targets["sparse"], tmp_path, host_compiler(), jobs=2)

    def failing():
        yield 0, np.full((5000, 2), 0.5, F32)
        raise UnusableInput("no more points")

    with pytest.raises(UnusableInput, match="no more points"):
        judge(failing(), 1)
    assert counts(judge([(0, np.full((10, 2), 0.5, F32))], 1)[0]) == (10, 0, 0, 0)


def test_findings_add_up():
    nowhere = np.full(1, np.nan, F32)
    clean = Finding(5, 0, 0, 0, 2**64 - 1, -2.0, nowhere, F32([0.1]), 1.0)
    wrong = Finding(7, 2, 1, 0, 3, 3.0, F32([0.5]), F32([0.6]), 2.0)
    for total in (clean + wrong, wrong + clean, nothing(1) + wrong + clean):
        assert counts(total) == (12, 2, 1, 0)
        assert total.checksum == 2
        assert (total.largest, total.witness, total.largest_at, total.seconds) == (3.0, F32([0.5]), F32([0.6]), 3.0)
    assert np.isnan((clean + replace(clean, largest=np.nan)).largest)


def test_the_checksum_tells_every_bit_and_place_but_not_the_sign_of_zero():
    values = F32([[1.0, -0.0, 2.0], [0.5, 3.0, 4.0]])
    assert checksum(values) == checksum(np.where(values == 0, F32(0), values)) != 0
    changed = values.copy()
    changed[1, 2] = np.nextafter(F32(4), F32(5))
    assert checksum(changed) == checksum(values) + 5
    assert checksum(values[:, [1, 0, 2]]) != checksum(values)


def test_a_source_model_that_is_another_network_is_no_target(targets, tmp_path):
    draft = draft_of(targets["sparse"])
    other = draft_of(targets["dense"])
    with pytest.raises(UnusableBundle, match="expected a model with the family's layers"):
        open_target(write_draft(replace(draft, model=other.model), tmp_path / "bundle"))


def test_a_bundle_whose_outputs_may_differ_is_no_target(tmp_path):
    with pytest.raises(UnusableBundle, match="expected mode bitwise or decision, got epsilon"):
        open_target(store(near().written(), tmp_path / "bundle"))
