"""The firmware benchmark compares like with like: its dense baseline has the parent's bits and leaves out nothing."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from dispatcher.boards import COUNTING
from dispatcher.interpret import eval32
from dispatcher.layers import Elementwise, Gather, Input, Relu, dense, freeze
from dispatcher.load import load_bundle
from tests.benchmarks.dense_c import write_dense
from tests.benchmarks.firmware import measure, page
from tests.dispatcher.bundle_samples import make_bundle, make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain, random_points
from tests.emit_c99.host import NO_FMA, bits

RUNNER = """
#include <stdio.h>
#include "net.h"
int main(void)
{
    static net_scratch scratch;
    float in[NET_INPUTS], out[NET_OUTPUTS];
    while (fread(in, sizeof in, 1, stdin) == 1) {
        net_run(in, out, &scratch);
        fwrite(out, sizeof out, 1, stdout);
    }
    return 0;
}
"""


def test_dense_loops_have_the_parents_bits(compiler, tmp_path):
    twice, minus = (freeze(np.array(numbers), np.float32) for numbers in ([2, -0.3, 4], [0.1, 0.2]))
    layers = (Input(3), Elementwise(0, "mul", twice), *chain([3, 9, 7, 2])[1:], Elementwise(6, "add", minus))
    layers = (*layers[:2], dense(1, layers[2].weight, layers[2].bias), *_shifted(layers[3:-1]), layers[-1])
    write_dense(layers, tmp_path / "net")
    (tmp_path / "main.c").write_text(RUNNER)
    files = (f"-I{tmp_path / 'net'}", tmp_path / "main.c", tmp_path / "net" / "net.c")
    program = compiler.build(tmp_path / "main", "-O2", NO_FMA, *files)
    points = random_points(layers, 200, 0)
    done = subprocess.run([program], input=points.tobytes(), capture_output=True, check=True)
    assert (bits(np.frombuffer(done.stdout, np.float32).reshape(-1, 2)) == bits(eval32(layers, points))).all()


def _shifted(layers):
    """Layers one place further on."""
    return tuple(
        Relu(one.source + 1, one.width) if isinstance(one, Relu) else dense(one.source + 1, one.weight, one.bias)
        for one in layers
    )


def test_other_layers_are_refused(tmp_path):
    with pytest.raises(TypeError, match="got Gather"):
        write_dense((Input(1), Gather(0, freeze(np.array([0]), np.int64))), tmp_path / "net")


@pytest.mark.mcu
def test_rows_and_page(board_with_fpu, tmp_path):
    parent = chain([3, 16, 16, 2])
    few = member_of(parent, {(place, unit) for place in (2, 4) for unit in range(16) if unit % 4})
    bundle = load_bundle(make_bundle(tmp_path / "bundle", make_family(parent, 2, lambda _: few)))
    board = COUNTING[board_with_fpu.name]
    rows = [row for row in measure("tiny", bundle, [board], 20) if not row.program.startswith("emx")]
    best = {row.program: row.mean for row in rows if row.level == "-Os"}
    assert best["family, packed"] < best["parent, zeros left out"] < best["parent, dense loops"]
    text = "\n".join(page(rows, 20))
    assert text.count("| 1.00 |") == 1
    assert all(f"| {program} | {board.name}" in text for program in best)
