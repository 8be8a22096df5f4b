"""Runs a small feed-forward network from a list of operations, so that no foreign runtime is needed for it.

Made for networks that came as TFLite files (the face networks): their padding rule is TensorFlow's SAME, their weights
are read from safetensors under the names `layers.<number>.weight` and so on. Must never read a file or run code that
a list of operations names: the kinds below are all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Build = Callable[..., nn.Module]


class _Convolution(nn.Module):
    """Convolution with TensorFlow's SAME padding, which puts the odd pixel at the bottom and right."""

    def __init__(
        self, *, into: int, out: int, kernel: int, stride: int = 1, groups: int = 1, padded: bool = True
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.groups, self.padded = kernel, stride, groups, padded
        self.weight = nn.Parameter(torch.zeros(out, into // groups, kernel, kernel), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(out), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.padded:
            x = _pad_same(x, self.kernel, self.stride, 0.0)
        return functional.conv2d(x, self.weight, self.bias, stride=self.stride, groups=self.groups)


class _Slopes(nn.Module):
    """PReLU with one slope a channel."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.prelu(x, self.weight)


class _Relu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x)


class _Add(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class _Largest(nn.Module):
    """Max pooling over `size`×`size` in steps of as much, SAME padding."""

    def __init__(self, *, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(_pad_same(x, self.size, self.size, float("-inf")), self.size)


class _Widen(nn.Module):
    """Appends `channels` channels of zeros."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, (0, 0, 0, 0, 0, self.channels))


class _Rows(nn.Module):
    """(n, c, h, w) to (n, planes, h·w·c / planes, 1): row by row, channels innermost (TFLite's order)."""

    def __init__(self, *, planes: int) -> None:
        super().__init__()
        self.planes = planes

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.planes)
        return rows.transpose(1, 2).unsqueeze(-1)


class _Join(nn.Module):
    """Concatenates along planes (axis 1) or rows (axis 2)."""

    def __init__(self, *, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, self.axis)


_KINDS: Mapping[str, Build] = {
    "conv": _Convolution,
    "prelu": _Slopes,
    "relu": _Relu,
    "add": _Add,
    "maxpool": _Largest,
    "widen": _Widen,
    "rows": _Rows,
    "join": _Join,
}


def _pad_same(x: Tensor, kernel: int, stride: int, value: float) -> Tensor:
    """Pad so that ceil(size / stride) positions fit, the smaller half first (TensorFlow's SAME)."""
    totals = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
    if not any(totals):
        return x
    (rows, columns) = totals
    return functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2), value=value)


class Graph(nn.Module):
    """A network made of a list of operations.

    An operation is `[kind, inputs, options]`. Value 0 is the network's input, value k what the k-th operation makes
    (from 1); inputs are numbers of earlier values; the last value is the output. Kinds and options: `conv` (into, out,
    kernel, stride, groups, padded), `prelu` (channels), `relu`, `add`, `maxpool` (size), `widen` (channels), `rows`
    (planes), `join` (axis). Weights of operation k are `layers.k.weight` and `layers.k.bias`.

    Raise ValueError where the list is not one of these.
    """

    def __init__(self, operations: Sequence[Sequence[Any]]) -> None:
        super().__init__()
        if not operations:
            raise ValueError("a graph needs at least one operation")
        self.layers = nn.ModuleDict()
        self._inputs: list[tuple[int, ...]] = []
        for number, operation in enumerate(operations, start=1):
            kind, inputs, options = _checked(number, operation)
            try:
                layer = _KINDS[kind](**options)
            except TypeError as error:
                raise ValueError(f"operation {number} ({kind}): {error}") from error
            self.layers[str(number)] = layer
            self._inputs.append(inputs)
        last_use = {value: number for number, inputs in enumerate(self._inputs, start=1) for value in inputs}
        self._done_with = [
            tuple(value for value in set(inputs) if last_use[value] == number)
            for number, inputs in enumerate(self._inputs, start=1)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) float32 to what the last operation makes."""
        values = {0: x}
        for number, (inputs, done) in enumerate(zip(self._inputs, self._done_with, strict=True), start=1):
            values[number] = self.layers[str(number)](*(values[value] for value in inputs))
            for value in done:
                del values[value]
        return values[len(self._inputs)]


def _checked(number: int, operation: Sequence[Any]) -> tuple[str, tuple[int, ...], Mapping[str, Any]]:
    """Take one operation of a list apart; raise ValueError."""
    try:
        kind, inputs, options = operation
        inputs = tuple(inputs)
    except (TypeError, ValueError) as error:
        raise ValueError(f"operation {number} is not [kind, inputs, options]") from error
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"operation {number} is of unknown kind {kind!r}")
    if not inputs or not all(isinstance(value, int) and 0 <= value < number for value in inputs):
        raise ValueError(f"operation {number} ({kind}) takes something that is not an earlier value")
    if not isinstance(options, Mapping):
        raise ValueError(f"operation {number} ({kind}) has options that are not named")
    return kind, inputs, options
