"""Polygons that people draw, as masks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

_SHIFT = 4  # bits of a fraction in OpenCV's drawing


def polygon_mask(polygons: Sequence[Sequence[Sequence[float]]], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Pixels inside any of the polygons, their outlines included: bool (height, width).

    A polygon is its corners once around, x and y in pixels, 0 the middle of the first; what lies outside the picture
    is cut off.
    """
    drawn = np.zeros((height, width), np.uint8)
    for corners in polygons:
        points = np.clip(np.array(corners, np.float64), -width - height, 2 * (width + height))
        cv2.fillPoly(drawn, [np.rint(points * (1 << _SHIFT)).astype(np.int32)], (1,), cv2.LINE_8, _SHIFT)
    return np.asarray(drawn != 0)
