"""``.nnet`` files: numbers, normalisation, strictness."""

import numpy as np
import pytest

from dispatcher.errors import UnusableInput
from dispatcher.interpret import eval32
from dispatcher.layers import Dense, Elementwise, Input, Relu
from slicer.readers import read_network_bytes

from .nnet_text import nnet_text


def read(**changes):
    return read_network_bytes(nnet_text(**changes).encode(), "net.nnet")


def test_the_normalisation_is_explicit():
    network = read()
    kinds = [Input, Elementwise, Elementwise, Dense, Relu, Dense, Elementwise, Elementwise]
    assert [type(layer) for layer in network.layers] == kinds
    operators = [(layer.op, layer.constant.tolist()) for layer in network.layers if isinstance(layer, Elementwise)]
    assert operators == [("add", [-1, -2]), ("div", [2, 4]), ("mul", [8]), ("add", [0.5])]


def test_a_hand_computed_output():
    """(3, −2) is (1, −1) normalised; units −1, −0.75, 2.5; relu (0, 0, 2.5); 10 + 0.125; · 8 + 0.5."""
    assert eval32(read().layers, np.array([[3, -2]], np.float32)) == 10.125 * 8 + 0.5


def test_a_normalisation_that_does_nothing_makes_no_layer():
    network = read(means="0.0,0.0,0.0,", ranges="1,1,1")
    assert [type(layer) for layer in network.layers] == [Input, Dense, Relu, Dense]


def test_weights_are_rows_of_units():
    dense = read().layers[3]
    np.testing.assert_array_equal(dense.weight, [[1, 2], [-1, 0], [0.5, -3]])
    np.testing.assert_array_equal(dense.bias, [0, 0.25, -1])


def test_every_number_is_the_nearest_float32():
    """1 + 2^-24 + 10^-30: rounding through float64 would give 1."""
    weight = read(weights2="1.000000059604644775390625000001,-2.0,4.0").layers[5].weight
    assert weight[0, 0] == np.nextafter(np.float32(1), np.float32(2))


def test_an_incomplete_last_number_is_seen():
    with pytest.raises(UnusableInput, match=r"bias of layer 2, unit 0 and a comma or line end, got '0\.12'"):
        read_network_bytes(nnet_text().encode()[:-3], "net.nnet")


def test_line_ends_and_comments():
    text = "// one\n// two\n" + nnet_text()
    assert read_network_bytes(text.replace("\n", "\r\n").encode(), "net.nnet").digest == read().digest


MEANING = "four positive counts (layers, inputs, outputs, largest layer)"

BAD = {
    "counts": ("2,2,1,", f"line 2: expected {MEANING}, got 2, 2, 1"),
    "counts-sign": ("-2,2,1,3,", f"line 2: expected {MEANING}, got -2, 2, 1, 3"),
    "counts-layers": ("99999,2,1,3,", "line 2: expected at most 10000 layers, got 99999"),
    "sizes": ("2,3,3,1,", "line 3: expected the 3 sizes of the input and of 2 layers, got 2, 3, 3, 1"),
    "sizes-ends": ("3,3,1", "line 3: expected sizes from 2 to 1 as the first line says, got 3 to 1"),
    "minima": ("-10.0,", "line 5: expected the minimum of every input: 2 numbers, got 1"),
    "means": ("1.0,2.0,", "line 7: expected the mean of every input and one of the outputs: 3 numbers, got 2"),
    "ranges": ("1.0,2.0,nan", "line 8: expected a finite decimal number, got 'nan'"),
    "ranges-zero": ("1.0,0.0,1.0", "line 8: expected ranges other than zero"),
    "ranges-tiny": (
        "1.0,1e-39,1.0",
        "layer 2 (Elementwise 'input/range'): expected divisors of at least 2^-126 in magnitude, "
        "got zero or a subnormal number",
    ),
    "weights1": ("1.0,2.0,\n-1.0,\n0.5,3.0", "line 10: expected weights of layer 1, unit 1: 2 numbers, got 1"),
    "weights1-text": ("1.0,x,\n-1.0,2\n0.5,3.0", "line 9: expected a finite decimal number, got 'x'"),
    "weights1-gap": (
        "1.0,2.0,\n\n0.5,3.0",
        "line 10: expected weights of layer 1, unit 1, got no data (is the file complete?)",
    ),
    "biases1": ("0.0,\n0.25,\n-1e39", "line 14: expected a number within float32's range, got '-1e39'"),
    "biases2": ("", "line 16: expected bias of layer 2, unit 0, got no data (is the file complete?)"),
    "biases2-more": ("1.0\n2.0", "line 17: expected the end of the file after the last layer's biases"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_clear_error(name):
    value, message = BAD[name]
    with pytest.raises(UnusableInput) as caught:
        read(**{name.split("-", maxsplit=1)[0]: value})
    assert str(caught.value) == f"net.nnet: {message}"


def test_text_that_is_not_utf8():
    with pytest.raises(UnusableInput, match=r"net\.nnet: expected text in UTF-8, got other bytes at offset 3"):
        read_network_bytes(b"// \xff\n", "net.nnet")
