"""``report.json`` of a package: what it occupies and how much it computes, route by route.

Multiply-accumulates are those of a route if no activation happens to be zero; the C leaves those with a zero out.
Instructions are there if they were measured (`dispatcher.emit_c99.measured`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.cost import cost
from dispatcher.emit_c99.macs import masked_macs
from dispatcher.emit_c99.measured import Measured
from dispatcher.emit_c99.provenance import Provenance
from dispatcher.emit_c99.sizes import sizes_of
from dispatcher.emit_c99.tables import Tables
from dispatcher.emit_c99.vectors import Vectors
from dispatcher.plan import Family, member_layers
from dispatcher.tree import cell_shares, leaf_depths

PACKAGE_REPORT_FORMAT = "netslicer-c99-report/1"


@dataclass(frozen=True, slots=True)
class StackBytes:
    """The deepest stack of each function with everything that it calls, in bytes.

    No function recurses or has arrays of variable length, and none of the sizes depends on the family, but for those
    that have members in layout ``masked`` that read hidden units: `stack_of`. These are the largest that were measured
    on Cortex-M0, M3, M4F and RV32 without and with floating-point unit with GCC 12 at -O0, -Os, -O2 and -O3, rounded
    up; they are those of -O0.
    """

    run: int = 1520
    route: int = 96
    selfcheck: int = 2304


_WITH_READOUTS = StackBytes(run=1584)


def stack_of(tables: Tables) -> StackBytes:
    """The stack of a package's functions."""
    return StackBytes() if tables.readout is None else _WITH_READOUTS


def package_report(
    family: Family, tables: Tables, vectors: Vectors, provenance: Provenance, measured: Measured | None
) -> str:
    """The report as JSON, keys sorted."""
    shares = cell_shares(family.tree, family.lower, family.upper)
    macs, depths = _macs(family, tables)[list(family.cells)], np.array(leaf_depths(family.tree))
    sizes = sizes_of(tables)
    report = {
        "format": PACKAGE_REPORT_FORMAT,
        "bundle": provenance.bundle,
        "parent": provenance.parent,
        "attested": asdict(provenance.attested),
        "layout": "packed" if tables.live is None else "masked",
        "members": tables.members,
        "flash_bytes": {"tables": sizes.flash, "test_vectors": vectors.nbytes, "of_tables": _tables(asdict(sizes))},
        "ram_bytes": sizes.ram,
        "stack_bytes": asdict(stack_of(tables)),
        "parent_mac": cost(family.parent).mac,
        "mac": _over_routes(macs, shares),
        "comparisons": _over_routes(depths, shares),
        "instructions": None if measured is None else _instructions(measured, shares),
        "test_vectors": {
            "count": len(vectors.cells),
            "cells": {"reached": len(np.unique(vectors.cells)), "of": len(family.cells)},
            "sides_of_borders": {"reached": vectors.sides, "of": 2 * len(family.cells) - 2},
        },
        "routes": [
            {"member": member, "share": float(share), "comparisons": int(depth), "mac": int(mac)}
            | ({} if measured is None else {"instructions": measured.of_route(cell)})
            for cell, (member, share, depth, mac) in enumerate(zip(family.cells, shares, depths, macs, strict=True))
        ],
    }
    return json.dumps(report, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _instructions(measured: Measured, shares: NDArray[np.float64]) -> dict[str, object]:
    """How instructions were counted, and their range over the routes."""
    how = {"board": measured.board, "compiler": measured.compiler, "options": measured.options}
    return {**how, "inputs_of_each_route": measured.counts.shape[1], **measured.over_routes(shares)}


def _tables(sizes: dict[str, int]) -> dict[str, int]:
    """The sizes of constant tables alone."""
    return {name: size for name, size in sizes.items() if name != "ram"}


def _macs(family: Family, tables: Tables) -> NDArray[np.int64]:
    """Multiply-accumulates of every member ``[n_members]``."""
    if tables.live is not None:
        return masked_macs(family)
    return np.array([cost(member_layers(family.parent, member)).mac for member in family.members])


def _over_routes(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> dict[str, float]:
    """Extremes over the routes, and the mean for an input that is uniform over the domain."""
    return {"min": int(counts.min()), "mean": float(shares @ counts), "max": int(counts.max())}
