"""`Opened`: a bundle taken apart into JSON values, and put together again with every digest made to fit.

A lie is told in three places: in the open parts (*before*: every digest follows, so that only the meaning is wrong),
in the finished files (*then*: only the manifest follows), or in the bytes on disk (*last*: nothing follows).
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dispatcher.files import member_bytes, read_network
from dispatcher.layers import freeze
from dispatcher.plan import Readout
from slicer.network import Network
from slicer.reduce.classes import fixed_outputs
from slicer.reduce.member import build_member

MANIFEST, PARENT, FAMILY, SEARCH = "manifest.json", "family/parent.json", "family/family.json", "search.json"
Json = Any
Files = dict[str, Any]  # JSON values by path, or bytes


def canonical(value: Json) -> bytes:
    """The canonical spelling of a JSON value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def certificate_path(cell: int) -> str:
    return f"certificates/{cell:06d}.json"


def member_path(digest: str) -> str:
    return f"family/members/{digest}.json"


@dataclass
class Opened:
    """The parts of a bundle; those digests that `seal` fills in are left as they were.

    Attributes
    ----------
    source:
        Path and content of the model.
    parent, family, members, certificates:
        The files as JSON values; members by position, certificates by cell.
    manifest:
        The manifest without its list of files.
    further:
        Other listed files, as bytes.
    """

    source: tuple[str, bytes]
    parent: Json
    family: Json
    members: list[Json]
    certificates: list[Json]
    manifest: Json
    further: dict[str, bytes] = field(default_factory=dict)

    def copy(self) -> Opened:
        """A deep copy, several times faster than `copy.deepcopy`."""
        result: Opened = pickle.loads(pickle.dumps(self, pickle.HIGHEST_PROTOCOL))
        return result

    @property
    def network(self) -> Network:
        """The parent as a network; an error if it is none."""
        return Network(read_network(canonical(self.parent)))

    def rebuild_members(self) -> None:
        """Give every cell the member that follows from its certificate's claims, and the family those members."""
        network, distinct = self.network, list[Json]()
        for cell, certificate in enumerate(self.certificates):
            member = json.loads(member_of(network, certificate, self.family.get("decision")))
            if member not in distinct:
                distinct.append(member)
            self.family["cells"][cell] = distinct.index(member)
        self.members = distinct

    def seal(self) -> Files:
        """All files but the manifest, with the digests of parent and members filled in wherever they belong."""
        whole = self.copy()
        parent = sha(canonical(whole.parent))
        for part in (*whole.members, *whole.certificates, whole.family):
            part["parent"] = parent
        digests = [sha(canonical(member)) for member in whole.members]
        whole.family["members"] = digests
        for certificate, position in zip(whole.certificates, whole.family["cells"], strict=False):
            if type(position) is int and 0 <= position < len(digests):
                certificate["member"] = digests[position]
        files: Files = {whole.source[0]: whole.source[1], PARENT: whole.parent, FAMILY: whole.family}
        files |= {member_path(digest): member for digest, member in zip(digests, whole.members, strict=True)}
        files |= {certificate_path(cell): value for cell, value in enumerate(whole.certificates)}
        return files | whole.further

    def listed(self, files: Files) -> dict[str, bytes]:
        """The files as bytes, with a manifest that lists them."""
        contents = {path: value if isinstance(value, bytes) else canonical(value) for path, value in files.items()}
        entries = [{"path": p, "sha256": sha(contents[p]), "size": len(contents[p])} for p in sorted(contents)]
        return contents | {MANIFEST: canonical(self.manifest | {"files": entries})}

    def written(self) -> dict[str, bytes]:
        """All files of the bundle, everything consistent."""
        return self.listed(self.seal())


def member_of(network: Network, certificate: Json, decision: Any = None) -> bytes:
    """The member that follows from a certificate's claims, by the producer's rules; its parent is blank.

    ``decision`` is what the family says; None in mode ``bitwise``.
    """
    removed = {layer: set(units) for layer, units in certificate["removed"]}
    if "readout" in certificate:  # whatever it holds
        nothing = freeze(np.zeros((network.n_out, 0)), np.float32), freeze(np.zeros(network.n_out), np.float32)
        member = build_member(network, removed, readout=Readout(units_read(network, certificate["readout"]), *nothing))
        return canonical(json.loads(member_bytes(member, "")) | {"readout": certificate["readout"]})
    fixed = fixed_outputs(decision, network.n_out, certificate["classes"]) if decision else None
    return member_bytes(build_member(network, removed, fixed), "")


def units_read(network: Network, readout: Json) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """The units of the network that a readout names, as it names them; whatever else it holds is left out."""
    reads = readout.get("reads") if isinstance(readout, dict) else None
    rows = [row for row in reads if isinstance(row, list) and len(row) == 2] if isinstance(reads, list) else []
    widths = {place: layer.width for place, layer in enumerate(network.layers)}
    named = [(place, units) for place, units in rows if type(place) is int and place in widths]
    kept = [(place, units) for place, units in named if isinstance(units, list)]
    return tuple((p, tuple(k for k in units if type(k) is int and 0 <= k < widths[p])) for p, units in kept)


def open_bundle(path: Path) -> Opened:
    """Take a bundle on disk apart."""
    contents = {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
    manifest = json.loads(contents.pop(MANIFEST))
    manifest.pop("files")
    source = manifest["source"]
    parent, family = (json.loads(contents.pop(name)) for name in (PARENT, FAMILY))
    members = [json.loads(contents.pop(member_path(digest))) for digest in family["members"]]
    cells = range(len(family["cells"]))
    certificates = [json.loads(contents.pop(certificate_path(cell))) for cell in cells]
    return Opened((source, contents.pop(source)), parent, family, members, certificates, manifest, contents)


class Bench:
    """One directory that becomes bundle after bundle; only files that differ are written."""

    def __init__(self, path: Path) -> None:
        self.path, self._now = path, dict[str, bytes]()
        path.mkdir()

    def show(self, contents: Mapping[str, bytes]) -> Path:
        """Let the directory hold just these files."""
        for name in self._now.keys() - contents.keys():
            (self.path / name).unlink()
            for folder in (self.path / name).relative_to(self.path).parents[:-1]:
                if not any((self.path / folder).iterdir()):
                    (self.path / folder).rmdir()
        store({name: content for name, content in contents.items() if self._now.get(name) != content}, self.path)
        self._now = dict(contents)
        return self.path


def store(contents: Mapping[str, bytes], path: Path) -> Path:
    """Write files below a new directory."""
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path
