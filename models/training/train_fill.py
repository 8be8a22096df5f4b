"""Trains the fill network on photographs with simulated damage and strokes of a brush. Development time only.

python models/training/train_fill.py --photographs DIR --out DIR --minutes 45
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
from data import Pool, stream, turned
from loop import Run, options, pools
from torch import Tensor
from torch.nn import functional

from archive_restore.imaging.networks.fill import FillNet, pull_push

VALIDATION = 64
"""Held-out examples looked at while training."""


def prepared(examples: np.ndarray, rng: np.random.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
    """Damaged picture, clean picture (n, 3, h, w) and mask (n, 1, h, w), float32, of uint8 (n, 7, h, w)."""
    if rng is not None:
        examples = turned(rng, examples)
        if rng.random() < 0.3:
            order = rng.permutation(3)
            examples = examples[:, [*order, *(order + 3), 6]]
    planes = torch.from_numpy(np.array(examples)).float() / 255
    return planes[:, :3], planes[:, 3:6], (planes[:, 6:] > 0.5).float()


def loss_of(colour: Tensor, error: Tensor, clean: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """What is learnt, and the mean square error inside the mask.

    Charbonnier's distance and that of the gradients (of two scales) inside the mask; the expected error by the
    likelihood of Laplace's distribution, which may not pull at the colour.
    """
    count = mask.sum().clamp_min(1.0)
    made = colour * mask + clean * (1 - mask)
    off = made - clean
    near = (torch.sqrt(off * off + 1e-5) * mask).sum() / (3 * count)
    edges = off.new_zeros(())
    for level in range(2):
        fine = functional.avg_pool2d(off, 2**level) if level else off
        edges = edges + fine.diff(dim=2).abs().sum() * 4**level / (3 * count)
        edges = edges + fine.diff(dim=3).abs().sum() * 4**level / (3 * count)
    size = off.detach().abs().mean(1, keepdim=True)
    likelihood = ((size * torch.exp(-error) + error) * mask).sum() / count
    square = (off.detach() ** 2 * mask).sum() / (3 * count)
    return 10 * near + 1.0 * edges + 0.1 * likelihood, square


def train(args: argparse.Namespace) -> Run:
    """All of it; the result lies in `args.out`."""
    run = Run(args, FillNet)
    with pools(run, "fill", VALIDATION) as (pool, check):
        while run.done < 1.0:
            examples = pool.batch(run.step, args.batch, args.crop)
            damaged, clean, mask = prepared(examples, stream(args.seed, run.step, 0xF11))
            with run.autocast():
                colour, error = run.network.guess(damaged, mask)
            loss, square = loss_of(colour.float(), error.float(), clean, mask)
            run.learn(loss, psnr=-10 * math.log10(max(float(square), 1e-9)))
            run.turn(pool, lambda: validated(run, check))
        run.finish(lambda: validated(run, check))
    return run


def validated(run: Run, check: Pool) -> dict[str, float]:
    """PSNR inside the masks of the held-out examples, of the averaged network and of its first guess."""
    examples = check.examples()
    squares, first, count = 0.0, 0.0, 0.0
    with torch.inference_mode():
        for k in range(0, len(examples), 8):
            damaged, clean, mask = prepared(examples[k : k + 8], None)
            made = run.average(torch.cat([damaged, mask], 1))[:, :3]
            squares += float((((made - clean) ** 2) * mask).sum())
            first += float((((pull_push(damaged, mask)[0] - clean) ** 2) * mask).sum())
            count += 3 * float(mask.sum())
    return {
        "psnr_held": round(-10 * math.log10(max(squares / max(count, 1), 1e-9)), 3),
        "psnr_first_guess": round(-10 * math.log10(max(first / max(count, 1), 1e-9)), 3),
    }


if __name__ == "__main__":
    train(options(__doc__ or "", batch=8, rate=2e-3).parse_args())
