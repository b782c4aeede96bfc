"""The judges count exactly what is wrong, and agree with each other."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slicer
from dispatcher.errors import UnusableBundle, UnusableInput
from dispatcher.host import host_compiler
from dispatcher.interpret import eval32
from dispatcher.layers import Input, Relu, dense, freeze
from dispatcher.plan import Readout
from slicer.network import Network
from tests.attack.forge import claiming, draft_of, write_draft
from tests.attack.forge_functions import with_readout
from tests.attack.judge import Finding, HostJudge, PlainJudge, checksum, nothing
from tests.attack.points import tie_points, within
from tests.attack.promise import beyond, has_readout, shares_of
from tests.attack.shares import Shares, largest_shares
from tests.attack.target import Target, open_target, tapped
from tests.onnx_files import write_onnx

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


@needs_compiler
@pytest.mark.parametrize("bundle", ["honest", "lying"])
def test_the_compiled_judge_compares_with_bounds_as_the_plain_one_does(targets, tmp_path, bundle):
    """Of an honest bundle, and of one whose bounds are smaller than some differences."""
    target, honest = targets["near"], bundle == "honest"
    if not honest:
        draft = draft_of(target)
        family = replace(draft.family, epsilon=draft.family.epsilon / 16)
        target = open_target(write_draft(replace(draft, family=family), tmp_path / "bundle"))
    points = batches(target, (1, 1500, 7, 2049, 300, 11))
    expected = PlainJudge(target)(points, 4)
    found = HostJudge(target, tmp_path, host_compiler(), jobs=2)(points, 4)
    assert (sum(finding.different for finding in expected) == 0) == honest
    assert all((finding.different > 0) == (finding.shares.largest > 1) for finding in expected)
    for a, b in zip(expected, found, strict=True):
        assert counts(a) == counts(b)
        np.testing.assert_array_equal(a.shares.values, b.shares.values)
        close = has_readout(target.bundle.family)
        assert (a.shares.values[close] > 0).any() == (a.points > 0)
        assert not a.shares.values[~close].any()
        _assert_shares_are_those_of_their_points(target, b.shares)


def _assert_shares_are_those_of_their_points(target: Target, shares: Shares) -> None:
    for cell in np.flatnonzero(shares.values):
        point = shares.points[cell][None]
        served = PlainJudge(target).family
        off = np.abs(served.predict(point).astype(float) - eval32(target.network.layers, point))[0]
        assert served.route(point) == cell
        assert (off / target.bundle.family.epsilon.astype(float)).max() == shares.values[cell]


@needs_compiler
def test_a_difference_in_a_cell_with_an_exact_member_is_found_however_small(targets, tmp_path):
    """The family's parent has other biases than the source model by one ulp; the bounds are far larger."""
    draft = draft_of(targets["near"])
    exact = int(np.flatnonzero(~has_readout(draft.family))[0])
    layers = list(draft.family.parent)
    bias = np.nextafter(layers[-1].bias, F32(9))
    layers[-1] = replace(layers[-1], bias=freeze(bias, F32))
    family = replace(draft.family, parent=tuple(layers))
    target = open_target(write_draft(replace(draft, family=family), tmp_path / "bundle"))
    inside = within(target.cells[np.full(500, exact)], np.random.default_rng(0))
    for judge in (PlainJudge(target), HostJudge(target, tmp_path, host_compiler())):
        (found,) = judge([(0, inside)], 1)
        assert found.different > 0
        assert found.shares.values[exact] == np.inf


@needs_compiler
@pytest.mark.parametrize(("value", "broken"), [(-(2.0**-60), True), (0.0, False), (2.0**-60, False)])
def test_differences_are_compared_as_real_numbers(tmp_path, value, broken):
    """The parent returns 1 and the bound is 1: a member that returns −2⁻⁶⁰ is beyond it by less than float64 tells."""
    network = Network((Input(1), dense(0, [[0]], [1]), Relu(1, 1), dense(2, [[1]])))
    options = slicer.Options(mode="epsilon", epsilon=1.0, cells=1, effort=5, jobs=1)
    made = slicer.compress(write_onnx(tmp_path / "one.onnx", network), "0:1", tmp_path / "one", options)
    function = Readout(((0, (0,)),), np.zeros((1, 1), F32), F32([value]))
    draft = with_readout(draft_of(open_target(made.path)), 0, function)
    draft = replace(draft, family=replace(draft.family, epsilon=np.ones(1, F32)))
    target = open_target(write_draft(draft, tmp_path / "bundle"))
    for judge in (PlainJudge(target), HostJudge(target, tmp_path, host_compiler())):
        (found,) = judge([(0, F32([[0.25], [0.5]]))], 1)
        assert counts(found) == (2, 2 * broken, 0, 0)
        assert found.shares.largest == 1


def test_a_nan_is_an_infinite_difference():
    outputs = F32([[np.nan, 0], [np.inf, 0], [1, np.inf]])
    expected = F32([[0, 0], [1, 0], [1, np.inf]])
    assert beyond(outputs, expected, F32([9, 9])).tolist() == [[True, False], [True, False], [False, False]]
    assert shares_of(outputs, expected, F32([9, 9])).tolist() == [[np.inf, 0], [np.inf, 0], [0, 0]]


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, 2.0**-60])


@settings(deadline=None, max_examples=200)
@given(numbers, numbers, numbers.map(abs), st.booleans())
def test_what_is_beyond_a_bound_is_so_in_exact_numbers(a, b, bound, near):
    if near:  # a bound as the difference itself, rounded
        bound = min(float(abs(F32(a - b))), float(np.finfo(F32).max))
    off = abs(Fraction(a) - Fraction(b))
    assert bool(beyond(F32([a]), F32([b]), F32([bound]))[0]) == (off > Fraction(bound))
    if bound:
        assert abs(Fraction(float(shares_of(F32([a]), F32([b]), F32([bound]))[0])) - off / Fraction(bound)) <= (
            off / Fraction(bound) / 2**50
        )


def test_shares_keep_the_largest_of_each_cell_and_the_first_point_that_has_it():
    points = F32([[1], [2], [3], [4], [5]])
    one = largest_shares(3, np.array([0, 2, 0, 2, 2]), np.array([0.5, 0.25, 0.5, 0.75, 0.0]), points)
    assert one.values.tolist() == [0.5, 0, 0.75]
    assert one.points[[0, 2], 0].tolist() == [1, 4]
    assert np.isnan(one.points[1]).all()
    both = one | largest_shares(3, np.array([0, 1, 2]), np.array([0.5, 0.125, 2.0]), points[2:])
    assert both.values.tolist() == [0.5, 0.125, 2.0]
    assert both.points[:, 0].tolist() == [1, 4, 5]
    assert both.largest == 2
