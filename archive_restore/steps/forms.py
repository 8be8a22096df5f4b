"""Forms of a clip that are told by editing alone: before and after, then and now, a chain of pictures in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.errors import UsageError
from archive_restore.imaging import camera
from archive_restore.imaging.alignment import brought
from archive_restore.imaging.chapters import Chapters
from archive_restore.imaging.clip import Clip
from archive_restore.imaging.wipe import Wipe
from archive_restore.ports import ClipFrame, ClipFrames, Still, StoryContext
from archive_restore.records.imagery import Geometry, PixelFlag
from archive_restore.records.provenance import Json

MOTION, BEFORE_AFTER, THEN_NOW, STORY = "motion", "before-after", "then-vs-now", "story"
RESTING = (BEFORE_AFTER, THEN_NOW)
"""Forms in which not even a camera moves."""
PARAMETERS: Mapping[str, Any] = {
    "form": {
        "enum": [MOTION, BEFORE_AFTER, THEN_NOW, STORY], "default": MOTION,
        "description": "before-after and then-vs-now: nothing moves, the photograph turns into what was made of it, or "
        "into a photograph of today; story: the photograph and all that was made of it, one after another.",
    },
    "transition": {
        "enum": ["wipe", "dissolve"], "default": "wipe",
        "description": "Of before-after and then-vs-now: a line passes, or one dissolves into the other.",
    },
}  # fmt: skip
_LEAST_COMMON = 0.5
"""Share of the frame's width that both pictures must show, or they are not laid over each other."""
_MOST_CUT = 1 / 3
"""Share of a picture that may be cut away so that it fills the frame."""
_GROUND = 24
"""Code value beside a picture that does not fill the frame."""
_PLACED = np.uint8(PixelFlag.HUMAN | PixelFlag.RESAMPLED)

Bytes = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]


def clip(
    still: Still,
    parameters: Mapping[str, Json],
    context: StoryContext,
    *,
    size: tuple[int, int],
    path: Callable[[int], camera.Window],
    count: int,
    rate: int,
    loops: bool,
) -> ClipFrames:
    """Plan a clip in one of these forms; raise UsageError where it cannot be told."""
    form = str(parameters["form"])
    if form == STORY:
        made, window = _story(context, size, path, count, rate), path(0)
    else:
        dissolves = parameters.get("transition", "wipe") == "dissolve"
        how: dict[str, Any] = {"count": count, "rate": rate, "loops": loops, "dissolves": dissolves}
        tell = _before_after if form == BEFORE_AFTER else _then_now
        made, window = tell(still, context, size, path(0), how)
    context.note({
        "frames": count, "rows": size[0], "columns": size[1], "loops": made.loops,
        "scale": round(window.width / size[1], 6),
    })  # fmt: skip
    return made


def _before_after(
    still: Still, context: StoryContext, size: tuple[int, int], window: camera.Window, how: dict[str, Any]
) -> tuple[ClipFrames, camera.Window]:
    if context.earlier is None:
        raise UsageError("there is nothing before it")
    earlier = context.earlier()
    before, after = (_resting(one, size, window) for one in (earlier.still, still))
    made = Wipe(
        before.frame(0), after.frame(0), _room(earlier.words(size), size), **how, geometry=after.geometry,
        says="Shows the photograph as it was digitized, and what was made of it, with "
        + ("one dissolving into the other." if how["dissolves"] else "a line that passes between them."),
        named=("the photograph as digitized", "what was made of it"),
    )  # fmt: skip
    return made, window


def _story(
    context: StoryContext, size: tuple[int, int], path: Callable[[int], camera.Window], count: int, rate: int
) -> ClipFrames:
    if context.chapters is None:
        raise UsageError("there is nothing to tell")
    chapters = context.chapters()
    if count < rate * len(chapters):
        raise UsageError(
            f"{len(chapters)} pictures in {count / rate:g} seconds are gone before anybody has seen them",
            hint=f"Give --seconds {3 * len(chapters)}",
        )
    return Chapters(chapters, size, path, count=count, rate=rate)


def _then_now(
    still: Still, context: StoryContext, size: tuple[int, int], window: camera.Window, how: dict[str, Any]
) -> tuple[ClipFrames, camera.Window]:
    if context.present is None:
        raise UsageError("there is no photograph of today", hint="Give it with --now FILE")
    present = context.present()
    laid = None if present.path is None else _common(window, still.flags.shape, present.path, present.samples.shape)
    if laid is not None and present.path is not None:
        kept = round(laid.width / window.width, 3)
        window = laid
        told = "laid over the photograph by what both show"
        if kept < 1:
            told += f"; what only one of them shows is cut away ({100 * kept:.0f} % of the width is left)"
        path = np.array(present.path) @ _to_picture(window, size)
        samples, _ = brought(present.samples, path, *size)
        note: dict[str, Json] = {"laid_over": True, "kept": kept}
    else:
        samples, cut = _fitted(present.samples, size)
        told = "not laid over the photograph, since too little was found that both show; it is fitted into the frame"
        told += f", and {100 * cut:.0f} % of it is cut away" if cut else ""
        note = {"laid_over": False, "cut": round(cut, 3)}
    context.note({"now": {**present.facts, **note}})
    context.say(f"The picture of today is not the archive's: it was handed in, and {told}.")
    then = _resting(still, size, window)
    now = ClipFrame(samples=np.asarray(samples, np.uint8), flags=np.full(size, _PLACED, np.uint8))
    made = Wipe(
        then.frame(0), now, _room(present.words(size), size), **how, geometry=then.geometry,
        says="Shows the photograph, and beside it one of today that was handed in, with "
        + ("one dissolving into the other." if how["dissolves"] else "a line that passes between them."),
        named=("the photograph", f"a photograph of today that was handed in ({present.name})"),
    )  # fmt: skip
    return made, window


def _resting(still: Still, size: tuple[int, int], window: camera.Window) -> Clip:
    return Clip(still.samples, still.flags, size, None, lambda index: window, count=1, rate=1, loops=True)


def _room(words: tuple[Bytes, Bytes], size: tuple[int, int]) -> tuple[Bytes, Bytes]:
    if any(2 * band.shape[0] > size[0] or 2 * band.shape[1] > size[1] for band in words):
        raise UsageError("the frames have no room for words on both sides", hint="Choose another --size")
    return words


def _to_picture(window: camera.Window, size: tuple[int, int]) -> Matrix:
    """From pixel centres of a frame to those of the picture in which `window` lies."""
    scale = window.width / size[1]
    return np.array([
        [scale, 0, window.left + scale / 2 - 0.5], [0, scale, window.top + scale / 2 - 0.5], [0, 0, 1],
    ])  # fmt: skip


def _common(
    window: camera.Window, picture: tuple[int, ...], path: Geometry, other: tuple[int, ...]
) -> camera.Window | None:
    """The largest window with the aspect of `window`, about its place, that lies in both pictures; None if too small.

    `path` leads from pixel centres of the first picture, (rows, columns), to those of the other.
    """
    matrix = np.array(path)

    def inside(tried: camera.Window) -> bool:
        right, bottom = tried.left + tried.width, tried.top + tried.height
        corners = np.array([[x - 0.5, y - 0.5, 1] for x in (tried.left, right) for y in (tried.top, bottom)])
        x, y = (matrix @ corners.T)[:2]
        return bool(
            (x >= -0.5).all() and (y >= -0.5).all() and (x <= other[1] - 0.5).all() and (y <= other[0] - 0.5).all()
        )

    middle = np.linalg.inv(matrix) @ np.array([other[1] / 2, other[0] / 2, 1])
    for share in np.arange(1.0, _LEAST_COMMON - 1e-9, -0.02):
        small = camera.scaled(window, float(share), (picture[0], picture[1]))
        # From where the frame was to be, step by step to the middle of the other picture.
        for towards in np.linspace(0, 1, 9):
            across = towards * (middle[0] - (small.left + small.width / 2))
            down = towards * (middle[1] - (small.top + small.height / 2))
            moved = camera.placed(small, float(across), float(down), (picture[0], picture[1]))
            if inside(moved):
                return moved
    return None


def _fitted(samples: Bytes, size: tuple[int, int]) -> tuple[Bytes, float]:
    """A picture that fills the frame, and the share of it that is cut; one that would lose too much gets a ground."""
    height, width = samples.shape[:2]
    aspect = size[1] / size[0]
    window = camera.fitted((height, width), aspect)
    cut = 1 - window.width * window.height / (width * height)
    if cut > _MOST_CUT:
        across, down = (round(height * aspect), height) if width / height < aspect else (width, round(width / aspect))
        sides = ((down - height) // 2, (across - width) // 2)
        ends = (down - height - sides[0], across - width - sides[1])
        samples = np.pad(samples, ((sides[0], ends[0]), (sides[1], ends[1]), (0, 0)), constant_values=_GROUND)
        window, cut = camera.fitted(samples.shape[:2], aspect), 0.0
    made, _ = brought(samples, _to_picture(window, size), *size)
    return np.asarray(made, np.uint8), cut
