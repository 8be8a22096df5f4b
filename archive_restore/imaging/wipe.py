"""Two pictures in one frame: a line passes from one to the other, or one dissolves into the other.

Nothing moves and nothing is made up: every sample is one of the two pictures', a recorded mixture of both, or belongs
to the line and the words.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.camera import eased
from archive_restore.ports import ClipFrame, ClipFrames, ClipPart
from archive_restore.records.imagery import Geometry, PixelFlag

Bytes = NDArray[np.uint8]

_HUMAN, _FILTERED = np.uint8(PixelFlag.HUMAN), np.uint8(PixelFlag.FILTERED)
_LOOPED = (0.15, 0.45, 0.7)
"""Shares of a loop at which the line sets out, arrives, and sets out for where it came from."""
_ONCE = (0.2, 0.75)


class Wipe(ClipFrames):
    """Frames of two pictures of which each fills the frame."""

    moves = False

    def __init__(
        self,
        before: ClipFrame,
        after: ClipFrame,
        words: tuple[Bytes, Bytes],
        *,
        count: int,
        rate: int,
        loops: bool,
        geometry: Geometry,
        says: str,
        named: tuple[str, str],
        dissolves: bool = False,
    ) -> None:
        """`words`: bands that say what each is, uint8 (h, w, 3), smaller than half of a frame; `geometry`: from the
        frame to the still; `says`: what was done; `named`: what each is, in words for the disclosure sheet."""
        rows, columns = before.flags.shape
        self.size, self.count, self.rate, self.loops = (rows, columns), count, rate, loops
        self.geometry, self.says = geometry, says
        self._before, self._after = _worded(before, words[0], right=False), _worded(after, words[1], right=True)
        self._thick, self._dissolves = max(2, columns // 400), dissolves
        self.parts = tuple(self._parts(named))

    def frame(self, index: int) -> ClipFrame:
        """See ClipFrames."""
        if self._dissolves:
            made = blended(self._before, self._after, self._passed(index))
            return ClipFrame(samples=made.samples.copy(), flags=made.flags.copy())
        columns = self.size[1]
        at = round(columns * (1 - self._passed(index)))
        samples, flags = self._after.samples.copy(), self._after.flags.copy()
        samples[:, :at] = self._before.samples[:, :at]
        flags[:, :at] = self._before.flags[:, :at]
        if 0 < at < columns:
            line = slice(max(at - self._thick // 2, 0), at - self._thick // 2 + self._thick)
            samples[:, line], flags[:, line] = 255, _HUMAN
        return ClipFrame(samples=samples, flags=flags)

    def _passed(self, index: int) -> float:
        """0: all of it is before; 1: all after."""
        if not self.loops:
            start, end = _ONCE
            return eased((index / (self.count - 1) - start) / (end - start))
        out, there, back = _LOOPED
        share = index / self.count
        if share < back:
            return eased((share - out) / (there - out))
        return 1 - eased((share - back) / (1 - back))

    def _parts(self, named: tuple[str, str]) -> list[ClipPart]:
        """When the one is seen, when the other, and when both."""
        both = " and ".join(named) + (", one dissolving into the other" if self._dissolves else ", with a line between")
        words = {0.0: named[0], 1.0: named[1]}
        says = [words.get(self._passed(index), both) for index in range(self.count)]
        starts = [index for index in range(self.count) if index == 0 or says[index] != says[index - 1]]
        ends = [*starts[1:], self.count]
        return [ClipPart(start=start, end=end, says=says[start]) for start, end in zip(starts, ends, strict=True)]


def blended(one: ClipFrame, other: ClipFrame, share: float) -> ClipFrame:
    """`one`, and with `share` 0..1 more and more `other`.

    A pixel whose samples and flags are the same in both keeps both; any other has the flags of both, and FILTERED.
    """
    if share <= 0 or share >= 1:
        only = one if share <= 0 else other
        return ClipFrame(samples=only.samples.copy(), flags=only.flags.copy())
    samples = np.asarray(cv2.addWeighted(one.samples, 1 - share, other.samples, share, 0), np.uint8)
    apart = (one.samples != other.samples).any(axis=2) | (one.flags != other.flags)
    flags = np.where(apart, one.flags | other.flags | _FILTERED, one.flags)
    return ClipFrame(samples=samples, flags=flags)


def _worded(frame: ClipFrame, words: Bytes, *, right: bool) -> ClipFrame:
    samples, flags = frame.samples.copy(), frame.flags.copy()
    tall, wide = words.shape[:2]
    across = slice(samples.shape[1] - wide, None) if right else slice(0, wide)
    samples[:tall, across], flags[:tall, across] = words, _HUMAN
    return ClipFrame(samples=samples, flags=flags)
