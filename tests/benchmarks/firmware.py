"""Instructions, flash and RAM on emulated microcontrollers: a family against its parent as dense C and by our kernels.

    python -m tests.benchmarks.firmware NAME=BUNDLE … --points 1000 --out artifacts/benchmarks

Baselines: the parent as plain nested loops (`tests.benchmarks.dense_c`), the parent by emx-onnx-cgen and by onnx2c where
they are installed, and the parent by our own kernels, which leave out activations that are zero. Instructions are QEMU's, not cycles; flash is
that of the linked program without the inputs, start-up code included.

How to get the generators, of which the product needs none: `pip install emx-onnx-cgen` (1.4.0 was used); onnx2c (commit
ea045cc1 of github.com/kraiskil/onnx2c was used) with its submodules, `apt-get install cmake g++ protobuf-compiler
libprotobuf-dev`, then `cmake -DCMAKE_BUILD_TYPE=Release … && make onnx2c`, and the program on the path. Both are given the
model with a fixed batch of one, as a symbolic batch would become a parameter of the function.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import onnx

from dispatcher.boards import COUNTING, Board, count_instructions
from dispatcher.emit_c99 import Layout, emit_c99, emit_parent_c99
from dispatcher.load import Bundle, load_bundle
from dispatcher.vectors import random_points
from tests.benchmarks.dense_c import write_dense
from tests.benchmarks.record import machine, write_record

LEVELS = ("-Os", "-O2")
_WHOLE = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-w")

Writer = Callable[[Path], object]


@dataclass(frozen=True)
class Row:
    """One program on one board at one optimisation: instructions per inference, bytes of flash, of scratch memory."""

    network: str
    program: str
    board: str
    level: str
    mean: float
    most: int
    flash: int


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write ``firmware.json`` and ``firmware.md``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", metavar="NAME=BUNDLE")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--boards", nargs="+", choices=COUNTING, default=["M4F"])
    parser.add_argument("--note", default="", help="how the bundles were made, for the page")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(argv)
    boards = [COUNTING[name] for name in options.boards]
    rows = []
    for name, _, path in (text.partition("=") for text in options.bundles):
        for row in measure(name, load_bundle(path), boards, options.points):
            print(
                f"{row.network} | {row.program} | {row.board} {row.level} | {row.mean:,.0f} | {row.flash:,}", flush=True
            )
            rows.append(row)
    if options.out:
        write_record(
            options.out, "firmware", {"rows": [asdict(row) for row in rows]}, page(rows, options.points, options.note)
        )


def measure(name: str, bundle: Bundle, boards: Sequence[Board], count: int) -> Iterator[Row]:
    """All programs on all boards, over ``count`` uniform inputs of the domain."""
    points = random_points(bundle.family, count, np.random.default_rng(0))
    for program, write in programs(bundle).items():
        for board in boards:
            if program.startswith(("emx", "onnx2c")) and "arm" not in board.toolchain:
                continue  # it needs a C library's headers
            for level in LEVELS:
                with tempfile.TemporaryDirectory() as directory:
                    yield Row(name, program, board.name, level, *run_on(board, write, points, Path(directory), level))


def run_on(board: Board, write: Writer, points: np.ndarray, directory: Path, level: str) -> tuple[float, int, int]:
    """Mean and most instructions, and flash."""
    write(directory / "net")
    files = sorted((directory / "net").glob("*.c"))
    counts, program = count_instructions(board, files, "net", points, directory, level, "-ffp-contract=off", *_WHOLE)
    text, data = _sizes(board, program)
    return float(counts.mean()), int(counts.max()), text + data - points.nbytes


def _sizes(board: Board, program: Path) -> tuple[int, int]:
    """Bytes of code and constants, and of initialised data."""
    done = subprocess.run([f"{board.toolchain}size", program], capture_output=True, text=True, check=True)
    text, data, *_ = done.stdout.splitlines()[1].split()
    return int(text), int(data)


def programs(bundle: Bundle) -> dict[str, Writer]:
    """What to measure: each writes a package with prefix ``net`` into a directory."""
    family = bundle.family
    corners = family.lower, family.upper
    writers: dict[str, Writer] = {"parent, dense loops": lambda out: write_dense(family.parent, out)}
    if importlib.util.find_spec("emx_onnx_cgen"):
        writers["emx-onnx-cgen: parent"] = lambda out: write_generated(bundle, out, _emx)
    if shutil.which("onnx2c"):
        writers["onnx2c: parent"] = lambda out: write_generated(bundle, out, _onnx2c)
    writers["parent, zeros left out"] = lambda out: emit_parent_c99(family.parent, *corners, out, "net")
    for layout in get_args(Layout):
        writers[f"family, {layout}"] = lambda out, layout=layout: emit_c99(family, bundle.digest, out, "net", layout)
    return writers


def one_row(content: bytes) -> bytes:
    """A model file with ones for the symbolic dimensions of its inputs and outputs."""
    model = onnx.load_model_from_string(content)
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_value = dim.dim_value or 1
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


def write_generated(bundle: Bundle, out: Path, generate: Callable[[Path, Path], object]) -> None:
    """The model file by a code generator, behind the interface of a package."""
    out.mkdir(parents=True)
    (out / "model.onnx").write_bytes(one_row(bundle.read(bundle.manifest.source)))
    generate(out / "model.onnx", out / "generated.c")
    entry = r"^void (\w+)\(const float \w+((?:\[[^]]+\])+), float \w+((?:\[[^]]+\])+)\)"
    name, given, got = re.findall(entry, (out / "generated.c").read_text(), re.MULTILINE)[-1]
    n_in, n_out = bundle.family.parent[0].width, bundle.family.parent[-1].width
    (out / "net.h").write_text(
        f"#define NET_INPUTS {n_in}\n#define NET_OUTPUTS {n_out}\n#define NET_OK 0\ntypedef int net_scratch;\n"
        "int net_run(const float *in, float *out, net_scratch *scratch);\n"
    )
    (out / "net.c").write_text(
        f'#include "net.h"\nvoid {name}(const float in{given}, float out{got});\n'
        "int net_run(const float *in, float *out, net_scratch *scratch)\n"
        f"{{\n    {name}((const void *)in, (void *)out);\n    (void)scratch;\n    return NET_OK;\n}}\n"
    )


def _emx(model: Path, code: Path) -> None:
    command = [sys.executable, "-m", "emx_onnx_cgen", "compile", str(model), str(code)]
    subprocess.run(command, check=True, capture_output=True)


def _onnx2c(model: Path, code: Path) -> None:
    done = subprocess.run(["onnx2c", str(model)], check=True, capture_output=True)
    code.write_bytes(done.stdout)


def page(rows: Sequence[Row], count: int, note: str = "") -> list[str]:
    """The page: for each network and board, the better level of each program."""
    lines = [
        "# Firmware",
        "",
        f"{machine()}. Mean over {count:,} uniform inputs, routing included; the better of {' and '.join(LEVELS)}. Instructions of QEMU (`-icount shift=0`), not cycles.",
        "*Flash*: code, tables and start-up code of the linked program. *M0*: compiled for the Cortex-M0, run on the M3's board, which counts.",
        f"{note} What was tried to make it faster: [`firmware_ideas.md`](firmware_ideas.md).".strip(),
        "",
    ]
    for network in dict.fromkeys(row.network for row in rows):
        lines += [
            f"## {network}",
            "",
            "| program | board | instructions | at most | of the dense loops' | flash, bytes |",
            "|---|---|--:|--:|--:|--:|",
        ]
        for board in dict.fromkeys(row.board for row in rows if row.network == network):
            best = _best(rows, network, board)
            dense = best["parent, dense loops"].mean
            lines += [
                f"| {program} | {board} {row.level} | {row.mean:,.0f} | {row.most:,} | {row.mean / dense:.2f} | {row.flash:,} |"
                for program, row in best.items()
            ]
        lines.append("")
    return lines


def _best(rows: Sequence[Row], network: str, board: str) -> dict[str, Row]:
    """For each program, the row with the fewest instructions."""
    best: dict[str, Row] = {}
    for row in rows:
        if (row.network, row.board) == (network, board) and (
            row.program not in best or row.mean < best[row.program].mean
        ):
            best[row.program] = row
    return best


if __name__ == "__main__":
    main()
