"""`compress`: from a model and a domain to a bundle on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dispatcher.encode import canonical_json, digest
from dispatcher.errors import UnusableInput
from dispatcher.files import family_files, member_file, read_member
from dispatcher.load import certificate_file
from dispatcher.plan import Family
from slicer.box import Box
from slicer.certificate.exact import CHECKER
from slicer.certificate.rigorous import Checker
from slicer.certificate.verdict import Rejected
from slicer.family.bundle import Staging
from slicer.family.cell import CellCounts, CellResult
from slicer.family.checkpoint import CellStore, finished_cells, partial_folder, working_folder
from slicer.family.growth import grow
from slicer.family.interruption import Interrupted, Interruption, interruptible
from slicer.family.measure import Samples, cell_measures, read_samples
from slicer.family.options import Options
from slicer.family.pipeline import run_cells
from slicer.family.workers import LokyWorkers, Workers
from slicer.network import Network
from slicer.partition import Partition, halve, leaves, routing_tree
from slicer.readers import read_domain, read_network_bytes
from slicer.readers.files import read_bytes

SEARCH_FORMAT = "netslicer-search/1"
SEARCH_FILE = "search.json"
CUTTING = 0.1  # of a time limit may go into choosing cuts
ON_TIME = 0.97  # of a time limit; starting Python and ending the workers takes the rest


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
    truncated: bool
    reused: int


Progress = Callable[[int, int], None]


def compress(
    model: str | Path,
    domain: Box | str | Path,
    out: str | Path,
    options: Options | None = None,
    progress: Progress | None = None,
    *,
    resume: bool = False,
) -> Bundle:
    """Compress a model over a domain into a bundle directory.

    Until the bundle is complete, finished cells are kept in ``OUT.partial/`` (see `slicer.family.checkpoint`). They
    stay there if the run is killed or interrupted, or if the disk is full.

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
    resume:
        Whether to use the cells that an earlier run left in ``OUT.partial/``: those with the same model, domain, cells,
        effort and seed, and the same versions. The bundle is the one that a single run would have written.

    Raises
    ------
    UnusableInput
        If the model or domain cannot be used, ``out`` exists, an earlier run left cells and ``resume`` is not asked
        for, workers cannot be had, or writing fails. No bundle is written then.
    slicer.family.interruption.Interrupted
        (a KeyboardInterrupt) within two seconds of SIGINT or SIGTERM, if this is the main thread.
    """
    options, model, out = options or Options(), Path(model), Path(out)
    end = None if options.time_limit is None else time.time() + ON_TIME * options.time_limit
    job = _read(model, domain, options)
    if out.exists() or out.is_symlink():
        raise UnusableInput("expected a directory that does not exist yet", where=str(out), fix="choose --out")
    with (
        _workers(options) as workers,
        _explained(out),
        interruptible() as interruption,
        ExitStack() as last,
        working_folder(out, resume=resume) as folder,
    ):
        partition, in_time = _partition(job, end, interruption)
        store = CellStore(folder, job.network.digest, options.search())
        results = run_cells(
            job.network.content,
            leaves(partition),
            effort=options.effort,
            seed=options.seed,
            workers=workers,
            advising=options.advising(),
            end=end,
            store=store,
            interruption=interruption,
        )
        bundle = _write(job, (partition, in_time), results, Staging(folder / "bundle", out), progress)
        last.enter_context(interruption.held())  # the bundle is complete: no signal can make it undone
    return replace(bundle, reused=store.reused)


@dataclass(frozen=True, eq=False, slots=True)
class _Job:
    """What was asked for, read and found usable."""

    source: str
    content: bytes
    network: Network
    domain: Box
    samples: Samples | None
    options: Options
    record: Mapping[str, object]


def _read(model: Path, domain: Box | str | Path, options: Options) -> _Job:
    """Read model, domain and samples."""
    content = read_bytes(model)
    network = read_network_bytes(content, str(model))
    box = domain if isinstance(domain, Box) else read_domain(domain, network.n_in)
    if box.dimension != network.n_in:
        raise UnusableInput(f"expected a domain of {network.n_in} inputs, got {box.dimension}", where="domain")
    _exclude_overflow(network, box)
    samples, name = None, "none"
    if options.samples is not None:
        samples, name = read_samples(Path(options.samples), box), digest(read_bytes(Path(options.samples)))
    record = options.record() | {"samples": name}
    return _Job(f"parent{model.suffix.lower()}", content, network, box, samples, options, record)


def _exclude_overflow(network: Network, domain: Box) -> None:
    """Nothing is proved about evaluations that overflow, so that none may (CERTIFICATE.md §4)."""
    verdict = Checker(network.content).check_overflow(domain.lower, domain.upper)
    if isinstance(verdict, Rejected):
        raise UnusableInput(
            f"expected a network that cannot overflow float32 on the domain: {verdict.why}",
            where=verdict.where,
            fix="a smaller domain may help",
        )


def _workers(options: Options) -> AbstractContextManager[Workers]:
    """The processes that search."""
    if options.backend == "loky":
        return nullcontext(LokyWorkers(options.jobs))
    assert options.address is not None  # Options made sure of it
    from slicer.family.cluster import dask_workers, ray_workers  # noqa: PLC0415 - imports Dask where it is installed

    return dask_workers(options.address) if options.backend == "dask" else ray_workers(options.address, options.jobs)


def _partition(job: _Job, end: float | None, interruption: Interruption) -> tuple[Partition, bool]:
    """The cells, and whether there was time enough to choose them."""
    options = job.options
    if options.cuts == "uniform":
        return halve(job.domain, options.cells), True
    now = time.time()
    latest = float("inf") if end is None else now + CUTTING * (end - now)
    in_time = True

    def stopped() -> bool:
        nonlocal in_time
        in_time = in_time and time.time() < latest
        return not in_time

    workers = LokyWorkers(options.jobs)  # with clusters too: there is little to do, in many rounds
    partition = grow(
        job.network,
        job.domain,
        options.cells,
        seed=options.seed,
        samples=job.samples,
        workers=workers,
        stopped=stopped,
        interruption=interruption,
    )
    return partition, in_time


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Say, in an interruption, what is left of the run."""
    try:
        yield
    except Interrupted as stop:
        folder = partial_folder(out)
        done = finished_cells(folder)
        if done:
            stop.kept = f"{done} finished cells are kept in {folder}: go on with the same command and --resume"
        raise


def _write(
    job: _Job,
    cells: tuple[Partition, bool],
    results: Generator[tuple[int, CellResult], None, None],
    stage: Staging,
    progress: Progress | None,
) -> Bundle:
    """Write the bundle while the cells come in: certificates and members go to disk at once."""
    partition, in_time = cells
    stage.add(job.source, job.content)
    members = [""] * job.options.cells
    counts: dict[int, CellCounts] = {}
    with closing(results):
        for cell, result in results:
            members[cell] = digest(result.member)
            counts[cell] = result.counts
            stage.add(certificate_file(cell), result.certificate)
            stage.add(member_file(members[cell]), result.member)
            if progress:
                progress(len(counts), len(members))
    family = _family(job, partition, members, stage)
    for path, file in family_files(family).items():
        stage.add(path, file)
    ordered = tuple(counts[cell] for cell in range(len(members)))
    search = {"format": SEARCH_FORMAT, "cells": [asdict(count) for count in ordered]}
    stage.add(SEARCH_FILE, canonical_json(search))
    stage.add(CHECKER.name, CHECKER.read_bytes())
    truncated = not in_time or any(count.truncated for count in ordered)
    name = stage.finish(mode="bitwise", source=job.source, options=job.record, truncated=truncated)
    by = "volume" if job.samples is None else "samples"
    return Bundle(stage.destination, name, family, ordered, by, cell_measures(family, job.samples), truncated, 0)


def _family(job: _Job, partition: Partition, members: Sequence[str], stage: Staging) -> Family:
    """The plan, from the members' digests: distinct members in the order of their first cell."""
    place = {name: index for index, name in enumerate(dict.fromkeys(members))}
    network = job.network
    return Family(
        mode="bitwise",
        parent=network.layers,
        lower=job.domain.lower,
        upper=job.domain.upper,
        tree=routing_tree(partition),
        members=tuple(
            read_member(stage.read(member_file(name)), network.layers, network.digest, member_file(name))
            for name in place
        ),
        cells=tuple(place[name] for name in members),
    )
