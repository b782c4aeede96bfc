"""Bundles taken apart, changed and sealed again: what a forger who knows the format would do.

A draft holds the JSON values of a bundle. Sealing writes them canonically and makes all digests, names and the manifest
right again, so that an edit is judged by its meaning, not by a digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slicer.certificate import check

Files = dict[str, bytes]
MANIFEST = "manifest.json"


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Draft:
    """The JSON values of a bundle: members in their order, certificates by cell."""

    parent: dict
    family: dict
    members: list[dict]
    certificates: list[dict]
    other: Files = field(default_factory=lambda: {"parent.onnx": b"no model", "search.json": b"{}\n"})

    @classmethod
    def of(cls, bundle: Path) -> Draft:
        family = json.loads((bundle / "family/family.json").read_bytes())
        return cls(
            parent=json.loads((bundle / "family/parent.json").read_bytes()),
            family=family,
            members=[json.loads((bundle / f"family/members/{m}.json").read_bytes()) for m in family["members"]],
            certificates=[json.loads(p.read_bytes()) for p in sorted((bundle / "certificates").iterdir())],
            other={name: (bundle / name).read_bytes() for name in ("parent.onnx", "search.json")},
        )

    def sealed(self) -> Files:
        """All files, digests made right."""
        parent = canonical(self.parent)
        members = [canonical(member | {"parent": sha256(parent)}) for member in self.members]
        family = self.family | {"parent": sha256(parent), "members": list(map(sha256, members))}
        files = self.other | {"family/parent.json": parent, "family/family.json": canonical(family)}
        files |= {f"family/members/{sha256(member)}.json": member for member in members}
        for cell, certificate in enumerate(self.certificates):
            place = min(family["cells"][cell], len(members) - 1) if cell < len(family["cells"]) else 0
            digests = {"parent": sha256(parent), "member": sha256(members[place])}
            files[f"certificates/{cell:06d}.json"] = canonical(certificate | digests)
        return files


def manifest(content: Mapping[str, bytes], **fields: object) -> bytes:
    """The manifest of some files; ``fields`` replace its own."""
    listed = [{"path": path, "sha256": sha256(content[path]), "size": len(content[path])} for path in sorted(content)]
    value = {"format": "netslicer-bundle/1", "mode": "bitwise", "source": "parent.onnx", "truncated": False}
    return canonical(value | {"options": {}, "tools": {}, "files": listed} | fields)


def write(files: Mapping[str, bytes], path: Path) -> Path:
    """Write files, and their manifest unless there is one among them."""
    path.mkdir()
    for name, content in ({MANIFEST: manifest(files)} | dict(files)).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def one_cell(parent: bytes, domain: check.Box, removed: list, tree: list[dict]) -> Draft:
    """A bundle of one cell for a network: the member is what the checker itself rebuilds."""
    layers = check.read_parent(check.read_json(parent, "parent"))
    box = {"lower": [x.hex() for x in domain[0]], "upper": [x.hex() for x in domain[1]]}
    pairs = [(layer, unit) for layer, units in removed for unit in units]
    family = {"format": "netslicer-family/1", "mode": "bitwise", "domain": box, "tree": [{"cell": 0}], "cells": [0]}
    certificate = {"format": "netslicer-certificate/2", "mode": "bitwise", "cell": 0, "box": box}
    return Draft(
        parent=json.loads(parent),
        family=family,
        members=[json.loads(check.member_of(layers, sha256(parent), pairs))],
        certificates=[certificate | {"removed": removed, "tree": tree}],
    )


def report(path: Path, cells: str | None = None, jobs: int = 1) -> dict:
    """The checker's report on a directory."""
    return check.check_bundle(str(path), cells, 0, jobs)


def finding(path: Path) -> str:
    """Where and why the first finding of a rejected bundle is."""
    found = report(path)
    assert found["outcome"] == "rejected"
    assert found["proved"] is None
    return f"{found['findings'][0]['where']}: {found['findings'][0]['why']}"


Edit = Callable[[Draft], object]
