"""Takes noise away without being told how much there is: a residual U-Net at half resolution.

Input: RGB and strength (n, 4, h, w), all in [0, 1]; h and w multiples of MULTIPLE; a gray picture is given three
times. Output: RGB (n, 3, h, w). Strength is the share of the noise that goes: 0 gives the picture back, 1 the smoothest
guess, between them grain is kept in proportion. Zhang et al., "Beyond a Gaussian denoiser", IEEE TIP 26, 2017, for the
residual. No normalization: tiles that see HALO pixels around themselves agree with the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

MULTIPLE = 8
"""Height and width of the input are multiples of it; so must be the first row and column of a tile."""
HALO = 64
"""Pixels around a tile that it must see: what lies further off does not change it."""


class DenoiseNet(nn.Module):
    """See the module. `widths`: channels at 1/2, 1/4 and 1/8 of the size; `detail`: channels of the last layer at full
    size."""

    def __init__(self, *, widths: Sequence[int] = (32, 64, 96), detail: int = 8) -> None:
        super().__init__()
        if len(widths) != 3:
            raise ValueError("widths must be three numbers")
        one, two, three = (int(width) for width in widths)
        self.into = nn.Conv2d(12, one, 3, padding=1)
        self.first = _Block(one)
        self.down_two, self.second = nn.Conv2d(one, two, 2, stride=2), _Block(two)
        self.down_three, self.third = nn.Conv2d(two, three, 2, stride=2), nn.Sequential(_Block(three), _Block(three))
        self.narrow_two, self.up_two = nn.Conv2d(three, two, 1), _Block(two)
        self.narrow_one, self.up_one = nn.Conv2d(two, one, 1), _Block(one)
        self.spread = nn.Conv2d(one, 4 * detail, 1)
        self.look = nn.Conv2d(3, detail, 3, padding=1)
        self.head = nn.Conv2d(detail, 3, 3, padding=1)
        nn.init.normal_(self.head.weight, std=1e-3)

    def forward(self, given: Tensor) -> Tensor:
        """(n, 4, h, w) RGB and strength -> (n, 3, h, w) RGB."""
        picture, strength = given[:, :3], given[:, 3:]
        return (picture - strength * self.noise(picture)).clamp(0.0, 1.0)

    def noise(self, picture: Tensor) -> Tensor:
        """What is noise in a picture, (n, 3, h, w)."""
        seen = (picture - 0.5).contiguous(memory_format=torch.channels_last)
        one = self.first(self.into(functional.pixel_unshuffle(seen, 2)))
        two = self.second(self.down_two(one))
        x = self.third(self.down_three(two))
        x = self.up_two(functional.interpolate(self.narrow_two(x), scale_factor=2, mode="nearest") + two)
        x = self.up_one(functional.interpolate(self.narrow_one(x), scale_factor=2, mode="nearest") + one)
        fine = functional.relu(functional.pixel_shuffle(self.spread(x), 2) + self.look(seen))
        out: Tensor = self.head(fine)
        return out


class _Block(nn.Module):
    """Two convolutions added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.two(functional.relu(self.one(x)))
        return out
