"""A sheet of marks of one class and polarity: paths and polygons collected first, drawn together, strongest on top.

Drawn at four times the size and reduced, so that a hairline of 0.7 px has the coverage that a scanner would see.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.simulator.noise import Path, Plane

SUB = 4
"""Sub-pixels a pixel, each way."""
WIDEST = 48.0
"""Widest stroke in px."""
FAINTEST = 0.05
"""Coverage times opacity of a mark below which nobody sees it: it need not be drawn."""
_SHIFT = 4  # fixed-point bits of cv2's drawing
_THINNEST = 0.75  # px: three sub-pixels; a thinner stroke is drawn so wide and proportionally fainter
_FINE = 9  # sub-pixels up to which a stroke that is drawn too wide is made fainter instead
_BAND = 256  # rows drawn at a time, which bounds memory


class Sheet:
    """Marks to be drawn on a picture of `height` x `width` px; x to the right, y down, (0, 0) the outer corner."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._segments: list[NDArray[np.float64]] = []  # rows: x0 y0 x1 y1 width opacity
        self._polygons: list[tuple[Path, float]] = []

    def __bool__(self) -> bool:
        return bool(self._segments or self._polygons)

    def path(self, points: Path, widths: Path | float, opacity: Path | float) -> None:
        """A stroke through `points` (n, 2) px; widths in px and opacities in [0, 1] a point or for all."""
        count = len(points)
        if count < 2:
            return
        rows = np.empty((count - 1, 6))
        rows[:, 0:2] = points[:-1]
        rows[:, 2:4] = points[1:]
        rows[:, 4] = widths if np.isscalar(widths) else np.asarray(widths)[:-1]
        rows[:, 5] = opacity if np.isscalar(opacity) else np.asarray(opacity)[:-1]
        self._segments.append(rows)

    def paths(self, points: NDArray[np.float64], widths: NDArray[np.float64], opacity: NDArray[np.float64]) -> None:
        """Many strokes of the same number of points: (m, n, 2) px, widths and opacities (m, n) or (m, 1)."""
        many, count = points.shape[:2]
        rows = np.empty((many, count - 1, 6))
        rows[:, :, 0:2] = points[:, :-1]
        rows[:, :, 2:4] = points[:, 1:]
        rows[:, :, 4] = np.broadcast_to(widths, (many, count))[:, :-1]
        rows[:, :, 5] = np.broadcast_to(opacity, (many, count))[:, :-1]
        self._segments.append(rows.reshape(-1, 6))

    def polygon(self, points: Path, opacity: float) -> None:
        """A filled outline (n, 2) px."""
        self._polygons.append((points, opacity))

    def shifted(self, by: Path) -> Sheet:
        """A copy with everything moved by (2,) px."""
        copy = Sheet(self.height, self.width)
        copy._segments = [rows + np.array([by[0], by[1], by[0], by[1], 0, 0]) for rows in self._segments]
        copy._polygons = [(points + by, opacity) for points, opacity in self._polygons]
        return copy

    def render(self) -> tuple[Plane, tuple[slice, slice]] | None:
        """Coverage times opacity, float32 in [0, 1], and the window of the picture it covers; None when empty."""
        lines, shapes = self._gathered(), self._seen_polygons()
        boxes = [_line_boxes(lines)] if len(lines) else []
        if shapes:
            boxes.append(np.array([[*p.min(0), *p.max(0)] for p, _ in shapes]))
        if not boxes:
            return None
        box = np.concatenate(boxes)
        pad = 6.0  # room for the blur that follows
        x0, y0 = np.maximum(np.floor(box[:, :2].min(0) - pad), 0).astype(int)
        x1 = min(int(np.ceil(box[:, 2].max() + pad)), self.width)
        y1 = min(int(np.ceil(box[:, 3].max() + pad)), self.height)
        if x1 <= x0 or y1 <= y0:
            return None
        out = np.empty((y1 - y0, x1 - x0), np.float32)
        for top in range(y0, y1, _BAND):
            bottom = min(top + _BAND, y1)
            out[top - y0 : bottom - y0] = self._band(lines, shapes, x0, x1, top, bottom)
        return out, (slice(y0, y1), slice(x0, x1))

    def _gathered(self) -> NDArray[np.float64]:
        if not self._segments:
            return np.empty((0, 6))
        rows = np.concatenate(self._segments)
        rows[:, 5] *= np.minimum(rows[:, 4] / _THINNEST, 1.0)
        rows[:, 4] = np.clip(rows[:, 4], _THINNEST, WIDEST)
        box = _line_boxes(rows)
        keep = (box[:, 2] > 0) & (box[:, 3] > 0) & (box[:, 0] < self.width) & (box[:, 1] < self.height)
        keep &= rows[:, 5] > 1 / 128
        rows = rows[keep]
        return rows[np.argsort(rows[:, 5], kind="stable")]

    def _seen_polygons(self) -> list[tuple[Path, float]]:
        if not self._polygons:
            return []
        counts = [len(points) for points, _ in self._polygons]
        every = np.concatenate([points for points, _ in self._polygons])
        first = np.cumsum([0, *counts[:-1]])
        high, low = np.maximum.reduceat(every, first), np.minimum.reduceat(every, first)
        seen = (high > 0).all(1) & (low < np.array([self.width, self.height])).all(1)
        return sorted((self._polygons[k] for k in np.nonzero(seen)[0]), key=lambda shape: shape[1])

    @staticmethod
    def _band(
        lines: NDArray[np.float64], shapes: list[tuple[Path, float]], x0: int, x1: int, top: int, bottom: int
    ) -> Plane:
        if len(lines):
            box = _line_boxes(lines)
            lines = lines[(box[:, 3] >= top) & (box[:, 1] <= bottom)]
        canvas = np.zeros(((bottom - top) * SUB, (x1 - x0) * SUB), np.uint8)
        fixed = SUB << _SHIFT
        ends = np.rint((lines[:, :4] - [x0, top, x0, top]) * fixed - (1 << (_SHIFT - 1))).astype(np.int64)
        # cv2.line knows odd widths only (measured): 2k for 2k + 1.
        wanted = lines[:, 4] * SUB
        fine = np.ceil((wanted - 1) / 2 - 1e-6) * 2 + 1
        odd = np.where(wanted < _FINE, fine, np.rint((wanted - 1) / 2) * 2 + 1)
        thick = np.maximum(odd - 1, 1).astype(np.int64).tolist()
        share = np.where(wanted < _FINE, np.minimum(wanted / odd, 1.0), 1.0)
        value = np.rint(np.minimum(lines[:, 5], 1.0) * share * 255).astype(np.int64).tolist()
        line = cv2.line
        jobs: Iterable[tuple[list[int], int, int]] = zip(ends.tolist(), thick, value, strict=True)
        later = [
            (np.rint((p - [x0, top]) * fixed - (1 << (_SHIFT - 1))).astype(np.int32), round(min(v, 1.0) * 255))
            for p, v in shapes
            if p[:, 1].max() >= top and p[:, 1].min() <= bottom
        ]
        # Strongest last, so that crossings show the stronger of both.
        for (ax, ay, bx, by), thickness, shade in jobs:
            while later and later[0][1] < shade:
                points, v = later.pop(0)
                cv2.fillPoly(canvas, [points], v, cv2.LINE_8, _SHIFT)
            line(canvas, (ax, ay), (bx, by), shade, thickness, cv2.LINE_8, _SHIFT)
        for points, v in later:
            cv2.fillPoly(canvas, [points], v, cv2.LINE_8, _SHIFT)
        small = cv2.resize(canvas, (x1 - x0, bottom - top), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32) * np.float32(1 / 255)


def _line_boxes(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bounding boxes x0 y0 x1 y1 of segments, with their width."""
    half = rows[:, 4:5] / 2
    return np.concatenate(
        [np.minimum(rows[:, 0:2], rows[:, 2:4]) - half, np.maximum(rows[:, 0:2], rows[:, 2:4]) + half], axis=1
    )
