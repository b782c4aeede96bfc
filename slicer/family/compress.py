"""`compress`: from a model and a domain to a bundle on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
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
from slicer.family.bundle import Staging
from slicer.family.cell import CellCounts, CellResult
from slicer.family.checkpoint import CellStore, finished_cells, partial_folder, working_folder
from slicer.family.cluster import dask_workers, ray_workers
from slicer.family.interruption import Interrupted, interruptible
from slicer.family.pipeline import run_cells
from slicer.family.workers import LokyWorkers, Workers
from slicer.network import Network
from slicer.partition import Partition, halve, leaves, routing_tree
from slicer.readers import read_domain, read_network_bytes
from slicer.readers.files import read_bytes
from slicer.search.advisers import SOLVERS, Advising

SEARCH_FORMAT = "netslicer-search/1"
SEARCH_FILE = "search.json"
DEFAULT_EFFORT = 1000
BACKENDS = ("loky", "dask", "ray")
TRUST = ("certified", "solver")
ON_TIME = 0.97  # of a time limit; starting Python and ending the workers takes the rest


@dataclass(frozen=True, slots=True)
class Options:
    """How to compress. The manifest records all but the last three, on which the result does not depend.

    Attributes
    ----------
    cells:
        Number of cells to cut the domain into.
    effort:
        Work units (bounded boxes) per cell.
    seed:
        Of the falsifier's random points.
    time_limit:
        Seconds after which the bundle should be complete, however little is proved then (a safety stop, recorded as a
        truncation); None for none.
    jobs:
        Worker processes; −1 for one per core. Dask always uses all of its workers.
    adviser, adviser_seconds:
        Solver (``marabou`` or ``milp``) to ask about every candidate that search leaves open, None for none, and for
        how long on the clock. What it finds out depends on the machine, so the bundle then does too.
    trust:
        ``solver`` to remove units also on the adviser's word, where search finds no proof. Such a bundle is attested,
        never accepted (CERTIFICATE.md §6). Else ``certified``.
    backend, address:
        ``loky`` for processes of this machine; ``dask`` or ``ray`` for the workers of a running cluster, and where it
        is (see `slicer.family.cluster`).
    """

    cells: int = 32
    effort: int = DEFAULT_EFFORT
    seed: int = 0
    time_limit: float | None = None
    jobs: int = -1
    backend: str = "loky"
    address: str | None = None
    adviser: str | None = None
    adviser_seconds: float = 2.0
    trust: str = TRUST[0]

    def __post_init__(self) -> None:
        for name, lower in (("cells", 1), ("effort", 1), ("seed", 0)):
            if getattr(self, name) < lower:
                raise UnusableInput(f"expected at least {lower}, got {getattr(self, name)}", where=f"--{name}")
        if self.time_limit is not None and not self.time_limit > 0:
            raise UnusableInput(f"expected a positive number of seconds, got {self.time_limit}", where="--time-limit")
        if self.jobs == 0:
            raise UnusableInput("expected a number of processes, or -1 for all cores, got 0", where="--jobs")
        if self.backend not in BACKENDS:
            raise UnusableInput(f"expected {', '.join(BACKENDS)}, got {self.backend[:40]!r}", where="--backend")
        if (self.backend == "loky") != (self.address is None):
            expected = "no address" if self.backend == "loky" else "the address of a running cluster"
            raise UnusableInput(f"expected {expected} with --backend {self.backend}", where="--address")
        self._check_adviser()

    def _check_adviser(self) -> None:
        """Refuse what fits no solver."""
        if self.adviser is not None and self.adviser not in SOLVERS:
            raise UnusableInput(f"expected {', '.join(SOLVERS)}, got {self.adviser[:40]!r}", where="--adviser")
        if not 0 < self.adviser_seconds < float("inf"):
            raise UnusableInput(f"expected seconds, got {self.adviser_seconds}", where="--adviser-seconds")
        if self.trust not in TRUST:
            raise UnusableInput(f"expected {', '.join(TRUST)}, got {self.trust[:40]!r}", where="--trust")
        if self.trust == "solver" and self.adviser is None:
            raise UnusableInput("expected an --adviser whose word to trust", where="--trust solver")

    def advising(self) -> Advising | None:
        """Whom to ask, and what the answer may do."""
        return None if self.adviser is None else Advising(self.adviser, self.adviser_seconds, self.trust == "solver")

    def search(self) -> dict[str, object]:
        """Everything that a cell's result depends on, besides the cell."""
        adviser = "none" if self.adviser is None else f"{self.adviser} {self.adviser_seconds:g} s"
        return {"effort": self.effort, "seed": self.seed, "adviser": adviser, "trust": self.trust}

    def record(self) -> dict[str, object]:
        """What the manifest keeps."""
        limit = "none" if self.time_limit is None else f"{self.time_limit:g} s"
        return self.search() | {"cells": self.cells, "time-limit": limit}


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
    reused:
        Number of cells that an earlier run had finished.
    """

    path: Path
    digest: str
    family: Family
    counts: tuple[CellCounts, ...]
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
        store = CellStore(folder, job.network.digest, options.search())
        results = run_cells(
            job.network.content,
            leaves(job.partition),
            effort=options.effort,
            seed=options.seed,
            workers=workers,
            advising=options.advising(),
            end=end,
            store=store,
            interruption=interruption,
        )
        bundle = _write(job, results, Staging(folder / "bundle", out), progress)
        last.enter_context(interruption.held())  # the bundle is complete: no signal can make it undone
    return replace(bundle, reused=store.reused)


@dataclass(frozen=True, eq=False, slots=True)
class _Job:
    """What was asked for, read and found usable."""

    source: str
    content: bytes
    network: Network
    domain: Box
    partition: Partition
    options: Options


def _read(model: Path, domain: Box | str | Path, options: Options) -> _Job:
    """Read model and domain, and cut the domain."""
    content = read_bytes(model)
    network = read_network_bytes(content, str(model))
    box = domain if isinstance(domain, Box) else read_domain(domain, network.n_in)
    if box.dimension != network.n_in:
        raise UnusableInput(f"expected a domain of {network.n_in} inputs, got {box.dimension}", where="domain")
    _exclude_overflow(network, box)
    return _Job(f"parent{model.suffix.lower()}", content, network, box, halve(box, options.cells), options)


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
    return dask_workers(options.address) if options.backend == "dask" else ray_workers(options.address, options.jobs)


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
    job: _Job, results: Generator[tuple[int, CellResult], None, None], stage: Staging, progress: Progress | None
) -> Bundle:
    """Write the bundle while the cells come in: certificates and members go to disk at once."""
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
    family = _family(job, members, stage)
    for path, file in family_files(family).items():
        stage.add(path, file)
    cells = [asdict(counts[cell]) for cell in range(len(members))]
    stage.add(SEARCH_FILE, canonical_json({"format": SEARCH_FORMAT, "cells": cells}))
    stage.add(CHECKER.name, CHECKER.read_bytes())
    truncated = any(count.truncated for count in counts.values())
    name = stage.finish(mode="bitwise", source=job.source, options=job.options.record(), truncated=truncated)
    return Bundle(stage.destination, name, family, tuple(counts[cell] for cell in range(len(members))), truncated, 0)


def _family(job: _Job, members: Sequence[str], stage: Staging) -> Family:
    """The plan, from the members' digests: distinct members in the order of their first cell."""
    place = {name: index for index, name in enumerate(dict.fromkeys(members))}
    network = job.network
    return Family(
        mode="bitwise",
        parent=network.layers,
        lower=job.domain.lower,
        upper=job.domain.upper,
        tree=routing_tree(job.partition),
        members=tuple(
            read_member(stage.read(member_file(name)), network.layers, network.digest, member_file(name))
            for name in place
        ),
        cells=tuple(place[name] for name in members),
    )
