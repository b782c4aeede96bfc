"""The corpus: one file per case, named by its reason, a small patch of an honest bundle.

A case is a JSON object:

``why``     one sentence for people
``base``    the bundle that is patched: ``hand`` (the default), ``worked``, or in mode ``decision`` ``contest``,
            ``argmin`` (the contest for the smallest output) or ``three``, in mode ``epsilon`` ``near`` or
            ``read`` (`tests.certificates.bases`)
``before``  edits of the open parts, after which all digests are made to fit (with ``rebuild`` the members too, with
            ``remodel`` the model)
``then``    edits of finished files; only the manifest follows
``last``    edits on disk; nothing follows
``trust``   the bundle is judged by checkers that trust solvers
``attested``  of ``accept/``: [cell, units] that rest on a solver's word; without trust the bundle is rejected
``true``    what is wrong is only the form: the claim would hold (cases of ``reject/`` that have no such key are false)
``rigorous``, ``exact``   words that each checker's reason must contain; cases of ``accept/`` have none

An edit says where (``at``: keys and positions between slashes; in ``then`` and ``last`` the ``file`` too) and what:
``put`` a value there, ``insert`` one before it, ``double`` it, ``drop``
it, ``swap`` it with another place, write it in ``upper`` case. Files are also changed as
text: ``text`` [old, new, times] replaces the first old by so many new; ``encode``; ``bytes`` in hex in front; ``cut``
that many bytes off the end; or on disk: ``make`` it a directory, a link, a fifo, nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.certificates.bases import contest, hand, near, read, three, worked
from tests.certificates.opened import Files, Json, canonical, store
from tests.onnx_files import onnx_bytes

FOLDERS = ("accept", "reject", "malformed")
KEYS = {"why", "base", "before", "rebuild", "remodel", "then", "last", "trust", "attested", "true", "rigorous", "exact"}
_HERE = Path(__file__).parent
_ARGMIN = partial(contest, "argmin")
_BASES = {"hand": hand, "worked": worked, "contest": contest, "argmin": _ARGMIN, "three": three}
_BASES |= {"near": near, "read": read}


@dataclass(frozen=True)
class Case:
    """One case of the corpus."""

    folder: str
    name: str
    record: Json

    def build(self, path: Path) -> Path:
        """Write the case's bundle into a new directory."""
        opened = _BASES[self.record.get("base", "hand")]()
        for edit in self.record.get("before", ()):
            _change(vars(opened), edit)
        if self.record.get("remodel"):
            opened.source = (opened.source[0], onnx_bytes(opened.network))
        if self.record.get("rebuild"):
            opened.rebuild_members()
        files = opened.seal()
        for edit in self.record.get("then", ()):
            _change_file(files, edit)
        store(opened.listed(files), path)
        for edit in self.record.get("last", ()):
            _change_on_disk(path, edit)
        return path


def cases(*folders: str) -> list[Case]:
    """All cases of some folders, by name; everything in the folders must be a case."""
    found = []
    for folder in folders or FOLDERS:
        for path in sorted((_HERE / folder).iterdir()):
            record = json.loads(path.read_text())
            found.append(Case(folder, path.stem, record))
    return found


def _place(root: Any, at: str) -> tuple[Any, Any]:
    """The container and the key that a path leads to."""
    keys = [int(key) if key.lstrip("-").isdecimal() else key for key in at.split("/")]
    for key in keys[:-1]:
        root = root[key]
    return root, keys[-1]


def _change(root: Any, edit: Json) -> None:
    """Change a JSON value inside another."""
    holder, key = _place(root, edit["at"])
    if "put" in edit:
        holder[key] = edit["put"]
    elif "insert" in edit:
        holder.insert(key, edit["insert"])
    elif "upper" in edit:
        holder[key] = holder[key].upper()
    elif "double" in edit:
        holder.insert(key, holder[key])
    elif "drop" in edit:
        del holder[key]
    elif "swap" in edit:
        other, there = _place(root, edit["swap"])
        holder[key], other[there] = other[there], holder[key]
    else:
        raise KeyError(f"an edit without an operation: {edit}")


def _change_file(files: Files, edit: Json) -> None:
    """Change a finished file, as a JSON value or as text, or add a ``new`` one, or ``remove`` it."""
    path = edit["file"]
    if "at" in edit:
        _change(files[path], edit)
    elif "new" in edit:
        files[path] = edit["new"].encode()
    elif "remove" in edit:
        del files[path]
    else:
        content = files[path] if isinstance(files[path], bytes) else canonical(files[path])
        files[path] = _changed_text(content, edit)


def _changed_text(content: bytes, edit: Json) -> bytes:
    """A file's bytes after an edit of its text."""
    if "text" in edit:
        old, new, *times = edit["text"]
        assert old.encode() in content, f"{old} is not in the file"
        return content.replace(old.encode(), new.encode() * (times[0] if times else 1), 1)
    if "encode" in edit:
        return content.decode().encode(edit["encode"])
    if "bytes" in edit:
        return bytes.fromhex(edit["bytes"]) + content
    if "cut" in edit:
        return content[: len(content) - edit["cut"]]
    if "whole" in edit:
        return str(edit["whole"]).encode()
    raise KeyError(f"an edit without an operation: {edit}")


def _change_on_disk(path: Path, edit: Json) -> None:
    """Change what the directory holds; the manifest stays as it is, unless it is the file."""
    target = path / edit["file"]
    if "make" not in edit:
        target.parent.mkdir(parents=True, exist_ok=True)
        content = target.read_bytes() if target.exists() else b""
        if "at" in edit:
            record = json.loads(content)
            _change(record, edit)
            target.write_bytes(canonical(record))
        else:
            target.write_bytes(_changed_text(content, edit))
        return
    content = target.read_bytes() if target.is_file() else b""
    if target.is_dir():
        shutil.move(target, path.parent / f"{path.name}-{target.name}")
    else:
        target.unlink(missing_ok=True)
    elsewhere = path.parent / f"{path.name}-{target.name}"
    match edit["make"]:
        case "directory":
            target.mkdir()
        case "link":
            elsewhere.write_bytes(content)
            target.symlink_to(elsewhere)
        case "link to a folder":
            target.symlink_to(elsewhere, target_is_directory=True)
        case "dangling link":
            target.symlink_to("nowhere")
        case "hard loop":
            target.symlink_to(".")
        case "fifo":
            os.mkfifo(target)
        case "nothing":
            pass
        case other:
            raise KeyError(f"nothing that can be made: {other}")
