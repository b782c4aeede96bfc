"""Accepted bundles stand the hunt; every forgery is found by directed points and rejected by both checkers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import slicer
from dispatcher.interpret import eval32
from dispatcher.load import load
from slicer.readers import read_network_bytes
from tests.attack.closings import attack_closings
from tests.attack.conftest import DECIDED, NETWORKS
from tests.attack.forge import draft_of, write_draft
from tests.attack.forgeries import DECISIONS, FORGERIES, FUNCTIONS, OTHER_PARENT, exact_reason, rigorous_reason
from tests.attack.forgery import Forgery
from tests.attack.hunt import ERRORS, KINDS, TIES, UNIFORM, hunt
from tests.attack.judge import PlainJudge
from tests.attack.target import Target, open_target

DIRECTED = 20_000
# What the other networks have not: units that become constant.
ONLY_SPARSE = {"one bit of a prefix", "a prefix that swallows a term", "one bit of a constant"}
FALSE_CLAIMS = {
    "a unit that is active in a small part of its cell",
    "a unit that is active often",
    "the member of the next cell",
    "a threshold moved until it matters",
    "a larger domain",
}
FALSE_DECISIONS = {
    "a class dropped that wins in a small part of its cell",
    "a class dropped that wins often",
    "a constant cell in which another output wins too",
}
FALSE_FUNCTIONS = {
    "a bound that is smaller than a difference",
    "all bounds halved until it matters",
    "a bias of a function moved beyond its bound",
    "a bias of a function moved, hardly beyond its bound",
    "a weight of a function moved beyond its bound",
    "the function of another cell",
    "function and proof of another cell",
    "a function in a cell that had none",
    "a cell with a function widened until it matters",
    "a readout of another unit",
    "two weights of a readout exchanged",
    "a unit that a readout needs, removed",
    "a readout of hidden units in a cell that had none",
}
SHOWN_BY_NO_INPUT = {
    "a threshold moved by one ulp",
    "a fact that does not hold, and that no removal needs",
    "a margin that does not hold, and that no class needs",
    "an error that a node leaves open",
}
DECIDING = ("the member of the next cell", "a larger domain", "a threshold moved by one ulp")
CASES = [(name, "sparse") for name in FORGERIES] + [(name, "dense") for name in sorted(FORGERIES.keys() - ONLY_SPARSE)]
CASES += [(name, network) for network in ("argmax", "argmin") for name in DECISIONS]
CASES += [(name, "argmax") for name in DECIDING] + [("a unit that is active often", "argmin")]
CASES += [(name, "near") for name in (*sorted(FORGERIES.keys() - ONLY_SPARSE), *FUNCTIONS)]


@dataclass(frozen=True, eq=False)
class Written:
    """A forgery on disk."""

    forgery: Forgery
    path: Path


@pytest.fixture(scope="module")
def forged(targets, tmp_path_factory):
    """A function that forges once: (name of the forgery, name of the network) to what was written."""
    made: dict[tuple[str, str], Written] = {}

    def forge(name: str, network: str) -> Written:
        if (name, network) not in made:
            found = (FORGERIES | DECISIONS | FUNCTIONS)[name](draft_of(targets[network]), np.random.default_rng(0))
            assert found is not None, "the network offers nothing of the kind"
            path = write_draft(found.draft, tmp_path_factory.mktemp("forged") / "bundle")
            made[name, network] = Written(found, path)
        return made[name, network]

    return forge


@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_is_found_in_an_accepted_bundle(targets, network):
    found = hunt(targets[network], PlainJudge(targets[network]), DIRECTED, DIRECTED, seed=1)
    assert list(found) == list(KINDS)
    for kind, finding in found.items():
        assert finding.clean, kind
        none = (kind == TIES and network not in DECIDED) or (kind == ERRORS and network != "near")
        none |= (kind, network) == ("proof thresholds", "sparse")  # proofs without cuts
        assert (finding.points > 0) != none
        assert finding.largest < 0, kind


@pytest.mark.parametrize(("name", "network"), CASES)
def test_the_witness_shows_the_lie(forged, name, network):
    forgery, path = forged(name, network).forgery, forged(name, network).path
    if name in SHOWN_BY_NO_INPUT:
        assert forgery.witness is None
    else:
        point, served = forgery.witness[None], load(path)
        parent = read_network_bytes((path / "parent.onnx").read_bytes(), "parent.onnx").layers
        expected = eval32(parent, point)
        if network in DECIDED:
            assert served.decide(point) != getattr(np, network)(expected, axis=1)
        elif network == "near":
            family, (cell,) = served.family, served.route(point)
            bounds = family.epsilon if family.members[family.cells[cell]].readout else np.zeros(3, np.float32)
            pairs = zip(served.predict(point)[0].tolist(), expected[0].tolist(), strict=True)
            off = [abs(Fraction(a) - Fraction(b)) for a, b in pairs]
            assert any(one > Fraction(float(bound)) for one, bound in zip(off, bounds, strict=True))
        else:
            assert not (served.predict(point) == expected).all()


@pytest.mark.parametrize(("name", "network"), CASES)
def test_directed_points_find_every_lie_that_an_input_shows(forged, name, network):
    target = open_target(forged(name, network).path)
    found = hunt(target, PlainJudge(target), DIRECTED, 0, seed=2)
    assert found[UNIFORM].points == 0
    forgery = forged(name, network).forgery
    if not forgery.needle:
        assert any(finding.different for finding in found.values()) == (forgery.witness is not None)


@pytest.mark.parametrize("network", NETWORKS)
def test_no_closing_of_an_accepted_bundle_is_violated(targets, network):
    target = targets[network]
    found = attack_closings(target, 10_000, seed=1)
    assert found.closings == sum(len(target.closings(cell).units) for cell in range(len(target.cells))) > 0
    assert found.points >= 3 * found.closings
    assert found.violated == 0
    assert found.largest < 0


@pytest.mark.parametrize(("name", "network"), CASES)
def test_the_attack_on_closings_finds_false_claims_and_facts(forged, name, network):
    written = forged(name, network)
    found = attack_closings(open_target(written.path), 10_000, seed=2)
    if written.forgery.false_fact or name in FALSE_CLAIMS | FALSE_DECISIONS | FALSE_FUNCTIONS:
        assert found.violated > 0
        assert found.largest > 0
    else:
        assert found.violated == 0


def test_closings_are_chosen_up_to_a_limit(targets):
    assert 0 < attack_closings(targets["dense"], 20, seed=0).closings <= 20


@pytest.mark.parametrize(("name", "network"), CASES)
def test_the_rigorous_checker_rejects_every_forgery(forged, name, network):
    written = forged(name, network)
    assert rigorous_reason(written.path, written.forgery.cells)


@pytest.mark.parametrize(("name", "network"), CASES)
def test_the_exact_checker_rejects_every_forgery_of_what_it_covers(forged, name, network):
    written = forged(name, network)
    assert bool(exact_reason(written.path, written.forgery.cells)) == (FORGERIES.get(name) not in OTHER_PARENT)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_bundle_that_was_only_taken_apart_and_put_together_is_accepted(targets, network, tmp_path):
    path = write_draft(draft_of(targets[network]), tmp_path / "bundle")
    assert slicer.audit(path).accepted
    for name in ("family", "certificates"):
        for file in (path / name).rglob("*.json"):
            original = targets[network].bundle.path / file.relative_to(path)
            assert file.read_bytes() == original.read_bytes()


def test_uniform_points_alone_miss_a_lie_in_a_small_corner(targets, tmp_path):
    """What aiming is for: a unit that is active near one corner of its cell only."""
    forgery = FORGERIES["a unit that is active in a small part of its cell"](
        draft_of(targets["dense"]), np.random.default_rng(0)
    )
    target: Target = open_target(write_draft(forgery.draft, tmp_path / "bundle"))
    found = hunt(target, PlainJudge(target), DIRECTED, DIRECTED, seed=3)
    directed = sum(finding.different for kind, finding in found.items() if kind != UNIFORM)
    assert directed > 10 * found[UNIFORM].different
