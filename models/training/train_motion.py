"""Trains the coder of motion spectra, then the transformer that draws its codes. Development time only.

python models/training/motion_data.py --to DATA --count 600
python models/training/train_motion.py coder --data DATA --out RUN --minutes 12
python models/training/train_motion.py prior --data DATA --out RUN --minutes 25

Scenes are turned left to right, looked at closer, and moved in time: every period by any phase, since in a steady wind
no phase is likelier than another.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from data import stream
from loop import Run, averaged, plain_options
from motion_data import kept
from torch import Tensor
from torch.nn import functional

from archive_restore.imaging.motion_spectra import GRID, KINDS
from archive_restore.imaging.networks.motion import CodePrior, MotionNet, SpectrumCoder, open_places

COMMITMENT = 0.25
"""How strongly latents are drawn to their codes (van den Oord et al. 2017)."""
MEMORY = 0.98
"""Share of a code's running mean that a step keeps."""
RARE = 0.02
"""Uses a step, in the mean, below which a code is given up for what another one could not say."""
RENEW = 25
"""Steps between two looks for codes that nobody uses."""
FREE = 200
"""Steps before the first code: codes of a coder that says nothing yet would all be the same."""
CLOSEST = 0.6
"""Least share of a scene that is looked at."""
DROPOUT = 0.05
"""Share of the codes before that the prior is not shown in training, so that one wrong draw does not mislead it."""
PARTS = ("coder", "prior")


class Scenes:
    """All examples of a split, in memory; scenes of every kind come alike often."""

    def __init__(self, folder: Path, split: str) -> None:
        parts: dict[str, list[dict[str, np.ndarray]]] = {}
        for kind, arrays in kept(folder, split):
            parts.setdefault(kind, []).append(arrays)
        if not parts:
            raise SystemExit(f"there are no {split} scenes in {folder}: make them with motion_data.py")
        self.kinds = sorted(parts)
        self._parts = {
            kind: {name: np.concatenate([some[name] for some in parts[kind]]) for name in parts[kind][0]}
            for kind in self.kinds
        }

    @property
    def counts(self) -> dict[str, int]:
        """Examples of every kind."""
        return {kind: len(part["still"]) for kind, part in self._parts.items()}

    def scale(self) -> Tensor:
        """Root mean square of the coefficients of every period in the regions, all kinds alike (periods,)."""
        squares = []
        for part in self._parts.values():
            some = part["spectrum"][::5].astype(np.float32)
            regions = np.stack([small(mask) for mask in part["mask"][::5]])
            power = (some.reshape(len(some), -1, 4, GRID, GRID) ** 2).sum(2) / 2
            squares.append((power * regions[:, None]).sum((0, 2, 3)) / regions.sum())
        return torch.from_numpy(np.sqrt(np.mean(squares, 0)).astype(np.float32))

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """What the network is given but for chance, (n, 6, 64, 64), and spectra (n, 4·periods, 32, 32)."""
        kinds = [self.kinds[k] for k in rng.integers(len(self.kinds), size=size)]
        chosen = [(kind, int(rng.integers(len(self._parts[kind]["still"])))) for kind in kinds]
        return varied(rng, *self._stacked(chosen))

    def all(self, most: int = 10**9) -> list[tuple[str, Tensor, Tensor]]:
        """Kind, what the network is given, and spectrum of every example, as they were simulated; `most` a kind."""
        return [
            (kind, *self._stacked([(kind, k)]))
            for kind in self.kinds
            for k in range(min(most, len(self._parts[kind]["still"])))
        ]

    def _stacked(self, chosen: list[tuple[str, int]]) -> tuple[Tensor, Tensor]:
        parts = [(self._parts[kind], kind, k) for kind, k in chosen]
        coded = np.stack([np.stack([part["still"][k], part["mask"][k]]) for part, _, k in parts])
        which = torch.tensor([KINDS.index(kind) for _, kind, _ in parts])
        one = functional.one_hot(which, len(KINDS)).float().view(len(parts), -1, 1, 1)
        planes = torch.from_numpy(coded).float() / 255
        spectra = torch.from_numpy(np.stack([part["spectrum"][k] for part, _, k in parts])).float()
        return torch.cat([planes, one.expand(-1, -1, *planes.shape[2:])], 1), spectra


def small(mask: np.ndarray) -> np.ndarray:
    """A mask on the grid of a spectrum, 0..1, of uint8 (64, 64)."""
    step = len(mask) // GRID
    return mask.reshape(GRID, step, GRID, step).mean((1, 3)) / np.float32(255)


def within(given: Tensor) -> Tensor:
    """The region on the grid of a spectrum, (n, 1, GRID, GRID)."""
    return functional.avg_pool2d(given[:, 1:2], given.shape[-1] // GRID)


def varied(rng: np.random.Generator, given: Tensor, spectra: Tensor) -> tuple[Tensor, Tensor]:
    """The same scenes at other times, mirrored, closer, and in other light."""
    n = len(given)
    parts = spectra.view(n, -1, 2, 2, GRID, GRID)  # period, axis, real or imaginary
    whole = torch.complex(parts[:, :, :, 0], parts[:, :, :, 1])
    turns = torch.from_numpy(rng.uniform(0, 2 * np.pi, (n, parts.shape[1], 1, 1, 1)).astype(np.float32))
    whole = whole * torch.polar(torch.ones_like(turns), turns)
    mirrored = torch.from_numpy(rng.random(n) < 0.5)
    sign = torch.where(mirrored, -1.0, 1.0).view(n, 1, 1, 1)
    whole[:, :, 0] *= sign
    parts = torch.stack([whole.real, whole.imag], 3)
    spectra = parts.reshape(n, -1, GRID, GRID)
    share = rng.uniform(CLOSEST, 1.0, n) ** (rng.random(n) < 0.7)
    room = 1 - share
    matrix = np.zeros((n, 2, 3), np.float32)
    matrix[:, 0, 0] = share * np.where(mirrored.numpy(), -1, 1)
    matrix[:, 1, 1] = share
    matrix[:, :, 2] = rng.uniform(-1, 1, (n, 2)) * room[:, None]
    turned = torch.from_numpy(matrix)
    pictures = _looked(given, turned)
    near = _looked(spectra, turned)
    lit = pictures[:, :1] ** torch.from_numpy(rng.uniform(0.7, 1.4, (n, 1, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.normal(0, 1, lit.shape).astype(np.float32) * rng.uniform(0, 0.04, (n, 1, 1, 1)))
    pictures = torch.cat([(lit + noise.float()).clamp(0, 1), pictures[:, 1:]], 1)
    region = within(pictures)
    near = near * (region > 0)
    square = (near.square().sum(1, keepdim=True) / 2 * region).sum((1, 2, 3)) / region.sum((1, 2, 3)).clamp_min(1e-3)
    return pictures, near / square.clamp_min(1e-4).sqrt().view(n, 1, 1, 1)


def _looked(planes: Tensor, matrix: Tensor) -> Tensor:
    places = functional.affine_grid(matrix, list(planes.shape), align_corners=False)
    return functional.grid_sample(planes, places, mode="bilinear", padding_mode="border", align_corners=False)


# --- the coder ---------------------------------------------------------------------------------------


class LearningCoder(SpectrumCoder):
    """The coder while its codes are learnt: the running means of how often each is used, and of what it stands for."""

    used: Tensor
    total: Tensor

    def __init__(self, **settings: int) -> None:
        super().__init__(**settings)
        self.register_buffer("used", torch.ones(self.depth, self.codes))
        self.register_buffer("total", self.book.clone())

    def begin(self, left: Tensor, rng: np.random.Generator) -> None:
        """First codes of every depth: means of what is alike (Lloyd's algorithm) of latents (n, latent)."""
        for k in range(self.depth):
            book = left[torch.from_numpy(rng.integers(len(left), size=self.codes))].clone()
            for _ in range(8):
                chosen = torch.cdist(left, book).argmin(-1)
                count = torch.bincount(chosen, minlength=self.codes).float()
                mean = torch.zeros_like(book).index_add_(0, chosen, left) / count.clamp_min(1).unsqueeze(-1)
                book = torch.where(count.unsqueeze(-1) > 0, mean, book)
            self.book[k], self.used[k], self.total[k] = book, 1.0, book
            left = left - functional.embedding(torch.cdist(left, book).argmin(-1), book)

    def follow(self, left: Tensor, chosen: Tensor, rng: np.random.Generator | None) -> None:
        """Move every code to the running mean of what it stood for: latents (n, latent), codes (n, depth).

        With `rng`, codes that hardly anybody uses are given to what is said badly.
        """
        for k in range(self.depth):
            told = functional.embedding(chosen[:, k], self.book[k])
            count = torch.bincount(chosen[:, k], minlength=self.codes).float()
            total = torch.zeros_like(self.book[k]).index_add_(0, chosen[:, k], left)
            self.used[k].lerp_(count, 1 - MEMORY)
            self.total[k].lerp_(total, 1 - MEMORY)
            if rng is not None:
                dead = torch.nonzero(self.used[k] < RARE)[:, 0]
                self.total[k, dead] = left[torch.from_numpy(rng.integers(len(left), size=len(dead)))]
                self.used[k, dead] = 1.0
            self.book[k] = self.total[k] / self.used[k].clamp_min(1e-3).unsqueeze(-1)
            left = left - told


def train_coder(args: argparse.Namespace) -> Run:
    """The VQ-VAE; the result lies in `args.out`/coder."""
    args.out = args.out / "coder"
    scenes, held = Scenes(args.data, "train"), Scenes(args.data, "held")
    run = Run(args, lambda: _coder(args), memory=0.99)
    assert isinstance(run.network, LearningCoder)
    coder = run.network
    coder.scale.copy_(scenes.scale())
    while run.done < 1.0:
        given, spectra = scenes.batch(stream(args.seed, run.step, 0xC0DE), args.batch)
        even = coder.even(spectra)
        with run.autocast():
            latents = coder.latents(even)
        places = open_places(given[:, 1:2])
        with torch.no_grad():
            rng = stream(args.seed, run.step, 0xB00C)
            if run.step == args.free:
                coder.begin(latents[places], rng)
            nearest = latents
            if run.step >= args.free:
                codes, nearest = coder.rounded(latents)
                coder.follow(latents[places], codes[places], None if run.step % RENEW else rng)
        passed = latents + (nearest - latents).detach()
        with run.autocast():
            made = coder.decoded(passed, places)
        off = missed(made, even, within(given))
        drawn = ((latents - nearest).square().mean(-1) * places).sum() / places.sum()
        run.learn(off + COMMITMENT * drawn, off=float(off.detach()), drawn=float(drawn.detach()))
        run.look_after(lambda: coder_held(run.average, held))
    run.finish(lambda: coder_held(run.average, held))
    return run


def missed(made: Tensor, even: Tensor, region: Tensor) -> Tensor:
    """Mean square error in the regions, every example alike."""
    square = ((made - even).square().mean(1, keepdim=True) * region).sum((1, 2, 3))
    return (square / region.sum((1, 2, 3)).clamp_min(1.0)).mean()


def coder_held(coder: torch.nn.Module, held: Scenes) -> dict[str, float]:
    """Error of the held-out examples as a share of their own power, even and as they are; codes in use."""
    assert isinstance(coder, SpectrumCoder)
    offs, powers, wrong, seen = [], [], [], []
    with torch.inference_mode():
        for _, given, spectra in held.all(24):
            even, places, region = coder.even(spectra), open_places(given[:, 1:2]), within(given)
            codes, nearest = coder.rounded(coder.latents(even))
            made = coder.decoded(nearest, places)
            offs.append(float(missed(made, even, region)))
            powers.append(float(missed(torch.zeros_like(even), even, region)))
            back = coder.uneven(made)
            wrong.append(
                float((back - spectra).square().mul(region).sum() / spectra.square().mul(region).sum().clamp_min(1e-6))
            )
            seen.append(codes[places])
        told = torch.cat(seen)
        perplexity = [
            float(torch.exp(torch.special.entr(torch.bincount(told[:, k], minlength=coder.codes) / len(told)).sum()))
            for k in range(coder.depth)
        ]
    return {
        "off_held": round(sum(offs) / sum(powers), 4),
        "power_missed_held": round(float(np.mean(wrong)), 4),
        **{f"perplexity_{k}_held": round(value, 1) for k, value in enumerate(perplexity)},
    }


# --- the prior ---------------------------------------------------------------------------------------


def train_prior(args: argparse.Namespace) -> Run:
    """The transformer; the result lies in `args.out`/prior. The coder's lies in `args.out`/coder."""
    coder = averaged(args.out / "coder" / "checkpoint.pt", _coder(args))
    assert isinstance(coder, SpectrumCoder)
    args.out = args.out / "prior"
    scenes, held = Scenes(args.data, "train"), Scenes(args.data, "held")
    run = Run(args, lambda: _prior(args), memory=0.99)
    assert isinstance(run.network, CodePrior)
    prior = run.network
    while run.done < 1.0:
        rng = stream(args.seed, run.step, 0x9121)
        given, spectra = scenes.batch(rng, args.batch)
        with torch.no_grad():
            codes, _ = coder.rounded(coder.latents(coder.even(spectra)))
        shown = torch.from_numpy(rng.random(codes.shape) < DROPOUT)
        other = torch.from_numpy(rng.integers(coder.codes, size=codes.shape))
        with run.autocast():
            logits = prior.logits(given, torch.where(shown, other, codes))
        surprise = unlikely(logits.float(), codes, open_places(given[:, 1:2]))
        run.learn(surprise.sum(), **{f"nats_{k}": float(v) for k, v in enumerate(surprise.detach())})
        run.look_after(lambda: prior_held(run.average, coder, held))
    run.finish(lambda: prior_held(run.average, coder, held))
    return run


def unlikely(logits: Tensor, codes: Tensor, places: Tensor) -> Tensor:
    """Nats a code of every depth, over the open places (depth,)."""
    found = functional.cross_entropy(logits.permute(0, 3, 1, 2), codes, reduction="none")
    return (found * places.unsqueeze(-1)).sum((0, 1)) / places.sum()


def prior_held(prior: torch.nn.Module, coder: SpectrumCoder, held: Scenes) -> dict[str, float]:
    """Nats a code of the held-out examples; even chance would give log(codes)."""
    assert isinstance(prior, CodePrior)
    total, count = torch.zeros(coder.depth), 0
    with torch.inference_mode():
        for _, given, spectra in held.all(24):
            codes, _ = coder.rounded(coder.latents(coder.even(spectra)))
            places = open_places(given[:, 1:2])
            total += unlikely(prior.logits(given, codes), codes, places) * int(places.sum())
            count += int(places.sum())
    each = total / count
    return {"even_chance": round(math.log(coder.codes), 4), "nats_held": round(float(each.mean()), 4)} | {
        f"nats_{k}_held": round(float(value), 4) for k, value in enumerate(each)
    }


def _net(args: argparse.Namespace) -> MotionNet:
    return MotionNet(depth=args.depth, codes=args.codes, width=args.width, layers=args.layers)


def _coder(args: argparse.Namespace) -> LearningCoder:
    made = _net(args).coder
    return LearningCoder(**made.settings)


def _prior(args: argparse.Namespace) -> CodePrior:
    return _net(args).prior


def main(argv: list[str] | None = None) -> None:
    """See the module."""
    parser = plain_options(__doc__ or "", batch=16, rate=1e-3)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", type=Path, required=True, help="what motion_data.py made")
    parser.add_argument("--depth", type=int, default=4, help="codes a place")
    parser.add_argument("--codes", type=int, default=256, help="codes to choose from")
    parser.add_argument("--free", type=int, default=FREE, help="steps before the first code")
    parser.add_argument("--width", type=int, default=192, help="numbers a place in the transformer")
    parser.add_argument("--layers", type=int, default=6, help="of the transformer")
    args = parser.parse_args(argv)
    began = time.monotonic()
    run = {"coder": train_coder, "prior": train_prior}[args.part](args)
    print(f"{args.part}: {run.step} steps, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
