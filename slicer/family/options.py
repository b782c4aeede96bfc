"""`Options`: how to compress, checked once on construction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from dispatcher.emit_c99 import Layout
from dispatcher.errors import UnusableInput
from dispatcher.plan import Decision, Mode
from slicer.search.advisers import SOLVERS, Advising
from slicer.search.solvers import marabou

MODES: tuple[Mode, ...] = get_args(Mode)
DECISIONS: tuple[Decision, ...] = get_args(Decision)
DEFAULT_EFFORT = 1000
BACKENDS = ("loky", "dask", "ray")
CUTS = ("adaptive", "uniform")
LAYOUTS: tuple[Layout, ...] = get_args(Layout)  # packed first: the one without a budget
TRUST = ("certified", "solver")
MOST_CELLS = 131_000  # with a certificate and a member for each, as many files as readers take (CERTIFICATE.md §7)
PARTS = 4  # of a cell, on average, in modes that can settle parts


@dataclass(frozen=True, slots=True)
class Options:
    """How to compress. The manifest records all but the last three, on which the result does not depend.

    Attributes
    ----------
    mode:
        Strength of equivalence: ``bitwise``, ``decision`` or ``epsilon``.
    decision:
        In mode ``decision`` what has to stay the same: the place of the largest output (``argmax``, also for None) or
        of the smallest (``argmin``).
    epsilon:
        In mode ``epsilon`` by how much each output may differ: a number, or one followed by ``%`` for a share of each
        output's range over the domain, as far as sampling sees it (`slicer.family.tolerance`).
    cells:
        Number of cells to cut the domain into, before they are divided into ``parts``.
    cuts:
        ``adaptive`` where it is expected to pay (`slicer.family.growth`), ``uniform`` by halving.
    parts:
        How many parts, on average, adaptive cells may be divided into in modes ``decision`` and ``epsilon``, where
        proofs show that some need no network (`slicer.family.carving`): the bundle then has up to so many times as
        many cells. None for `PARTS`.
    members:
        How many members the cells may share; None for as many as there are different ones.
    flash:
        How many bytes the tables of the emitted C may take; None for any number.
    layout:
        Of these tables: ``packed``, ``masked``, or ``auto`` for the one with less expected work that keeps the budget
        (packed without one).
    samples:
        A ``.csv`` or ``.npy`` file of inputs as they come in use: expectations, such as that of the adaptive cuts, are
        means over them; None for means over the domain's volume.
    effort:
        Work units (bounded boxes) per cell; up to `slicer.search.attempt.SOLE` times as many to look for its parts, and
        to prove that a part needs no network.
    seed:
        Of the falsifier's random points, and of those by which cuts are chosen.
    time_limit:
        Seconds after which the bundle should be complete, however little is proved then (a safety stop, recorded as a
        truncation); None for none.
    adviser, adviser_seconds:
        Solver (``marabou`` or ``milp``) to ask about every candidate that search leaves open, None for none, and for
        how long on the clock. What it finds out depends on the machine, so the bundle then does too.
    trust:
        ``solver`` to remove units also on the adviser's word, where search finds no proof. Such a bundle is attested,
        never accepted (CERTIFICATE.md §6). Else ``certified``.
    jobs:
        Worker processes; −1 for one per core. Dask always uses all of its workers.
    backend, address:
        ``loky`` for processes of this machine; ``dask`` or ``ray`` for the workers of a running cluster, and where it
        is (see `slicer.family.cluster`).
    """

    mode: Mode = "bitwise"
    decision: Decision | None = None
    epsilon: str | float | None = None
    cells: int = 32
    cuts: str = "adaptive"
    parts: int | None = None
    members: int | None = None
    flash: int | None = None
    layout: str = "auto"
    samples: str | Path | None = None
    effort: int = DEFAULT_EFFORT
    seed: int = 0
    time_limit: float | None = None
    adviser: str | None = None
    adviser_seconds: float = 2.0
    trust: str = TRUST[0]
    jobs: int = -1
    backend: str = "loky"
    address: str | None = None

    def __post_init__(self) -> None:
        for name, lower in (("cells", 1), ("parts", 1), ("members", 1), ("flash", 1), ("effort", 1), ("seed", 0)):
            if getattr(self, name) is not None and getattr(self, name) < lower:
                raise UnusableInput(f"expected at least {lower}, got {getattr(self, name)}", where=f"--{name}")
        if self.time_limit is not None and not self.time_limit > 0:
            raise UnusableInput(f"expected a positive number of seconds, got {self.time_limit}", where="--time-limit")
        if self.jobs == 0:
            raise UnusableInput("expected a number of processes, or -1 for all cores, got 0", where="--jobs")
        known_names = {
            "mode": MODES,
            "backend": BACKENDS,
            "cuts": CUTS,
            "layout": ("auto", *LAYOUTS),
            "trust": TRUST,
        }
        for name, known in known_names.items():
            if getattr(self, name) not in known:
                raise UnusableInput(f"expected {', '.join(known)}, got {getattr(self, name)[:40]!r}", where=f"--{name}")
        self._check_mode()
        self._check_adviser()

    def _check_mode(self) -> None:
        """Refuse what does not belong together."""
        if (self.backend == "loky") != (self.address is None):
            expected = "no address" if self.backend == "loky" else "the address of a running cluster"
            raise UnusableInput(f"expected {expected} with --backend {self.backend}", where="--address")
        if self.decision is not None and self.mode != "decision":
            raise UnusableInput("expected it in mode decision only", where="--decision", fix="add --mode decision")
        if self.decision is not None and self.decision not in DECISIONS:
            raise UnusableInput(f"expected {', '.join(DECISIONS)}, got {self.decision[:40]!r}", where="--decision")
        if self.cells * self.divided > MOST_CELLS:
            what = f"expected at most {MOST_CELLS:,} cells and parts in all, got {self.cells * self.divided:,}"
            raise UnusableInput(what, where="--cells", fix="readers refuse bundles of very many files")
        if self.parts is not None and (self.mode == "bitwise" or self.cuts == "uniform"):
            what = "expected it with adaptive cuts in mode decision or epsilon only"
            raise UnusableInput(what, where="--parts", fix="ask for more --cells")
        if (self.mode == "epsilon") != (self.epsilon is not None):
            raise UnusableInput("expected it in mode epsilon, and in this mode only", where="--epsilon")

    def _check_adviser(self) -> None:
        """Refuse what fits no solver."""
        if self.adviser is not None and self.adviser not in SOLVERS:
            raise UnusableInput(f"expected {', '.join(SOLVERS)}, got {self.adviser[:40]!r}", where="--adviser")
        if self.adviser == "marabou" and not marabou.installed():
            raise UnusableInput(marabou.NOT_INSTALLED, where="--adviser", fix="milp comes with netslicer")
        if not 0 < self.adviser_seconds < float("inf"):
            raise UnusableInput(f"expected seconds, got {self.adviser_seconds}", where="--adviser-seconds")
        if self.trust == "solver" and self.adviser is None:
            raise UnusableInput("expected an --adviser whose word to trust", where="--trust solver")

    def advising(self) -> Advising | None:
        """Whom to ask, and what the answer may do."""
        return None if self.adviser is None else Advising(self.adviser, self.adviser_seconds, self.trust == "solver")

    def search(self) -> dict[str, object]:
        """Everything that a cell's result depends on, besides the cell."""
        adviser = "none" if self.adviser is None else f"{self.adviser} {self.adviser_seconds:g} s"
        search: dict[str, object] = {"mode": self.mode, "effort": self.effort, "seed": self.seed}
        search |= {"decision": self.decides or "none", "epsilon": "none" if self.epsilon is None else str(self.epsilon)}
        return search | {"adviser": adviser, "trust": self.trust}

    @property
    def decides(self) -> Decision | None:
        """The decision that has to stay the same, None in other modes."""
        return self.decision or DECISIONS[0] if self.mode == "decision" else None

    @property
    def divided(self) -> int:
        """How many parts a cell may have, on average."""
        return 1 if self.mode == "bitwise" or self.cuts == "uniform" else self.parts or PARTS

    @property
    def budgeted(self) -> bool:
        """Whether members may have to be joined."""
        return self.members is not None or self.flash is not None

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts that may be chosen."""
        if self.layout == "auto":
            return LAYOUTS if self.flash is not None else LAYOUTS[:1]
        return tuple(layout for layout in LAYOUTS if layout == self.layout)

    def record(self) -> dict[str, object]:
        """What the manifest keeps, besides the chosen layout and the digest of the samples."""
        limit = "none" if self.time_limit is None else f"{self.time_limit:g} s"
        return self.search() | {
            "cells": self.cells,
            "cuts": self.cuts,
            "parts": self.divided,
            "members": "any" if self.members is None else self.members,
            "flash": "any" if self.flash is None else self.flash,
            "time-limit": limit,
        }
