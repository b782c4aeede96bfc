"""What members and parent have in common, in words for generated files."""

from __future__ import annotations

from dispatcher.plan import Decision


def same(decision: Decision | None) -> str:
    """The end of a sentence about members."""
    if decision is None:
        return "with the same outputs, bit for bit"
    return f"with the same {decision}; other outputs mean nothing"


def returned(decision: Decision | None) -> str:
    """What the entry point returns: the beginning of a sentence that ends with the parent's declared evaluation."""
    if decision is None:
        return "the bits of"
    word = "largest" if decision == "argmax" else "smallest"
    return f"numbers whose {word} ({decision}, of equal ones the first) stands where it stands in"
