"""Local features of a gray picture: places that are found again after scaling, turning, cropping and re-encoding.

SIFT (Lowe, 2004) with the square root of its descriptors (Arandjelović and Zisserman, 2012), in a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LAYERS = 3
_CONTRAST = 0.02
"""Half of Lowe's: old photographs are faint."""
_EDGE = 12.0
_FIRST_BLUR = 1.6


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features of one picture, strongest first."""

    points: npt.NDArray[np.float32]
    """(n, 2) pixel centres x, y."""
    sizes: npt.NDArray[np.float32]
    """(n,) diameters in pixels."""
    angles: npt.NDArray[np.float32]
    """(n,) radians, clockwise."""
    descriptors: npt.NDArray[np.float32]
    """(n, 128) of length 1."""

    def __len__(self) -> int:
        """How many there are."""
        return len(self.points)


def detect(gray: npt.NDArray[np.uint8], count: int) -> Features:
    """The `count` strongest features of a picture, uint8 (h, w); fewer where there are not so many."""
    import cv2

    finder = cv2.SIFT.create(count, _LAYERS, _CONTRAST, _EDGE, _FIRST_BLUR, enable_precise_upscale=True)
    keypoints, found = finder.detectAndCompute(gray, None)
    if found is None or not len(keypoints):
        nothing = np.zeros(0, np.float32)
        return Features(
            points=nothing.reshape(0, 2), sizes=nothing, angles=nothing, descriptors=nothing.reshape(0, 128)
        )
    # Ties are broken by place, so that the order does not depend on how many threads looked.
    order = sorted(range(len(keypoints)), key=lambda i: (-keypoints[i].response, keypoints[i].pt, keypoints[i].angle))
    keypoints, found = [keypoints[i] for i in order[:count]], found[order[:count]]
    sums = np.maximum(found.sum(axis=1, keepdims=True), 1.0)
    return Features(
        points=np.array([k.pt for k in keypoints], np.float32),
        sizes=np.array([k.size for k in keypoints], np.float32),
        angles=np.radians(np.array([k.angle for k in keypoints], np.float32)),
        descriptors=np.sqrt(np.asarray(found, np.float32) / sums),
    )


def match(ours: Features, theirs: Features, ratio: float) -> npt.NDArray[np.intp]:
    """Pairs (n, 2) of indices whose descriptors are each other's nearest, and clearly nearer than the next best.

    `ratio` is the largest distance to the nearest over that to the second (Lowe, 2004, section 7.1). Surest first.
    """
    if len(ours) < 2 or len(theirs) < 2:
        return np.zeros((0, 2), np.intp)
    alike = ours.descriptors @ theirs.descriptors.T
    nearest = alike.argmax(axis=1)
    rows = np.arange(len(ours))
    best = alike[rows, nearest]
    back = alike.argmax(axis=0)
    alike[rows, nearest] = -1
    second = alike.max(axis=1)
    # Squared distances of vectors of length 1.
    ratios = (1 - best) / np.maximum(1 - second, 1e-6)
    good = np.flatnonzero((back[nearest] == rows) & (ratios < ratio * ratio))
    good = good[np.argsort(ratios[good], kind="stable")]
    return np.stack([good, nearest[good]], axis=1)
