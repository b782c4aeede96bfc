"""Bytes of a file, and errors that say which file: the two things every reader needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dispatcher.errors import UnusableInput


def read_bytes(path: Path) -> bytes:
    """The content of a regular file that is not empty.

    Raises
    ------
    UnusableInput
        If the path is missing, a directory or anything else than a file, unreadable or empty.
    """
    try:
        if not path.exists():
            raise UnusableInput("expected a file, got nothing at this path", where=str(path), fix="check the spelling")
        if not path.is_file():
            kind = "a directory" if path.is_dir() else "something that is not a regular file"
            raise UnusableInput(f"expected a file, got {kind}", where=str(path))
        content = path.read_bytes()
    except OSError as error:
        raise UnusableInput(f"expected a readable file: {error.strerror}", where=str(path)) from error
    if not content:
        raise UnusableInput("expected content, got an empty file", where=str(path))
    return content


def decode(content: bytes) -> str:
    """Text of a file in UTF-8, with or without a byte order mark.

    Raises
    ------
    UnusableInput
        Naming the first byte that is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableInput(f"expected text in UTF-8, got other bytes at offset {error.start}") from error


@contextmanager
def located(where: str) -> Iterator[None]:
    """Within this context an `UnusableInput` gets the place in front of its own."""
    try:
        yield
    except UnusableInput as error:
        places = [place for place in (where, error.where) if place]
        raise UnusableInput(error.what, where=": ".join(places), fix=error.fix) from error
