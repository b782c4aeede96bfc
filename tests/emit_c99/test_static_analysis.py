"""What cppcheck and its MISRA add-on say about the emitted C: nothing but the deviations listed with reasons."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

import dispatcher.emit_c99
from dispatcher.emit_c99 import Layout, c_sources, emit_c99
from tests.emit_c99.families import (
    DIGEST,
    affine_family,
    epsilon_family,
    mixed_family,
    readout_family,
)

DEVIATIONS = Path(dispatcher.emit_c99.__file__).parent / "MISRA.md"
# What the standard headers say, which cppcheck does not read.
FLOATS = ("FLT_RADIX=2", "FLT_MANT_DIG=24", "FLT_MAX_EXP=128", "FLT_MIN_EXP=-125", "FLT_EVAL_METHOD=0")
SUPPRESSED = (
    "missingIncludeSystem",  # standard headers
    "unusedFunction",  # a library is for its callers
    "unreadVariable",  # arrays that are read through a pointer in a struct
)


@pytest.fixture(scope="module")
def findings(tmp_path_factory) -> list[tuple[str, str]]:
    """Rule or check, and the place, of all that is found in the layout masked with each policy, and in packed.

    In the former, families have no, some and only affine members, and such that read hidden units.
    """
    if shutil.which("cppcheck") is None:
        pytest.skip("no cppcheck on this machine")
    found = []
    packages = [*((mixed_family(0), layout) for layout in get_args(Layout))]
    packages += [(epsilon_family(), "masked"), (affine_family(), "masked"), (readout_family(), "masked")]
    for family, layout in packages:
        package = tmp_path_factory.mktemp(layout) / "net"
        paths = emit_c99(family, DIGEST, package, "net", layout, with_parent=True)
        for policy in ("REJECT", "CLAMP", "PARENT") if layout == "masked" else ("REJECT",):
            found += _cppcheck(c_sources(paths), f"NET_POLICY=NET_{policy}")
    return found


def _cppcheck(paths: list[Path], *defines: str) -> list[tuple[str, str]]:
    """Findings in some files."""
    macros = [f"-D{define}" for define in (*FLOATS, "INT_MAX=2147483647", *defines)]
    suppressed = [f"--suppress={name}" for name in SUPPRESSED]
    command = [
        "cppcheck",
        "--quiet",
        "--std=c99",
        "--enable=all",
        "--inconclusive",
        "--addon=misra",
        *macros,
        *suppressed,
    ]
    command += ["--template=finding {id} {file}:{line} {message}", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.findall(r"^finding (\S+) (.*)$", done.stderr, re.MULTILINE)


def test_nothing_but_misra_rules(findings):
    assert [place for name, place in findings if not name.startswith("misra-c2012-")] == []


def test_every_deviation_from_misra_is_listed_and_every_listed_one_occurs(findings):
    listed = re.findall(
        r"^\| ([0-9.]+) \| (?:advisory|required) \| [^|]+ \| [^|]+ \|$", DEVIATIONS.read_text(), re.MULTILINE
    )
    assert {name.removeprefix("misra-c2012-") for name, _ in findings} == set(listed)
    assert len(listed) == len(set(listed)) > 0


def test_the_analysis_finds_what_is_planted(findings, tmp_path):
    source = tmp_path / "planted.c"
    source.write_text(
        "int planted(const int *p);\n"
        "int planted(const int *p) { int a[2] = {0}; a[2] = *p; goto end; end: return a[0]; }\n"
    )
    assert {"arrayIndexOutOfBounds", "misra-c2012-15.1"} <= {name for name, _ in _cppcheck([source])}
