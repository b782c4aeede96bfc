"""`Kind`: one way of changing a bundle, and small changes that many kinds share.

A kind edits one of three things (see `tests.certificates.opened`): the open parts before the digests are made to fit,
the finished files before the manifest is written, or the bytes with the manifest.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tests.certificates.opened import Files, Json, Opened, sha
from tests.certificates.trees import Closing, Tree, closings

Random = random.Random
Contents = dict[str, bytes]
_T = TypeVar("_T")


class Inapplicable(Exception):
    """The bundle has nothing that this kind could change."""


@dataclass(frozen=True)
class Kind:
    """A kind of edit.

    Attributes
    ----------
    name:
        What is changed, in the table's words.
    edit:
        Changes the parts in place, with choices drawn from the random numbers.
    topics:
        What rejections are about (`tests.certificates.reasons`): some finding of each checker must be. None: harmless.
    stage:
        ``before``, ``then`` or ``last``.
    """

    name: str
    edit: Callable[[Any, Random], None]
    topics: tuple[str, ...]
    stage: str = "before"

    def mutants(self, opened: Opened, attempts: int, seed: str) -> Iterator[Contents]:
        """Mutants of an honest bundle, different from it and from one another; at most ``attempts``, often fewer."""
        seen = {_identity(opened.written())}
        for attempt in range(attempts):
            try:
                contents = self._mutant(opened, Random(f"{self.name}/{seed}/{attempt}"))
            except Inapplicable:
                continue
            if _identity(contents) not in seen:
                seen.add(_identity(contents))
                yield contents

    def _mutant(self, opened: Opened, rng: Random) -> Contents:
        """All files of a mutant."""
        opened = opened.copy()
        if self.stage == "before":
            self.edit(opened, rng)
            return opened.written()
        files: Files = json_copy(opened.seal())
        if self.stage == "then":
            self.edit(files, rng)
            return opened.listed(files)
        contents = opened.listed(files)
        self.edit(contents, rng)
        return contents


@dataclass(frozen=True)
class Sweep:
    """A kind that is applied at every place there is: ``places`` lists them, ``edit`` changes the parts at one."""

    name: str
    places: Callable[[Any], list[Any]]
    edit: Callable[[Any, Any, Random], None]
    topics: tuple[str, ...]
    stage: str = "before"

    def mutants(self, opened: Opened, _attempts: int, seed: str) -> Iterator[Contents]:
        """One mutant for each place."""
        honest = _identity(opened.written())
        before = self.stage == "before"
        for place in self.places(vars(opened) if before else opened.seal()):
            copy = opened.copy()
            parts = vars(copy) if before else json_copy(opened.seal())
            try:
                self.edit(parts, place, Random(f"{self.name}/{seed}/{place}"))
            except Inapplicable:
                continue
            contents = copy.written() if before else opened.listed(parts)
            if _identity(contents) != honest:
                yield contents


def _identity(contents: Contents) -> str:
    """A digest of all files."""
    parts = [f"{path} {sha(contents[path])}" for path in sorted(contents)]
    return sha("\n".join(parts).encode())


def json_copy(files: Files) -> Files:
    """Files whose JSON values may be edited one by one."""
    return {path: value if isinstance(value, bytes) else json.loads(json.dumps(value)) for path, value in files.items()}


def pick(rng: Random, options: Sequence[_T]) -> _T:
    """One of the options."""
    if not options:
        raise Inapplicable
    return rng.choice(options)


def two(rng: Random, options: Sequence[_T]) -> tuple[_T, _T]:
    """Two different places in the options."""
    if len(options) < 2:
        raise Inapplicable
    first, second = rng.sample(range(len(options)), 2)
    return options[first], options[second]


def need(condition: object) -> None:
    """Inapplicable unless the condition holds."""
    if not condition:
        raise Inapplicable


def exchange(first: Json, second: Json, key: str) -> None:
    """The values of a key change places; where there was none, there is none afterwards."""
    values = [one.pop(key) if key in one else None for one in (second, first)]
    for one, value in zip((first, second), values, strict=True):
        if value is not None:
            one[key] = value


def ulps(text: str, steps: int) -> str:
    """A float32 number in hex, some float32 numbers further up."""
    value = np.float32(float.fromhex(text))
    for _ in range(abs(steps)):
        value = np.nextafter(value, np.float32(np.copysign(np.inf, steps)))
    return float(value).hex()


def negated(text: str) -> str:
    """The number with the other sign; zero is inapplicable, as −0 = 0."""
    need(float.fromhex(text))
    return (-float.fromhex(text)).hex()


def between(rng: Random, lower: str, upper: str) -> str:
    """A random float32 number of an interval."""
    low, high = float.fromhex(lower), float.fromhex(upper)
    return float(np.clip(np.float32(rng.uniform(low, high)), low, high)).hex()


def one_bit(digits: str, rng: Random) -> str:
    """A float32 number in eight digits with one bit flipped, finite."""
    while True:
        flipped = f"{int(digits, 16) ^ 1 << rng.randrange(32):08x}"
        if int(flipped, 16) >> 23 & 255 != 255:
            return flipped


def flip_in(text: str, rng: Random) -> str:
    """One of the numbers of a vector with one bit flipped: sign, mantissa, or one of the exponent's lowest three."""
    need(text)
    place, bit = 8 * rng.randrange(len(text) // 8), pick(rng, [31, *range(26)])
    flipped = f"{int(text[place : place + 8], 16) ^ 1 << bit:08x}"
    need(int(flipped, 16) >> 23 & 255 != 255)
    return text[:place] + flipped + text[place + 8 :]


def certificate(opened: Opened, rng: Random) -> Json:
    return pick(rng, opened.certificates)


def tree_of(opened: Opened, rng: Random) -> Tree:
    """The proof of some cell; those with splits come up as often as those without."""
    trees = [c["tree"] for c in opened.certificates]
    return pick(rng, pick(rng, [trees, [tree for tree in trees if len(tree) > 1] or trees]))


def large_tree(opened: Opened, rng: Random) -> Tree:
    """A proof with splits."""
    return pick(rng, [c["tree"] for c in opened.certificates if len(c["tree"]) > 1])


def closing_of(tree: Tree, rng: Random, phase: str = "") -> Closing:
    """Some closing of a proof, of a phase if one is given."""
    return pick(rng, [closing for closing in closings(tree) if phase in ("", closing[1])])


def widths(opened: Opened) -> dict[int, int]:
    """Width of every relu layer."""
    return {p: layer.width for p, layer in enumerate(opened.network.layers) if type(layer).__name__ == "Relu"}


def removed_units(certificate: Json) -> list[tuple[int, int]]:
    """The removed (relu layer, unit) pairs."""
    return [(layer, unit) for layer, units in certificate["removed"] for unit in units]


def remove(certificate: Json, layer: int, unit: int) -> None:
    """Claim another unit."""
    rows = {row[0]: set(row[1]) for row in certificate["removed"]}
    rows.setdefault(layer, set()).add(unit)
    certificate["removed"] = [[key, sorted(rows[key])] for key in sorted(rows)]


def keep(certificate: Json, layer: int, unit: int) -> None:
    """Claim a unit no longer."""
    rows = [[key, [u for u in units if (key, u) != (layer, unit)]] for key, units in certificate["removed"]]
    certificate["removed"] = [row for row in rows if row[1]]
