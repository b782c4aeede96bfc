"""`read_onnx`: walks the nodes of a model in order and hands each to its operator."""

from __future__ import annotations

import math

from onnx import NodeProto

from dispatcher.errors import UnusableInput
from dispatcher.files import MAX_UNITS
from slicer.network import Network
from slicer.readers.files import located
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.model import Graph, read_graph
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.operators import activations, operator
from slicer.readers.onnx.tensor import Constant, Tensor
from slicer.readers.onnx.values import array_of, text_of

_ORDERLY = ("Softmax", "LogSoftmax")  # keep the order of their inputs


def read_onnx(content: bytes, *, scores: bool = False) -> Network:
    """The network in the bytes of an ONNX model; without a Softmax at its end if only the order of ``scores`` counts.

    Raises
    ------
    UnusableInput
        Naming the node, operator and opset, or the part of the model, that is malformed or not covered.
    """
    graph = read_graph(content)
    builder = Builder(graph.shape, graph.input)
    tensors = _Tensors(graph, builder.input)
    for index, proto in graph.nodes:
        kind = text_of(proto.op_type)
        name = text_of(proto.name) or f"{kind}_{index}"
        with located(f"node {name!r} ({kind}, opset {graph.opset})"):
            node = Node(proto, name, [tensors.get(tensor) for tensor in proto.input])
            if scores and kind in _ORDERLY and graph.output == text_of(proto.output[0]):
                tensors.define(proto, activations.scores(node, graph.opset))
            else:
                tensors.define(proto, operator(text_of(proto.domain), kind)(node, builder))
            node.done()
    with located(f"output {graph.output!r}"):
        output = tensors.get(graph.output)
        if output is None or isinstance(output, Constant):
            raise UnusableInput("expected an output that depends on the input, got a constant")
        layers = builder.finish(output, graph.output)
        if len(layers) == 1:
            raise UnusableInput("expected a network that computes something, got one that returns its input")
    return Network(layers)


class _Tensors:
    """The tensors that exist so far, by name; initializers are decoded when something reads them."""

    def __init__(self, graph: Graph, source: Tensor) -> None:
        self._constants = graph.constants
        self._tensors: dict[str, Tensor] = {graph.input: source}
        self._secondary: set[str] = set()
        self._elements = 0

    def get(self, name: str | bytes) -> Tensor | None:
        """The tensor of a name; None for the empty name of an input that is left out."""
        name = text_of(name)
        if name and name not in self._tensors:
            if name not in self._constants:
                reason = "is no operator's first output" if name in self._secondary else "nothing before it defines"
                raise UnusableInput(f"expected tensors that are defined, got {name!r}, which {reason}")
            with located(f"initializer {name!r}"):
                self._tensors[name] = Constant(array_of(self._constants[name]))
        return self._tensors.get(name)

    def define(self, proto: NodeProto, result: Tensor) -> None:
        """Give the result to the node's first output; operators have no values for others (masks, statistics)."""
        self._elements += math.prod(result.shape)
        if self._elements > MAX_UNITS:
            raise UnusableInput(f"expected at most {MAX_UNITS} elements in all tensors together, got more")
        first, *others = (text_of(name) for name in proto.output)
        self._tensors[first] = result
        self._secondary.update(others)
