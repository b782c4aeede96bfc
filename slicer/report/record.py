"""What an audit report says, as plain data: ``--json`` writes these fields under these names, the HTML shows the same.

The grammar with the meaning of every key is ``audit.schema.json``. Box corners and thresholds are the shortest decimals
that read back as the same float32 number; times are in seconds; shares are parts of the domain's volume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dispatcher.plan import Decision

REPORT_FORMAT = "netslicer-audit/1"

Word = Literal["accepted", "attested", "rejected", "incomplete"]
Outcome = Literal["accepted", "attested", "rejected", "not checked"]


@dataclass(frozen=True, slots=True)
class CheckerRecord:
    """One checker's result. ``program`` is the sha256 of the exact checker's one file, empty for the other."""

    name: str
    arithmetic: str
    program: str
    verdict: Word
    cells_checked: int
    cells_rejected: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FindingRecord:
    """One rejection: the checker that found it, the cell (None for the bundle as a whole), the place, the reason."""

    checker: str
    cell: int | None
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class DisagreementRecord:
    """A cell (None for the bundle as a whole) that only one checker rejects."""

    cell: int | None
    rejecting: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, what it is for, and what it must print or return if the report is right."""

    purpose: str
    line: str
    expected: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What is claimed and in which arithmetic, what that rests on, and what is not claimed."""

    claim: str
    arithmetic: tuple[str, ...]
    assumptions: tuple[str, ...]
    not_claimed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of the bundle."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What the bundle is, as its manifest says.

    Attributes
    ----------
    bundle:
        Sha256 of ``manifest.json``, which stands for all files.
    source:
        The model as it was given; ``source_agrees`` says whether reading it gives the parent (None: not examined).
    checker:
        ``own`` if the bundle holds the exact checker that belongs to this tool, ``other`` if it holds another file
        of that name, ``none`` if it holds none.
    """

    bundle: str
    mode: str
    parent: str
    source: FileRecord
    source_agrees: bool | None
    truncated: bool
    options: Mapping[str, Any]
    tools: Mapping[str, Any]
    checker: Literal["own", "other", "none"]
    files: tuple[FileRecord, ...]


@dataclass(frozen=True, slots=True)
class InputRecord:
    """One input: its closed range in the domain, and how many nodes of the routing tree cut it.

    ``cuts_mean`` is how many of them a uniformly drawn point of the domain meets on its way.
    """

    lower: float
    upper: float
    cuts: int
    cuts_mean: float


@dataclass(frozen=True, slots=True)
class CostRecord:
    """Multiply-accumulates per inference and ReLU units of a network."""

    mac: int
    relu_units: int


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """One layer of the parent, and how many of its units the members keep (``units_mean`` is weighted by volume)."""

    kind: str
    name: str
    units: int
    units_min: int
    units_mean: float
    units_max: int


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """One member: its file's digest, its cost, kept units per layer, constant prefixes and units.

    It may end in a readout, even of the inputs alone (``affine``).
    """

    sha256: str
    cost: CostRecord
    units: tuple[int, ...]
    prefixes: int
    constants: int
    affine: bool
    readout: bool
    cells: int


@dataclass(frozen=True, slots=True)
class Removal:
    """What a cell's member lacks in one ReLU layer, and why.

    Attributes
    ----------
    layer:
        Position in the parent.
    proved:
        Units proved inactive on the cell, ascending, and in ``nodes`` the number of proof nodes that close each.
    attested:
        Units left out on a solver's word, without a proof.
    constant:
        Further units that are left out because everything they read is constant.
    unread:
        Further units that are left out because nobody reads them any more.
    evaluated:
        Units of ``proved`` and ``attested`` that the member still has, because a layer needs its sources as they are.
    """

    layer: int
    proved: tuple[int, ...]
    nodes: tuple[int, ...]
    attested: tuple[int, ...]
    constant: tuple[int, ...]
    unread: tuple[int, ...]
    evaluated: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ProofRecord:
    """A cell's proof: its tree, and the bounds (closings of units as inactive or active) that were verified.

    ``margin`` is the least distance of a bound from zero.
    """

    nodes: int
    depth: int
    inactive: int
    active: int
    margin: float | None


@dataclass(frozen=True, slots=True)
class CellVerdict:
    """One checker's verdict on one cell; ``where`` and ``why`` are empty unless it rejects."""

    outcome: Outcome
    where: str
    why: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class CellRecord:
    """One cell.

    Attributes
    ----------
    box:
        [input, lower, upper] of the inputs whose range is narrower than the domain's.
    share:
        Part of the domain's volume.
    comparisons:
        Tests on the route to the cell.
    member:
        Position in the list of members.
    certificate:
        Path of the certificate.
    removals, classes, proof:
        Read from the certificate; only of cells that the rigorous checker accepts (empty and None otherwise). The
        classes are the outputs that may win, in mode ``decision``.
    verdicts:
        By the checker's name.
    """

    box: tuple[tuple[int, float, float], ...]
    share: float
    comparisons: int
    member: int
    certificate: str
    removals: tuple[Removal, ...]
    classes: tuple[int, ...]
    proof: ProofRecord | None
    verdicts: Mapping[str, CellVerdict]


@dataclass(frozen=True, slots=True)
class Contents:
    """What the bundle holds. ``mac_mean`` and ``relu_units_mean`` are weighted by the cells' volume.

    ``decision`` and ``epsilon`` (the outputs' bounds) belong to modes of these names, and are None in others.
    """

    decision: Decision | None
    epsilon: tuple[float, ...] | None
    inputs: tuple[InputRecord, ...]
    outputs: int
    parent: CostRecord
    mac_mean: float
    relu_units_mean: float
    layers: tuple[LayerRecord, ...]
    members: tuple[MemberRecord, ...]
    cells: tuple[CellRecord, ...]


@dataclass(frozen=True, slots=True)
class PartsRecord:
    """What reduction and rounding take of an output's bound at most, in the proofs of all cells that were checked."""

    reduction: float
    rounding: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report says.

    Attributes
    ----------
    name:
        Of the bundle's directory.
    verdict:
        ``attested``: as accepted, but for units that are gone on a solver's word. ``incomplete``: nothing is rejected,
        but not every cell was checked.
    cells, cells_checked, removed, attested, bounds_verified, nodes:
        Counts of the rigorous checker.
    seconds:
        Wall time of all checkers.
    tools:
        Versions that the audit ran with.
    parts:
        In mode ``epsilon`` one for each output, unless no cell has a readout; else none.
    identity, contents:
        None if the bundle is so broken that it cannot be read; ``unreadable`` says why.
    """

    format: str
    name: str
    verdict: Word
    accepted: bool
    complete: bool
    cells: int
    cells_checked: int
    removed: int
    attested: int
    bounds_verified: int
    nodes: int
    seconds: float
    checkers: tuple[CheckerRecord, ...]
    rejections: tuple[FindingRecord, ...]
    disagreements: tuple[DisagreementRecord, ...]
    tools: Mapping[str, str]
    commands: tuple[Command, ...]
    parts: tuple[PartsRecord, ...]
    statement: Statement
    identity: Identity | None
    contents: Contents | None
    unreadable: str
