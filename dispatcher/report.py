"""What a family costs, per member and per route, beside its parent: work, and for each layout of the C flash and RAM.

Means are weighted by the volume of the cells, as shares of the domain (`dispatcher.tree.cell_shares`): they are the
expected cost of an input that is uniform over the domain. The routing comparisons of a route count apart from its
multiply-accumulates.
"""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dispatcher.attested import Attested
from dispatcher.cost import Cost, cost
from dispatcher.emit_c99 import Layout, TableSizes, masked_macs, parent_family, table_sizes
from dispatcher.encode import digest
from dispatcher.files import PARENT_FILE, member_bytes
from dispatcher.load import Bundle
from dispatcher.plan import Family, member_layers
from dispatcher.tree import cell_shares, leaf_depths

REPORT_FORMAT = "netslicer-report/2"


@dataclass(frozen=True, slots=True)
class MemberReport:
    """One member: its file's digest, the number of cells it serves, their share of the volume, and its cost."""

    member: str
    cells: int
    share: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class RouteReport:
    """One cell: the index of its member, its share of the volume, and the comparisons on the way to it."""

    cell: int
    member: int
    share: float
    comparisons: int


@dataclass(frozen=True, slots=True)
class MeanCost:
    """Volume-weighted means of the counts of `Cost`, and of the routing comparisons."""

    mac: float
    connections: float
    connections_without_input: float
    relu_units: float
    comparisons: float


@dataclass(frozen=True, slots=True)
class C99Cost:
    """What the emitted C costs, code aside.

    Attributes
    ----------
    flash_bytes, ram_bytes:
        Constant tables, the routing tree among them, and scratch memory.
    flash_ratio:
        Bytes of the tables divided by those of the parent alone.
    mac_mean, mac_min, mac_max:
        Multiply-accumulates per inference at most (those with a zero are left out at run time): volume-weighted mean,
        and extremes over the members.
    """

    flash_bytes: int
    ram_bytes: int
    flash_ratio: float
    mac_mean: float
    mac_min: int
    mac_max: int


@dataclass(frozen=True, slots=True)
class C99Costs:
    """The emitted C of the parent alone, and of the family in each layout."""

    parent: C99Cost
    packed: C99Cost
    masked: C99Cost


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that `dispatcher report` says; ``--json`` writes these fields under these names.

    Attributes
    ----------
    format:
        ``"netslicer-report/2"``; keys of a version do not change their meaning.
    bundle, mode:
        The bundle's digest and its strength of equivalence.
    attested:
        Removals on a solver's word.
    layout:
        The layout that `dispatcher emit` writes unless told otherwise: the one that the family was made for.
    tree_depth:
        Comparisons on the longest route.
    parent:
        Cost of the parent.
    mean, minimum, maximum:
        Over the members: volume-weighted mean, and extremes of each count by itself.
    c99:
        The emitted C, layout by layout.
    members, routes:
        One entry per distinct member, one per cell.
    """

    format: str
    bundle: str
    mode: str
    attested: Attested
    layout: Layout
    tree_depth: int
    parent: Cost
    mean: MeanCost
    minimum: Cost
    maximum: Cost
    c99: C99Costs
    members: tuple[MemberReport, ...]
    routes: tuple[RouteReport, ...]


def report(bundle: Bundle) -> Report:
    """The costs of a bundle's family."""
    family = bundle.family
    shares = cell_shares(family.tree, family.lower, family.upper)
    depths = leaf_depths(family.tree)
    costs = [cost(member_layers(family.parent, member)) for member in family.members]
    counts = np.array([astuple(one) for one in costs])  # [n_members, count]
    routes = tuple(
        RouteReport(cell, family.cells[cell], float(shares[cell]), depths[cell]) for cell in range(len(family.cells))
    )
    mac, connections, without_input, relu_units = (float(mean) for mean in shares @ counts[list(family.cells)])
    return Report(
        format=REPORT_FORMAT,
        bundle=bundle.digest,
        mode=family.mode,
        attested=bundle.attested,
        layout=bundle.layout,
        tree_depth=max(depths),
        parent=cost(family.parent),
        mean=MeanCost(mac, connections, without_input, relu_units, float(shares @ np.array(depths))),
        minimum=Cost(*(int(value) for value in counts.min(axis=0))),
        maximum=Cost(*(int(value) for value in counts.max(axis=0))),
        c99=_c99(family, np.array([one.mac for one in costs]), shares),
        members=_members(family, bundle.manifest.files[PARENT_FILE].sha256, costs, shares),
        routes=routes,
    )


def _members(
    family: Family, parent_digest: str, costs: list[Cost], shares: NDArray[np.float64]
) -> tuple[MemberReport, ...]:
    """One entry per distinct member."""
    cells = np.bincount(family.cells, minlength=len(family.members))
    volume = np.bincount(family.cells, weights=shares, minlength=len(family.members))
    return tuple(
        MemberReport(digest(member_bytes(member, parent_digest)), int(cells[index]), float(volume[index]), costs[index])
        for index, member in enumerate(family.members)
    )


def _c99(family: Family, packed_macs: NDArray[np.int64], shares: NDArray[np.float64]) -> C99Costs:
    """The emitted C of family and parent."""
    alone = parent_family(family.parent, family.lower, family.upper)
    parent = table_sizes(alone)
    macs: dict[Layout, NDArray[np.int64]] = {"packed": packed_macs, "masked": masked_macs(family)}
    cells = list(family.cells)
    return C99Costs(
        parent=_c99_cost(parent, parent, np.array([cost(family.parent).mac]), np.ones(1)),
        **{
            layout: _c99_cost(table_sizes(family, layout), parent, counts[cells], shares)
            for layout, counts in macs.items()
        },
    )


def _c99_cost(sizes: TableSizes, parent: TableSizes, macs: NDArray[np.int64], shares: NDArray[np.float64]) -> C99Cost:
    """Sizes, and the multiply-accumulates of cells ``[n_cells]`` with these shares of the volume."""
    ratio = sizes.flash / parent.flash
    return C99Cost(sizes.flash, sizes.ram, ratio, float(shares @ macs), int(macs.min()), int(macs.max()))


def report_json(result: Report) -> bytes:
    """The report as JSON, keys sorted."""
    return json.dumps(asdict(result), indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def report_table(result: Report, rows: int = 20) -> str:
    """The report as aligned text, with at most ``rows`` members, the most expensive first."""
    parts = [
        f"bundle {result.bundle}, {result.mode}\n"
        f"{_reservation(result.attested)}"
        f"{len(result.routes):,} cells, {len(result.members):,} distinct members, "
        f"at most {result.tree_depth} comparisons to find one; layout {result.layout} was chosen",
        _aligned(_summary(result)),
        _aligned(_c99_rows(result.c99)),
        _aligned(_member_rows(result, rows)),
    ]
    hidden = len(result.members) - rows
    if hidden > 0:
        parts.append(f"not shown: {hidden:,} with at most as many multiply-accumulates")
    return "\n\n".join(parts)


def _reservation(attested: Attested) -> str:
    """A line that says what is not proved, if anything is not."""
    return f"attested: {attested}\n" if attested.cells else ""


_LABELS = {
    "mac": "multiply-accumulates",
    "connections": "connections",
    "connections_without_input": "without input layer",
    "relu_units": "ReLU units",
    "comparisons": "routing comparisons",
}


def _summary(result: Report) -> list[list[str]]:
    """Rows of the counts: parent, mean, minimum and maximum over the members."""
    table = [["per inference", "parent", "mean", "min", "max"]]
    depths = [route.comparisons for route in result.routes]
    extremes = {"comparisons": (0, min(depths), max(depths))}
    for field in fields(MeanCost):
        name = field.name
        parent, least, most = extremes.get(name) or (
            getattr(one, name) for one in (result.parent, result.minimum, result.maximum)
        )
        table.append([_LABELS[name], f"{parent:,}", f"{getattr(result.mean, name):,.1f}", f"{least:,}", f"{most:,}"])
    return table


def _c99_rows(costs: C99Costs) -> list[list[str]]:
    """Rows of the emitted C's costs: parent alone, then the layouts."""
    named = {field.name: getattr(costs, field.name) for field in fields(C99Costs)}
    every = list(named.values())
    return [
        ["C99, code aside", *named],
        ["flash, bytes", *(f"{one.flash_bytes:,}" for one in every)],
        ["flash / parent's", *(f"{one.flash_ratio:,.2f}" for one in every)],
        ["RAM, bytes", *(f"{one.ram_bytes:,}" for one in every)],
        ["MAC, mean", *(f"{one.mac_mean:,.1f}" for one in every)],
        ["MAC, max", *(f"{one.mac_max:,}" for one in every)],
    ]


def _member_rows(result: Report, rows: int) -> list[list[str]]:
    """Rows of the members, by decreasing multiply-accumulates."""
    table = [["member", "cells", "volume", "MAC", "connections", "without input", "ReLU units"]]
    ranked = sorted(enumerate(result.members), key=lambda pair: (-pair[1].cost.mac, pair[0]))
    for index, member in ranked[:rows]:
        counts = [f"{value:,}" for value in astuple(member.cost)]
        table.append([f"{index} {member.member[:8]}", f"{member.cells:,}", f"{member.share:.2%}", *counts])
    return table


def _aligned(table: list[list[str]]) -> str:
    """Text columns: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in table
    )
