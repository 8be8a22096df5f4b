"""Whether a face seems to wear glasses: an unbroken line across the nose, and one under each eye.

A cue, not knowledge: frames that stand out against the skin are found, rimless glasses and pale wire are not. Told from
drawn frames of five kinds on six faces without any; see docs/explanation/animation.md. Must never be kept of a person.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.faces import Face

Floats = NDArray[np.float32]

LEAST = 0.15
"""Strength of the line across the nose and the weaker one under an eye, together, that is taken for a frame.

Shares of the face's contrast. Measured: faces without glasses 0.03 to 0.10, dark frames 0.20 to 0.60; a face turned
by 29 degrees under hard light 0.19 without any.
"""
_APART, _X, _Y = 96, 72, 64  # distance of the eyes and place of the right one in the level square that is looked at
_SHAPE = (184, 240)
_SCALES = (1.5, 3.0)  # half widths of lines, pixels of that square
_UNBROKEN = 20  # per cent of a line's length that may be weaker than its strength


def wears_glasses(still: NDArray[np.uint8], face: Face) -> bool:
    """Whether a frame shows in the middle of a face; `still`: uint8 (h, w, 3)."""
    return frame_strength(still, face) >= LEAST


def frame_strength(still: NDArray[np.uint8], face: Face) -> float:
    """How strong the lines are that a frame would draw, from 0, as a share of the face's contrast."""
    level = _level(still, face)
    bridge = level[_Y - 30 : _Y + 30, _X + 30 : _X + _APART - 30]
    return _line(bridge) + min(_line(_under(level, x)) for x in (_X, _X + _APART))


def _level(still: NDArray[np.uint8], face: Face) -> Floats:
    """The eyes and what is around them in a level square, luma over the face's contrast."""
    right, left = (
        np.mean([point[:2] for point in eye.contour], axis=0) - 0.5 for eye in (face.right_eye, face.left_eye)
    )
    across = (left - right) / _APART
    matrix = np.array([[across[0], -across[1], 0.0], [across[1], across[0], 0.0]])
    matrix[:, 2] = right - matrix[:, :2] @ [_X, _Y]
    scale = float(np.hypot(*across))
    reach = max(_SHAPE) * scale + 4
    height, width = still.shape[:2]
    left_edge, right_edge = max(int(right[0] - reach), 0), min(int(right[0] + reach) + 1, width)
    top_edge, bottom_edge = max(int(right[1] - reach), 0), min(int(right[1] + reach) + 1, height)
    luma = still[top_edge:bottom_edge, left_edge:right_edge].astype(np.float32).mean(axis=2)
    if scale > 1:
        luma = cv2.GaussianBlur(luma, (0, 0), 0.5 * scale)
    matrix[:, 2] -= [left_edge, top_edge]
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(luma, matrix, _SHAPE[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
    low, high = np.percentile(seen, [5, 95])
    return np.asarray((seen - low) / max(high - low, 1.0), np.float32)


def _under(level: Floats, x: int) -> Floats:
    """Half a ring around the lower half of an eye, unrolled: radius down, angle across."""
    angle, radius = np.radians(np.linspace(155, 25, 66)), np.linspace(14, 46, 64)
    across = x + 1.15 * radius[:, None] * np.cos(angle)
    down = _Y + 0.95 * radius[:, None] * np.sin(angle)
    return np.asarray(
        cv2.remap(
            level, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )  # fmt: skip


def _line(part: Floats) -> float:
    """Strength of the strongest line or edge from the left side of `part` to its right side."""
    strongest = 0.0
    for scale in _SCALES:
        smooth = cv2.GaussianBlur(part, (0, 0), scale)
        ridge = cv2.Sobel(smooth, cv2.CV_32F, 0, 2, ksize=3) * (scale * scale / 4)
        edge = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3) * (scale / 8)
        for response in (ridge, -ridge, edge, -edge):
            strongest = max(strongest, float(np.percentile(_followed(np.asarray(response)), _UNBROKEN)))
    return strongest


def _followed(response: Floats) -> Floats:
    """Responses along the best path across that rises or falls by at most one row a column (dynamic programming)."""
    rows, columns = response.shape
    total, back = response[:, 0].copy(), np.zeros((rows, columns), np.int64)
    never = np.float32(-np.inf)
    for column in range(1, columns):
        from_above, from_below = np.append(never, total[:-1]), np.append(total[1:], never)
        choices = np.stack([from_above, total, from_below])
        best = choices.argmax(axis=0)
        back[:, column] = np.arange(rows) + best - 1
        total = choices.max(axis=0) + response[:, column]
    row, along = int(total.argmax()), np.zeros(columns, np.float32)
    for column in range(columns - 1, -1, -1):
        along[column] = response[row, column]
        row = int(back[row, column])
    return along
