"""Alignment: a reference brought onto the grid of a candidate, and the matrix between them made exact.

The refinement is inverse compositional (Baker and Matthews, 2004) on locally normalized pictures, so that grading does
not matter, with weights that fall for what differs, so that a changed region does not pull.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
"""(3, 3), affine: pixel centres (x, y, 1) to pixel centres."""
Mask = npt.NDArray[np.bool_]

_NORMAL_SIGMA = 5.0
"""Pixels over which brightness and contrast are made alike."""
_FLOOR = 3.0
"""Code values of contrast below which nothing is amplified."""
_ITERATIONS = 12
_SOFT = 0.4
"""Blur, in pixels of the coarser grid, before pixels are skipped; a little less than an area average's."""
_STILL = 0.01
"""Pixels of motion at the corners below which the refinement stops."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A picture reduced to a working size."""

    image: npt.NDArray[Any]
    """(h, w) or (h, w, 3), of the dtype of the picture."""
    to_picture: Matrix
    """From pixel centres of `image` to those of the picture."""

    @property
    def scale(self) -> float:
        """Pixels of the picture a pixel of the grid."""
        return float(np.sqrt(abs(np.linalg.det(self.to_picture[:2, :2]))))


def reduced(picture: npt.NDArray[Any], longest: float) -> Grid:
    """Reduce a picture by area averages so that its longest edge is at most `longest`; never enlarge it."""
    import cv2

    height, width = picture.shape[:2]
    factor = min(1.0, longest / max(height, width))
    new_width, new_height = max(1, round(width * factor)), max(1, round(height * factor))
    if (new_width, new_height) == (width, height):
        return Grid(image=picture, to_picture=np.eye(3))
    x, y = width / new_width, height / new_height
    back = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    image = cv2.resize(picture, (new_width, new_height), interpolation=cv2.INTER_AREA)
    return Grid(image=image, to_picture=back)


def scale_of(matrix: Matrix) -> float:
    """How much longer things are after the matrix."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def brought(reference: npt.NDArray[Any], matrix: Matrix, height: int, width: int) -> tuple[npt.NDArray[Any], Mask]:
    """The reference as it lies under a grid of `height`×`width`, and where it has pixels there.

    `matrix` goes from the grid to the reference. Where the grid is coarser the reference is averaged first.
    """
    import cv2

    coarser = scale_of(matrix)
    if coarser > 2:
        grid = reduced(reference, max(8.0, max(reference.shape[:2]) * 1.5 / coarser))
        reference, matrix = grid.image, np.linalg.inv(grid.to_picture) @ matrix
        coarser = scale_of(matrix)
    if coarser > 1.01:
        reference = cv2.GaussianBlur(reference, (0, 0), _SOFT * float(np.sqrt(coarser**2 - 1)))
    if max(reference.shape[:2]) >= 32767:  # what OpenCV can index
        raise ValueError("the reference is too large to be brought onto a grid")
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    values = cv2.warpAffine(reference, matrix[:2], (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]
    y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]
    ref_height, ref_width = reference.shape[:2]
    inside = (x >= 0) & (x <= ref_width - 1) & (y >= 0) & (y <= ref_height - 1)
    return values, inside


def normalized(gray: npt.NDArray[Any], mask: Mask | None = None, sigma: float = _NORMAL_SIGMA) -> Plane:
    """Detail of a gray picture with local brightness and contrast made alike: float32 (h, w), about -3..3.

    With a mask, what lies outside of it neither counts nor has detail.
    """
    import cv2

    values = gray.astype(np.float32)
    if mask is None:
        mean = cv2.GaussianBlur(values, (0, 0), sigma)
        power = cv2.GaussianBlur(np.square(values - mean), (0, 0), sigma)
        return np.asarray((values - mean) / np.sqrt(power + _FLOOR**2), np.float32)
    weight = mask.astype(np.float32)
    total = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)
    mean = cv2.GaussianBlur(values * weight, (0, 0), sigma) / total
    detail = (values - mean) * weight
    power = cv2.GaussianBlur(np.square(detail), (0, 0), sigma) / total
    return np.asarray(detail / np.sqrt(power + _FLOOR**2), np.float32)


def refine(candidate: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8], matrix: Matrix) -> Matrix:
    """Make a matrix from candidate to reference pixels exact; gray pictures, uint8 (h, w).

    Return the matrix that was given where the refinement leaves it by more than a few pixels or fails.
    """
    height, width = candidate.shape
    brought_first, inside = brought(reference, matrix, height, width)
    fixed = normalized(candidate, inside)
    gy, gx = (np.asarray(part, np.float32) for part in np.gradient(fixed))
    rows, columns = np.nonzero(_eroded(inside))
    if len(rows) < 256:
        return matrix
    center = np.array([columns.mean(), rows.mean()])
    half = max(1.0, 0.5 * max(height, width))
    x, y = (columns - center[0]) / half, (rows - center[1]) / half
    gx, gy = gx[rows, columns], gy[rows, columns]
    steepest = np.stack([gx * x, gx * y, gx, gy * x, gy * y, gy], axis=1).astype(np.float32)
    normal = np.array([[1 / half, 0, -center[0] / half], [0, 1 / half, -center[1] / half], [0, 0, 1]])
    now, moving = matrix.copy(), brought_first
    for _ in range(_ITERATIONS):
        error = (normalized(moving, inside) - fixed)[rows, columns]
        spread = max(1.4826 * float(np.median(np.abs(error))), 1e-3)
        weight = np.square(np.maximum(1 - np.square(error / (4.685 * spread)), 0)).astype(np.float32)  # Tukey
        weighed = steepest * weight[:, None]
        hessian = (weighed.T @ steepest).astype(np.float64)
        slope = (weighed.T @ error).astype(np.float64)
        try:
            step = np.linalg.solve(hessian + np.eye(6) * 1e-6 * max(np.trace(hessian), 1e-9), slope)
        except np.linalg.LinAlgError:
            return matrix
        # The step is in pixels at distance 1 (half the picture) from the centre.
        warp = np.array([[step[0], step[1], step[2]], [step[3], step[4], step[5]], [0, 0, 0]]) @ normal
        now = now @ np.linalg.inv(np.eye(3) + warp)
        if not np.isfinite(now).all() or _moved(now, matrix, height, width) > 8.0:
            return matrix
        if np.abs(step).max() < _STILL:
            break
        moving, _ = brought(reference, now, height, width)
    return now


def _eroded(inside: Mask) -> Mask:
    import cv2

    kernel = np.ones((5, 5), np.uint8)
    return np.asarray(cv2.erode(inside.astype(np.uint8), kernel, borderValue=0) > 0)


def _moved(now: Matrix, before: Matrix, height: int, width: int) -> float:
    """Candidate pixels by which the corners went."""
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64).T
    try:
        return float(np.abs(np.linalg.inv(before) @ now @ corners - corners)[:2].max())
    except np.linalg.LinAlgError:
        return float("inf")
