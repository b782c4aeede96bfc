"""Both checkers accept every bundle that `compress` makes: of the examples, of random networks of all layer kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import slicer
from slicer.box import Box
from slicer.network import Network
from tests.certificates.both import Disagreement, Finding, Judgement, Opinion, _agreed, judge, judge_outside
from tests.certificates.graph_onnx import graph_bytes
from tests.random_networks import chain, mixed, random_box

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("example", "cells", "effort"), [("battery", 3, 20), ("digits", 2, 5), ("collision_avoidance", 3, 10)]
)
def test_the_examples(example: str, cells: int, effort: int, tmp_path: Path) -> None:
    folder = EXAMPLES / example
    options = slicer.Options(cells=cells, effort=effort, jobs=1)
    bundle = slicer.compress(folder / f"{example}.onnx", folder / "domain.csv", tmp_path / "bundle", options)
    assert judge(bundle.path).accepted
    assert sum(count.removed for count in bundle.counts) > 0


def _network(seed: int) -> tuple[Network, Box]:
    """A chain or a graph of all layer kinds, and a box that may be flat in some inputs."""
    rng = np.random.default_rng(seed)
    network = (
        mixed(rng, blocks=seed % 5, width=5) if seed % 2 else chain(rng, [2, 9, 9, 3], scale=[0.1, 1.0, 10.0][seed % 3])
    )
    return network, random_box(rng, network.n_in, [1e-5, 1.0, 3.0][seed % 3])


@pytest.mark.parametrize("seed", range(8))
def test_random_networks(seed: int, tmp_path: Path) -> None:
    network, box = _network(seed)
    model = tmp_path / "net.onnx"
    model.write_bytes(graph_bytes(network))
    bundle = slicer.compress(model, box, tmp_path / "bundle", slicer.Options(cells=3, effort=30, jobs=1))
    judgement = judge(bundle.path)
    assert judgement.accepted
    assert slicer.audit(bundle.path).accepted
    if seed < 2:
        assert judge_outside(bundle.path) == judgement


FINE = Opinion("accepted")
BAD_CELL, BAD_OTHER = (Opinion("rejected", (Finding(cell, "there", "wrong"),)) for cell in (0, 1))
BAD_BUNDLE = Opinion("rejected", (Finding(None, "manifest.json", "wrong"),))
NO_REASON = Opinion("rejected", (Finding(0, "there", ""),))


@pytest.mark.parametrize(
    "opinions", [(FINE, BAD_CELL), (BAD_BUNDLE, FINE), (BAD_CELL, BAD_OTHER), (NO_REASON, BAD_CELL)]
)
def test_a_disagreement_is_an_error(opinions: tuple[Opinion, Opinion]) -> None:
    with pytest.raises(Disagreement):
        _agreed(Path("bundle"), *opinions)


def test_agreement_is_about_verdicts_not_words() -> None:
    assert _agreed(Path("bundle"), BAD_CELL, BAD_BUNDLE) == Judgement(BAD_CELL, BAD_BUNDLE)
    assert _agreed(Path("bundle"), FINE, FINE).accepted
