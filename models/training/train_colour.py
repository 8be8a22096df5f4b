"""Trains the colour network on photographs whose colour was taken away, with hints read from it. Development time only.

python models/training/train_colour.py --photographs DIR --scene scene.pt --out DIR --minutes 60 --crop 256
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

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
FEW = 3
"""Hints of the second question that a step asks of a picture, at most."""
UNTOLD = 0.1
"""Share of the steps in which nobody tells what the pictures show."""
_DECAY = 0.1
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


def told(here: Tensor, there: Tensor, off: Tensor, shade: Tensor, shade_there: Tensor) -> Tensor:
    """What hints say of pixels described by `here` (p, PLANES): their departures `off` (k, 2) at pixels described by
    `there`, carried; `shade` of both."""
    between = kernel(there[:, 1:], there[:, 1:]) + torch.diag(there[:, 0])
    return shade[:, None] * (
        kernel(here[:, 1:], there[:, 1:]) @ torch.linalg.solve(between, off / shade_there[:, None])
    )


def train(args: argparse.Namespace) -> Run:
    """All of it; the result lies in `args.out`."""
    run = Run(args, lambda: made_with(args.scene), decay=_DECAY)
    with pools(run, "colour", VALIDATION) as (pool, check):
        while run.done < 1.0:
            examples = pool.batch(run.step, args.batch, args.size)
            rng = stream(args.seed, run.step, 0xC010)
            made = [hints.learnt(rng, example, args.crop) for example in examples]
            given = torch.from_numpy(np.stack([one.planes for one in made]))
            truth = torch.from_numpy(np.stack([one.ab for one in made])).flatten(2)
            ask = torch.from_numpy(rng.integers(0, truth.shape[2], (len(made), LOOKED_AT)))
            at = torch.zeros(len(made), hints.MOST, dtype=torch.long)
            for row, one in zip(at, made, strict=True):
                row[: len(one.given.rows)] = torch.from_numpy(one.given.rows * args.crop + one.given.columns)
            with run.autocast():
                colour, logit, rest = run.network.described(
                    given, told=bool(rng.random() >= UNTOLD), at=torch.cat([at, ask], 1)
                )
            shading_there = shading(given[:, 0].flatten(1).gather(1, torch.cat([at, ask], 1)))
            losses, squares = [], []
            for one, ab, asked, own, sure, planes, shades in zip(
                made, truth, ask, colour[..., 0], logit[..., 0], rest[..., 0], shading_there, strict=True
            ):
                wanted, guess, planes = ab[:, asked].T, own.T, planes.T
                square = (guess[hints.MOST :] - wanted).square().sum(1)
                right = (square.detach() < (NEAR / CHROMA) ** 2).float()
                loss = 0.15 * functional.binary_cross_entropy_with_logits(sure[0, hints.MOST :], right)
                if not one.turned:
                    loss = loss + 0.4 * torch.log(square.mean() + _FLOOR)
                count = len(one.given.rows)
                mean = guess if one.guessed else torch.zeros_like(guess)
                for some in {count, min(count, int(rng.integers(1, FEW + 1)))} - {0}:
                    off = torch.from_numpy(one.given.colours[:some]) - mean[:some]
                    says = told(planes[hints.MOST :], planes[:some], off, shades[hints.MOST :], shades[:some])
                    square = (mean[hints.MOST :] + says - wanted).square().sum(1)
                    loss = loss + 0.6 * torch.log(square.mean() + _FLOOR)
                losses.append(loss)
                squares.append(float(square.detach().mean()) / 2)
            run.learn(torch.stack(losses).mean(), ab=CHROMA * float(np.mean(squares)) ** 0.5)
            run.turn(pool, lambda: validated(run, check))
        run.finish(lambda: validated(run, check))
    return run


def made_with(scene: Path | None) -> ColourNet:
    """A fresh network, told what a picture shows by the weights in a file."""
    network = ColourNet(scene=scene is not None, dropout=0.2)
    if network.scene is not None and scene is not None:
        network.scene.load_state_dict(torch.load(scene, weights_only=True))
    return network


def validated(run: Run, check: Pool) -> dict[str, float]:
    """Decibels of the ab error of the held-out examples by number of hints, with the guess and without."""
    sums: dict[str, list[float]] = {}
    chances, shares = [], []
    with torch.inference_mode():
        for k, example in enumerate(check.examples()):
            rng = stream(7, k)
            one = hints.asked(rng, example.transpose(1, 2, 0), 50)
            given = torch.from_numpy(one.planes)
            colour, logit, rest = run.average.described(given[None])
            guess, shade = colour[0].flatten(1).T, shading(given[0].flatten())
            truth = torch.from_numpy(one.ab).flatten(1).T
            ask = torch.from_numpy(rng.integers(0, len(truth), 8000))
            at = torch.from_numpy(one.given.rows * example.shape[2] + one.given.columns)
            colours = torch.from_numpy(one.given.colours)
            near = (guess - truth).square().sum(1).sqrt() < NEAR / CHROMA
            chances.append(float(torch.sigmoid(logit).mean()))
            shares.append(float(near.float().mean()))
            planes = rest[0].flatten(1).T
            for name, mean in (("alone", 0 * guess), ("half", 0.5 * guess), ("held", guess)):
                for count in (0, 1, 5, 10, 50):
                    made = mean[ask]
                    if count:
                        off = colours[:count] - mean[at[:count]]
                        made = made + told(planes[ask], planes[at[:count]], off, shade[ask], shade[at[:count]])
                    error = float((made - truth[ask]).square().mean())
                    sums.setdefault(f"dB_{count}_{name}", []).append(-10 * math.log10(max(error, 1e-9)))
    held = {name: round(float(np.mean(values)), 3) for name, values in sums.items()}
    return {**held, "confidence_off": round(calibration_error(chances, shares, [1] * len(chances)), 3)}


if __name__ == "__main__":
    parser = options(__doc__ or "", batch=4, rate=1e-3)
    parser.add_argument("--scene", type=Path, help="weights of imaging.networks.scene, as convert_scene.py gives them")
    train(parser.parse_args())
