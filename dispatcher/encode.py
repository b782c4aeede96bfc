"""Canonical JSON: one byte string per value, and a strict reader that says where something is wrong.

Canonical means: UTF-8 restricted to ASCII, keys sorted, no white space, a final newline, no floating-point literals
(numbers that are not integers are texts, see `dispatcher.literal`). Equal content gives equal digests.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from dispatcher.errors import UnusableBundle

MAX_DEPTH = 32


def canonical_json(value: object) -> bytes:
    """The canonical byte string of a JSON value (dicts, lists, texts, integers, booleans, null)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode() + b"\n"


def digest(content: bytes) -> str:
    """Sha256 of the bytes, as 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()


def read_json(content: bytes, where: str) -> Fields:
    """Parse a JSON object strictly: no duplicate keys, no floats, no NaN, bounded depth.

    Raises
    ------
    UnusableBundle
        Naming the file and the reason.
    """
    _check_depth(content, where)
    try:
        value = json.loads(
            content.decode("ascii"),
            object_pairs_hook=_unique_pairs,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
        )
    except (ValueError, RecursionError) as error:
        raise UnusableBundle(f"expected canonical JSON: {error}", where=where) from error
    return Fields(value, where)


def _check_depth(content: bytes, where: str) -> None:
    """Refuse deep nesting before the recursive parser sees it (brackets in texts only make this stricter)."""
    depth = 0
    for byte in content:
        if byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise UnusableBundle(f"expected at most {MAX_DEPTH} levels of nesting", where=where)
        elif byte in b"]}":
            depth -= 1


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of the pairs; a ValueError if a key stands twice."""
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice")
    return record


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
            raise UnusableBundle(f"expected {kind.__name__}, got {_kind(value)}", where=where)
        return value

    def __contains__(self, key: str) -> bool:
        return key in self._record

    def text(self, key: str) -> str:
        """The text under the key."""
        return str(self._take(key, str))

    def integer(self, key: str, lower: int, upper: int) -> int:
        """The integer under the key, within ``[lower, upper]``."""
        value = self._take(key, int)
        if not lower <= value <= upper:
            raise UnusableBundle(f"expected {lower} to {upper}, got {str(value)[:40]}", where=f"{self.where}: {key}")
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
            raise UnusableBundle(f"unknown key {min(self._record)!r}", where=self.where)


def _kind(value: object) -> str:
    """The JSON word for a value's type."""
    names = {dict: "object", list: "list", str: "text", bool: "boolean", int: "integer", type(None): "null"}
    return names.get(type(value), type(value).__name__)
