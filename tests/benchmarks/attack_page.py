"""The record of the semantic attack as a page."""

from __future__ import annotations

from tests.attack.hunt import KINDS


def attack_page(record: dict) -> list[str]:
    """The record as Markdown."""
    lines = [
        "# Semantic attack",
        "",
        f"`{record['command']}`",
        "",
        f"{record['machine']}. Points are float32 inputs at which the compiled C of family and parent were compared (`==`; in mode decision by what they decide, in mode epsilon with their bounds where a member with a readout serves). *Largest value*: of the "
        "parent's pre-activation of any unit that is removed in the point's cell; it must not be positive. Time: processor seconds in parent and family.",
    ]
    for bundle in record["bundles"]:
        lines += ["", *_bundle_lines(bundle)]
        if bundle["forgeries"]:
            lines += ["", *_forgery_lines(bundle["forgeries"], bundle["not_made"])]
    return lines


def _bundle_lines(bundle: dict) -> list[str]:
    """An accepted bundle's table."""
    verdict = "accepted" if bundle["accepted"] else "NOT ACCEPTED"
    close = bundle["tightness"]
    title = f"## {bundle['network']}: {bundle['cells']:,} cells, {bundle['removed']:,} removals"
    lines = [
        title if close is None else f"{title}, {close['readouts']:,} cells with a readout",
        "",
        f"Bundle {bundle['digest'][:16]}, {verdict} by `slicer audit`. {bundle['points']:,} points in {bundle['seconds']:,.0f} s "
        f"({bundle['points_per_second']:,.0f} per second).",
        "",
        f"| kind of point | points | differences | removed units active | largest value |{'' if close is None else ' largest share of a bound |'} s |",
        f"|---|---|---|---|---|---|{'' if close is None else '---|'}",
    ]
    for kind, row in bundle["kinds"].items():
        largest = "–" if row["largest"] is None else f"{row['largest']:.3g}"
        share = "" if close is None else f" {_share(row['share'])} |"
        numbers = f"{row['points']:,} | {row['different'] + row['refused']:,} | {row['active']:,} | {largest} |{share} {row['seconds']:,.1f}"
        lines.append(f"| {kind}: {KINDS[kind]} | {numbers} |")
    row = bundle["closings"]
    lines += [
        "",
        f"Closings of the proof trees, each at the worst of a sample of its own box and after an ascent: {row['closings']:,} attacked, "
        f"{row['violated']:,} violated.",
    ]
    return (
        lines
        if close is None
        else [*lines, "", *_tightness_lines(close, broken=any(row["different"] for row in bundle["kinds"].values()))]
    )


def _tightness_lines(close: dict, *, broken: bool) -> list[str]:
    """How much of the bounds is used."""
    if not close["readouts"]:
        return ["No cell has a readout: the outputs are to be equal everywhere."]
    kept = (
        "" if close["readouts_only"] else f" In the other cells, with exact members, {close['exact']} output differs."
    )
    if close["share"] is None:
        return [f"**The promise is broken where no difference is allowed.**{kept}"]
    worst = close["worst"]
    verdict = "**The promise is broken.** " if broken else ""
    least, median = close["least"], close["median"]
    return [
        f"{verdict}Largest difference found: {close['share']:.6f} of its bound, output {worst['output']} in cell {worst['cell']}, at "
        f"`{' '.join(worst['input'])}` (difference {worst['difference']}, bound {worst['bound']}; the interpreter gives the same). Of the {close['readouts']:,} cells "
        f"with a readout the largest found is at least {least:.3f} and in the median {median:.3f} of a bound.{kept}",
    ]


def _share(share: float | None) -> str:
    """A share of a bound; infinite where none is allowed."""
    return "∞" if share is None else f"{share:.4f}"


def _forgery_lines(rows: list[dict], not_made: list[str]) -> list[str]:
    """The table of a bundle's forgeries."""
    lines = [
        "### Forged",
        "",
        "Digests and form are right, the meaning is not. The exact checker reads no source models: that a parent is its source model is outside its claim.",
        "",
        "*Made*: bundles that differ from each other. *Shown*: an input is known at which they do not return what they promise. Points and closings are of the first one.",
        "",
        "| what was forged | made | shown | `slicer audit` rejects | `check.py` rejects | differences at directed points | at uniform points | closings violated |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        verdicts = [str(row[name]) for name in ("made", "shown", "rigorous_rejects", "exact_rejects")]
        if row["other_parent"] and not row["exact_rejects"]:
            verdicts[-1] = "(reads no models)"
        numbers = [f"{row[f'{kind}_different']:,} of {row[kind]:,}" for kind in ("directed", "uniform", "closings")]
        lines.append("| " + " | ".join([row["name"], *verdicts, *numbers]) + " |")
    if not_made:
        lines += [
            "",
            f"Not made, as the bundle offers nothing of the kind, or nothing that an input shows: {'; '.join(not_made)}.",
        ]
    return lines
