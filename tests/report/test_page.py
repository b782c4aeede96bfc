"""The page: well formed, on its own, safe from names that others chose, and equal in content to the record."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slicer
from slicer.auditor import Audit
from slicer.certificate.verdict import Accepted, AuditResult, CellOutcome, Rejected
from slicer.report import collect, report_html
from slicer.report.markup import element, escaped, printable
from tests.random_networks import chain
from tests.report.kit import Page, both, forge, forge_manifest, renamed_model, without_proof

NAMES = ["bundle", "reasons", "line", "untouched"]


@pytest.mark.parametrize("name", NAMES)
def test_a_page_stands_alone(name, request):
    """Well formed, no script, nothing that is fetched, every link within the page."""
    source = both(request.getfixturevalue(name))[1]
    page = Page(source)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "base", "form", "image", "use"}
    assert not re.search(r"https?:|//|@import|javascript:|<!--", source.removeprefix("<!DOCTYPE html>"))
    assert set(re.findall(r"url\(([^)]*)\)", source)) <= {"#hatch"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    identifiers = page.values("id")
    assert len(set(identifiers)) == len(identifiers)
    assert {link for link in page.values("href") if link != f"#{link[1:]}"} == set()
    assert {link[1:] for link in page.values("href")} <= set(identifiers)
    assert page.tags[1] == ("head", {})
    assert ("html", {"lang": "en"}) in page.tags


@pytest.mark.parametrize("name", NAMES)
def test_pictures_have_words(name, request):
    page = Page(both(request.getfixturevalue(name))[1])
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(drawings) >= 4  # legend, strip, histogram, layers
    assert all(attributes["role"] == "img" for attributes in drawings)
    titles = sum(tag == "title" for tag, _ in page.tags)
    assert titles == len(drawings) + 1


def test_what_the_record_says_stands_in_the_page(bundle):
    """Front, identity, commands, statement."""
    record, source = both(bundle, exact=True, jobs=1)
    page = Page(source)
    words = page.words["body"]
    identity, statement = record["identity"], record["statement"]
    told = [identity["bundle"], identity["parent"], identity["source"]["sha256"], identity["source"]["path"]]
    told += [checker["arithmetic"] for checker in record["checkers"]] + [record["checkers"][1]["program"]]
    told += [command[key] for command in record["commands"] for key in ("purpose", "line", "expected")]
    told += [statement["claim"], *statement["arithmetic"], *statement["assumptions"], *statement["not_claimed"]]
    told += [f"{name} {version}" for name, version in record["tools"].items()]
    told += [f"{key} {value}" for key, value in identity["options"].items()]
    network = record["contents"]["parent"]
    told += [f"3 inputs, 2 outputs, {network['relu_units']} ReLU units, {network['mac']} multiply-accumulates"]
    told += [f"{record['removed']:,} units", f"{record['bounds_verified']:,} in {record['nodes']:,} proof nodes"]
    assert [text for text in told if text not in words] == []


def test_the_tables_are_those_of_the_record(bundle):
    record, source = both(bundle, exact=True, jobs=1)
    rows, contents = Page(source).rows, record["contents"]
    inputs = [
        [f"x{axis}", _plain(one["lower"]), _plain(one["upper"]), str(one["cuts"]), f"{one['cuts_mean']:.3g}"]
        for axis, one in enumerate(contents["inputs"])
    ]
    assert rows["domain"][1:] == inputs
    for position, (layer, row) in enumerate(zip(contents["layers"], rows["savings"][1:], strict=True)):
        assert row[:3] == [str(position), layer["kind"], layer["name"]]
        units = [layer["units"], layer["units_min"], f"{layer['units_mean']:.1f}", layer["units_max"]]
        assert row[3:] == [str(number) for number in units]
    assert rows["files"][1:] == [
        [one["path"], f"{one['size']:,}", one["sha256"]] for one in record["identity"]["files"]
    ]
    assert rows["cells"][1:] == [_cell_row(index, cell, contents) for index, cell in enumerate(contents["cells"])]
    head = rows["cells"][0]
    assert f"MAC of {contents['parent']['mac']:,}" in head
    assert head[-2:] == ["rigorous", "exact"]


def _plain(number: float) -> str:
    """A float as people write it."""
    return str(int(number)) if number == int(number) else str(number)


def _cell_row(index: int, cell: dict[str, Any], contents: dict[str, Any]) -> list[str]:
    """The row of an accepted cell, from the record."""
    proof, cost = cell["proof"], contents["members"][cell["member"]]["cost"]
    removed = sum(len(row["proved"]) for row in cell["removals"])
    box = " ".join(f"x{a}\N{NO-BREAK SPACE}[{_plain(x)},\N{NO-BREAK SPACE}{_plain(y)}]" for a, x, y in cell["box"])
    counts = [cell["comparisons"], cost["relu_units"], cost["mac"], removed]
    counts += [proof[key] for key in ("inactive", "active", "nodes", "depth")]
    numbers = [f"{100 * cell['share']:.3g} %", *(f"{count:,}" for count in counts)]
    numbers += ["–" if proof["margin"] is None else f"{proof['margin']:.2e}"]
    times = ["" if found["seconds"] is None else f" {found['seconds']:.3f} s" for found in cell["verdicts"].values()]
    return [str(index), box or "the whole domain", *numbers, *(f"accepted{time}" for time in times)]


@pytest.mark.parametrize("name", NAMES)
def test_every_removal_stands_in_the_page(name, request):
    """Read back from the page: layer, units, how many nodes close each, and the reasons of the others."""
    record, source = both(request.getfixturevalue(name))
    layers = [f"{position} {layer['name']}: " for position, layer in enumerate(record["contents"]["layers"])]
    for cell, row in zip(record["contents"]["cells"], Page(source).rows["removals"][1:], strict=True):
        member = record["contents"]["members"][cell["member"]]
        serves = f" of {member['cells']} cells" if member["cells"] > 1 else ""
        assert row[2] == f"{cell['certificate']}member {member['sha256'][:16]}…{serves}"
        if not cell["removals"]:
            assert row[1] == "nothing: the member is the parent"
            continue
        told = row[1].removeprefix("\n").split("\n")
        if member["prefixes"] or member["constants"]:
            assert (
                told.pop() == f"in the member: {member['prefixes']} constant prefixes, {member['constants']} constants"
            )
        for removal, words in zip(cell["removals"], told, strict=True):
            label = layers[removal["layer"]]
            assert words.startswith(label)
            assert _units(words.removeprefix(label)) == _expected(removal)


REASONS = {"constant:": "constant", "unread:": "unread", "still evaluated:": "evaluated"}


def _expected(removal: dict[str, Any]) -> dict[str, list[str]]:
    """What the page says about one layer of a cell."""
    pairs = zip(removal["proved"], removal["nodes"], strict=True)
    found = {"": [f"{unit}×{nodes}" if nodes > 1 else f"{unit}" for unit, nodes in pairs]}
    found |= {word: [str(unit) for unit in removal[key]] for word, key in REASONS.items()}
    return {word: units for word, units in found.items() if units}


def _units(text: str) -> dict[str, list[str]]:
    """What a line says: the units after each reason, none for proved ones."""
    found = {}
    for part in text.split("; "):
        word = next((word for word in REASONS if part.startswith(word)), "")
        found[word] = part.removeprefix(word).split()
    return found


def test_the_verdict_comes_first(bundle, copy):
    broken = copy(bundle)
    without_proof(broken, 1)
    verdicts = {"ACCEPTED": {}, "NO VERDICT": {"cells": [0]}}
    for word, options in verdicts.items():
        page = Page(both(bundle, **options)[1])
        assert page.words["body"].startswith(word)
        assert page.words["title"].startswith(word)
    record, source = both(broken)
    page = Page(source)
    assert page.words["body"].startswith("REJECTED")
    assert page.words["title"].startswith("REJECTED")
    assert "ACCEPTED" not in source
    (finding,) = record["rejections"]
    assert page.rows["front"][1] == ["rigorous", "1", finding["where"], finding["why"]]
    assert page.rows["cells"][2][-1].startswith("rejected")
    assert finding["why"] in page.rows["removals"][2][1]
    assert "DISAGREE" not in source


def test_a_broken_bundle_has_a_page(bundle, copy):
    broken = copy(bundle)
    (broken / "family" / "parent.json").write_bytes(b"")
    record, source = both(broken)
    page = Page(source)
    assert page.words["body"].startswith("REJECTED")
    assert record["unreadable"] in page.words["identity"]
    assert "cells" not in page.rows


def test_a_disagreement_is_loud(bundle):
    audit = slicer.audit(bundle)
    cells = tuple(CellOutcome(cell, Rejected("here", "no") if cell == 3 else Accepted()) for cell in range(5))
    exact = AuditResult(Accepted(), cells, 5, 1.0, audit.rigorous.digest)
    page = Page(report_html(collect(bundle, Audit(audit.rigorous, audit.source, exact))))
    assert page.words["body"].startswith("REJECTED")
    assert "THE CHECKERS DISAGREE" in page.words["body"]
    assert ["cell 3", "only the exact checker rejects"] in page.rows["front"]


NASTY = ["<script>alert(1)</script>", '"><b onload=x>', "a&b]]>", "\u202egnirts\x07"]


def test_names_of_others_are_text(tmp_path):
    """Layer names come from the model, options from whoever wrote the bundle, the name from the directory."""
    network = chain(np.random.default_rng(3), [2, 6, 6, 1])
    model = renamed_model(tmp_path / "model.onnx", network, [*NASTY, "last"])
    options = slicer.Options(cells=2, effort=5, jobs=1)
    bundle = slicer.compress(model, "-1:1", tmp_path / "<i>bundle & co", options).path
    forge_manifest(bundle, options={"<u>key": '<em class="x">'}, tools={"</style><script>": {"a": ["<s>"]}})
    record, source = both(bundle)
    assert record["verdict"] == "accepted"
    assert [layer["name"] for layer in record["contents"]["layers"]][1:5] == NASTY
    page = Page(source)
    assert not {tag for tag, _ in page.tags} & {"script", "i", "u", "em", "s"}
    assert not [attributes for _, attributes in page.tags if "onload" in attributes]
    names = [row[2] for row in page.rows["savings"][2:6]]
    assert names == [*NASTY[:3], "\\u202egnirts\\x07"]
    assert '<u>key <em class="x">' in page.words["identity"]
    assert "Audit of the bundle <i>bundle & co" in page.words["body"]
    assert "slicer audit '<i>bundle & co' --json" in page.words["repeat"]
    source.encode("utf-8")


@given(st.text())
@settings(deadline=None, max_examples=200)
def test_any_text_survives(text):
    """What a page shows is the text, with escapes for what does not print; no text becomes an element."""
    page = Page(f"<p>{element('b', text, title=text, id='b')}</p>")
    assert page.words.get("b", "") == printable(text)
    assert [attributes.get("title") for tag, attributes in page.tags if tag == "b"] == [printable(text)]
    assert printable(text).isprintable()
    assert escaped(escaped(text)) == escaped(text)


def test_long_tables_are_cut_into_closed_groups(monkeypatch, bundle):
    whole = Page(both(bundle)[1])
    assert "details" not in {tag for tag, _ in whole.tags}
    assert "everything" not in whole.values("id")
    monkeypatch.setattr("slicer.report.tables.GROUP", 2)
    cut = Page(both(bundle)[1])
    assert "cells 4 to 4" in cut.words["cells"]
    assert "everything" in cut.values("id")
    heads = {row[0] for row in whole.rows["cells"][:1]}
    for section in ("cells", "removals", "files"):
        rows = [row for row in cut.rows[section] if row[0] not in {"cell", "path"}]
        assert [row[0] for row in rows] == [row[0] for row in whole.rows[section][1:]]
    assert heads == {"cell"}


def test_equal_audits_give_equal_pages(bundle, copy):
    """Byte for byte, wherever the bundle lies."""
    audit = slicer.audit(bundle)
    twin = copy(bundle, bundle.name)
    pages = [report_html(collect(place, audit)) for place in (bundle, bundle, twin)]
    assert pages[0] == pages[1] == pages[2]
    assert str(bundle.parent) not in pages[0]


def test_the_style_is_in_the_page(bundle):
    source = both(bundle)[1]
    style = (Path(slicer.__file__).parent / "report" / "report.css").read_text("utf-8")
    assert style in source
    assert "default-src 'none'" in source.replace("&#x27;", "'")
    page = Page(source)
    used = set(itertools.chain.from_iterable(value.split() for value in page.values("class")))
    defined = set(re.findall(r"\.([a-z]+)", style))
    assert used - defined <= {"path"}


def test_a_checker_that_is_not_ours_is_pointed_out(bundle, copy):
    assert "the bundle holds a copy of this tool's" in both(bundle)[1].replace("&#x27;", "'")
    other = copy(bundle)
    forge(other, "check.py", b"print('accepted')\n")
    assert "NOT this tool's" in Page(both(other)[1]).words["identity"]


def test_many_findings_are_all_there(bundle, copy, monkeypatch):
    broken = copy(bundle)
    for cell in range(1, 5):
        without_proof(broken, cell)
    monkeypatch.setattr("slicer.report.front.SHOWN", 1)
    record, source = both(broken, exact=True, jobs=1)
    rows = [row for row in Page(source).rows["front"] if row[0] in ("rigorous", "exact") and row[1].isdecimal()]
    assert rows == [[one["checker"], str(one["cell"]), one["where"], one["why"]] for one in record["rejections"]]
    assert len(rows) == 8
    assert "7 more findings" in source
