"""Trains the denoising network on photographs with grain, sensor noise and JPEG. Development time only.

python models/training/train_denoise.py --photographs DIR --out DIR --minutes 45
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
from data import Pool, stream, turned
from loop import Run, options, pools
from torch import Tensor

from archive_restore.imaging.networks.denoise import DenoiseNet

VALIDATION = 64
"""Held-out examples looked at while training."""


def prepared(examples: np.ndarray, rng: np.random.Generator | None) -> tuple[Tensor, Tensor]:
    """Noisy and clean picture (n, 3, h, w), float32, of uint8 (n, 6, h, w)."""
    if rng is not None:
        examples = turned(rng, examples)
    planes = torch.from_numpy(np.array(examples)).float() / 255
    return planes[:, :3], planes[:, 3:]


def train(args: argparse.Namespace) -> Run:
    """All of it; the result lies in `args.out`."""
    run = Run(args, DenoiseNet)
    with pools(run, "denoise", VALIDATION) as (pool, check):
        while run.done < 1.0:
            noisy, clean = prepared(pool.batch(run.step, args.batch, args.crop), stream(args.seed, run.step, 0xF11))
            with run.autocast():
                noise = run.network.noise(noisy)
            off = noisy - noise.float() - clean
            square = float((off.detach() ** 2).mean())
            run.learn(10 * torch.sqrt(off * off + 1e-6).mean(), psnr=-10 * math.log10(max(square, 1e-9)))
            run.turn(pool, lambda: validated(run, check))
        run.finish(lambda: validated(run, check))
    return run


def validated(run: Run, check: Pool) -> dict[str, float]:
    """PSNR of the held-out examples, denoised and as they were."""
    after, before = [], []
    examples = check.examples()
    with torch.inference_mode():
        for k in range(0, len(examples), 8):
            noisy, clean = prepared(examples[k : k + 8], None)
            made = run.average(torch.cat([noisy, torch.ones_like(noisy[:, :1])], 1))
            after += [float(e) for e in ((made - clean) ** 2).mean((1, 2, 3))]
            before += [float(e) for e in ((noisy - clean) ** 2).mean((1, 2, 3))]
    return {
        "psnr_held": round(-10 * float(np.log10(np.maximum(after, 1e-9)).mean()), 3),
        "psnr_noisy": round(-10 * float(np.log10(np.maximum(before, 1e-9)).mean()), 3),
    }


if __name__ == "__main__":
    train(options(__doc__ or "", batch=8, rate=1e-3).parse_args())
