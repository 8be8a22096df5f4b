"""Motion for a region of a still: codes of motion spectra, drawn one after another by a small transformer.

Two networks in one. The coder is a VQ-VAE (van den Oord et al., Neural discrete representation learning, NeurIPS 2017)
with residual codes (Lee et al., Autoregressive image generation using residual quantization, CVPR 2022) over motion
spectra (Li et al., Generative Image Dynamics, CVPR 2024). The prior says what codes are likely where, given the codes
before them and the still (Yan et al., VideoGPT, 2021): a decoder-only transformer over PLACES × PLACES places.

Input: luma, region, one plane a kind, and chance (n, 7, EDGE, EDGE), all in [0, 1]: chance holds even noise, all the
randomness there is. Output: (n, 4·periods, GRID, GRID), real x, imaginary x, real y, imaginary y of every period, so
that the root mean square of the displacement in the region is about 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from archive_restore.imaging.motion_spectra import EDGE, GRID, KINDS, PERIODS

PLACES = 16
"""Rows and columns of the codes."""
_OPEN = 0.02  # share of a place that must lie in the region for it to have codes
_GROUPS = 8


class MotionNet(nn.Module):
    """See the module.

    `periods`: frequencies; `depth` and `codes`: codes a place, and how many there are to choose from; `latent`: numbers
    of a code; `breadth`: channels of the coder; `width`, `layers`, `heads`: of the transformer; `temperatures`: of each
    of KINDS; below 1, likely codes become likelier than they were in training.
    """

    def __init__(
        self,
        *,
        periods: int = len(PERIODS),
        depth: int = 4,
        codes: int = 256,
        latent: int = 32,
        breadth: int = 128,
        width: int = 192,
        layers: int = 6,
        heads: int = 6,
        temperatures: Sequence[float] = (1.0,) * len(KINDS),
    ) -> None:
        super().__init__()
        self.coder = SpectrumCoder(periods=periods, depth=depth, codes=codes, latent=latent, breadth=breadth)
        self.prior = CodePrior(depth=depth, codes=codes, width=width, layers=layers, heads=heads)
        self.temperatures = tuple(float(value) for value in temperatures)
        if len(self.temperatures) != len(KINDS):
            raise ValueError(f"there must be {len(KINDS)} temperatures")

    def forward(self, given: Tensor) -> Tensor:
        """(n, 7, EDGE, EDGE) -> (n, 4·periods, GRID, GRID)."""
        chance = functional.pixel_unshuffle(given[:, -1:], EDGE // PLACES).flatten(2).transpose(1, 2)
        kinds = given[:, 2 : 2 + len(KINDS)].mean((2, 3))
        temperature = (kinds @ kinds.new_tensor(self.temperatures)) / kinds.sum(1).clamp_min(1e-6)
        codes = self.prior.draw(given[:, :-1], chance[:, :, : self.coder.depth], temperature.clamp_min(0.1))
        return self.coder.spectrum(codes, open_places(given[:, 1:2]))


def open_places(region: Tensor) -> Tensor:
    """Which places have codes, bool (n, PLACES²), of a region (n, 1, EDGE, EDGE); all, where none is large enough."""
    share = functional.avg_pool2d(region.float(), EDGE // PLACES).flatten(1)
    found = share > _OPEN
    return found | ~found.any(1, keepdim=True)


class SpectrumCoder(nn.Module):
    """Spectra as codes, and codes as spectra."""

    scale: Tensor
    book: Tensor

    def __init__(self, *, periods: int, depth: int, codes: int, latent: int, breadth: int) -> None:
        super().__init__()
        self.depth, self.codes = int(depth), int(codes)
        self.settings = {"periods": periods, "depth": depth, "codes": codes, "latent": latent, "breadth": breadth}
        planes, step = 4 * int(periods), GRID // PLACES
        self.register_buffer("scale", torch.ones(int(periods)))
        self.register_buffer("book", torch.randn(self.depth, self.codes, int(latent)) * 0.3)
        self.into = nn.Conv2d(planes * step * step, breadth, 3, padding=1)
        self.encode = nn.Sequential(*(_Block(breadth) for _ in range(3)), _Last(breadth, int(latent)))
        self.out_of = nn.Conv2d(int(latent), breadth, 3, padding=1)
        self.decode = nn.Sequential(*(_Block(breadth) for _ in range(4)))
        self.last = nn.Conv2d(breadth, planes * step * step, 3, padding=1)
        self.norm = nn.GroupNorm(_GROUPS, breadth)
        self.step = step

    def even(self, spectrum: Tensor) -> Tensor:
        """Every period as strong as every other in the mean, and strong coefficients drawn in: what is coded.

        A coefficient of size c becomes √(1 + 2c) - 1 and keeps its phase.
        """
        parts = _parts(spectrum) / self.scale.view(1, -1, 1, 1, 1, 1)
        size = parts.square().sum(3, keepdim=True).clamp_min(1e-12).sqrt()
        return (parts * ((torch.sqrt(1 + 2 * size) - 1) / size)).flatten(1, 3)

    def uneven(self, made: Tensor) -> Tensor:
        """What `even` was given."""
        parts = _parts(made)
        size = parts.square().sum(3, keepdim=True).clamp_min(1e-12).sqrt()
        return (parts * (1 + size / 2) * self.scale.view(1, -1, 1, 1, 1, 1)).flatten(1, 3)

    def latents(self, even: Tensor) -> Tensor:
        """(n, PLACES², latent) before they are rounded to codes."""
        found: Tensor = self.encode(self.into(functional.pixel_unshuffle(even, self.step)))
        return found.float().flatten(2).transpose(1, 2)

    def rounded(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (n, PLACES², depth), each the nearest to what those before it leave over, and their sum."""
        left, chosen = latents, []
        for book in self.book.unbind(0):
            distance = left.square().sum(-1, keepdim=True) - 2 * left @ book.T + book.square().sum(-1)
            code = distance.argmin(-1)
            chosen.append(code)
            left = left - functional.embedding(code, book)
        return torch.stack(chosen, -1), latents - left

    def looked_up(self, codes: Tensor) -> Tensor:
        """The sum of codes, (n, PLACES², latent)."""
        found = [functional.embedding(codes[..., k], book) for k, book in enumerate(self.book.unbind(0))]
        return torch.stack(found).sum(0)

    def decoded(self, latents: Tensor, places: Tensor) -> Tensor:
        """The even spectrum (n, 4·periods, GRID, GRID) of latents; closed `places` say nothing."""
        told = (latents * places.unsqueeze(-1)).transpose(1, 2).reshape(len(latents), -1, PLACES, PLACES)
        made = self.decode(self.out_of(told))
        return functional.pixel_shuffle(self.last(functional.relu(self.norm(made))), self.step).float()

    def spectrum(self, codes: Tensor, places: Tensor) -> Tensor:
        """The spectrum of codes."""
        return self.uneven(self.decoded(self.looked_up(codes), places))


def _parts(planes: Tensor) -> Tensor:
    """(n, 4·periods, h, w) as (n, periods, axis, real or imaginary, h, w)."""
    n, count, height, width = planes.shape
    return planes.reshape(n, count // 4, 2, 2, height, width)


class CodePrior(nn.Module):
    """What codes are likely, given the still and the codes at the places before, row by row."""

    def __init__(self, *, depth: int, codes: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.depth = int(depth)
        self.still = _Still(3 + len(KINDS), int(width))
        self.known = nn.ModuleList(_embedding(int(codes), int(width)) for _ in range(self.depth))
        self.nothing = nn.Parameter(torch.randn(int(width)) * 0.02)
        self.start = nn.Parameter(torch.randn(int(width)) * 0.02)
        self.row = nn.Parameter(torch.randn(PLACES, 1, int(width)) * 0.02)
        self.column = nn.Parameter(torch.randn(1, PLACES, int(width)) * 0.02)
        self.layers = nn.ModuleList(_Layer(int(width), int(heads)) for _ in range(int(layers)))
        self.norm = nn.LayerNorm(int(width))
        self.heads = nn.ModuleList(_Head(int(width), int(codes)) for _ in range(self.depth))

    def logits(self, given: Tensor, codes: Tensor) -> Tensor:
        """Of every code at every place, (n, PLACES², depth, codes), where `codes` (n, PLACES², depth) came before."""
        seen, places = self._seen(given)
        told = self._told(codes, places)
        before = torch.cat([self.start.expand(len(told), 1, -1), told[:, :-1]], 1)
        x = before + seen
        for layer in self.layers:
            x, _ = layer(x, None)
        x = self.norm(x)
        made = []
        for k, head in enumerate(self.heads):
            made.append(head(x))
            x = x + self.known[k](codes[..., k])
        return torch.stack(made, 2)

    def draw(self, given: Tensor, chance: Tensor, temperature: Tensor) -> Tensor:
        """Codes (n, PLACES², depth), chosen by `chance` (n, PLACES², depth) in [0, 1]: where it falls among the
        likelihoods of all codes at a `temperature` (n,), added up in their order."""
        seen, places = self._seen(given)
        n = len(given)
        before = self.start.expand(n, 1, -1)
        memory: list[tuple[Tensor, Tensor] | None] = [None] * len(self.layers)
        drawn = []
        for place in range(PLACES * PLACES):
            x = before + seen[:, place : place + 1]
            for k, layer in enumerate(self.layers):
                x, memory[k] = layer(x, memory[k])
            x = self.norm(x)
            codes = []
            for k, head in enumerate(self.heads):
                likely = torch.softmax(head(x)[:, 0].float() / temperature.unsqueeze(1), -1).cumsum(-1)
                threshold = chance[:, place, k : k + 1] * likely[:, -1:]
                code = (likely < threshold).sum(-1).clamp_max(likely.shape[-1] - 1)
                codes.append(code)
                x = x + self.known[k](code).unsqueeze(1)
            drawn.append(torch.stack(codes, -1))
            before = self._told(drawn[-1].unsqueeze(1), places[:, place : place + 1])
        return torch.stack(drawn, 1)

    def _seen(self, given: Tensor) -> tuple[Tensor, Tensor]:
        places = open_places(given[:, 1:2])
        where = (self.row + self.column).flatten(0, 1)
        return self.still(given).flatten(2).transpose(1, 2) + where, places

    def _told(self, codes: Tensor, places: Tensor) -> Tensor:
        told = torch.stack([table(codes[..., k]) for k, table in enumerate(self.known)]).sum(0)
        return torch.where(places.unsqueeze(-1), told, self.nothing)


def _embedding(codes: int, width: int) -> nn.Embedding:
    made = nn.Embedding(codes, width)
    nn.init.normal_(made.weight, std=0.02)
    return made


class _Still(nn.Module):
    """What every place knows of the still: its surroundings, and the whole."""

    def __init__(self, planes: int, width: int) -> None:
        super().__init__()
        self.into = nn.Conv2d(planes, 32, 4, stride=2, padding=1)
        self.down = nn.Conv2d(32, 96, 4, stride=2, padding=1)
        self.blocks = nn.Sequential(_Block(96), _Block(96), _Block(96))
        self.whole = nn.Linear(96, 96)
        self.norm, self.out = nn.GroupNorm(_GROUPS, 96), nn.Conv2d(96, width, 1)

    def forward(self, given: Tensor) -> Tensor:
        """(n, 6, EDGE, EDGE) -> (n, width, PLACES, PLACES)."""
        luma, region = given[:, :1], given[:, 1:2]
        # Exposure and contrast of a print say nothing of the wind: the region's own count.
        weight = region.sum((2, 3), keepdim=True) + 1e-3
        mean = (luma * region).sum((2, 3), keepdim=True) / weight
        spread = (((luma - mean) ** 2 * region).sum((2, 3), keepdim=True) / weight + 1e-4).sqrt()
        even = ((luma - mean) / spread).clamp(-3, 3)
        x = torch.cat([even * region, even, given[:, 1:]], 1)
        x = functional.relu(self.down(functional.relu(self.into(x))))
        x = self.blocks[0](x)
        x = self.blocks[1](x + self.whole(x.mean((2, 3))).unsqueeze(-1).unsqueeze(-1))
        made: Tensor = self.out(functional.relu(self.norm(self.blocks[2](x))))
        return made


class _Layer(nn.Module):
    """Causal attention and a wide layer, each added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_one, self.norm_two = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.give = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for layer in (self.give, self.narrow):
            nn.init.normal_(layer.weight, std=0.01)

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """With `memory`, keys and values of the places before: `x` is the one place after them."""
        query, key, value = (
            part.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)
            for part in self.ask(self.norm_one(x)).chunk(3, 2)
        )
        if memory is not None:
            key, value = torch.cat([memory[0], key], 2), torch.cat([memory[1], value], 2)
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=x.shape[1] > 1)
        x = x + self.give(found.transpose(1, 2).flatten(2))
        x = x + self.narrow(functional.gelu(self.wide(self.norm_two(x))))
        return x, (key, value)


class _Head(nn.Module):
    def __init__(self, width: int, codes: int) -> None:
        super().__init__()
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, codes)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.out(self.norm(x))
        return made


class _Block(nn.Module):
    """Two convolutions added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.one = nn.Conv2d(width, width // 2, 3, padding=1)
        self.two = nn.Conv2d(width // 2, width, 1)
        nn.init.normal_(self.two.weight, std=0.1 / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.two(functional.relu(self.one(functional.relu(self.norm(x)))))
        return out


class _Last(nn.Module):
    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.norm, self.out = nn.GroupNorm(_GROUPS, width), nn.Conv2d(width, latent, 1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.out(functional.relu(self.norm(x)))
        return made
