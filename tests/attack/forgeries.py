"""All forgeries by name, and what the checkers say of a forged bundle."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable
from pathlib import Path

import slicer
from dispatcher.plan import Mode
from slicer.certificate import check
from tests.attack import forge_claims as claims
from tests.attack import forge_decisions as decisions
from tests.attack import forge_functions as functions
from tests.attack import forge_members as members
from tests.attack import forge_reads as reads
from tests.attack.forgery import Forge

FORGERIES: dict[str, Forge] = {
    "a unit that is active in a small part of its cell": claims.rare_unit,
    "a unit that is active often": claims.common_unit,
    "the member of the next cell": claims.neighbours_member,
    "a threshold moved until it matters": claims.moved_threshold,
    "a threshold moved by one ulp": claims.threshold_one_ulp,
    "a fact that does not hold, and that no removal needs": claims.false_fact,
    "a larger domain": claims.larger_domain,
    "a unit dropped from a member": members.dropped_unit,
    "one bit of a prefix": members.prefix_bit,
    "a prefix that swallows a term": members.prefix_length,
    "one bit of a constant": members.constant_bit,
    "one bit of a weight of the parent": members.weight_bit,
    "one bit of a bias of the parent": members.bias_bit,
}
# What only a bundle of mode decision offers.
DECISIONS: dict[str, Forge] = {
    "a class dropped that wins in a small part of its cell": decisions.rare_winner,
    "a class dropped that wins often": decisions.common_winner,
    "a constant cell in which another output wins too": decisions.constant_cell,
    "a constant member with another winner": decisions.exchanged_constants,
    "a constant member with equal outputs": decisions.equal_constants,
    "a margin that does not hold, and that no class needs": decisions.false_margin,
}
# What only a bundle of mode epsilon offers.
FUNCTIONS: dict[str, Forge] = {
    "a bound that is smaller than a difference": functions.bound_below,
    "all bounds halved until it matters": functions.bounds_halved,
    "a bias of a function moved beyond its bound": functions.bias_moved,
    "a bias of a function moved, hardly beyond its bound": functions.bias_hardly_moved,
    "a bias of a function moved, in the member only": functions.bias_of_member,
    "a weight of a function moved beyond its bound": functions.weight_moved,
    "the function of another cell": functions.other_function,
    "function and proof of another cell": functions.other_certificate,
    "a function in a cell that had none": functions.function_where_none_was,
    "a cell with a function widened until it matters": functions.border_moved,
    "a readout of another unit": reads.other_unit,
    "a readout of another unit, in the member only": reads.other_unit_of_member,
    "two weights of a readout exchanged": reads.weights_exchanged,
    "a unit that a readout needs, removed": reads.removed_before,
    "a readout of hidden units in a cell that had none": reads.hidden_where_none_was,
    "an error that a node leaves open": functions.error_left_open,
    "an error that all nodes leave open, and a function beyond it": functions.beyond_an_open_error,
}
# Bundles that are right about a parent that is not their source model. The exact checker reads no models, and says so.
OTHER_PARENT = (members.weight_bit, members.bias_bit)


def offered(mode: Mode) -> dict[str, Forge]:
    """All forgeries that a bundle of a mode may offer, by name."""
    return FORGERIES | {"bitwise": {}, "decision": DECISIONS, "epsilon": FUNCTIONS}[mode]


def rigorous_reason(bundle: Path, cells: Iterable[int]) -> str:
    """Why `slicer audit` rejects some of the cells, or the bundle as a whole; empty if it does not."""
    rejections = slicer.audit(bundle, list(cells)).rejections
    return str(rejections[0]) if rejections else ""


def exact_reason(bundle: Path, cells: Iterable[int]) -> str:
    """The same of the exact checker; its report is written beside the bundle."""
    report, chosen = bundle.with_name(f"{bundle.name}.check.json"), ",".join(map(str, cells))
    with contextlib.redirect_stdout(io.StringIO()):
        status = check.main([str(bundle), "--jobs", "1", "--cells", chosen, "--json", str(report)])
    assert status in (0, 1), status
    findings = json.loads(report.read_bytes())["findings"]
    assert bool(findings) == bool(status)
    return f"{findings[0]['where']}: {findings[0]['why']}" if findings else ""
