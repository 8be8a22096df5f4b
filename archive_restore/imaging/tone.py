"""Optional, recorded correction of fading and of uneven illumination: one curve, one coarse grid of gains.

Every pixel is changed by itself, in the master's own depth, by functions that map 0 to 0 and full scale to full
scale, so nothing is clipped. Must never look at a neighbour, nor change anything when asked for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]

GRID = 9
"""Rows and columns of the grid of gains."""
_GAIN_LIMIT = 1.6
_TARGET = (0.02, 0.98)


@dataclass(frozen=True, kw_only=True)
class ToneParameters:
    """What a recipe may choose."""

    fading: float = 1.0
    """Share of the found contrast stretch that is applied, 0..1."""
    illumination: float = 0.0
    """Share of the found evening-out that is applied, 0..1. A sky is easily mistaken for uneven light."""


@dataclass(frozen=True, kw_only=True)
class ToneSurvey:
    """What one look at the whole picture found: plain numbers, recorded with the derivation."""

    curve: tuple[tuple[float, float], ...]
    """Points (from, to), both rising from (0, 0) to (1, 1), joined by straight lines."""
    gains: tuple[tuple[float, ...], ...]
    """GRID × GRID gains over the frame, first row at the top; interpolated bilinearly; 1 changes nothing."""

    @property
    def identity(self) -> bool:
        """Whether applying it changes nothing."""
        return all(x == y for x, y in self.curve) and all(g == 1.0 for row in self.gains for g in row)


def survey_tone(reduced: NDArray[np.float32], parameters: ToneParameters) -> ToneSurvey:
    """Find curve and gains from the whole picture's luma, reduced, float32 (h, w) in [0, 1]."""
    luma = np.clip(np.nan_to_num(reduced), 0, 1).astype(np.float64)
    gains = _even_out(luma, parameters.illumination)
    if parameters.illumination > 0:
        luma = _lift(luma, _field(gains, (0, 0), luma.shape, luma.shape))
    return ToneSurvey(curve=_unfade(luma, parameters.fading), gains=gains)


def _unfade(luma: NDArray[np.float64], share: float) -> tuple[tuple[float, float], ...]:
    """Spread the middle 99.8 % over 0.02–0.98; what lies beyond keeps room between that and black and white."""
    low, high = (float(v) for v in np.percentile(luma, [0.1, 99.9]))
    nothing = ((0.0, 0.0), (1.0, 1.0))
    if share <= 0 or high - low < 0.05:
        return nothing
    to_low, to_high = low + share * (min(low, _TARGET[0]) - low), high + share * (max(high, _TARGET[1]) - high)
    if to_low == low and to_high == high:
        return nothing
    points = [(0.0, 0.0), (round(low, 5), round(to_low, 5)), (round(high, 5), round(to_high, 5)), (1.0, 1.0)]
    kept = [points[0]]
    for x, y in points[1:]:
        if x > kept[-1][0] and y > kept[-1][1]:
            kept.append((x, y))
    if kept[-1] != (1.0, 1.0):
        kept[-1] = (1.0, 1.0)
    return tuple(kept)


def _even_out(luma: NDArray[np.float64], share: float) -> tuple[tuple[float, ...], ...]:
    """Fit a paraboloid to the log-odds of luma, which `_lift` shifts; Tukey's biweight discounts outliers."""
    flat = tuple(tuple(1.0 for _ in range(GRID)) for _ in range(GRID))
    if share <= 0:
        return flat
    small = cv2.resize(luma, (48, 48), interpolation=cv2.INTER_AREA)
    y, x = (v.ravel() for v in np.mgrid[-1:1:48j, -1:1:48j])
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    small = np.clip(small, 0.02, 0.98)
    value = np.log(small / (1 - small)).ravel()
    weight = np.ones_like(value)
    fitted = np.zeros(6)
    for _ in range(12):
        normal = terms.T @ (terms * weight[:, None]) + 1e-6 * np.eye(6)
        fitted = np.linalg.solve(normal, terms.T @ (weight * value))
        rest = value - terms @ fitted
        scale = 4.685 * max(1.4826 * float(np.median(np.abs(rest))), 0.02)
        weight = np.maximum(1 - (rest / scale) ** 2, 0.0) ** 2
    gy, gx = (v.ravel() for v in np.mgrid[-1 : 1 : GRID * 1j, -1 : 1 : GRID * 1j])
    surface = np.stack([np.ones_like(gx), gx, gy, gx * gx, gx * gy, gy * gy], axis=1) @ fitted
    gain = np.exp(np.clip(share * (surface.mean() - surface), -np.log(_GAIN_LIMIT), np.log(_GAIN_LIMIT)))
    return tuple(tuple(round(float(g), 5) for g in row) for row in gain.reshape(GRID, GRID))


def _field(
    gains: tuple[tuple[float, ...], ...], origin: tuple[int, int], shape: tuple[int, ...], frame: tuple[int, ...]
) -> NDArray[np.float64]:
    """Gains at every pixel of a rectangle of the frame."""
    grid = np.asarray(gains, np.float64)

    def along(start: int, count: int, whole: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        at = (np.arange(start, start + count) + 0.5) / whole * (GRID - 1)
        low = np.clip(np.floor(at), 0, GRID - 2).astype(np.intp)
        return low, at - low

    top, down = along(origin[0], shape[0], frame[0])
    left, right = along(origin[1], shape[1], frame[1])
    rows = grid[top] * (1 - down)[:, None] + grid[top + 1] * down[:, None]
    return np.asarray(rows[:, left] * (1 - right) + rows[:, left + 1] * right)


def _lift(values: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain near black that fades out towards white: v·g / (1 + (g − 1)·v); keeps 0, 1 and the order."""
    return values * gain / (1 + (gain - 1) * values)


def apply_tone(
    samples: Samples,
    overview: ToneSurvey,
    *,
    origin: tuple[int, int],
    frame: tuple[int, int],
    white: float | None = None,
) -> Samples:
    """Correct a tile; every channel alike, so hues stay.

    `samples`: (H, W) or (H, W, C), uint8, uint16 or float32; `origin`: row and column of samples[0, 0] in the
    picture of `frame` rows and columns; `white`: full scale, by default 255, 65535 or 1.0. Returns a new array of the
    same dtype; bit-identical when the survey is the identity. Float samples outside 0..white and NaN stay as they are.
    """
    if overview.identity:
        return samples.copy()
    integer = samples.dtype.kind == "u"
    full = float(white or (np.iinfo(samples.dtype).max if integer else 1.0))
    xs, ys = np.array([p[0] for p in overview.curve]), np.array([p[1] for p in overview.curve])
    if all(g == 1.0 for row in overview.gains for g in row) and integer:
        levels = np.arange(np.iinfo(samples.dtype).max + 1) / full
        curve = np.where(levels <= 1, np.interp(levels, xs, ys), levels) * full
        return np.asarray(np.rint(curve).astype(samples.dtype)[samples])
    values = samples.astype(np.float64) / full
    gain = _field(overview.gains, origin, samples.shape, frame)
    inside = (values >= 0) & (values <= 1)
    made = np.interp(_lift(np.where(inside, values, 0), gain if samples.ndim == 2 else gain[..., None]), xs, ys) * full
    if integer:
        return np.asarray(np.where(inside, np.rint(made), samples).astype(samples.dtype))
    return np.asarray(np.where(inside, made, samples).astype(samples.dtype))
