"""What removal by solver queries within 1e-4, as Lahav and Katz do it, takes out of a bundle's cells and we do not, and the other way round.

    slicer compress ACASXU_run2a_1_1.onnx --domain domain.csv --cells 1024 --effort 200 --out ACASXU_run2a_1_1
    python -m tests.benchmarks.removal ACASXU_run2a_1_1

writes ``removal.json`` and ``removal.md`` (or ``--name``) to ``artifacts/benchmarks``; the directory is called as the model
is. Of cells sampled by volume, every unit that the member keeps is tried at points: is it active by more than the tolerance,
do outputs move by more without it, is it ever inactive? Of those that points leave open, and of those that we removed, a
sample is put to the solver (all figures for whole cells are extrapolated from it). The exit code is 1 if a confirmed witness
contradicts a removal of ours.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from dispatcher.cost import cost
from dispatcher.interpret import evaluate_all
from dispatcher.plan import member_layers
from dispatcher.tree import cell_shares
from slicer.box import Box
from slicer.reduce.member import build_member
from slicer.search.cell import search_cell
from slicer.search.solvers.marabou import NOT_INSTALLED, ask_marabou, installed
from slicer.search.solvers.milp import ask_milp
from tests.attack.target import Target, open_target
from tests.benchmarks.record import machine, write_record
from tests.benchmarks.removal_page import page, why_kept, why_taken
from tests.benchmarks.removal_probes import Ask, Outcome, Probe, ask_solver, effect_probe, phase_probe, try_points

SOLVERS: dict[str, Ask] = {"marabou": ask_marabou, "milp": ask_milp}
KINDS = ("inactive", "effect", "active")  # what points are asked of a kept unit; the first two let it go
DRAWS = 20  # of units that nobody was asked about, for the work that is left

Place = tuple[int, int]  # relu layer, unit


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = _options(argv)
    if options.solver == "marabou" and not installed():
        sys.exit(NOT_INSTALLED)
    target = open_target(options.bundle)
    family = target.bundle.family
    assert family.mode == "bitwise", "the comparison is with members that keep every bit"
    shares = cell_shares(family.tree, family.lower, family.upper)
    record = _head(target, len(shares), options) | {"cells": []}
    with threadpool_limits(1):
        for number in by_share(shares, options.count, options.seed):
            record["cells"].append(Cell(target, number, options).record())
            write_record(options.out, options.name, record, page(record))
            short = {name: value for name, value in record["cells"][-1].items() if name != "claims"}
            print(json.dumps(short), file=sys.stderr, flush=True)
    claims = [claim for cell in record["cells"] for claim in cell["claims"]]
    return 1 if any(claim["kind"] == "removed" and claim["word"] == "witness" for claim in claims) else 0


def _head(target: Target, cells: int, options: argparse.Namespace) -> dict:
    """What was compared, and how."""
    return {
        "commands": _commands(target, options),
        "machine": machine(),
        "network": target.network.describe(),
        "effort": target.bundle.manifest.options["effort"],
        "cells_of_bundle": cells,
        "parent_mac": cost(target.network.layers).mac,
        **{name: getattr(options, name) for name in ("solver", "tolerance", "deadline", "units")},
    }


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--count", type=int, default=12, help="cells, sampled by volume")
    parser.add_argument("--units", type=int, default=4, help="units of a cell and kind that the solver is asked about")
    parser.add_argument("--solver", choices=list(SOLVERS), default="marabou")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--deadline", type=float, default=10.0, help="CPU seconds for a unit and kind")
    parser.add_argument(
        "--efforts", type=int, nargs="*", default=[2000, 16000], help="of our own search, besides the bundle's"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="removal")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    return parser.parse_args(argv)


def _commands(target: Target, options: argparse.Namespace) -> list[str]:
    """The commands that reproduce the record, with file names only."""
    bundle, made = options.bundle.name, target.bundle.manifest.options
    names = ("count", "units", "solver", "tolerance", "deadline", "seed")
    words = [f"--{name} {getattr(options, name)}" for name in names]
    words += ["--efforts", *map(str, options.efforts)]
    return [
        f"slicer compress {bundle}.onnx --domain domain.csv --cells {made['cells']} --effort {made['effort']} --out {bundle}",
        f"python -m tests.benchmarks.removal {bundle} {' '.join(words)}",
    ]


def by_share(shares: np.ndarray, count: int, seed: int) -> list[int]:
    """Systematic sampling: each cell ``count`` times its share on average, none twice unless that exceeds 1."""
    start = np.random.default_rng(seed).random()
    chosen = np.searchsorted(np.cumsum(shares), (np.arange(count) + start) / count)
    return np.minimum(chosen, len(shares) - 1).tolist()


@dataclass(frozen=True)
class Claim:
    """What came of a question about a unit; ``kind`` is a key of `tests.benchmarks.removal_page.TITLES`."""

    place: Place
    kind: str
    outcome: Outcome


class Cell:
    """One cell: what we removed, what points and the solver say about the rest, what either leaves to compute."""

    def __init__(self, target: Target, number: int, options: argparse.Namespace) -> None:
        family = target.bundle.family
        self.network, self.prepared = target.network, target.prepared
        self.number, self.options = number, options
        self.effort = target.bundle.manifest.options["effort"]
        self.box = Box(target.cells.lower[number], target.cells.upper[number])
        self.ask, self.rng = SOLVERS[options.solver], np.random.default_rng([options.seed, number])
        member = family.members[family.cells[number]]
        self.removed = target.removed[number]
        self.taken = [self._place(int(unit)) for unit in np.flatnonzero(self.removed)]
        self.live = [(relu, unit) for relu in self.network.relu_layers for unit in member.layers[relu].units]
        self.facts = -self.removed.astype(np.int8)

    def _place(self, unit: int) -> Place:
        """A flat number as relu layer and unit."""
        relu = max(position for position, first in self.prepared.offsets.items() if first <= unit)
        return relu, unit - self.prepared.offsets[relu]

    def record(self) -> dict:
        """The whole comparison."""
        seen = {
            place: {kind: try_points(self._probe(place, kind), self.box, self.rng) for kind in KINDS}
            for place in self.live
        }
        silent = [place for place, found in seen.items() if found["inactive"].at is None]
        barely = [p for p, found in seen.items() if found["inactive"].at is not None and found["effect"].at is None]
        linear = [place for place, found in seen.items() if found["active"].at is None]
        claims = [claim for place in self._some(silent) for claim in self._may_go(place, seen[place])]
        claims += [self._asked(place, "barely", seen[place]["effect"]) for place in self._some(barely)]
        claims += [self._asked(place, "active", seen[place]["active"]) for place in self._some(linear)]
        claims += [self._confirm(place) for place in self._some(self.taken)]
        searches = self._searches()
        proved = {place: search["effort"] for search in reversed(searches) for place in search.pop("places")}
        return {
            "cell": self.number,
            "removed": len(self.taken),
            "live": len(self.live),
            "open": {"inactive": len(silent), "barely": len(barely), "active": len(linear)},
            "claims": [self._row(claim, seen.get(claim.place), proved) for claim in claims],
            "searches": searches,
            "mac": self._macs(claims, silent, barely),
        }

    def _some(self, places: Sequence[Place]) -> list[Place]:
        """A seeded sample."""
        chosen = self.rng.permutation(len(places))[: self.options.units]
        return [places[index] for index in sorted(chosen)]

    def _probe(self, place: Place, kind: str) -> Probe:
        """The question as units that must stay silent; the units that we removed are known to be."""
        if kind in ("effect", "barely"):
            return effect_probe(self.network, place, self.options.tolerance, self.facts)
        return phase_probe(self.network, place, -1 if kind == "active" else 1, self.options.tolerance, self.facts)

    def _asked(self, place: Place, kind: str, seen: Outcome) -> Claim:
        """The solver's word where points leave a question open."""
        found = seen
        if seen.at is None:
            found = ask_solver(self._probe(place, kind), self.box, self.ask, self.options.deadline, seen)
        return Claim(place, kind, found)

    def _may_go(self, place: Place, seen: Mapping[str, Outcome]) -> list[Claim]:
        """May a kept unit go, for being inactive, or else for having no effect?"""
        claims = [self._asked(place, "inactive", seen["inactive"])]
        return claims if claims[0].outcome.holds else [*claims, self._asked(place, "effect", seen["effect"])]

    def _confirm(self, place: Place) -> Claim:
        """Does the solver find that a unit that we removed may go, being told nothing?"""
        probe = phase_probe(self.network, place, 1, self.options.tolerance, np.zeros_like(self.facts))
        seen = try_points(probe, self.box, self.rng)
        if seen.at is not None:
            return Claim(place, "removed", replace(seen, word="witness"))
        return Claim(place, "removed", ask_solver(probe, self.box, self.ask, self.options.deadline, seen))

    def _searches(self) -> list[dict]:
        """Our own search with the bundle's effort and with others: CPU seconds, what it proves inactive."""
        found = []
        for effort in (self.effort, *self.options.efforts):
            start = time.process_time()
            result = search_cell(self.prepared, self.box, effort, np.random.default_rng([0, self.number]))
            seconds = time.process_time() - start
            places = [self._place(int(unit)) for unit in result.inactive]
            found.append(
                {
                    "effort": effort,
                    "seconds": seconds,
                    "removed": len(places),
                    "mac": self._mac(places),
                    "places": places,
                }
            )
        return found

    def _mac(self, places: Sequence[Place]) -> int:
        """Multiply-accumulates of the member without some units."""
        removed = {relu: {unit for layer, unit in places if layer == relu} for relu in self.network.relu_layers}
        return cost(member_layers(self.network.layers, build_member(self.network, removed))).mac

    def _macs(self, claims: Sequence[Claim], silent: Sequence[Place], barely: Sequence[Place]) -> dict:
        """Mean work of members; units that nobody was asked about go as often as those of the same kind that were."""
        known: dict[str, dict[Place, bool]] = {
            kind: {} for kind in ("inactive", "effect", "barely", "active", "removed")
        }
        for claim in claims:
            known[claim.kind][claim.place] = claim.outcome.holds
        either = {place: holds or known["effect"].get(place, False) for place, holds in known["inactive"].items()}
        draws = []
        for _ in range(DRAWS):
            luck = {place: self.rng.random() for place in (*self.taken, *self.live)}
            confirmed = going(known["removed"], self.taken, luck)
            phase = going(known["inactive"], silent, luck)
            all_kinds = going(either, silent, luck) + going(known["barely"], barely, luck)
            choices = (confirmed + phase, confirmed + all_kinds, self.taken + phase, self.taken + all_kinds)
            draws.append([self._mac(places) for places in choices])
        names = ("solver_inactive", "solver_all", "both_inactive", "both_all")
        return {"ours": self._mac(self.taken)} | dict(zip(names, np.mean(draws, axis=0).tolist(), strict=True))

    def _value(self, place: Place, at: np.ndarray) -> float:
        """Eval32's pre-activation of a unit at an input ``[n_in]``."""
        source = self.network.layers[place[0]].sources[0]
        return float(evaluate_all(self.network.layers[: source + 1], at[None])[source][0, place[1]])

    def _row(self, claim: Claim, seen: Mapping[str, Outcome] | None, proved: Mapping[Place, int]) -> dict:
        """One claim as plain data, with a reason where it is a disagreement."""
        found, why = claim.outcome, ""
        if claim.kind == "removed" and not found.holds:
            why = why_taken(found, self.options.deadline)
        elif claim.kind != "removed" and found.holds and seen is not None:
            active = self._value(claim.place, seen["inactive"].best)
            why = why_kept(claim.kind, seen, active, proved.get(claim.place), self.options)
        return {
            "unit": list(claim.place),
            "kind": claim.kind,
            "word": found.word,
            "seconds": found.seconds,
            "at": None if found.at is None else [float(x).hex() for x in found.at],
            "why": why,
        }


def going(known: Mapping[Place, bool], places: Sequence[Place], luck: Mapping[Place, float]) -> list[Place]:
    """Places that go: as known, and the others with the share of those known, if their luck (0 to 1) is below it."""
    share = float(np.mean(list(known.values()))) if known else 0.0
    return [place for place in places if known.get(place, luck[place] < share)]


if __name__ == "__main__":
    sys.exit(main())
