"""Toolchains: tests that need one are skipped visibly without it; the emulator's must not be missing in CI."""

from __future__ import annotations

import os
import shutil

import pytest

from dispatcher.boards import BOARDS, Board
from tests.emit_c99.host import Compiler


def _find(name: str) -> str | None:
    return shutil.which(name)


@pytest.fixture(scope="session")
def compiler() -> Compiler:
    """The host's C compiler."""
    path = next(filter(None, map(_find, ("gcc", "cc", "clang"))), None)
    if path is None:
        pytest.skip("no C compiler on this machine (gcc, cc, clang)")
    return Compiler(path)


@pytest.fixture(scope="session", params=["gcc", "clang"])
def each_compiler(request: pytest.FixtureRequest) -> Compiler:
    """Every host compiler for which warnings are promised not to appear."""
    path = _find(request.param)
    if path is None:
        pytest.skip(f"no {request.param} on this machine")
    return Compiler(path)


@pytest.fixture(params=BOARDS, ids=[board.name for board in BOARDS])
def board(request: pytest.FixtureRequest) -> Board:
    """Every emulated board; without toolchain skipped, or failed where REQUIRE_MCU=1 says that it must be there."""
    return _available(request.param)


@pytest.fixture(params=["M4F", "RV32F"])
def board_with_fpu(request: pytest.FixtureRequest) -> Board:
    """The boards whose floating-point unit has a fused multiply-add."""
    return _available(next(board for board in BOARDS if board.name == request.param))


@pytest.fixture
def microbit() -> Board:
    """The smallest board."""
    return _available(next(board for board in BOARDS if board.machine == "microbit"))


def _available(board: Board) -> Board:
    if missing := board.missing():
        report = pytest.fail if os.environ.get("REQUIRE_MCU") == "1" else pytest.skip
        report(f"no {' and no '.join(missing)} on this machine")
    return board
