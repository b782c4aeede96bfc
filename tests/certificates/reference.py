"""The committed reference bundles, made by this command, which prints their digests (the tests pin them):

    python -m tests.certificates.reference

One is of the example, with all that a bundle holds; a small one of mode ``decision`` carries no checker. They are the
bundles of the repository that were not made a moment ago by the code under test: what they were accepted with once they
must be accepted with for as long as the format has this version.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from slicer.family.compress import compress
from slicer.family.options import Options
from tests.certificates.both import CHECKER
from tests.certificates.opened import MANIFEST, open_bundle, sha, store
from tests.onnx_files import write_onnx
from tests.random_networks import chain

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "artifacts" / "reference" / "collision_avoidance"
DECISIONS = ROOT / "artifacts" / "reference" / "classifier"
EXAMPLE = ROOT / "examples" / "collision_avoidance"
OPTIONS = Options(cells=8, cuts="uniform", effort=60, jobs=1)
DECIDING = Options(mode="decision", decision="argmin", cells=6, cuts="uniform", effort=60, jobs=1)


def make(path: Path) -> str:
    """Compress the example into a new directory; the bundle's digest."""
    return compress(EXAMPLE / "collision_avoidance.onnx", EXAMPLE / "domain.csv", path, OPTIONS).digest


def make_decisions(path: Path) -> str:
    """Compress a classifier of three outputs into a new directory, and leave the checker out; the bundle's digest."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_onnx(Path(folder) / "model.onnx", chain(np.random.default_rng(10), [2, 6, 3]))
        opened = open_bundle(compress(model, "-1:1", Path(folder) / "bundle", DECIDING).path)
    del opened.further[CHECKER.name]
    contents = opened.written()
    store(contents, path)
    return sha(contents[MANIFEST])


def main() -> int:
    """Put the reference bundles in their places."""
    for path, make_it in ((REFERENCE, make), (DECISIONS, make_decisions)):
        if path.exists():
            shutil.rmtree(path)
        sys.stdout.write(f"{make_it(path)} {path.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
