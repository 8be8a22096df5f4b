"""What a photograph shows, as a network sees it that learnt to name things: the body of EfficientNet-Lite0.

Input: L*/100 (n, 1, h, w), taken as sRGB-encoded gray. Output: its features at 1/4, 1/8, 1/16 and 1/32 of the size,
rounded up; 24, 40, 112 and 320 channels. Tan and Le, "EfficientNet", ICML 2019; Liu, "Higher accuracy on vision models
with EfficientNet-Lite", 2020. Batch normalization is folded into the weights, which are not trained any further.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = (24, 40, 112, 320)
"""Of the features."""
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Widening, kernel, stride of the first, channels and number of its blocks (Tan and Le, table 1)."""
_SHOWN = (2, 4, 10, 15)  # blocks whose results are given
_STEM = 32


class SceneNet(nn.Module):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, _STEM, 3, 2)
        blocks, width = [], _STEM
        for widening, kernel, stride, out, count in _STAGES:
            for k in range(count):
                blocks.append(_Block(width, out, widening, kernel, stride if k == 0 else 1))
                width = out
        self.blocks = nn.ModuleList(blocks)

    def forward(self, lightness: Tensor) -> list[Tensor]:
        """(n, 1, h, w) -> the features, the finest first."""
        root = (lightness.clamp(0, 1) + 0.16) / 1.16
        linear = torch.where(lightness > 0.08, root**3, lightness.clamp(0, 1) * (2700 / 24389))
        code = torch.where(linear > 0.0031308, 1.055 * linear.clamp_min(1e-6) ** (1 / 2.4) - 0.055, 12.92 * linear)
        x = functional.relu6(self.stem(((255 * code - 127) / 128).expand(-1, 3, -1, -1)))
        shown = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _SHOWN:
                shown.append(x)
        return shown


class _Conv(nn.Conv2d):
    """Padded so that the result is the size divided by the stride, rounded up; the odd pixel below and to the right."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(into, out, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel == 1:
            return super().forward(x)
        down, across = (max((-(-edge // stride) - 1) * stride + kernel - edge, 0) for edge in x.shape[2:])
        return super().forward(functional.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2)))


class _Block(nn.Module):
    """Widened, filtered channel by channel, narrowed; added to what came in where it has the same form."""

    def __init__(self, into: int, out: int, widening: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = into * widening
        self.widen = _Conv(into, wide, 1) if widening > 1 else None
        self.filter = _Conv(wide, wide, kernel, stride, groups=wide)
        self.narrow = _Conv(wide, out, 1)
        self.added = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.widen is None else functional.relu6(self.widen(x))
        out: Tensor = self.narrow(functional.relu6(self.filter(wide)))
        return x + out if self.added else out
