"""ONNX models as bytes: the few messages of ``onnx.proto`` that emission needs, in Protocol Buffers' wire format.

Written by hand so that a host which only emits needs no onnx package. Field numbers are those of onnx.proto3 (IR
version 8); a message is the concatenation of its fields, a field is ``number << 3 | wire type`` and its value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

IR_VERSION = 8

_VARINT, _BYTES = 0, 2
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_INT, _INTS = 2, 7  # AttributeProto.AttributeType

Array = NDArray[np.float32] | NDArray[np.int64]


def _varint(value: int) -> bytes:
    """An integer, seven bits a byte; negative ones as 64-bit two's complement."""
    rest, out = value & (1 << 64) - 1, bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _integer(number: int, value: int) -> bytes:
    """An integer field."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def _bytes(number: int, value: bytes | str) -> bytes:
    """A field of bytes, text or an embedded message."""
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def tensor(name: str, values: Array) -> bytes:
    """A TensorProto of float32 or int64 numbers."""
    kind, form = (_FLOAT, "<f4") if values.dtype == np.float32 else (_INT64, "<i8")
    dims = b"".join(_integer(1, size) for size in values.shape)
    raw = np.ascontiguousarray(values).astype(form).tobytes()
    return dims + _integer(2, kind) + _bytes(8, name) + _bytes(9, raw)


def attribute(name: str, value: int | Sequence[int]) -> bytes:
    """An AttributeProto with an integer or a list of integers."""
    if isinstance(value, int):
        return _bytes(1, name) + _integer(3, value) + _integer(20, _INT)
    return _bytes(1, name) + b"".join(_integer(8, one) for one in value) + _integer(20, _INTS)


def node(op: str, inputs: Sequence[str], output: str, attributes: Mapping[str, int | Sequence[int]]) -> bytes:
    """A NodeProto with one output, which also names it."""
    parts = [_bytes(1, name) for name in inputs] + [_bytes(2, output), _bytes(3, output), _bytes(4, op)]
    parts += [_bytes(5, attribute(*pair)) for pair in sorted(attributes.items())]
    return b"".join(parts)


def value_info(name: str, *, width: int | None, integer: bool = False) -> bytes:
    """A ValueInfoProto: ``[batch, width]``, or ``[batch]`` without a width; float32 or int64."""
    dims = _bytes(1, _bytes(2, "batch")) + (_bytes(1, _integer(1, width)) if width is not None else b"")
    kind = _integer(1, _INT64 if integer else _FLOAT) + _bytes(2, dims)
    return _bytes(1, name) + _bytes(2, _bytes(1, kind))


def graph(
    name: str, nodes: Sequence[bytes], initializers: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]
) -> bytes:
    """A GraphProto."""
    fields = {1: nodes, 5: initializers, 11: inputs, 12: outputs}
    parts = [_bytes(number, message) for number, messages in fields.items() for message in messages]
    return b"".join(parts) + _bytes(2, name)


def model(graph_message: bytes, opset: int, metadata: Mapping[str, str]) -> bytes:
    """A ModelProto for a version of the default operator set."""
    parts = [_integer(1, IR_VERSION), _bytes(2, "netslicer"), _bytes(7, graph_message), _bytes(8, _integer(2, opset))]
    parts += [_bytes(14, _bytes(1, key) + _bytes(2, value)) for key, value in sorted(metadata.items())]
    return b"".join(parts)
