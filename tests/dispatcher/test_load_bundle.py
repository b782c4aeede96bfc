"""A bundle is exactly what its manifest says, or it is refused with a reason."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import dispatcher
from dispatcher import UnusableBundle
from dispatcher.encode import canonical_json, digest
from dispatcher.files import PARENT_FILE, family_files
from dispatcher.interpret import eval32
from dispatcher.manifest import MAX_FILE_BYTES, manifest_bytes, read_manifest
from tests.dispatcher.bundle_samples import bundle_files, make_bundle, make_family, write_bundle
from tests.dispatcher.network_samples import chain, random_points

FAMILY = make_family(chain([2, 4, 1]), 3)
MEMBER = next(path for path in family_files(FAMILY) if "members" in path)


@pytest.fixture
def bundle(tmp_path) -> Path:
    return make_bundle(tmp_path / "bundle", FAMILY)


def test_a_bundle_serves_and_says_what_it_is(bundle):
    loaded = dispatcher.load_bundle(bundle)
    assert loaded.digest == digest((bundle / "manifest.json").read_bytes())
    assert loaded.manifest.options == {"cells": 1}
    assert loaded.manifest.source == "parent.onnx"
    assert not loaded.manifest.truncated
    assert family_files(loaded.family) == family_files(FAMILY)
    points = random_points(FAMILY.parent, 10, 0)
    assert np.array_equal(dispatcher.load(str(bundle)).predict(points), eval32(FAMILY.parent, points))


def test_files_are_read_verified(bundle):
    loaded = dispatcher.load_bundle(bundle)
    assert loaded.read("parent.onnx") == b"a model file"
    (bundle / "parent.onnx").write_bytes(b"A model file")
    with pytest.raises(UnusableBundle, match=r"parent.onnx: expected sha256"):
        loaded.read("parent.onnx")
    with pytest.raises(UnusableBundle, match="expected a file that the manifest lists"):
        loaded.read("../secret")


def test_the_bundle_itself_may_be_named_by_a_link(bundle, tmp_path):
    (tmp_path / "latest").symlink_to(bundle)
    assert dispatcher.load_bundle(tmp_path / "latest").family.cells == (0, 0, 0)


def test_further_listed_files_are_allowed_and_verified(tmp_path):
    files = bundle_files(FAMILY) | {"search.json": b"{}\n", "check.py": b"pass\n", "notes/readme.txt": b""}
    root = write_bundle(tmp_path / "bundle", files)
    assert dispatcher.load_bundle(root).read("check.py") == b"pass\n"
    (root / "check.py").write_bytes(b"fail\n")
    with pytest.raises(UnusableBundle, match=r"check.py: expected sha256"):
        dispatcher.load_bundle(root)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link_outside(path: Path, root: Path) -> None:
    """Move a file or directory out of the bundle and put a link in its place."""
    outside = root.parent / "outside"
    path.rename(outside)
    path.symlink_to(outside, target_is_directory=outside.is_dir())


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


CORRUPTIONS = {
    "a bit of the model": (lambda root: flip(root / "parent.onnx"), "parent.onnx: expected sha256"),
    "a bit of the parent": (lambda root: flip(root / PARENT_FILE), "family/parent.json: expected sha256"),
    "a bit of the family": (lambda root: flip(root / "family/family.json"), "family/family.json: expected sha256"),
    "a bit of a member": (lambda root: flip(root / MEMBER), f"{MEMBER}: expected sha256"),
    "a bit of a certificate": (
        lambda root: flip(root / "certificates/000001.json"),
        "certificates/000001.json: expected sha256",
    ),
    "a longer file": (
        lambda root: (root / "parent.onnx").write_bytes(b"a model file."),
        "parent.onnx: expected 12 bytes, got more",
    ),
    "a truncated file": (
        lambda root: (root / PARENT_FILE).write_bytes(b"{"),
        r"family/parent.json: expected \d+ bytes, got 1",
    ),
    "an empty certificate": (
        lambda root: (root / "certificates/000001.json").write_bytes(b""),
        r"certificates/000001.json: expected \d+ bytes, got 0",
    ),
    "a missing file": (
        lambda root: (root / "certificates/000002.json").unlink(),
        "certificates/000002.json: expected this file, got nothing .a bundle appears complete or not at all",
    ),
    "a missing directory": (
        lambda root: shutil.rmtree(root / "certificates"),
        "certificates/000000.json: expected this",
    ),
    "an unlisted file": (lambda root: (root / "notes.txt").touch(), "notes.txt: expected only the files"),
    "an unlisted file deep inside": (
        lambda root: (root / "family/members/x.json").touch(),
        "family/members/x.json: expected only the files",
    ),
    "a hidden file": (lambda root: (root / ".hidden").touch(), ".hidden: expected only the files"),
    "an unlisted directory": (lambda root: (root / "empty").mkdir(), "empty: expected only the files"),
    "a name with control characters": (lambda root: (root / "a\nb").touch(), r"'a\\nb': expected only the files"),
    "a linked file": (
        lambda root: link_outside(root / "parent.onnx", root),
        "parent.onnx: expected no links in a bundle",
    ),
    "a linked directory": (
        lambda root: link_outside(root / "certificates", root),
        "certificates: expected no links in a bundle",
    ),
    "an unlisted link": (lambda root: (root / "link").symlink_to("/nowhere"), "link: expected no links in a bundle"),
    "a linked manifest": (lambda root: link_outside(root / "manifest.json", root), "manifest.json: cannot read it"),
    "a pipe": (lambda root: replace_by_pipe(root / "parent.onnx"), "parent.onnx: expected only the files"),
    "a pipe for a manifest": (
        lambda root: replace_by_pipe(root / "manifest.json"),
        "manifest.json: expected a regular file",
    ),
    "a directory for a file": (
        lambda root: replace_by_directory(root / "parent.onnx"),
        "parent.onnx: expected only the files",
    ),
    "a directory for a manifest": (
        lambda root: replace_by_directory(root / "manifest.json"),
        "manifest.json: (expected a regular file|cannot read it)",
    ),
    "a file for a directory": (
        lambda root: (shutil.rmtree(root / "certificates"), (root / "certificates").touch()),
        "certificates: expected only the files",
    ),
    "no manifest": (
        lambda root: (root / "manifest.json").unlink(),
        "expected a bundle, got a directory without manifest.json .a bundle appears complete or not at all",
    ),
    "an empty manifest": (lambda root: (root / "manifest.json").write_bytes(b""), "manifest.json: expected canonical"),
    "a truncated manifest": (
        lambda root: (root / "manifest.json").write_bytes((root / "manifest.json").read_bytes()[:-100]),
        "manifest.json: expected canonical JSON",
    ),
    "nothing": (shutil.rmtree, "expected a bundle directory, got nothing .a bundle appears complete or not at all"),
    "a file": (lambda root: (shutil.rmtree(root), root.touch()), "expected a bundle directory, got a file"),
}


@pytest.mark.parametrize(("corrupt", "reason"), CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_corrupted_bundles_are_refused(bundle, corrupt, reason):
    corrupt(bundle)
    with pytest.raises(UnusableBundle, match=reason):
        dispatcher.load(bundle)


def rewrite(change):
    """A corruption that edits the manifest's record."""

    def corrupt(root: Path) -> None:
        record = json.loads((root / "manifest.json").read_bytes())
        change(record)
        (root / "manifest.json").write_bytes(canonical_json(record))

    return corrupt


def path_of_first(path):
    def change(record):
        record["files"][0]["path"] = path

    return change


def entry(path):
    return {"path": path, "sha256": digest(b""), "size": 0}


MANIFESTS = {
    "unknown version": (lambda record: record.update(format="netslicer-bundle/2"), "format: expected format netslicer"),
    "unknown mode": (lambda record: record.update(mode="epsilon"), "expected mode bitwise, got 'epsilon'"),
    "unknown key": (lambda record: record.update(author="x"), "unknown key 'author'"),
    "missing key": (lambda record: record.pop("tools"), "tools: expected this key"),
    "source elsewhere": (lambda record: record.update(source="family/parent.json"), "source: expected parent.onnx or"),
    "source missing": (lambda record: record.update(source="parent.nnet"), "parent.nnet: expected this file"),
    "truncated a number": (lambda record: record.update(truncated=0), "truncated: expected a boolean"),
    "files an object": (lambda record: record.update(files={}), "files: expected a list"),
    "files unordered": (lambda record: record["files"].reverse(), "files: expected strictly increasing paths"),
    "a file twice": (
        lambda record: record["files"].insert(0, record["files"][0]),
        "expected strictly increasing paths",
    ),
    "a file key": (lambda record: record["files"][0].update(mode=1), r"files\[0\]: unknown key 'mode'"),
    "a parent path": (path_of_first("../certificates"), "path: expected a plain relative path"),
    "a parent path inside": (path_of_first("a/../b"), "path: expected a plain relative path"),
    "a dot": (path_of_first("./a"), "path: expected a plain relative path"),
    "a hidden path": (path_of_first(".a"), "path: expected a plain relative path"),
    "an absolute path": (path_of_first("/etc/passwd"), "path: expected a plain relative path"),
    "a backslash": (path_of_first("..\\a"), "path: expected a plain relative path"),
    "a drive": (path_of_first("C:a"), "path: expected a plain relative path"),
    "a double slash": (path_of_first("a//b"), "path: expected a plain relative path"),
    "a closing slash": (path_of_first("a/"), "path: expected a plain relative path"),
    "a closing newline": (path_of_first("a\n"), "path: expected a plain relative path"),
    "a zero byte": (path_of_first("a\0"), "path: expected a plain relative path"),
    "another alphabet": (path_of_first("а"), "path: expected a plain relative path"),
    "an empty path": (path_of_first(""), "path: expected a plain relative path"),
    "the manifest itself": (path_of_first("manifest.json"), "path: expected a plain relative path"),
    "a digest in capitals": (
        lambda record: record["files"][0].update(sha256="A" * 64),
        "sha256: expected 64 lower-case",
    ),
    "a short digest": (lambda record: record["files"][0].update(sha256="a"), "sha256: expected 64 lower-case"),
    "another digest": (lambda record: record["files"][0].update(sha256="a" * 64), "000000.json: expected sha256 aaaa"),
    "another size": (lambda record: record["files"][0].update(size=1), "000000.json: expected 1 bytes, got more"),
    "a negative size": (lambda record: record["files"][0].update(size=-1), "size: expected 0 to"),
    "a huge size": (lambda record: record["files"][0].update(size=MAX_FILE_BYTES + 1), "size: expected 0 to 268435456"),
    "an absent file": (lambda record: record["files"].append(entry("z")), "z: expected this file, got nothing"),
}


@pytest.mark.parametrize(("change", "reason"), MANIFESTS.values(), ids=MANIFESTS)
def test_malformed_manifests_are_refused(bundle, change, reason):
    rewrite(change)(bundle)
    with pytest.raises(UnusableBundle, match=reason):
        dispatcher.load(bundle)


def without(path):
    return {name: content for name, content in bundle_files(FAMILY).items() if name != path}


INCOMPLETE = {
    "no parent": (without(PARENT_FILE), "family/parent.json: expected this file"),
    "no family": (without("family/family.json"), "family/family.json: expected this file"),
    "no member": (without(MEMBER), f"{MEMBER}: expected this file"),
    "no model": (without("parent.onnx"), "parent.onnx: expected this file"),
    "no certificate": (without("certificates/000001.json"), "certificates/000001.json: expected this file"),
    "a certificate of no cell": (
        bundle_files(FAMILY) | {"certificates/000003.json": b""},
        "certificates/000003.json: expected no file that belongs to no cell",
    ),
    "a member that nobody uses": (
        bundle_files(FAMILY) | {f"family/members/{'0' * 64}.json": b""},
        "0.json: expected no file that belongs to no cell",
    ),
    "a malformed family": (
        bundle_files(FAMILY) | {"family/family.json": b"{}\n"},
        "family/family.json: format: expected this key",
    ),
}


@pytest.mark.parametrize(("files", "reason"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_consistent_manifests_of_incomplete_bundles_are_refused(tmp_path, files, reason):
    with pytest.raises(UnusableBundle, match=reason):
        dispatcher.load(write_bundle(tmp_path / "bundle", files))


def test_a_huge_manifest_is_refused_before_it_is_parsed(bundle, monkeypatch):
    monkeypatch.setattr(sys.modules["dispatcher.load"], "MAX_MANIFEST_BYTES", 100)  # not the function of this name
    with pytest.raises(UnusableBundle, match=r"manifest.json: expected at most 100 bytes, got more"):
        dispatcher.load(bundle)


def test_too_many_files_are_refused(bundle, monkeypatch):
    monkeypatch.setattr("dispatcher.manifest.MAX_FILES", 6)
    with pytest.raises(UnusableBundle, match=r"manifest.json: files: expected at most 6 files, got 7"):
        dispatcher.load(bundle)


def test_manifests_round_trip(bundle):
    content = (bundle / "manifest.json").read_bytes()
    assert manifest_bytes(read_manifest(content)) == content
