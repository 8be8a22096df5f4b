"""Pictures for the simulator's tests: made here, so that nothing depends on a photograph."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def scene(height: int = 200, width: int = 240, channels: int = 1) -> NDArray[np.float32]:
    """Soft hills of gray with a few hard edges, float32 (height, width, channels) in [0.15, 0.85]."""
    rng = np.random.default_rng(7)
    plane = cv2.resize(rng.random((6, 7)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    plane = 0.25 + 0.5 * np.clip(plane, 0, 1)
    cv2.rectangle(plane, (width // 5, height // 4), (width // 2, height // 2), 0.2, -1)
    cv2.circle(plane, (2 * width // 3, 2 * height // 3), height // 6, 0.8, -1)
    plane = cv2.GaussianBlur(plane, (0, 0), 0.9)
    stack = np.repeat(plane[:, :, None], channels, 2)
    if channels == 3:
        stack = stack * np.array([1.0, 0.95, 0.85], np.float32)
    return np.ascontiguousarray(stack, np.float32)
