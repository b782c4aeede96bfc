"""`compress`: from a model and a domain to a bundle on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dispatcher.encode import canonical_json, digest
from dispatcher.errors import UnusableInput
from dispatcher.files import family_files, member_file, read_member
from dispatcher.load import certificate_file
from dispatcher.plan import Family
from slicer.box import Box
from slicer.certificate.exact import CHECKER
from slicer.certificate.rigorous import Checker
from slicer.certificate.verdict import Rejected
from slicer.family.bundle import Staging, staging
from slicer.family.cell import CellCounts
from slicer.family.pipeline import run_cells
from slicer.network import Network
from slicer.partition import Partition, halve, leaves, routing_tree
from slicer.readers import read_domain, read_network_bytes
from slicer.readers.files import read_bytes

SEARCH_FORMAT = "netslicer-search/1"
SEARCH_FILE = "search.json"
DEFAULT_EFFORT = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """How to compress; everything but ``jobs`` is recorded in the manifest.

    Attributes
    ----------
    cells:
        Number of cells to cut the domain into.
    effort:
        Work units (bounded boxes) per cell.
    seed:
        Of the falsifier's random points.
    time_limit:
        Seconds after which search stops everywhere (a safety stop, recorded as a truncation); None for none.
    jobs:
        Worker processes; the result does not depend on it.
    """

    cells: int = 32
    effort: int = DEFAULT_EFFORT
    seed: int = 0
    time_limit: float | None = None
    jobs: int = -1

    def __post_init__(self) -> None:
        for name, lower in (("cells", 1), ("effort", 1), ("seed", 0)):
            if getattr(self, name) < lower:
                raise UnusableInput(f"expected at least {lower}, got {getattr(self, name)}", where=f"--{name}")
        if self.time_limit is not None and not self.time_limit > 0:
            raise UnusableInput(f"expected a positive number of seconds, got {self.time_limit}", where="--time-limit")
        if self.jobs == 0:
            raise UnusableInput("expected a number of processes, or -1 for all cores, got 0", where="--jobs")

    def record(self) -> dict[str, object]:
        """What the manifest keeps."""
        limit = "none" if self.time_limit is None else f"{self.time_limit:g} s"
        return {"cells": self.cells, "effort": self.effort, "seed": self.seed, "time-limit": limit}


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
    truncated:
        Whether the time limit cut the search short.
    """

    path: Path
    digest: str
    family: Family
    counts: tuple[CellCounts, ...]
    truncated: bool


Progress = Callable[[int, int], None]


def compress(
    model: str | Path,
    domain: Box | str | Path,
    out: str | Path,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Compress a model over a domain into a bundle directory.

    Parameters
    ----------
    model:
        An ``.onnx`` or ``.nnet`` file.
    domain:
        The box of inputs, in any form that `slicer.readers.read_domain` reads.
    out:
        The bundle's directory; it must not exist.
    progress:
        Called with (cells done, cells in all) after each cell.

    Raises
    ------
    UnusableInput
        If the model or domain cannot be used, or ``out`` exists. Nothing is written then.
    """
    options, model, out = options or Options(), Path(model), Path(out)
    content = read_bytes(model)
    network = read_network_bytes(content, str(model))
    box = domain if isinstance(domain, Box) else read_domain(domain, network.n_in)
    if box.dimension != network.n_in:
        raise UnusableInput(f"expected a domain of {network.n_in} inputs, got {box.dimension}", where="domain")
    _exclude_overflow(network, box)
    partition = halve(box, options.cells)
    with staging(out) as stage:
        source = f"parent{model.suffix.lower()}"
        stage.add(source, content)
        members, counts = _run(network, leaves(partition), stage, options, progress)
        family = _family(network, box, partition, members)
        for path, file in family_files(family).items():
            stage.add(path, file)
        cells = [asdict(count) for count in counts]
        stage.add(SEARCH_FILE, canonical_json({"format": SEARCH_FORMAT, "cells": cells}))
        stage.add(CHECKER.name, CHECKER.read_bytes())
        truncated = any(count.truncated for count in counts)
        bundle_digest = stage.finish(mode="bitwise", source=source, options=options.record(), truncated=truncated)
    return Bundle(out, bundle_digest, family, tuple(counts), truncated)


def _exclude_overflow(network: Network, domain: Box) -> None:
    """Nothing is proved about evaluations that overflow, so that none may (CERTIFICATE.md §4)."""
    verdict = Checker(network.content).check_overflow(domain.lower, domain.upper)
    if isinstance(verdict, Rejected):
        raise UnusableInput(
            f"expected a network that cannot overflow float32 on the domain: {verdict.why}",
            where=verdict.where,
            fix="a smaller domain may help",
        )


def _run(
    network: Network, boxes: list[Box], stage: Staging, options: Options, progress: Progress | None
) -> tuple[list[bytes], list[CellCounts]]:
    """Search all cells; certificates go to disk at once, members (one digest each) are kept by content."""
    members: list[bytes] = [b""] * len(boxes)
    counts: dict[int, CellCounts] = {}
    shared: dict[bytes, bytes] = {}
    deadline = None if options.time_limit is None else time.time() + options.time_limit
    results = run_cells(
        network.content, boxes, effort=options.effort, seed=options.seed, jobs=options.jobs, deadline=deadline
    )
    for cell, result in results:
        stage.add(certificate_file(cell), result.certificate)
        members[cell] = shared.setdefault(result.member, result.member)
        counts[cell] = result.counts
        if progress:
            progress(len(counts), len(boxes))
    return members, [counts[cell] for cell in range(len(boxes))]


def _family(network: Network, domain: Box, partition: Partition, members: Sequence[bytes]) -> Family:
    """The plan: distinct members in the order of their first cell."""
    place: dict[bytes, int] = {}
    for content in members:
        place.setdefault(content, len(place))
    return Family(
        mode="bitwise",
        parent=network.layers,
        lower=domain.lower,
        upper=domain.upper,
        tree=routing_tree(partition),
        members=tuple(
            read_member(content, network.layers, network.digest, member_file(digest(content))) for content in place
        ),
        cells=tuple(place[content] for content in members),
    )
