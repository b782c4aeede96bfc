"""Programs: which layers become steps, and where their buffers stand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.emit_c99.program import compile_network
from dispatcher.emit_c99.scratch import lifetimes, place
from dispatcher.emit_c99.steps import Kind, Program
from dispatcher.layers import Add, Concat, Elementwise, Gather, Input, Layers, Relu, dense, freeze
from dispatcher.plan import member_layers
from tests.dispatcher.network_samples import chain, random_network
from tests.emit_c99.families import random_member

SEEDS = st.integers(0, 10_000)


def kinds(layers: Layers) -> list[Kind]:
    return [step.kind for step in compile_network(layers).steps]


def test_a_chain_is_its_dense_layers_which_hand_on_lists():
    program = compile_network(chain([5, 50, 50, 50, 7]))
    assert [(step.kind, step.relu, step.from_list, step.to_list) for step in program.steps] == [
        (Kind.DENSE, True, False, True),
        (Kind.DENSE, True, True, True),
        (Kind.DENSE, True, True, True),
        (Kind.DENSE, False, True, False),
    ]
    assert place(program).floats == 7


def test_layers_that_something_else_reads_leave_vectors():
    read_twice = (Input(2), dense(0, np.eye(2)), Relu(1, 2), dense(2, np.eye(2)), Add((2, 3), 2))
    gathered = (
        Input(2),
        dense(0, np.eye(2)),
        Relu(1, 2),
        Gather(2, freeze(np.array([1, 0]), np.int64)),
        dense(3, np.eye(2)),
    )
    last = (Input(2), dense(0, np.eye(2)), Relu(1, 2))
    no_relu = (Input(2), dense(0, np.eye(2)), dense(1, np.eye(2)))
    not_next = (Input(2), dense(0, np.eye(2)), Relu(1, 2), Relu(0, 2), dense(2, np.eye(2)), Add((3, 4), 2))
    for layers in (read_twice, gathered, last, no_relu, not_next):
        assert not any(step.to_list or step.from_list for step in compile_network(layers).steps)


def test_steps_know_their_layers():
    layers = (Input(2), dense(0, np.eye(2)), Relu(1, 2), dense(2, np.eye(2)))
    assert [(step.layer, step.result) for step in compile_network(layers).steps] == [(1, 2), (3, 3)]


def test_a_relu_stays_a_step_of_its_own_if_its_dense_layer_has_another_reader():
    layers = (Input(2), dense(0, np.eye(2)), Relu(1, 2), Add((1, 2), 2))
    assert kinds(layers) == [Kind.DENSE, Kind.RELU, Kind.ADD]
    assert not compile_network(layers).steps[0].relu


def test_layers_that_the_output_does_not_depend_on_give_no_step():
    layers = (Input(2), dense(0, np.eye(2)), Relu(1, 2), dense(0, np.eye(2)))
    assert kinds(layers) == [Kind.DENSE]
    assert not compile_network(layers).steps[0].relu


def test_layers_without_units_give_no_step():
    layers = (Input(2), dense(0, np.zeros((0, 2))), Relu(1, 0), dense(2, np.zeros((3, 0)), [1, 2, 3]))
    program = compile_network(layers)
    assert [(step.kind, step.n_in, step.n_out) for step in program.steps] == [(Kind.DENSE, 0, 3)]
    assert place(program).floats == 3


def test_a_zero_start_is_not_stored():
    layers = (Input(2), dense(0, np.eye(2), [1, 2], [0, 0]), dense(1, np.eye(2), [3, 4], [0, 5]))
    first, second = compile_network(layers).steps
    assert (first.start, first.floats.tolist()) == (False, [1, 2, 1, 0, 0, 1])
    assert (second.start, second.floats.tolist()) == (True, [3, 4, 0, 5, 1, 0, 0, 1])


def test_weights_stand_source_unit_by_source_unit():
    (step,) = compile_network((Input(3), dense(0, [[1, 2, 3], [4, 5, 6]]))).steps
    assert step.floats.tolist() == [0, 0, 1, 4, 2, 5, 3, 6]


def test_pointwise_layers_work_in_place_if_nobody_reads_their_source_afterwards():
    one = freeze(np.ones(2), np.float32)
    layers = (Input(2), Elementwise(0, "add", one), Elementwise(1, "mul", one), Relu(2, 2), Add((3, 2), 2))
    targets = [step.target for step in compile_network(layers).steps]
    assert targets == [0, 0, 1, 1]  # the Relu's source is read again by the Add, which may overwrite either


def test_a_gather_of_neighbours_and_the_parts_of_a_concat_are_copies():
    layers = (
        Input(4),
        Gather(0, freeze(np.array([1, 2]), np.int64)),
        Gather(0, freeze(np.array([2, 1]), np.int64)),
        Concat((1, 2), 4),
    )
    steps = compile_network(layers).steps
    assert [(step.kind, step.source_shift, step.target_shift, step.n_out) for step in steps] == [
        (Kind.COPY, 1, 0, 2),
        (Kind.GATHER, 0, 0, 2),
        (Kind.COPY, 0, 0, 2),
        (Kind.COPY, 0, 2, 2),
    ]
    assert steps[1].indices.tolist() == [2, 1]


@settings(deadline=None, max_examples=60)
@given(SEEDS)
def test_buffers_alive_at_the_same_time_do_not_overlap(seed):
    program = _random_program(seed)
    placement, lives = place(program), lifetimes(program)
    assert lives[program.input][0] == -1
    assert lives[program.output][1] == len(program.steps)
    for a in range(len(lives)):
        assert placement.offsets[a] + program.widths[a] <= placement.floats
        for b in range(a):
            alive_together = lives[a][0] <= lives[b][1] and lives[b][0] <= lives[a][1]
            apart = (
                placement.offsets[a] + program.widths[a] <= placement.offsets[b]
                or placement.offsets[b] + program.widths[b] <= placement.offsets[a]
            )
            assert apart or not alive_together


@settings(deadline=None, max_examples=60)
@given(SEEDS)
def test_every_buffer_is_written_before_it_is_read_and_steps_stay_inside_their_buffers(seed):
    program = _random_program(seed)
    written, listed = {program.input}, None
    for step in program.steps:
        reads = {step.source, step.second} if step.n_in and not step.from_list else set()
        assert reads <= written
        assert all(step.source_shift + step.n_in <= program.widths[buffer] for buffer in reads)
        assert not step.from_list or listed == (step.source, step.n_in)
        listed = (step.target, step.n_out) if step.to_list else None
        if step.to_list:
            continue
        assert step.target_shift + step.n_out <= program.widths[step.target]
        in_place = step.kind in (Kind.RELU, Kind.ADD, Kind.PLUS, Kind.TIMES, Kind.DIVIDED)
        assert step.target not in reads or in_place
        written.add(step.target)
    assert program.output in written


def _random_program(seed: int) -> Program:
    parent = random_network(seed, length=20)
    return compile_network(member_layers(parent, random_member(parent, np.random.default_rng(seed))))
