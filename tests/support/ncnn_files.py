"""Networks as files of ncnn, written from their tensors: small ones of the architectures `compact` and `rrdb`.

Written from ncnn's description of its format, without a word of the reader that is tested; ncnn itself can run them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Tensors = Mapping[str, np.ndarray]
LEAKY = "9=2 -23310=1,2.000000e-01"
DENSE = "0=1 -23301=2,2.000000e-01,1.000000e+00"


class Graph:
    """Layers one after another; a value that several layers take is split first, as ncnn wants it."""

    def __init__(self, tensors: Tensors, half: bool) -> None:
        self.tensors, self.half = tensors, half
        self.lines: list[tuple[str, str, list[str], list[str], str]] = [("Input", "input", [], ["data"], "")]
        self.numbers: list[bytes] = []

    def layer(self, kind: str, inputs: Sequence[str], options: str = "") -> str:
        name = f"{kind}_{len(self.lines)}"
        self.lines.append((kind, name, list(inputs), [f"v{len(self.lines)}"], options))
        return f"v{len(self.lines) - 1}"

    def convolution(self, name: str, given: str, options: str = "") -> str:
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        self.numbers += [flagged(weight, half=self.half), bias.astype("<f4").tobytes()]
        shape = f"0={weight.shape[0]} 1={weight.shape[3]} 4={weight.shape[3] // 2} 5=1 6={weight.size}"
        return self.layer("Convolution", [given], f"{shape} {options}".strip())

    def slopes(self, name: str, given: str) -> str:
        slopes = self.tensors[f"{name}.weight"]
        self.numbers.append(slopes.astype("<f4").tobytes())
        return self.layer("PReLU", [given], f"0={slopes.size}")

    def files(self) -> tuple[bytes, bytes]:
        """`.param` and `.bin`."""
        takers = Counter(value for _, _, inputs, _, _ in self.lines for value in inputs)
        taken: Counter[str] = Counter()
        written = []
        for kind, name, inputs, outputs, options in self.lines:
            named = []
            for value in inputs:
                named.append(f"{value}_{taken[value]}" if takers[value] > 1 else value)
                taken[value] += 1
            written.append((kind, name, named, outputs, options))
            for value in outputs:
                if takers[value] > 1:
                    written.append(("Split", f"s_{value}", [value], [f"{value}_{i}" for i in range(takers[value])], ""))
        count = sum(len(outputs) for _, _, _, outputs, _ in written)
        text = f"7767517\n{len(written)} {count}\n" + "".join(
            " ".join([kind, name, str(len(inputs)), str(len(outputs)), *inputs, *outputs, options]).strip() + "\n"
            for kind, name, inputs, outputs, options in written
        )
        return text.replace(f" {self.lines[-1][3][0]}", " output").encode(), b"".join(self.numbers)


def flagged(weight: np.ndarray, *, half: bool) -> bytes:
    """The weights of a convolution with the flag before them and zeros up to a multiple of four bytes."""
    if not half:
        return struct.pack("<I", 0) + weight.astype("<f4").tobytes()
    data = weight.astype("<f2").tobytes()
    return struct.pack("<I", 0x01306B47) + data + bytes(-len(data) % 4)


def compact_files(tensors: Tensors, *, scale: int, half: bool = True) -> tuple[bytes, bytes]:
    """SRVGGNetCompact from `body.0.weight` and so on: convolutions at even places, slopes at odd ones."""
    graph = Graph(tensors, half)
    value = "data"
    places = sorted({int(name.split(".")[1]) for name in tensors})
    for place in places:
        value = (graph.slopes if place % 2 else graph.convolution)(f"body.{place}", value)
    value = graph.layer("PixelShuffle", [value], f"0={scale}")
    larger = graph.layer("Interp", ["data"], f"0=1 1={scale:e} 2={scale:e}")
    graph.layer("BinaryOp", [value, larger])
    return graph.files()


def rrdb_files(tensors: Tensors, *, blocks: int, half: bool = True) -> tuple[bytes, bytes]:
    """RRDBNet by the names of its published checkpoints."""
    graph = Graph(tensors, half)
    first = value = graph.convolution("conv_first", "data")
    for block in range(blocks):
        whole = value
        for dense in ("rdb1", "rdb2", "rdb3"):
            given, seen = value, [value]
            for number in range(1, 6):
                joined = seen[0] if len(seen) == 1 else graph.layer("Concat", seen)
                name = f"body.{block}.{dense}.conv{number}"
                value = graph.convolution(name, joined, LEAKY if number < 5 else "")
                seen.append(value)
            value = graph.layer("Eltwise", [value, given], DENSE)
        value = graph.layer("Eltwise", [value, whole], DENSE)
    value = graph.layer("BinaryOp", [first, graph.convolution("conv_body", value)])
    for name in ("conv_up1", "conv_up2"):
        value = graph.convolution(name, graph.layer("Interp", [value], "0=1 1=2.0e+00 2=2.0e+00"), LEAKY)
    graph.convolution("conv_last", graph.convolution("conv_hr", value, LEAKY))
    return graph.files()


def waves(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Numbers between -1 and 1 that look like noise and are the same wherever they are made, float32."""
    places = np.arange(1, np.prod(shape) + 1, dtype=np.float64)
    return np.sin(places * places * (0.37 + seed)).astype(np.float32).reshape(shape)


def tensors_of(shapes: Iterable[tuple[str, tuple[int, ...]]], seed: int, *, half: bool = True) -> dict[str, np.ndarray]:
    """Numbers of a size that keeps a network's output near its input's; with `half`, weights that float16 can hold."""
    made = {}
    for number, (name, shape) in enumerate(shapes):
        spread = 0.1 if len(shape) == 1 else 1.4 / np.sqrt(np.prod(shape[1:]))
        values = waves(shape, seed + number) * np.float32(spread)
        made[name] = values.astype(np.float16).astype(np.float32) if half and len(shape) == 4 else values
    return made
