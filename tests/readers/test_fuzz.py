"""Damaged files: whatever the bytes are, a reader returns a network or a box, or raises `UnusableInput`."""

import contextlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from dispatcher.errors import UnusableInput
from slicer.box import Box
from slicer.network import Network
from slicer.readers import read_network_bytes
from slicer.readers.domain import read_domain

from .models import f32, model, node
from .nnet_text import nnet_text

NUMBERS = (0, 1, -1, 2, 3, 7, 17, 2**24, 2**31, -(2**31), 2**63 - 1, -(2**63))


def every_family():
    """A model with an operator of every family."""
    nodes = [
        node("BatchNormalization", "x c c c c", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1]),
        node("Reshape", "b s", "d"),
        node("Gemm", "d W c", "e", alpha=0.5, transB=1),
        node("Relu", "e", "f"),
        node("Slice", "f i j i", "g"),
        node("Concat", "g f c2", "h", axis=1),
        node("Gather", "h k", "l", axis=1),
        node("Sub", "l c"),
    ]
    W = np.arange(12, dtype=np.float32).reshape(2, 6)
    integers = {"s": np.array([1, -1]), "i": np.array([1]), "j": np.array([2]), "k": np.array([3, 0])}
    return model(nodes, ["N", 2, 3], {"c": f32(1, 2), "c2": f32([5]), "W": W, **integers})


MODEL = every_family().SerializeToString()
NNET = nnet_text().encode()
PROPERTY = b"""; a property
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real)
(assert (or (and (<= X_0 1.5) (>= X_0 (- 0.5))) (and (<= X_0 2) (>= 0.5e0 X_0) (<= Y_0 0))))
(assert (and (>= X_1 -3) (<= X_1 4)))(assert (>= X_0 -7))
"""
CSV = b"lower,upper\n-1,1\n0.5,2e3\n"

edits = st.lists(
    st.tuples(
        st.integers(0, 10**6), st.sampled_from(["set", "insert", "delete", "cut"]), st.binary(min_size=1, max_size=4)
    ),
    min_size=1,
    max_size=5,
)


def damaged(content, changes):
    """The bytes after the edits."""
    content = bytearray(content)
    for place, kind, data in changes:
        at = place % (len(content) + 1)
        end = {"set": at + len(data), "insert": at, "delete": at + len(data), "cut": len(content)}[kind]
        content[at:end] = data if kind in ("set", "insert") else b""
    return bytes(content)


@pytest.mark.parametrize(("content", "name"), [(MODEL, "m.onnx"), (NNET, "m.nnet")])
def test_the_undamaged_models_are_read(content, name):
    assert isinstance(read_network_bytes(content, name), Network)


@pytest.mark.parametrize(("content", "name"), [(MODEL, "m.onnx"), (NNET, "m.nnet")])
@given(changes=edits)
@settings(deadline=None, max_examples=400)
def test_damaged_models(content, name, changes):
    with contextlib.suppress(UnusableInput):
        assert isinstance(read_network_bytes(damaged(content, changes), name), Network)


@pytest.mark.parametrize(("content", "name"), [(MODEL, "m.onnx"), (NNET, "m.nnet")])
def test_every_truncation(content, name):
    """Protobuf fields may be missing at the end, so some truncated models parse; none of them is a network."""
    for length in range(len(content) - 1):
        with pytest.raises(UnusableInput):
            read_network_bytes(content[:length], name)


@pytest.mark.parametrize(("content", "suffix"), [(PROPERTY, ".vnnlib"), (CSV, ".csv")])
@given(changes=edits)
@settings(deadline=None, max_examples=200)
def test_damaged_domains(tmp_path_factory, content, suffix, changes):
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(content)
    assert read_domain(path, 2).dimension == 2
    path.write_bytes(damaged(content, changes))
    with contextlib.suppress(UnusableInput):
        assert isinstance(read_domain(path, 2), Box)


@given(st.text(alphabet="0123456789.,:;-+eE naif_x", max_size=20))
@settings(deadline=None)
def test_any_domain_text(text):
    with contextlib.suppress(UnusableInput):
        assert isinstance(read_domain(text, 2), Box)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=500)
def test_models_that_are_well_formed_but_wrong(seed):
    """Message by message: wrong operators, inputs, attributes, sizes, types."""
    rng, proto = random.Random(seed), ModelProto.FromString(MODEL)
    for _ in range(rng.randint(1, 3)):
        rng.choice(CHANGES)(rng, proto.graph)
    with contextlib.suppress(UnusableInput):
        assert isinstance(read_network_bytes(proto.SerializeToString(), "m.onnx"), Network)


def other_operator(rng, graph):
    rng.choice(graph.node).op_type = rng.choice(graph.node).op_type


def other_input(rng, graph):
    names = ["", "x", *(tensor.name for tensor in graph.initializer), *(node.output[0] for node in graph.node)]
    inputs = rng.choice([node.input for node in graph.node if node.input])
    inputs[rng.randrange(len(inputs))] = rng.choice(names)


def fewer_inputs(rng, graph):
    rng.choice([node.input for node in graph.node if node.input]).pop()


def other_attribute(rng, graph):
    attribute = rng.choice([attribute for node in graph.node for attribute in node.attribute])
    attribute.i = rng.choice(NUMBERS)
    attribute.f = rng.choice((0.0, np.nan, np.inf, 1e38))
    attribute.ints.append(rng.choice(NUMBERS))


def other_size(rng, graph):
    rng.choice(graph.initializer).dims[0] = rng.choice(NUMBERS)


def other_rank(rng, graph):
    rng.choice(graph.initializer).dims.extend([1] * rng.randint(1, 70))


def other_numbers(rng, graph):
    tensor = rng.choice(graph.initializer)
    tensor.raw_data = rng.randbytes(len(tensor.raw_data))


def other_type(rng, graph):
    rng.choice(graph.initializer).data_type = rng.randint(0, 30)


def other_input_shape(rng, graph):
    rng.choice(graph.input[0].type.tensor_type.shape.dim).dim_value = rng.choice(NUMBERS)


CHANGES = (
    other_operator, other_input, fewer_inputs, other_attribute, other_size, other_rank, other_numbers, other_type,
    other_input_shape,
)  # fmt: skip
