"""What `tests.benchmarks.removal` found, as a page: shares, work, and a row for every disagreement."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from slicer.search.verdict import TIME, UNCONFIRMED
from tests.benchmarks.removal_probes import Outcome

TITLES = {
    "inactive": "never seen active: always inactive?",
    "effect": "never seen active, not called inactive: no effect?",
    "barely": "seen active, no effect seen: no effect?",
    "active": "never seen inactive: always active (linear)?",
    "removed": "always inactive (told nothing of our proofs)?",
}
KEPT = ("inactive", "effect", "barely", "active")
GOING = ("inactive", "effect", "barely")  # kinds that let a kept unit go
SETTLED = ("bounds", "solver", "witness", UNCONFIRMED)  # outcomes with a column of their own
WORDS = {"solver": "may go", "bounds": "may go (bounds alone)", "witness": "may not go: a witness"}


ACTIVE, PROVED, OPEN = (
    "it is active, by",
    "our own search proves it with effort",
    "our own search leaves it open with effort",
)


def why_kept(
    kind: str, seen: Mapping[str, Outcome], active: float, effort: int | None, options: argparse.Namespace
) -> str:
    """Why we keep a unit that the solver lets go (or calls linear).

    ``active`` is eval32's pre-activation where the largest was seen, ``effort`` what our own search needs for a proof.
    """
    if kind == "active":
        return "it is active everywhere: it could be merged with what reads it, which saves no work by itself and changes how sums are rounded"
    moved = seen["effect"].largest + options.tolerance
    if active > 0:
        size = f"{ACTIVE} {active:.1e} at least, at {_point(seen['inactive'].best)}"
        small = " (a pre-activation within the tolerance)" if kind == "inactive" else ""
        return f"{size}{small}; without it an output moves by {moved:.1e} at least, so bits change"
    if effort is not None:
        return f"no point activates it (largest value seen {active:.1e}); {PROVED} {effort:,}"
    return f"no point activates it (largest value seen {active:.1e}); {OPEN} {max(options.efforts, default=0):,}"


def why_taken(found: Outcome, deadline: float) -> str:
    """Why the solver keeps a unit that we removed."""
    if found.at is not None:
        return f"**UNSOUND**: it is active at {_point(found.at)}"
    reason = f"no answer after {deadline:g} CPU s" if found.word == TIME else found.word
    return f"{reason}; we have a proof"


def _point(at: np.ndarray) -> str:
    """An input, short where it has few numbers."""
    return f"x = ({', '.join(f'{x:.4g}' for x in at)})" if len(at) <= 8 else "an input"


def page(record: dict) -> list[str]:
    """The record as Markdown."""
    cells = record["cells"]
    return [
        "# Removal by solver queries within a tolerance, and ours",
        "",
        *(f"`{command}`  " for command in record["commands"]),
        "",
        f"{record['machine']}. {record['network']}; {len(cells)} of a bundle's {record['cells_of_bundle']:,} cells, sampled by volume; effort {record['effort']:,}. "
        f"As Lahav and Katz (FMCAD 2021) ask it, in real arithmetic: is a unit always inactive, its pre-activation being at most {record['tolerance']:g}; do outputs move by at "
        f"most {record['tolerance']:g} without it (two copies of the network in one query, one for each output and sign); is it always active. Forward redundancy (values some layers on stay within a tolerance) is not asked. The solver ({record['solver']}) is asked only where points and "
        f"gradients leave the question open, about at most {record['units']} units of a cell and kind, {record['deadline']:g} CPU seconds for each. It is given our intervals, and for kept units what we removed. A solver's word "
        "is floating point and no proof.",
        "",
        *_units(record),
        "",
        *_work(record),
        "",
        *_disagreements(cells),
    ]


def _claims(cells: Sequence[dict], kind: str) -> list[dict]:
    """All claims of a kind that points left open."""
    return [claim for cell in cells for claim in cell["claims"] if claim["kind"] == kind and claim["word"] != "point"]


def _units(record: dict) -> list[str]:
    """What the solver says, by kind of question."""
    cells = record["cells"]
    live, removed = (sum(cell[name] for cell in cells) for name in ("live", "removed"))
    share = shares(cells)
    return [
        "## Units",
        "",
        f"{removed:,} units are removed in these cells and {live:,} kept.",
        "",
        "| question | units | open after points | asked | holds: bounds | holds: solver | witness | witness not confirmed | no answer | CPU s a query |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(f"kept: {TITLES[kind]}", live, _open(cells, kind), _claims(cells, kind)) for kind in KEPT),
        _row(f"removed: {TITLES['removed']}", removed, removed, _claims(cells, "removed")),
        "",
        f"Of the units that we keep the solver would remove {share['inactive']:.1%} as inactive, {share['all']:.1%} with those of no effect (asked units, extrapolated to those that points leave open); "
        f"of those that we removed it confirms {share['removed']:.1%} in its time. "
        "*Not confirmed*: the solver gives an input as a witness at which, and further along the gradient, eval32 sees none: its tolerance, in units of a variable's range, can be coarser than what is asked. "
        "Such units stay with both.",
    ]


def _open(cells: Sequence[dict], kind: str) -> int:
    """How many kept units the solver would be asked about, were there no sample."""
    return round(sum(scaled(cell, (kind,), lambda _: 1.0) for cell in cells))


def shares(cells: Sequence[dict]) -> dict[str, float]:
    """Shares of kept units that the solver removes, for being inactive and in all, and of removed ones that it confirms."""
    live, removed = (max(1, sum(cell[name] for cell in cells)) for name in ("live", "removed"))
    inactive, every, confirmed = (
        sum(scaled(cell, kinds, _holds) for cell in cells) for kinds in (("inactive",), GOING, ("removed",))
    )
    return {"inactive": inactive / live, "all": every / live, "removed": confirmed / removed}


def scaled(cell: dict, kinds: Sequence[str], value: Callable[[dict], float]) -> float:
    """Sum of a value over all units of a cell to which questions of some kinds are open, extrapolated from those asked."""
    asked = Counter(claim["kind"] for claim in cell["claims"])
    asked["effect"] = asked["inactive"]  # asked of the same units, where the first answer was no
    whole = cell["open"] | {"effect": cell["open"]["inactive"], "removed": cell["removed"]}
    return sum(value(c) * whole[c["kind"]] / asked[c["kind"]] for c in cell["claims"] if c["kind"] in kinds)


def _holds(claim: dict) -> float:
    """1 if the solver, or bounds alone, let the unit go."""
    return float(claim["word"] in ("bounds", "solver"))


def _seconds(claim: dict) -> float:
    """CPU seconds of the solver."""
    return claim["seconds"]


def _row(title: str, units: int, left: int, claims: Sequence[dict]) -> str:
    """One kind of question."""
    count = Counter(claim["word"] if claim["word"] in SETTLED else "open" for claim in claims)
    seconds = [claim["seconds"] for claim in claims if claim["word"] != "bounds"]
    cost = f"{np.mean(seconds):.2f}" if seconds else "–"
    words = " | ".join(f"{count[word]:,}" for word in (*SETTLED, "open"))
    return f"| {title} | {units:,} | {left:,} | {len(claims):,} | {words} | {cost} |"


def _work(record: dict) -> list[str]:
    """Expected multiply-accumulates and CPU seconds."""
    cells = record["cells"]
    mac = {name: float(np.mean([cell["mac"][name] for cell in cells])) for name in cells[0]["mac"]}
    silent, every, confirm = (
        float(np.mean([scaled(cell, kinds, _seconds) for cell in cells]))
        for kinds in (("inactive",), GOING, ("removed",))
    )
    own = [[cell["searches"][i] for cell in cells] for i in range(len(cells[0]["searches"]))]
    first = float(np.mean([search["seconds"] for search in own[0]]))
    rows = [("the parent", 0.0, float(record["parent_mac"]))]
    rows += [
        (
            f"our search, effort {run[0]['effort']:,}",
            float(np.mean([s["seconds"] for s in run])),
            float(np.mean([s["mac"] for s in run])),
        )
        for run in own
    ]
    rows += [
        ("the solver alone: inactive", confirm + silent, mac["solver_inactive"]),
        ("the solver alone: inactive, or no effect", confirm + every, mac["solver_all"]),
        ("the bundle's members", first, mac["ours"]),
        ("the bundle's members, less what the solver calls inactive", first + silent, mac["both_inactive"]),
        ("the bundle's members, less that and what has no effect", first + every, mac["both_all"]),
    ]
    return [
        "## Work",
        "",
        "Means of these cells, so estimates of expectations by volume. Those of the solver are extrapolated: units that it was not asked about go as often as those of the same kind that it was. That each of "
        "several units has no effect does not say that all of them together have none: these rows are what the queries allow one by one. "
        "Seconds are those of search alone, without cuts and checks, and of the solver alone, without points and bounds; about kept units it is asked with what we removed as known facts.",
        "",
        "| who removes | CPU s a cell | MAC | x dense |",
        "|---|---|---|---|",
        *(
            f"| {title} | {seconds:.2f} | {work:,.0f} | {record['parent_mac'] / max(work, 1):.2f} |"
            for title, seconds, work in rows
        ),
    ]


def _disagreements(cells: Sequence[dict]) -> list[str]:
    """A row for each; units that are only linear in one line."""
    rows = list(_rows(cells))
    linear = sum(claim["kind"] == "active" and bool(claim["why"]) for cell in cells for claim in cell["claims"])
    return [
        "## Disagreements",
        "",
        f"{linear} of the units asked about are always active. We keep them: merging them with what reads them saves no work by itself, and changes how sums are rounded.",
        "",
        *_reasons(cells),
        "",
        "| cell | layer, unit | we | solver | kind | why |",
        "|---|---|---|---|---|---|",
        *sorted(rows, key=lambda row: "UNSOUND" not in row),
    ]


def _reasons(cells: Sequence[dict]) -> list[str]:
    """How many disagreements have which reason."""
    whys = [claim["why"] for cell in cells for claim in cell["claims"] if claim["kind"] in GOING and claim["why"]]
    count = {reason: sum(reason in why for why in whys) for reason in (PROVED, OPEN, ACTIVE)}
    missed = sum(claim["kind"] == "removed" and bool(claim["why"]) for cell in cells for claim in cell["claims"])
    return [
        f"Of the units asked about, {len(whys)} may go by the solver and are kept by us: {count[PROVED]} are inactive, and our own search proves it with more effort; {count[OPEN]} may be "
        f"inactive, but our own search leaves that open; {count[ACTIVE]} are active by little, which bits show. {missed} that we removed it does not confirm.",
    ]


def _rows(cells: Sequence[dict]) -> Iterator[str]:
    """One line for each unit that one side removes and the other keeps."""
    for cell in cells:
        for claim in (claim for claim in cell["claims"] if claim["why"] and claim["kind"] != "active"):
            we = "removed" if claim["kind"] == "removed" else "keep"
            word = WORDS.get(claim["word"], claim["word"])
            yield f"| {cell['cell']} | {claim['unit'][0]}, {claim['unit'][1]} | {we} | {word} | {TITLES[claim['kind']]} | {claim['why']} |"
