"""Emulated microcontrollers: building programs for them and running them in QEMU."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dispatcher.literal import c99_text
from tests.emit_c99.host import STRICT, sources

MCU = Path(__file__).parent / "mcu"
_CLOCKED = ("-icount", "shift=0")  # one instruction takes one nanosecond: counts are repeatable


@dataclass(frozen=True)
class Board:
    """A machine of QEMU, the compiler's flags for its processor, the linker's for its memory (default: board.ld)."""

    name: str
    machine: str
    flags: tuple[str, ...]
    memory: tuple[str, ...] = ()

    def build(self, program: Path, *arguments: str | Path) -> Path:
        """Compile and link a program with start-up code and memory map."""
        common = ("-std=c99", *STRICT, "-ffreestanding", "-nostartfiles", "-T", MCU / "board.ld", f"-I{MCU}")
        command = [
            "arm-none-eabi-gcc",
            *self.flags,
            *self.memory,
            *common,
            MCU / "startup.c",
            *arguments,
            "-lgcc",
            "-o",
            program,
        ]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return program

    def run(self, program: Path) -> tuple[int, list[int]]:
        """Exit code of the program and the words that it printed."""
        console = ("-chardev", "stdio,id=console", "-semihosting-config", "enable=on,target=native,chardev=console")
        quiet = ("-display", "none", "-monitor", "none", "-serial", "none")
        command = ["qemu-system-arm", "-M", self.machine, *quiet, *_CLOCKED, *console, "-kernel", str(program)]
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False
        )
        return done.returncode, [int(line, 16) for line in done.stdout.split()]


def build_with_vectors(board: Board, main: str, points: np.ndarray, directory: Path, *flags: str) -> Path:
    """A program of the folder ``mcu`` with the package in ``directory / "net"`` and points ``[n, n_in]`` in flash."""
    rows = "".join(f"    {{{', '.join(map(c99_text, row))}}},\n" for row in points.tolist())
    table = f"static const float vectors[VECTORS][NET_INPUTS] = {{\n{rows}}};\n"
    (directory / "vectors.h").write_text(f"#define VECTORS {len(points)}\n{table}")
    includes = (f"-I{directory / 'net'}", f"-I{directory}")
    return board.build(directory / "program.elf", *flags, *includes, MCU / main, *sources(directory / "net"))


_MPS2 = ("-Wl,--defsym=FLASH_BYTES=4M", "-Wl,--defsym=RAM_BYTES=4M")

BOARDS = (
    Board("M4F", "mps2-an386", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"), _MPS2),
    Board("M3", "mps2-an385", ("-mcpu=cortex-m3", "-mthumb"), _MPS2),
    Board("M0", "microbit", ("-mcpu=cortex-m0", "-mthumb")),
)
