"""Visibly distinct infill for large losses: flat neutral tone, or tratteggio (Brandi, Teoria del restauro, 1963).

What is lost is not invented: both are recognized as infill from close up and keep quiet from afar. Must never touch
a pixel outside the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
Mask = NDArray[np.bool_]

HALO = 92
"""Pixels around a tile that `infill` must see."""
_RADII = (56, 36)  # two square windows in turn: near sound pixels count more, and nothing ends abruptly
_SCALE = 65535.0
_TRUST = 0.004  # the picture's mean tone weighs as much as this share of the windows


class Infill(StrEnum):
    """How a loss is closed."""

    NEUTRAL = "neutral"
    TRATTEGGIO = "tratteggio"


def mean_tone(reduced: NDArray[np.float32]) -> tuple[float, ...]:
    """Mean of each channel of the whole picture: `reduced` is float32 (h, w) or (h, w, C) in [0, 1]."""
    planes = np.nan_to_num(reduced if reduced.ndim == 3 else reduced[..., None])
    return tuple(round(float(v), 6) for v in planes.mean(axis=(0, 1), dtype=np.float64))


def infill(
    samples: Samples,
    loss: Mask,
    unsound: Mask,
    kind: Infill,
    tone: Sequence[float],
    *,
    seed: int = 0,
    origin: tuple[int, int] = (0, 0),
    pitch: int = 2,
    white: float | None = None,
) -> Samples:
    """Close a loss in a copy of the samples.

    `samples`: (H, W) or (H, W, C), uint8, uint16 or float32; `loss`: bool (H, W) to be closed; `unsound`: other pixels
    not to learn tones from; `tone`: the whole picture's `mean_tone`, which stands in where no sound pixel is within
    reach; `pitch`: width of a hatching stroke in pixels; `origin`: row and column of samples[0, 0] in the picture,
    which with `seed` fixes the strokes; `white`: full scale, by default 255, 65535 or 1.0.
    """
    out = samples.copy()
    if not loss.any():
        return out
    full = float(white or (np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1.0))
    planes = samples if samples.ndim == 3 else samples[..., None]
    target = out if samples.ndim == 3 else out[..., None]
    rows, columns = np.nonzero(loss)
    local = _local_tone(planes, loss | unsound, tone, full)[rows, columns]
    if kind is Infill.TRATTEGGIO:
        local = _hatched(local, rows + origin[0], columns + origin[1], max(int(pitch), 1), seed)
    values = local * full
    if samples.dtype.kind == "u":
        values = np.rint(np.clip(values, 0, np.iinfo(samples.dtype).max))
    target[rows, columns] = values.astype(samples.dtype)
    return out


def _local_tone(planes: Samples, unsound: Mask, tone: Sequence[float], full: float) -> NDArray[np.float64]:
    """Mean of the sound pixels around, leaning on the whole picture's mean: (H, W, C), 0..1.

    Sums of integers in float64, so a tile agrees exactly with the whole picture.
    """
    sound = ~unsound & np.isfinite(planes).all(axis=2)

    def window(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        for radius in _RADII:
            side = (2 * radius + 1, 2 * radius + 1)
            plane = np.rint(cv2.boxFilter(plane, cv2.CV_64F, side, normalize=False, borderType=cv2.BORDER_CONSTANT))
        return plane

    count = window(sound.astype(np.float64))
    lean = _TRUST * float(np.prod([(2 * r + 1) ** 2 for r in _RADII]))
    out = np.empty(planes.shape, np.float64)
    for c in range(planes.shape[2]):
        whole = np.rint(np.where(sound, planes[..., c], 0).astype(np.float64) * (_SCALE / full))
        mean = tone[c] if c < len(tone) else tone[-1]
        out[..., c] = (window(whole) / _SCALE + lean * mean) / (count + lean)
    return out


def _hatched(
    local: NDArray[np.float64], rows: NDArray[np.intp], columns: NDArray[np.intp], pitch: int, seed: int
) -> NDArray[np.float64]:
    """Vertical strokes, lighter and darker in turn (warmer and cooler in colour), each of its own length."""
    stroke = columns // pitch
    length = 24 * pitch
    shift = _hash(stroke, np.zeros_like(stroke), seed) % length
    piece = (rows + shift) // length
    chance = (_hash(stroke, piece + 1, seed) % 1024) / 1023.0
    strength = 0.07 + 0.05 * chance
    sign = np.where(stroke % 2 == 0, 1.0, -1.0)
    swing = (sign * strength)[:, None]
    if local.shape[1] >= 3:
        hue = np.ones(local.shape[1])
        hue[:3] = np.array([1.25, 0.95, 0.8])
        swing = swing * hue
    # near black or white the tone gives way, so that the hatching stays visible
    room = np.abs(swing)
    return np.clip(local, room, 1 - room) + swing


def _hash(a: NDArray[np.intp], b: NDArray[np.intp], seed: int) -> NDArray[np.int64]:
    """A fixed mixing of integers (splitmix64 finalizer), the same on every machine; non-negative."""
    with np.errstate(over="ignore"):
        x = a.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + b.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
        x += np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return np.asarray(x >> np.uint64(2), np.int64)
