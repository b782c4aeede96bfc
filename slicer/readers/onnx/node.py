"""`Node`: one operator of a model with its inputs as tensors and its attributes behind typed getters.

Nothing may be skipped silently: an operator takes every input and attribute that it knows, and `done` refuses the rest.
"""

from __future__ import annotations

from typing import Any, TypeVar

from onnx import AttributeProto, NodeProto

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.tensor import Array, Tensor, known_integers, single_precision
from slicer.readers.onnx.values import array_of, text_of

_D = TypeVar("_D")  # a default's type: a number, or None to learn that the attribute is not there


class Node:
    """An operator being read.

    Attributes
    ----------
    name:
        The node's name, or its operator and index: the name of its layers.
    """

    def __init__(self, proto: NodeProto, name: str, tensors: list[Tensor | None]) -> None:
        self.name = name
        self._tensors = dict(enumerate(tensors))
        self._attributes = {text_of(attribute.name): attribute for attribute in proto.attribute}
        if len(self._attributes) != len(proto.attribute):
            raise UnusableInput("expected every attribute once, got one twice")

    def tensor(self, index: int) -> Tensor:
        """An input that must be there, of any type."""
        tensor = self.optional(index)
        if tensor is None:
            raise UnusableInput(f"expected an input {index} (counted from 0), got none")
        return tensor

    def operand(self, index: int) -> Tensor:
        """A float32 input that must be there."""
        return single_precision(self.tensor(index))

    def optional(self, index: int) -> Tensor | None:
        """An input that may be left out."""
        return self._tensors.pop(index, None)

    def tensors(self) -> list[Tensor]:
        """All inputs of an operator that takes any number of them."""
        return [self.tensor(index) for index in sorted(self._tensors)]

    def integer(self, name: str, default: _D) -> int | _D:
        """An integer attribute."""
        attribute = self._take(name, AttributeProto.INT)
        return default if attribute is None else int(attribute.i)

    def integers(self, name: str) -> list[int] | None:
        """A list of integers; None if the attribute is not there."""
        attribute = self._take(name, AttributeProto.INTS)
        return None if attribute is None else [int(value) for value in attribute.ints]

    def integers_from(self, name: str, tensor: Tensor | None) -> list[int] | None:
        """A list of integers from the attribute (older opsets) or an input (newer ones); None if there is neither."""
        values = self.integers(name)
        if tensor is None:
            return values
        if values is not None:
            raise UnusableInput(f"expected {name!r} as an attribute or as an input, got both")
        return known_integers(tensor, name)

    def real(self, name: str, default: _D) -> float | _D:
        """A float32 attribute."""
        attribute = self._take(name, AttributeProto.FLOAT)
        return default if attribute is None else float(attribute.f)

    def reals(self, name: str) -> list[float] | None:
        """A list of float32 numbers; None if the attribute is not there."""
        attribute = self._take(name, AttributeProto.FLOATS)
        return None if attribute is None else [float(value) for value in attribute.floats]

    def array(self, name: str) -> Array | None:
        """A tensor attribute's values; None if the attribute is not there."""
        attribute = self._take(name, AttributeProto.TENSOR)
        return None if attribute is None else array_of(attribute.t)

    def ignore(self, *names: str) -> None:
        """Attributes that mean nothing for inference."""
        for name in names:
            self._attributes.pop(name, None)

    def done(self) -> None:
        """Refuse inputs and attributes that nobody asked for."""
        if any(tensor is not None for tensor in self._tensors.values()):
            raise UnusableInput(f"expected no input {min(self._tensors)} (counted from 0), got one")
        if self._attributes:
            raise UnusableInput(f"expected only attributes of this operator, got {min(self._attributes)!r}")

    def _take(self, name: str, kind: int) -> Any:  # noqa: ANN401 - protobuf classes have no static types
        attribute = self._attributes.pop(name, None)
        if attribute is not None and attribute.type != kind:
            expected, got = (AttributeProto.AttributeType.Name(value) for value in (kind, attribute.type))
            raise UnusableInput(f"expected an attribute {name!r} of type {expected}, got {got}")
        return attribute
