"""VNN-LIB 1.0 properties: the box of inputs that a property speaks about.

Of the assertions, only bounds of a single input count: ``(<= X_i c)``, ``(>= X_i c)`` and their mirror images,
combined by ``and`` and ``or``. The result contains every input that satisfies them:

* ``and`` intersects boxes;
* ``or`` gives the *hull* of its boxes (ACAS Xu property 6 has two), as there is one domain: a superset of the union;
* whatever speaks of outputs (``Y_j``) alone is no constraint on inputs and is ignored.

A constraint over several inputs, or over an input and an output, is an error: dropping it silently would surprise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from dispatcher.errors import UnusableInput
from slicer.readers.decimals import parse_decimal
from slicer.readers.interval import Bound, Interval
from slicer.readers.sexpr import Atom, Expression, Group, parse

_VARIABLE = re.compile(r"(?P<kind>[XY])_(?P<index>[0-9]{1,9})\Z")
_MIRRORED = {"<=": ">=", ">=": "<="}
_EXPECTED = "expected a bound of one input, (<= X_i number) or (>= X_i number)"

Intervals = dict[int, Interval]  # inputs without an entry are unbounded


def read_vnnlib(text: str, inputs: int) -> list[Interval]:
    """Bounds of every input, some perhaps missing.

    Raises
    ------
    UnusableInput
        Naming the line, if the text is not VNN-LIB 1.0, declares other inputs than X_0 … X_(inputs−1), or constrains
        inputs by more than bounds.
    """
    declared: set[int] = set()
    box: Intervals = {}
    for command in parse(text):
        if not isinstance(command, Group) or not command.head:
            raise UnusableInput("expected a command in parentheses", where=f"line {command.line}")
        if command.head in ("declare-const", "declare-fun"):
            declared |= _indices(command, "X")
        elif command.head == "assert":
            _expect_operands(command, 1)
            _tighten(box, _read(command.items[1]))
        elif "network" in command.head or "vnnlib" in command.head:
            raise UnusableInput("expected VNN-LIB 1.0, got a command of version 2", where=f"line {command.line}")
    _check_declared(declared, set(box), inputs)
    return [box.get(index, Interval()) for index in range(inputs)]


def _check_declared(declared: set[int], bounded: set[int], inputs: int) -> None:
    """Whether the declared inputs are the network's."""
    if declared != set(range(inputs)):
        names = f"{len(declared)} (X_{min(declared)} to X_{max(declared)})" if declared else "none"
        raise UnusableInput(f"expected declarations of {inputs} inputs, X_0 to X_{inputs - 1}, got {names}")
    if bounded - declared:
        raise UnusableInput(f"expected bounds of declared inputs, got one of X_{min(bounded - declared)}")


def _read(formula: Expression) -> Intervals:
    """The smallest known box around the inputs that satisfy a formula."""
    head = formula.head if isinstance(formula, Group) else ""
    if isinstance(formula, Group) and head in ("and", "or"):
        parts = [_read(part) for part in formula.items[1:]]
        if head == "or" and not parts:
            raise UnusableInput("expected at least one case in (or …)", where=f"line {formula.line}")
        return _intersection(parts) if head == "and" else _hull(parts)
    if not _indices(formula, "X"):
        return {}
    if isinstance(formula, Atom) or head not in _MIRRORED:
        raise UnusableInput(f"{_EXPECTED}, got {head or 'something else'!r}", where=f"line {formula.line}")
    _expect_operands(formula, 2)
    return _bound(formula)


def _bound(formula: Group) -> Intervals:
    """The bound that an inequality between one input and one number states."""
    relation, (left, right) = formula.head, formula.items[1:]
    if _indices(right, "X") and not _indices(left, "XY"):
        relation, left, right = _MIRRORED[relation], right, left
    match = _VARIABLE.match(left.text) if isinstance(left, Atom) else None
    if match is None or match["kind"] != "X" or _indices(right, "XY"):
        raise UnusableInput(
            f"{_EXPECTED}, got a constraint on more than one variable or on a term",
            where=f"line {formula.line}",
            fix="only boxes of inputs can be domains",
        )
    index = int(match["index"])
    bound = Bound(_number(right), f"line {formula.line}: input {index}")
    return {index: Interval(upper=bound) if relation == "<=" else Interval(lower=bound)}


def _number(term: Expression) -> Decimal:
    """The value of a number, also in SMT-LIB's form ``(- 0.5)``."""
    if isinstance(term, Atom):
        try:
            return parse_decimal(term.text)
        except UnusableInput as error:
            raise UnusableInput(error.what, where=f"line {term.line}") from error
    if term.head == "-" and len(term.items) == 2 and isinstance(term.items[1], Atom):
        return _number(term.items[1]).copy_negate()
    raise UnusableInput(f"{_EXPECTED}, got a term instead of the number", where=f"line {term.line}")


def _tighten(box: Intervals, other: Intervals) -> None:
    """Intersect a box with another, in place: properties have thousands of one-bound assertions."""
    for index, interval in other.items():
        box[index] = box.get(index, Interval()).intersection(interval)


def _intersection(parts: Sequence[Intervals]) -> Intervals:
    """Bounds that hold if all of the boxes' do."""
    box: Intervals = {}
    for part in parts:
        _tighten(box, part)
    return box


def _hull(parts: Sequence[Intervals]) -> Intervals:
    """The smallest box around several; an input without bounds in one of them has none."""
    box = parts[0]
    for part in parts[1:]:
        box = {i: box[i].hull(part[i]) for i in box.keys() & part.keys()}
    return box


def _indices(expression: Expression, kinds: str) -> set[int]:
    """Indices of the variables ``X_i`` and/or ``Y_j`` anywhere in an expression."""
    found: set[int] = set()
    pending = [expression]
    while pending:
        item = pending.pop()
        if isinstance(item, Group):
            pending.extend(item.items)
        elif (match := _VARIABLE.match(item.text)) and match["kind"] in kinds:
            found.add(int(match["index"]))
    return found


def _expect_operands(group: Group, count: int) -> None:
    """Refuse another number of operands."""
    if len(group.items) != count + 1:
        raise UnusableInput(
            f"expected {count} operand(s) of {group.head!r}, got {len(group.items) - 1}", where=f"line {group.line}"
        )
