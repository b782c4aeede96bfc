"""Canonical JSON: one byte string per value, and a strict reader that says where something is wrong.

Canonical means: UTF-8 restricted to ASCII, keys sorted, no white space, a final newline, no floating-point literals
(numbers that are not integers are texts, see `dispatcher.literal`). Equal content gives equal digests.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from dispatcher.errors import UnusableBundle

MAX_DEPTH = 32


def canonical_json(value: object) -> bytes:
    """The canonical byte string of a JSON value (dicts, lists, texts, integers, booleans, null)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode() + b"\n"


def canonical_rows(key: str, rows: Iterable[object], record: Mapping[str, object]) -> bytes:
    """`canonical_json` of a record with one more key, a long list: one of its rows at a time is held as objects."""
    before, after = ({name: value for name, value in record.items() if (name < key) is low} for low in (True, False))
    content = bytearray(canonical_json(before)[:-2] + b"," * bool(before) + canonical_json(key)[:-1] + b":[")
    for place, row in enumerate(rows):
        content += b"," * (place > 0) + canonical_json(row)[:-1]
    content += b"]" + b"," * bool(after) + canonical_json(after)[1:]
    return bytes(content)


def digest(content: bytes) -> str:
    """Sha256 of the bytes, as 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()


def read_json(content: bytes, where: str) -> Fields:
    """Parse a JSON object strictly: its bytes must be the canonical ones, its nesting at most `MAX_DEPTH` deep.

    Time and memory are linear in the length of the content.

    Raises
    ------
    UnusableBundle
        Naming the file and the reason.
    """
    try:
        value = json.loads(content.decode("ascii"), parse_float=_refuse_float, parse_constant=_refuse_float)
    except (ValueError, RecursionError) as error:
        raise UnusableBundle(f"expected canonical JSON: {error}", where=where) from error
    _check_depth(value, where)
    _check_canonical(value, content, where)
    return Fields(value, where)


def _check_depth(value: object, where: str) -> None:
    """Refuse deep nesting, level by level."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    if level:
        raise UnusableBundle(f"expected at most {MAX_DEPTH} levels of nesting", where=where)


def _check_canonical(value: object, content: bytes, where: str) -> None:
    """Refuse any other spelling of the value: white space, key order, a key that stands twice, escapes, "-0"."""
    canonical = canonical_json(value)
    if canonical != content:
        pairs = enumerate(zip(canonical, content, strict=False))
        shorter = min(len(canonical), len(content))
        first = next((place for place, (expected, got) in pairs if expected != got), shorter)
        raise UnusableBundle(
            "expected canonical JSON: sorted and distinct keys, no white space, one newline at the end, "
            f"one spelling per value; got a different byte at offset {first}",
            where=where,
        )


def _refuse_float(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:40]} is not an integer; exact numbers are written as texts")


class Fields:
    """A JSON object being read: typed getters that name the path, and `done`, which refuses the rest."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise UnusableBundle(f"expected an object, got {_kind(value)}", where=where)
        self._record = dict(value)
        self.where = where

    def _take(self, key: str, kind: type) -> Any:  # noqa: ANN401 - the getters below give it its type
        where = f"{self.where}: {key}"
        if key not in self._record:
            raise UnusableBundle("expected this key, got nothing", where=where)
        value = self._record.pop(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UnusableBundle(f"expected {_WORDS[kind]}, got {_kind(value)}", where=where)
        return value

    def __contains__(self, key: str) -> bool:
        return key in self._record

    def text(self, key: str) -> str:
        """The text under the key."""
        return str(self._take(key, str))

    def texts(self, key: str) -> list[str]:
        """The list of texts under the key."""
        values = self.items(key)
        if any(not isinstance(value, str) for value in values):
            raise UnusableBundle("expected a list of texts", where=f"{self.where}: {key}")
        return values

    def boolean(self, key: str) -> bool:
        """The boolean under the key."""
        return bool(self._take(key, bool))

    def integer(self, key: str, lower: int, upper: int) -> int:
        """The integer under the key, within ``[lower, upper]``."""
        value = self._take(key, int)
        if not lower <= value <= upper:
            raise UnusableBundle(f"expected {lower} to {upper}, got {_short(value)}", where=f"{self.where}: {key}")
        return int(value)

    def items(self, key: str) -> list[Any]:
        """The list under the key, its items unchecked."""
        return list(self._take(key, list))

    def integers(self, key: str, upper: int, *, increasing: bool = False) -> list[int]:
        """The list of integers under the key, each in ``[0, upper)``, strictly increasing if asked."""
        values = self.items(key)
        where = f"{self.where}: {key}"
        if any(type(value) is not int or not 0 <= value < upper for value in values):
            raise UnusableBundle(f"expected integers from 0 to {upper - 1}", where=where)
        if increasing and any(a >= b for a, b in itertools.pairwise(values)):
            raise UnusableBundle("expected strictly increasing integers", where=where)
        return values

    def mapping(self, key: str) -> dict[str, Any]:
        """The object under the key, its content unchecked."""
        return dict(self._take(key, dict))

    def record(self, key: str) -> Fields:
        """The object under the key."""
        return Fields(self._take(key, dict), f"{self.where}: {key}")

    def records(self, key: str) -> Iterator[Fields]:
        """The objects in the list under the key."""
        for index, value in enumerate(self.items(key)):
            yield Fields(value, f"{self.where}: {key}[{index}]")

    def parsed(self, key: str, parse: Callable[[str], Any]) -> Any:  # noqa: ANN401 - the type is the parser's
        """The text under the key through a parser whose ValueError becomes an error with this path."""
        try:
            return parse(self.text(key))
        except UnusableBundle:
            raise
        except ValueError as error:
            raise UnusableBundle(str(error), where=f"{self.where}: {key}") from error

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        if self._record:
            raise UnusableBundle(f"unknown key {min(self._record)[:40]!r}", where=self.where)


_WORDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a boolean",
    int: "an integer",
    type(None): "null",
}


def _kind(value: object) -> str:
    """The JSON word for a value's type."""
    return _WORDS[type(value)]


def _short(value: int) -> str:
    """An integer for a message: long ones by their size (Python refuses to print more than 4,300 digits)."""
    return str(value) if abs(value) < 10**18 else f"an integer of {value.bit_length()} bits"
