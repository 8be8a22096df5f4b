"""Trains the damage network on photographs damaged by the simulator. Development time only.

python models/training/train_damage.py --photographs DIR --out DIR --minutes 60
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from data import CLASS_BITS, RIM, Pool, exposed, stream, turned
from loop import Run, options, pools
from measure import damage_scores
from torch import Tensor
from torch.nn import functional

from archive_restore.imaging.networks.damage import DamageNet

POSITIVE = (3.0, 4.0, 3.0, 1.5, 0.5, 3.0)
"""How much more a damaged pixel of each class counts than a sound one: thin ones are few."""
SHARE = (0.4, 0.4, 0.4, 0.7, 0.35, 1.5)
"""Weight of each class in the loss: whether it is damage matters more than which."""
FAINT = 0.15
"""Weight of pixels of the rim: nobody could say what they are."""
VALIDATION = 96
"""Held-out examples looked at while training."""


def loss_of(logits: Tensor, truth: Tensor) -> Tensor:
    """Focused cross-entropy and soft Dice (after Lin et al. 2017; Milletari et al. 2016), the rim nearly left out.

    `logits`: (n, 6, h, w); `truth`: uint8 (n, h, w), a bit a class and RIM.
    """
    guess = torch.sigmoid(logits)
    with torch.no_grad():
        bits = torch.arange(len(CLASS_BITS), dtype=torch.uint8).view(1, -1, 1, 1)
        marked = ((truth[:, None] >> bits) & 1) > 0
        target = marked.float()
        sure = torch.where(((truth & RIM) > 0)[:, None] & ~marked, FAINT, 1.0)
        # What is wrong counts more; a false alarm in the open up to four times as much as an unsure one.
        positive = logits.new_tensor(POSITIVE).view(1, -1, 1, 1)
        weight = torch.where(marked, (1.25 - guess) * positive, (0.25 + guess) * (1 + 3 * guess))
        weight *= sure * logits.new_tensor(SHARE).view(1, -1, 1, 1)
        size = (target.sum((0, 2, 3)) + 50.0).view(1, -1, 1, 1)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    counted = guess * sure
    both = (counted * target).sum((0, 2, 3))
    dice = 1 - (2 * both + 50.0) / (counted.sum((0, 2, 3)) + size.flatten())
    return 12 * entropy / (truth.numel()) + 0.5 * (dice * logits.new_tensor(SHARE)).sum()


def prepared(examples: np.ndarray, rng: np.random.Generator | None) -> tuple[Tensor, Tensor]:
    """Luma (n, 1, h, w) float32 and truth (n, h, w) of uint8 (n, 2, h, w); varied where there is a generator."""
    if rng is not None:
        examples = turned(rng, examples)
    luma = examples[:, 0].astype(np.float32) / 255
    if rng is not None:
        luma = exposed(rng, luma)
    return torch.from_numpy(luma)[:, None], torch.from_numpy(np.ascontiguousarray(examples[:, 1]))


def train(args: argparse.Namespace) -> Run:
    """All of it; the result lies in `args.out`."""
    run = Run(args, lambda: DamageNet(normalized=True))
    with pools(run, "damage", VALIDATION) as (pool, check):
        while run.done < 1.0:
            luma, truth = prepared(pool.batch(run.step, args.batch, args.crop), stream(args.seed, run.step, 0xF11))
            with run.autocast():
                logits = run.network.logits(luma)
            run.learn(loss_of(logits.float(), truth))
            run.turn(pool, lambda: validated(run, check))
        run.finish(lambda: validated(run, check))
    return run


def validated(run: Run, check: Pool) -> dict[str, float]:
    """Scores of the averaged network on held-out examples."""
    examples = check.examples()
    guesses = []
    with torch.inference_mode(), run.autocast():
        for first in range(0, len(examples), 8):
            luma, _ = prepared(examples[first : first + 8], None)
            guesses.append(torch.sigmoid(run.average.logits(luma).float()).numpy())
    return damage_scores(np.concatenate(guesses), examples[:, 1])


if __name__ == "__main__":
    train(options(__doc__ or "", batch=8, rate=4e-3).parse_args())
