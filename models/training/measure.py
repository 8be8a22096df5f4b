"""Measures of the networks, each as its paper or the issue states it: F1 with a tolerance, calibration, PSNR, SSIM."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from data import CLASS_BITS
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

TOLERANCE = 2
"""Pixels by which found and true damage may miss each other."""
THIN = 5
"""The plane of all that is thin: line, spot or crack."""
TRIED = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""Thresholds of the thin plane that are tried while training."""


def near(mask: Mask, pixels: int = TOLERANCE) -> Mask:
    """Everything within so many pixels (Euclidean) of the mask."""
    side = 2 * pixels + 1
    y, x = np.mgrid[:side, :side] - pixels
    disc = (y * y + x * x <= pixels * pixels).astype(np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0)


class Tally:
    """Counts for precision and recall with a tolerance, over many pictures."""

    def __init__(self) -> None:
        self.found = self.rightly = self.true = self.seen = 0

    def add(self, found: Mask, truth: Mask, allowed: Mask | None = None) -> None:
        """One picture; what is found within `allowed` (damage of another kind, say) is neither right nor wrong."""
        reach = near(truth)
        if allowed is not None:
            found = found & (reach | ~allowed)
        self.found += int(found.sum())
        self.rightly += int((found & reach).sum())
        self.true += int(truth.sum())
        self.seen += int((truth & near(found)).sum())

    @property
    def precision(self) -> float:
        """Share of what was found that lies at true damage."""
        return self.rightly / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true damage at which something was found."""
        return self.seen / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def class_masks(truth: NDArray[np.uint8]) -> list[Mask]:
    """One mask a class of a truth byte plane."""
    return [(truth >> bit) & 1 > 0 for bit in range(len(CLASS_BITS))]


def damage_scores(guesses: Floats, truths: NDArray[np.uint8], threshold: float = 0.5) -> dict[str, float]:
    """F1 of each class and of all thin ones together; false alarms as share of the sound pixels.

    `guesses`: (n, 6, h, w) probabilities; `truths`: (n, h, w).
    """
    tallies = {name: Tally() for name, _ in CLASS_BITS}
    tried = {threshold: Tally() for threshold in TRIED}
    false_alarms = sound = 0
    for guess, truth in zip(guesses, truths, strict=True):
        masks = class_masks(truth)
        damaged = truth > 0
        for k, (name, _) in enumerate(CLASS_BITS):
            tallies[name].add(guess[k] > threshold, masks[k], damaged & ~masks[k] if k == THIN else None)
        for other, tally in tried.items():
            tally.add(guess[THIN] > other, masks[THIN], damaged & ~masks[THIN])
        found = guess[THIN] > threshold
        away = ~near(damaged)
        false_alarms += int((found & away).sum())
        sound += int(away.sum())
    scores = {f"f1_{name}": round(tally.f1, 4) for name, tally in tallies.items()}
    thin_tally = tallies["thin"]
    return scores | {
        "precision_thin": round(thin_tally.precision, 4),
        "recall_thin": round(thin_tally.recall, 4),
        "best_threshold": max(tried, key=lambda other: tried[other].f1),
        "best_f1_thin": round(max(tally.f1 for tally in tried.values()), 4),
        "false_alarms": round(false_alarms / max(sound, 1), 6),
    }


def calibration_error(chances: Sequence[float], shares: Sequence[float], counts: Sequence[int]) -> float:
    """Expected calibration error over bins (Guo et al., ICML 2017): mean of |chance - share|, weighed by the counts."""
    total = max(sum(counts), 1)
    return sum(abs(c - s) * n for c, s, n in zip(chances, shares, counts, strict=True)) / total


def psnr(made: Floats, truth: Floats, mask: Mask) -> float:
    """Peak signal-to-noise ratio inside a mask, dB; both in [0, 1]."""
    error = float(np.mean(np.square(made[mask].astype(np.float64) - truth[mask])))
    return 10 * float(np.log10(1 / max(error, 1e-12)))


def similarity(made: Floats, truth: Floats, mask: Mask) -> float:
    """SSIM (Wang et al. 2004, Gaussian window, sigma 1.5) averaged inside a mask; planes (h, w) in [0, 1]."""

    def blur(plane: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5), np.float32)

    x, y = made.astype(np.float32), truth.astype(np.float32)
    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    plane = ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(plane[mask].mean())
