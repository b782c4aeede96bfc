"""Boards that QEMU emulates, with the cross compiler, start-up code and memory map of each."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dispatcher.errors import UnusableInput

_HERE = Path(__file__).parent
_QUIET = ("-display", "none", "-monitor", "none")
_CLOCKED = ("-icount", "shift=0")  # one instruction takes one nanosecond: counts are repeatable


@dataclass(frozen=True)
class Board:
    """A machine of QEMU with what it takes to build for it.

    Attributes
    ----------
    name, machine:
        Ours and QEMU's.
    flags:
        The compiler's for its processor.
    toolchain, emulator:
        Begin the compiler's name; the emulator's.
    support:
        Start-up code and linker script, beside this file.
    console:
        The emulator's options for text output.
    counts:
        Whether it counts instructions.
    """

    name: str
    machine: str
    flags: tuple[str, ...]
    toolchain: str = "arm-none-eabi-"
    emulator: str = "qemu-system-arm"
    support: tuple[str, str] = ("startup.c", "mps2.ld")
    console: tuple[str, ...] = (
        *("-chardev", "stdio,id=console", "-serial", "none"),
        *("-semihosting-config", "enable=on,target=native,chardev=console"),
    )
    counts: bool = True

    @property
    def compiler(self) -> str:
        """The compiler's name."""
        return f"{self.toolchain}gcc"

    def missing(self) -> list[str]:
        """The tools that are not installed."""
        return [name for name in (self.compiler, self.emulator) if shutil.which(name) is None]

    def require(self) -> None:
        """Refuse to go on without the tools.

        Raises
        ------
        UnusableInput
            Naming what is missing.
        """
        if missing := self.missing():
            raise UnusableInput(
                f"expected {self.compiler} and {self.emulator}, got no {' and no '.join(missing)}",
                where=f"board {self.name}",
                fix="install the cross compiler and QEMU",
            )

    def version(self) -> str:
        """What the compiler says of itself."""
        command = [self.compiler, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - a board's compiler
        return done.stdout.splitlines()[0]

    def build(self, program: Path, *arguments: str | Path) -> Path:
        """Compile and link a program with start-up code and memory map.

        Raises
        ------
        UnusableInput
            With the compiler's or linker's message, if it refuses.
        """
        code, script = (_HERE / name for name in self.support)
        common = ("-std=c99", "-ffreestanding", "-nostartfiles", "-T", script, f"-L{_HERE}", f"-I{_HERE}")
        command = [self.compiler, *self.flags, *common, code, *arguments, "-lgcc", "-o", program]
        texts = [str(part) for part in command]
        done = subprocess.run(texts, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, own files
        if done.returncode:
            raise UnusableInput(f"{self.compiler} refused: {done.stderr.strip()[:2000]}", where=f"board {self.name}")
        return program

    def run(self, program: Path, seconds: float = 60) -> tuple[int, list[int]]:
        """Exit code of the program and the words that it printed; `subprocess.TimeoutExpired` after these seconds."""
        command = [self.emulator, "-M", self.machine, *_QUIET, *_CLOCKED, *self.console, "-kernel", str(program)]
        done = subprocess.run(  # noqa: S603 - a board's emulator
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False
        )
        return done.returncode, [int(line, 16) for line in done.stdout.split()]


def _riscv(name: str, architecture: str, convention: str) -> Board:
    """A 32-bit RISC-V processor; everything is in the RAM of its machine, 128 MB."""
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


_M0 = ("-mcpu=cortex-m0", "-mthumb")
BOARDS = (
    Board("M4F", "mps2-an386", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")),
    Board("M3", "mps2-an385", ("-mcpu=cortex-m3", "-mthumb")),
    Board("M0", "microbit", _M0, support=("startup.c", "microbit.ld"), counts=False),
    _riscv("RV32", "rv32imac", "ilp32"),
    _riscv("RV32F", "rv32imafc", "ilp32f"),
)

# The M0's own board does not count; the M3 runs its instructions, which are a subset.
COUNTING = {board.name: board for board in BOARDS if board.counts} | {"M0": Board("M0", "mps2-an385", _M0)}
