"""Colour for a gray photograph, how likely it is, and which pixels go together in colour: a U-Net with attention.

Input: the traits of imaging.belonging, L*/100 first (n, 4, h, w); h and w multiples of MULTIPLE. Output: a*/110 and
b*/110 in [-1, 1], the chance that the colour is less than NEAR from the truth, and the planes of imaging.belonging, by
which hints are carried (n, 3 + PLANES, h, w). Made for a whole picture reduced to about LONGEST pixels: every pixel
looks at the whole frame, so that it cannot run in tiles. It never sees a hint: what a person says later needs no second
look.

With `scene` it is told what the picture shows, by a network that learnt to name things and learns nothing more here:
few photographs do not teach what grass is. Part of the guess is then plain ridge regression on what that network sees
(Hoerl and Kennard 1970), which a few hundred photographs do not mislead.

It learns both at once, from how well hints that were read from photographs tell the rest of them ("deep kernel
learning": Wilson et al., AISTATS 2016). A guess is no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from archive_restore.imaging.belonging import CODES, PARTS
from archive_restore.imaging.networks.damage import local_contrast
from archive_restore.imaging.networks.scene import CHANNELS, SceneNet

MULTIPLE = 16
"""Height and width of the input are multiples of it."""
LONGEST = 384
"""Longest edge of the picture it is run on, pixels: objects have the size then that they had in training."""
CHROMA = 110.0
"""a* and b* that stand for 1."""
NEAR = 10.0
"""Delta E (CIE 1976) below which a colour counts as right; lightness does not differ, so it is the distance in ab."""
_LEARNT = CODES - 5  # the others are two of the place and three of the traits
_LEAST_DOUBT = 0.02
_PLAIN = 8  # what the regression is given beside the features of the scene
_GROUPS = 8  # of channels that are normalized together (Wu and He, "Group normalization", ECCV 2018)
_USUAL = (0.0, 0.06)  # a and b before anything was learnt

Values = TypeVar("Values", Tensor, NDArray[np.float32])


def chroma_kept(confidence: Values, none: float, full: float) -> Values:
    """The share of its chroma that a colour keeps: 0 up to the confidence `none`, 1 from `full` on, smooth between.

    What a picture that shall abstain where the network is unsure multiplies a and b by; `none` < `full`, both in
    [0, 1], stand in the card's `calibration.abstention`.
    """
    along = ((confidence - none) / (full - none)).clip(0, 1)
    kept: Values = along * along * (3 - 2 * along)
    return kept


class ColourNet(nn.Module):
    """See the module; `forward` gives what is promised, `described` what it is made of.

    `widths`: channels at 1/2, 1/4, 1/8 and 1/16 of the size; `detail`: channels of the head at full size; `dropout`:
    share of the channels at 1/16 left out in training; `scene`: what the picture shows is told; `plain`: share of the
    guess that is regression; `kept`: share of its chroma that a guess keeps; `scale` and `offset`: Platt's calibration,
    confidence = sigmoid(scale * logit + offset).
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 128, 192),
        detail: int = 16,
        dropout: float = 0.15,
        scene: bool = False,
        plain: float = 0.0,
        kept: float = 1.0,
        scale: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        super().__init__()
        if len(widths) != 4:
            raise ValueError("widths must be four numbers")
        one, two, three, four = (int(width) for width in widths)
        self.into, self.first = nn.Conv2d(21, one, 3, padding=1), _Block(one)
        self.down_two, self.second = nn.Conv2d(one, two, 2, stride=2), _Block(two)
        self.down_three = nn.Conv2d(two, three, 2, stride=2)
        self.third = nn.Sequential(_Block(three), _Block(three))
        self.down_four = nn.Conv2d(three, four, 2, stride=2)
        self.context = nn.Sequential(
            _Block(four), _Look(four), nn.Dropout2d(dropout), _Block(four), _Look(four), nn.Dropout2d(dropout)
        )
        self.scene = SceneNet().requires_grad_(False) if scene else None
        self.told = nn.ModuleList(
            nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(width, out, 1))
            for width, out in zip(CHANNELS if scene else (), (two, three, four, four), strict=False)
        )
        self.regressed = nn.ModuleList(nn.Conv2d(width, 2, 1, bias=False) for width in (CHANNELS if scene else ()))
        self.regressed_plain = nn.Conv2d(_PLAIN, 2, 1) if scene else None
        for layer in (*self.regressed, *([self.regressed_plain] if self.regressed_plain is not None else [])):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter.requires_grad_(False))
        self.narrow_three, self.up_three = nn.Conv2d(four, three, 1), _Block(three)
        self.narrow_two, self.up_two = nn.Conv2d(three, two, 1), _Block(two)
        self.narrow_one, self.up_one = nn.Conv2d(two, one, 1), _Block(one)
        self.norm, self.spread = nn.GroupNorm(_GROUPS, one), nn.Conv2d(one, 4 * detail, 1)
        # At full size: plain layers that find the edges at which colours change.
        self.look = nn.Conv2d(5, detail, 3, padding=1)
        self.join = nn.Conv2d(detail, detail, 3, padding=1)
        self.head = nn.Conv2d(2 * detail, 4 + PARTS * (1 + _LEARNT), 1)
        nn.init.normal_(self.head.weight, std=1e-2)
        nn.init.normal_(self.head.weight[4 + PARTS :], std=0.1)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.bias.zero_()
            self.head.bias[:2] = torch.tensor(_USUAL)
            self.head.bias[3] = -2.0
            self.head.bias[4 : 4 + PARTS] = 0.5
        self.apart = nn.Parameter(torch.tensor([[4.0, 3.0], [3.0, 2.0], [8.0, 6.0]]))
        self.alike = nn.Parameter(torch.tensor([[3.0, 1.5, 1.5], [5.0, 2.0, 2.0], [3.0, 1.0, 1.0]]))
        self.plain, self.kept = float(plain), float(kept)
        self.scale, self.offset = float(scale), float(offset)

    def forward(self, given: Tensor) -> Tensor:
        """(n, 4, h, w) lightness and traits -> (n, 3 + PLANES, h, w)."""
        colour, logit, rest = self.described(given)
        return torch.cat([colour, torch.sigmoid(self.scale * logit + self.offset), rest], 1)

    def described(self, given: Tensor, *, told: bool = True, at: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Colour (n, 2, h, w), its confidence's logit before calibration (n, 1, h, w), and the planes that say how
        colours go together (n, PLANES, h, w); float32.

        Not `told`: as if nobody knew what the picture shows. `at` (n, p): only at these pixels, counted row by row;
        then h is p, and w is 1.
        """
        lightness, traits = given[:, :1], given[:, 1:]
        seen = torch.cat([lightness - 0.5, local_contrast(lightness), traits - 0.5], 1)
        seen = seen.contiguous(memory_format=torch.channels_last)
        halves = functional.pixel_unshuffle(seen, 2)
        height, width = halves.shape[2:]
        above = torch.linspace(-1, 1, height, dtype=halves.dtype, device=halves.device)  # skies are
        above = above.view(1, 1, -1, 1).expand(len(halves), 1, height, width)
        one = self.first(self.into(torch.cat([halves, above], 1)))
        features = self._features(lightness) if told else ()
        shown = self._told(features)
        two = self.second(self.down_two(one) + shown[0])
        three = self.third(self.down_three(two) + shown[1])
        x = self.context(self.down_four(three) + shown[2])
        y = self.up_three(functional.interpolate(self.narrow_three(x), scale_factor=2, mode="nearest") + three)
        y = self.up_two(functional.interpolate(self.narrow_two(y), scale_factor=2, mode="nearest") + two)
        y = self.up_one(functional.interpolate(self.narrow_one(y), scale_factor=2, mode="nearest") + one)
        fine = functional.relu(functional.pixel_shuffle(self.spread(self.norm(y)), 2) + self.look(seen))
        fine = torch.cat([fine, functional.relu(self.join(fine))], 1)
        n, _, height, width = fine.shape
        down = torch.arange(height, device=fine.device).float().view(1, 1, -1, 1) / LONGEST
        across = torch.arange(width, device=fine.device).float().view(1, 1, 1, -1) / LONGEST
        places = torch.cat([down.expand(n, 1, height, width), across.expand(n, 1, height, width)], 1)
        if at is not None:
            fine, places, traits = (
                plane.flatten(2).gather(2, at[:, None].expand(-1, plane.shape[1], -1))[..., None]
                for plane in (fine, places, traits)
            )
        made = self.head(fine).float()
        doubt = functional.softplus(made[:, 3:4]) + _LEAST_DOUBT
        weights = functional.softplus(made[:, 4 : 4 + PARTS])
        codes = []
        for part, learnt in enumerate(made[:, 4 + PARTS :].chunk(PARTS, 1)):
            codes += [learnt, places * self.apart[part].view(1, -1, 1, 1), traits * self.alike[part].view(1, -1, 1, 1)]
        guess = torch.tanh(made[:, :2])
        if self.plain and features:
            regressed = self.regression(given, features)
            if at is not None:
                regressed = regressed.flatten(2).gather(2, at[:, None].expand(-1, 2, -1))[..., None]
            guess = (1 - self.plain) * guess + self.plain * regressed
        return (self.kept * guess).clamp(-1, 1), made[:, 2:3], torch.cat([doubt, weights, *codes], 1)

    def _features(self, lightness: Tensor) -> Sequence[Tensor]:
        """Those of the scene; none without it."""
        if self.scene is None:
            return ()
        with torch.no_grad():
            found: list[Tensor] = self.scene(lightness.contiguous(memory_format=torch.channels_last))
        return found

    def _told(self, features: Sequence[Tensor]) -> Sequence[Tensor | int]:
        """What is added at 1/4, 1/8 and 1/16 of the size."""
        if not features:
            return (0, 0, 0)
        evened = (functional.layer_norm(feature, feature.shape[1:]) for feature in features)
        one, two, three, four = (tell(feature) for tell, feature in zip(self.told, evened, strict=True))
        return one, two, three + _to(four, three)

    def regression(self, given: Tensor, features: Sequence[Tensor]) -> Tensor:
        """a*/110 and b*/110 as a line of what the scene's network sees at 1/4 of the size, and of `plain_of`."""
        assert self.regressed_plain is not None
        out: Tensor = self.regressed_plain(plain_of(given, features[0]))
        for layer, feature in zip(self.regressed, features, strict=True):
            out = out + _to(layer(feature), out)
        return _to(out, given)


def plain_of(given: Tensor, like: Tensor) -> Tensor:
    """Lightness and traits (n, 4, h, w), the square of lightness, and the height above the middle, alone, squared and
    times lightness, in cells as those of `like`; (n, 8, h, w)."""
    cells = functional.adaptive_avg_pool2d(given, (like.shape[2], like.shape[3]))
    lightness = cells[:, :1]
    above = torch.linspace(-1, 1, like.shape[2], dtype=given.dtype, device=given.device).view(1, 1, -1, 1)
    above = above.expand_as(lightness)
    return torch.cat([cells, lightness**2, above, above**2, lightness * above], 1)


def _to(plane: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(plane, like.shape[2:], mode="bilinear", align_corners=False)


class _Look(nn.Module):
    """Every place looks at every other one, and adds what it finds."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.ask, self.give = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)
        nn.init.normal_(self.give.weight, std=1e-2)

    def forward(self, x: Tensor) -> Tensor:
        n, width, height, across = x.shape
        query, key, value = (
            part.reshape(n, self.heads, width // self.heads, -1).transpose(2, 3)
            for part in self.ask(self.norm(x)).chunk(3, 1)
        )
        found = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = x + self.give(found.transpose(2, 3).reshape(n, width, height, across))
        return out


class _Block(nn.Module):
    """Two convolutions added to what came in; normalized over the frame, which is always seen as a whole."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)
        nn.init.normal_(self.two.weight, std=0.3 / (3 * width**0.5))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.two(functional.relu(self.one(self.norm(x))))
        return out
