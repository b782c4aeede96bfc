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


_QUIET = ("-display", "none", "-monitor", "none")


@dataclass(frozen=True)
class Board:
    """A machine of QEMU with what it takes to build for it.

    Attributes
    ----------
    name, machine:
        Ours and QEMU's.
    flags:
        The compiler's for its processor.
    memory:
        The linker's for its memory (default: as the linker script says).
    toolchain, emulator:
        Begin the compiler's name; the emulator's.
    support:
        Start-up code and linker script in the folder ``mcu``.
    console:
        The emulator's options for text output.
    counts:
        Whether it counts instructions.
    """

    name: str
    machine: str
    flags: tuple[str, ...]
    memory: tuple[str, ...] = ()
    toolchain: str = "arm-none-eabi-"
    emulator: str = "qemu-system-arm"
    support: tuple[str, str] = ("startup.c", "board.ld")
    console: tuple[str, ...] = (
        *("-chardev", "stdio,id=console", "-serial", "none"),
        *("-semihosting-config", "enable=on,target=native,chardev=console"),
    )
    counts: bool = True

    @property
    def compiler(self) -> str:
        """The compiler's name."""
        return f"{self.toolchain}gcc"

    def build(self, program: Path, *arguments: str | Path) -> Path:
        """Compile and link a program with start-up code and memory map."""
        code, script = (MCU / name for name in self.support)
        common = ("-std=c99", *STRICT, "-ffreestanding", "-nostartfiles", "-T", script, f"-I{MCU}")
        options = (*self.flags, *self.memory, *common)
        command = [self.compiler, *options, code, *arguments, "-lgcc", "-o", program]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return program

    def run(self, program: Path) -> tuple[int, list[int]]:
        """Exit code of the program and the words that it printed."""
        command = [self.emulator, "-M", self.machine, *_QUIET, *_CLOCKED, *self.console, "-kernel", str(program)]
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


def _riscv(name: str, architecture: str, convention: str) -> Board:
    """A 32-bit RISC-V processor."""
    flags = (f"-march={architecture}", f"-mabi={convention}", "-mcmodel=medany", "-nostdlib", "-Wl,--no-relax")
    return Board(
        name,
        "virt",
        flags,
        toolchain="riscv64-unknown-elf-",
        emulator="qemu-system-riscv32",
        support=("riscv.c", "riscv.ld"),
        console=("-bios", "none", "-serial", "stdio"),
    )


BOARDS = (
    Board("M4F", "mps2-an386", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"), _MPS2),
    Board("M3", "mps2-an385", ("-mcpu=cortex-m3", "-mthumb"), _MPS2),
    Board("M0", "microbit", ("-mcpu=cortex-m0", "-mthumb"), counts=False),
    _riscv("RV32", "rv32imac", "ilp32"),
    _riscv("RV32F", "rv32imafc", "ilp32f"),
)
