"""What members and parent have in common, in words for generated files."""

from __future__ import annotations

from dispatcher.plan import Family

WINNERS = {"argmax": "largest", "argmin": "smallest"}


def same(family: Family) -> str:
    """The end of a sentence about members."""
    if family.decision is not None:
        return f"with the same {family.decision}; other outputs mean nothing"
    if family.epsilon is not None:
        return f"with outputs that differ by at most {_bounds(family)}"
    return "with the same outputs, bit for bit"


def returned(family: Family) -> str:
    """What the entry point returns: the beginning of a sentence that ends with the parent's declared evaluation."""
    if family.decision is not None:
        word = WINNERS[family.decision]
        return f"numbers whose {word} ({family.decision}, of equal ones the first) stands where it stands in"
    if family.epsilon is not None:
        return f"numbers that differ, output by output, by at most {_bounds(family)} from those of"
    return "the bits of"


def _bounds(family: Family) -> str:
    """The bound of each output, with all digits of a float32 number."""
    assert family.epsilon is not None
    return ", ".join(f"{bound:.9g}" for bound in family.epsilon)
