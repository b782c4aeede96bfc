"""Mode ``decision`` on random networks: what both checkers accept decides as the parent does, at ties as well."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slicer
from dispatcher.layers import Dense, Relu, freeze
from dispatcher.plan import Decision
from slicer.certificate.rigorous import Checker
from slicer.network import Network
from slicer.readers import read_network_bytes
from tests.attack.judge import PlainJudge
from tests.attack.points import tie_points, uniform
from tests.attack.target import open_target
from tests.certificate.rigorous_kit import evaluate, evaluate_member, random_box
from tests.certificates.bases import three
from tests.certificates.both import exact_checker, judge
from tests.certificates.graph_onnx import graph_bytes
from tests.certificates.opened import Bench, Opened, canonical, member_of
from tests.certificates.trees import closings
from tests.certificates.truth import doubts, sample
from tests.random_networks import chain, mixed

F32 = np.float32
DECISIONS: tuple[Decision, ...] = ("argmax", "argmin")


def compressed(network: Network, folder: Path, decision: Decision) -> Path:
    """A bundle of a few cells of [−1, 1]ⁿ."""
    model = folder / "model.onnx"
    model.write_bytes(graph_bytes(network))
    options = slicer.Options(mode="decision", decision=decision, cells=4, effort=30, jobs=1)
    return slicer.compress(model, "-1:1", folder / "bundle", options).path


@pytest.mark.parametrize("seed", range(6))
def test_bundles_of_random_networks_are_accepted_and_true(seed: int, tmp_path: Path) -> None:
    """Chains, and graphs that end with another layer than a dense one."""
    rng, decision = np.random.default_rng(seed), DECISIONS[seed % 2]
    network = mixed(rng, blocks=seed % 3, width=4) if seed % 3 else chain(rng, [2, 8, 2 + seed // 2])
    bundle = compressed(network, tmp_path, decision)
    assert judge(bundle).accepted
    assert doubts(bundle) == []
    target = open_target(bundle)
    batches = [*tie_points(target, 2000, rng), *uniform(target, 2000, rng)]
    assert PlainJudge(target)([(0, points) for points in batches], 1)[0].clean


def with_equal_outputs(network: Network, first: int, second: int) -> Network:
    """The network in which two outputs are computed alike."""
    last = network.layers[-1]
    assert isinstance(last, Dense)
    weight, bias = np.array(last.weight), np.array(last.bias)
    weight[second], bias[second] = weight[first], bias[first]
    return Network((*network.layers[:-1], replace(last, weight=freeze(weight, F32), bias=freeze(bias, F32))))


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("seed", range(3))
def test_of_two_equal_outputs_none_is_dropped_for_the_other(seed: int, decision: Decision, tmp_path: Path) -> None:
    """Both stay wherever they win, and no proof says that one of them loses against the other."""
    network = with_equal_outputs(chain(np.random.default_rng(seed), [2, 6, 3]), 0, 2)
    bundle = compressed(network, tmp_path, decision)
    assert judge(bundle).accepted
    target, rng = open_target(bundle), np.random.default_rng(seed)
    points = np.concatenate([*uniform(target, 2000, rng)])
    outputs, cells = evaluate(network.layers, points)[-1], PlainJudge(target).family.route(points)
    best = outputs.max(axis=1) if decision == "argmax" else outputs.min(axis=1)
    for cell in range(len(target.cells)):
        certificate = json.loads((bundle / f"certificates/{cell:06d}.json").read_bytes())
        if (outputs[:, 0] == best)[cells == cell].any():
            assert {0, 2} <= set(certificate["classes"])
        layer = len(network.layers) + 1
        assert not [unit for _, _, place, unit in closings(certificate["tree"]) if place == layer and unit in (2, 6)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("decisions") / "bundle")


def dropping(network: Network, box: tuple[np.ndarray, np.ndarray], decision: Decision, k: int, i: int) -> Opened:
    """A bundle of one cell without class k, by its margin against i at the root."""
    opened, n = three(), network.n_out
    opened.source = ("parent.onnx", graph_bytes(network))
    read = read_network_bytes(opened.source[1], "parent.onnx", scores=True)
    opened.parent = json.loads(read.content)
    corners = {key: [float(x).hex() for x in side] for key, side in zip(("lower", "upper"), box, strict=True)}
    opened.family |= {"decision": decision, "domain": corners}
    tree = [{"inactive": [[len(read.layers) + 1, [k * n + i]]]}]
    own = {"box": corners, "classes": [j for j in range(n) if j != k], "removed": [], "tree": tree}
    opened.certificates[0] |= own
    opened.rebuild_members()
    return opened


def _any_network(rng: np.random.Generator) -> Network:
    """A chain with two to four outputs, or a graph of all layer kinds with two."""
    if rng.random() < 0.3:
        return mixed(rng, blocks=int(rng.integers(0, 3)), width=4)
    hidden = [5] * int(rng.integers(0, 3))
    return chain(rng, [2, *hidden, int(rng.integers(2, 5))], scale=float(rng.choice([0.1, 1, 10])))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), decision=st.sampled_from(DECISIONS), width=st.sampled_from([0.01, 0.3, 1.0]))
def test_an_output_is_dropped_only_where_it_loses(seed: int, decision: Decision, width: float, bench: Bench) -> None:
    """Accepted: it is behind at all points, and the bundle is true. A point where it is not: rejected by both."""
    rng = np.random.default_rng(seed)
    network = _any_network(rng)
    box = random_box(rng, network.n_in, width)
    outputs = evaluate(network.layers, sample(box, 300))[-1]
    ahead = outputs * (1 if decision == "argmax" else -1)
    order = ahead.mean(axis=0).argsort()
    k, i = order[[0, -1]] if rng.random() < 0.7 else rng.choice(order, 2, replace=False)
    bundle = bench.show(dropping(network, box, decision, int(k), int(i)).written())
    if judge(bundle).accepted:
        assert (ahead[:, k] < ahead[:, i]).all()
        assert doubts(bundle) == []
    elif len(network.layers) == 2:  # affine outputs: bounds are those of the corners but for rounding
        assert (ahead[:, k] - ahead[:, i]).max() > -1e-5 * (1 + np.abs(outputs).max())


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), decision=st.sampled_from(DECISIONS), share=st.sampled_from([0.0, 0.4, 0.9]))
def test_three_rebuildings_of_a_member_agree(seed: int, decision: Decision, share: float) -> None:
    """Both checkers' and the producer's, whatever is removed and whichever outputs are classes; and what it returns."""
    rng = np.random.default_rng(seed)
    made = _any_network(rng)
    network = read_network_bytes(graph_bytes(made), "parent.onnx", scores=True)
    relus = [(place, relu.width) for place, relu in enumerate(network.layers) if isinstance(relu, Relu)]
    chosen = [[place, np.flatnonzero(rng.random(width) < share).tolist()] for place, width in relus]
    removed = [row for row in chosen if row[1]]
    classes = sorted(rng.permutation(network.n_out)[: int(rng.integers(1, network.n_out + 1))].tolist())
    member = json.loads(member_of(network, {"removed": removed, "classes": classes}, decision))
    whole = canonical(member | {"parent": network.digest})
    assert Checker(network.content, decision).rebuild_member([(p, list(u)) for p, u in removed], classes) == whole
    exact = exact_checker()
    layers = exact.read_parent(exact.read_json(network.content, "parent"))
    fixed = exact.fixed_outputs(decision, network.n_out, classes)
    pairs = [(place, unit) for place, units in removed for unit in units]
    assert exact.member_of(layers, network.digest, pairs, fixed) == whole
    if not removed:
        points = rng.uniform(-1, 1, (50, network.n_in)).astype(F32)
        outputs, expected = evaluate_member(network.layers, member, points), evaluate(network.layers, points)[-1]
        lost = np.setdiff1d(np.arange(network.n_out), classes)
        assert (outputs[:, lost] == (-1 if decision == "argmax" else 1) * np.finfo(F32).max).all()
        assert (outputs[:, classes] == (0 if len(classes) == 1 else expected[:, classes])).all()
