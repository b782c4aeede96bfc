"""How a run scales, and what it survives: speed-up with workers, memory against cells, kills at random moments.

    python -m tests.benchmarks.scaling MODEL --domain DOMAIN --cells 256 --effort 1000 --memory 256 1024 4096 --kills 50

writes ``scaling.json`` and ``scaling.md`` (or ``--name``) to ``artifacts/benchmarks``. Every run is a process of its own,
as a user starts it; its memory and that of its workers is read from /proc.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slicer.family.kept import GIVEN_UP
from tests.benchmarks.record import machine, write_record

POLL = 0.05  # seconds between looks at a run's memory


@dataclass(frozen=True)
class Finished:
    """A run that came to its end: its own record, wall seconds, and peak memory in MB of master and largest worker."""

    record: dict
    seconds: float
    master: float
    worker: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--cells", type=int, default=256, help="of the speed-up and of the runs that are killed")
    parser.add_argument("--effort", type=int, default=1000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=1, help="of each run of the speed-up; the fastest counts")
    parser.add_argument("--memory", type=int, nargs="*", default=[256, 1024, 4096], help="cells, at an effort of one")
    parser.add_argument("--efforts", type=int, nargs="*", default=[1000, 20000], help="of the workers' memory, 8 cells")
    parser.add_argument("--limits", type=float, nargs="*", default=[10, 30], help="time limits, at 1,024 cells")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--name", default="scaling")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as directory:
        bench = _Bench(options.model, options.domain, Path(directory))
        record = {
            "model": options.model.name,
            "command": _command(options),
            "machine": machine(),
            "speed": bench.speed(options.cells, options.effort, options.workers, options.repeats),
            "memory": [bench.memory(cells, 1) for cells in options.memory],
            "efforts": [bench.memory(8, effort) for effort in options.efforts],
            "limits": [bench.limit(seconds) for seconds in options.limits],
            "kills": bench.kills(options.cells, options.effort, options.kills, random.Random(options.seed)),
        }
    write_record(options.out, options.name, record, _page(record))
    kills = record["kills"]
    return 0 if kills["different"] == 0 and len({run["digest"] for run in record["speed"]}) == 1 else 1


def _command(options: argparse.Namespace) -> str:
    """The command that reproduces the record, with file names only."""
    lists = " ".join(
        f"--{name} {' '.join(str(value) for value in getattr(options, name))}"
        for name in ("workers", "memory", "efforts", "limits")
    )
    return (
        f"python -m tests.benchmarks.scaling {options.model.name} --domain {Path(options.domain).name} "
        f"--cells {options.cells} --effort {options.effort} --repeats {options.repeats} {lists} "
        f"--kills {options.kills} --seed {options.seed} --name {options.name}"
    )


class _Bench:
    """Runs over one model."""

    def __init__(self, model: Path, domain: str, directory: Path) -> None:
        self.model, self.domain, self.out = model, domain, directory / "bundle"

    def speed(self, cells: int, effort: int, workers: Sequence[int], repeats: int) -> list[dict]:
        """Wall seconds for each number of workers."""
        found = []
        for jobs in workers:
            runs = [self._finish("--cells", cells, "--effort", effort, "--jobs", jobs) for _ in range(repeats)]
            best = min(run.seconds for run in runs)
            found.append({"workers": jobs, "cells": cells, "seconds": best, "digest": runs[0].record["digest"]})
            _say(found[-1])
        return found

    def memory(self, cells: int, effort: int) -> dict:
        """Peak memory of a run with one worker per core."""
        run = self._finish("--cells", cells, "--effort", effort)
        found = {"cells": cells, "effort": effort, "members": run.record["members"]}
        found |= {"seconds": run.seconds, "master_mb": run.master, "worker_mb": run.worker}
        _say(found)
        return found

    def limit(self, seconds: float) -> dict:
        """How long a run with a time limit takes."""
        run = self._finish("--cells", 1024, "--effort", 20000, "--time-limit", seconds)
        found = {"limit": seconds, "seconds": run.seconds, "truncated": run.record["truncated"]}
        _say(found)
        return found

    def kills(self, cells: int, effort: int, count: int, rng: random.Random) -> dict:
        """Kill runs at random moments, two of three times the master and else a worker, and resume them to their end."""
        words = ("--cells", cells, "--effort", effort)
        whole = self._finish(*words)
        done = {"master": 0, "worker": 0, "too late": 0, "finished": 0, "different": 0, "given_up": 0, "reused_most": 0}
        while done["master"] + done["worker"] < count:
            process = self._start("--resume", *words)
            victim = _kill_later(process, rng.uniform(0, 0.7 * whole.seconds), worker=rng.random() < 1 / 3)
            _, errors = process.communicate()
            done[victim] += 1
            if self.out.exists():  # also if the kill came between the bundle's completion and the end of the process
                done["finished"] += 1
                done["different"] += self._digest() != whole.record["digest"]
                done["given_up"] += self._given_up()
                shutil.rmtree(self.out)
            if process.returncode == 0:
                done["reused_most"] = max(done["reused_most"], int(errors.split(b"slicer: ")[-1].split()[0]))
            assert process.returncode in (0, -signal.SIGKILL), errors.decode()
            _say(done)
        shutil.rmtree(self.out.with_name("bundle.partial"), ignore_errors=True)
        return done | {"cells": cells, "effort": effort, "seconds": whole.seconds}

    def _digest(self) -> str:
        """The digest of the bundle."""
        return hashlib.sha256((self.out / "manifest.json").read_bytes()).hexdigest()

    def _given_up(self) -> int:
        """Number of cells whose search was given up."""
        cells = json.loads((self.out / "search.json").read_bytes())["cells"]
        return sum(cell["gate"].startswith(GIVEN_UP) for cell in cells)

    def _start(self, *words: object) -> subprocess.Popen[bytes]:
        """Start a run."""
        fixed = ["compress", str(self.model), "--domain", self.domain, "--out", str(self.out), "--json", "-"]
        return subprocess.Popen(
            [sys.executable, "-m", "slicer", *fixed, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def _finish(self, *words: object) -> Finished:
        """A run from start to end."""
        start, peaks = time.monotonic(), {}
        process = self._start("--quiet", *words)
        while process.poll() is None:
            for pid in (process.pid, *_children(process.pid)):
                peaks[pid] = max(peaks.get(pid, 0.0), _peak(pid))
            time.sleep(POLL)
        seconds = time.monotonic() - start
        output, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
        shutil.rmtree(self.out)
        return Finished(json.loads(output), seconds, peaks.pop(process.pid), max(peaks.values()))


def _kill_later(process: subprocess.Popen[bytes], seconds: float, *, worker: bool) -> str:
    """Kill a run or one of its workers after a while; says which, ``too late`` if it had come to its end."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        workers = _children(process.pid)
        if not worker or not workers:
            process.kill()
            return "master"
        os.kill(workers[-1], signal.SIGKILL)
        return "worker"
    return "too late"


def _children(parent: int) -> list[int]:
    """The worker processes of a run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        status = _read(entry / "stat").rpartition(")")[2].split()
        if status and int(status[1]) == parent and "popen_loky" in _read(entry / "cmdline"):
            found.append(int(entry.name))
    return sorted(found)


def _peak(process: int) -> float:
    """Peak resident memory in MB; 0 if the process has gone."""
    lines = [line for line in _read(Path(f"/proc/{process}/status")).splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def _read(path: Path) -> str:
    """What the kernel says; nothing if the process has gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _say(found: dict) -> None:
    """Progress for whoever waits."""
    print(json.dumps(found), file=sys.stderr, flush=True)


def _page(record: dict) -> list[str]:
    """The record as a Markdown page."""
    speed, kills = record["speed"], record["kills"]
    lines = [f"# Long runs: {record['model']}", "", f"`{record['command']}`", "", record["machine"], ""]
    lines += ["## Speed-up", "", "| workers | seconds | speed-up |", "|---|---|---|"]
    lines += [
        f"| {run['workers']} | {run['seconds']:.1f} | {speed[0]['seconds'] / run['seconds']:.2f} |" for run in speed
    ]
    lines += ["", f"{speed[0]['cells']} cells; starting Python and the workers is included.", "", "## Peak memory", ""]
    lines += ["| cells | effort | members | master, MB | largest worker, MB | seconds |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {run['cells']:,} | {run['effort']:,} | {run['members']:,} | {run['master_mb']:.0f} | {run['worker_mb']:.0f} "
        f"| {run['seconds']:.1f} |"
        for run in record["memory"] + record["efforts"]
    ]
    lines += ["", "## Time limits", "", "| limit, s | seconds | cut short |", "|---|---|---|"]
    lines += [f"| {run['limit']:g} | {run['seconds']:.1f} | {run['truncated']} |" for run in record["limits"]]
    lines += [
        "",
        "1,024 cells, effort 20,000; the seconds are those of the whole command.",
        "",
        "## Kills at random moments",
        "",
        f"{kills['master']} times the run was killed with SIGKILL, {kills['worker']} times one of its workers, and the run "
        f"started again with `--resume` ({kills['cells']} cells, {kills['seconds']:.0f} s if nothing happens). Of the "
        f"{kills['finished']} bundles, {kills['different']} had another digest than that of an undisturbed run; "
        f"{kills['given_up']} cells were given up; up to {kills['reused_most']} cells were taken from earlier runs.",
    ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
