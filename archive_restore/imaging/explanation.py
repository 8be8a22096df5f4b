"""What global operations explain of a candidate: a tone mapping of the reference, and how sharp it is.

Every fit is robust: a changed region of moderate size does not pull it. Planes are luma and two chroma differences
(Rec. ITU-R BT.601), float32, code values 0..255 and about -128..128.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.alignment import Mask

Planes = npt.NDArray[np.float32]
"""(h, w, 3): luma, blue and red difference; or (h, w, 1) of a gray picture."""

_STRIDE = 3
"""Every how many pixels, each way, a fit looks."""
_ROUNDS = 6
_TUNING = 2.5
"""Deviations, in robust standard deviations, beyond which a pixel counts little in a fit."""
_WIDTH = 6.0
"""Code values a bin of a curve."""
_ENOUGH = 40
"""Pixels a bin has at least."""
_SIGMAS = (0.7, 1.4, 2.8)
"""Bands of detail whose gains tell sharpness, in grid pixels."""
_COLOURED = 5.0
"""Code values of chroma from which a pixel has colours of its own."""
_GRADED = 4.0
"""Code values by which tones must have moved in the mean to be called graded."""
_GAIN = 1.0
"""Largest change of a band's gain."""


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A candidate and what the reference, under global operations, makes one expect of it."""

    expected: Planes
    """Of the candidate: as many planes as can be compared."""
    residual: Planes
    """Candidate minus expected."""
    graded: bool
    tone: tuple[tuple[int, int], ...]
    """(reference, candidate) luma codes."""
    detail: float
    """Gain of the finest detail; 1 where it is as in the reference."""


def planes_of(picture: npt.NDArray[Any]) -> Planes:
    """Luma and chroma of uint8 (h, w) or (h, w, 3)."""
    import cv2

    if picture.ndim == 2:
        return np.asarray(picture[:, :, None], np.float32)
    luma, red, blue = cv2.split(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2YCrCb) * 255)
    return np.asarray(np.stack([luma, blue - 127.5, red - 127.5], axis=2), np.float32)


def colour_share(planes: Planes, mask: Mask) -> float:
    """Share of pixels that have colours of their own, 0..1: one tint of the whole is none."""
    if planes.shape[2] == 1 or not mask.any():
        return 0.0
    import cv2

    # Sepia is one colour for each tone: what luma predicts is no colour of its own.
    smooth = cv2.blur(planes, (5, 5))[mask][:: _STRIDE * _STRIDE]
    bins = np.clip(smooth[:, 0] // 8, 0, 31).astype(int)
    counts = np.maximum(np.bincount(bins, minlength=32), 1)
    distance = np.zeros(len(smooth), np.float64)
    for plane in (1, 2):
        mean = np.bincount(bins, weights=smooth[:, plane], minlength=32) / counts
        distance += np.square(smooth[:, plane] - mean[bins])
    return float((np.sqrt(distance) > _COLOURED).mean())


def explain(ours: Planes, theirs: Planes, mask: Mask, *, chroma: bool) -> Explained:
    """Fit tones, then detail; with `chroma` that of a candidate in colours is expected too, else luma alone."""
    import cv2

    count = ours.shape[2] if chroma else 1
    ours = ours[:, :, :count]
    look = np.zeros_like(mask)
    look[::_STRIDE, ::_STRIDE] = True
    look &= mask
    if look.sum() < 64:
        look = mask
    # Fitted to what is a little blurred: neither grain nor sharpness is a matter of tone.
    soft_ours = cv2.GaussianBlur(ours, (0, 0), 1.5).reshape(ours.shape)[look]
    soft_theirs = cv2.GaussianBlur(theirs, (0, 0), 1.5).reshape(theirs.shape)[look]
    # A curve first, since a gamma is no polynomial; then what colours do to luma and to one another.
    first = tone_curve(soft_theirs[:, 0], soft_ours[:, 0])
    theirs_toned, soft_theirs = theirs.copy(), soft_theirs.copy()
    theirs_toned[:, :, 0], soft_theirs[:, 0] = first(theirs[:, :, 0]), first(soft_theirs[:, 0])
    terms, soft_terms = _terms(theirs_toned), _terms(soft_theirs)
    expected = np.empty_like(ours)
    for plane in range(count):
        fit = _robust(soft_terms, soft_ours[:, plane])
        expected[:, :, plane] = terms @ fit
        if plane == 0:
            expected[:, :, 0] = tone_curve(soft_terms @ fit, soft_ours[:, 0])(expected[:, :, 0])
    tone = _tone(theirs[look][:, 0], expected[look][:, 0])
    both = min(count, theirs.shape[2])
    moved = float(np.abs(expected[look][:, :both] - theirs[look][:, :both]).mean(axis=0).max())
    sharpened, detail = _sharpened(ours, expected, look)
    # Encoders keep strong detail and drop the faint: whatever lies between is explained.
    low, high = np.minimum(expected, sharpened), np.maximum(expected, sharpened)
    residual = ours - np.clip(ours, low, high)
    return Explained(expected=expected, residual=residual, graded=moved > _GRADED, tone=tone, detail=detail)


def _terms(planes: Planes) -> Planes:
    """Polynomials of second degree in what a pixel has: (..., 3 or 10) of (..., 1 or 3)."""
    scaled = [planes[..., plane] / 128 for plane in range(planes.shape[-1])]
    terms = [np.ones_like(scaled[0]), *scaled]
    for first in range(len(scaled)):
        terms.extend(scaled[first] * scaled[second] for second in range(first, len(scaled)))
    return np.stack(terms, axis=-1)


def _robust(terms: Planes, goal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Coefficients by iteratively reweighted least squares with Cauchy weights."""
    weights = np.ones(len(goal), np.float32)
    ridge = np.eye(terms.shape[1]) * 1e-4 * len(goal)
    ridge[0, 0] = 0
    fit = np.zeros(terms.shape[1], np.float32)
    for _ in range(_ROUNDS):
        weighed = terms * weights[:, None]
        fit = np.linalg.solve((weighed.T @ terms).astype(np.float64) + ridge, weighed.T @ goal).astype(np.float32)
        error = goal - terms @ fit
        spread = max(1.4826 * float(np.median(np.abs(error))), 0.5)
        weights = (1 / (1 + np.square(error / (_TUNING * spread)))).astype(np.float32)
    return fit


class Curve:
    """A curve through medians of bins; straight beyond them."""

    def __init__(self, at: npt.NDArray[np.float64], shift: npt.NDArray[np.float64]) -> None:
        self._at, self._shift = at, shift

    def __call__(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What becomes of values."""
        return (values + np.interp(values, self._at, self._shift)).astype(np.float32)


def tone_curve(expected: npt.NDArray[np.float32], ours: npt.NDArray[np.float32]) -> Curve:
    """The median departure in narrow bins of the expected value."""
    order = np.argsort(expected, kind="stable")
    values, shifts = expected[order], (ours - expected)[order]
    at, shift, first = [], [], 0
    while first < len(values):
        last = int(np.searchsorted(values, values[first] + _WIDTH))
        last = min(len(values), max(last, first + _ENOUGH))
        if len(values) - last < _ENOUGH:
            last = len(values)
        at.append(float(np.median(values[first:last])))
        shift.append(float(np.median(shifts[first:last])))
        first = last
    return Curve(np.array(at), np.array(shift)) if at else Curve(np.zeros(1), np.zeros(1))


def _tone(reference: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> tuple[tuple[int, int], ...]:
    """The fitted curve at nine places, where the reference has such tones."""
    points = []
    for code in range(0, 256, 32):
        near = np.abs(reference - code) < 8
        if near.sum() >= 12:
            points.append((code, int(np.clip(np.rint(np.median(expected[near])), 0, 255))))
    return tuple(points)


def _sharpened(ours: Planes, expected: Planes, look: Mask) -> tuple[Planes, float]:
    """Give each band of luma detail the gain that explains the candidate best: blur, sharpening, lossy encoding."""
    import cv2

    luma = np.ascontiguousarray(expected[:, :, 0])
    bands, finer = [], luma
    for sigma in _SIGMAS:
        coarser = cv2.GaussianBlur(luma, (0, 0), sigma)
        bands.append(finer - coarser)
        finer = coarser
    terms = np.stack([np.ones_like(luma), *bands], axis=-1)
    fit = _robust(terms[look], (ours[:, :, 0] - luma)[look])
    gains = np.clip(fit[1:], -_GAIN, _GAIN)
    result = expected.copy()
    result[:, :, 0] = luma + np.asarray(np.stack(bands, axis=-1) @ gains, np.float32)
    return result, float(1 + gains[0])
