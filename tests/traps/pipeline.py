"""The whole pipeline on one network: whatever its numbers are, bundles are accepted and the bits are equal."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import slicer
from dispatcher.host import host_compiler
from dispatcher.layers import Layers
from dispatcher.plan import member_layers
from slicer.box import Box
from slicer.network import Network
from tests.attack.forgeries import exact_reason
from tests.attack.hunt import Judge, hunt
from tests.attack.judge import HostJudge, PlainJudge
from tests.attack.target import Target, open_target
from tests.traps.models import write_model

DIRECTED, UNIFORM = 1500, 500


@dataclass(frozen=True, eq=False)
class Passed:
    """A bundle that came through.

    Attributes
    ----------
    target:
        The bundle, opened.
    removed:
        Number of units removed, per cell.
    """

    target: Target
    removed: list[int]

    def member(self, cell: int) -> Layers:
        """The packed member of a cell."""
        family = self.target.bundle.family
        return member_layers(family.parent, family.members[family.cells[cell]])


def box(*bounds: tuple[float, float]) -> Box:
    """A box of float32 corners, given input by input as (lower, upper)."""
    return Box(*np.array(bounds, np.float32).T)


def passes(network: Network, domain: Box, cells: int, directory: Path, cuts: str = "adaptive") -> Passed:
    """Take a network through everything: compress, both checkers, the numpy runtime, and the compiled C if it can be.

    The last two are compared with the reference interpreter, and with the C of the parent, at the hunt's points.
    """
    model = write_model(directory / "trap.onnx", network)
    options = slicer.Options(cells=cells, cuts=cuts, effort=20, jobs=1)
    path = slicer.compress(model, domain, directory / "bundle", options).path
    result = slicer.audit(path)
    assert result.accepted, result.rejections
    assert exact_reason(path, range(cells)) == ""
    target = open_target(path)
    assert target.network.content == slicer.read_network(model).content
    judges: list[Judge] = [PlainJudge(target)]
    with tempfile.TemporaryDirectory() as place:
        if host_compiler():
            judges.append(HostJudge(target, Path(place), host_compiler(), flags=["-O0"]))
        findings = [hunt(target, judge, DIRECTED, UNIFORM, seed=5) for judge in judges]
    for found in findings:
        for kind, finding in found.items():
            assert finding.clean, (kind, finding)
            assert finding.checksum == findings[0][kind].checksum  # the parent's C has the bits of the interpreter
    return Passed(target, target.removed.sum(axis=1).tolist())
