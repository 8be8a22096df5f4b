"""Trains the colour network on photographs whose colour was taken away, with hints read from it. Development time only.

python models/training/train_colour.py --photographs DIR --out DIR --steps 7000 --every 48 --keep 96
"""

from __future__ import annotations

import argparse

import hints
import numpy as np
import torch
from data import Pool, stream
from loop import Run, options, pools
from measure import calibration_error
from torch import Tensor
from torch.nn import functional

from archive_restore.imaging.networks.colour import CHROMA, NEAR, ColourNet

VALIDATION = 24
"""Held-out examples looked at while training."""
_SOFT = 0.08  # errors below it (9 units of CIELAB) count by their square, larger ones by their size


def prepared(examples: np.ndarray, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
    """What the network is given (n, 4, size, size), and the true ab (n, 2, size, size), of uint8 (n, 3, h, w)."""
    made = np.stack([hints.learnt(rng, example, size) for example in examples])
    planes = torch.from_numpy(made)
    return planes[:, :4], planes[:, 4:]


def loss_of(colour: Tensor, logit: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """What is learnt, and the mean square error of a*/110 and b*/110.

    Charbonnier's distance in the plane of a and b, and that of its gradients, so that colours end at edges; and by the
    cross entropy, which may not pull at the colour, the chance that its error is below NEAR.
    """
    off = colour - truth
    square = off.square().sum(1, keepdim=True)
    distance = (torch.sqrt(square + _SOFT**2) - _SOFT).mean()
    edges = off.diff(dim=2).abs().mean() + off.diff(dim=3).abs().mean()
    right = (square.detach() < (NEAR / CHROMA) ** 2).float()
    chance = functional.binary_cross_entropy_with_logits(logit, right)
    return 10 * distance + 2 * edges + 0.15 * chance, square.detach().mean() / 2


def train(args: argparse.Namespace) -> Run:
    """All of it; the result lies in `args.out`."""
    run = Run(args, ColourNet)
    with pools(run, "colour", VALIDATION) as (pool, check):
        while run.done < 1.0:
            examples = pool.batch(run.step, args.batch, args.size)
            given, truth = prepared(examples, stream(args.seed, run.step, 0xC010), args.crop)
            with run.autocast():
                colour, logit = run.network.guess(given)
            loss, square = loss_of(colour.float(), logit.float(), truth)
            run.learn(loss, ab=CHROMA * float(square) ** 0.5)
            run.turn(pool, lambda: validated(run, check))
        run.finish(lambda: validated(run, check))
    return run


def validated(run: Run, check: Pool) -> dict[str, float]:
    """Root mean square of the ab error of the held-out examples with no, 5 and 50 hints, and that of the hints
    alone; how far the confidence is off."""
    held: dict[str, float] = {}
    with torch.inference_mode():
        for count in (0, 5, 50):
            squares, plain, chances, shares = [], [], [], []
            for k, example in enumerate(check.examples()):
                planes = hints.asked(stream(7, k, count), example.transpose(1, 2, 0), count)
                made = run.average(torch.from_numpy(planes[None, :4]))[0].numpy()
                off = hints.error(made[:2], planes[4:])
                squares.append(float((off**2).mean()))
                plain.append(float((hints.error(planes[1:3], planes[4:]) ** 2).mean()))
                chances.append(float(made[2].mean()))
                shares.append(float((off < NEAR).mean()))
            held[f"ab_{count}_held"] = round(float(np.mean(squares)) ** 0.5, 3)
            held[f"ab_{count}_alone"] = round(float(np.mean(plain)) ** 0.5, 3)
            held[f"confidence_{count}_off"] = round(calibration_error(chances, shares, [1] * len(chances)), 3)
    return held


if __name__ == "__main__":
    train(options(__doc__ or "", batch=8, rate=1e-3).parse_args())
