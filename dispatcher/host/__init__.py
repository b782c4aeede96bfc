"""The emitted C of a family against the emitted C of its parent, compiled and run on this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_c99 import c_sources, emit_c99, emit_parent_c99
from dispatcher.errors import UnusableInput
from dispatcher.plan import Family

FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-pedantic", "-Werror")
_HARNESS = Path(__file__).parent / "compare.c"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a comparison.

    Attributes
    ----------
    points:
        Points evaluated by both.
    different:
        Outputs that are not equal (``==``, so −0 equals 0 and NaN equals nothing).
    failed:
        Calls that returned an error.
    first:
        Index of the first point with a difference, −1 if there is none.
    parent_seconds, family_seconds:
        Processor time of all calls.
    """

    points: int
    different: int
    failed: int
    first: int
    parent_seconds: float
    family_seconds: float

    @property
    def equal(self) -> bool:
        """Whether every call succeeded and every output was equal."""
        return self.points > 0 and self.different == 0 and self.failed == 0


def host_compiler() -> str | None:
    """Path of a C compiler on this machine: cc, gcc or clang; None if there is none."""
    return next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)


def build_comparison(family: Family, bundle_digest: str, directory: Path, compiler: str) -> Path:
    """Emit family and parent as C into the directory and compile both with the comparing harness.

    Raises
    ------
    UnusableInput
        With the compiler's message, if it refuses.
    """
    sources = emit_c99(family, bundle_digest, directory / "family", prefix="family")
    sources += emit_parent_c99(family.parent, family.lower, family.upper, directory / "parent", prefix="parent")
    program = directory / "compare"
    files = [str(path) for path in (*c_sources(sources), _HARNESS)]
    includes = [f"-I{directory / name}" for name in ("family", "parent")]
    command = [compiler, *FLAGS, *includes, *files, "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, own files
    if done.returncode:
        raise UnusableInput(f"the C compiler refused: {done.stderr.strip()[:2000]}", where=compiler)
    return program


def compare(program: Path, batches: Iterable[NDArray[np.float32]]) -> Comparison:
    """Run the comparison over batches of points ``[m, n_in]``."""
    points = program.with_suffix(".points")
    with points.open("wb") as stream:
        for batch in batches:
            stream.write(np.ascontiguousarray(batch, np.float32).tobytes())
    done = subprocess.run([str(program), str(points)], capture_output=True, text=True, check=True)  # noqa: S603 - built above
    points.unlink()
    total, different, failed, first, parent, family = done.stdout.split()
    return Comparison(int(total), int(different), int(failed), int(first), float(parent) / 1e9, float(family) / 1e9)
