"""A bundle's manifest: what was made, how, and size and sha256 of every other file. Its own sha256 names the bundle.

The grammar is normative in ``slicer/certificate/CERTIFICATE.md`` §7.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.encode import Fields, canonical_rows, digest, read_json
from dispatcher.errors import UnusableBundle

MANIFEST_FILE = "manifest.json"
BUNDLE_FORMAT = "netslicer-bundle/1"
SOURCE_FILES = ("parent.onnx", "parent.nnet")
MAX_FILES = 1 << 18
MAX_FILE_BYTES = 1 << 28  # of each listed file: 256 MiB

# Relative paths of plain names: nothing absolute, no "..", no hidden file, no backslash, no drive, no empty name.
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Sha256 (64 hex digits) and size in bytes of one file."""

    sha256: str
    size: int

    @classmethod
    def of(cls, content: bytes) -> FileEntry:
        """The entry of a file with this content."""
        return cls(digest(content), len(content))


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``.

    Attributes
    ----------
    mode:
        Strength of equivalence, ``"bitwise"``.
    source:
        Path of the model file in the bundle.
    options, tools:
        How the bundle was made, for people: JSON objects that no reader interprets.
    truncated:
        True if a time limit cut the search short.
    files:
        Every other file of the bundle by its path.
    """

    mode: str
    source: str
    options: Mapping[str, Any]
    tools: Mapping[str, Any]
    truncated: bool
    files: Mapping[str, FileEntry]


def manifest_bytes(manifest: Manifest) -> bytes:
    """Canonical bytes of a manifest."""
    return canonical_rows(
        "files",
        (
            {"path": path, "sha256": manifest.files[path].sha256, "size": manifest.files[path].size}
            for path in sorted(manifest.files)
        ),
        {
            "format": BUNDLE_FORMAT,
            "mode": manifest.mode,
            "source": manifest.source,
            "options": dict(manifest.options),
            "tools": dict(manifest.tools),
            "truncated": manifest.truncated,
        },
    )


def read_manifest(content: bytes) -> Manifest:
    """Parse and validate a manifest.

    Raises
    ------
    UnusableBundle
        Naming the key.
    """
    fields = read_json(content, MANIFEST_FILE)
    got = fields.text("format")
    if got != BUNDLE_FORMAT:
        raise UnusableBundle(
            f"expected format {BUNDLE_FORMAT}, got {got[:60]!r}",
            where=f"{MANIFEST_FILE}: format",
            fix="read the bundle with the version of netslicer that wrote it",
        )
    manifest = Manifest(
        mode=fields.text("mode"),
        source=fields.text("source"),
        options=fields.mapping("options"),
        tools=fields.mapping("tools"),
        truncated=fields.boolean("truncated"),
        files=_read_files(fields),
    )
    fields.done()
    if manifest.source not in SOURCE_FILES:
        raise UnusableBundle(
            f"expected {' or '.join(SOURCE_FILES)}, got {manifest.source[:40]!r}", where=f"{MANIFEST_FILE}: source"
        )
    return manifest


def _read_files(fields: Fields) -> dict[str, FileEntry]:
    """The listed files, by increasing path."""
    where = f"{MANIFEST_FILE}: files"
    pairs = [_read_entry(record) for record in fields.records("files")]
    if len(pairs) > MAX_FILES:
        raise UnusableBundle(f"expected at most {MAX_FILES} files, got {len(pairs)}", where=where)
    for (first, _), (second, _) in itertools.pairwise(pairs):
        if first >= second:
            raise UnusableBundle(f"expected strictly increasing paths, got {second!r} after {first!r}", where=where)
    return dict(pairs)


def _read_entry(record: Fields) -> tuple[str, FileEntry]:
    """One listed file: its path and entry."""
    path, sha256 = record.text("path"), record.text("sha256")
    if not _PATH.fullmatch(path) or path == MANIFEST_FILE:
        raise UnusableBundle(f"expected a plain relative path, got {path[:80]!r}", where=f"{record.where}: path")
    if not _DIGEST.fullmatch(sha256):
        raise UnusableBundle("expected 64 lower-case hex digits", where=f"{record.where}: sha256")
    entry = FileEntry(sha256, record.integer("size", 0, MAX_FILE_BYTES))
    record.done()
    return path, entry
