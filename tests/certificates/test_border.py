"""Where acceptance ends: each checker against exact rational arithmetic, at the largest bias that it accepts.

A unit's upper bound rises with its bias, so each checker accepts its closing up to some float32 bias and not beyond.
There, the exact reference method (§5 of the document) must still prove the closing: no rounding of a checker's own may
make up for what is missing. One step further, the reference's bound must already leave less room than the document
makes producers leave: a checker that gives away more would refuse honest bundles.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dispatcher.plan import Decision
from slicer.box import Box
from slicer.network import Network
from slicer.readers import read_network_bytes
from slicer.search.contest import with_margins
from tests.certificate.exact_reference import Reference
from tests.certificate.rigorous_kit import evaluate
from tests.certificates.bases import hand
from tests.certificates.both import Opinion, exact_opinion, rigorous_opinion
from tests.certificates.graph_onnx import graph_bytes
from tests.certificates.opened import Bench, Opened
from tests.certificates.truth import sample
from tests.random_networks import chain, mixed

F32 = np.float32
MARGIN = Fraction(1, 2**10)
CHECKERS: dict[str, Callable[[Path], Opinion]] = {"rigorous": rigorous_opinion, "exact": exact_opinion}


class Border:
    """A bundle of one cell that closes one unit, by the unit's bias."""

    def __init__(self, network: Network, box: Box, relu: int, unit: int, phase: str) -> None:
        self.opened: Opened = hand()
        self.opened.source = ("parent.onnx", graph_bytes(network))
        self.network = read_network_bytes(self.opened.source[1], "parent.onnx")
        self.opened.parent = _record(self.network)
        self.box, self.relu, self.unit, self.phase = box, relu, unit, phase
        corners = {"lower": [float(x).hex() for x in box.lower], "upper": [float(x).hex() for x in box.upper]}
        self.opened.family |= {"domain": corners, "tree": [{"cell": 0}], "cells": [0]}
        closing = {phase: [[relu, [unit]]]}
        own = {"box": corners, "removed": [], "tree": [closing]}
        self.opened.certificates = [self.opened.certificates[0] | own]

    def contents(self, bias: np.floating) -> dict[str, bytes]:
        self._set(bias)
        self.opened.rebuild_members()
        return self.opened.written()

    def reference(self, bias: np.floating) -> tuple[Fraction, Fraction]:
        """By the reference method: how far the closing is from zero (at most 0: proved), and the noise N in it."""
        self._set(bias)
        layers, sign = self.opened.network.layers, 1 if self.phase == "inactive" else -1
        found = Reference(layers, self.box.lower, self.box.upper, {})
        source = self.network.layers[self.relu].sources[0]
        low, high = found.by_interval_rule[source][self.unit]
        interval = (high if sign > 0 else -low, found.noise[source][self.unit])
        return min(interval, found.backward(source, self.unit, sign))

    def _set(self, bias: np.floating) -> None:
        source = self.network.layers[self.relu].sources[0]
        record, place = self.opened.parent["layers"][source], 8 * self.unit
        digits = np.array(bias, ">f4").tobytes().hex()
        record["bias"] = record["bias"][:place] + digits + record["bias"][place + 8 :]


def _record(network: Network) -> dict[str, object]:
    import json

    record: dict[str, object] = json.loads(network.content)
    return record


def last_accepted(accepts: Callable[[np.floating], bool], sign: int) -> np.floating:
    """The float32 bias next to the first that is not accepted, on the way from −1000·sign to 1000·sign."""
    good, bad = F32(-1000 * sign), F32(1000 * sign)
    assert accepts(good)
    assert not accepts(bad)
    while np.nextafter(good, bad) != bad:
        middle = F32((float(good) + float(bad)) / 2)
        middle = np.nextafter(good, bad) if middle in (good, bad) else middle
        good, bad = (middle, bad) if accepts(middle) else (good, middle)
    return good


def _case(seed: int) -> tuple[Network, Box, int]:
    """A network, a box, and a relu layer over a dense layer."""
    rng = np.random.default_rng(seed)
    if seed % 2:
        network = chain(rng, [2, 5, 5, 4, 2])
        return network, Box.outward(np.full(2, -0.5), rng.uniform(-0.25, 1, 2)), 6
    network = mixed(rng, blocks=3, width=4)
    places = [p for p, layer in enumerate(network.layers) if type(layer).__name__ == "Relu"]
    dense = [p for p in places if type(network.layers[network.layers[p].sources[0]]).__name__ == "Dense"]
    return network, Box.outward(np.full(3, -0.5), rng.uniform(-0.25, 1, 3)), dense[-1]


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("phase", ["inactive", "active"])
@pytest.mark.parametrize("seed", range(4))
def test_the_border_of_acceptance(seed: int, phase: str, checker: str, tmp_path: Path) -> None:
    border, bench = Border(*_case(seed), unit=1, phase=phase), Bench(tmp_path / "bundle")
    sign = 1 if phase == "inactive" else -1
    bias = last_accepted(lambda value: CHECKERS[checker](bench.show(border.contents(value))).accepted, sign)
    assert border.reference(bias)[0] <= 0
    bound, noise = border.reference(np.nextafter(bias, F32(1000 * sign)))
    assert bound > -MARGIN * noise


class MarginBorder(Border):
    """A bundle in mode ``decision`` whose only cell drops output 0, which loses against output 1, by its bias."""

    def __init__(self, network: Network, box: Box, decision: Decision) -> None:
        self.decision, last = decision, len(network.layers) - 1
        super().__init__(network, box, last + 2, 1, "inactive")
        self.opened.manifest["mode"] = "decision"
        self.opened.family |= {"mode": "decision", "decision": decision}
        self.opened.certificates[0] |= {"mode": "decision", "classes": [*range(1, network.n_out)]}
        self.last = last

    def reference(self, bias: np.floating) -> tuple[Fraction, Fraction]:
        self._set(bias)
        layers = with_margins(self.opened.network, self.decision).layers
        found = Reference(layers, self.box.lower, self.box.upper, {})
        interval = found.by_interval_rule[self.last + 1][1][1], found.noise[self.last + 1][1]
        return min(interval, found.backward(self.last + 1, 1, 1))

    def outputs(self, bias: np.floating) -> np.ndarray:
        """The parent's outputs at corners and random points of the box."""
        self._set(bias)
        points = sample((self.box.lower, self.box.upper), 200)
        return evaluate(self.opened.network.layers, points)[-1]

    def _set(self, bias: np.floating) -> None:
        record = self.opened.parent["layers"][self.last]
        record["bias"] = np.array(bias, ">f4").tobytes().hex() + record["bias"][8:]


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("decision", ["argmax", "argmin"])
def test_the_border_of_acceptance_of_a_margin(decision: Decision, checker: str, tmp_path: Path) -> None:
    """And where it ends, the output still loses at every input, not even tied."""
    network = chain(np.random.default_rng(1), [2, 5, 3])
    border = MarginBorder(network, Box.outward(np.full(2, -0.5), np.full(2, 0.75)), decision)
    bench = Bench(tmp_path / "bundle")
    sign = 1 if decision == "argmax" else -1
    bias = last_accepted(lambda value: CHECKERS[checker](bench.show(border.contents(value))).accepted, sign)
    assert border.reference(bias)[0] <= 0
    bound, noise = border.reference(np.nextafter(bias, F32(1000 * sign)))
    assert bound > -MARGIN * noise
    first, second = border.outputs(bias)[:, :2].T
    assert (sign * first < sign * second).all()
