"""Hostile sizes: small files that describe much, files that claim or hold much. Both checkers end soon, within memory.

Each checker runs in a process of its own with little address space and processor time. It must come to a verdict (or
say that there is no bundle, or that memory does not suffice), in words, and never by a crash.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.certificates.bases import hand
from tests.certificates.both import CHECKER
from tests.certificates.opened import MANIFEST, Json, Opened, canonical, certificate_path, store

_LIMITED = ["sh", "-c", 'ulimit -v 2097152; ulimit -t 40; exec "$@"', "sh"]  # 2 GiB of addresses, 40 s of processor
_RIGOROUS = """
import sys
from pathlib import Path
from slicer.certificate.rigorous import audit_directory
from slicer.certificate.verdict import UnusableBundleFile
try:
    rejections = audit_directory(Path(sys.argv[1])).rejections
except UnusableBundleFile as error:
    print("unusable", str(error)[:300])
    sys.exit(2)
print(*(str(rejection)[:300] for rejection in rejections[:1]))
sys.exit(1 if rejections else 0)
"""
CHECKERS = {
    "rigorous": [sys.executable, "-c", _RIGOROUS],
    "exact": [sys.executable, "-I", "-S", str(CHECKER), "--jobs", "1"],
}
ZERO, ONE = (0.0).hex(), (1.0).hex()


def _one_cell(layers: list[Json], inputs: int) -> Opened:
    """A bundle of a network that is far larger than its file, with one cell that is a point."""
    opened = hand()
    opened.parent["layers"] = layers
    opened.family |= {
        "domain": {"lower": [ZERO] * inputs, "upper": [ZERO] * inputs},
        "tree": [{"cell": 0}],
        "cells": [0],
    }
    opened.members = opened.members[:1]
    opened.certificates = [opened.certificates[0] | {"box": opened.family["domain"], "removed": [], "tree": [{}]}]
    return opened


def _input(width: int) -> Json:
    return {"kind": "input", "name": "", "width": width}


def concatenations_that_double(path: Path) -> None:
    layers = [_input(2), *({"kind": "concat", "name": "", "sources": [k, k]} for k in range(60))]
    store(_one_cell(layers, 2).written(), path)


def a_thousand_times_a_thousand(path: Path) -> None:
    layers = [_input(1000), *({"kind": "concat", "name": "", "sources": [k] * 1000} for k in range(3))]
    store(_one_cell(layers, 1000).written(), path)


def wide_relus(path: Path) -> None:
    layers = [_input(2**24 - 1), *({"kind": "relu", "name": "", "source": k} for k in range(300))]
    store(_one_cell(layers, 1).written(), path)


def wide_sums(path: Path) -> None:
    layers = [_input(2000), *({"kind": "add", "name": "", "sources": [k, k]} for k in range(100))]
    store(_one_cell(layers, 2000).written(), path)


def many_layers(path: Path) -> None:
    layers = [_input(1), *({"kind": "relu", "name": "", "source": k} for k in range(50_000))]
    store(_one_cell(layers, 1).written(), path)


def deep_routing_of_many_inputs(path: Path) -> None:
    """Splits on the way to the low side, each of which leaves a box of 50,000 inputs behind."""
    opened, inputs, splits = _one_cell([_input(50_000)], 50_000), 50_000, 5_000
    opened.family["domain"]["upper"] = [ONE] * inputs
    tree = [{"axis": k, "threshold": ZERO, "low": k + 1, "high": 2 * splits - k} for k in range(splits)]
    opened.family |= {"tree": tree + [{"cell": k} for k in range(splits + 1)], "cells": [0] * (splits + 1)}
    store(opened.written(), path)


def deep_proof_of_many_inputs(path: Path) -> None:
    opened = _one_cell([_input(50_000), {"kind": "gather", "name": "", "source": 0, "indices": [0]}], 50_000)
    nodes = [{"axis": k, "threshold": ZERO} for k in range(5_000)]
    opened.certificates[0]["tree"] = nodes + [{}] * 5_001
    opened.rebuild_members()
    store(opened.written(), path)


def many_outputs_to_decide_between(path: Path) -> None:
    """700 outputs: a file of kilobytes, margins with 343 million weights."""
    outputs = 700
    dense = {"kind": "dense", "name": "", "source": 0, "weight": ["3f800000"] * outputs, "bias": "00000000" * outputs}
    opened = _one_cell([_input(1), dense], 1)
    opened.manifest["mode"] = "decision"
    opened.family |= {"mode": "decision", "decision": "argmax"}
    opened.certificates[0] |= {"mode": "decision", "classes": [*range(outputs)]}
    store(opened.written(), path)


def many_outputs_near_a_function(path: Path) -> None:
    """20,000 outputs that are one input: a file of kilobytes, errors with 800 million weights."""
    outputs = 20_000
    gather = {"kind": "gather", "name": "", "source": 0, "indices": [0] * outputs}
    opened = _one_cell([_input(1), gather], 1)
    opened.manifest["mode"] = "epsilon"
    opened.family |= {"mode": "epsilon", "epsilon": [ONE] * outputs}
    ending = {"reads": [[0, [0]]], "weight": ["3f800000"] * outputs, "bias": "00000000" * outputs}
    tree = [{"inactive": [[5, [*range(2 * outputs)]]]}]
    opened.certificates[0] |= {"mode": "epsilon", "readout": ending, "tree": tree}
    opened.rebuild_members()
    store(opened.written(), path)


def a_readout_of_many_units(path: Path) -> None:
    """600,000 units that are one input, all of which are read."""
    units = [*range(600_000)]
    gather = {"kind": "gather", "name": "", "source": 0, "indices": [0] * len(units)}
    opened = _one_cell([_input(1), gather, {"kind": "gather", "name": "", "source": 1, "indices": [0]}], 1)
    opened.manifest["mode"] = "epsilon"
    opened.family |= {"mode": "epsilon", "epsilon": [ONE]}
    ending = {"reads": [[1, units]], "weight": ["00000000" * len(units)], "bias": "00000000"}
    opened.certificates[0] |= {"mode": "epsilon", "readout": ending, "tree": [{"inactive": [[6, [0, 1]]]}]}
    opened.rebuild_members()
    store(opened.written(), path)


def _text(content: bytes) -> Callable[[Path], None]:
    """A certificate that is no certificate."""

    def write(path: Path) -> None:
        opened = hand()
        store(opened.listed(opened.seal() | {certificate_path(1): content}), path)

    return write


def _sparse(name: str, *, listed: bool) -> Callable[[Path], None]:
    """A file of 2^40 bytes without blocks on the disk."""

    def write(path: Path) -> None:
        store(hand().written(), path)
        if listed:
            record = json.loads((path / MANIFEST).read_bytes())
            entries = [entry for entry in record["files"] if entry["path"] != name]
            entries.append({"path": name, "sha256": "0" * 64, "size": 1 << 40})
            record["files"] = sorted(entries, key=lambda entry: entry["path"])
            (path / MANIFEST).write_bytes(canonical(record))
        with (path / name).open("wb") as file:
            file.truncate(1 << 40)

    return write


BOMBS: dict[str, Callable[[Path], None]] = {
    "concatenations that double": concatenations_that_double,
    "a thousand times a thousand": a_thousand_times_a_thousand,
    "wide relus": wide_relus,
    "wide sums": wide_sums,
    "many layers": many_layers,
    "deep routing of many inputs": deep_routing_of_many_inputs,
    "deep proof of many inputs": deep_proof_of_many_inputs,
    "many outputs to decide between": many_outputs_to_decide_between,
    "many outputs near a function": many_outputs_near_a_function,
    "a readout of many units": a_readout_of_many_units,
    "10 MB of brackets": _text(b"[" * 10_000_000),
    "10 MB of lists": _text(b"[" + b"[]," * 3_300_000 + b"[]]\n"),
    "10 MB of quotes": _text(b'"' + b'\\"' * 5_000_000),
    "10 MB of backslashes": _text(b'"' + b"\\" * 10_000_000),
    "10 MB of digits": _text(b"1" * 10_000_000),
    "a terabyte, listed": _sparse("zzz", listed=True),
    "a terabyte, not listed": _sparse("zzz", listed=False),
    "a certificate of a terabyte": _sparse(certificate_path(1), listed=True),
    "a manifest of a terabyte": _sparse(MANIFEST, listed=False),
}


def _run(command: list[str], bundle: Path) -> subprocess.CompletedProcess[str]:
    """A checker's process, with limits and without threads that would take addresses for their stacks."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [*_LIMITED, *command, str(bundle)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("name", BOMBS)
def test_both_checkers_end_with_words(name: str, tmp_path: Path) -> None:
    BOMBS[name](tmp_path / "bundle")
    for checker, command in CHECKERS.items():
        done = _run(command, tmp_path / "bundle")
        assert done.returncode in (1, 2), f"{checker}: {done.returncode} {done.stdout[-500:]} {done.stderr[-500:]}"
        assert "Traceback" not in done.stderr, f"{checker}: {done.stderr[-500:]}"
        assert done.stdout.strip() or done.stderr.strip(), f"{checker} says nothing"


def test_a_deep_proof_is_checked_in_time(tmp_path: Path) -> None:
    """10^5 cuts one below the other, all true: accepted by both, without recursion and without square time."""
    opened = hand()
    root = opened.certificates[0]["tree"][0] | {"axis": 0, "threshold": ZERO}
    opened.certificates[0]["tree"] = [root, *[{"axis": 0, "threshold": ZERO}] * 100_000, *[{}] * 100_002]
    store(opened.written(), tmp_path / "bundle")
    for checker, command in CHECKERS.items():
        done = _run(command, tmp_path / "bundle")
        assert done.returncode == 0, f"{checker}: {done.stdout[-500:]} {done.stderr[-500:]}"
