"""Lies in the manifest and in bytes on disk, which no digest follows."""

from __future__ import annotations

import json

from tests.certificates.mutations.kinds import Contents, Kind, Random, pick, two
from tests.certificates.opened import MANIFEST, PARENT, Json, canonical


def _relisted(contents: Contents, entries: Json) -> None:
    contents[MANIFEST] = canonical(json.loads(contents[MANIFEST]) | {"files": entries})


def _entries(contents: Contents) -> list[Json]:
    entries: list[Json] = json.loads(contents[MANIFEST])["files"]
    return entries


def listed_digest(contents: Contents, rng: Random) -> None:
    entries = _entries(contents)
    entry, digit = pick(rng, entries), rng.randrange(64)
    entry["sha256"] = (
        entry["sha256"][:digit]
        + f"{int(entry['sha256'][digit], 16) ^ 1 << rng.randrange(4):x}"
        + entry["sha256"][digit + 1 :]
    )
    _relisted(contents, entries)


def listed_digests_swapped(contents: Contents, rng: Random) -> None:
    entries = _entries(contents)
    first, second = two(rng, entries)
    first["sha256"], second["sha256"] = second["sha256"], first["sha256"]
    _relisted(contents, entries)


def listed_size(contents: Contents, rng: Random) -> None:
    entries = _entries(contents)
    pick(rng, entries)["size"] += pick(rng, [-1, 1, 2**31])
    _relisted(contents, entries)


def entry_dropped(contents: Contents, rng: Random) -> None:
    entries = _entries(contents)
    entries.remove(pick(rng, entries))
    _relisted(contents, entries)


def entry_doubled(contents: Contents, rng: Random) -> None:
    entries = _entries(contents)
    place = rng.randrange(len(entries))
    entries.insert(place, entries[place])
    _relisted(contents, entries)


def entries_disordered(contents: Contents, rng: Random) -> None:
    entries = _entries(contents)
    first, second = two(rng, range(len(entries)))
    entries[first], entries[second] = entries[second], entries[first]
    _relisted(contents, entries)


def entry_renamed(contents: Contents, rng: Random) -> None:
    entries = _entries(contents)
    entry = pick(rng, entries)
    path = entry["path"]
    entry["path"] = pick(rng, [path.upper(), f"./{path}", f"/{path}", f"a/../{path}",
                               path.replace("/", "//", 1) + " ", f"{path}\0"])  # fmt: skip
    _relisted(contents, sorted(entries, key=lambda entry: entry["path"]))


def file_gone(contents: Contents, rng: Random) -> None:
    del contents[pick(rng, sorted(contents.keys() - {MANIFEST}))]


def file_unlisted(contents: Contents, rng: Random) -> None:
    contents[pick(rng, ["notes", "certificates/notes", "family/members/x.json", ".hidden", "search.json~"])] = b""


def manifest_claim(contents: Contents, rng: Random) -> None:
    changes = [{"mode": "epsilon"}, {"mode": "exact"}, {"source": "parent"}, {"source": PARENT}, {"truncated": 0},
               {"source": "../parent.onnx"}, {"comment": ""}, {"mode": None}, {"files": {}}]  # fmt: skip
    contents[MANIFEST] = canonical(json.loads(contents[MANIFEST]) | pick(rng, changes))


def manifest_story(contents: Contents, rng: Random) -> None:
    """What a manifest tells about its making is no part of the claim."""
    changes = [{"truncated": True}, {"tools": {}}, {"options": {"cells": rng.randrange(9**9)}}, {"tools": {"a": "b"}}]
    contents[MANIFEST] = canonical(json.loads(contents[MANIFEST]) | pick(rng, changes))


def bit_flipped(contents: Contents, rng: Random) -> None:
    path = pick(rng, sorted(contents.keys() - {MANIFEST}))
    content = bytearray(contents[path])
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    contents[path] = bytes(content)


def file_cut(contents: Contents, rng: Random) -> None:
    path = pick(rng, sorted(contents))
    contents[path] = contents[path][: rng.randrange(len(contents[path]))]


def file_lengthened(contents: Contents, rng: Random) -> None:
    path = pick(rng, sorted(contents))
    contents[path] += pick(rng, [b"\n", b" ", b"\0", b"{}\n"])


_LIST, _DIGEST = ("listing", "form"), ("digest", "listing")
KINDS = (
    Kind("listed digest one bit off", listed_digest, _DIGEST, "last"),
    Kind("listed digests swapped", listed_digests_swapped, _DIGEST, "last"),
    Kind("listed size off", listed_size, ("digest", "form"), "last"),
    Kind("manifest entry dropped", entry_dropped, ("listing",), "last"),
    Kind("manifest entry doubled", entry_doubled, _LIST, "last"),
    Kind("manifest entries out of order", entries_disordered, _LIST, "last"),
    Kind("manifest path in another spelling", entry_renamed, _LIST, "last"),
    Kind("file gone", file_gone, ("listing",), "last"),
    Kind("file unlisted", file_unlisted, ("listing",), "last"),
    Kind("manifest claims something else", manifest_claim, ("identity", "form", "listing"), "last"),
    Kind("manifest tells another story", manifest_story, (), "last"),
    Kind("one bit of any file, no digest follows", bit_flipped, ("digest",), "last"),
    Kind("file cut off", file_cut, ("digest", "json"), "last"),
    Kind("file lengthened", file_lengthened, ("digest", "json"), "last"),
)
