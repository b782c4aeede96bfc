"""Open a bundle: every byte that is used was verified first, and nothing outside the bundle is read.

The directory must hold exactly the files of its manifest, among them all that the format names (CERTIFICATE.md §7).
Every file is read once: the bytes whose digest was verified are the bytes that are parsed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dispatcher.attested import Attested, attested_units
from dispatcher.emit_c99 import Layout
from dispatcher.encode import digest
from dispatcher.errors import UnusableBundle
from dispatcher.files import read_family
from dispatcher.manifest import MANIFEST_FILE, FileEntry, Manifest, read_manifest
from dispatcher.plan import Family
from dispatcher.runtime import Dispatcher

MAX_MANIFEST_BYTES = 1 << 26  # 64 MiB, some 400,000 files

CERTIFICATES = "certificates/"

_CHUNK = 1 << 20
_COMPLETE = "a bundle appears complete or not at all: check the path, or make the bundle again"


def certificate_file(cell: int) -> str:
    """Path of a cell's certificate in the bundle."""
    return f"{CERTIFICATES}{cell:06d}.json"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files have all been verified against its manifest (its certificates' proofs have not).

    Attributes
    ----------
    path:
        The bundle's directory.
    digest:
        Sha256 of ``manifest.json``, which stands for the whole content.
    manifest:
        Options, versions and the list of files.
    family:
        Parent, routing tree and members.
    attested:
        What rests on a solver's word by its certificates; options say only what was allowed.
    """

    path: Path
    digest: str
    manifest: Manifest
    family: Family
    attested: Attested

    @property
    def layout(self) -> Layout:
        """The layout of the C for which the family was made (its ``--layout`` or ``--flash``); no part of the claim."""
        return "masked" if self.manifest.options.get("layout") == "masked" else "packed"

    def read(self, path: str) -> bytes:
        """The bytes of a listed file, read and verified now.

        Raises
        ------
        UnusableBundle
            If the manifest has no such path, or the file changed since.
        """
        if path not in self.manifest.files:
            raise UnusableBundle("expected a file that the manifest lists", where=path)
        return _read_verified(self.path, path, self.manifest.files[path])


def load(path: str | os.PathLike[str]) -> Dispatcher:
    """Open a bundle for serving.

    Raises
    ------
    UnusableBundle
        See `load_bundle`.
    """
    return Dispatcher(load_bundle(path).family)


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Open a bundle and verify it: the set of files, sizes, digests, and the form of everything but the certificates.

    The path itself may be a link to a bundle; inside, links are refused. Certificates are
    hashed and not kept; of their content only the list of attested units is read.

    Raises
    ------
    UnusableBundle
        Naming the file and what is wrong with it.
    """
    root = Path(path)
    content = _read_manifest_bytes(root)
    manifest = read_manifest(content)
    _check_directory(root, manifest)
    unread = dict(manifest.files)

    def read(name: str) -> bytes:
        if name not in unread:
            raise UnusableBundle("expected this file, got nothing", where=name)
        return _read_verified(root, name, unread.pop(name))

    family = read_family(read)
    _check_remaining(unread, manifest, family)
    attested = _verify_remaining(root, unread)
    return Bundle(root, digest(content), manifest, family, attested)


def _verify_remaining(root: Path, files: dict[str, FileEntry]) -> Attested:
    """Verify the files that make no family; what certificates among them attest."""
    units = []
    for name, entry in files.items():
        if name.startswith(CERTIFICATES):
            units.append(attested_units(_read_verified(root, name, entry), name))
        else:
            _verify(root, name, entry)
    return Attested(sum(units), sum(count > 0 for count in units))


def _check_remaining(unread: dict[str, FileEntry], manifest: Manifest, family: Family) -> None:
    """Check mode and file list against the family: the model, one certificate per cell, no member that nobody uses."""
    if manifest.mode != family.mode:
        raise UnusableBundle(f"expected mode {family.mode}, got {manifest.mode[:40]!r}", where=MANIFEST_FILE)
    expected = {manifest.source, *(certificate_file(cell) for cell in range(len(family.cells)))}
    missing, further = expected - unread.keys(), unread.keys() - expected
    if missing:
        raise UnusableBundle("expected this file, got nothing", where=min(missing), fix=_COMPLETE)
    unknown = [name for name in further if name.startswith((CERTIFICATES, "family/"))]
    if unknown:
        raise UnusableBundle("expected no file that belongs to no cell", where=min(unknown))


def _read_manifest_bytes(root: Path) -> bytes:
    """The bytes of the manifest, with clear errors for things that are no bundle."""
    if not root.is_dir():
        got = "a file" if root.exists() else "nothing"
        raise UnusableBundle(f"expected a bundle directory, got {got}", where=str(root), fix=_COMPLETE)
    if not os.path.lexists(root / MANIFEST_FILE):
        raise UnusableBundle(
            f"expected a bundle, got a directory without {MANIFEST_FILE}", where=str(root), fix=_COMPLETE
        )
    with _open(root, MANIFEST_FILE) as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise UnusableBundle(f"expected at most {MAX_MANIFEST_BYTES} bytes, got more", where=MANIFEST_FILE)
    return content


def _check_directory(root: Path, manifest: Manifest) -> None:
    """Check that the directory holds exactly the listed files and the directories they need, and no links."""
    listed = {MANIFEST_FILE, *manifest.files}
    directories = {str(parent) for name in manifest.files for parent in PurePosixPath(name).parents}
    found = set()
    for name, mode in _entries(root, directories):
        where = name if name.isprintable() else ascii(name)
        if stat.S_ISLNK(mode):
            raise UnusableBundle("expected no links in a bundle", where=where)
        if stat.S_ISDIR(mode) and name in directories:
            continue
        if not stat.S_ISREG(mode) or name not in listed:
            raise UnusableBundle("expected only the files that the manifest lists", where=where)
        found.add(name)
    if listed - found:
        raise UnusableBundle("expected this file, got nothing", where=min(listed - found), fix=_COMPLETE)


def _entries(root: Path, directories: set[str]) -> Iterator[tuple[str, int]]:
    """Path and mode (of the entry itself, links not followed) of everything below the root, in listed directories."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(root / prefix) as scan:
                entries = sorted((prefix + entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in scan)
        except OSError as error:
            raise UnusableBundle(f"cannot read it: {error.strerror}", where=prefix or str(root)) from error
        yield from entries
        pending += [f"{name}/" for name, mode in entries if stat.S_ISDIR(mode) and name in directories]


def _read_verified(root: Path, name: str, entry: FileEntry) -> bytes:
    """The bytes of a file, if they are those that the manifest promises."""
    with _open(root, name) as file:
        content = file.read(entry.size + 1)
    _expect(name, entry, len(content), digest(content))
    return content


def _verify(root: Path, name: str, entry: FileEntry) -> None:
    """Check size and digest of a file without keeping its bytes."""
    sha256, size = hashlib.sha256(), 0
    with _open(root, name) as file:
        while size <= entry.size and (chunk := file.read(_CHUNK)):
            sha256.update(chunk)
            size += len(chunk)
    _expect(name, entry, size, sha256.hexdigest())


def _expect(name: str, entry: FileEntry, size: int, sha256: str) -> None:
    """Refuse a file that differs from its entry."""
    if size != entry.size:
        got = f"{size}" if size < entry.size else "more"
        raise UnusableBundle(f"expected {entry.size} bytes, got {got}", where=name)
    if sha256 != entry.sha256:
        raise UnusableBundle(f"expected sha256 {entry.sha256}, got {sha256}", where=name)


def _open(root: Path, name: str) -> BinaryIO:
    """A regular file opened for reading; a link, or a pipe that would block, is not."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = os.fdopen(os.open(root / name, flags), "rb")
    except OSError as error:
        raise UnusableBundle(f"cannot read it: {error.strerror}", where=name) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UnusableBundle("expected a regular file", where=name)
    return file
