"""S-expressions as SMT-LIB writes them: symbols, parentheses, comments to the end of the line. No recursion."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dispatcher.errors import UnusableInput

# Deeper nesting than any property in use; consumers may recurse to this depth.
MAX_DEPTH = 64

_LEXEME = re.compile(r"\s+|;[^\n]*|(?P<lexeme>[()]|[^\s();]+)")


@dataclass(frozen=True, slots=True)
class Atom:
    """A symbol or number and the line it stands on."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Group:
    """A parenthesised list and the line of its opening parenthesis."""

    items: tuple[Expression, ...]
    line: int

    @property
    def head(self) -> str:
        """The first item's text; empty if there is none or it is a list."""
        return self.items[0].text if self.items and isinstance(self.items[0], Atom) else ""


Expression = Atom | Group


def parse(text: str) -> list[Expression]:
    """The expressions of a text.

    Raises
    ------
    UnusableInput
        Naming the line of a parenthesis without partner or of nesting deeper than 64 levels.
    """
    opened: list[int] = []
    levels: list[list[Expression]] = [[]]
    line = 1
    for match in _LEXEME.finditer(text):
        lexeme = match["lexeme"]
        if lexeme == "(":
            _check_depth(len(opened), line)
            opened.append(line)
            levels.append([])
        elif lexeme == ")":
            if not opened:
                raise UnusableInput("expected no ')' here: nothing is open", where=f"line {line}")
            items = tuple(levels.pop())
            levels[-1].append(Group(items, opened.pop()))
        elif lexeme:
            levels[-1].append(Atom(lexeme, line))
        line += match[0].count("\n")
    if opened:
        raise UnusableInput("expected a ')' for this '(', got the end of the file", where=f"line {opened[-1]}")
    return levels[0]


def _check_depth(depth: int, line: int) -> None:
    """Refuse what consumers could not walk recursively."""
    if depth >= MAX_DEPTH:
        raise UnusableInput(f"expected at most {MAX_DEPTH} levels of parentheses", where=f"line {line}")
