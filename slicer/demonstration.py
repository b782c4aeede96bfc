"""``slicer demo``: the embedded collision-avoidance network from model to compiled C, everything checked on the way."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from dispatcher.emit_c99 import emit_c99, table_sizes
from dispatcher.errors import UnusableInput
from dispatcher.host import build_comparison, compare, host_compiler
from dispatcher.interpret import eval32
from dispatcher.load import load
from dispatcher.plan import Family
from dispatcher.vectors import border_points, corner_points, random_points
from slicer.auditor import audit
from slicer.family.assemble import Bundle
from slicer.family.checkpoint import partial_folder
from slicer.family.compress import compress
from slicer.family.options import Options
from slicer.progress import progress_on_stderr
from slicer.summary import summarize, summary_lines

DEMO_EFFORT = 300
POINTS_PYTHON = 2_000
POINTS_C = 200_000
MODEL, DOMAIN = "collision_avoidance.onnx", "collision_avoidance.csv"

Say = Callable[[str], None]


def run_demo(out: Path, cells: int, jobs: int, say: Say) -> bool:
    """Compress, audit, compare, emit and compile the demo; ``say`` prints a line. Returns whether everything agreed.

    Raises
    ------
    UnusableInput
        If ``out`` exists and is not an earlier demo.
    """
    _make_room(out)
    data = files("slicer.demo")
    with as_file(data / MODEL) as model, as_file(data / DOMAIN) as domain:
        with _timed(f"compress  {MODEL} over {cells} cells", say), progress_on_stderr() as stage:
            options = Options(cells=cells, effort=DEMO_EFFORT, jobs=jobs)
            progress, cutting = stage("compress"), stage("cuts")
            bundle = compress(model, domain, out / "bundle", options, progress, cutting=cutting, resume=True)
        for line in summary_lines(summarize(bundle)):
            say(f"    {line}")
    with _timed("audit     every certificate, by a checker that shares no code with the search", say):
        result = audit(bundle.path)
        say(f"    {'ACCEPTED' if result.accepted else 'REJECTED'}: {result.count('removed')} removals in {cells} cells")
    with _timed(f"python    {POINTS_PYTHON:,} points against the declared evaluation of the parent", say):
        python_equal = _python_equal(bundle)
        say(f"    {'every bit equal' if python_equal else 'DIFFERENT'}")
    with _timed(f"emit      C99 to {out / 'c99'}", say):
        emit_c99(bundle.family, bundle.digest, out / "c99", prefix="collision")
        for line in _flash_lines(bundle.family):
            say(f"    {line}")
    return result.accepted and python_equal and _c_equal(bundle, say)


def _make_room(out: Path) -> None:
    """Remove an earlier demo, or go on with an interrupted one; refuse to touch anything else."""
    if (out / "bundle" / "manifest.json").is_file():
        shutil.rmtree(out)
    elif out.exists() and {path.name for path in out.iterdir()} - {partial_folder(out / "bundle").name}:
        raise UnusableInput("expected an empty directory or an earlier demo", where=str(out), fix="choose --out")


@contextmanager
def _timed(title: str, say: Say) -> Iterator[None]:
    """Say what is done now, and afterwards how long it took."""
    say(title)
    start = time.monotonic()
    yield
    say(f"    {time.monotonic() - start:.1f} s")


def _points(family: Family, count: int) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """About ``count`` points: random ones, all corners, and points on and beside every threshold."""
    rng = np.random.default_rng(0)
    splits = max(1, len(family.cells) - 1)
    yield corner_points(family, 64, rng)
    yield from border_points(family, max(1, count // (6 * splits)), rng)
    yield random_points(family, count // 2, rng)


def _python_equal(bundle: Bundle) -> bool:
    """Whether the numpy runtime returns the parent's bits."""
    points = np.concatenate(list(_points(bundle.family, POINTS_PYTHON)))
    return bool((load(bundle.path).predict(points) == eval32(bundle.family.parent, points)).all())


def _c_equal(bundle: Bundle, say: Say) -> bool:
    """Whether the compiled C of the family returns the bits of the parent's C; true where no compiler can tell."""
    compiler = host_compiler()
    if compiler is None:
        say("compile   skipped: no C compiler (cc, gcc, clang) on this machine")
        return True
    with _timed(f"compile   with {compiler}, {POINTS_C:,} points through the C of parent and family", say):
        with tempfile.TemporaryDirectory() as directory:
            program = build_comparison(bundle.family, bundle.digest, Path(directory), compiler)
            found = compare(program, _points(bundle.family, POINTS_C))
        verdict = "every bit equal" if found.equal else f"DIFFERENT: {found.different} outputs, {found.failed} failures"
        say(f"    {verdict} in {found.points:,} points")
        ratio = found.parent_seconds / max(found.family_seconds, 1e-9)
        say(f"    {ratio:.2f} x faster than the parent's C on this machine, routing included")
    return found.equal


def _flash_lines(family: Family) -> list[str]:
    """Sizes of the emitted tables."""
    sizes = table_sizes(family)
    return [f"tables {sizes.flash:,} bytes of flash, scratch {sizes.ram:,} bytes of RAM"]
