"""Breath: heads, shoulders and chests sway by less than a pixel, and come back to where they were.

Every sway counts whole periods of the clip and begins at rest, so that a loop closes and a clip that eases begins and
ends with the still. Must never change what a face says: a whole head moves, nothing in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.faces import Face
from archive_restore.imaging.motion import COARSE, REST
from archive_restore.ports import MotionFrame, MotionSource

Floats = NDArray[np.float32]

BREATH = "breath"
"""The kind of what this moves."""
SHARE = 0.0005
"""Largest displacement, share of the frame's width."""
MOST = 0.9
"""Largest displacement, pixels of the frame."""
_BREATH = 4.0  # seconds, somebody at rest
_SWAY = 0.4  # to a side, share of the rise
_HEAD = 0.6  # of the shoulders' rise
_SHOULDERS = (2.4, 1.05)  # width, and depth of their line below the middle of the face, heights of the face
_CHEST = (1.8, 3.2)  # below the middle of the face, where motion begins to fade and where it ends, heights of the face


class Breathing(MotionSource):
    """Each person breathes at a pace of their own, which a seed decides."""

    def __init__(
        self, shape: tuple[int, int], faces: Sequence[Face], amplitude: float, *, frames: int, rate: float, seed: int,
        loops: bool,
    ) -> None:  # fmt: skip
        """`shape`: rows and columns of the still; `amplitude`: the largest displacement, pixels of the still."""
        self._frames, self._turn = frames, frames if loops else frames - 1
        grid = (-(-shape[0] // COARSE), -(-shape[1] // COARSE))
        rng = np.random.Generator(np.random.Philox(key=np.array([seed & (2**64 - 1), 0xB4EA], np.uint64)))
        seconds = frames / rate
        self._people: list[tuple[Floats, Floats, int, int]] = []
        taken = np.zeros(grid, np.float32)
        for face in faces:
            breaths = max(1, round(seconds / _BREATH * float(rng.uniform(0.85, 1.15))))
            sways = max(1, round(breaths * 0.6))
            side = 1.0 if rng.uniform() < 0.5 else -1.0
            head, body = _places(face, grid)
            free = 1 - taken
            taken = np.maximum(taken, np.maximum(head, body))
            unit = np.float32(amplitude / np.hypot(1, _SWAY))
            rise = np.maximum(head * np.float32(_HEAD), body) * free * unit
            sway = np.maximum(head, body * np.float32(0.5)) * free * unit * np.float32(_SWAY * side)
            self._people.append((rise, sway, breaths, sways))
        self._alpha, self._grid = taken, grid

    @property
    def frames(self) -> int:
        """See MotionSource."""
        return self._frames

    @property
    def kinds(self) -> tuple[str, ...]:
        """See MotionSource."""
        return (REST, BREATH)

    def at(self, frame: int) -> MotionFrame:
        """See MotionSource."""
        found = np.zeros((*self._grid, 2), np.float32)
        for rise, sway, breaths, sways in self._people:
            found[..., 0] += sway * self._risen(frame, sways)
            found[..., 1] += rise * self._risen(frame, breaths)
        return MotionFrame(flow=found, alpha=self._alpha, kind=(self._alpha > 0).astype(np.uint8))

    def _risen(self, frame: int, periods: int) -> np.float32:
        """0 at rest to 1; whole turns are counted in whole numbers, so that a loop closes."""
        turn = frame * periods % self._turn
        return np.float32((1 - np.cos(2 * np.pi * turn / self._turn)) / 2)


def _places(face: Face, grid: tuple[int, int]) -> tuple[Floats, Floats]:
    """Where a head lies, and where shoulders and chest, 0..1 with wide soft borders, float32 (rows, columns)."""
    mesh = np.array(face.mesh)[:, :2] / COARSE
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    (x, y), (wide, high_) = (low + high) / 2, high - low
    soft = max(0.22 * high_, 1.0)
    head = np.zeros(grid, np.uint8)
    cv2.ellipse(head, _fixed(x, y - 0.12 * high_), _fixed(0.72 * wide, 0.85 * high_), 0, 0, 360, 255, -1, cv2.LINE_8, 4)
    body = np.zeros(grid, np.uint8)
    half, line = _SHOULDERS[0] * high_ / 2, y + _SHOULDERS[1] * high_
    bottom = y + _CHEST[1] * high_
    corners = [
        (x - 0.4 * wide, line - 0.35 * high_), (x + 0.4 * wide, line - 0.35 * high_), (x + half, line + 0.3 * high_),
        (x + half, bottom), (x - half, bottom), (x - half, line + 0.3 * high_),
    ]  # fmt: skip
    cv2.fillPoly(body, [np.array([_fixed(*corner) for corner in corners], np.int32)], 255, cv2.LINE_8, 4)
    below = (np.arange(grid[0], dtype=np.float32)[:, None] - np.float32(y)) / np.float32(high_)
    fading = np.clip((_CHEST[1] - below) / (_CHEST[1] - _CHEST[0]), 0, 1)
    fading = fading * fading * (3 - 2 * fading)
    return _softened(head, soft), np.asarray(_softened(body, soft) * fading, np.float32)


def _fixed(x: float, y: float) -> tuple[int, int]:
    """Coordinates as OpenCV's drawing takes them with four bits after the point."""
    return round(x * 16), round(y * 16)


def _softened(plane: NDArray[np.uint8], soft: float) -> Floats:
    """A plane with a border of about `soft` cells; nothing moves outside of it."""
    blurred = cv2.GaussianBlur(plane.astype(np.float32) / 255, (0, 0), soft / 2, borderType=cv2.BORDER_REPLICATE)
    share = np.clip((blurred - 0.02) / 0.98, 0, 1)
    return np.asarray(share, np.float32)
