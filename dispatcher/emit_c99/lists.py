"""Which dense steps hand on a list of their non-zero units instead of a vector, to the step that comes next.

A list saves the next step from looking for the units that are not zero. It keeps every bit: the terms of the others are
zeros, which may be left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from dispatcher.emit_c99.blocks import padded
from dispatcher.emit_c99.steps import Kind, Program, Step


def hand_on_lists(program: Program) -> Program:
    """The program with the flags ``to_list`` and ``from_list``, and no memory for buffers that only lists replace.

    A Dense step with a ReLU leaves a list if the next step is Dense, reads all of its target, and is the only one to.
    """
    reads = Counter(buffer for step in program.steps for buffer in {step.source, step.second})
    reads[program.output] += 1
    steps, widths = list(program.steps), list(program.widths)
    for index, (step, following) in enumerate(zip(program.steps, program.steps[1:], strict=False)):
        if _hands_on(step, following) and reads[step.target] == 1:
            steps[index] = _padded(replace(steps[index], to_list=True))
            steps[index + 1] = replace(steps[index + 1], from_list=True)
            widths[step.target] = 0
    return replace(program, steps=tuple(steps), widths=tuple(widths))


def _padded(step: Step) -> Step:
    """The step with zeros at the ends of its rows of numbers: kernels compute four units at a time."""
    rows = step.floats.reshape(-1, step.n_out)
    floats = np.zeros((len(rows), padded(step.n_out)), np.float32)
    floats[:, : step.n_out] = rows
    return replace(step, floats=floats.ravel())


def _hands_on(step: Step, following: Step) -> bool:
    """Whether the following step could read a step's units as a list."""
    return (
        (step.kind, following.kind) == (Kind.DENSE, Kind.DENSE)
        and step.relu
        and following.source == step.target
        and following.n_in == step.n_out
    )
