"""Verdicts of a checker: types, never a bare bool, and every rejection says where and why.

A checker that meets anything it cannot follow rejects. Only what is no bundle at all (no directory, no manifest,
another format) is an error instead of a verdict: `UnusableBundleFile`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


class UnusableBundleFile(ValueError):
    """There is no bundle to audit: the directory, its manifest or a file cannot be read, or the format is another.

    Parameters
    ----------
    where:
        Path of the file.
    what:
        One sentence: expected / got.
    """

    def __init__(self, where: str, what: str) -> None:
        self.where, self.what = where, what
        super().__init__(where, what)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Everything claimed is proved, but for attested units (then solvers were trusted explicitly, see `attested`).

    Attributes
    ----------
    nodes, closings:
        Size of the proof: nodes of its tree, and bounds that were verified.
    removed:
        Units proved inactive on the cell, or attested, and left out.
    margin:
        The least distance from zero of all verified bounds; None if there are none, or the checker does not say. It
        depends on the checker's rounding, so that equality of verdicts leaves it out.
    attested:
        Those of ``removed`` that rest on a solver's word instead of a proof (CERTIFICATE.md §6): 0 unless solvers are
        trusted.
    parts:
        In a cell whose member ends in a readout, for every output what reduction and rounding take of its bound: how
        far the member is proved to be off in real arithmetic at most, and what rounding of both networks adds to that
        in any of the bounds. Empty in other cells, or if the checker does not say.
    """

    nodes: int = 0
    closings: int = 0
    removed: int = 0
    margin: float | None = field(default=None, compare=False)
    attested: int = 0
    parts: tuple[tuple[float, float], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something is wrong or not proved.

    Attributes
    ----------
    where, why:
        The place (file, JSON path) of the first finding, and expected / got.
    unproved:
        All closings of the cell whose bound does not hold: (node of the proof tree, relu layer, unit). Empty if the
        rejection has another reason.
    """

    where: str
    why: str
    unproved: tuple[tuple[int, int, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


Verdict = Accepted | Rejected


def largest_parts(cells: Iterable[Sequence[tuple[float, float]]]) -> tuple[tuple[float, float], ...]:
    """For every output the largest part that reduction, and that rounding takes of its bound in any of some cells."""
    outputs = zip(*cells, strict=True)
    return tuple((max(part[0] for part in output), max(part[1] for part in output)) for output in outputs)


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """The verdict on one cell, and the checker's wall time for it (None if it does not say)."""

    cell: int
    verdict: Verdict
    seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What one checker found out about a bundle.

    Attributes
    ----------
    bundle:
        Verdict on everything that does not belong to one cell: manifest, digests, family, overflow.
    cells:
        One outcome for each cell that was checked, ascending; empty if ``bundle`` is rejected.
    total:
        Number of cells of the bundle, 0 if it could not be found out.
    seconds:
        Wall time.
    digest:
        Sha256 of the manifest that was read, which names the bundle; empty if the checker does not say.
    """

    bundle: Verdict
    cells: tuple[CellOutcome, ...]
    total: int
    seconds: float
    digest: str = ""

    @property
    def rejections(self) -> tuple[Rejected, ...]:
        """Every rejection, the bundle's first."""
        verdicts = (self.bundle, *(outcome.verdict for outcome in self.cells))
        return tuple(verdict for verdict in verdicts if isinstance(verdict, Rejected))

    @property
    def complete(self) -> bool:
        """Whether every cell of the bundle was checked."""
        return isinstance(self.bundle, Accepted) and len(self.cells) == self.total

    @property
    def accepted(self) -> bool:
        """Whether the bundle is accepted: complete, nothing is rejected, and nothing rests on a solver's word."""
        return self.complete and not self.rejections and not self.attested

    @property
    def attested(self) -> int:
        """Number of removals that rest on a solver's word: 0 unless solvers are trusted."""
        return self.count("attested")

    @property
    def parts(self) -> tuple[tuple[float, float], ...]:
        """The largest `Accepted.parts` of all cells; empty if no cell has any."""
        verdicts = [outcome.verdict for outcome in self.cells]
        found = [verdict.parts for verdict in verdicts if isinstance(verdict, Accepted) and verdict.parts]
        return largest_parts(found)

    def count(self, what: str) -> int:
        """Sum over the accepted cells of ``nodes``, ``closings``, ``removed`` or ``attested``."""
        verdicts = [outcome.verdict for outcome in self.cells]
        return sum(int(getattr(verdict, what)) for verdict in verdicts if isinstance(verdict, Accepted))
