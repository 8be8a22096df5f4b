"""Frames of a clip from one still: warped where it moves, the still itself where it does not, and a map of each frame.

Backward warping with float32 coordinates and bicubic interpolation. Where nothing moves and the camera rests, a frame
holds the still's own samples, so that nothing shimmers. Must never set a pixel without saying so in the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.camera import Window
from archive_restore.imaging.eyelids import Patch
from archive_restore.imaging.flags import REACH, spread
from archive_restore.imaging.motion import COARSE
from archive_restore.ports import ClipFrame, ClipFrames, MotionSource, Still
from archive_restore.records.imagery import PixelFlag

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

STRETCHED = 1.25
"""Magnification of the still from which what is between its pixels counts as made up."""
LEAST = 1 / 64
"""Displacement below which a pixel stays, pixels."""
_BAND = 16  # rows of cells that are warped at once
_BLUR = 0.5  # sigma of what takes too fine detail away, pixels of the frame
_MOVED = np.uint8(PixelFlag.MOVED)
_MADE_UP = np.uint8(PixelFlag.MOVED | PixelFlag.SYNTHESIZED)
_RESAMPLED = np.uint8(PixelFlag.RESAMPLED)


def warped_still(still: Still, path: NDArray[np.float64], shape: tuple[int, ...]) -> Still:
    """A still in another frame of `shape` (rows, columns): `path` (3, 3) leads from pixel centres there to its own.

    Every pixel is RESAMPLED, with the flags of all that it may show a part of.
    """
    rows, columns = shape
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(still.samples, path[:2], (columns, rows), flags=how, borderMode=cv2.BORDER_REPLICATE)
    wide = spread(still.flags, REACH)
    flags = cv2.warpAffine(
        wide, path[:2], (columns, rows), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return Still(samples=np.asarray(seen, np.uint8), flags=np.asarray(flags, np.uint8) | _RESAMPLED)


class Clip(ClipFrames):
    """Renders frames of one still."""

    def __init__(
        self,
        still: Bytes,
        flags: Bytes,
        size: tuple[int, int],
        motion: MotionSource | None,
        window: Callable[[int], Window],
        *,
        count: int,
        rate: int,
        loops: bool,
        over: Callable[[int], Sequence[Patch]] | None = None,
    ) -> None:
        """`still`: uint8 (H, W, 3) RGB with its map, uint8 (H, W); `size`: rows and columns of the frames; `motion` is
        given over the still; `window`: where in the still the frame lies at frame n; `over`: what is laid over the
        still in frame n."""
        self._motion, self._window, self._over, self.size = motion, window, over, size
        self.count, self.rate, self.loops = count, rate, loops
        first = window(0)
        scale = first.width / size[1]
        self.geometry = (
            (scale, 0.0, first.left + scale / 2 - 0.5), (0.0, scale, first.top + scale / 2 - 0.5), (0.0, 0.0, 1.0),
        )  # fmt: skip
        # All windows of a path are seen through the same reduction, or sharpness would jump on the way.
        ends = (window(index).width for index in (0, count // 2, count - 1))
        self._still = Reduced(still, flags, max(1, int(min(ends) / size[1])))
        self._resting, self._seen = first, self._still.seen(first, size)

    def frame(self, index: int) -> ClipFrame:
        """See ClipFrames."""
        window, seen = self._window(index), self._seen
        patches = () if self._over is None else self._over(index)
        if patches:
            seen = self._still.with_patches(patches).seen(window, self.size)
        elif window != self._resting:
            seen = self._still.seen(window, self.size)
        flow = None if self._motion is None else in_frame(self._motion.at(index).flow, window, self.size)
        samples, flags = seen.samples.copy(), seen.flags.copy()
        if flow is not None:
            warp(seen, flow, samples, flags)
        if window != self._resting:
            flags |= _MOVED
        return ClipFrame(samples=samples, flags=flags)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A still as it lies in a window of one frame, and where from."""

    samples: Bytes
    """(rows, columns, c), without motion."""
    flags: Bytes
    """(rows, columns): of all pixels of the still that each may show a part of."""
    source: Bytes
    """What samples are interpolated from: (H, W, c), without detail that a frame cannot show."""
    scale: float
    """Pixels of `source` a pixel of the frame."""
    left: float
    """Column of `source` at the middle of the frame's first pixel."""
    top: float
    """Row, likewise."""

    @cached_property
    def carried(self) -> Bytes:
        """Flags that may come to a pixel from around."""
        return spread(self.flags, REACH)


class Reduced:
    """A still, reduced by a whole factor, to be looked at through windows."""

    def __init__(self, still: Bytes, flags: Bytes, factor: int) -> None:
        """`still`: uint8 (H, W, c) with its map, uint8 (H, W)."""
        self._still, self._flags, self._factor = still, flags, factor
        self._wide: dict[int, Bytes] = {}
        if factor == 1:
            self._small = still
            return
        height, width = still.shape[:2]
        over = (-height % factor, -width % factor)
        whole = cv2.copyMakeBorder(still, 0, over[0], 0, over[1], cv2.BORDER_REPLICATE) if any(over) else still
        size = (whole.shape[1] // factor, whole.shape[0] // factor)
        self._small = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)

    def with_patches(self, patches: Sequence[Patch]) -> Reduced:
        """The same with something laid over it."""
        return Reduced(*_laid(self._still, self._flags, patches), self._factor)

    def seen(self, window: Window, size: tuple[int, int]) -> Seen:
        """What a frame of `size` (rows, columns) shows of a window; the still's own samples where they are the same."""
        rows, columns = size
        scale = window.width / columns
        left, top = window.left + scale / 2 - 0.5, window.top + scale / 2 - 0.5
        if scale == 1 and left.is_integer() and top.is_integer():
            part = slice(int(top), int(top) + rows), slice(int(left), int(left) + columns)
            return Seen(
                samples=self._still[part], flags=self._flags[part], source=self._still, scale=1.0, left=left, top=top
            )
        scale, left, top = scale / self._factor, (left + 0.5) / self._factor - 0.5, (top + 0.5) / self._factor - 0.5
        source, (begin_top, begin_left) = _smoothed(self._small, scale, left, top, size)
        left, top = left - begin_left, top - begin_top
        path = np.array([[scale, 0, left], [0, scale, top]], np.float64)
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        made = cv2.warpAffine(source, path, (columns, rows), flags=how, borderMode=cv2.BORDER_REPLICATE)
        flags = self._flags_in(window, size) | _RESAMPLED
        return Seen(samples=np.asarray(made, np.uint8), flags=flags, source=source, scale=scale, left=left, top=top)

    def _flags_in(self, window: Window, size: tuple[int, int]) -> Bytes:
        rows, columns = size
        scale = window.width / columns
        reach = REACH * max(1, int(np.ceil(scale)))  # of bicubic interpolation
        if reach not in self._wide:
            self._wide[reach] = spread(self._flags, reach)
        wide = self._wide[reach]
        x = np.clip(np.rint(window.left + (np.arange(columns) + 0.5) * scale - 0.5), 0, wide.shape[1] - 1)
        y = np.clip(np.rint(window.top + (np.arange(rows) + 0.5) * scale - 0.5), 0, wide.shape[0] - 1)
        return np.asarray(wide[y.astype(int)[:, None], x.astype(int)])


def _smoothed(
    small: Bytes, scale: float, left: float, top: float, size: tuple[int, int]
) -> tuple[Bytes, tuple[int, int]]:
    """The part of a picture that a frame shows, without detail finer than its pixels; with it its first row and column.

    `scale`, below 2 or nearly so: pixels of the picture a pixel of the frame.
    """
    if scale <= 1:
        return small, (0, 0)
    sigma = _BLUR * float(np.sqrt(scale * scale - 1))
    margin = 8 + int(3 * sigma)
    height, width = small.shape[:2]
    begin = max(int(top) - margin, 0), max(int(left) - margin, 0)
    end = min(int(top + scale * size[0]) + margin, height), min(int(left + scale * size[1]) + margin, width)
    part = small[begin[0] : end[0], begin[1] : end[1]]
    return np.asarray(cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8), begin


def in_frame(plane: Floats, window: Window, size: tuple[int, int]) -> Floats:
    """A flow over the still, (rows, columns, 2), as flow over the frame: its place, and its length in pixels there."""
    rows, columns = size
    scale = window.width / columns
    shape = (-(-rows // COARSE), -(-columns // COARSE))
    if scale == 1 and window.left == 0 and window.top == 0 and plane.shape[:2] == shape:
        return plane
    path = np.array([
        [scale, 0, (window.left + 0.5 * COARSE * scale) / COARSE - 0.5],
        [0, scale, (window.top + 0.5 * COARSE * scale) / COARSE - 0.5],
    ])  # fmt: skip
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(plane, path, shape[::-1], flags=how, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(moved / np.float32(scale))


def warp(seen: Seen, flow: Floats, samples: Bytes, flags: Bytes) -> None:
    """Write what moves over a frame and its map: each pixel is interpolated once, from the still.

    `flow`: (rows, columns, 2) of the frame's coarse grid, pixels of the frame; `samples` and `flags` hold the frame
    without motion. Works in bands, so that what a band needs stays in the processor's cache.
    """
    least = np.full(2, LEAST / 2)
    moving = cv2.bitwise_not(cv2.inRange(flow, -least, least))
    if not moving.any():
        return
    # A cell next to one that moves is interpolated from it.
    told = np.asarray(cv2.dilate(moving, np.ones((3, 3), np.uint8)) & _MOVED)
    if _steep(flow):
        told[_stretched(flow) & (told > 0)] = _MADE_UP
    even = bool((seen.flags == seen.flags[0, 0]).all())
    for first in range(0, len(told), _BAND):
        rows = slice(first, min(first + _BAND, len(told)))
        across = np.flatnonzero(told[rows].any(axis=0))
        if across.size:
            _warp_part(seen, flow, told, even, (rows, slice(int(across[0]), int(across[-1]) + 1)), samples,
                       flags)  # fmt: skip


def _warp_part(
    seen: Seen, flow: Floats, told: Bytes, even: bool, cells: tuple[slice, slice], samples: Bytes,
    flags: Bytes,
) -> None:  # fmt: skip
    rows, columns = flags.shape
    part = (
        slice(cells[0].start * COARSE, min(cells[0].stop * COARSE, rows)),
        slice(cells[1].start * COARSE, min(cells[1].stop * COARSE, columns)),
    )
    shape = (part[0].stop - part[0].start, part[1].stop - part[1].start)
    places = _places(flow, cells)
    seen_at = places * np.float32(seen.scale) + np.array([seen.left, seen.top], np.float32)
    made = cv2.remap(seen.source, _fine(seen_at, shape), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    here = cv2.resize(
        told[cells], (COARSE * (cells[1].stop - cells[1].start), COARSE * (cells[0].stop - cells[0].start)),
        interpolation=cv2.INTER_NEAREST,
    )[: shape[0], : shape[1]]  # fmt: skip
    cv2.copyTo(made, here, samples[part])
    if even:
        flags[part] |= here
        return
    brought = cv2.remap(seen.carried, _fine(places, shape), None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    cv2.copyTo(brought | here, here, flags[part])


def _places(flow: Floats, cells: tuple[slice, slice]) -> Floats:
    """Where the cells and a ring of cells around them come from, pixels of the frame: (rows + 2, columns + 2, 2)."""
    down, across = (np.arange(side.start - 1, side.stop + 1) for side in cells)
    inside = np.ix_(np.clip(down, 0, flow.shape[0] - 1), np.clip(across, 0, flow.shape[1] - 1))
    places = flow[inside]
    places[..., 0] += ((across + 0.5) * COARSE - 0.5).astype(np.float32)
    places[..., 1] += ((down + 0.5) * COARSE - 0.5).astype(np.float32)[:, None]
    return places


def _fine(places: Floats, shape: tuple[int, int]) -> Floats:
    """`_places` for each of the pixels of the cells: (h, w, 2)."""
    rows, columns = places.shape[:2]
    fine = cv2.resize(places, (columns * COARSE, rows * COARSE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine[COARSE : COARSE + shape[0], COARSE : COARSE + shape[1]])


def _laid(still: Bytes, flags: Bytes, patches: Sequence[Patch]) -> tuple[Bytes, Bytes]:
    """A still and its map with patches over them; where they overlap, each shows what it changed."""
    samples, made = still.copy(), flags.copy()
    for patch in patches:
        rows, columns = patch.flags.shape
        part = slice(patch.top, patch.top + rows), slice(patch.left, patch.left + columns)
        changed = patch.flags != flags[part]
        samples[part][..., :3][changed] = patch.samples[changed]
        made[part][changed] = patch.flags[changed]
    return samples, made


def _steep(flow: Floats) -> bool:
    """Whether anything may be stretched at all: a bound that costs little."""
    steps = (cv2.norm(flow[1:], flow[:-1], cv2.NORM_INF), cv2.norm(flow[:, 1:], flow[:, :-1], cv2.NORM_INF))
    # No singular value of I + G is below 1 − ‖G‖, nor ‖G‖ above twice its largest entry.
    return 2 * max(steps) / COARSE > 1 - 1 / STRETCHED


def _stretched(flow: Floats) -> NDArray[np.bool_]:
    """Where the still is magnified beyond STRETCHED, or folded: bool (rows, columns), of flow on the coarse grid.

    The backward map has the Jacobian I + ∇flow; what it takes from a smaller part of the still is magnified.
    """
    down, across = (np.asarray(side) for side in np.gradient(flow, COARSE, axis=(0, 1)))
    a, b = 1 + across[..., 0], down[..., 0]
    c, d = across[..., 1], 1 + down[..., 1]
    determinant = a * d - b * c
    norm = a * a + b * b + c * c + d * d
    # Smallest singular value of a 2×2 matrix, from the sum and the product of both squares.
    least = np.sqrt(np.maximum(norm - np.sqrt(np.maximum(norm * norm - 4 * determinant**2, 0)), 0) / 2)
    return np.asarray((determinant <= 0) | (least < 1 / STRETCHED))
