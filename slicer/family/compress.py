"""`compress`: from a model and a domain to a bundle on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from dispatcher.encode import digest
from dispatcher.errors import UnusableInput
from slicer.box import Box
from slicer.certificate.rigorous import Checker
from slicer.certificate.verdict import Rejected
from slicer.family.assemble import Bundle, Order, Progress, assemble
from slicer.family.bundle import Staging
from slicer.family.carving import Carve, Carving, can_carve
from slicer.family.checkpoint import CellStore, PartStore, carved_cells, finished_cells, partial_folder, working_folder
from slicer.family.claim import Claim
from slicer.family.growth import grow
from slicer.family.interruption import Interrupted, Interruption, interruptible
from slicer.family.measure import read_samples
from slicer.family.options import Options
from slicer.family.pipeline import run_cells
from slicer.family.tolerance import bounds as bounds_of
from slicer.family.workers import LokyWorkers, Workers
from slicer.network import Network
from slicer.partition import Partition, blocks, halve
from slicer.readers import read_domain, read_network_bytes
from slicer.readers.files import read_bytes
from slicer.search.contest import check_contest

CUTTING, CARVING = 0.1, 0.4  # of a time limit may go into choosing cuts, without and with proofs
JOINING = 0.25  # of a time limit are left for joining members
ON_TIME = 0.97  # of a time limit; starting Python and ending the workers takes the rest


def compress(
    model: str | Path,
    domain: Box | str | Path,
    out: str | Path,
    options: Options | None = None,
    progress: Progress | None = None,
    *,
    cutting: Progress | None = None,
    resume: bool = False,
) -> Bundle:
    """Compress a model over a domain into a bundle directory.

    Until the bundle is complete, finished cells, and the parts of carved ones, are kept in ``OUT.partial/`` (see
    `slicer.family.checkpoint`). They stay there if the run is killed or interrupted, or if the disk is full.

    Parameters
    ----------
    model:
        An ``.onnx`` or ``.nnet`` file.
    domain:
        The box of inputs, in any form that `slicer.readers.read_domain` reads.
    out:
        The bundle's directory; it must not exist.
    progress:
        Called with (cells done, cells in all) at the start, when nothing is done, and after each cell.
    cutting:
        Called with (steps done, steps in all) before that, while adaptive cuts are chosen and cells are carved.
    resume:
        Whether to use the cells that an earlier run left in ``OUT.partial/``: those with the same model, domain, cells,
        cuts, samples, effort and seed, and the same versions; the budget may be another one. The bundle is the one that
        a single run would have written.

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
    order = _read(model, domain, options)
    if out.exists() or out.is_symlink():
        raise UnusableInput("expected a directory that does not exist yet", where=str(out), fix="choose --out")
    with (
        _workers(options) as workers,
        _explained(out),
        interruptible() as interruption,
        ExitStack() as last,
        working_folder(out, resume=resume) as folder,
    ):
        bounds = [bound.hex() for bound in order.claim.epsilon or ()]  # of one domain, if they are relative
        stores = folder, order.network.digest, options.search() | {"bounds": bounds}
        partition, in_time = _partition(order, end, cutting, interruption, lambda: PartStore(*stores))
        store = CellStore(*stores)
        results = run_cells(
            order.network.content,
            blocks(partition),
            effort=options.effort,
            seed=options.seed,
            workers=workers,
            claim=order.claim,
            advising=options.advising(),
            end=_search_end(options, end),
            store=store,
            interruption=interruption,
        )
        bundle = assemble(
            order,
            partition,
            results,
            Staging(folder / "bundle", out),
            in_time=in_time,
            progress=progress,
            workers=workers,
            interruption=interruption,
        )
        last.enter_context(interruption.held())  # the bundle is complete: no signal can make it undone
    return replace(bundle, reused=store.reused)


def _search_end(options: Options, end: float | None) -> float | None:
    """When the cells should be done for the run to end at ``end``."""
    return end if end is None or not options.budgeted else end - JOINING * (end - time.time())


def _read(model: Path, domain: Box | str | Path, options: Options) -> Order:
    """Read model, domain and samples."""
    content = read_bytes(model)
    network = read_network_bytes(content, str(model), scores=options.decides is not None)
    if options.decides is not None:
        check_contest(network)
    box = domain if isinstance(domain, Box) else read_domain(domain, network.n_in)
    if box.dimension != network.n_in:
        raise UnusableInput(f"expected a domain of {network.n_in} inputs, got {box.dimension}", where="domain")
    _exclude_overflow(network, box)
    samples, name = None, "none"
    if options.samples is not None:
        samples, name = read_samples(Path(options.samples), box), digest(read_bytes(Path(options.samples)))
    record = options.record() | {"samples": name}
    claim = Claim(options.decides, None if options.epsilon is None else bounds_of(options.epsilon, network, box))
    return Order(f"parent{model.suffix.lower()}", content, network, box, samples, options, claim, record)


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


def _partition(
    order: Order,
    end: float | None,
    cutting: Progress | None,
    interruption: Interruption,
    store: Callable[[], PartStore],
) -> tuple[Partition, bool]:
    """The cells, and whether there was time enough to choose them."""
    options = order.options
    if options.cuts == "uniform":
        return halve(order.domain, options.cells), True
    carves = options.divided > 1 and can_carve(order.network, order.claim)
    now = time.time()
    latest = float("inf") if end is None else now + (CARVING if carves else CUTTING) * (end - now)
    carve = Carve(order.network.content, order.claim, options.effort, latest)
    in_time = True

    def stopped() -> bool:
        nonlocal in_time
        in_time = in_time and time.time() < latest
        return not in_time

    workers = LokyWorkers(options.jobs)  # with clusters too: there is little to do, in many rounds
    partition = grow(
        order.network,
        order.domain,
        options.cells,
        seed=options.seed,
        claim=order.claim,
        samples=order.samples,
        workers=workers,
        carving=Carving(carve, options.divided, store()) if carves else None,
        progress=cutting,
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
        done, carved = finished_cells(folder), carved_cells(folder)
        if done or carved:
            what = f"{done} finished cells are" if done else f"the parts of {carved} cells are"
            stop.kept = f"{what} kept in {folder}: go on with the same command and --resume"
        raise
