"""A block of cells from search to checked removals: the unit of work that the pipeline hands to its workers.

The cells of a block were parts of one cell (`slicer.family.carving`). Those that are settled are searched one by one;
affine members serve several of them where they can. The others share a search, of the smallest box around them, and its
member. The proof is cut to each of them, and is put to the checker like any other; a cell for which it is refused is
searched by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dispatcher.plan import Readout
from slicer.box import Box
from slicer.certificate.verdict import Accepted
from slicer.family.cell import CellWorker
from slicer.family.counts import CellResult, counted
from slicer.family.terms import Terms
from slicer.partition import Block
from slicer.search.verdict import TIME, Open


def search_block(worker: CellWorker, block: Block, terms: Terms) -> list[CellResult]:
    """The results of a block's cells, in their order."""
    shared = [place for place, settled in enumerate(block.settled) if settled is False]
    results = _shared(worker, block, shared, terms) if len(shared) > 1 and not terms.stopped() else {}
    functions: list[Readout] = []
    for place, cell in enumerate(block.cells):
        if place not in results:
            own = replace(terms, attempts=block.settled[place] is not False)
            results[place] = worker.run(cell, block.boxes[place], own, functions)
    return [results[place] for place in range(len(block.boxes))]


def _shared(worker: CellWorker, block: Block, places: Sequence[int], terms: Terms) -> dict[int, CellResult]:
    """Cells with one member, by their places; without those for which the checker does not accept the proof.

    What the search did is counted in the first of them, that it was cut short in all.
    """
    boxes = [block.boxes[place] for place in places]
    around = Box(np.min([box.lower for box in boxes], axis=0), np.max([box.upper for box in boxes], axis=0))
    rng = np.random.default_rng([terms.seed, block.cells[places[0]]])
    search, attested = worker.search(around, replace(terms, attempts=False), rng)
    gone, short = worker.gone(search.tree, attested), Open(TIME) in search.verdicts.values()
    tree, offsets = search.tree, worker.prepared.offsets
    ending = worker.shorter(around, search, attested, terms, rng)
    if ending is not None and ending.proved is not None:
        search = replace(search, boxes=search.boxes + ending.boxes)
        tree, gone, offsets = ending.proved.search.tree, ending.proved.gone, ending.proved.offsets
    whole = tree.trim(gone.closed)
    results: dict[int, CellResult] = {}
    for place, box in zip(places, boxes, strict=True):
        cell = block.cells[place]
        offer, verdict = worker.gate.offer(cell, box, gone, whole.within(box.lower, box.upper), offsets)
        if isinstance(verdict, Accepted):
            counts = counted(cell, search, worker.prepared.offsets, gone, verdict, "accepted")
            results[place] = CellResult(*offer[:2], replace(counts, truncated=short))
            search = replace(search, verdicts={}, boxes=0)
    return results
