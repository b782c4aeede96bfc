"""`read_network`: paths, suffixes, bytes."""

import pytest

from dispatcher.errors import UnusableInput
from slicer.readers import read_network, read_network_bytes

from .models import model, node
from .nnet_text import nnet_text

MODEL = model([node("Relu", "x")], [1, 2]).SerializeToString()


@pytest.mark.parametrize(("name", "content"), [("a.onnx", MODEL), ("A.ONNX", MODEL), ("b.nnet", nnet_text().encode())])
def test_a_file_and_its_bytes_are_the_same_network(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    network = read_network(path)
    assert network.digest == read_network(str(path)).digest == read_network_bytes(content, name).digest


SUFFIX = "expected a model file ending in .onnx or .nnet, got"

BAD = {
    "none.onnx": "expected a file, got nothing at this path (check the spelling)",
    "folder.onnx": "expected a file, got a directory",
    "empty.onnx": "expected content, got an empty file",
    "model.h5": f"{SUFFIX} the suffix '.h5'",
    "model": f"{SUFFIX} no suffix",
    "text.onnx": "expected an ONNX model, got other or truncated bytes (is the file complete?)",
    "text.nnet": "line 1: expected four positive counts (layers, inputs, outputs, largest layer), got 7",
    "x" * 300 + ".onnx": "expected a readable file: File name too long",
}


@pytest.mark.parametrize("name", BAD, ids=lambda name: name[:20])
def test_one_clear_error(tmp_path, name):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "empty.onnx").touch()
    for text in ("text.onnx", "text.nnet"):
        (tmp_path / text).write_text("7\n")
    with pytest.raises(UnusableInput) as caught:
        read_network(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {BAD[name]}"


@pytest.mark.parametrize("name", ["m.onnx", "m.nnet"])
def test_no_bytes(name):
    with pytest.raises(UnusableInput, match=f"{name}: expected content, got an empty file"):
        read_network_bytes(b"", name)


def test_a_name_that_no_file_can_have():
    with pytest.raises(UnusableInput, match="expected a file, got nothing at this path"):
        read_network("a\0b.onnx")
