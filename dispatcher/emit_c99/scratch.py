"""Where a program's buffers stand in the scratch memory: buffers that are alive at the same time do not overlap."""

from __future__ import annotations

from dataclasses import dataclass

from dispatcher.emit_c99.steps import Program


@dataclass(frozen=True, slots=True)
class Placement:
    """Every buffer's offset, and the floats that all of them need together."""

    offsets: tuple[int, ...]
    floats: int


def place(program: Program) -> Placement:
    """Place the widest buffers first, each at the lowest offset that is free during its life.

    Finding the least memory is NP-hard (dynamic storage allocation: Garey and Johnson 1979, SR2); for a chain of layers
    this rule gives two buffers that take turns.
    """
    lives = lifetimes(program)
    offsets = [0] * len(lives)
    placed: list[int] = []
    for buffer in sorted(range(len(lives)), key=lambda index: (-program.widths[index], index)):
        taken = sorted(
            (offsets[other], offsets[other] + program.widths[other])
            for other in placed
            if lives[other][0] <= lives[buffer][1] and lives[buffer][0] <= lives[other][1]
        )
        offsets[buffer] = _lowest_gap(taken, program.widths[buffer])
        placed.append(buffer)
    return Placement(tuple(offsets), max(o + w for o, w in zip(offsets, program.widths, strict=True)))


def lifetimes(program: Program) -> list[tuple[int, int]]:
    """First and last step that touch each buffer; the input lives from before the first, the output beyond the last.

    What readouts read lives until they do.
    """
    first = [len(program.steps)] * len(program.widths)
    last = [-1] * len(program.widths)
    first[program.input] = -1
    last[program.output] = len(program.steps)
    for index, step in enumerate(program.steps):
        for buffer in (step.source, step.second, step.target):
            first[buffer] = min(first[buffer], index)
            last[buffer] = max(last[buffer], index)
    for value in program.values:
        last[value.buffer] = max(last[value.buffer], value.steps - 1)
    return list(zip(first, last, strict=True))


def _lowest_gap(taken: list[tuple[int, int]], width: int) -> int:
    """Lowest offset of a gap of this width between intervals sorted by their beginning."""
    offset = 0
    for begin, end in taken:
        if begin - offset >= width:
            break
        offset = max(offset, end)
    return offset
