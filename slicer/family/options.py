"""`Options`: how to compress, checked once on construction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dispatcher.errors import UnusableInput

DEFAULT_EFFORT = 1000
BACKENDS = ("loky", "dask", "ray")
CUTS = ("adaptive", "uniform")


@dataclass(frozen=True, slots=True)
class Options:
    """How to compress. The manifest records all but the last three, on which the result does not depend.

    Attributes
    ----------
    cells:
        Number of cells to cut the domain into.
    cuts:
        ``adaptive`` where it is expected to pay (`slicer.family.growth`), ``uniform`` by halving.
    samples:
        A ``.csv`` or ``.npy`` file of inputs as they come in use: expectations, such as that of the adaptive cuts, are
        means over them; None for means over the domain's volume.
    effort:
        Work units (bounded boxes) per cell.
    seed:
        Of the falsifier's random points, and of those by which cuts are chosen.
    time_limit:
        Seconds after which the bundle should be complete, however little is proved then (a safety stop, recorded as a
        truncation); None for none.
    jobs:
        Worker processes; −1 for one per core. Dask always uses all of its workers.
    backend, address:
        ``loky`` for processes of this machine; ``dask`` or ``ray`` for the workers of a running cluster, and where it
        is (see `slicer.family.cluster`).
    """

    cells: int = 32
    cuts: str = "adaptive"
    samples: str | Path | None = None
    effort: int = DEFAULT_EFFORT
    seed: int = 0
    time_limit: float | None = None
    jobs: int = -1
    backend: str = "loky"
    address: str | None = None

    def __post_init__(self) -> None:
        for name, lower in (("cells", 1), ("effort", 1), ("seed", 0)):
            if getattr(self, name) < lower:
                raise UnusableInput(f"expected at least {lower}, got {getattr(self, name)}", where=f"--{name}")
        if self.time_limit is not None and not self.time_limit > 0:
            raise UnusableInput(f"expected a positive number of seconds, got {self.time_limit}", where="--time-limit")
        if self.jobs == 0:
            raise UnusableInput("expected a number of processes, or -1 for all cores, got 0", where="--jobs")
        for name, known in (("backend", BACKENDS), ("cuts", CUTS)):
            if getattr(self, name) not in known:
                raise UnusableInput(f"expected {', '.join(known)}, got {getattr(self, name)[:40]!r}", where=f"--{name}")
        if (self.backend == "loky") != (self.address is None):
            expected = "no address" if self.backend == "loky" else "the address of a running cluster"
            raise UnusableInput(f"expected {expected} with --backend {self.backend}", where="--address")

    def record(self) -> dict[str, object]:
        """What the manifest keeps, besides the digest of the samples."""
        limit = "none" if self.time_limit is None else f"{self.time_limit:g} s"
        return {
            "cells": self.cells,
            "cuts": self.cuts,
            "effort": self.effort,
            "seed": self.seed,
            "time-limit": limit,
        }
