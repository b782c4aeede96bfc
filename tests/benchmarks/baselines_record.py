"""What `tests.benchmarks.baselines` found: verdicts of all methods per cell, the table, and every disagreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slicer.search.solvers.advice import Hint
from slicer.search.verdict import Open, Proved, Refuted

Claimed = Proved | Refuted | Hint | Open
NAMES = {
    "marabou": "(a) Marabou, one query per unit",
    "joint": "(b) MILP, one for all units of a cell",
    "layers": "(b) MILP, one for all units of a layer",
    "milp": "(c) MILP, one per unit",
}


@dataclass(frozen=True)
class Result:
    """A method's verdicts on claims of one cell, and its CPU seconds for all of them."""

    verdicts: dict[int, Claimed]
    seconds: float


@dataclass(frozen=True)
class CellResult:
    """All methods on one cell.

    Attributes
    ----------
    candidates:
        How many there are, those that intervals at the cell decide included.
    claims:
        The other candidates, flat unit to phase.
    sample:
        The claims that solvers were asked about one by one.
    results:
        By method.
    """

    number: int
    candidates: int
    claims: dict[int, int]
    sample: tuple[int, ...]
    results: dict[str, Result]


def set_record(name: str, cells: Sequence[CellResult]) -> dict:
    """What the page shows of a set, and every claim."""
    methods = list(cells[0].results)
    return {
        "name": name,
        "cells": [cell.number for cell in cells],
        "candidates": sum(cell.candidates for cell in cells),
        "claims": sum(len(cell.claims) for cell in cells),
        "sample": sum(len(cell.sample) for cell in cells),
        "rows": [_row(method, cells) for method in methods],
        "disagreements": [found for cell in cells for found in disagreements(cell)],
        "verdicts": [_claim(cell, unit) for cell in cells for unit in cell.claims],
        "seconds": {method: [cell.results[method].seconds for cell in cells] for method in methods},
    }


def _row(method: str, cells: Sequence[CellResult]) -> dict:
    """One method: verdicts on the claims it was asked, on the sample that all were asked, and where ours are open."""
    asked = [
        verdict for cell in cells for unit, verdict in cell.results[method].verdicts.items() if unit in cell.claims
    ]
    sample = [cell.results[method].verdicts[unit] for cell in cells for unit in cell.sample]
    beyond = [cell.results[method].verdicts[unit] for cell in cells for unit in cell.sample if _left_open(cell, unit)]
    seconds = sum(cell.results[method].seconds for cell in cells)
    return {
        "method": method,
        "asked": len(asked),
        "kept": sum(isinstance(verdict, Proved | Hint) for verdict in asked),
        "refuted": sum(isinstance(verdict, Refuted) for verdict in asked),
        "share": _decided(asked) / max(1, len(asked)),
        "sample_share": _decided(sample) / max(1, len(sample)),
        "left_open_by_us": len(beyond),
        "of_these_decided": _decided(beyond),
        "cpu_seconds": seconds,
        "cpu_per_cell": seconds / len(cells),
        "cpu_per_decided": seconds / _decided(asked) if _decided(asked) else None,
    }


def _decided(verdicts: Sequence[Claimed]) -> int:
    """How many are not open."""
    return sum(not isinstance(verdict, Open) for verdict in verdicts)


def _left_open(cell: CellResult, unit: int) -> bool:
    """Whether none of our searches decides a claim."""
    return all(isinstance(r.verdicts[unit], Open) for method, r in cell.results.items() if method.startswith("ours"))


def disagreements(cell: CellResult) -> list[dict]:
    """Claims of which one method says that they hold and another has a witness that eval32 confirmed."""
    found = []
    for unit, phase in cell.claims.items():
        said = {method: result.verdicts[unit] for method, result in cell.results.items() if unit in result.verdicts}
        witnesses = {method: verdict.witness for method, verdict in said.items() if isinstance(verdict, Refuted)}
        wrong = [method for method, verdict in said.items() if isinstance(verdict, Proved | Hint)]
        if witnesses and wrong:
            found.append(
                {
                    "cell": cell.number,
                    "unit": unit,
                    "phase": phase,
                    "wrong": wrong,
                    "unsound": any(isinstance(said[method], Proved) for method in wrong),
                    "witnesses": {method: [float(x).hex() for x in at] for method, at in witnesses.items()},
                }
            )
    return found


def _claim(cell: CellResult, unit: int) -> dict:
    """One claim and what each method says of it."""
    said = {m: _word(result.verdicts[unit]) for m, result in cell.results.items() if unit in result.verdicts}
    return {"cell": cell.number, "unit": unit, "phase": cell.claims[unit], "verdicts": said}


def _word(verdict: Claimed) -> str:
    """A verdict in a word, or the reason of an open one."""
    return f"open: {verdict.reason}" if isinstance(verdict, Open) else type(verdict).__name__.lower()


def page(record: dict) -> list[str]:
    """The record as Markdown."""
    return [
        "# The prover and solvers on the same claims",
        "",
        f"`{record['command']}`",
        "",
        f"{record['machine']}. A claim is a candidate that intervals at its cell leave open. *Holds*: proved (ours), or said by a solver in floating point, "
        "which is no proof. *Refuted*: by a witness that eval32 confirms. Joint methods, ours among them, are asked about all claims of a cell and their CPU seconds "
        "are shared by them; methods that ask one by one are asked about a sample, on which all are compared.",
        *(line for found in record["sets"] for line in table(found)),
    ]


def table(record: dict) -> list[str]:
    """One set."""
    decided = record["candidates"] - record["claims"]
    return [
        "",
        f"## {record['name']}",
        "",
        f"{len(record['cells'])} cells with {record['candidates']:,} candidates; intervals decide {decided:,}, which leaves {record['claims']:,} claims; "
        f"sample of {record['sample']:,}, {record['rows'][0]['left_open_by_us']:,} of them left open by us.",
        "",
        "| method | asked | hold | refuted | decided | decided of the sample | decided of what we leave open | CPU s a cell | CPU s a decided claim | to ours |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_line(row, record["rows"][0]["cpu_per_decided"]) for row in record["rows"]),
        "",
        *_disagreement_lines(record["disagreements"]),
    ]


def _line(row: dict, own: float | None) -> str:
    """One method; ``own`` is what a decided claim costs the first of our searches."""
    cost = row["cpu_per_decided"]
    name = NAMES.get(row["method"], row["method"].replace("ours ", "ours, effort "))
    price = "–" if cost is None else f"{cost:.3g}"
    ratio = "–" if cost is None or not own else f"{cost / own:,.3g} x"
    return (
        f"| {name} | {row['asked']:,} | {row['kept']:,} | {row['refuted']:,} | {row['share']:.1%} | {row['sample_share']:.1%} | "
        f"{row['of_these_decided']:,} | {row['cpu_per_cell']:.2f} | {price} | {ratio} |"
    )


def _disagreement_lines(found: Sequence[dict]) -> list[str]:
    """Every disagreement, those that accuse us first."""
    if not found:
        return ["No disagreements."]
    return [
        f"- {'**UNSOUND** ' * entry['unsound']}cell {entry['cell']}, unit {entry['unit']}, phase {entry['phase']:+d}: "
        f"{', '.join(entry['wrong'])} say that it holds; witness of {', '.join(entry['witnesses'])}"
        for entry in sorted(found, key=lambda entry: not entry["unsound"])
    ]
