"""The record: valid by its schema, complete, and equal to what the bundle's own files say."""

from __future__ import annotations

import copy as copies
import json
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError

import slicer
from dispatcher.encode import digest
from dispatcher.errors import UnusableInput
from slicer.auditor import Audit
from slicer.certificate.verdict import Accepted, AuditResult, CellOutcome, Rejected
from slicer.report import collect, report_json
from tests.report.kit import forge, forge_manifest, residual_model, without_proof

SCHEMA = json.loads(files("slicer.report").joinpath("audit.schema.json").read_bytes())
VALIDATOR = Draft202012Validator(SCHEMA)


def record_of(bundle: Path, audit: Audit | None = None, **options: Any) -> dict[str, Any]:
    """The record of an audit, valid by the schema."""
    audit = audit or slicer.audit(bundle, **options)
    record = json.loads(report_json(collect(bundle, audit)))
    VALIDATOR.validate(record)
    return record


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ["bundle", "reasons", "line", "untouched"])
def test_an_accepted_bundle(name, request):
    record = record_of(request.getfixturevalue(name))
    assert (record["verdict"], record["accepted"], record["complete"]) == ("accepted", True, True)
    assert record["rejections"] == record["disagreements"] == []
    assert record["cells"] == record["cells_checked"] == len(record["contents"]["cells"])


def test_every_key_is_in_the_schema_and_every_change_of_type_is_noticed(bundle):
    """No part of a record is beyond the schema: another type anywhere, a key more or less, and it is invalid."""
    record = record_of(bundle)
    kinds = Counter(type(value).__name__ for _, value in _places(record))
    assert {"str", "int", "float", "bool", "list", "dict"} <= kinds.keys()
    free = ("options", "tools")  # JSON objects of the manifest that nobody interprets
    for path, value in _places(record):
        if any(key in free for key in path):
            continue
        broken = copies.deepcopy(record)
        _set(broken, path, {"odd": 1} if not isinstance(value, dict) else [])
        with pytest.raises(ValidationError):
            VALIDATOR.validate(broken)
        if isinstance(value, dict):
            for changed in ({**value, "odd": 1}, dict(list(value.items())[1:])):
                _set(broken, path, changed)
                with pytest.raises(ValidationError):
                    VALIDATOR.validate(broken)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Every place of a JSON value but the root; of a list, its first item stands for all."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))[:1]
    found = []
    for key, item in items:
        found.append(((*path, key), item))
        if isinstance(item, dict | list):
            found += _places(item, (*path, key))
    return found


def _set(value: Any, path: tuple[Any, ...], item: Any) -> None:
    """Change one place."""
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = item


@pytest.mark.parametrize(
    "lie",
    [
        {"accepted": False},
        {"verdict": "rejected"},
        {"rejections": [{"checker": "exact", "cell": 1, "where": "here", "why": "so"}]},
        {"disagreements": [{"cell": 1, "rejecting": "exact"}]},
        {"complete": False},
    ],
)
def test_the_schema_ties_the_verdict_to_the_findings(bundle, lie):
    with pytest.raises(ValidationError):
        VALIDATOR.validate(record_of(bundle) | lie)


def test_the_cells_are_those_of_the_files(bundle):
    record = record_of(bundle)
    contents, family = record["contents"], json.loads((bundle / "family/family.json").read_bytes())
    for index, cell in enumerate(contents["cells"]):
        certificate = json.loads((bundle / cell["certificate"]).read_bytes())
        assert certificate["cell"] == index
        assert contents["members"][cell["member"]]["sha256"] == certificate["member"]
        box = {key: [float.fromhex(number) for number in family["domain"][key]] for key in ("lower", "upper")}
        for axis, lower, upper in cell["box"]:
            box["lower"][axis], box["upper"][axis] = float(np.float32(lower)), float(np.float32(upper))
        assert {key: [number.hex() for number in box[key]] for key in box} == certificate["box"]
        removed = [[row["layer"], row["proved"]] for row in cell["removals"] if row["proved"]]
        assert removed == certificate["removed"]
        closed = Counter(
            (layer, unit) for node in certificate["tree"] for layer, units in node.get("inactive", []) for unit in units
        )
        for row in cell["removals"]:
            assert row["nodes"] == [closed[row["layer"], unit] for unit in row["proved"]]
        assert cell["proof"]["nodes"] == len(certificate["tree"])
        assert 1 <= cell["proof"]["depth"] + 1 <= cell["proof"]["nodes"]
        assert cell["proof"]["inactive"] == closed.total()


def test_the_sums_agree(bundle):
    record = record_of(bundle)
    contents = record["contents"]
    cells, members, parent = contents["cells"], contents["members"], contents["parent"]
    assert sum(cell["share"] for cell in cells) == pytest.approx(1)
    assert sum(len(row["proved"]) for cell in cells for row in cell["removals"]) == record["removed"] > 0
    assert sum(cell["proof"]["nodes"] for cell in cells) == record["nodes"]
    assert sum(c["proof"]["inactive"] + c["proof"]["active"] for c in cells) == record["bounds_verified"]
    mean = sum(cell["share"] * members[cell["member"]]["cost"]["mac"] for cell in cells)
    assert contents["mac_mean"] == pytest.approx(mean)
    for cell in cells:
        gone = sum(len(row["proved"]) + len(row["constant"]) + len(row["unread"]) for row in cell["removals"])
        still = sum(len(row["evaluated"]) for row in cell["removals"])
        assert members[cell["member"]]["cost"]["relu_units"] == parent["relu_units"] - gone + still
    for layer, units in zip(contents["layers"], zip(*(m["units"] for m in members), strict=True), strict=True):
        assert (layer["units_min"], layer["units_max"]) == (min(units), max(units))
        assert min(units) <= layer["units_mean"] <= max(units) <= layer["units"]
    assert sum(entry["cuts"] for entry in contents["inputs"]) == len(cells) - 1
    depth = sum(cell["share"] * cell["comparisons"] for cell in cells)
    assert sum(entry["cuts_mean"] for entry in contents["inputs"]) == pytest.approx(depth)


def test_every_unit_has_its_reason(reasons):
    (cell,) = record_of(reasons)["contents"]["cells"]
    assert cell["removals"] == [
        {"layer": 2, "proved": [0], "nodes": [1], "attested": [], "constant": [], "unread": [2], "evaluated": []},
        {"layer": 4, "proved": [1], "nodes": [1], "attested": [], "constant": [0], "unread": [], "evaluated": []},
    ]
    assert cell["box"] == []
    assert cell["verdicts"]["rigorous"]["outcome"] == "accepted"


def test_a_unit_that_is_proved_inactive_but_read_as_it_is(tmp_path):
    model = residual_model(tmp_path / "model.onnx")
    bundle = slicer.compress(model, "-1:1", tmp_path / "bundle", slicer.Options(cells=1, effort=5, jobs=1)).path
    contents = record_of(bundle)["contents"]
    (row,) = contents["cells"][0]["removals"]
    assert contents["layers"][row["layer"]]["name"] == "activation"
    assert row["proved"] == row["evaluated"] == [0]


def test_files_digests_and_commands(bundle):
    record = record_of(bundle)
    identity = record["identity"]
    assert identity["bundle"] == digest((bundle / "manifest.json").read_bytes())
    for entry in identity["files"]:
        content = (bundle / entry["path"]).read_bytes()
        assert (entry["sha256"], entry["size"]) == (digest(content), len(content))
    assert {entry["path"] for entry in identity["files"]} == {
        str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()
    } - {"manifest.json"}
    assert identity["source_agrees"] is True
    assert identity["parent"] == digest((bundle / "family/parent.json").read_bytes())
    audit, exact, manifest = record["commands"]
    assert audit["line"] == "slicer audit bundle --json audit.json --html audit.html"
    assert exact["line"].startswith("python3 -I -S ")
    assert manifest["expected"] == identity["bundle"]


def test_both_checkers_side_by_side(bundle):
    record = record_of(bundle, exact=True, jobs=1)
    assert [checker["name"] for checker in record["checkers"]] == ["rigorous", "exact"]
    assert record["checkers"][1]["program"]
    assert all(
        {name: found["outcome"] for name, found in cell["verdicts"].items()}
        == {"rigorous": "accepted", "exact": "accepted"}
        for cell in record["contents"]["cells"]
    )
    assert "--exact" in record["commands"][0]["line"]
    assert record["seconds"] == pytest.approx(sum(checker["seconds"] for checker in record["checkers"]), abs=0.01)


def test_a_sample_of_cells_is_no_verdict(bundle):
    record = record_of(bundle, cells=[1, 2, 4])
    assert (record["verdict"], record["complete"], record["cells_checked"]) == ("incomplete", False, 3)
    outcomes = [cell["verdicts"]["rigorous"]["outcome"] for cell in record["contents"]["cells"]]
    assert outcomes == ["not checked", "accepted", "accepted", "not checked", "accepted"]
    assert [cell["proof"] is None for cell in record["contents"]["cells"]] == [True, False, False, True, False]
    assert "--cells 1-2,4" in record["commands"][0]["line"]


def test_a_cell_without_proof(bundle, copy):
    broken = copy(bundle)
    without_proof(broken, 1)
    record = record_of(broken, exact=True, jobs=1)
    assert record["verdict"] == "rejected"
    assert [(found["checker"], found["cell"]) for found in record["rejections"]] == [("rigorous", 1), ("exact", 1)]
    assert record["disagreements"] == []
    cell = record["contents"]["cells"][1]
    assert (cell["removals"], cell["proof"]) == ([], None)
    assert {found["outcome"] for found in cell["verdicts"].values()} == {"rejected"}
    assert all(found["why"] for found in cell["verdicts"].values())


def test_a_certificate_that_is_no_certificate_is_not_read(bundle, copy):
    broken = copy(bundle)
    forge(broken, "certificates/000001.json", b'{"removed":7}\n')
    record = record_of(broken)
    assert [found["cell"] for found in record["rejections"]] == [1]
    assert record["contents"]["cells"][1]["proof"] is None
    assert record["contents"]["cells"][2]["proof"] is not None


def test_a_disagreement_rejects(bundle):
    audit = slicer.audit(bundle)
    why = Rejected("certificates/000002.json", "expected an upper bound of at most 0, got 0.5")
    cells = tuple(CellOutcome(cell, why if cell == 2 else Accepted()) for cell in range(5))
    exact = AuditResult(Accepted(), cells, 5, 1.0, audit.rigorous.digest)
    record = record_of(bundle, Audit(audit.rigorous, audit.source, exact))
    assert record["verdict"] == "rejected"
    assert record["disagreements"] == [{"cell": 2, "rejecting": "exact"}]


def test_another_source_model(bundle, line, copy):
    broken = copy(bundle)
    forge(broken, "parent.onnx", (line / "parent.onnx").read_bytes())
    record = record_of(broken)
    assert [(found["checker"], found["cell"]) for found in record["rejections"]] == [("source", None)]
    assert record["identity"]["source_agrees"] is False
    assert record["checkers"][0]["verdict"] == "accepted"
    assert record["verdict"] == "rejected"


@pytest.mark.parametrize("path", ["family/family.json", "parent.onnx", "certificates/000001.json"])
def test_a_bundle_that_cannot_be_read(bundle, copy, path):
    broken = copy(bundle)
    (broken / path).write_bytes(b"{}\n")
    record = record_of(broken)
    assert record["verdict"] == "rejected"
    assert record["contents"] is None
    assert path in record["unreadable"]
    assert record["identity"]["bundle"] == digest((broken / "manifest.json").read_bytes())


def test_a_manifest_that_says_too_much(bundle, copy):
    broken = copy(bundle)
    forge_manifest(broken, comment="")
    record = record_of(broken)
    assert record["verdict"] == "rejected"
    assert (record["identity"], record["contents"]) == (None, None)
    assert "comment" in record["unreadable"]


def test_the_checker_in_the_bundle_is_compared(bundle, copy):
    other, none = copy(bundle, "other"), copy(bundle, "none")
    forge(other, "check.py", b"print('accepted')\n")
    listed = json.loads((none / "manifest.json").read_bytes())["files"]
    forge_manifest(none, files=[entry for entry in listed if entry["path"] != "check.py"])
    (none / "check.py").unlink()
    for path, word in ((bundle, "own"), (other, "other"), (none, "none")):
        record = record_of(path)
        assert (record["verdict"], record["identity"]["checker"]) == ("accepted", word)
        assert (f"{path.name}/check.py" in record["commands"][1]["line"]) == (word == "own")


def test_a_bundle_that_changed_after_the_audit(bundle, copy):
    changed = copy(bundle)
    audit = slicer.audit(changed)
    forge_manifest(changed, options={})
    with pytest.raises(UnusableInput, match="audit it again"):
        collect(changed, audit)


def test_equal_audits_give_equal_bytes(bundle):
    audit = slicer.audit(bundle)
    assert report_json(collect(bundle, audit)) == report_json(collect(bundle, audit))
