"""Carries values smoothly into a hole, and means over what is known: for joining one picture to another.

Solves Laplace's equation, as Pérez, Gangnet, Blake, Poisson Image Editing (2003), from coarse to fine. Arrays in,
arrays out.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_FINE = 8  # pixels of sigma beyond which a mean is taken on a smaller picture
_RELAXED = 60  # steps of conjugate gradients at most, at each of the sizes


def spread(values: Floats, known: Mask, free: Mask, *, reach: float = math.inf, steps: int = _RELAXED) -> Floats:
    """Carry known values into free pixels as smoothly as can be (Laplace's equation); others count as a wall.

    `values`: (h, w, c); with `reach`, pixels, what is carried fades to 0 with the distance; `steps`: of relaxation, at
    most, at each of the sizes.
    """
    free = free & ~known
    carried = np.where(known[..., None], values, 0).astype(np.float32)
    if free.any():
        near = cv2.dilate(free.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        carried[part] = _spread(values[part].astype(np.float64), known[part], free[part], 1 / reach**2 + 1e-9, steps)
    return carried


def _spread(values: NDArray[np.float64], known: Mask, free: Mask, fading: float, steps: int) -> NDArray[np.float64]:
    height, width, channels = values.shape
    guess = np.where(known[..., None], values, 0.0)
    if not free.any() or not known.any():
        return guess
    if min(height, width) > 16:
        high, wide = height + height % 2, width + width % 2
        grown = np.pad(np.dstack([guess, known, free]), ((0, high - height), (0, wide - width), (0, 0)))
        blocks = grown.reshape(high // 2, 2, wide // 2, 2, channels + 2).sum(axis=(1, 3))
        coarse_known = blocks[..., channels] > 0
        coarse = blocks[..., :channels] / np.maximum(blocks[..., channels : channels + 1], 1)
        found = _spread(coarse, coarse_known, (blocks[..., channels + 1] > 0) & ~coarse_known, 4 * fading, steps)
        larger = cv2.resize(found, (wide, high), interpolation=cv2.INTER_LINEAR).reshape(high, wide, channels)
        guess = np.where(free[..., None], larger[:height, :width], guess)
    return _relaxed(guess, known, free, fading, steps)


def _relaxed(guess: NDArray[np.float64], known: Mask, free: Mask, fading: float, steps: int) -> NDArray[np.float64]:
    """Solve by conjugate gradients from a guess that is nearly right."""
    there = free[..., None].astype(np.float64)
    degree = _neighbours((free | known)[..., None].astype(np.float64)) + fading
    fixed = np.where(known[..., None], guess, 0.0)

    def system(field: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((degree * field - _neighbours(field)) * there)

    x = guess * there
    residual = (_neighbours(fixed) * there) - system(x)
    way = residual.copy()
    power = _power(residual, residual)
    enough = 1e-7 * np.maximum(_power(fixed, fixed), 1e-9)
    for _ in range(steps):
        if (power <= enough).all():
            break
        moved = system(way)
        step = power / np.maximum(_power(way, moved), 1e-30)
        x += step * way
        residual -= step * moved
        following = _power(residual, residual)
        way = residual + (following / np.maximum(power, 1e-30)) * way
        power = following
    return np.asarray(fixed + x)


def _power(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.einsum("hwc,hwc->c", one, other))


def _neighbours(field: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros_like(field)
    total[1:] += field[:-1]
    total[:-1] += field[1:]
    total[:, 1:] += field[:, :-1]
    total[:, :-1] += field[:, 1:]
    return total


def mean_of(values: Floats, where: Mask, sigma: float) -> Floats:
    """Gaussian mean of values (h, w, c) over the pixels `where`; 0 where there are none near."""
    return weighted_mean(np.where(where[..., None], values, 0), where.astype(np.float32)[..., None], sigma)


def weighted_mean(values: Floats, weight: Floats, sigma: float) -> Floats:
    """Gaussian mean of values (h, w, c) by weights (h, w, 1); 0 where there are none near."""
    sigma = max(sigma, 0.6)
    height, width = weight.shape[:2]
    total, count = np.asarray(values * weight, np.float32), np.asarray(weight, np.float32)
    coarse = max(int(sigma / _FINE), 1)
    if coarse > 1:
        size = (-(-width // coarse), -(-height // coarse))
        total, count = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (total, count))
    side = 2 * math.ceil(3 * sigma / coarse) + 1
    total, count = (cv2.GaussianBlur(plane, (side, side), sigma / coarse) for plane in (total, count))
    if coarse > 1:
        total, count = (cv2.resize(p, (width, height), interpolation=cv2.INTER_LINEAR) for p in (total, count))
    total, count = total.reshape(values.shape), count.reshape(height, width, 1)
    return np.asarray(total / np.maximum(count, 1e-6) * (count > 1e-6), np.float32)
