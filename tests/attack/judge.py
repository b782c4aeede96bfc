"""Judges: of batches of points of several kinds, how many make a bundle break its promise.

`HostJudge` runs the emitted C of both, compiled here, in several processes that read points from pipes; `PlainJudge`
uses the reference interpreter. Both count the same things and are compared with each other by the tests.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dispatcher.emit_c99 import c_sources, emit_c99, emit_parent_c99
from dispatcher.host import FLAGS
from dispatcher.interpret import eval32
from dispatcher.runtime import Dispatcher
from tests.attack.promise import bounds_of, differing, shares_of
from tests.attack.shares import Shares, largest_shares, no_shares
from tests.attack.target import Target

Batches = Iterable[tuple[int, np.ndarray]]

_SOURCE = Path(__file__).parent / "judge.c"
_COMPILE_SECONDS, _END_SECONDS = 600, 60
_DECIDES = {None: 0, "argmax": 1, "argmin": -1}
_WAITING = 2  # batches that wait for each process


@dataclass(frozen=True, eq=False)
class Finding:
    """What was found with points of one kind.

    Attributes
    ----------
    points, different, active, refused:
        Points judged; points at which an output (``==``, or by more than its bound) or the decision differs; points at
        which a removed unit of their cell is active; points that family or parent refused.
    checksum:
        Of the parent's pre-activations and outputs at all points (see ``judge.c``): the same for equal bits.
    largest:
        The largest pre-activation of a removed unit; −inf if no unit was removed where the points are.
    witness, largest_at:
        The first point with a difference, and the point of ``largest``; NaN if there is none.
    seconds:
        Processor time of parent and family.
    shares:
        In mode ``epsilon`` the largest differences in all cells; else None.
    """

    points: int
    different: int
    active: int
    refused: int
    checksum: int
    largest: float
    witness: np.ndarray
    largest_at: np.ndarray
    seconds: float
    shares: Shares | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing contradicts the bundle."""
        return self.different == self.active == self.refused == 0

    def __add__(self, other: Finding) -> Finding:
        better = other.largest > self.largest or np.isnan(other.largest)
        return Finding(
            self.points + other.points,
            self.different + other.different,
            self.active + other.active,
            self.refused + other.refused,
            (self.checksum + other.checksum) % 2**64,
            other.largest if better else self.largest,
            self.witness if self.different else other.witness,
            other.largest_at if better else self.largest_at,
            self.seconds + other.seconds,
            self.shares | other.shares if self.shares and other.shares else self.shares or other.shares,
        )


def nothing(n_in: int, shares: Shares | None = None) -> Finding:
    """The finding of no points."""
    nowhere = np.full(n_in, np.nan, np.float32)
    return Finding(0, 0, 0, 0, 0, -np.inf, nowhere, nowhere, 0.0, shares)


def nothing_in(target: Target) -> Finding:
    """The finding of no points in a bundle."""
    n_in, epsilon = target.network.n_in, target.bundle.family.epsilon
    return nothing(n_in, None if epsilon is None else no_shares(len(target.cells), n_in))


class PlainJudge:
    """Numpy's interpreter for the parent, `Dispatcher` for the family."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.parent = target.tapped
        self.family = Dispatcher(target.bundle.family)
        self.bounds = bounds_of(target.bundle.family)

    def __call__(self, batches: Batches, kinds: int) -> list[Finding]:
        """A finding for each kind."""
        found = [nothing_in(self.target)] * kinds
        for kind, points in batches:
            found[kind] += self._judge(points)
        return found

    def _judge(self, points: np.ndarray) -> Finding:
        values = eval32(self.parent, points)
        units, family = self.target.prepared.relu_units, self.family.family
        cells, outputs, expected = self.family.route(points), self.family.predict(points), values[:, units:]
        different = differing(family.decision, outputs, expected, self.bounds[cells])
        share = shares_of(outputs, expected, self.bounds[cells]).max(axis=1)
        claimed = np.where(self.target.removed[cells], values[:, :units], -np.inf)
        largest = claimed.max(axis=1, initial=-np.inf)
        nowhere = np.full(points.shape[1], np.nan, np.float32)
        top = int(largest.argmax())
        return Finding(
            len(points),
            int(different.sum()),
            int((~(largest <= 0)).sum()),
            0,
            checksum(values),
            float(largest[top]),
            points[different.argmax()] if different.any() else nowhere,
            points[top] if largest[top] > -np.inf else nowhere,
            0.0,
            None if family.epsilon is None else largest_shares(len(self.bounds), cells, share, points),
        )


def checksum(values: np.ndarray) -> int:
    """The checksum of outputs ``[m, n]``: the sum of (2k + 1)·bits over all outputs k, modulo 2^64; −0 counts as 0."""
    bits = np.where(values == 0, np.float32(0), values).view(np.uint32).astype(np.uint64)
    return int((bits * (2 * np.arange(values.shape[1], dtype=np.uint64) + 1)).sum(dtype=np.uint64))


class HostJudge:
    """The emitted C of family and parent, compiled in a directory with a compiler of this machine.

    Parameters
    ----------
    jobs:
        Processes at work.
    flags:
        For the compiler, after the usual ones.
    """

    def __init__(
        self, target: Target, directory: Path, compiler: str, jobs: int = 1, flags: Sequence[str] = ()
    ) -> None:
        family, parent = target.bundle.family, target.tapped
        sources = emit_c99(family, target.bundle.digest, directory / "family", prefix="family")
        sources += emit_parent_c99(parent, family.lower, family.upper, directory / "parent", prefix="parent")
        self._program, removed, bounds = (directory / name for name in ("judge", "removed", "bounds"))
        removed.write_bytes(target.removed.astype(np.uint8).tobytes())
        bounds.write_bytes(bounds_of(family).tobytes())
        files = [str(path) for path in (*c_sources(sources), _SOURCE)]
        includes = [f"-I{directory / name}" for name in ("family", "parent")]
        defined = [f"-DDECIDES={_DECIDES[family.decision]}", f"-DSHARES={int(family.epsilon is not None)}"]
        command = [compiler, *FLAGS, *flags, *defined, *includes, *files, "-o", str(self._program)]
        subprocess.run(command, check=True, timeout=_COMPILE_SECONDS, stdin=subprocess.DEVNULL)
        self._target, self._jobs, self._claims = target, jobs, [str(removed), str(bounds)]

    def __call__(self, batches: Batches, kinds: int) -> list[Finding]:
        """A finding for each kind."""
        processes = [_Process([str(self._program), str(kinds), *self._claims]) for _ in range(self._jobs)]
        try:
            for number, (kind, points) in enumerate(batches):
                processes[number % self._jobs].send(kind, points)
            answers = [process.finish() for process in processes]
        finally:
            for process in processes:
                process.kill()
        found = [nothing_in(self._target)] * kinds
        for answer in answers:
            found = [a + self._finding(line) for a, line in zip(found, answer.splitlines(), strict=True)]
        return found

    def _finding(self, line: str) -> Finding:
        """One line of the program's answer."""
        counts, (seconds, largest, *numbers) = line.split()[:5], line.split()[5:]
        values, n_in = np.array([float.fromhex(number) for number in numbers]), self._target.network.n_in
        witness, largest_at, rows = np.split(values, [n_in, 2 * n_in])
        cells = rows.reshape(-1, 1 + n_in)
        return Finding(
            *map(int, counts),
            float.fromhex(largest),
            witness.astype(np.float32),
            largest_at.astype(np.float32),
            float(seconds),
            Shares(cells[:, 0], cells[:, 1:].astype(np.float32)) if len(cells) else None,
        )


class _Process:
    """A running judge, fed by a thread of its own so that several can work at the same time."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._batches: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def send(self, kind: int, points: np.ndarray) -> None:
        """Hand over a batch."""
        header = np.array([kind, len(points)], np.uint32)
        self._batches.put(header.tobytes() + np.ascontiguousarray(points, np.float32).tobytes())

    def finish(self) -> str:
        """The program's answer to all batches."""
        self._batches.put(None)
        self._thread.join()
        output = self._process.stdout.read()
        status = self._process.wait(_END_SECONDS)
        assert status == 0, f"the judge ended with {status}"
        return output.decode("ascii")

    def kill(self) -> None:
        """End the process if it still runs, its thread and its pipes."""
        self._process.kill()
        self._batches.put(None)
        self._thread.join()
        self._process.wait(_END_SECONDS)
        self._process.stdout.close()

    def _feed(self) -> None:
        """Write batches until the end; if the program ends early, throw the rest away (its status tells)."""
        broken = False
        while (batch := self._batches.get()) is not None:
            try:
                if not broken:
                    self._process.stdin.write(batch)
            except BrokenPipeError:
                broken = True
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
