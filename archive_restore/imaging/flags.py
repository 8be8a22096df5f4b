"""Flags of a synthesis map where pixels are interpolated: a pixel is all that it was made from."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

REACH = 2
"""Pixels around a place that bicubic interpolation takes from."""


def spread(flags: Bytes, reach: int) -> Bytes:
    """Each pixel with the flags of all within `reach` rows and columns."""
    if (flags == flags[0, 0]).all():
        return flags
    found, square = np.zeros_like(flags), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    for bit in (1 << k for k in range(8)):
        plane = flags & np.uint8(bit)
        if plane.any():
            found |= cv2.dilate(plane, square)
    return found
