"""Numbers and texts out of protobuf messages, checked before numpy sees them."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto, numpy_helper

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.tensor import Array, check_size

_TYPES = ("FLOAT", "DOUBLE", "INT32", "INT64", "BOOL")


def type_name(data_type: int) -> str:
    """The name of an element type, such as ``FLOAT16``."""
    names: dict[int, str] = {number: name for name, number in TensorProto.DataType.items()}
    return names.get(data_type, f"number {data_type}")


def text_of(value: str | bytes) -> str:
    """A text field; protobuf hands over the bytes if they are not UTF-8."""
    if isinstance(value, bytes):
        raise UnusableInput(f"expected names in UTF-8, got {value[:40]!r}")
    return value


def array_of(tensor: TensorProto) -> Array:
    """The values of a tensor stored in the model file.

    Raises
    ------
    UnusableInput
        If they are stored elsewhere, of a type that no covered operator has, too many, too few, NaN or infinite.
    """
    if tensor.data_location == TensorProto.EXTERNAL:
        raise UnusableInput(
            "expected the values inside the model file, got a reference to external data",
            fix="load the model with onnx.load and save it with onnx.save_model(…, save_as_external_data=False)",
        )
    if type_name(tensor.data_type) not in _TYPES:
        raise UnusableInput(f"expected values of type {', '.join(_TYPES)}, got {type_name(tensor.data_type)}")
    shape = tuple(tensor.dims)
    if any(size < 0 for size in shape):
        raise UnusableInput(f"expected a shape without negative sizes, got {list(shape)}")
    check_size(shape)
    try:
        values: Array = numpy_helper.to_array(tensor)
    except (TypeError, ValueError) as error:
        raise UnusableInput(f"expected {math.prod(shape)} values for shape {list(shape)}: {error}") from error
    return finite(values)


def finite(values: Array) -> Array:
    """The values; an error naming the first that is NaN or infinite."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        index = np.argwhere(wrong)[0].tolist()
        raise UnusableInput(f"expected finite numbers, got {values[tuple(index)]} at {index}")
    return values
