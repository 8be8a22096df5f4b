"""What was probably there under thin and medium damage, and how far off that may be: gated convolutions in a U-Net.

Input: RGB and mask (n, 4, h, w), both in [0, 1], mask 1 where the picture is damaged; h and w multiples of MULTIPLE.
A gray picture is given three times. Output: RGB and expected absolute error (n, 4, h, w) in [0, 1]; outside of the
mask the picture comes out as it went in, with error 0. What lies under the mask is never looked at. Yu et al.,
"Free-form image inpainting with gated convolution", ICCV 2019; the first guess is a pull-push pyramid (Gortler et al.,
SIGGRAPH 1996). Grain is not invented: whoever wants it adds it. Must never be asked to fill wider holes than WIDEST.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

MULTIPLE = 16
"""Height and width of the input are multiples of it; so must be the first row and column of a tile."""
HALO = 160
"""Pixels around a tile that it must see: what lies further off does not change it, whatever the weights. Those that
ship are not changed from 64 on: so says their card."""
WIDEST = 48
"""Widest damage it was taught to fill, pixels."""
_LEVELS = 4  # of the pyramid: 16 pixels a cell at the top
_LEAST = 1e-3  # expected error is at least this
_MOST = 0.5
_SPREAD = 4.0  # what a picture differs from its local mean is about a quarter of one
_GAIN = 1.15  # with it a gated layer passes on as much as it is given


class FillNet(nn.Module):
    """See the module. `widths`: channels at 1/2, 1/4 and 1/8 of the size; `detail`: channels of the head at full size;
    `dilations`: of the layers at 1/8."""

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 128),
        detail: int = 16,
        dilations: Sequence[int] = (1, 2, 4, 2),
    ) -> None:
        super().__init__()
        if len(widths) != 3:
            raise ValueError("widths must be three numbers")
        one, two, three = (int(width) for width in widths)
        self.into = nn.Sequential(_Gated(16, one), _Gated(one, one))
        self.down_two = nn.Sequential(_Gated(one, two, stride=2), _Gated(two, two))
        self.down_three = _Gated(two, three, stride=2)
        self.far = nn.ModuleList(_Gated(three, three, dilation=int(dilation)) for dilation in dilations)
        self.narrow_two, self.up_two = nn.Conv2d(three, two, 1), _Gated(two, two)
        self.narrow_one, self.up_one = nn.Conv2d(two, one, 1), _Gated(one, one)
        self.spread = nn.Conv2d(one, 4 * detail, 1)
        # At full size plain layers: there are many pixels, and the gates below have decided what can be trusted.
        self.look = nn.Conv2d(4, detail, 3, padding=1)
        self.join = nn.Conv2d(detail, detail, 3, padding=1)
        self.head = nn.Conv2d(detail, 4, 3, padding=1)
        nn.init.normal_(self.head.weight, std=1e-2)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.bias.copy_(torch.tensor([0.0, 0.0, 0.0, -3.0]))

    def forward(self, given: Tensor) -> Tensor:
        """(n, 4, h, w) RGB and mask -> (n, 4, h, w) RGB and expected absolute error."""
        picture, mask = given[:, :3], (given[:, 3:] > 0.5).to(given.dtype)
        colour, error = self.guess(picture, mask)
        return torch.cat([picture * (1 - mask) + colour.clamp(0.0, 1.0) * mask, error.exp() * mask], 1)

    def guess(self, picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Colour (n, 3, h, w) and logarithm of its expected absolute error (n, 1, h, w), everywhere, unclipped."""
        base, mean = pull_push(picture, mask)
        seen = torch.cat([(base - mean) * _SPREAD, mask], 1).contiguous(memory_format=torch.channels_last)
        one = self.into(functional.pixel_unshuffle(seen, 2))
        two = self.down_two(one)
        x = self.down_three(two)
        for layer in self.far:
            x = x + layer(x)
        x = self.up_two(functional.interpolate(self.narrow_two(x), scale_factor=2, mode="nearest") + two)
        x = self.up_one(functional.interpolate(self.narrow_one(x), scale_factor=2, mode="nearest") + one)
        x = functional.elu(functional.pixel_shuffle(self.spread(x), 2) + self.look(seen), inplace=True)
        x = self.head(functional.elu(self.join(x), inplace=True))
        least, most = torch.tensor([_LEAST, _MOST]).log().tolist()
        return base + x[:, :3].to(base.dtype) / _SPREAD, x[:, 3:].float().clamp(least, most)


def pull_push(picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(picture with its holes filled smoothly, mean of the sound pixels around); both (n, 3, h, w).

    Every level of the pyramid is the mean of its sound pixels, where there are any, else what the coarser level says.
    """
    sound = 1 - mask
    sums, weights = [picture * sound], [sound]
    for _ in range(_LEVELS):
        sums.append(functional.avg_pool2d(sums[-1], 2))
        weights.append(functional.avg_pool2d(weights[-1], 2))
    # The top looks around itself, twice: 16 pixels a cell, so a hole of WIDEST is always reached.
    total = functional.avg_pool2d(sums[-1], 5, stride=1, padding=2)
    weight = functional.avg_pool2d(weights[-1], 5, stride=1, padding=2)
    filled = torch.where(weight > 1e-6, total / weight.clamp_min(1e-6), total.new_tensor(0.5))
    mean = filled
    for value, weight in zip(sums[::-1], weights[::-1], strict=True):
        if value.shape != filled.shape:
            filled = functional.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)
        trust = (weight * 4).clamp(0.0, 1.0) if value is not sums[0] else weight
        filled = filled * (1 - trust) + value / weight.clamp_min(1e-6) * trust
    mean = functional.interpolate(mean, scale_factor=2**_LEVELS, mode="bilinear", align_corners=False)
    return filled, mean


class _Gated(nn.Module):
    """A convolution whose second half decides how much of its first half passes."""

    def __init__(self, into: int, out: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(into, 2 * out, 3, stride=stride, padding=dilation, dilation=dilation)
        nn.init.normal_(self.convolution.weight, std=_GAIN / (3 * into**0.5))
        nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.convolution(x).chunk(2, 1)
        if torch.is_inference_mode_enabled():  # the same numbers in a third of the memory
            return functional.elu_(value).mul_(gate.sigmoid_()).mul_(2)
        out: Tensor = functional.elu(value) * torch.sigmoid(gate) * 2
        return out
