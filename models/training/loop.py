"""What all training scripts share: options, schedule, averaged weights, checkpoints that resume, a log of JSON lines.

The learning rate follows the share of `--steps` or of `--minutes` that is done, whichever is further; with `--steps`
alone a run can be repeated exactly, number for number, on the same machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from data import Pool, Source
from torch import Tensor, nn


def plain_options(description: str, *, batch: int, rate: float) -> argparse.ArgumentParser:
    """The options of every training script."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="where checkpoints and the log go")
    parser.add_argument("--steps", type=int, default=10**9, help="stop after so many steps")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many minutes of training")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--batch", type=int, default=batch, help="examples a step")
    parser.add_argument("--rate", type=float, default=rate, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1, help="of weights and examples")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt where it is there")
    parser.add_argument("--checkpoint-minutes", type=float, default=4.0, help="minutes between checkpoints")
    parser.add_argument("--float32", action="store_true", help="do not compute in bfloat16")
    return parser


def options(description: str, *, batch: int, rate: float) -> argparse.ArgumentParser:
    """The options of every training script that learns from photographs."""
    parser = plain_options(description, batch=batch, rate=rate)
    parser.add_argument("--photographs", type=Path, required=True, help="directory with manifest.json and pictures/")
    parser.add_argument("--pool", type=Path, help="where the examples go; OUT/pool unless given")
    parser.add_argument("--size", type=int, default=256, help="rows and columns of an example")
    parser.add_argument("--crop", type=int, default=160, help="rows and columns of what a step sees of it")
    parser.add_argument("--begin", type=int, default=8, help="shards of 64 examples before the first step")
    parser.add_argument("--keep", type=int, default=48, help="shards in use at a time")
    parser.add_argument("--every", type=int, default=40, help="steps until the next shard")
    parser.add_argument("--validation", type=int, help="held-out examples looked at; as many as the script says")
    return parser


class Run:
    """One training: a network, its averaged copy, its optimizer; see the module."""

    def __init__(
        self, args: argparse.Namespace, make: Callable[[], nn.Module], *, memory: float = 0.999, decay: float = 1e-2
    ) -> None:
        """`make` gives the network with fresh weights, after the seed is set; `memory`: share of the averaged weights
        that a step keeps; `decay`: AdamW's, of weights."""
        self._memory = memory
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        self.args = args
        args.out.mkdir(parents=True, exist_ok=True)
        self.network = make().to(memory_format=torch.channels_last).train()
        self.average = make().to(memory_format=torch.channels_last).eval().requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        learning = [p for p in self.network.parameters() if p.requires_grad]
        plain = [p for p in learning if p.ndim < 2]
        weights = [p for p in learning if p.ndim >= 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": weights, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}],
            lr=args.rate,
            betas=(0.9, 0.98),
        )
        self.step = 0
        self._before = 0.0
        self._began = time.monotonic()
        self._saved = self._began
        self._sums: dict[str, float] = {}
        self._count = 0
        if args.resume and self._checkpoint.exists():
            self._load()

    @property
    def _checkpoint(self) -> Path:
        return Path(self.args.out) / "checkpoint.pt"

    @property
    def seconds(self) -> float:
        """Spent on this training, resumed parts included."""
        return self._before + time.monotonic() - self._began

    @property
    def done(self) -> float:
        """Share of the training that is done, 0..1."""
        return min(max(self.step / self.args.steps, self.seconds / 60 / self.args.minutes), 1.0)

    def set_rate(self) -> None:
        """Warm up over 100 steps or 2 %, then half a cosine down to a fiftieth."""
        warm = min(1.0, (self.step + 1) / min(100, max(1, self.args.steps // 50)))
        rate = self.args.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.done)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def autocast(self) -> torch.autocast:
        """bfloat16 where it is wanted."""
        return torch.autocast("cpu", torch.bfloat16, enabled=not self.args.float32)

    def learn(self, loss: Tensor, **shown: float) -> None:
        """One step down; `shown` and the loss are averaged for the log."""
        self.set_rate()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        self._follow()
        for name, value in {"loss": float(loss.detach()), "norm": float(norm), **shown}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def _follow(self) -> None:
        keep = min(self._memory, (1 + self.step) / (10 + self.step))
        fresh = self.network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(fresh[name], 1 - keep)
            else:
                value.copy_(fresh[name])

    def log(self, **more: Any) -> None:
        """Write a line: means since the last one and whatever else there is to say."""
        means = {name: round(value / max(self._count, 1), 5) for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        rate = self.optimizer.param_groups[0]["lr"]
        line = {"step": self.step, "seconds": round(self.seconds, 1), "rate": round(rate, 7), **means, **more}
        with (Path(self.args.out) / "log.jsonl").open("a") as out:
            out.write(json.dumps(line) + "\n")

    def turn(self, pool: Pool, validate: Callable[[], dict[str, float]]) -> None:
        """What has to be done after a step: now and then a line in the log, a checkpoint with held-out scores."""
        self.look_after(validate, lambda: {"waited": round(pool.waited, 1)})

    def look_after(self, validate: Callable[[], dict[str, float]], more: Callable[[], dict[str, float]] = dict) -> None:
        """The same without a pool; `more` goes into the line."""
        if self.step % 50 == 0:
            self.log(**more())
        if time.monotonic() - self._saved > 60 * self.args.checkpoint_minutes:
            self.finish(validate)

    def finish(self, validate: Callable[[], dict[str, float]]) -> None:
        """A checkpoint, and held-out scores in the log."""
        self.save()
        self.log(**validate())

    def save(self) -> None:
        """Write the checkpoint, whole or not at all, and the averaged weights beside it."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "torch": torch.get_rng_state(),
            "args": {key: str(value) for key, value in vars(self.args).items()},
        }
        temporary = self._checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self._checkpoint)  # noqa: PTH105 - atomic
        self._saved = time.monotonic()

    def _load(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["torch"])
        self.step, self._before = state["step"], state["seconds"]


@contextmanager
def pools(run: Run, kind: str, validation: int) -> Iterator[tuple[Pool, Pool]]:
    """Examples to learn from, and `validation` held-out ones unless an option says otherwise, while they are needed."""
    args = run.args
    directory = args.pool or args.out / "pool"
    last = min(args.begin + args.steps // args.every, 100_000)
    common = {"photographs": args.photographs, "kind": kind, "pool": directory, "size": args.size}
    pool = Pool(
        Source(split="train", seed=args.seed, **common), begin=args.begin, keep=args.keep, every=args.every, last=last
    )
    held = Source(split="validation", seed=7, examples=args.validation or validation, **common)
    check = Pool(held, begin=1, keep=1, every=1, last=0)
    check.start()
    pool.start(run.step)
    try:
        yield pool, check
    finally:
        pool.stop()
        check.stop()


def averaged(checkpoint: Path, network: nn.Module) -> nn.Module:
    """The network with the averaged weights of a checkpoint, ready to be used."""
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
