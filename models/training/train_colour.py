"""Trains the colour network on photographs whose colour was taken away, with hints read from it. Development time only.

python models/training/train_colour.py --photographs DIR --out DIR --minutes 30 --every 48 --keep 96
"""

from __future__ import annotations

import argparse
import math

import hints
import numpy as np
import torch
from data import Pool, stream
from loop import Run, options, pools
from measure import calibration_error
from torch import Tensor
from torch.nn import functional

from archive_restore.imaging.belonging import PARTS, shading
from archive_restore.imaging.networks.colour import CHROMA, NEAR, ColourNet

VALIDATION = 24
"""Held-out examples looked at while training."""
LOOKED_AT = 3000
"""Pixels of each example that a step learns from."""
_FLOOR = 6.0 / CHROMA**2  # square of an error that is as good as none


def kernel(one: Tensor, other: Tensor) -> Tensor:
    """How far colours go together, (p, q), of pixels that the network described, (p, c) and (q, c), without doubts."""
    out = one.new_ones(len(one), len(other))
    for part, (here, there) in enumerate(
        zip(one[:, PARTS:].chunk(PARTS, 1), other[:, PARTS:].chunk(PARTS, 1), strict=True)
    ):
        square = here.square().sum(1)[:, None] + there.square().sum(1)[None] - 2 * here @ there.T
        out = out + one[:, part, None] * other[None, :, part] * torch.exp(-0.5 * square.clamp_min(0))
    return out


def told(rest: Tensor, at: Tensor, ask: Tensor, off: Tensor, shade: Tensor) -> Tensor:
    """What hints say at pixels `ask` (p,) of (c, h*w): their departures `off` (k, 2) at pixels `at` (k,), carried."""
    here, there = rest[1:, ask].T, rest[1:, at].T
    between = kernel(there, there) + torch.diag(rest[0, at])
    return shade[ask, None] * (kernel(here, there) @ torch.linalg.solve(between, off / shade[at, None]))


def train(args: argparse.Namespace) -> Run:
    """All of it; the result lies in `args.out`."""
    run = Run(args, ColourNet)
    with pools(run, "colour", VALIDATION) as (pool, check):
        while run.done < 1.0:
            examples = pool.batch(run.step, args.batch, args.size)
            rng = stream(args.seed, run.step, 0xC010)
            made = [hints.learnt(rng, example, args.crop) for example in examples]
            given = torch.from_numpy(np.stack([one.planes for one in made]))
            with run.autocast():
                colour, logit, rest = run.network.described(given)
            losses, squares = [], []
            for one, guess, sure, own, planes in zip(made, colour, logit, rest, given, strict=True):
                truth = torch.from_numpy(one.ab).flatten(1)
                ask = torch.from_numpy(rng.integers(0, truth.shape[1], LOOKED_AT))
                guess, shade = guess.flatten(1).T, shading(planes[0].flatten())
                wanted = truth[:, ask].T
                square = (guess[ask] - wanted).square().sum(1)
                right = (square.detach() < (NEAR / CHROMA) ** 2).float()
                loss = 0.15 * functional.binary_cross_entropy_with_logits(sure.flatten()[ask], right)
                if not one.turned:
                    loss = loss + 0.3 * torch.log(square.mean() + _FLOOR)
                if len(one.given.rows):
                    mean = guess if one.guessed else torch.zeros_like(guess)
                    at = torch.from_numpy(one.given.rows * args.crop + one.given.columns)
                    off = torch.from_numpy(one.given.colours) - mean[at]
                    carried = mean[ask] + told(own.flatten(1), at, ask, off, shade)
                    square = (carried - wanted).square().sum(1)
                    loss = loss + torch.log(square.mean() + _FLOOR)
                losses.append(loss)
                squares.append(float(square.detach().mean()) / 2)
            run.learn(torch.stack(losses).mean(), ab=CHROMA * float(np.mean(squares)) ** 0.5)
            run.turn(pool, lambda: validated(run, check))
        run.finish(lambda: validated(run, check))
    return run


def validated(run: Run, check: Pool) -> dict[str, float]:
    """Decibels of the ab error of the held-out examples by number of hints, with the guess and without."""
    sums: dict[str, list[float]] = {}
    chances, shares = [], []
    with torch.inference_mode():
        for k, example in enumerate(check.examples()):
            rng = stream(7, k)
            one = hints.asked(rng, example.transpose(1, 2, 0), 50)
            planes = torch.from_numpy(one.planes)
            colour, logit, rest = run.average.described(planes[None])
            guess, shade = colour[0].flatten(1).T, shading(planes[0].flatten())
            truth = torch.from_numpy(one.ab).flatten(1).T
            ask = torch.from_numpy(rng.integers(0, len(truth), 8000))
            at = torch.from_numpy(one.given.rows * example.shape[2] + one.given.columns)
            colours = torch.from_numpy(one.given.colours)
            near = (guess - truth).square().sum(1).sqrt() < NEAR / CHROMA
            chances.append(float(torch.sigmoid(logit).mean()))
            shares.append(float(near.float().mean()))
            for name, mean in (("alone", 0 * guess), ("half", 0.5 * guess), ("held", guess)):
                for count in (0, 1, 5, 10, 50):
                    made = mean[ask]
                    if count:
                        off = colours[:count] - mean[at[:count]]
                        made = made + told(rest[0].flatten(1), at[:count], ask, off, shade)
                    error = float((made - truth[ask]).square().mean())
                    sums.setdefault(f"dB_{count}_{name}", []).append(-10 * math.log10(max(error, 1e-9)))
    held = {name: round(float(np.mean(values)), 3) for name, values in sums.items()}
    return {**held, "confidence_off": round(calibration_error(chances, shares, [1] * len(chances)), 3)}


if __name__ == "__main__":
    train(options(__doc__ or "", batch=4, rate=1e-3).parse_args())
