"""Colour for a gray photograph, led by hints where a person gave some, and how likely it is: a U-Net with attention.

Input: lightness L*/100, spread hints a*/110 and b*/110, and how far they are trusted (n, 4, h, w); h and w multiples of
MULTIPLE; trust 0 means that no hint has a say, and the hint's colour is then not looked at. Output: a*/110 and b*/110
in [-1, 1] and the chance that the colour is less than NEAR from the truth (n, 3, h, w). Made for a whole picture
reduced to about LONGEST pixels: every pixel looks at the whole frame, so that it cannot run in tiles.

The colour is a weighted mean, by weights of each pixel, of the spread hints, of colours that hints have elsewhere in
the frame where it looks alike (attention; Vaswani et al., "Attention is all you need", NeurIPS 2017), and of a guess
from lightness alone: a gate between hints and guess that closes where there is no hint. Zhang et al., "Real-time
user-guided image colorization with learned deep priors", ACM TOG 36, 2017, for hints as input. A guess is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from archive_restore.imaging.networks.damage import local_contrast

MULTIPLE = 16
"""Height and width of the input are multiples of it."""
LONGEST = 384
"""Longest edge of the picture it is run on, pixels: objects have the size then that they had in training."""
CHROMA = 110.0
"""a* and b* that stand for 1."""
NEAR = 10.0
"""Delta E (CIE 1976) below which a colour counts as right; lightness does not differ, so it is the distance in ab."""
_PRESENT = 0.02  # trust from which the colour of a hint is taken as it is
_BALANCE = 0.1  # trust at which hints and guess weigh alike before anything was learnt
_CELL = 16  # pixels a place of the attention
_GROUPS = 8  # of channels that are normalized together (Wu and He, "Group normalization", ECCV 2018)
_KEY = 32  # numbers by which a place looks for places like itself
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
    """See the module; `forward` gives what is promised, `guess` what it is made of.

    `widths`: channels at 1/2, 1/4, 1/8 and 1/16 of the size; `detail`: channels of the head at full size; `heads`: how
    many colours each pixel may take from elsewhere; `dropout`: share of the channels at 1/16 left out in training;
    `scale` and `offset`: Platt's calibration, confidence = sigmoid(scale * logit + offset).
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 128, 224),
        detail: int = 16,
        heads: int = 4,
        dropout: float = 0.15,
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
        self.narrow_three, self.up_three = nn.Conv2d(four, three, 1), _Block(three)
        self.elsewhere = _Elsewhere(three, four, heads)
        self.told = nn.Conv2d(3 * heads, three, 1)
        self.narrow_two, self.up_two = nn.Conv2d(three, two, 1), _Block(two)
        self.narrow_one, self.up_one = nn.Conv2d(two, one, 1), _Block(one)
        self.norm, self.spread = nn.GroupNorm(_GROUPS, one), nn.Conv2d(one, 4 * detail, 1)
        # At full size: plain layers that find the edges at which colours change.
        self.look = nn.Conv2d(5, detail, 3, padding=1)
        self.join = nn.Conv2d(detail, detail, 3, padding=1)
        self.head = nn.Conv2d(detail, 3 + 2 + heads, 1)
        nn.init.normal_(self.head.weight, std=1e-2)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.bias.zero_()
            self.head.bias[:2] = torch.tensor(_USUAL)
            self.head.bias[4], self.head.bias[5:] = 1.0, -1.0  # near at hand before far away
        self.heads = heads
        self.scale, self.offset = float(scale), float(offset)

    def forward(self, given: Tensor) -> Tensor:
        """(n, 4, h, w) lightness, hint and trust -> (n, 3, h, w) a and b, and confidence."""
        colour, logit = self.guess(given)
        return torch.cat([colour.clamp(-1.0, 1.0), torch.sigmoid(self.scale * logit + self.offset)], 1)

    def guess(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Colour (n, 2, h, w), and the confidence's logit before calibration (n, 1, h, w); float32."""
        lightness, hint, trust = given[:, :1], given[:, 1:3], given[:, 3:].clamp(0.0, 1.0)
        hint = hint * (trust / _PRESENT).clamp(0.0, 1.0)
        seen = torch.cat([lightness - 0.5, local_contrast(lightness), 2 * hint, trust], 1)
        seen = seen.contiguous(memory_format=torch.channels_last)
        halves = functional.pixel_unshuffle(seen, 2)
        height, width = halves.shape[2:]
        above = torch.linspace(-1, 1, height, dtype=halves.dtype, device=halves.device)  # skies are
        above = above.view(1, 1, -1, 1).expand(len(halves), 1, height, width)
        one = self.first(self.into(torch.cat([halves, above], 1)))
        two = self.second(self.down_two(one))
        three = self.third(self.down_three(two))
        x = self.context(self.down_four(three))
        y = self.up_three(functional.interpolate(self.narrow_three(x), scale_factor=2, mode="nearest") + three)
        colours, shares = self.elsewhere(y, x, hint, trust)
        facts = torch.cat([2 * colours.flatten(1, 2), shares], 1).to(y.dtype)
        y = y + self.told(facts)
        y = self.up_two(functional.interpolate(self.narrow_two(y), scale_factor=2, mode="nearest") + two)
        y = self.up_one(functional.interpolate(self.narrow_one(y), scale_factor=2, mode="nearest") + one)
        fine = functional.relu(functional.pixel_shuffle(self.spread(self.norm(y)), 2) + self.look(seen))
        made = self.head(fine + functional.relu(self.join(fine))).float()
        return self._mixed(made[:, :2], hint.float(), trust.float(), colours, shares, made[:, 3:]), made[:, 2:3]

    def _mixed(
        self, guess: Tensor, hint: Tensor, trust: Tensor, colours: Tensor, shares: Tensor, weights: Tensor
    ) -> Tensor:
        """The weighted mean of all proposals, (n, 2, h, w); `weights` are logits: guess, hint, and one a head."""
        frame = hint.shape[2:]
        n = len(hint)
        large = functional.interpolate(
            torch.cat([colours.flatten(1, 2), shares], 1), size=frame, mode="bilinear", align_corners=False
        )
        colours = large[:, : 2 * self.heads].reshape(n, self.heads, 2, *frame)
        shares = large[:, 2 * self.heads :]
        # Odds: a hint that is wholly trusted speaks up, one that is not trusted at all is silent.
        hinted = torch.log(trust.clamp_min(1e-7)) - torch.log(1 - trust + _BALANCE) + math.log(1 + _BALANCE)
        logits = weights + torch.cat([torch.zeros_like(hinted), hinted, torch.log(shares.clamp_min(1e-7))], 1)
        chosen = torch.softmax(logits, 1)
        proposals = torch.cat([torch.tanh(guess).view(n, 1, 2, *frame), hint.view(n, 1, 2, *frame), colours], 1)
        return (chosen.unsqueeze(2) * proposals).sum(1)


class _Elsewhere(nn.Module):
    """What colours hints have in places of the frame that look like the place asked for."""

    def __init__(self, asking: int, asked: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_asking, self.norm_asked = nn.GroupNorm(_GROUPS, asking), nn.GroupNorm(_GROUPS, asked)
        self.query, self.key = nn.Conv2d(asking, heads * _KEY, 1), nn.Conv2d(asked, heads * _KEY, 1)
        # How much of the trust counts; and a place without colour, for those that look like none.
        self.trusting = nn.Parameter(torch.full((heads,), 1.5))
        self.nobody = nn.Parameter(torch.full((heads,), -3.0))

    def forward(self, asking: Tensor, asked: Tensor, hint: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
        """Colours (n, heads, 2, h/8, w/8) and how much trust stands behind each, 0 to 1, (n, heads, h/8, w/8)."""
        n, _, height, width = asking.shape
        weight = functional.avg_pool2d(trust.float(), _CELL)
        colour = functional.avg_pool2d(hint.float() * trust.float(), _CELL) / weight.clamp_min(1e-5)
        most = functional.max_pool2d(trust.float(), _CELL)
        count = most[0, 0].numel()
        query = self.query(self.norm_asking(asking)).view(n, self.heads, _KEY, -1).transpose(2, 3)
        key = self.key(self.norm_asked(asked)).view(n, self.heads, _KEY, -1).transpose(2, 3)
        # One more number in queries and keys adds what does not depend on likeness; one more key is nobody's. Sizes are
        # padded to a multiple of eight, which kernels like.
        root = math.sqrt(_KEY)
        extra = self.trusting.view(1, -1, 1) * torch.log(most.clamp_min(1e-4)).view(n, 1, -1)
        told = torch.cat([extra, self.nobody.view(1, -1, 1).expand(n, -1, 1)], 2).unsqueeze(3)
        key = torch.cat([key.float(), key.new_zeros(n, self.heads, 1, _KEY).float()], 2) / root
        key = torch.cat([key, told, told.new_zeros(n, self.heads, count + 1, 7)], 3)
        ones = torch.ones_like(query[..., :1]).float()
        query = torch.cat([query.float(), ones, query.new_zeros(n, self.heads, query.shape[2], 7).float()], 3)
        value = torch.cat([colour.view(n, 2, -1), torch.ones_like(weight.view(n, 1, -1))], 1).transpose(1, 2)
        value = functional.pad(value, (0, key.shape[3] - 3, 0, 1)).unsqueeze(1).expand(-1, self.heads, -1, -1)
        with torch.autocast("cpu", enabled=False):
            found = functional.scaled_dot_product_attention(query, key, value, scale=1.0)[..., :3]
        found = found.transpose(2, 3).view(n, self.heads, 3, height, width)
        shares = found[:, :, 2]
        return found[:, :, :2] / (shares.unsqueeze(2) + 1e-3), shares


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
