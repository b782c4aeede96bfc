"""The committed reference bundle, made by this command, which prints its digest (`test_reference_bundle` pins it):

    python -m tests.certificates.reference

It is the one bundle of the repository that was not made a moment ago by the code under test: what it was accepted with
once it must be accepted with for as long as the format has this version.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from slicer.family.compress import compress
from slicer.family.options import Options

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "artifacts" / "reference" / "collision_avoidance"
EXAMPLE = ROOT / "examples" / "collision_avoidance"
OPTIONS = Options(cells=8, cuts="uniform", effort=60, jobs=1)


def make(path: Path) -> str:
    """Compress the example into a new directory; the bundle's digest."""
    return compress(EXAMPLE / "collision_avoidance.onnx", EXAMPLE / "domain.csv", path, OPTIONS).digest


def main() -> int:
    """Put the reference bundle in its place."""
    if REFERENCE.exists():
        shutil.rmtree(REFERENCE)
    sys.stdout.write(f"{make(REFERENCE)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
