"""The front of a report: verdict, findings, identity, how to repeat the audit, and what the verdict means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from slicer.report.markup import Markup, bullets, code, element, facts, group, join, marked, section, table
from slicer.report.record import Contents, FindingRecord, Identity, Report

SHOWN = 50  # findings outside of <details>
_WORDS = {"accepted": "ACCEPTED", "attested": "ATTESTED", "rejected": "REJECTED", "incomplete": "NO VERDICT"}


def title(report: Report) -> str:
    """The page's title: verdict first."""
    return f"{_WORDS[report.verdict]}: audit of {report.name}"


def verdict(report: Report) -> Markup:
    """The verdict, and what is wrong if something is."""
    name = f"verdict {report.verdict}"
    heading = element("h1", element("strong", _WORDS[report.verdict]), f" Audit of the bundle {report.name}")
    box = element("div", heading, element("p", _meaning(report)), class_=name)
    return join([box, *_alarm(report), *_findings(report.rejections), _figures(report)])


def _meaning(report: Report) -> str:
    """One sentence on the verdict."""
    if report.verdict == "rejected":
        many = len(report.rejections)
        found = "one finding" if many == 1 else f"{many:,} findings"
        return (
            f"The audit ended with {found}. Nothing is established about this bundle, and it must not be used as if it "
            "were equal to its parent. What follows describes what it holds, not what is proved."
        )
    if report.verdict == "incomplete":
        return (
            f"{report.cells_checked:,} of {report.cells:,} cells were checked and nothing was found wrong in them, but "
            "a bundle is accepted only if every cell is."
        )
    if report.verdict == "attested":
        return (
            f"{report.attested:,} of {report.removed:,} removals rest on a solver's word and on no proof. If it was "
            "right, what this bundle claims holds; everything else in it is proved."
        )
    who = "by two independent checkers" if len(report.checkers) > 1 else "by the rigorous checker"
    cells = "its only cell" if report.cells == 1 else f"all {report.cells:,} cells"
    return f"What this bundle claims is proved: {who}, in {cells}, for every float32 input of the domain."


def _alarm(report: Report) -> Iterable[Markup]:
    """A loud box if the checkers disagree."""
    if not report.disagreements:
        return
    rows = [
        (
            "the bundle as a whole" if place.cell is None else f"cell {place.cell}",
            f"only the {place.rejecting} checker rejects",
        )
        for place in report.disagreements
    ]
    yield element(
        "div",
        element("strong", "THE CHECKERS DISAGREE"),
        element(
            "p",
            "One checker rejects what the other accepts. So one of them is wrong, or the bundle was made to mislead "
            "one of them. The bundle is rejected; please report it.",
        ),
        facts(rows[:SHOWN]),
        *([element("p", f"and {len(rows) - SHOWN:,} more places")] if len(rows) > SHOWN else []),
        class_="alarm",
    )


def _findings(rejections: tuple[FindingRecord, ...]) -> Iterable[Markup]:
    """What was rejected, where and why."""
    head = ("checker", "cell", "where", "why")
    rows = [(one.checker, "–" if one.cell is None else str(one.cell), code(one.where), one.why) for one in rejections]
    if rows:
        yield element("h2", "Findings")
        yield table(head, rows[:SHOWN])
    if rows[SHOWN:]:
        yield group(f"{len(rows) - SHOWN:,} more findings", table(head, rows[SHOWN:]))


def _figures(report: Report) -> Markup:
    """The audit in numbers."""
    rows = [
        ("cells checked", f"{report.cells_checked:,} of {report.cells:,}" if report.cells else "none"),
        (
            "removals verified",
            f"{report.removed - report.attested:,} units in the cells that the rigorous checker accepts",
        ),
        ("bounds verified", f"{report.bounds_verified:,} in {report.nodes:,} proof nodes of these cells"),
        ("audit time", f"{report.seconds:.3f} s"),
    ]
    if report.contents is not None:
        parent, mean = report.contents.parent, report.contents.mac_mean
        units = report.contents.relu_units_mean
        rows.insert(1, ("work left, mean", _of(mean, parent.mac, "multiply-accumulates per inference")))
        rows.insert(2, ("ReLU units left, mean", _of(units, parent.relu_units, "evaluated per inference")))
    if report.attested:
        rows.append(("removals attested", f"{report.attested:,} units on a solver's word"))
    head = ("checker", "verdict", "cells checked", "cells rejected", "seconds", "arithmetic")
    checkers = (
        (
            one.name,
            marked(one.verdict),
            f"{one.cells_checked:,}",
            f"{one.cells_rejected:,}",
            f"{one.seconds:.3f}",
            one.arithmetic,
        )
        for one in report.checkers
    )
    return join([facts(rows), table(head, checkers, range(2, 5))])


def _of(value: float, whole: int, words: str) -> str:
    """A mean beside its whole."""
    share = f"{100 * value / whole:.1f} %" if whole else "–"
    return f"{value:,.1f} of {whole:,} {words} ({share})"


def _kept(contents: Contents | None) -> str:
    """What members have in common with the parent."""
    if contents is None:
        return "the bundle's content is not shown"
    if contents.decision is not None:
        return f"members have the parent's {contents.decision}"
    if contents.epsilon is not None:
        return f"members are within {', '.join(f'{bound:.9g}' for bound in contents.epsilon)} of the parent's outputs"
    return "members return the parent's float32 results"


def identity(report: Report) -> Markup:
    """What was audited, made and audited with which tools."""
    found = report.identity
    if found is None:
        return section("identity", "Identity", element("p", f"Not known: {report.unreadable}"))
    rows = [
        ("bundle", code(found.bundle)),
        ("mode", f"{found.mode} ({_kept(report.contents)})"),
        ("parent", join([code(found.parent), " family/parent.json"])),
        *_network(report),
        ("source model", join([code(found.source.sha256), f" {found.source.path}, {found.source.size:,} bytes"])),
        ("source read again", _agreement(found)),
        ("search", _search(found)),
        ("options", _pairs(found.options)),
        ("made with", _pairs(found.tools)),
        ("audited with", _pairs(report.tools)),
        ("exact checker", _checker(report, found)),
    ]
    note = element(
        "p", "Digests are sha256. The bundle's is that of manifest.json, which lists the digest of every file."
    )
    problem = [element("p", f"The bundle's content is not shown: {report.unreadable}")] if report.unreadable else []
    return section("identity", "Identity", note, facts(rows), *problem)


def _network(report: Report) -> Iterable[tuple[str, str]]:
    """The parent's size."""
    if report.contents is not None:
        inputs, outputs, cost = len(report.contents.inputs), report.contents.outputs, report.contents.parent
        words = (
            f"{inputs:,} inputs, {outputs:,} outputs, {cost.relu_units:,} ReLU units, {cost.mac:,} multiply-accumulates"
        )
        yield "network", words


def _agreement(found: Identity) -> str:
    """Whether the source model is the parent."""
    if found.source_agrees is None:
        return "not examined, as the bundle was rejected before"
    if found.source_agrees:
        return "gives the parent, byte for byte"
    return marked("rejected")


def _search(found: Identity) -> str:
    """Whether a time limit ended the search."""
    if found.truncated:
        return "cut short by its time limit: more units might have been left out; proofs are not affected"
    return "ran to its end (no time limit was met)"


def _checker(report: Report, found: Identity) -> Markup:
    """Which exact checker was used, and whether the bundle's copy is the same."""
    used = [one.program for one in report.checkers if one.program]
    words = {"own": "the bundle holds a copy of this tool's", "none": "the bundle holds no copy"}
    copy = words.get(found.checker, "the check.py in the bundle is NOT this tool's: do not rely on what it says")
    return join([code(used[0]), f" check.py, {copy}"]) if used else join([f"not asked; {copy}"])


def _pairs(values: Mapping[str, Any]) -> str:
    """A JSON object in one line."""
    words = (f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items())
    return ", ".join(words) or "–"


def repeat(report: Report) -> Markup:
    """Commands, and what to expect of them."""
    lines = (
        element(
            "div",
            element("p", f"{one.purpose}:"),
            element("pre", one.line),
            element("p", join(["must give ", code(one.expected)])),
            class_="command",
        )
        for one in report.commands
    )
    return section(
        "repeat", "How to repeat this audit", element("p", "In the directory that holds the bundle:"), *lines
    )


def meaning(report: Report) -> Markup:
    """The claim, its arithmetic, its limits."""
    words = report.statement
    return section(
        "claim",
        "What is claimed",
        element("blockquote", element("p", words.claim)),
        element("h3", "Arithmetic"),
        bullets(words.arithmetic),
        element("h3", "Assumptions"),
        bullets(words.assumptions),
        element("h3", "Not claimed"),
        bullets(words.not_claimed),
        element("p", "The normative text, with proofs, is CERTIFICATE.md of the tool, version 2."),
    )
