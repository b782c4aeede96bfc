"""`read_network`: the file's suffix decides which format's reader gets the bytes."""

from __future__ import annotations

from pathlib import Path, PurePath

from dispatcher.errors import UnusableInput
from slicer.network import Network
from slicer.readers.files import located, read_bytes
from slicer.readers.nnet import read_nnet
from slicer.readers.onnx import read_onnx

_READERS = {".onnx": read_onnx, ".nnet": read_nnet}


def read_network(path: str | Path) -> Network:
    """The network in a ``.onnx`` or ``.nnet`` file.

    Raises
    ------
    UnusableInput
        If there is no such file, its suffix is another one, or its content is not a network that this tool covers.
    """
    _check_suffix(str(path))
    return read_network_bytes(read_bytes(Path(path)), str(path))


def read_network_bytes(content: bytes, name: str) -> Network:
    """The network in the bytes of a model file, such as a bundle's verified copy of its source model.

    Parameters
    ----------
    content:
        The whole file.
    name:
        The file's name: its suffix selects the format, and errors start with it.

    Raises
    ------
    UnusableInput
        As `read_network`.
    """
    suffix = _check_suffix(name)
    with located(name):
        if not content:
            raise UnusableInput("expected content, got an empty file")
        return _READERS[suffix](content)


def _check_suffix(name: str) -> str:
    """The suffix that selects the reader, in lower case."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in _READERS:
        got = f"the suffix {suffix!r}" if suffix else "no suffix"
        raise UnusableInput(f"expected a model file ending in .onnx or .nnet, got {got}", where=name)
    return suffix
