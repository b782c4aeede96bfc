"""The handwritten kernels, compiled alone, and what they refuse to be compiled with."""

from __future__ import annotations

from pathlib import Path

import pytest

import dispatcher.emit_c99
from tests.emit_c99.host import HERE, NO_FMA

KERNELS = Path(dispatcher.emit_c99.__file__).parent
FILES = (f"-I{KERNELS}", HERE / "kernels_test.c")


@pytest.mark.parametrize("level", ["-O0", "-O2", "-O3"])
def test_kernels_equal_plain_loops(level, compiler, tmp_path):
    program = compiler.build(tmp_path / "kernels", level, NO_FMA, *FILES)
    assert compiler.run(program) == (0, "")


def test_kernels_as_for_a_target_without_floating_point_unit(compiler, tmp_path):
    program = compiler.build(tmp_path / "kernels", "-O2", "-D__SOFTFP__", NO_FMA, *FILES)
    assert compiler.run(program) == (0, "")


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("-ffast-math", "keep the declared order"),
        ("-ffinite-math-only", "NaN inputs must be told apart"),
        ("-DFLT_EVAL_METHOD=2", "wider type"),
        ("-DFLT_MANT_DIG=11", "binary32"),
    ],
)
def test_arithmetic_that_is_not_the_declared_one_is_refused(flag, reason, compiler, tmp_path):
    header = tmp_path / "float.h"  # so that a macro of the command line is not defined again
    header.write_text(
        "#define FLT_RADIX 2\n#define FLT_MAX_EXP 128\n#define FLT_MIN_EXP (-125)\n"
        "#ifndef FLT_MANT_DIG\n#define FLT_MANT_DIG 24\n#endif\n"
        "#ifndef FLT_EVAL_METHOD\n#define FLT_EVAL_METHOD 0\n#endif\n"
    )
    assert compiler(f"-I{tmp_path}", *FILES, "-fsyntax-only").returncode == 0
    done = compiler(flag, f"-I{tmp_path}", *FILES, "-fsyntax-only")
    assert done.returncode != 0
    assert reason in done.stderr
