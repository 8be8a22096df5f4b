"""Looks into an ONNX file without running it: whether it is whole, and what numbers it holds.

Protocol Buffers wire format (protobuf.dev, "Encoding") and the field numbers of onnx.proto3, IR version 13. A model
that keeps numbers in other files is refused: the digest of its card would not cover them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import TypeAlias

Parts: TypeAlias = Mapping[int, str]

_MESSAGES: Mapping[str, Parts] = MappingProxyType(
    {
        "model": {7: "graph", 25: "function"},
        "graph": {1: "node", 5: "tensor", 15: "sparse"},
        "function": {7: "node"},
        "node": {5: "attribute"},
        "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
        "sparse": {1: "tensor", 2: "tensor"},
    }
)
"""Which fields of a message hold which others: onnx.proto3, of what can lead to a tensor."""
_DIMS, _DATA_TYPE, _EXTERNAL_DATA, _DATA_LOCATION = 1, 2, 13, 14
"""Fields of TensorProto."""
_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 10: "float16", 16: "bfloat16"}
"""TensorProto.DataType, of those that weights are made of."""
_DEEPEST = 24
"""Graphs inside nodes inside graphs; real ones need a handful."""
_MOST = 1_000_000
"""Fields that are looked at before a file is given up as hostile."""
_MOST_DIMS = 16
"""Dimensions of a tensor; real ones have four or five."""


class OnnxDamaged(ValueError):
    """The bytes are no ONNX model that may be used; the message goes on after the model's name."""


def numbers(data: bytes) -> Counter[str]:
    """How many numbers of each kind the tensors of a model hold: `float32`, `float16`, `other`…; raise OnnxDamaged."""
    found: Counter[str] = Counter()
    graphs = looked = 0
    waiting = [("model", 0, memoryview(data))]
    while waiting:
        kind, depth, part = waiting.pop()
        fields = list(_fields(part, _MOST - looked))
        looked += len(fields)
        if depth > _DEEPEST:
            raise OnnxDamaged("has weights whose graphs lie too deep inside each other")
        graphs += kind == "graph" and depth == 1
        if kind == "tensor":
            dtype, count = _tensor(fields)
            found[dtype] += count
        inner = _MESSAGES.get(kind, {})
        waiting += [
            (inner[field], depth + 1, value)
            for field, value in fields
            if field in inner and isinstance(value, memoryview)
        ]
    if graphs != 1:
        raise OnnxDamaged("has weights that are no ONNX model")
    return found


def _tensor(fields: Sequence[tuple[int, int | memoryview]]) -> tuple[str, int]:
    dims: list[int] = []
    dtype = "other"
    for field, value in fields:
        if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value):
            raise OnnxDamaged("keeps numbers in another file, which its digest does not cover; save it as one file")
        if field == _DIMS:
            dims += [value] if isinstance(value, int) else list(_packed(value))
        elif field == _DATA_TYPE and isinstance(value, int):
            dtype = _DTYPES.get(value, "other")
    if len(dims) > _MOST_DIMS:
        raise OnnxDamaged("has weights with an absurd number of dimensions")
    return dtype, prod(dims)


def _fields(part: memoryview, most: int) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, varint or bytes); a fixed-size number is given as 0. Raise OnnxDamaged beyond `most` of them."""
    at = 0
    while at < len(part):
        if most <= 0:
            raise OnnxDamaged("has weights with more parts than are looked at")
        most -= 1
        key, at = _varint(part, at)
        field, wire = key >> 3, key & 7
        value: int | memoryview = 0
        if wire == 0:
            value, at = _varint(part, at)
        elif wire == 2:
            size, at = _varint(part, at)
            value = part[at : at + size]
            at += size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise OnnxDamaged("has weights that are no ONNX model")
        if at > len(part):
            raise OnnxDamaged("has weights that are no whole ONNX model")
        yield field, value


def _varint(part: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(part) and shift < 70:
        byte = part[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise OnnxDamaged("has weights that are no ONNX model")


def _packed(part: memoryview) -> Iterator[int]:
    if len(part) > _MOST_DIMS * 10:
        raise OnnxDamaged("has weights with an absurd number of dimensions")
    at = 0
    while at < len(part):
        value, at = _varint(part, at)
        yield value
