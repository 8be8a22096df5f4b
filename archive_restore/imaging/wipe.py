"""Before and after: a line passes over the picture, on its left what was before, on its right what was made of it.

Nothing moves and nothing is made up: every sample is one of the two pictures', but for the line and the words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.camera import Window, eased
from archive_restore.imaging.clip import Clip
from archive_restore.ports import ClipFrame, ClipFrames, Still
from archive_restore.records.imagery import PixelFlag

Bytes = NDArray[np.uint8]

_HUMAN = np.uint8(PixelFlag.HUMAN)
_LOOPED = (0.15, 0.45, 0.7)
"""Shares of a loop at which the line sets out, arrives, and sets out for where it came from."""
_ONCE = (0.2, 0.75)


class Wipe(ClipFrames):
    """Frames of two stills in the same frame."""

    moves = False
    says = "Shows the photograph as it was digitized, and what was made of it, with a line that passes between them."

    def __init__(
        self,
        before: Still,
        after: Still,
        words: tuple[Bytes, Bytes],
        size: tuple[int, int],
        window: Window,
        *,
        count: int,
        rate: int,
        loops: bool,
    ) -> None:
        """Both stills have the same size; `words`: bands that say what each is, uint8 (h, w, 3), smaller than half of a
        frame; `window`: where in the stills the frame lies."""
        self.size, self.count, self.rate, self.loops = size, count, rate, loops
        seen = [
            Clip(still.samples, still.flags, size, None, lambda index: window, count=count, rate=rate, loops=loops)
            for still in (before, after)
        ]
        self.geometry = seen[1].geometry
        self._before = _worded(seen[0].frame(0), words[0], right=False)
        self._after = _worded(seen[1].frame(0), words[1], right=True)
        self._thick = max(2, size[1] // 400)

    def frame(self, index: int) -> ClipFrame:
        """See ClipFrames."""
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


def _worded(frame: ClipFrame, words: Bytes, *, right: bool) -> ClipFrame:
    samples, flags = frame.samples.copy(), frame.flags.copy()
    tall, wide = words.shape[:2]
    across = slice(samples.shape[1] - wide, None) if right else slice(0, wide)
    samples[:tall, across], flags[:tall, across] = words, _HUMAN
    return ClipFrame(samples=samples, flags=flags)
