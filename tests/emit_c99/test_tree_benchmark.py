"""The benchmark of routing compares programs that route alike."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.benchmarks.tree import write_package
from tests.emit_c99.families import DIGEST, expected, hard_points, random_family
from tests.emit_c99.host import bits, build_runner, run_points


@pytest.mark.parametrize("nested", [False, True])
def test_nested_comparisons_route_as_the_table_does(nested, compiler, tmp_path):
    family = random_family(1, cells=9)
    points = hard_points(family, np.random.default_rng(0))
    cells, outputs = expected(family, points)
    write_package(SimpleNamespace(family=family, digest=DIGEST), tmp_path / "net", nested=nested)  # type: ignore[arg-type] # all it reads
    assert ("if (in[" in (tmp_path / "net" / "net.c").read_text().replace("if (in[split", "")) == nested
    answers = run_points(build_runner(compiler, tmp_path / "net", "-O2"), points, family.parent[-1].width)
    assert (answers.routes == cells).all()
    assert (bits(answers.outputs) == bits(outputs)).all()
