"""The one error that users see: what was expected, what came, where, and what to do about it."""

from __future__ import annotations


class UnusableInput(ValueError):
    """Input that cannot be used (a model, a domain, a bundle, a file, an option). Commands print it and exit 2.

    Parameters
    ----------
    what:
        One sentence: expected / got.
    where:
        The place: file, node, row, column, JSON path. Empty if the whole input is meant.
    fix:
        What the user can do about it. Empty if nothing better can be said than the sentence itself.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.fix})" if self.fix else text

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the three parts across process boundaries (exceptions pickle by ``args`` otherwise)."""
        return (_rebuild, (type(self), self.what, self.where, self.fix))


class UnusableBundle(UnusableInput):
    """A bundle that a reader refuses: wrong digest, unlisted file, unknown version, malformed content."""


def _rebuild(kind: type[UnusableInput], what: str, where: str, fix: str) -> UnusableInput:
    return kind(what, where=where, fix=fix)
