"""Seeded randomness of the simulator: one Philox stream a purpose, and noise that varies over a chosen distance."""

from __future__ import annotations

import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Path = NDArray[np.float64]


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A stream of its own for each purpose, so that one class more or less leaves the others where they were."""
    return np.random.Generator(np.random.Philox(key=[seed & 0xFFFFFFFFFFFFFFFF, zlib.crc32(purpose.encode())]))


def wave(rng: np.random.Generator, count: int, period: float) -> NDArray[np.float64]:
    """1-D noise in [0, 1], (count,), that varies over about `period` samples; smoothstep between random knots."""
    knots = rng.random(max(int(count / max(period, 1e-3)) + 3, 4))
    at = np.linspace(rng.random(), len(knots) - 2.001, count)
    low = at.astype(np.intp)
    t = at - low
    t = t * t * (3 - 2 * t)
    return np.asarray(knots[low] * (1 - t) + knots[low + 1] * t)


def field(rng: np.random.Generator, shape: tuple[int, ...], period: float, octaves: int = 1) -> Plane:
    """2-D noise, float32 (height, width), mean 0, about ±1, varying over `period` px; octaves add finer detail."""
    height, width = shape
    total: Plane = np.zeros((height, width), np.float32)
    weight, norm = 1.0, 0.0
    for _ in range(octaves):
        period = max(period, 1.0)
        coarse = max(int(period / 6), 1)  # six samples a period are enough, the rest is linear
        small_h, small_w = -(-height // coarse) + 1, -(-width // coarse) + 1
        scale = coarse / period
        knots = rng.standard_normal((int(small_h * scale) + 4, int(small_w * scale) + 4), dtype=np.float32)
        # A window of the enlarged grid at a random phase: the knots must not sit at the picture's corner.
        matrix = np.array([[scale, 0, 1 + rng.random()], [0, scale, 1 + rng.random()]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        plane = cv2.warpAffine(knots, matrix, (small_w, small_h), flags=flags, borderMode=cv2.BORDER_REFLECT)
        if coarse > 1:
            plane = cv2.resize(plane, (small_w * coarse, small_h * coarse))
        total += np.float32(weight) * plane[:height, :width]
        norm += weight * weight
        weight *= 0.5
        period *= 0.5
    total *= np.float32(1.0 / norm**0.5)
    return total


def white(rng: np.random.Generator, shape: tuple[int, ...]) -> Plane:
    """White noise of mean 0 and variance 1, float32: a sum of four bytes, close to normal within 3 sigma and quick."""
    raw = np.frombuffer(rng.bytes(4 * int(np.prod(shape))), np.uint8).reshape(4, *shape)
    total: Plane = raw[0].astype(np.float32)
    for part in raw[1:]:
        total += part
    total -= np.float32(510.0)
    return np.asarray(total * np.float32(1 / np.sqrt(4 * (256**2 - 1) / 12)), np.float32)


def fine(rng: np.random.Generator, shape: tuple[int, ...], correlation: float) -> Plane:
    """White noise of unit variance blurred over `correlation` px (Gaussian sigma), float32 (height, width)."""
    plane = white(rng, shape)
    if correlation > 0.2:
        plane = cv2.GaussianBlur(plane, (0, 0), correlation)
        # Variance of white noise behind a Gaussian: the sum of the squared kernel.
        size = int(correlation * 8 + 1) | 1  # OpenCV's choice for float32
        kernel = cv2.getGaussianKernel(size, correlation)
        plane *= np.float32(1.0 / float((kernel**2).sum()))
    return plane


def smoothstep(low: float, high: float, values: NDArray[Any]) -> Plane:
    """0 below `low`, 1 above `high`, smooth between; `low` may be the larger one, which turns it round."""
    t = np.clip((values - np.float32(low)) * np.float32(1.0 / (high - low)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
