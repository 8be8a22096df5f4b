"""Where a photograph is damaged, class by class: a U-Net at half resolution with a light head at full resolution.

Input: luma (n, 1, h, w) in [0, 1], h and w multiples of MULTIPLE. Output: calibrated probability of each of CLASSES,
(n, 6, h, w). Fully convolutional: nothing is averaged over the frame, so that tiles that see HALO pixels around
themselves agree with the whole picture. Ronneberger et al., "U-Net", MICCAI 2015; batch normalization (Ioffe and
Szegedy, ICML 2015) in training only, folded into the weights by `folded`. Must never look at anything but its input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = ("line", "spot", "crack", "loss", "stain", "thin")
"""Planes of the output: scratch and hair; dust and fleck; crease and crack; tear and missing emulsion; stain, foxing,
mould and silvering; and anything thin: line, spot or crack."""
MULTIPLE = 16
"""Height and width of the input are multiples of it; so must be the first row and column of a tile."""
HALO = 128
"""Pixels around a tile that it must see: what lies further off does not change it, whatever the weights. Those that
ship are changed by less than 1/255 from 96 on: so says their card."""
_CELL = 8  # local mean and contrast are looked at in cells of this many pixels
_AROUND = 3  # and averaged over as many cells each way
_SELDOM = -4.0  # logit of how often a pixel is damaged, before anything was learnt
_FLOOR = 0.02  # contrast below this is grain: it is not blown up


class DamageNet(nn.Module):
    """See the module; `forward` gives probabilities, `logits` what they are made of.

    `widths`: channels at 1/2, 1/4, 1/8 and 1/16 of the size; `detail`: channels of the head at full size; `scale` and
    `offset`: Platt's calibration of each class, probability = sigmoid(scale * logit + offset); `normalized`: with the
    batch normalization of training.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 128, 160),
        detail: int = 8,
        scale: Sequence[float] = (1.0,) * len(CLASSES),
        offset: Sequence[float] = (0.0,) * len(CLASSES),
        normalized: bool = False,
    ) -> None:
        super().__init__()
        if len(widths) != 4:
            raise ValueError("widths must be four numbers")
        if len(scale) != len(CLASSES) or len(offset) != len(CLASSES):
            raise ValueError(f"scale and offset must have {len(CLASSES)} numbers each")
        one, two, three, four = (int(width) for width in widths)
        self.into = nn.Sequential(_layer(8, one, normalized), _layer(one, one, normalized))
        self.down_two = nn.Sequential(_layer(one, two, normalized, stride=2), _layer(two, two, normalized))
        self.down_three = nn.Sequential(_layer(two, three, normalized, stride=2), _layer(three, three, normalized))
        self.down_four = nn.Sequential(
            _layer(three, four, normalized, stride=2), _layer(four, four, normalized), _layer(four, four, normalized)
        )
        self.up_three = _Up(four, three, three, normalized)
        self.up_two = _Up(three, two, two, normalized)
        self.up_one = _Up(two, one, one, normalized)
        self.spread = nn.Conv2d(one, 4 * detail, 1)
        self.look = _layer(2, detail, normalized)
        self.join = _layer(detail, detail, normalized)
        self.head = nn.Conv2d(detail, len(CLASSES), 1)
        nn.init.constant_(self.head.bias, _SELDOM)  # type: ignore[arg-type]
        self.scale, self.offset = tuple(map(float, scale)), tuple(map(float, offset))

    def logits(self, luma: Tensor) -> Tensor:
        """(n, 1, h, w) luma in [0, 1] -> (n, 6, h, w), before calibration."""
        seen = torch.cat([luma - 0.5, local_contrast(luma)], 1).contiguous(memory_format=torch.channels_last)
        one = self.into(functional.pixel_unshuffle(seen, 2))
        two = self.down_two(one)
        three = self.down_three(two)
        x = self.down_four(three)
        x = self.up_three(x, three)
        x = self.up_two(x, two)
        x = self.up_one(x, one)
        wide = functional.pixel_shuffle(self.spread(x), 2)
        out: Tensor = self.head(self.join(wide + self.look(seen)))
        return out

    def forward(self, luma: Tensor) -> Tensor:
        """(n, 1, h, w) luma in [0, 1] -> (n, 6, h, w) probabilities."""
        logits = self.logits(luma)
        scale = logits.new_tensor(self.scale).view(1, -1, 1, 1)
        offset = logits.new_tensor(self.offset).view(1, -1, 1, 1)
        return torch.sigmoid(torch.addcmul(offset, logits, scale))

    def folded(self) -> dict[str, Tensor]:
        """Weights for the same network with `normalized=False`, batch normalization multiplied into them."""
        state: dict[str, Tensor] = {}
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                norm = _norm_after(self, name)
                weight = module.weight.detach().double()
                bias = torch.zeros(len(weight)).double() if module.bias is None else module.bias.detach().double()
                if norm is not None:
                    running_var, running_mean = norm.running_var, norm.running_mean
                    assert running_var is not None and running_mean is not None
                    gain = norm.weight.detach().double() / torch.sqrt(running_var.double() + norm.eps)
                    weight = weight * gain.view(-1, 1, 1, 1)
                    bias = (bias - running_mean.double()) * gain + norm.bias.detach().double()
                state[f"{name}.weight"], state[f"{name}.bias"] = weight.float(), bias.float()
        return state


def local_contrast(luma: Tensor) -> Tensor:
    """Luma minus its mean, over its deviation, both of the 56 pixels around; (n, 1, h, w), clipped to ±4.

    What fading, exposure and a curve do to a whole neighbourhood cancels.
    """
    mean = functional.avg_pool2d(luma, _CELL)
    square = functional.avg_pool2d(luma * luma, _CELL)
    both = functional.avg_pool2d(
        torch.cat([mean, square], 1), 2 * _AROUND + 1, stride=1, padding=_AROUND, count_include_pad=False
    )
    mean, square = both[:, :1], both[:, 1:]
    deviation = torch.sqrt((square - mean * mean).clamp_min(0.0) + _FLOOR**2)
    grown = functional.interpolate(
        torch.cat([mean, deviation], 1), scale_factor=_CELL, mode="bilinear", align_corners=False
    )
    return ((luma - grown[:, :1]) / grown[:, 1:]).clamp(-4.0, 4.0) * 0.5


class _Up(nn.Module):
    """Twice the size, joined with what came down at that size."""

    def __init__(self, below: int, beside: int, out: int, normalized: bool) -> None:
        super().__init__()
        self.narrow = _layer(below, out, normalized, kernel=1)
        self.mix = _layer(out, out, normalized)
        self.beside = nn.Conv2d(beside, out, 1) if beside != out else nn.Identity()

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        x = functional.interpolate(self.narrow(x), scale_factor=2, mode="nearest")
        out: Tensor = self.mix(x + self.beside(beside))
        return out


def _layer(into: int, out: int, normalized: bool, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    parts: list[nn.Module] = [
        nn.Conv2d(into, out, kernel, stride=stride, padding=kernel // 2, bias=not normalized),
        nn.BatchNorm2d(out) if normalized else nn.Identity(),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*parts)


def _norm_after(network: nn.Module, name: str) -> nn.BatchNorm2d | None:
    """The batch normalization that follows the convolution `name`."""
    above, _, last = name.rpartition(".")
    parent = network.get_submodule(above)
    if not isinstance(parent, nn.Sequential) or last != "0":
        return None
    following = parent[1]
    return following if isinstance(following, nn.BatchNorm2d) else None
