"""`read_network`: the file's suffix decides which format's reader gets the bytes."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np

from dispatcher.errors import UnusableInput
from dispatcher.layers import Dense, dense
from slicer.network import Network
from slicer.readers.files import located, read_bytes
from slicer.readers.nnet import read_nnet
from slicer.readers.onnx import read_onnx

_SUFFIXES = (".onnx", ".nnet")


def read_network(path: str | Path) -> Network:
    """The network in a ``.onnx`` or ``.nnet`` file.

    Raises
    ------
    UnusableInput
        If there is no such file, its suffix is another one, or its content is not a network that this tool covers.
    """
    _check_suffix(str(path))
    return read_network_bytes(read_bytes(Path(path)), str(path))


def read_network_bytes(content: bytes, name: str, *, scores: bool = False) -> Network:
    """The network in the bytes of a model file, such as a bundle's verified copy of its source model.

    Parameters
    ----------
    content:
        The whole file.
    name:
        The file's name: its suffix selects the format, and errors start with it.
    scores:
        Whether only the order of the outputs counts (mode ``decision``): a Softmax at the end is then left out, and a
        network that does not end with a dense layer is followed by one that returns its outputs as they are.

    Raises
    ------
    UnusableInput
        As `read_network`.
    """
    suffix = _check_suffix(name)
    with located(name):
        if not content:
            raise UnusableInput("expected content, got an empty file")
        network = read_nnet(content) if suffix == ".nnet" else read_onnx(content, scores=scores)
    return _ending_dense(network) if scores else network


def _ending_dense(network: Network) -> Network:
    """The network, followed by the identity matrix if it ends otherwise: 0 + 1·h is h, and zero terms change no bit."""
    if isinstance(network.layers[-1], Dense):
        return network
    return Network((*network.layers, dense(len(network.layers) - 1, np.eye(network.n_out), name="scores")))


def _check_suffix(name: str) -> str:
    """The suffix that selects the reader, in lower case."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in _SUFFIXES:
        got = f"the suffix {suffix!r}" if suffix else "no suffix"
        raise UnusableInput(f"expected a model file ending in .onnx or .nnet, got {got}", where=name)
    return suffix
