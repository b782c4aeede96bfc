"""`Graph`: what a model file holds, as far as a feed-forward float32 network needs it; the rest is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no stubs
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto

from dispatcher.errors import UnusableInput
from slicer.readers.files import located
from slicer.readers.onnx.tensor import Shape, check_size
from slicer.readers.onnx.values import text_of, type_name

OPSETS = range(8, 23)


@dataclass(frozen=True, slots=True)
class Graph:
    """A model's graph.

    Attributes
    ----------
    nodes:
        Index in the file and message of each node that the output may depend on, in the file's (topological) order.
    constants:
        Initializers by name.
    input, shape:
        Name and shape of the one input, with the batch dimension 1.
    output:
        Name of the one output.
    opset:
        Version of the standard operator set.
    """

    nodes: tuple[tuple[int, NodeProto], ...]
    constants: dict[str, TensorProto]
    input: str
    shape: Shape
    output: str
    opset: int


def read_graph(content: bytes) -> Graph:
    """The graph in the bytes of a model file.

    Raises
    ------
    UnusableInput
        Naming what the file holds that a feed-forward float32 network of opset 8 to 22 does not.
    """
    model = _parse(content)
    graph = model.graph
    if not graph.node:
        raise UnusableInput("expected a graph with nodes, got an empty one")
    if model.functions:
        raise UnusableInput("expected a graph without local functions", fix="inline them with onnx.inliner")
    if graph.sparse_initializer:
        raise UnusableInput("expected dense initializers, got sparse ones", fix="store them as dense tensors")
    constants = {text_of(tensor.name): tensor for tensor in graph.initializer}
    source = _only([value for value in graph.input if text_of(value.name) not in constants], "input")
    output = text_of(_only(graph.output, "output").name)
    _check_single_assignment(graph, text_of(source.name))
    with located(f"input {text_of(source.name)!r}"):
        shape = _input_shape(source.type)
    return Graph(_needed(graph, output), constants, text_of(source.name), shape, output, _opset(model))


def _parse(content: bytes) -> ModelProto:
    """The protobuf message."""
    try:
        return onnx.load_model_from_string(content)
    except DecodeError as error:
        raise UnusableInput(
            "expected an ONNX model, got other or truncated bytes", fix="is the file complete?"
        ) from error


def _opset(model: ModelProto) -> int:
    """The version of the standard operator set."""
    versions = {int(entry.version) for entry in model.opset_import if text_of(entry.domain) in ("", "ai.onnx")}
    if len(versions) != 1 or not versions <= set(OPSETS):
        got = " and ".join(map(str, sorted(versions))) or "none"
        raise UnusableInput(
            f"expected an operator set (opset) from {OPSETS[0]} to {OPSETS[-1]}, got {got}",
            fix="convert the model with onnx.version_converter.convert_version(model, 17)",
        )
    return versions.pop()


def _only(values: Iterable[ValueInfoProto], kind: str) -> ValueInfoProto:
    """The only input or output."""
    found = list(values)
    if len(found) != 1:
        names = ", ".join(repr(text_of(value.name)) for value in found[:5])
        raise UnusableInput(f"expected one {kind}, got {len(found)}{': ' if names else ''}{names}")
    return found[0]


def _check_single_assignment(graph: GraphProto, source: str) -> None:
    """Every name has one meaning."""
    seen = {source}
    initializers = [text_of(tensor.name) for tensor in graph.initializer]
    for name in initializers + [text_of(name) for node in graph.node for name in node.output if name]:
        if name in seen:
            raise UnusableInput(f"expected every tensor to be defined once, got {name!r} twice")
        seen.add(name)


def _input_shape(kind: TypeProto) -> Shape:
    """The input's shape; a first dimension that is symbolic, absent, 0 or −1 is the batch: 1."""
    tensor = kind.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        raise UnusableInput(
            f"expected elements of type FLOAT (float32), got {type_name(tensor.elem_type)}",
            fix="export the model in float32",
        )
    if not tensor.HasField("shape"):
        raise UnusableInput("expected an input with a shape, got none", fix="export the model with the input's shape")
    sizes = [int(dim.dim_value) if dim.HasField("dim_value") else 0 for dim in tensor.shape.dim]
    if len(sizes) > 1 and sizes[0] < 1:
        sizes[0] = 1
    if any(size < 1 for size in sizes):
        raise UnusableInput(
            f"expected fixed sizes after a leading batch dimension, got {_shape_text(tensor.shape)}",
            fix="export the model with a fixed input shape",
        )
    check_size(tuple(sizes))
    return tuple(sizes)


def _shape_text(shape: TensorShapeProto) -> str:
    """A shape with its symbolic dimensions, such as ``[N, 3, ?]``."""
    return "[" + ", ".join(str(dim.dim_value or text_of(dim.dim_param) or "?") for dim in shape.dim) + "]"


def _needed(graph: GraphProto, output: str) -> tuple[tuple[int, NodeProto], ...]:
    """The nodes on whose outputs the graph's output depends."""
    names, nodes = {output}, []
    for index, node in reversed(list(enumerate(graph.node))):
        if names.intersection(node.output):
            names.update(name for name in node.input if name)
            nodes.append((index, node))
    return tuple(reversed(nodes))
