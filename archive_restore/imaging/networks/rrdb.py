"""RRDBNet, the generator of ESRGAN and Real-ESRGAN: enlarges a picture four times along an edge.

Source: Wang et al., "ESRGAN", ECCV 2018 workshops (residual in residual dense blocks, no normalization); Wang et al.,
"Real-ESRGAN", ICCV 2021 workshops, arXiv 2107.10833. Layers are registered in the order in which they run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.2
"""Of the leaky ReLU."""
_SHARE = 0.2
"""Share of what a block makes that is added to what it was given."""
_STRIP = 64
"""Rows that are enlarged at a time, so that memory does not grow with sixteen times the picture."""
_REACH = 2
"""Rows beyond a strip that its enlargement depends on."""


class _DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it made."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = _convolution(features, growth)
        self.conv2 = _convolution(features + growth, growth)
        self.conv3 = _convolution(features + 2 * growth, growth)
        self.conv4 = _convolution(features + 3 * growth, growth)
        self.conv5 = _convolution(features + 4 * growth, features)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, _leaky(layer(seen))), 1)
        made: Tensor = self.conv5(seen)
        return x + _SHARE * made


class _Block(nn.Module):
    """Three dense blocks and a way around them."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = _DenseBlock(features, growth)
        self.rdb2 = _DenseBlock(features, growth)
        self.rdb3 = _DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
        return x + _SHARE * made


class RRDBNet(nn.Module):
    """(n, 3, h, w) in [0, 1] to (n, 3, 4h, 4w), about [0, 1]; beyond the edges it takes all features to be 0.

    `features` channels run through `blocks` blocks, in which each convolution adds `growth` channels. The
    receptive field is 15·blocks + 4 pixels around a pixel, though what lies far off hardly counts.
    """

    def __init__(self, *, features: int = 64, growth: int = 32, blocks: int = 23) -> None:
        super().__init__()
        self.conv_first = _convolution(3, features)
        self.body = nn.Sequential(*(_Block(features, growth) for _ in range(blocks)))
        self.conv_body = _convolution(features, features)
        self.conv_up1 = _convolution(features, features)
        self.conv_up2 = _convolution(features, features)
        self.conv_hr = _convolution(features, features)
        self.conv_last = _convolution(features, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        if torch.is_grad_enabled() or x.shape[2] <= _STRIP:
            return self._enlarged(x)
        strips = []
        for top in range(0, x.shape[2], _STRIP):
            first = max(top - _REACH, 0)
            made = self._enlarged(x[:, :, first : top + _STRIP + _REACH])
            strips.append(made[:, :, 4 * (top - first) :][:, :, : 4 * _STRIP])
        return torch.cat(strips, 2)

    def _enlarged(self, x: Tensor) -> Tensor:
        """The picture that some features stand for. All that is large in the network is large here."""
        x = _leaky(self.conv_up1(_doubled(x)))
        x = _leaky(self.conv_up2(_doubled(x)))
        made: Tensor = self.conv_last(_leaky(self.conv_hr(x)))
        return made


def _convolution(into: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(into, out, 3, padding=1)


def _leaky(x: Tensor) -> Tensor:
    # What comes in was made by a convolution, which does not need it for anything else.
    return functional.leaky_relu(x, _SLOPE, inplace=not torch.is_grad_enabled())


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")
