"""Emulated microcontrollers: building programs for them and running them in QEMU."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.emit_c99.host import STRICT

MCU = Path(__file__).parent / "mcu"
_CLOCKED = ("-icount", "shift=0")  # one instruction takes one nanosecond: counts are repeatable


@dataclass(frozen=True)
class Board:
    """A machine of QEMU and the compiler's flags for its processor."""

    name: str
    machine: str
    flags: tuple[str, ...]

    def build(self, program: Path, *arguments: str | Path) -> Path:
        """Compile and link a program with start-up code and memory map."""
        common = ("-std=c99", *STRICT, "-ffreestanding", "-nostartfiles", "-T", MCU / "board.ld", f"-I{MCU}")
        command = ["arm-none-eabi-gcc", *self.flags, *common, MCU / "startup.c", *arguments, "-lgcc", "-o", program]
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


BOARDS = (
    Board("M4F", "mps2-an386", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")),
    Board("M3", "mps2-an385", ("-mcpu=cortex-m3", "-mthumb")),
    Board("M0", "microbit", ("-mcpu=cortex-m0", "-mthumb")),
)
