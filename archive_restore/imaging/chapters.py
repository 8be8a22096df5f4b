"""Several pictures of one scene, told in turn: one camera path over all of them, each dissolving into the next.

All stills lie in the same frame, so that a place stays where it is while the picture of it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archive_restore.imaging.camera import Window, eased
from archive_restore.imaging.clip import Clip
from archive_restore.imaging.wipe import blended
from archive_restore.ports import Chapter, ClipFrame, ClipFrames, ClipPart

LONGEST_DISSOLVE = 1.2
"""Seconds."""
_SHARE = 0.35  # of a chapter, that it dissolves into the next


class Chapters(ClipFrames):
    """Frames of chapters, all as long; the last still is the clip's own."""

    moves = False
    loops = False

    def __init__(
        self,
        chapters: Sequence[Chapter],
        size: tuple[int, int],
        window: Callable[[int], Window],
        *,
        count: int,
        rate: int,
    ) -> None:
        """`window`: where in the stills the frame lies at frame n; there are at least as many frames as chapters."""
        self.size, self.count, self.rate = size, count, rate
        self._clips = [
            Clip(c.still.samples, c.still.flags, size, None, window, count=count, rate=rate, loops=False)
            for c in chapters
        ]
        self.geometry = self._clips[-1].geometry
        self._starts = [round(number * count / len(chapters)) for number in range(len(chapters))]
        self._dissolve = max(1, min(round(LONGEST_DISSOLVE * rate), int(_SHARE * count / len(chapters))))
        ends = [*(min(start + self._dissolve, count) for start in self._starts[1:]), count]
        self.parts = tuple(
            ClipPart(start=start, end=end, says=chapter.says, label=chapter.label)
            for chapter, start, end in zip(chapters, self._starts, ends, strict=True)
        )
        self.says = (
            "Shows a photograph and what was made of it, one after another; nothing in it moves but a camera over it."
            if len(chapters) > 1
            else "Shows a picture; nothing in it moves but a camera over it."
        )

    def frame(self, index: int) -> ClipFrame:
        """See ClipFrames."""
        now = max(number for number, start in enumerate(self._starts) if start <= index)
        made = self._clips[now].frame(index)
        share = (index - self._starts[now]) / self._dissolve
        if now == 0 or share >= 1:
            return made
        return blended(self._clips[now - 1].frame(index), made, eased(share))
