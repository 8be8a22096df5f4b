"""What stands out in a picture, so that a frame that cuts it keeps that: spectral residual (Hou and Zhang, CVPR 2007).

A guess from contrast alone: it knows nothing of people or things, and whoever cuts by it must say so.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.records.imagery import Region

_EDGE = 64  # pixels of the longest edge that is looked at, as in the paper
_SMOOTHED = 2.5  # pixels over which what stands out is gathered
_BORDER = 0.04  # share of the edges that does not count: frames and torn paper stand out, and are no subject


def standing_out(samples: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much each place of a picture, uint8 (h, w, 3), stands out: float32 (rows, columns), reduced; mean 1."""
    height, width = samples.shape[:2]
    scale = _EDGE / max(height, width)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    gray = cv2.cvtColor(cv2.resize(samples, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    waves = np.fft.fft2(gray.astype(np.float64))
    loudness = np.log(np.abs(waves) + 1e-6)
    residual = loudness - cv2.blur(loudness, (3, 3))
    found = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(waves)))) ** 2
    found = cv2.GaussianBlur(found, (0, 0), _SMOOTHED)
    rows, columns = (max(1, round(_BORDER * edge)) for edge in found.shape)
    found[:rows], found[-rows:], found[:, :columns], found[:, -columns:] = 0, 0, 0, 0
    return np.asarray(found / max(float(found.mean()), 1e-12), np.float32)


def kept_by(samples: NDArray[np.uint8], aspect: float) -> Region:
    """The largest part of a picture with this aspect (width over height) that keeps most of what stands out.

    Of two that keep as much the one nearer to the middle.
    """
    height, width = samples.shape[:2]
    found = standing_out(samples)
    across = width / height > aspect
    whole, kept = (
        (width, min(width, round(height * aspect))) if across else (height, min(height, round(width / aspect)))
    )
    along = found.sum(axis=0 if across else 1)
    sums = np.concatenate([[0.0], np.cumsum(along, dtype=np.float64)])
    starts = np.arange(whole - kept + 1)
    places = np.arange(len(sums)) * whole / len(along)
    held = np.interp(starts + kept, places, sums) - np.interp(starts, places, sums)
    good = starts[held >= held.max() - 1e-9 * sums[-1]]
    start = int(good[np.argmin(np.abs(good + kept / 2 - whole / 2))])
    if across:
        return Region(top=0, left=start, bottom=height, right=start + kept)
    return Region(top=start, left=0, bottom=start + kept, right=width)
