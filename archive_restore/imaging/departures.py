"""Departures: where a residual is larger than what encoding, resampling and grain leave elsewhere in the same picture.

How much they leave depends on how much detail there is; that is measured in the picture itself, robustly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.alignment import Mask
from archive_restore.imaging.explanation import Explained

Plane = npt.NDArray[np.float32]

_BINS = 16
_FLOOR = 1.5
"""Code values of luma below which nothing is a departure."""
_FLOOR_MEAN = 1.2
_FLOOR_COLOUR = 2.0
_BLEED = 3.0
"""How much more contrast of chroma lets one expect of a residual of chroma than contrast of luma does."""
_ENERGY = ((2.0, 9.5), (4.0, 8.2), (8.0, 7.5))
"""(sigma in grid pixels, largest ratio of local to expected residual that is explained)."""
_MEAN = ((3.0, 12.0), (8.0, 12.0))
_COLOUR = ((3.0, 9.4), (8.0, 8.5))


def departures(told: Explained, mask: Mask) -> tuple[Plane, Plane]:
    """Strength of the departure of luma and of chroma, float32 (h, w): 1 is the limit of what is explained."""
    luma = np.zeros(mask.shape, np.float32)
    colour = np.zeros(mask.shape, np.float32)
    if mask.sum() < 256:
        return luma, colour
    activity = _activity(told, (0,))
    residual = np.where(mask, told.residual[:, :, 0], 0)
    for sigma, limit in _ENERGY:
        luma = np.maximum(luma, _ratio(_rms(residual, mask, sigma), activity, mask, _FLOOR) / limit)
    for sigma, limit in _MEAN:
        mean = np.abs(_mean(residual, mask, sigma))
        luma = np.maximum(luma, _ratio(mean, activity, mask, _FLOOR_MEAN) / limit)
    if told.residual.shape[2] == 3:
        # Encoders halve the resolution of chroma, so that its edges bleed.
        activity = np.hypot(activity, _BLEED * _activity(told, (1, 2)))
        chroma = np.where(mask[:, :, None], told.residual[:, :, 1:], 0)
        for sigma, limit in _COLOUR:
            parts = [np.square(_mean(chroma[:, :, plane], mask, sigma)) for plane in (0, 1)]
            colour = np.maximum(colour, _ratio(np.sqrt(parts[0] + parts[1]), activity, mask, _FLOOR_COLOUR) / limit)
    luma[~mask] = colour[~mask] = 0
    return luma, colour


def noise_of(told: Explained, mask: Mask) -> float:
    """Robust standard deviation of the luma residual, code values."""
    return 1.4826 * float(np.median(np.abs(told.residual[:, :, 0][mask]))) if mask.any() else 0.0


def _blur(values: Plane, sigma: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(values.astype(np.float32), (0, 0), sigma), np.float32)


def _mean(values: Plane, mask: Mask, sigma: float) -> Plane:
    """Local mean over what is compared."""
    return np.asarray(_blur(values, sigma) / np.maximum(_blur(mask.astype(np.float32), sigma), 0.05), np.float32)


def _rms(values: Plane, mask: Mask, sigma: float) -> Plane:
    return np.sqrt(np.maximum(_mean(np.square(values), mask, sigma), 0))


def _activity(told: Explained, planes: tuple[int, ...]) -> Plane:
    """Local contrast of the expected planes: code values, float32 (h, w)."""
    found = np.zeros(told.expected.shape[:2], np.float32)
    for plane in planes:
        values = np.ascontiguousarray(told.expected[:, :, plane])
        for sigma in (2.0, 5.0):
            found = np.maximum(found, np.sqrt(_blur(np.square(values - _blur(values, sigma)), sigma)))
    return found


def _ratio(measured: Plane, activity: Plane, mask: Mask, floor: float) -> Plane:
    """Measured over expected, where expected² = a² + b²·activity² is fitted to medians of bins of activity."""
    rows, columns = np.nonzero(mask[::2, ::2])
    seen, active = measured[::2, ::2][rows, columns], activity[::2, ::2][rows, columns]
    edges = np.unique(np.quantile(active, np.linspace(0, 1, _BINS + 1)))
    bins = np.clip(np.searchsorted(edges, active, side="right") - 1, 0, max(len(edges) - 2, 0))
    points = [
        (float(np.median(np.square(active[bins == number]))), float(np.median(np.square(seen[bins == number]))))
        for number in range(max(len(edges) - 1, 1))
        if (bins == number).sum() >= 16
    ]
    base, slope = _line(np.array(points)) if points else (floor**2, 0.0)
    return np.asarray(measured / np.sqrt(np.maximum(base + slope * np.square(activity), floor**2)), np.float32)


def _line(points: npt.NDArray[np.float64]) -> tuple[float, float]:
    """(base, slope), neither negative, of a line through (x, y) with relative weights."""
    x, y = points[:, 0], points[:, 1]
    weight = 1 / np.square(np.maximum(y, 0.25))
    total, mean_x, mean_y = weight.sum(), (weight * x).sum(), (weight * y).sum()
    below = total * (weight * x * x).sum() - mean_x**2
    slope = max(0.0, float((total * (weight * x * y).sum() - mean_x * mean_y) / below)) if below > 1e-9 else 0.0
    base = max(0.0, float((mean_y - slope * mean_x) / total))
    if base == 0.0:
        slope = float((weight * x * y).sum() / max((weight * x * x).sum(), 1e-9))
    return base, slope
