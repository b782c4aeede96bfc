"""Compiling emitted packages with the host's compiler, and running them on points."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
NO_FMA = "-ffp-contract=off"


@dataclass(frozen=True)
class Answers:
    """What the C said for each point: return codes of run and route ``[n]``, outputs ``[n, n_out]``."""

    codes: np.ndarray
    routes: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True)
class Compiler:
    path: str

    def __call__(self, *arguments: str | Path, standard: str = "c99") -> subprocess.CompletedProcess[str]:
        """Run the compiler; warnings are errors."""
        command = [self.path, f"-std={standard}", *STRICT, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def build(self, program: Path, *arguments: str | Path, standard: str = "c99") -> Path:
        """Compile and link a program; its errors are the test's."""
        done = self(*arguments, "-o", program, standard=standard)
        assert done.returncode == 0, done.stderr
        return program

    @staticmethod
    def run(program: Path, *arguments: str | Path) -> tuple[int, str]:
        """Exit code and standard output of a program."""
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout


def require(compiler: Compiler, directory: Path, what: str, *flags: str, standard: str = "c99") -> None:
    """Skip the test visibly if this compiler cannot build and run an empty program with the flags."""
    source, program = directory / "empty.c", directory / "empty"
    source.write_text("int main(void) { return 0; }\n")
    if compiler(*flags, source, "-o", program, standard=standard).returncode or compiler.run(program)[0]:
        pytest.skip(f"{compiler.path} offers no {what} on this machine")


def sources(package: Path) -> list[Path]:
    """The C files of a package."""
    return sorted(package.glob("*.c"))


def build_runner(compiler: Compiler, package: Path, *flags: str) -> Path:
    """The program that evaluates a package (prefix net) on points."""
    return compiler.build(package / "runner", *flags, NO_FMA, f"-I{package}", HERE / "runner.c", *sources(package))


def run_points(program: Path, points: np.ndarray, outputs: int) -> Answers:
    """Evaluate float32 points ``[n, n_in]``."""
    done = subprocess.run([program], input=np.ascontiguousarray(points).tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    record = np.dtype([("code", "<i4"), ("route", "<i4"), ("outputs", "<f4", (outputs,))])
    answers = np.frombuffer(done.stdout, record)
    assert len(answers) == len(points)
    return Answers(answers["code"], answers["route"], answers["outputs"])


def bits(values: np.ndarray) -> np.ndarray:
    """IEEE-754 bits, −0 counted as +0."""
    return np.where(values == 0, np.float32(0), values).astype(np.float32).view(np.uint32)
