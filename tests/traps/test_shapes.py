"""Networks of unusual shapes: nothing to remove, everything to remove, layers in unusual places, numbers of cells."""

from __future__ import annotations

import numpy as np
import pytest

from dispatcher.layers import Add, Concat, Gather, Input, Layer, Relu, dense, freeze
from dispatcher.plan import member_layers
from slicer.network import Network
from tests.random_networks import chain, mixed
from tests.traps.pipeline import Passed, box, passes

UNIT = ((-1, 1), (-1, 1))


def multiplications(found: Passed, cell: int) -> int:
    """Weights of a cell's member that are not zero."""
    return sum(int(np.count_nonzero(layer.weight)) for layer in found.member(cell) if hasattr(layer, "weight"))


def network(*layers: Layer) -> Network:
    return Network(layers)


def test_constant_outputs(tmp_path):
    """All weights of the last layer are zero: nothing has to be computed, whatever the cells are."""
    found = passes(
        network(Input(2), dense(0, np.eye(2), [0.1, -0.2]), Relu(1, 2), dense(2, np.zeros((3, 2)), [1.5, -0.0, 0.1])),
        box(*UNIT), 3, tmp_path,
    )  # fmt: skip
    assert [multiplications(found, cell) for cell in range(3)] == [0, 0, 0]


def test_one_constant_output_beside_others(tmp_path):
    weight = np.array([[1, 2], [0, 0], [-0.0, 0]])
    passes(network(Input(2), dense(0, np.eye(2)), Relu(1, 2), dense(2, weight, [0, 7, -3])), box(*UNIT), 2, tmp_path)


def test_no_hidden_layer(tmp_path):
    rng = np.random.default_rng(0)
    found = passes(
        network(Input(3), dense(0, rng.normal(size=(2, 3)), [1, 2])), box((0, 1), (0, 1), (0, 1)), 4, tmp_path
    )
    assert found.removed == [0] * 4
    assert len(found.target.bundle.family.members) == 1


def test_no_weights_at_all(tmp_path):
    """The outputs are some of the inputs."""
    passes(network(Input(3), Gather(0, freeze([2, 0, 2], np.int64))), box((0, 1), (-1, 1), (2, 3)), 3, tmp_path)


@pytest.mark.parametrize("bias", [-2.0, -0.5, 2.0])
def test_one_unit(bias, tmp_path):
    """Never active, active on a part, always active."""
    found = passes(
        network(Input(1), dense(0, [[1]], [bias]), Relu(1, 1), dense(2, [[3]], [1])), box((0, 1)), 4, tmp_path
    )
    assert found.removed == {-2.0: [1, 1, 1, 1], -0.5: [1, 0, 0, 0], 2.0: [0, 0, 0, 0]}[bias]


def test_layers_that_become_empty(tmp_path):
    """All units of a layer are inactive: the outputs are constants, and nothing before is needed."""
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(6, 2)), rng.normal(size=(6, 6))
    layers = (Input(2), dense(0, first, rng.normal(size=6)), Relu(1, 6), dense(2, second, np.full(6, -50)), Relu(3, 6))
    found = passes(network(*layers, dense(4, rng.normal(size=(2, 6)), [0.5, -0.5])), box(*UNIT), 3, tmp_path)
    assert all(count >= 6 for count in found.removed)
    assert [multiplications(found, cell) for cell in range(3)] == [0, 0, 0]
    assert len(found.target.bundle.family.members) <= 3


def test_every_layer_becomes_empty(tmp_path):
    layers: list[Layer] = [Input(2)]
    for width in (4, 3, 2):
        n_in = layers[-1].width
        layers += [dense(len(layers) - 1, -np.ones((width, n_in)), -np.ones(width)), Relu(len(layers), width)]
    found = passes(network(*layers, dense(len(layers) - 1, np.ones((1, 2)), [4])), box((0, 1), (0, 1)), 2, tmp_path)
    assert found.removed == [9, 9]


def test_relu_directly_on_the_input(tmp_path):
    rng = np.random.default_rng(3)
    layers = (Input(3), Relu(0, 3), dense(1, rng.normal(size=(5, 3)), rng.normal(size=5)), Relu(2, 5))
    found = passes(
        network(*layers, dense(4 - 1, rng.normal(size=(1, 5)))), box((-1, 1), (-1, 1), (-2, -1)), 4, tmp_path
    )
    assert all(found.target.removed[:, 2])  # the third input is never positive
    assert found.target.removed[:, :2].any(axis=0).all()


def test_relu_as_the_output(tmp_path):
    """An output that is removed is +0."""
    rng = np.random.default_rng(4)
    layers = (Input(2), dense(0, rng.normal(size=(4, 2)), [3, -3, 0.1, -0.1]), Relu(1, 4))
    found = passes(network(*layers), box(*UNIT), 4, tmp_path)
    assert all(found.target.removed[:, 1])


def test_relu_of_the_input_as_the_output(tmp_path):
    found = passes(network(Input(2), Relu(0, 2)), box(*UNIT), 4, tmp_path)
    assert sum(found.removed) == 4


def test_relu_of_relu(tmp_path):
    rng = np.random.default_rng(5)
    layers = (Input(2), dense(0, rng.normal(size=(5, 2)), rng.normal(size=5)), Relu(1, 5), Relu(2, 5), Relu(3, 5))
    passes(network(*layers, dense(4, rng.normal(size=(2, 5)))), box(*UNIT), 4, tmp_path)


def test_several_relus_of_one_source(tmp_path):
    rng = np.random.default_rng(6)
    layers = (Input(2), dense(0, rng.normal(size=(4, 2)), rng.normal(size=4)), Relu(1, 4), Relu(1, 4))
    joined = (Concat((2, 3, 1, 2), 16), dense(4, rng.normal(size=(2, 16)), [0, 1]))
    found = passes(network(*layers, *joined), box((0, 1), (0, 1)), 4, tmp_path)
    removed = found.target.removed
    np.testing.assert_array_equal(removed[:, :4], removed[:, 4:])
    assert removed.any()


def test_a_residual_sum_of_removed_units(tmp_path):
    """relu(z) + relu(−z), relu(z) + z and relu(z) + relu(z): one summand is gone, or both are."""
    first = dense(0, [[1, 0.5], [-1, 2], [1, 1]], [-2, 0.3, -3])  # units 0 and 2 are inactive
    layers = (Input(2), first, Relu(1, 3), Add((1, 2), 3), Relu(3, 3), Add((2, 2), 3), Add((4, 5), 3))
    found = passes(network(*layers, dense(6, [[1, 2, 3], [3, 2, 1]], [0.1, 0.2])), box(*UNIT), 3, tmp_path)
    assert found.target.removed[:, [0, 2]].all()


def test_a_residual_sum_of_constants(tmp_path):
    """Both summands are constants that are not zero; the sum is a prefix of the next layer."""
    first = dense(0, [[1, 0], [0, 1]], [-2, 0])  # unit 0 is inactive
    second = dense(2, [[1, 0], [0, 1]], [0.1, 0])  # unit 0 is the constant 0.1
    layers = (Input(2), first, Relu(1, 2), second, Relu(3, 2), Add((4, 4), 2), dense(5, [[1 / 3, 1], [1, 1]], [0.7, 0]))
    found = passes(network(*layers, Relu(6, 2), dense(7, [[1, 1]])), box(*UNIT), 2, tmp_path)
    entries = [layer for member in found.target.bundle.family.members for layer in member.layers]
    assert any(entry.prefixes for entry in entries)


def test_dead_units_of_the_parent(tmp_path):
    """Units that nothing reads, or that read nothing, need no proof to be left out."""
    rng = np.random.default_rng(7)
    weight, out = rng.normal(size=(6, 2)), rng.normal(size=(2, 6))
    weight[0] = weight[1] = 0  # constants: one zero, one not
    out[:, [2, 3]] = 0  # nobody reads units 2 and 3
    layers = (Input(2), dense(0, weight, [-1, 1, *rng.normal(size=4)]), Relu(1, 6), dense(2, out, [0, 0]))
    found = passes(network(*layers), box(*UNIT), 2, tmp_path)
    widths = [found.member(cell)[1].width for cell in range(2)]
    assert all(width <= 3 for width in widths)


def test_an_input_that_nothing_reads(tmp_path):
    rng = np.random.default_rng(8)
    weight = rng.normal(size=(6, 3)) * [1, 0, 1]
    layers = (Input(3), dense(0, weight, rng.normal(size=6)), Relu(1, 6), dense(2, rng.normal(size=(1, 6))))
    passes(network(*layers), box((-1, 1), (-1e30, 1e30), (0, 1)), 4, tmp_path)


@pytest.mark.parametrize("cells", [1, 3, 5, 6, 7, 33])
def test_any_number_of_cells(cells, tmp_path):
    found = passes(chain(np.random.default_rng(9), [2, 8, 8, 1]), box(*UNIT), cells, tmp_path)
    assert len(found.target.cells) == cells


def test_far_more_cells_than_sense(tmp_path):
    """400 cells of a network of three units."""
    model = network(Input(1), dense(0, [[1], [-1], [2]], [-0.1, 0.3, -1.3]), Relu(1, 3), dense(2, [[1, 2, 3]]))
    found = passes(model, box((0, 1)), 400, tmp_path)
    assert len(found.target.bundle.family.members) < 10
    assert sum(found.removed) > 400


def test_one_input_and_one_output_only(tmp_path):
    passes(chain(np.random.default_rng(10), [1, 1, 1, 1, 1]), box((-2, 2)), 5, tmp_path)


def test_wide_and_shallow(tmp_path):
    found = passes(chain(np.random.default_rng(11), [2, 300, 1]), box(*UNIT), 2, tmp_path)
    assert sum(found.removed) > 20


def test_many_inputs(tmp_path):
    """More inputs than corners can be listed for."""
    found = passes(chain(np.random.default_rng(12), [120, 20, 2]), box(*[(0, 1 / 64)] * 120), 3, tmp_path)
    assert sum(found.removed) > 0


@pytest.mark.parametrize("seed", range(4))
def test_networks_of_all_layer_kinds(seed, tmp_path):
    found = passes(mixed(np.random.default_rng(seed), blocks=4), box((-1, 1), (0, 1), (-1, 0)), 5, tmp_path)
    for member in found.target.bundle.family.members:
        assert member_layers(found.target.bundle.family.parent, member)
