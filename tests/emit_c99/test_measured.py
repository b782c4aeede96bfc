"""``--measure``: instructions of every route in ``report.json``, the same every time, or a clear error."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from dispatcher.boards import COUNTING, count_instructions
from dispatcher.cli import main
from dispatcher.emit_c99 import c_sources, emit_c99
from dispatcher.emit_c99.measured import PER_ROUTE, route_points
from dispatcher.errors import UnusableInput
from dispatcher.plan import whole_member
from dispatcher.route import Router
from dispatcher.tree import cell_shares
from tests.dispatcher.bundle_samples import make_bundle, make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import DIGEST

PARENT = chain([3, 24, 24, 2])
FEW = member_of(PARENT, {(place, unit) for place in (2, 4) for unit in range(24) if unit % 4})
FAMILY = make_family(PARENT, 3, lambda cell: FEW if cell == 1 else whole_member(PARENT))


def test_points_lie_in_their_cells():
    cells = Router(FAMILY.tree)(route_points(FAMILY, 5))
    assert cells.tolist() == [cell for cell in range(3) for _ in range(5)]


@pytest.mark.mcu
def test_the_report_has_the_instructions_of_every_route(board_with_fpu, tmp_path, capsys):
    bundle = make_bundle(tmp_path / "bundle", FAMILY)
    reports = []
    for name in "ab":
        command = ["emit", str(bundle), "--target", "c99", "--measure", board_with_fpu.name, "--prefix", "net"]
        assert main([*command, "--out", str(tmp_path / name)]) == 0
        reports.append((tmp_path / name / "report.json").read_text())
    capsys.readouterr()
    assert reports[0] == reports[1]
    report = json.loads(reports[0])
    sources = c_sources(sorted((tmp_path / "a").glob("*.c")))
    points, flags = route_points(FAMILY, PER_ROUTE), ("-Os", "-ffp-contract=off")
    counts, _ = count_instructions(board_with_fpu, sources, "net", points, tmp_path, *flags)
    counts = counts.reshape(3, PER_ROUTE)
    total, routes = report["instructions"], [route["instructions"] for route in report["routes"]]
    assert [route["mean"] for route in routes] == counts.mean(axis=1).tolist()
    assert [route["min"] for route in routes] == counts.min(axis=1).tolist()
    assert [route["max"] for route in routes] == counts.max(axis=1).tolist()
    assert (total["min"], total["max"]) == (counts.min(), counts.max())
    shares = cell_shares(FAMILY.tree, FAMILY.lower, FAMILY.upper)
    assert np.isclose(total["mean"], shares @ counts.mean(axis=1))
    assert (total["board"], total["inputs_of_each_route"]) == (board_with_fpu.name, PER_ROUTE)
    assert "gcc" in total["compiler"]
    assert routes[1]["max"] < min(routes[0]["min"], routes[2]["min"])


def test_nothing_is_measured_unless_asked(tmp_path):
    emit_c99(FAMILY, DIGEST, tmp_path / "net", "net")
    report = json.loads((tmp_path / "net" / "report.json").read_text())
    assert report["instructions"] is None
    assert all("instructions" not in route for route in report["routes"])


@pytest.mark.parametrize("board", COUNTING)
def test_a_missing_tool_is_an_error_and_leaves_nothing(board, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None if name.startswith("qemu") else f"/usr/bin/{name}")
    bundle = make_bundle(tmp_path / "bundle", FAMILY)
    out = tmp_path / "out"
    assert main(["emit", str(bundle), "--target", "c99", "--measure", board, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert f"board {board}: expected" in error
    assert "got no qemu-system" in error
    assert not out.exists()


def test_other_targets_are_not_measured(tmp_path, capsys):
    bundle = make_bundle(tmp_path / "bundle", FAMILY)
    assert main(["emit", str(bundle), "--target", "onnx", "--measure", "M4F", "--out", str(tmp_path / "out")]) == 2
    assert "--measure: expected --target c99, got onnx" in capsys.readouterr().err


@pytest.mark.mcu
def test_tables_beyond_the_boards_memory_are_refused(tmp_path, microbit):
    wide = make_family(chain([2, 256, 256, 1]))
    with pytest.raises(UnusableInput, match=r"arm-none-eabi-gcc refused: (.|\n)*FLASH"):
        emit_c99(wide, DIGEST, tmp_path / "net", "net", board=microbit)
    assert not (tmp_path / "net").exists()
