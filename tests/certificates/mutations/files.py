"""Lies in finished files: fields changed one by one, digests, names, the manifest, single bits."""

from __future__ import annotations

from typing import Any

from tests.certificates.mutations.kinds import (
    Inapplicable,
    Kind,
    Random,
    Sweep,
    flip_in,
    need,
    pick,
    two,
    ulps,
)
from tests.certificates.opened import FAMILY, PARENT, Files, Json, canonical, sha

Place = tuple[str, tuple[Any, ...]]  # a file and the keys that lead to a value in it
_NUMBERS = {"threshold", "lower", "upper"}
_VECTORS = {"weight", "bias", "constant", "constants", "prefixes"}


def _proofs(files: Files) -> list[str]:
    """The JSON files that carry the claim."""
    return [path for path in files if path.startswith(("family/", "certificates/"))]


def places(files: Files) -> list[Place]:
    """Every single value in every JSON file that carries the claim."""
    return [(path, keys) for path in _proofs(files) for keys in _leaves(files[path])]


def digests(files: Files) -> list[Place]:
    """Every digest in these files."""
    found = [(place, _at(files, place)) for place in places(files)]
    return [place for place, (holder, key) in found if isinstance(holder[key], str) and len(holder[key]) == 64]


def parts(opened: dict[str, Json]) -> list[Place]:
    """Every single value in the open parts of a bundle."""
    return [(part, keys) for part in ("parent", "family", "members", "certificates") for keys in _leaves(opened[part])]


def _leaves(value: Json, keys: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if entries is None:
        return [keys]
    return [leaf for key, item in entries for leaf in _leaves(item, (*keys, key))]


def _lists(value: Json) -> list[list[Json]]:
    """All lists in a JSON value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, list) else []), *(found for item in inner for found in _lists(item))]


def _objects(value: Json) -> list[dict[str, Json]]:
    """All objects in a JSON value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) else []), *(found for item in inner for found in _objects(item))]


def _at(files: Files, place: Place) -> tuple[Any, Any]:
    """The container of a place and its last key."""
    value: Any = files[place[0]]
    for key in place[1][:-1]:
        value = value[key]
    return value, place[1][-1]


def field_changed(files: Files, place: Place, rng: Random) -> None:
    """A value gives way to a neighbour of its own type: the next number, another bit, another digit, another word."""
    holder, key = _at(files, place)
    value, names = holder[key], {name for name in place[1] if isinstance(name, str)}
    if isinstance(value, int):
        holder[key] = value + pick(rng, [-1, 1])
    elif names & _NUMBERS:
        holder[key] = ulps(value, pick(rng, [-1, 1]))
    elif names & _VECTORS and "op" not in names:
        holder[key] = flip_in(value, rng)
    elif len(value) == 64:
        digit = rng.randrange(64)
        holder[key] = value[:digit] + f"{int(value[digit], 16) ^ 1 << rng.randrange(4):x}" + value[digit + 1 :]
    else:
        holder[key] = value + "x"


_STRANGE = (None, True, False, 0, 1, -1, 2**63, "", "0x0.0p+0", "00000000", "nan", [], {}, [[]], [0])


def type_changed(files: Files, place: Place, rng: Random) -> None:
    """A value gives way to one of another type."""
    holder, key = _at(files, place)
    options = [value for value in _STRANGE if type(value) is not type(holder[key])]
    holder[key] = pick(rng, options)


def _any_file(files: Files, rng: Random) -> Json:
    return files[pick(rng, _proofs(files))]


def item_dropped(files: Files, rng: Random) -> None:
    items = pick(rng, [items for items in _lists(_any_file(files, rng)) if items])
    del items[rng.randrange(len(items))]


def item_doubled(files: Files, rng: Random) -> None:
    items = pick(rng, [items for items in _lists(_any_file(files, rng)) if items])
    place = rng.randrange(len(items))
    items.insert(place, items[place])


def items_exchanged(files: Files, rng: Random) -> None:
    items = pick(rng, [items for items in _lists(_any_file(files, rng)) if len(items) > 1])
    first, second = two(rng, range(len(items)))
    items[first], items[second] = items[second], items[first]


def key_dropped(files: Files, rng: Random) -> None:
    record = pick(rng, [record for record in _objects(_any_file(files, rng)) if record])
    del record[pick(rng, sorted(record))]


def key_added(files: Files, rng: Random) -> None:
    pick(rng, _objects(_any_file(files, rng)))[pick(rng, ["comment", "mode ", "Format", "epsilon", ""])] = 0


def key_renamed(files: Files, rng: Random) -> None:
    record = pick(rng, [record for record in _objects(_any_file(files, rng)) if record])
    key = pick(rng, sorted(record))
    record[key.upper()] = record.pop(key)


def _certificates(files: Files) -> list[str]:
    return [path for path in files if path.startswith("certificates/")]


def _members(files: Files) -> list[str]:
    return [path for path in files if path.startswith("family/members/")]


def another_mode(files: Files, rng: Random) -> None:
    files[pick(rng, [FAMILY, *_certificates(files)])]["mode"] = pick(rng, ["epsilon", "decision", "Bitwise", ""])


def another_format(files: Files, rng: Random) -> None:
    record = files[pick(rng, [FAMILY, PARENT, *_certificates(files)])]
    record["format"] = pick(rng, [record["format"][:-1] + "2", record["format"][:-2], "netslicer-bundle/1"])


def parent_swapped(files: Files, rng: Random) -> None:
    """The digest of another file where the parent's should be."""
    files[pick(rng, [FAMILY, *_certificates(files)])]["parent"] = sha(canonical(files[FAMILY]))


def member_swapped(files: Files, rng: Random) -> None:
    """A certificate that names another of the bundle's members, or the parent."""
    own = files[pick(rng, _certificates(files))]
    digests = [*files[FAMILY]["members"], own["parent"]]
    own["member"] = pick(rng, [digest for digest in digests if digest != own["member"]])


def member_renamed(files: Files, rng: Random) -> None:
    """A member's file under a name that is not its digest, and the family names that."""
    path = pick(rng, _members(files))
    before, after = path[-69:-5], f"{rng.getrandbits(256):064x}"
    files[path.replace(before, after)] = files.pop(path)
    files[FAMILY]["members"] = [after if digest == before else digest for digest in files[FAMILY]["members"]]
    for certificate in _certificates(files):
        if files[certificate]["member"] == before:
            files[certificate]["member"] = after


def member_changed_in_place(files: Files, rng: Random) -> None:
    """A member's content changed under its old name."""
    record = files[pick(rng, _members(files))]
    units = pick(rng, [layer["units"] for layer in record["layers"] if layer["units"]])
    units.pop()


def certificate_renamed(files: Files, rng: Random) -> None:
    path = pick(rng, _certificates(files))
    files[f"certificates/{rng.randrange(100, 10**6):06d}.json"] = files.pop(path)


def certificate_copied(files: Files, rng: Random) -> None:
    """A certificate in another cell's file, word for word."""
    first, second = two(rng, _certificates(files))
    files[first] = files[second]


def file_missing(files: Files, rng: Random) -> None:
    del files[pick(rng, sorted(path for path in files if path in _proofs(files) or path.startswith("parent.")))]


def further_proof_file(files: Files, rng: Random) -> None:
    """A listed file in a folder that is the format's own."""
    files[pick(rng, ["family/", "certificates/", "family/members/"]) + pick(rng, ["notes", "x.json"])] = b"{}\n"


def further_file(files: Files, rng: Random) -> None:
    """A listed file elsewhere: only digest and size are verified."""
    files[pick(rng, ["report.html", "check.py", "notes/readme.txt", "zzz"])] = rng.randbytes(rng.randrange(50))


def second_model(files: Files, rng: Random) -> None:
    own = next(path for path in files if path.startswith("parent."))
    files["parent.nnet" if own == "parent.onnx" else "parent.onnx"] = files[own]


def bit_of_text(files: Files, rng: Random) -> None:
    """One bit of a file that carries the claim, before the manifest is written."""
    path = pick(rng, _proofs(files))
    content = bytearray(canonical(files[path]))
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    files[path] = bytes(content)


def character_exchanged(files: Files, rng: Random) -> None:
    """Two different neighbouring characters exchanged, before the manifest is written."""
    path = pick(rng, _proofs(files))
    content = bytearray(canonical(files[path]))
    place = rng.randrange(len(content) - 1)
    need(content[place] != content[place + 1])
    content[place], content[place + 1] = content[place + 1], content[place]
    files[path] = bytes(content)


def digits_changed(files: Files, rng: Random) -> None:
    """A digit anywhere gives way to another, before the manifest is written."""
    path = pick(rng, _proofs(files))
    content = bytearray(canonical(files[path]))
    digits = [
        k for k, byte in enumerate(content) if byte in b"0123456789abcdef" and content[k - 1] in b"0123456789abcdef"
    ]
    if not digits:
        raise Inapplicable
    content[pick(rng, digits)] = pick(rng, list(b"0123456789abcdef"))
    files[path] = bytes(content)


_PROOF = ("tree", "open", "path", "unproved", "overflow")
_ALL = (*_PROOF, "identity", "form", "json", "routing", "box", "member", "listing", "digest")
KINDS = (
    Sweep("every field in turn: the next value, digests follow", parts, field_changed, (*_ALL, "source")),
    Sweep(
        "every digest in turn: one bit off", digests, field_changed, ("identity", "digest", "listing", "member"), "then"
    ),
    Sweep("every field in turn: another type", places, type_changed, _ALL, "then"),
    Kind("list item dropped", item_dropped, _ALL, "then"),
    Kind("list item doubled", item_doubled, _ALL, "then"),
    Kind("list items exchanged", items_exchanged, _ALL, "then"),
    Kind("key dropped", key_dropped, _ALL, "then"),
    Kind("key added", key_added, _ALL, "then"),
    Kind("key renamed", key_renamed, _ALL, "then"),
    Kind("another mode", another_mode, ("identity",), "then"),
    Kind("another format or version", another_format, ("identity",), "then"),
    Kind("digest of another file as the parent's", parent_swapped, ("identity",), "then"),
    Kind("digest of another member", member_swapped, ("identity",), "then"),
    Kind("member under another name", member_renamed, ("digest", "member"), "then"),
    Kind("member changed under its name", member_changed_in_place, ("digest", "member"), "then"),
    Kind("certificate under another name", certificate_renamed, ("listing",), "then"),
    Kind("certificate of another cell, word for word", certificate_copied, ("identity",), "then"),
    Kind("file left out", file_missing, ("listing", "digest"), "then"),
    Kind("file that the format does not know", further_proof_file, ("listing",), "then"),
    Kind("a second model", second_model, ("listing",), "then"),
    Kind("further file, listed", further_file, (), "then"),
    Kind("one bit of a file that carries the claim", bit_of_text, _ALL, "then"),
    Kind("two neighbouring characters exchanged", character_exchanged, _ALL, "then"),
    Kind("one digit changed", digits_changed, _ALL, "then"),
)
