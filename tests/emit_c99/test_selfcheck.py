"""`selfcheck` tells the declared arithmetic from every other that compilers and floating-point units offer."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from dispatcher.emit_c99 import emit_c99
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import DIGEST
from tests.emit_c99.host import HERE, NO_FMA, STRICT, sources

FINE, WRONG = 0, 1


@pytest.fixture
def package(tmp_path) -> Path:
    """A package with all kernels; those of the layout packed are among those of masked."""
    emit_c99(make_family(chain([2, 3, 1])), DIGEST, tmp_path / "net", "net", "masked")
    return tmp_path / "net"


@pytest.mark.parametrize("level", ["-O0", "-Os", "-O3", "-O2 -flto"])
def test_the_declared_arithmetic(level, compiler, package):
    program = _build(compiler, package, *level.split(), NO_FMA)
    assert compiler.run(program, "nearest")[0] == FINE


def test_the_declared_arithmetic_by_the_kernels_of_the_layout_packed(compiler, tmp_path):
    emit_c99(make_family(chain([2, 3, 1])), DIGEST, tmp_path / "net", "net", "packed")
    assert compiler.run(_build(compiler, tmp_path / "net", "-O2", NO_FMA), "nearest")[0] == FINE
    assert compiler.run(_build(compiler, tmp_path / "net", "-O2", NO_FMA), "upward")[0] == WRONG


@pytest.mark.parametrize("mode", ["upward", "downward", "towards-zero"])
def test_other_rounding_modes(mode, compiler, package):
    assert compiler.run(_build(compiler, package, NO_FMA), mode)[0] == WRONG


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets a mode of x86 processors")
@pytest.mark.parametrize("mode", ["flush-to-zero", "denormals-are-zero"])
def test_subnormal_numbers_taken_for_zero(mode, compiler, package):
    assert compiler.run(_build(compiler, package, NO_FMA), mode)[0] == WRONG


@pytest.mark.parametrize("level", ["-Os", "-O2", "-O3", "-O2 -flto"])
@pytest.mark.parametrize(("pragma", "code"), [((), FINE), (("-DNET_NO_PRAGMA",), WRONG)], ids=["pragma", "none"])
def test_contraction(level, pragma, code, compiler, package):
    """The pragma keeps GCC from contracting what the flags allow; without it the check says so."""
    processor = Path("/proc/cpuinfo")
    if not processor.is_file() or "fma" not in processor.read_text().split():
        pytest.skip("this machine says of no fused multiply-add (-mfma)")
    program = _build(compiler, package, *level.split(), *pragma, "-mfma", "-ffp-contract=fast")
    assert compiler.run(program, "nearest")[0] == code


@pytest.mark.mcu
@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["-DNET_NO_PRAGMA", "-ffp-contract=fast"], WRONG),
        (["-DNET_NO_PRAGMA", NO_FMA], FINE),
        (["-ffp-contract=fast"], FINE),
        (["-std=gnu11"], FINE),
    ],
)
def test_contraction_on_a_microcontroller(flags, code, board_with_fpu, package):
    """GCC contracts where there is a fused multiply-add unless told otherwise, by a flag or by the pragma."""
    files = (f"-I{package}", HERE / "mcu" / "selfcheck.c", *sources(package))
    program = board_with_fpu.build(package / "selfcheck", *STRICT, "-O2", *flags, *files)
    assert board_with_fpu.run(program) == (code, [])


def _build(compiler, package: Path, *flags: str) -> Path:
    files = (f"-I{package}", HERE / "selfcheck.c", *sources(package))
    return compiler.build(package / "selfcheck", *flags, *files, "-lm")
