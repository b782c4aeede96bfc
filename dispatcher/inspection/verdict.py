"""The judgement of answers: every one must be the bundle's own, cell and bits."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from dispatcher.inspection.answers import Answers
from dispatcher.literal import short_text
from dispatcher.runtime import Dispatcher


@dataclass(frozen=True, slots=True)
class Accepted:
    """All answers are the bundle's; whether cells were among them."""

    answers: int
    with_cells: bool

    def __str__(self) -> str:
        cells = "cells and outputs" if self.with_cells else "outputs (no cells were reported)"
        return f"ACCEPTED: {self.answers:,} answers, {cells} equal"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Some answers differ: how many of them, in which cells, and the first of them in words."""

    answers: int
    different: int
    cells: tuple[int, ...]
    first: str

    def __str__(self) -> str:
        cells = ", ".join(map(str, self.cells[:10])) + (", …" if len(self.cells) > 10 else "")
        return f"REJECTED {self.first}\n{self.different:,} of {self.answers:,} answers differ; cells {cells}"


Verdict = Accepted | Rejected


def verdict_json(verdict: Verdict) -> bytes:
    """A verdict as JSON: its fields beside ``verdict``, "accepted" or "rejected"."""
    record = {"verdict": type(verdict).__name__.lower(), **asdict(verdict)}
    return json.dumps(record, indent=1, sort_keys=True).encode() + b"\n"


def judge(dispatcher: Dispatcher, points: NDArray[np.float32], answers: Answers) -> Verdict:
    """Compare answers with those of the numpy runtime; outputs by ``==``, so −0 equals 0 (and NaN here equals NaN).

    Parameters
    ----------
    dispatcher:
        The bundle that should be deployed.
    points:
        The inputs, float32 ``[n, n_in]``, within the domain.
    answers:
        What was answered to them.

    Raises
    ------
    UnusableInput
        If an input is not within the domain, or there are none.
    """
    outputs, cells = dispatcher.predict(points), dispatcher.route(points)
    if not len(points):
        raise UnusableInput("expected at least one input", where="inputs")
    equal = (answers.outputs == outputs) | (np.isnan(answers.outputs) & np.isnan(outputs))
    same_cell = np.ones(len(points), np.bool_) if answers.cells is None else answers.cells == cells
    wrong = np.flatnonzero(~(equal.all(axis=1) & same_cell))
    if not len(wrong):
        return Accepted(len(points), answers.cells is not None)
    first = int(wrong[0])
    if answers.cells is not None and not same_cell[first]:
        said = f"cell: expected {cells[first]}, got {answers.cells[first]}"
    else:
        output = int(np.flatnonzero(~equal[first])[0])
        expected, got = (short_text(one[first, output]) for one in (outputs, answers.outputs))
        said = f"output {output}: expected {expected}, got {got}"
    return Rejected(len(points), len(wrong), tuple(np.unique(cells[wrong]).tolist()), f"answer {first}: {said}")
