"""Bars of one tone around a picture: letterbox, passe-partout, the margin of a page."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archive_restore.records.imagery import Region

_EVEN = 3.0
"""Standard deviation, in code values, up to which a line is of one tone."""
_SAME = 6.0
"""Code values by which the tone may change from line to line of one bar."""
_LEAST = 0.25
"""Share of an edge that stays at least."""


def trimmed(gray: npt.NDArray[np.uint8]) -> Region:
    """What is left of a gray picture, uint8 (h, w), without its bars; all of it where there are none."""
    top, bottom = _span(gray)
    left, right = _span(gray[top:bottom].T)
    return Region(top=top, left=left, bottom=bottom, right=right)


def _span(lines: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """First and last line of what is no bar."""
    values = lines.astype(np.float32)
    even = values.std(axis=1) < _EVEN
    tone = values.mean(axis=1)
    first, last = 0, len(lines)
    while first < last and even[first] and abs(tone[first] - tone[0]) < _SAME:
        first += 1
    while last > first and even[last - 1] and abs(tone[last - 1] - tone[-1]) < _SAME:
        last -= 1
    return (first, last) if last - first >= _LEAST * len(lines) else (0, len(lines))
