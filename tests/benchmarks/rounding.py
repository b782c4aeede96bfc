"""How far float32 executions in any order can be from eval32: proved, and seen with onnxruntime.

Three proofs are compared. *Worst case*: magnitudes multiplied through the layers. *Affine*: `slicer.bounds.rounding` on the
cells of a partition, refined where it is worst. *At the point*: the same bound on the box of a single input, which is
what a user gets for an input that was tested.
"""

from __future__ import annotations

import heapq
from pathlib import Path

import numpy as np
import onnxruntime

from dispatcher.interpret import eval32
from slicer.bounds.linear import Prepared
from slicer.bounds.reference import bound_boxes
from slicer.bounds.rounding import rounding_distance
from slicer.box import Box, middle
from slicer.network import Network

POINTS = 200_000
POINT_BOXES = 2_000
BATCHES = (1, 7, 256)  # onnxruntime sums in another order for another batch size


def rounding_record(model: Path, network: Network, domain: Box, boxes: int) -> dict[str, object]:
    """Proved and seen distances on a domain, with a short text."""
    prepared = Prepared(network)
    scale = _output_scale(prepared, domain)
    seen, where, batches = _seen(model, network, domain)
    there = float(rounding_distance(prepared, where[None], where[None]).max())
    worst = float(_worst_case(prepared, domain).max())
    root = float(rounding_distance(prepared, *_corners([domain])).max())
    refined = _refined(prepared, domain, boxes)
    points = domain.sample(POINT_BOXES, np.random.default_rng(3)).astype(np.float64)
    at_point = rounding_distance(prepared, points, points).max(axis=1)
    record = {
        "batches": batches,
        "seen": seen,
        "proved_there": there,
        "worst_case": worst,
        "affine_domain": root,
        "affine_refined": refined,
        "boxes": boxes,
        "at_point_median": float(np.median(at_point)),
        "at_point_max": float(at_point.max()),
        "output_scale": scale,
    }
    return record | {"lines": _lines(record)}


def _lines(record: dict) -> list[str]:
    """The record as Markdown."""
    return [
        "## Rounding: any order of summation against eval32",
        "",
        f"Largest output magnitude seen: {record['output_scale']:.3g}. Distances are the largest over all outputs.",
        "",
        "| distance | value |",
        "|---|---|",
        f"| seen with onnxruntime, {POINTS:,} points, batches of {', '.join(map(str, record['batches']))} | {record['seen']:.3g} |",
        f"| proved at the input where that was seen | {record['proved_there']:.3g} |",
        f"| proved at a tested input (median, max of {POINT_BOXES:,}) | {record['at_point_median']:.3g}, {record['at_point_max']:.3g} |",
        f"| proved for every input, affine form, refined over {record['boxes']:,} boxes | {record['affine_refined']:.3g} |",
        f"| proved for every input, affine form, one box | {record['affine_domain']:.3g} |",
        f"| proved for every input, magnitudes multiplied through the layers | {record['worst_case']:.3g} |",
    ]


def _corners(boxes: list[Box]) -> tuple[np.ndarray, np.ndarray]:
    """Corners of boxes as float64 ``[n_boxes, n_in]``."""
    return np.array([box.lower for box in boxes], np.float64), np.array([box.upper for box in boxes], np.float64)


def _seen(model: Path, network: Network, domain: Box) -> tuple[float, np.ndarray, list[int]]:
    """Largest distance between onnxruntime and eval32 over random points, its input, the batch sizes the model takes."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    points = domain.sample(POINTS, np.random.default_rng(4))
    expected = eval32(network.layers, points)
    largest, where = 0.0, points[0]
    batches = [1] if isinstance(entry.shape[0], int) else list(BATCHES)
    for batch in batches:
        for start in range(0, POINTS - batch + 1, batch):
            part = points[start : start + batch]
            shape = [batch, *(size if isinstance(size, int) else 1 for size in entry.shape[1:])]
            got = session.run(None, {entry.name: part.reshape(shape)})[0].reshape(batch, -1)
            distance = np.abs(got - expected[start : start + batch]).max(axis=1)
            if distance.max() > largest:
                largest, where = float(distance.max()), part[distance.argmax()]
    return largest, where.astype(np.float64), batches


def _worst_case(prepared: Prepared, domain: Box) -> np.ndarray:
    """|Δ| of the outputs by multiplying magnitudes: Δ_k = |W|·Δ_{k−1} + 2r (chains of Dense and ReLU layers)."""
    bounds = bound_boxes(prepared, *_corners([domain]), np.zeros((1, prepared.relu_units), np.int8))
    delta = np.zeros(prepared.network.n_in)
    for position in range(1, len(prepared.network.layers)):
        if position in prepared.affine:
            delta = prepared.affine[position].absolute @ delta + 2 * bounds.radii[position][0]
    return delta


def _refined(prepared: Prepared, domain: Box, boxes: int) -> float:
    """The affine bound over a partition that halves the worst box again and again, along its widest input."""
    whole = np.maximum(domain.upper.astype(np.float64) - domain.lower, 1e-300)
    queue = [(-float(rounding_distance(prepared, *_corners([domain])).max()), 0, domain)]
    count = 1
    while count + 2 <= boxes:
        _, _, box = heapq.heappop(queue)
        axis = int(np.argmax((box.upper.astype(np.float64) - box.lower) / whole))
        threshold = middle(float(box.lower[axis]), float(box.upper[axis]))
        assert threshold is not None
        halves = [box.below(axis, threshold), box.above(axis, threshold)]
        for half, value in zip(halves, rounding_distance(prepared, *_corners(halves)).max(axis=1), strict=True):
            count += 1
            heapq.heappush(queue, (-float(value), count, half))
    return -queue[0][0]


def _output_scale(prepared: Prepared, domain: Box) -> float:
    """Largest output magnitude over random points."""
    points = domain.sample(20_000, np.random.default_rng(5))
    return float(np.abs(eval32(prepared.network.layers, points)).max())
