"""The audit of a whole bundle: every demand of CERTIFICATE.md §7, one cell's files in memory at a time."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from slicer.certificate.rigorous import form
from slicer.certificate.rigorous.checker import Checker, certificate_path
from slicer.certificate.rigorous.form import Refusal, expect
from slicer.certificate.rigorous.parent import FILE as PARENT
from slicer.certificate.rigorous.proof import MAX_WAITING, Box, halves
from slicer.certificate.verdict import Accepted, AuditResult, CellOutcome, Rejected, UnusableBundleFile, Verdict

MANIFEST, FAMILY = "manifest.json", "family/family.json"
MODELS = ("parent.onnx", "parent.nnet")
MODES = ("bitwise", "decision", "epsilon")
MAX_CELLS, MAX_SIZE = 10**6, 1 << 28
_NAME = "[A-Za-z0-9_-][A-Za-z0-9_.-]*"
_PATH = re.compile(f"{_NAME}(?:/{_NAME})*")
_MANIFEST_KEYS = ("format", "mode", "source", "options", "tools", "truncated", "files")
_FAMILY_KEYS = ("format", "mode", "parent", "domain", "tree", "members", "cells")
Progress = Callable[[int, int], None]


def audit_directory(
    path: Path,
    cells: Collection[int] | None = None,
    progress: Progress | None = None,
    *,
    trust_solver: bool = False,
) -> AuditResult:
    """Audit a bundle on disk; parameters and result as in `audit_bundle`.

    Raises
    ------
    UnusableBundleFile
        If the directory or a file in it cannot be read, or `audit_bundle` raises it.
    """
    try:
        return audit_bundle(Directory(path), cells, progress, trust_solver=trust_solver)
    except OSError as error:
        raise UnusableBundleFile(str(error.filename or path), error.strerror or str(error)) from error


def audit_bundle(
    files: Mapping[str, bytes],
    cells: Collection[int] | None = None,
    progress: Progress | None = None,
    *,
    trust_solver: bool = False,
) -> AuditResult:
    """Audit a bundle given as a mapping from path to content, which may read lazily.

    That the model file, read again, gives ``family/parent.json`` is not checked here: it takes the readers.

    Parameters
    ----------
    cells:
        The cells whose certificates are checked; None for all. Everything else is checked in any case.
    progress:
        Called after every cell with the numbers of cells done and to do.
    trust_solver:
        Whether units may be removed on a solver's word (CERTIFICATE.md §6).

    Raises
    ------
    UnusableBundleFile
        If there is no manifest, or it is no JSON object of this format.
    """
    start, outcomes, total, digest = time.monotonic(), list[CellOutcome](), 0, ""
    found: Verdict = Accepted()
    try:
        if MANIFEST not in files:
            raise UnusableBundleFile(MANIFEST, "expected a bundle, which has this file")
        manifest = files[MANIFEST]
        digest = hashlib.sha256(manifest).hexdigest()
        bundle = _Bundle(files, manifest)
        total = len(bundle.members)
        chosen = set(range(total)) if cells is None else set(cells)
        expect(chosen <= set(range(total)), FAMILY, f"expected the cells to check among 0 to {total - 1}")
        for cell, box in bundle.boxes():
            if cell in chosen:
                begin = time.monotonic()
                verdict = bundle.check(cell, box, trust_solver=trust_solver)
                outcomes.append(CellOutcome(cell, verdict, time.monotonic() - begin))
                if progress is not None:
                    progress(len(outcomes), len(chosen))
    except Refusal as refusal:
        found = refusal.verdict
    return AuditResult(found, tuple(outcomes), total, time.monotonic() - start, digest)


class Directory(Mapping[str, bytes]):
    """Everything below a directory that is no directory itself, by path; only regular files can be read."""

    def __init__(self, path: Path) -> None:
        self.path, self.modes = path, dict[str, int]()
        for folder, folders, files in os.walk(path, onerror=_raise):
            for entry in (Path(folder, name) for name in folders + files):
                mode = entry.lstat().st_mode
                if not stat.S_ISDIR(mode):
                    self.modes[entry.relative_to(path).as_posix()] = mode

    def __getitem__(self, path: str) -> bytes:
        if not stat.S_ISREG(self.modes[path]):
            raise Refusal(path, "expected a regular file, got a link or a device")
        with (self.path / path).open("rb") as file:
            content = file.read(MAX_SIZE + 1)
        expect(len(content) <= MAX_SIZE, path, f"expected at most {MAX_SIZE} bytes")
        return content

    def __iter__(self) -> Iterator[str]:
        return iter(self.modes)

    def __len__(self) -> int:
        return len(self.modes)


def _raise(error: OSError) -> NoReturn:
    raise error


def _checker(parent: bytes, family: dict[str, Any]) -> Checker:
    """The checker of what the family claims."""
    decision, epsilon = family.get("decision"), family.get("epsilon")
    if "decision" in family:
        expect(decision in ("argmax", "argmin"), f"{FAMILY}: decision", "expected argmax or argmin")
    if "epsilon" in family:
        where = f"{FAMILY}: epsilon"
        epsilon = np.array([form.number(item, where) for item in form.items(epsilon, where)])
        expect((epsilon >= 0).all(), where, "expected no negative bounds")
    return Checker(parent, decision, epsilon)


class _Bundle:
    """A bundle in which everything is found right but its cells: manifest, digests, family, overflow."""

    def __init__(self, files: Mapping[str, bytes], manifest: bytes) -> None:
        self.files, self.listed, self.mode = files, dict[str, tuple[str, int]](), ""
        model = self._open(manifest)
        for path in self.listed:
            self.read(path)
        named = () if self.mode == "bitwise" else (self.mode,)  # a key named as the mode says more about the claim
        family = form.record(form.read(self.read(FAMILY), FAMILY), FAMILY, (*_FAMILY_KEYS, *named))
        self.checker = _checker(self.read(PARENT), family)
        form.fixed(family, FAMILY, format="netslicer-family/1", mode=self.mode, parent=self.checker.parent.digest)
        self.domain = form.corners(family["domain"], f"{FAMILY}: domain", self.checker.parent.inputs)
        self.tree = form.items(family["tree"], f"{FAMILY}: tree")
        self.members = self._members(family, sum(1 for _ in self.boxes()))
        expected = {model, PARENT, FAMILY, *self.members, *map(certificate_path, range(len(self.members)))}
        further = {path for path in self.listed if not path.startswith(("family/", "certificates/"))} - set(MODELS)
        odd = sorted(expected ^ (self.listed.keys() - further))
        expect(not odd, MANIFEST, f"expected the files of the format, got a difference at {odd[:1]}")
        overflow = self.checker.check_overflow(*self.domain)
        if isinstance(overflow, Rejected):
            raise Refusal(overflow.where, overflow.why)

    def read(self, path: str) -> bytes:
        """A file's content, as the manifest promises it."""
        expect(path in self.listed, path, "expected this file in the manifest")
        content, (digest, size) = self.files[path], self.listed[path]
        expect(len(content) == size, path, f"expected {size} bytes as in the manifest, got {len(content)}")
        expect(hashlib.sha256(content).hexdigest() == digest, path, "expected the sha256 of the manifest")
        return content

    def check(self, cell: int, box: Box, *, trust_solver: bool) -> Verdict:
        """The verdict on one cell."""
        try:
            files = self.read(certificate_path(cell)), self.read(self.members[cell])
            return self.checker.check_cell(cell, *box, *files, trust_solver=trust_solver)
        except Refusal as refusal:
            return refusal.verdict

    def boxes(self) -> Iterator[tuple[int, Box]]:
        """The cells with their closed boxes, in preorder; refuses what is not one binary tree in preorder."""
        waiting, cell = [(0, self.domain)], 0
        for position, value in enumerate(self.tree):
            where = f"{FAMILY}: tree[{position}]"
            expect(waiting and waiting[-1][0] == position, where, "expected one binary tree in preorder")
            _, box = waiting.pop()
            if isinstance(value, dict) and "cell" in value:
                form.fixed(form.record(value, where, ("cell",)), where, cell=cell)
                yield cell, box
                cell += 1
                continue
            node = form.record(value, where, ("axis", "threshold", "low", "high"))
            low, high = halves(node, box, where)
            expect((low[1] != box[1]).any(), where, "expected a threshold below the upper bound of the node's box")
            for key, half in (("high", high), ("low", low)):
                waiting.append((form.integer(node[key], f"{where}: {key}", len(self.tree)), half))
            expect(2 * len(waiting) * len(box[0]) <= MAX_WAITING, where, "expected a tree less deep")
        expect(not waiting, f"{FAMILY}: tree", "expected a whole tree, got too few nodes")

    def _open(self, content: bytes) -> str:
        """Read the manifest; the path of the model."""
        try:
            manifest = form.parse(content)
        except ValueError as error:
            raise UnusableBundleFile(MANIFEST, f"expected JSON: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("format") != "netslicer-bundle/1":
            raise UnusableBundleFile(MANIFEST, "expected an object of the format netslicer-bundle/1")
        fields = form.record(form.read(content, MANIFEST), MANIFEST, _MANIFEST_KEYS)
        form.expect_shallow(fields, MANIFEST)
        expect(fields["mode"] in MODES, f"{MANIFEST}: mode", f"expected one of {', '.join(MODES)}")
        self.mode = str(fields["mode"])
        expect(isinstance(fields["truncated"], bool), f"{MANIFEST}: truncated", "expected true or false")
        for index, value in enumerate(form.items(fields["files"], f"{MANIFEST}: files")):
            where = f"{MANIFEST}: files[{index}]"
            entry = form.record(value, where, ("path", "sha256", "size"))
            size = form.integer(entry["size"], where, MAX_SIZE)
            path = form.text(entry["path"], where)
            good = _PATH.fullmatch(path)
            expect(good, where, "expected a relative path of names of ASCII letters, digits and _ . - not first a dot")
            self.listed[path] = form.text(entry["sha256"], where), size
        expect([*self.listed] == sorted(self.listed), MANIFEST, "expected files by increasing path")
        expect(len(self.listed) == len(fields["files"]), MANIFEST, "expected every file once")
        odd = sorted({*self.listed, MANIFEST} ^ set(self.files))
        expect(not odd and MANIFEST not in self.listed, MANIFEST, f"expected exactly the files listed, got {odd[:1]}")
        source = fields["source"]
        expect(source in MODELS, f"{MANIFEST}: source", f"expected one of {', '.join(MODELS)}")
        return str(source)

    def _members(self, family: dict[str, Any], total: int) -> list[str]:
        """Path of every cell's member; the members are distinct, in the order of their first cell."""
        names = [form.text(name, f"{FAMILY}: members") for name in form.items(family["members"], f"{FAMILY}: members")]
        expect(len(set(names)) == len(names), f"{FAMILY}: members", "expected distinct members")
        cells = form.integers(family["cells"], f"{FAMILY}: cells", len(names))
        expect(len(cells) == total <= MAX_CELLS, f"{FAMILY}: cells", f"expected {total} cells as in the tree")
        used = list(dict.fromkeys(cells))
        expect(used == list(range(len(names))), f"{FAMILY}: cells", "expected all members, by their first cell")
        paths = [f"family/members/{name}.json" for name in names]
        for name, path in zip(names, paths, strict=True):
            expect(path in self.listed and self.listed[path][0] == name, path, "expected a member named by its sha256")
        return [paths[member] for member in cells]
