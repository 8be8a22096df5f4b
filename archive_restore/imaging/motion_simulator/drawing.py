"""Drawing of simulated scenes: rough, from far, in gray, with a camera's grain and tone."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.motion_spectra import EDGE

Floats = NDArray[np.float32]

FINE = 4 * EDGE
"""Rows and columns on which scenes are drawn before they are reduced."""
_BITS = 4  # of a fraction of a pixel


def backdrop(rng: np.random.Generator) -> Floats:
    """What lies behind: a plane that slowly changes its tone, (FINE, FINE) in [0, 1]."""
    knots = rng.uniform(0.2, 0.95) + rng.normal(0, 0.08, (4, 4))
    return np.asarray(np.clip(cv2.resize(knots.astype(np.float32), (FINE, FINE), interpolation=cv2.INTER_CUBIC), 0, 1),
                      np.float32)  # fmt: skip


def stroke(plane: Floats, points: NDArray[np.floating], value: float, width: float) -> None:
    """A line through `points` (n, 2), shares of the edge, `width` too."""
    fixed = np.rint(np.clip(points, -2, 3) * FINE * (1 << _BITS)).astype(np.int32)
    cv2.polylines(plane, [fixed], False, value, max(1, round(width * FINE)), cv2.LINE_AA, _BITS)


def blob(plane: Floats, centre: Sequence[float], axes: tuple[float, float], turn: float, value: float) -> None:
    """A filled ellipse; `centre` and half `axes` are shares of the edge, `turn` in degrees."""
    x, y = (round(float(v) * FINE * (1 << _BITS)) for v in np.clip(np.asarray(centre), -2, 3))
    a, b = (max(1, round(v * FINE * (1 << _BITS))) for v in axes)
    cv2.ellipse(plane, (x, y), (a, b), turn, 0, 360, value, -1, cv2.LINE_AA, _BITS)


def photographed(plane: Floats, rng: np.random.Generator) -> Floats:
    """The drawing as a photograph shows it: reduced, a little soft, with a tone curve and grain; (EDGE, EDGE)."""
    soft = cv2.GaussianBlur(plane, (0, 0), float(rng.uniform(1.0, 4.0)))
    small = cv2.resize(soft, (EDGE, EDGE), interpolation=cv2.INTER_AREA)
    toned = np.clip(small, 0, 1) ** rng.uniform(0.6, 1.6)
    toned = rng.uniform(0, 0.15) + toned * rng.uniform(0.6, 0.85)
    return np.asarray(np.clip(toned + rng.normal(0, rng.uniform(0, 0.03), toned.shape), 0, 1), np.float32)


def reduced(mask: Floats) -> Floats:
    """A mask (FINE, FINE) in [0, 1] as (EDGE, EDGE)."""
    return np.asarray(np.clip(cv2.resize(mask, (EDGE, EDGE), interpolation=cv2.INTER_AREA), 0, 1), np.float32)
