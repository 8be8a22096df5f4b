"""Weights in the format of ncnn: a text that lists the layers (`.param`), and their numbers in the same order (`.bin`).

Format: ncnn's wiki, "param and model file structure", and the `load_model` of each layer. Only the layers of networks
that archive_restore.imaging.networks has are known: an unknown layer may own numbers, and all after them would be
misread. Must never believe a size before it has been held against the bytes that are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.adapters.models_card import Refused

Numbers = npt.NDArray[Any]
"""float16 or float32, little-endian; not writable, it is the file itself."""
Options = Mapping[int, int | float | tuple[float, ...]]
"""Parameters of a layer by their number; those that are absent have ncnn's defaults."""

MAGIC = "7767517"
"""First line of every `.param`."""
MOST_LAYERS = 10_000
LONGEST_WORD = 255
"""Characters of a name, as in ncnn itself."""
MOST_NUMBERS = 1 << 32
"""Of one layer: more is a lie in any file that is read."""
HALF, FULL = 0x01306B47, 0
"""Flags before the weights of a convolution: float16, float32. Others mean quantized weights."""
_ARRAY = -23300
"""The number of an array is this less the number of the parameter."""
_PLAIN = frozenset(
    ("BinaryOp", "Concat", "Eltwise", "Input", "Interp", "PixelShuffle", "Pooling", "ReLU", "Split", "UnaryOp")
)
"""Layers without numbers in the `.bin`."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One line of a `.param`."""

    kind: str
    name: str
    options: Options


def state_dict(structure: bytes, weights: bytes, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Numbers]:
    """The numbers of a network under the names that a module of ours has for them.

    `structure` and `weights` are the bytes of `.param` and `.bin`; `shapes` are those of the module's own state dict,
    whose order must be that in which its layers run. Weights (out, in, rows, columns), biases (out,), slopes (n,).
    Raise Refused where a file is damaged, its layers are not known, or their shapes are not these.
    """
    found = [part for layer in read_layers(structure) for part in _wanted(layer)]
    tensors = list(_numbers(found, weights))
    if len(tensors) != len(shapes):
        raise Refused(
            "MODEL_WEIGHTS_MISMATCH", f"has {len(tensors)} arrays of numbers, its architecture takes {len(shapes)}"
        )
    made = {}
    for part, tensor, (name, shape) in zip(found, tensors, shapes.items(), strict=True):
        if part.shape != shape:
            raise Refused(
                "MODEL_WEIGHTS_MISMATCH",
                f"has {part.shape} in {part.layer!r}, its architecture takes {shape} for {name!r}",
            )
        made[name] = tensor.reshape(shape)
    return made


def read_layers(structure: bytes) -> tuple[Layer, ...]:
    """The layers of a `.param` in their order; raise Refused.

    1. text in lines, the first of which is the magic number;
    2. the second counts the layers and the values that pass between them;
    3. each layer takes values that an earlier one gave, and gives new ones;
    4. there are as many layers and values as were counted.
    """
    # 1.
    try:
        lines = [line.split() for line in structure.decode("ascii").splitlines() if line.strip()]
    except UnicodeDecodeError as exc:
        raise _unreadable("is no text") from exc
    if not lines or lines[0] != [MAGIC]:
        raise _unreadable(f"does not begin with {MAGIC}")
    # 2.
    if len(lines) < 2 or len(lines[1]) != 2:
        raise _unreadable("does not count its layers")
    count, values = (_whole(word, "the count") for word in lines[1])
    if len(lines) - 2 != count or not 0 < count <= MOST_LAYERS:
        raise _unreadable(f"has {len(lines) - 2} layers and counts {count}; at most {MOST_LAYERS} are read")
    # 3.
    given: set[str] = set()
    layers = tuple(_layer(words, given) for words in lines[2:])
    # 4.
    if len(given) != values:
        raise _unreadable(f"has {len(given)} values and counts {values}")
    return layers


def _layer(words: Sequence[str], given: set[str]) -> Layer:
    """One line: kind, name, how many values in and out, their names, parameters."""
    if len(words) < 4 or max(map(len, words)) > LONGEST_WORD:
        raise _unreadable("has a layer without kind, name and counts, or with words that are too long")
    kind, name = words[:2]
    many_in, many_out = (_whole(word, f"{name!r}") for word in words[2:4])
    first, last = 4 + many_in, 4 + many_in + many_out
    if min(many_in, many_out) < 0 or last > len(words):
        raise _unreadable(f"counts more values in {name!r} than it names")
    unknown = [value for value in words[4:first] if value not in given]
    if unknown:
        raise _unreadable(f"gives {name!r} a value {unknown[0]!r} that no earlier layer made")
    made = words[first:last]
    if len(set(made)) != len(made) or given.intersection(made):
        raise _unreadable(f"makes a value of {name!r} twice")
    given.update(made)
    return Layer(kind=kind, name=name, options=dict(_option(word, name) for word in words[last:]))


def _option(word: str, name: str) -> tuple[int, int | float | tuple[float, ...]]:
    """`number=value`, or `-233xx=length,value,value` for an array."""
    key, equals, value = word.partition("=")
    number = _whole(key, f"{name!r}")
    if not equals:
        raise _unreadable(f"has a parameter without value in {name!r}")
    if number > _ARRAY:
        return number, _number(value, name)
    length, *values = value.split(",")
    if len(values) != _whole(length, f"{name!r}"):
        raise _unreadable(f"has an array in {name!r} that is not as long as it says")
    return _ARRAY - number, tuple(float(_number(part, name)) for part in values)


def _number(word: str, name: str) -> int | float:
    try:
        return float(word) if "." in word or "e" in word else int(word)
    except ValueError:
        raise _unreadable(f"has {word[:40]!r} in {name!r}, which is no number") from None


def _whole(word: str, where: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise _unreadable(f"has {word[:40]!r} in {where}, which is no whole number") from None


# --- numbers -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """An array that a layer owns in the `.bin`."""

    layer: str
    shape: tuple[int, ...]
    flagged: bool = False
    """A flag before it says how it is written; else it is float32."""


def _wanted(layer: Layer) -> Iterator[_Wanted]:
    """The arrays of a layer in the order of its `load_model`; raise Refused for a kind that is not known."""
    if layer.kind == "Convolution":
        rows = _option_of(layer, 11, _option_of(layer, 1, 0))
        columns = _option_of(layer, 1, 0)
        out, count = _option_of(layer, 0, 0), _option_of(layer, 6, 0)
        if min(rows, columns, out) < 1 or count < 1 or count % (rows * columns * out):
            raise _unreadable(f"has a convolution {layer.name!r} of {count} weights for {out} × {rows} × {columns}")
        if _option_of(layer, 8, 0) or _option_of(layer, 19, 0):
            raise _unreadable(f"has a convolution {layer.name!r} with quantized weights or none of its own")
        into = count // (rows * columns * out)
        yield _Wanted(layer=layer.name, shape=(out, into, rows, columns), flagged=True)
        if _option_of(layer, 5, 0):
            yield _Wanted(layer=layer.name, shape=(out,))
    elif layer.kind == "PReLU":
        yield _Wanted(layer=layer.name, shape=(_option_of(layer, 0, 0),))
    elif layer.kind not in _PLAIN:
        raise _unreadable(f"has a layer {layer.name!r} of the kind {layer.kind!r}, which is not known here")


def _option_of(layer: Layer, number: int, default: int) -> int:
    value = layer.options.get(number, default)
    if not isinstance(value, int) or not 0 <= value < MOST_NUMBERS:
        raise _unreadable(f"has {value!r} as parameter {number} of {layer.name!r}")
    return value


def _numbers(wanted: Sequence[_Wanted], data: bytes) -> Iterator[Numbers]:
    """Cut the arrays out of a `.bin`; raise Refused where it ends early, goes on, or is written in another way."""
    at = 0
    for part in wanted:
        dtype = "<f4"
        if part.flagged:
            flag = int.from_bytes(data[at : at + 4], "little")
            if len(data) - at >= 4 and flag not in (HALF, FULL):
                raise Refused(
                    "MODEL_WEIGHTS_UNREADABLE", f"has quantized or damaged weights in {part.layer!r}: flag {flag:#010x}"
                )
            at += 4
            dtype = "<f2" if flag == HALF else "<f4"
        count = prod(part.shape)
        size = count * np.dtype(dtype).itemsize
        if count < 1 or size > len(data) - at:
            raise Refused(
                "MODEL_WEIGHTS_UNREADABLE",
                f"has weights that end in {part.layer!r}: {max(len(data) - at, 0)} bytes are left for {count} numbers",
            )
        yield np.frombuffer(data, dtype, count, at)
        at += -(-size // 4) * 4
    if at != len(data):
        raise Refused("MODEL_WEIGHTS_UNREADABLE", f"has weights of {len(data)} bytes, its layers take {at}")


def _unreadable(problem: str) -> Refused:
    return Refused("MODEL_WEIGHTS_UNREADABLE", f"has a list of layers that {problem}")
