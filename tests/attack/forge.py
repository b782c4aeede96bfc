"""Forging bundles: change what a bundle says, then make everything that only has to fit together fit together again.

A sealed forgery has the form of a bundle: canonical files, right digests, members named by their content. Only its
meaning is wrong. Nothing here is used to make bundles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dispatcher.encode import canonical_json, digest
from dispatcher.files import family_files, member_bytes, network_bytes
from dispatcher.interpret import eval32
from dispatcher.layers import Layers
from dispatcher.literal import hex_text
from dispatcher.load import certificate_file
from dispatcher.manifest import MANIFEST_FILE, FileEntry, Manifest, manifest_bytes
from dispatcher.plan import Family, Leaf, Member
from dispatcher.runtime import Dispatcher
from dispatcher.tree import walk
from slicer.bounds.linear import Prepared
from slicer.network import Network
from slicer.reduce.classes import fixed_outputs
from slicer.reduce.member import build_member
from tests.attack.promise import bounds_of, differing
from tests.attack.target import Target, extended

Removed = dict[int, set[int]]  # units by the position of their ReLU layer


@dataclass(frozen=True, eq=False)
class Draft:
    """A bundle's content, to be changed.

    Attributes
    ----------
    family:
        The family, possibly forged.
    certificates:
        One JSON object per cell; digests in them are filled in by `sealed`.
    source, model:
        Name and bytes of the source model, which forgeries leave alone.
    parent:
        The network that the source model holds.
    """

    family: Family
    certificates: tuple[dict[str, Any], ...]
    source: str
    model: bytes
    parent: Network

    def member(self, cell: int) -> Member:
        """The member of a cell."""
        return self.family.members[self.family.cells[cell]]

    def removed(self, cell: int) -> Removed:
        """The units that a cell's certificate claims to be inactive."""
        return {layer: set(units) for layer, units in self.certificates[cell]["removed"]}

    def differing(self, points: np.ndarray) -> np.ndarray:
        """Which of the points ``[m, n_in]`` of the domain give outputs that were not promised of the source model."""
        expected, served = eval32(self.parent.layers, points), Dispatcher(self.family)
        bounds = bounds_of(self.family)[served.route(points)]
        return differing(self.family.decision, served.predict(points), expected, bounds)

    def extended(self, cell: int) -> Prepared:
        """The network that a cell's proof is about: the parent, with its margins, or the errors of a readout."""
        return Prepared(extended(self.parent, self.family, self.certificates[cell]))

    def classes(self, cell: int) -> list[int] | None:
        """The outputs that may win in a cell by its certificate; None in mode ``bitwise``."""
        return self.certificates[cell].get("classes")

    def all_classes(self) -> list[int] | None:
        """All outputs; None in mode ``bitwise``."""
        return None if self.family.decision is None else list(range(self.parent.n_out))


def draft_of(target: Target) -> Draft:
    """A bundle to be forged."""
    bundle = target.bundle
    certificates = [json.loads(bundle.read(certificate_file(cell))) for cell in range(len(bundle.family.cells))]
    source = bundle.manifest.source
    return Draft(bundle.family, tuple(certificates), source, bundle.read(source), target.network)


def with_members(draft: Draft, members: Mapping[int, Member]) -> Draft:
    """The draft with other members for some cells."""
    chosen = [members.get(cell, draft.member(cell)) for cell in range(len(draft.family.cells))]
    names = [member_bytes(member, "") for member in chosen]
    place = {name: index for index, name in enumerate(dict.fromkeys(names))}
    distinct = tuple(chosen[names.index(name)] for name in place)
    return replace(draft, family=replace(draft.family, members=distinct, cells=tuple(place[name] for name in names)))


def with_certificates(draft: Draft, changes: Mapping[int, Mapping[str, Any]]) -> Draft:
    """The draft with some keys of some cells' certificates replaced, or left out if they are None."""
    changed = ({**record, **changes.get(cell, {})} for cell, record in enumerate(draft.certificates))
    kept = ({key: value for key, value in record.items() if value is not None} for record in changed)
    return replace(draft, certificates=tuple(kept))


def claiming(
    draft: Draft,
    cell: int,
    removed: Removed,
    tree: Sequence[Mapping[str, Any]] | None = None,
    classes: Sequence[int] | None = None,
) -> Draft:
    """The draft in which a cell claims exactly these units and no readout, with the member that follows from it.

    Without a ``tree`` the certificate asserts everything at its root. Without ``classes`` a cell keeps its own.
    """
    chosen = draft.classes(cell) if classes is None else list(classes)
    asserted = unit_rows(removed | _lost(draft, chosen))
    node = {"inactive": asserted} if asserted else {}
    change = {"removed": unit_rows(removed), "tree": list(tree) if tree else [node], "classes": chosen, "readout": None}
    changed = with_certificates(draft, {cell: change})
    return with_members(changed, {cell: follows(draft, draft.family.parent, removed, chosen)})


def follows(draft: Draft, parent: Layers, removed: Removed, classes: Sequence[int] | None) -> Member:
    """The member that follows from removed units and classes."""
    decision, network = draft.family.decision, Network(parent)
    fixed = None if decision is None or classes is None else fixed_outputs(decision, network.n_out, classes)
    return build_member(network, removed, fixed)


def _lost(draft: Draft, classes: Sequence[int] | None) -> Removed:
    """The margins by which all outputs that are no classes lose against the first class."""
    n, layer = draft.parent.n_out, len(draft.family.parent) + 1
    return {layer: {k * n + classes[0] for k in set(range(n)).difference(classes)}} if classes else {}


def unit_rows(units: Removed) -> list[list[Any]]:
    """Units in the form of certificates."""
    return [[layer, sorted(units[layer])] for layer in sorted(units) if units[layer]]


def with_boxes(draft: Draft) -> Draft:
    """The draft whose certificates name the boxes that follow from the routing tree."""
    family, changes = draft.family, {}
    for position, lower, upper in walk(family.tree, family.lower, family.upper):
        node = family.tree[position]
        if isinstance(node, Leaf):
            box = {"lower": [hex_text(x) for x in lower], "upper": [hex_text(x) for x in upper]}
            changes[node.cell] = {"box": box}
    return with_certificates(draft, changes)


def sealed(draft: Draft) -> dict[str, bytes]:
    """All files of the forged bundle, by path, with digests that fit."""
    parent = digest(network_bytes(draft.family.parent))
    files = {draft.source: draft.model, **family_files(draft.family)}
    for cell, record in enumerate(draft.certificates):
        names = {"parent": parent, "member": digest(member_bytes(draft.member(cell), parent))}
        files[certificate_file(cell)] = canonical_json({**record, **names})
    entries = {path: FileEntry.of(content) for path, content in files.items()}
    return {**files, MANIFEST_FILE: manifest_bytes(Manifest(draft.family.mode, draft.source, {}, {}, False, entries))}


def write_draft(draft: Draft, directory: Path) -> Path:
    """The forged bundle as a directory, which must not exist."""
    for path, content in sealed(draft).items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return directory
