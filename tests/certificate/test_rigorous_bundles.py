"""Whole bundles: what is accepted, what is rejected for which reason, and what is no bundle at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rigorous_kit import canonical, example_bundle, manifest, sha, written

from slicer.certificate.rigorous import audit_bundle, audit_directory
from slicer.certificate.verdict import Accepted, AuditResult, Rejected, UnusableBundleFile

FAMILY = "family/family.json"
Files = dict[str, Any]


def store(files: dict[str, bytes], path: Path) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def test_the_example_is_accepted(tmp_path: Path) -> None:
    files = written(example_bundle())
    seen: list[tuple[int, int]] = []
    result = audit_directory(store(files, tmp_path / "bundle"), progress=lambda *counts: seen.append(counts))
    assert result.bundle == Accepted()
    assert [outcome.cell for outcome in result.cells] == [0, 1, 2]
    assert result.accepted
    assert (result.total, result.count("removed"), result.count("nodes"), result.count("closings")) == (3, 4, 3, 4)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert result.digest == sha(files["manifest.json"])
    assert all(outcome.seconds is not None and outcome.seconds >= 0 for outcome in result.cells)
    assert audit_bundle(files).cells == result.cells


def test_a_sample_of_cells_is_not_the_whole() -> None:
    result = audit_bundle(written(example_bundle()), cells=[2])
    assert [outcome.cell for outcome in result.cells] == [2]
    assert not result.rejections
    assert not result.complete
    assert not result.accepted


def test_a_cell_that_is_not_there() -> None:
    result = audit_bundle(written(example_bundle()), cells=[3])
    assert isinstance(result.bundle, Rejected)
    assert "0 to 2" in result.bundle.why


def test_one_bad_cell_rejects_the_bundle_and_the_others_are_still_checked() -> None:
    files = example_bundle()
    files["certificates/000001.json"]["tree"] = [{"active": [[2, [0]]]}]
    result = audit_bundle(written(files))
    assert result.bundle == Accepted()
    assert result.complete
    assert not result.accepted
    assert [isinstance(outcome.verdict, Accepted) for outcome in result.cells] == [True, False, True]
    assert [rejection.where for rejection in result.rejections] == ["certificates/000001.json: tree[0]"]


def move_box(files: Files) -> None:
    """A threshold that moves both neighbours' boxes away from their certificates."""
    files[FAMILY]["tree"][1]["threshold"] = (-0.25).hex()


CELL_LIES: dict[str, tuple[Callable[[Files], object], list[int], str]] = {
    "a threshold moved": (move_box, [0, 1], "expected the box of the cell"),
    "two certificates exchanged": (
        lambda f: f.update({"certificates/000000.json": f["certificates/000001.json"]}),
        [0],
        "expected 0, got 1",
    ),
    "members exchanged": (lambda f: f[FAMILY].update(cells=[0, 1, 0]), [2], "got"),
    "another domain": (
        lambda f: f[FAMILY]["domain"]["upper"].__setitem__(1, (2.0).hex()),
        [0, 1, 2],
        "expected the box of the cell",
    ),
}


@pytest.mark.parametrize("name", CELL_LIES)
def test_lies_that_show_in_cells(name: str) -> None:
    lie, cells, why = CELL_LIES[name]
    files = example_bundle()
    lie(files)
    result = audit_bundle(written(files))
    assert not result.accepted
    rejected = {outcome.cell: outcome.verdict for outcome in result.cells if isinstance(outcome.verdict, Rejected)}
    assert list(rejected) == cells
    assert all(why in verdict.why for verdict in rejected.values())


def rename_member(files: Files) -> None:
    """A member under a name that is not its digest."""
    name = files[FAMILY]["members"][0]
    files[FAMILY]["members"][0] = "0" * 64
    files[f"family/members/{'0' * 64}.json"] = files.pop(f"family/members/{name}.json")


def unused_member(files: Files) -> None:
    content = {"format": "netslicer-member/1", "layers": [], "parent": ""}
    name = sha(canonical(content))
    files[FAMILY]["members"].append(name)
    files[f"family/members/{name}.json"] = content


def members_by_another_order(files: Files) -> None:
    files[FAMILY]["members"].reverse()
    files[FAMILY]["cells"] = [1 - member for member in files[FAMILY]["cells"]]


def huge_bias(files: Files) -> None:
    """2^127 in the output layer: no unit removed depends on it, but the sum may overflow. Digests are kept right."""
    files["family/parent.json"]["layers"][3]["bias"] = "7f000000"
    files[FAMILY]["parent"] = sha(canonical(files["family/parent.json"]))


def family(*path: Any) -> Callable[[Files], None]:
    """Set a place in the family's file, given by all but the last argument, to the last."""

    def lie(files: Files) -> None:
        place: Any = files[FAMILY]
        for key in path[:-2]:
            place = place[key]
        place[path[-2]] = path[-1]

    return lie


BUNDLE_LIES: dict[str, tuple[Callable[[Files], object], str, str]] = {
    "no model": (lambda f: f.pop("parent.onnx"), "manifest.json", "difference at ['parent.onnx']"),
    "no certificate of a cell": (lambda f: f.pop("certificates/000002.json"), "manifest.json", "certificates/000002"),
    "a certificate too many": (
        lambda f: f.update({"certificates/000003.json": f["certificates/000002.json"]}),
        "manifest.json",
        "certificates/000003",
    ),
    "a file of no kind": (lambda f: f.update({"family/notes": b"hello"}), "manifest.json", "family/notes"),
    "a second model": (lambda f: f.update({"parent.nnet": b"hello"}), "manifest.json", "parent.nnet"),
    "no parent": (lambda f: f.pop("family/parent.json"), "family/parent.json", "expected this file"),
    "no family": (lambda f: f.pop(FAMILY), FAMILY, "expected this file"),
    "a member under another name": (rename_member, "family/members/", "named by its sha256"),
    "a member that no cell uses": (unused_member, FAMILY, "expected all members"),
    "members by another order": (members_by_another_order, FAMILY, "expected all members, by their first cell"),
    "a member twice": (lambda f: f[FAMILY]["members"].append(f[FAMILY]["members"][0]), FAMILY, "distinct members"),
    "a member's path": (family("members", 0, "../members/x"), "family/members/", "named by its sha256"),
    "a cell less": (lambda f: f[FAMILY]["cells"].pop(), FAMILY, "expected 3 cells"),
    "a cell of a member that is not there": (family("cells", 0, 2), FAMILY, "integers from 0 to 1"),
    "another parent": (family("parent", "0" * 64), FAMILY, "parent"),
    "another mode": (family("mode", "epsilon"), FAMILY, "expected bitwise"),
    "another format": (family("format", "netslicer-family/9"), FAMILY, "expected netslicer-family/1"),
    "an unknown key": (family("comment", ""), FAMILY, "expected an object with the keys"),
    "a domain of one input": (family("domain", {"lower": [], "upper": []}), FAMILY, "two corners of 2 numbers"),
    "an empty tree": (family("tree", []), FAMILY, "too few nodes"),
    "a tree cut short": (lambda f: f[FAMILY]["tree"].pop(), FAMILY, "expected an integer from 0 to 3"),
    "a tree with a tail": (lambda f: f[FAMILY]["tree"].append({"cell": 3}), FAMILY, "one binary tree"),
    "children exchanged": (
        lambda f: f[FAMILY]["tree"][1].update(low=3, high=2),
        FAMILY,
        "one binary tree in preorder",
    ),
    "a cycle": (family("tree", 1, "low", 0), FAMILY, "one binary tree in preorder"),
    "cells out of order": (family("tree", 2, {"cell": 1}), FAMILY, "expected 0, got 1"),
    "a leaf that is also a split": (family("tree", 2, "axis", 0), FAMILY, "expected an object with the keys"),
    "a threshold on the upper border": (family("tree", 0, "threshold", (1.0).hex()), FAMILY, "below the upper bound"),
    "a threshold outside": (family("tree", 0, "threshold", (1.5).hex()), FAMILY, "inside the node's box"),
    "an axis that is not there": (family("tree", 0, "axis", 2), FAMILY, "expected an integer from 0 to 1"),
    "an overflow": (huge_bias, "family/parent.json: layers[3]: unit 0", "no overflow"),
}


def test_further_files_are_allowed_but_their_digests_count() -> None:
    files = written(example_bundle() | {"check.py": b"print('hello')", "search.json": b"{}"})
    assert audit_bundle(files).accepted
    assert "sha256" in rejected(audit_bundle(files | {"search.json": b"[]"})).why


def rejected(result: AuditResult) -> Rejected:
    assert isinstance(result.bundle, Rejected)
    assert not result.cells
    assert not result.accepted
    return result.bundle


@pytest.mark.parametrize("name", BUNDLE_LIES)
def test_lies_about_the_bundle(name: str) -> None:
    lie, where, why = BUNDLE_LIES[name]
    files = example_bundle()
    lie(files)
    verdict = rejected(audit_bundle(written(files)))
    assert verdict.where.startswith(where)
    assert why in f"{verdict.where}: {verdict.why}"


def change_manifest(**changes: Any) -> dict[str, bytes]:
    files = written(example_bundle())
    return files | {"manifest.json": canonical(json.loads(files["manifest.json"]) | changes)}


def listing() -> list[dict[str, Any]]:
    return json.loads(written(example_bundle())["manifest.json"])["files"]  # type: ignore[no-any-return]


MANIFESTS: dict[str, tuple[dict[str, Any], str]] = {
    "another mode": ({"mode": "top-1"}, "expected one of bitwise, decision, epsilon"),
    "an unknown key": ({"comment": ""}, "expected an object with the keys"),
    "truncated as a number": ({"truncated": 0}, "expected true or false"),
    "a source elsewhere": ({"source": "../model.onnx"}, "expected one of parent.onnx"),
    "the other model": ({"source": "parent.nnet"}, "parent.n"),
    "options 40 levels deep": ({"options": json.loads("[" * 40 + "]" * 40)}, "32 levels"),
    "a file left out": ({"files": listing()[1:]}, "exactly the files listed"),
    "a file twice": ({"files": sorted(listing() + listing()[:1], key=lambda entry: entry["path"])}, "every file once"),
    "files out of order": ({"files": listing()[::-1]}, "by increasing path"),
    "a file that is not there": (
        {"files": [*listing(), {"path": "z", "sha256": "0" * 64, "size": 0}]},
        "exactly the files listed, got ['z']",
    ),
    "the manifest itself": (
        {"files": sorted([*listing(), {"path": "manifest.json", "sha256": "0", "size": 0}], key=lambda e: e["path"])},
        "exactly the files listed",
    ),
    "a path with a backslash": ({"files": [{"path": "a\\b", "sha256": "0", "size": 0}]}, "expected a relative path"),
    "a path out of the bundle": ({"files": [{"path": "../b", "sha256": "0", "size": 0}]}, "expected a relative path"),
    "an absolute path": ({"files": [{"path": "/b", "sha256": "0", "size": 0}]}, "expected a relative path"),
    "an entry with a key more": ({"files": [listing()[0] | {"mode": 7}]}, "expected an object with the keys"),
    "a size one less": ({"files": [listing()[0] | {"size": listing()[0]["size"] - 1}, *listing()[1:]]}, "bytes as in"),
    "a size as a text": ({"files": [listing()[0] | {"size": "1"}, *listing()[1:]]}, "expected an integer"),
    "another digest": ({"files": [listing()[0] | {"sha256": "0" * 64}, *listing()[1:]]}, "sha256 of the manifest"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_lies_in_the_manifest(name: str) -> None:
    changes, why = MANIFESTS[name]
    assert why in rejected(audit_bundle(change_manifest(**changes))).why


def test_a_manifest_in_another_spelling_is_rejected() -> None:
    files = written(example_bundle())
    files["manifest.json"] = json.dumps(json.loads(files["manifest.json"])).encode()
    assert "canonical JSON" in rejected(audit_bundle(files)).why


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "expected JSON"),
        (b"PK\x03\x04", "expected JSON"),
        (b'{"format":"netslicer-bundle/1"', "expected JSON"),
        (b"[" * 100000, "expected JSON"),
        (b"[]\n", "of the format netslicer-bundle/1"),
        (b'{"format":"netslicer-bundle/2"}\n', "of the format netslicer-bundle/1"),
    ],
)
def test_what_is_no_bundle_is_an_error(content: bytes, what: str) -> None:
    with pytest.raises(UnusableBundleFile, match=what):
        audit_bundle({"manifest.json": content})


def test_directories_that_are_no_bundles(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for name in ("file", "empty", "missing"):
        with pytest.raises(UnusableBundleFile):
            audit_directory(tmp_path / name)


def test_every_bit_of_every_file_counts() -> None:
    """A flipped bit anywhere is noticed (by the digest, or as a manifest that is not the canonical one)."""
    files = written(example_bundle())
    rng = np.random.default_rng(5)
    for path, content in files.items():
        for place in rng.integers(0, len(content), 12):
            flipped = bytearray(content)
            flipped[place] ^= 1 << int(rng.integers(0, 8))
            try:
                result = audit_bundle(files | {path: bytes(flipped)})
            except UnusableBundleFile:
                assert path == "manifest.json"
                continue
            assert not result.accepted or harmless(content, bytes(flipped)), path


def harmless(before: bytes, after: bytes) -> bool:
    """Whether two manifests differ only in what the bundle reports about itself (options, tools, truncated)."""
    ignored = {"options", "tools", "truncated"}
    values = [json.loads(content) for content in (before, after)]
    return {k: v for k, v in values[0].items() if k not in ignored} == {
        k: v for k, v in values[1].items() if k not in ignored
    }


def test_links_and_files_beside_are_rejected(tmp_path: Path) -> None:
    bundle = store(written(example_bundle()), tmp_path / "bundle")
    (bundle / "certificates" / "notes").write_text("")
    assert "certificates/notes" in rejected(audit_directory(bundle)).why
    (bundle / "certificates" / "notes").unlink()
    (bundle / "more").symlink_to(tmp_path, target_is_directory=True)
    assert "more" in rejected(audit_directory(bundle)).why
    (bundle / "more").unlink()
    certificate = bundle / "certificates" / "000000.json"
    certificate.rename(tmp_path / "elsewhere.json")
    certificate.symlink_to(tmp_path / "elsewhere.json")
    verdict = rejected(audit_directory(bundle))
    assert verdict.where == "certificates/000000.json"
    assert "link" in verdict.why


def test_files_that_change_while_they_are_audited_are_noticed() -> None:
    """Every read is checked against the manifest, so a second reading cannot bring other bytes."""

    class Changing(dict[str, bytes]):
        reads = 0

        def __getitem__(self, path: str) -> bytes:
            self.reads += path == "certificates/000002.json"
            return super().__getitem__(path) + b" " * (self.reads > 1 and path == "certificates/000002.json")

    result = audit_bundle(Changing(written(example_bundle())))
    assert not result.accepted
    assert [rejection.where for rejection in result.rejections] == ["certificates/000002.json"]


def test_manifest_helper_lists_what_it_is_given() -> None:
    assert json.loads(manifest({"b": b"1", "a": b""}))["files"][0] == {"path": "a", "sha256": sha(b""), "size": 0}
