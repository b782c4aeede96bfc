"""From finished cells to the bundle's files: certificates and members, joined if a budget asks for it, and the plan.

Cells go to disk at once as they come in. Under a budget, members are joined when all of them are there; the certificate
of a cell whose member then keeps more units is made anew, proves no more than it has to, and is checked as the first.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_c99 import Layout
from dispatcher.encode import canonical_rows, digest
from dispatcher.files import SharedLayers, member_file, plan_files, read_member
from dispatcher.layers import freeze
from dispatcher.load import certificate_file
from dispatcher.plan import Family, Member
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.certificate.exact import CHECKER
from slicer.family.budget import Budget, Cells, Families, choose
from slicer.family.bundle import Staging
from slicer.family.claim import Claim
from slicer.family.counts import CellCounts, CellResult
from slicer.family.interruption import Interruption
from slicer.family.measure import Samples, cell_measures
from slicer.family.options import Options
from slicer.family.pipeline import Smaller, shrink_cells
from slicer.family.proof import read_proof
from slicer.family.workers import Workers
from slicer.network import Network
from slicer.partition import Partition, leaves, routing_tree

SEARCH_FORMAT = "netslicer-search/1"
SEARCH_FILE = "search.json"

Progress = Callable[[int, int], None]
Results = Generator[tuple[int, CellResult], None, None]


@dataclass(frozen=True, eq=False, slots=True)
class Bundle:
    """A finished bundle.

    Attributes
    ----------
    path, digest:
        Where it is, and the sha256 of its manifest.
    family:
        The plan that was written.
    counts:
        What search did, per cell.
    weighted_by, measures:
        ``samples`` and each cell's share of them, or ``volume`` and its share of the domain's; ``[n_cells]``.
    layout, budget:
        Of the emitted C, recorded in the manifest; and what became of ``--members`` and ``--flash``, None without them.
    truncated:
        Whether the time limit cut the search, or the choice of cuts, short.
    reused:
        Number of cells that an earlier run had finished.
    """

    path: Path
    digest: str
    family: Family
    counts: tuple[CellCounts, ...]
    weighted_by: str
    measures: NDArray[np.float64]
    layout: Layout
    budget: Budget | None
    truncated: bool
    reused: int


@dataclass(frozen=True, eq=False, slots=True)
class Order:
    """What was asked for, read and found usable; ``record`` is what the manifest says about it."""

    source: str
    content: bytes
    network: Network
    domain: Box
    samples: Samples | None
    options: Options
    claim: Claim
    record: Mapping[str, object]


@dataclass(eq=False, slots=True)
class _Cells:
    """The cells in the making: the digest of the member, and the counts, of each cell that is staged."""

    stage: Staging
    members: dict[int, str] = field(default_factory=dict)
    counts: dict[int, CellCounts] = field(default_factory=dict)

    def add(self, cell: int, result: CellResult) -> None:
        """Stage a cell, instead of what was staged of it before."""
        if cell in self.members:
            self.stage.remove(certificate_file(cell))
        self.members[cell] = digest(result.member)
        self.counts[cell] = result.counts
        self.stage.add(certificate_file(cell), result.certificate)
        self.stage.add(member_file(self.members[cell]), result.member)

    def result(self, cell: int) -> CellResult:
        """A cell as it was staged."""
        certificate = self.stage.read(certificate_file(cell))
        return CellResult(certificate, self.stage.read(member_file(self.members[cell])), self.counts[cell])

    def drop(self, members: Iterable[str]) -> None:
        """Remove those of some members that no cell has any more."""
        for name in sorted(set(members) - set(self.members.values())):
            self.stage.remove(member_file(name))


def assemble(
    order: Order,
    partition: Partition,
    results: Results,
    stage: Staging,
    *,
    in_time: bool,
    progress: Progress | None,
    workers: Workers,
    interruption: Interruption,
) -> Bundle:
    """Write the bundle while the cells come in; ``in_time`` is whether there was time enough to choose the partition.

    Raises
    ------
    UnusableInput
        If a file cannot be written, or no family keeps the budget.
    """
    stage.add(order.source, order.content)
    staged, total = _Cells(stage), len(leaves(partition))
    if progress:
        progress(0, total)
    with closing(results):
        for cell, result in results:
            staged.add(cell, result)
            if progress:
                progress(len(staged.members), total)
    budget = _join(order, partition, staged, workers, interruption) if order.options.budgeted else None
    members = [staged.members[cell] for cell in range(total)]
    family = _family(order, partition, members, stage)
    for path, file in plan_files(family, list(dict.fromkeys(members))).items():
        stage.add(path, file)
    counts = tuple(staged.counts[cell] for cell in range(total))
    stage.add(SEARCH_FILE, canonical_rows("cells", map(asdict, counts), {"format": SEARCH_FORMAT}))
    stage.add(CHECKER.name, CHECKER.read_bytes())
    truncated = not in_time or any(count.truncated for count in counts)
    layout = budget.chosen.layout if budget else order.options.layouts[0]
    record = {**order.record, "layout": layout}
    name = stage.finish(mode=order.options.mode, source=order.source, options=record, truncated=truncated)
    by = "volume" if order.samples is None else "samples"
    measures = cell_measures(family.tree, order.domain, order.samples)
    return Bundle(stage.destination, name, family, counts, by, measures, layout, budget, truncated, 0)


def _join(order: Order, partition: Partition, staged: _Cells, workers: Workers, interruption: Interruption) -> Budget:
    """Join members as the budget wants it, and shrink the claims of their cells."""
    boxes, before, units = leaves(partition), set(staged.members.values()), order.network.relu_units
    tree = routing_tree(partition)
    cells = Cells(tree, cell_measures(tree, order.domain, order.samples), *_kept(order, staged, len(boxes)))
    variants = [Families(order.network, order.claim, order.domain, variant) for variant in cells.variants()]
    budget, families, joint = choose(variants, order.options)

    def smaller(cell: int) -> Smaller:
        """What the cell is to claim."""
        classes = np.flatnonzero(joint[cell, units:]).tolist() if order.claim.decision else None
        return cell, boxes[cell], staged.result(cell), np.flatnonzero(~joint[cell, :units]), classes

    changed = {*np.flatnonzero((cells.kept != joint).any(axis=1)).tolist(), *(cells.fixed.keys() - families.fixed)}
    shrunk = shrink_cells(
        order.network.content, order.claim, sorted(changed), smaller, workers=workers, interruption=interruption
    )
    with closing(shrunk):
        for cell, result in shrunk:
            staged.add(cell, result)
    staged.drop(before)
    return budget


def _kept(order: Order, staged: _Cells, cells: int) -> tuple[NDArray[np.bool_], dict[int, Member]]:
    """What each cell keeps, and the members that others cannot share, as `Cells` has them."""
    network, shared, members = order.network, SharedLayers(), dict[str, Member]()
    units, offsets = network.relu_units, Prepared(network).offsets
    offsets = offsets | {len(network.layers) + 1: units}  # margins, in mode decision
    kept, fixed = np.ones((cells, units + network.n_out), bool), dict[int, Member]()
    for cell in range(cells):
        counts, name = staged.counts[cell], staged.members[cell]
        if counts.classes == 1 or counts.affine or counts.readout:
            if name not in members:
                content = staged.stage.read(member_file(name))
                members[name] = read_member(content, network.layers, network.digest, member_file(name), shared)
            fixed[cell] = members[name]
        proof = read_proof(staged.stage.read(certificate_file(cell)), offsets)
        kept[cell, proof.removed] = False
        if proof.classes is not None:
            kept[cell, units:] = np.isin(np.arange(network.n_out), proof.classes)
    return kept, fixed


def _family(order: Order, partition: Partition, members: list[str], stage: Staging) -> Family:
    """The plan, from the members' digests: distinct members in the order of their first cell."""
    place = {name: index for index, name in enumerate(dict.fromkeys(members))}
    network, shared = order.network, SharedLayers()
    return Family(
        mode=order.options.mode,
        decision=order.claim.decision,
        epsilon=None if order.claim.epsilon is None else freeze(np.array(order.claim.epsilon), np.float32),
        parent=network.layers,
        lower=order.domain.lower,
        upper=order.domain.upper,
        tree=routing_tree(partition),
        members=tuple(
            read_member(stage.read(member_file(name)), network.layers, network.digest, member_file(name), shared)
            for name in place
        ),
        cells=tuple(place[name] for name in members),
    )
