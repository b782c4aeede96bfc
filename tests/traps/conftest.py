"""Traps search in the test's own process: starting workers for each would take most of the time.

Warnings are errors here, so that a trap also shows where search would warn its user about numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slicer.family import compress
from slicer.family.block import search_block
from slicer.family.cell import CellWorker
from slicer.family.counts import CellResult
from slicer.family.terms import Terms
from slicer.partition import Block


@pytest.fixture(autouse=True)
def without_workers(monkeypatch) -> None:
    """Replace the pool of workers by a loop."""

    def run_cells(
        parent: bytes, blocks: list[Block], *, effort: int, seed: int, **_: object
    ) -> Iterator[tuple[int, CellResult]]:
        worker = CellWorker(parent)
        for block in blocks:
            yield from zip(block.cells, search_block(worker, block, Terms(effort, seed)), strict=True)

    monkeypatch.setattr(compress, "run_cells", run_cells)
