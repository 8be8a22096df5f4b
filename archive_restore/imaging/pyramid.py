"""A picture at half, a quarter, an eighth of its size…, made from bands of rows in memory that does not grow with it.

Every level is given out in bands of the height of a tile, the last one shorter. Pictures are averaged; the flags of a
synthesis map are OR-ed, so that no level hides what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Halve = Callable[[Bytes], Bytes]


class Pyramid:
    """Takes rows from the top, calls `out(level, number, band)` for each band of each level; level 0 is full size."""

    def __init__(self, levels: int, edge: int, out: Callable[[int, int, Bytes], None], halve: Halve) -> None:
        """`edge` is the height of the bands, an even number of rows."""
        self._edge, self._out, self._halve = edge, out, halve
        self._waiting: list[list[Bytes]] = [[] for _ in range(levels)]
        self._numbers = [0] * levels

    def add(self, rows: Bytes) -> None:
        """The next rows of the full size: uint8 (n, width, samples)."""
        self._take(0, rows)

    def finish(self) -> None:
        """Give out what is left; call once, when all rows came."""
        for level, waiting in enumerate(self._waiting):
            if waiting:
                self._waiting[level] = []
                self._band(level, np.concatenate(waiting))

    def _take(self, level: int, rows: Bytes) -> None:
        waiting = self._waiting[level]
        gathered = sum(len(part) for part in waiting)
        while len(rows):
            part = rows[: self._edge - gathered]
            # A copy, where it has to wait: the caller may reuse its rows.
            waiting.append(part if len(part) == self._edge else part.copy())
            gathered += len(part)
            rows = rows[len(part) :]
            if gathered == self._edge:
                self._waiting[level] = []
                self._band(level, waiting[0] if len(waiting) == 1 else np.concatenate(waiting))
                waiting, gathered = self._waiting[level], 0

    def _band(self, level: int, band: Bytes) -> None:
        self._out(level, self._numbers[level], band)
        self._numbers[level] += 1
        if level + 1 < len(self._waiting):
            self._take(level + 1, self._halve(band))


def averaged(band: Bytes) -> Bytes:
    """Half the size, rounded up, each pixel the mean of four; the last row or column of an odd size counts twice."""
    top, bottom = _pairs(band, 0)
    left, right = _pairs(top.astype(np.uint16) + bottom, 1)
    return np.asarray((left + right + 2) >> 2, np.uint8)


def united(band: Bytes) -> Bytes:
    """Half the size, rounded up, each pixel the OR of four flags."""
    top, bottom = _pairs(band, 0)
    left, right = _pairs(top | bottom, 1)
    return np.asarray(left | right)


def in_part(flags: Sequence[int]) -> Halve:
    """Halve an array whose samples at `flags` are flags and whose others are colours."""

    def halve(band: Bytes) -> Bytes:
        half = averaged(band)
        half[:, :, list(flags)] = united(band[:, :, list(flags)])
        return half

    return halve


def _pairs(values: npt.NDArray[np.unsignedinteger], axis: int) -> tuple[npt.NDArray[np.unsignedinteger], ...]:
    """Even and odd rows (axis 0) or columns (axis 1); an odd count repeats the last one."""
    even = values[::2] if axis == 0 else values[:, ::2]
    odd = values[1::2] if axis == 0 else values[:, 1::2]
    if odd.shape[axis] < even.shape[axis]:
        last = even[-1:] if axis == 0 else even[:, -1:]
        odd = np.concatenate([odd, last], axis=axis)
    return even, odd
