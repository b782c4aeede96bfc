"""What a certificate says, as arrays: cuts, closings with the boxes they are claimed for, a readout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dispatcher.layers import freeze
from dispatcher.literal import bits_value
from dispatcher.plan import Readout


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes with float32 corners ``[n_boxes, n_in]``."""

    lower: np.ndarray
    upper: np.ndarray

    def __len__(self) -> int:
        return len(self.lower)

    def __getitem__(self, chosen: np.ndarray) -> Boxes:
        return Boxes(self.lower[chosen], self.upper[chosen])


@dataclass(frozen=True, eq=False)
class Cuts:
    """Thresholds, each with the box that it cuts: ``axis [k]``, ``threshold [k]``, ``boxes`` of k."""

    axis: np.ndarray
    threshold: np.ndarray
    boxes: Boxes


@dataclass(frozen=True, eq=False)
class Closings:
    """Claimed phases: flat numbers of ReLU units ``[k]``, −1 (inactive) or +1 (active) ``[k]``, ``boxes`` of k."""

    units: np.ndarray
    phases: np.ndarray
    boxes: Boxes


def read_proof(certificate: Mapping[str, Any], offsets: Mapping[int, int]) -> tuple[Cuts, Closings]:
    """The cuts and closings of a certificate; ``offsets`` has the first flat number of each ReLU layer."""
    corners = [np.array([float.fromhex(x) for x in certificate["box"][key]], np.float32) for key in ("lower", "upper")]
    pending, cuts, closings = [(corners[0], corners[1])], [], []
    for node in certificate["tree"]:
        lower, upper = pending.pop()
        for key, phase in (("inactive", -1), ("active", 1)):
            for layer, units in node.get(key, []):
                closings += [(offsets[layer] + unit, phase, lower, upper) for unit in units]
        if "axis" in node:
            axis, threshold = node["axis"], np.float32(float.fromhex(node["threshold"]))
            cuts.append((axis, threshold, lower, upper))
            pending += [(replaced(lower, axis, threshold), upper), (lower, replaced(upper, axis, threshold))]
    n_in = len(corners[0])
    units, phases, claimed = _columns(closings, n_in)
    return make_cuts(cuts, n_in), Closings(units.astype(np.int64), phases, claimed)


def read_readout(certificate: Mapping[str, Any]) -> Readout | None:
    """The readout of a certificate of mode ``epsilon``, if it has one."""
    if (record := certificate.get("readout")) is None:
        return None
    reads = tuple((layer, tuple(units)) for layer, units in record["reads"])
    weight = np.stack([bits_value(row) for row in record["weight"]])
    return Readout(reads, freeze(weight, np.float32), freeze(bits_value(record["bias"]), np.float32))


def make_cuts(rows: list[tuple[int, np.float32, np.ndarray, np.ndarray]], n_in: int) -> Cuts:
    """Cuts from rows of (axis, threshold, lower, upper)."""
    axis, threshold, boxes = _columns(rows, n_in)
    return Cuts(axis.astype(np.int64), threshold.astype(np.float32), boxes)


def replaced(corner: np.ndarray, axis: int, value: np.float32) -> np.ndarray:
    """A corner with one number replaced."""
    changed = corner.copy()
    changed[axis] = value
    return changed


def _columns(rows: list[tuple[Any, Any, np.ndarray, np.ndarray]], n_in: int) -> tuple[np.ndarray, np.ndarray, Boxes]:
    """Two columns of numbers, and the boxes of the other two."""
    lower, upper = (np.array([row[place] for row in rows], np.float32).reshape(len(rows), n_in) for place in (2, 3))
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows]), Boxes(lower, upper)
