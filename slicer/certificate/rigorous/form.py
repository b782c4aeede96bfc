"""Strict reading of canonical JSON (CERTIFICATE.md §8): one spelling per value, everything else is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from slicer.certificate.verdict import Rejected

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
LARGEST = float(np.finfo(np.float32).max)
MAX_NESTING = 32
_BITS = re.compile(r"(?:[0-9a-f]{8})*")


class Refusal(Exception):
    """Something to reject, raised where it is found; ``verdict`` says where and why."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.verdict = Rejected(where, why)


def expect(condition: object, where: str, why: str) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise Refusal(where, why)


def canonical(value: object) -> bytes:
    """The one spelling of a JSON value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def parse(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value in any spelling; a ValueError if there is none, or a floating-point literal in it."""
    try:
        return json.loads(content.decode("ascii"), parse_float=_no_float, parse_constant=_no_float)
    except RecursionError as error:
        raise ValueError("deep nesting") from error


def read(content: bytes, where: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value of a file in canonical spelling, which excludes keys that stand twice."""
    try:
        value = parse(content)
        good = canonical(value) == content
    except (ValueError, RecursionError) as error:
        raise Refusal(where, f"expected canonical JSON: {error}") from error
    expect(good, where, "expected canonical JSON: sorted and distinct keys, no white space, one newline at the end")
    return value


def expect_shallow(value: object, where: str) -> None:
    """Refuse deep nesting. Only values of free form need it: others are as deep as their form is."""
    level = [value]
    for _ in range(MAX_NESTING):
        containers = [item for item in level if isinstance(item, (dict, list))]
        level = [item for outer in containers for item in (outer.values() if isinstance(outer, dict) else outer)]
    expect(not any(isinstance(item, (dict, list)) for item in level), where, f"expected {MAX_NESTING} levels at most")


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"a floating-point literal {text[:40]}")


def record(value: object, where: str, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Any]:
    """The value, which must be an object with these keys."""
    if not isinstance(value, dict) or not set(required) <= value.keys() <= {*required, *optional}:
        raise Refusal(where, f"expected an object with the keys {', '.join(sorted([*required, *optional]))}")
    return value


def fixed(fields: dict[str, Any], where: str, **expected: object) -> None:
    """Refuse unless these keys have exactly these values (``true`` is not 1)."""
    for key, value in expected.items():
        good = type(fields[key]) is type(value) and fields[key] == value
        expect(good, f"{where}: {key}", f"expected {value}, got {ascii(fields[key])[:80]}")


def items(value: object, where: str) -> list[Any]:
    """The value, which must be a list."""
    if not isinstance(value, list):
        raise Refusal(where, "expected a list")
    return value


def text(value: object, where: str) -> str:
    """The value, which must be a text."""
    if not isinstance(value, str):
        raise Refusal(where, "expected a text")
    return value


def integer(value: object, where: str, limit: int) -> int:
    """The value, which must be an integer (no boolean) in ``[0, limit)``."""
    if type(value) is not int or not 0 <= value < limit:
        raise Refusal(where, f"expected an integer from 0 to {limit - 1}")
    return value


def integers(value: object, where: str, limit: int, *, increasing: bool = False) -> list[int]:
    """The value, which must be a list of integers in ``[0, limit)``, strictly increasing if asked."""
    units = items(value, where)
    if units and not (set(map(type, units)) == {int} and min(units) >= 0 and max(units) < limit):
        raise Refusal(where, f"expected integers from 0 to {limit - 1}")
    if increasing and units != sorted(set(units)):
        raise Refusal(where, "expected strictly increasing integers")
    return units


def vector(value: object, where: str, length: int) -> Array:
    """Finite float32 numbers from eight hex digits each, ``[length]``."""
    digits = text(value, where)
    good = len(digits) == 8 * length and _BITS.fullmatch(digits)
    expect(good, where, f"expected {length} numbers of 8 lower-case hex digits")
    numbers = np.frombuffer(bytes.fromhex(digits), ">f4")
    expect(np.isfinite(numbers).all(), where, "expected finite numbers")
    return numbers.astype(np.float64)


def number(value: object, where: str) -> float:
    """A finite float32 number from the text that ``float.hex`` writes."""
    try:
        result = float.fromhex(text(value, where))
    except (ValueError, OverflowError):
        result = np.inf
    good = abs(result) <= LARGEST and result.hex() == value and float(np.float32(result)) == result
    expect(good, where, "expected a finite float32 number as float.hex writes it")
    return result


def corners(value: object, where: str, inputs: int) -> tuple[Array, Array]:
    """Lower and upper corner ``[inputs]`` of a box."""
    box = record(value, where, ("lower", "upper"))
    lower, upper = (np.array([number(item, where) for item in items(box[key], where)]) for key in ("lower", "upper"))
    good = len(lower) == len(upper) == inputs and (lower <= upper).all()
    expect(good, where, f"expected two corners of {inputs} numbers, lower ≤ upper")
    return lower, upper
