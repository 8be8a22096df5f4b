"""Frames of a clip from one still: warped where it moves, the still itself where it does not, and a map of each frame.

Backward warping with float32 coordinates and bicubic interpolation. Where nothing moves and the camera rests, a frame
holds the still's own samples, so that nothing shimmers. Must never set a pixel without saying so in the map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
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
from archive_restore.records.imagery import Geometry, PixelFlag

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

STRETCHED = 1.25
"""Magnification of the still from which what is between its pixels counts as made up."""
LEAST = 1 / 64
"""Displacement below which a pixel stays, pixels."""
_BAND = 16  # rows of cells that are warped at once
_MARGIN = 8  # pixels around a window that are looked at
_LOBES = 3  # of the Lanczos filter that takes too fine detail away
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
        self.geometry = geometry_of(first, size)
        self._still = Reduced.along(still, flags, size, [window(index) for index in (0, count // 2, count - 1)])
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


def geometry_of(window: Window, size: tuple[int, int]) -> Geometry:
    """From pixel centres of a frame of `size` (rows, columns) to those of the still."""
    scale = window.width / size[1]
    return (scale, 0.0, window.left + scale / 2 - 0.5), (0.0, scale, window.top + scale / 2 - 0.5), (0.0, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A still as it lies in a window of one frame, and where from."""

    size: tuple[int, int]
    """Rows and columns of the frame."""
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
    def samples(self) -> Bytes:
        """(rows, columns, c), without motion; the source's own where its pixels are the frame's."""
        rows, columns = self.size
        if self.scale == 1 and self.left.is_integer() and self.top.is_integer():
            return self.source[int(self.top) : int(self.top) + rows, int(self.left) : int(self.left) + columns]
        path = np.array([[self.scale, 0, self.left], [0, self.scale, self.top]], np.float64)
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        made = cv2.warpAffine(self.source, path, (columns, rows), flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(made, np.uint8)

    @cached_property
    def carried(self) -> Bytes:
        """Flags that may come to a pixel from around."""
        return spread(self.flags, REACH)

    @cached_property
    def even(self) -> bool:
        """Whether all flags are the same."""
        return bool((self.flags == self.flags[0, 0]).all())


class Reduced:
    """A still, reduced by a whole factor, to be looked at through windows."""

    def __init__(
        self, still: Bytes, flags: Bytes, factor: int, scale: float | None = None, small: Bytes | None = None
    ) -> None:
        """`still`: uint8 (H, W, c) with its map, uint8 (H, W); `scale`: pixels of the still a pixel of a frame, where
        all windows are alike; `small`: what is seen instead of `reduced(still, factor)`, it may have more channels."""
        self._still, self._flags, self._factor, self._scale = still, flags, factor, scale
        self._wide: dict[int, Bytes] = {}
        self._small = self._smoothed(reduced(still, factor) if small is None else small)

    @classmethod
    def along(cls, still: Bytes, flags: Bytes, size: tuple[int, int], windows: Sequence[Window]) -> Reduced:
        """For some windows of a path: all are seen through the same reduction, or sharpness would jump on the way."""
        scales = [window.width / size[1] for window in windows]
        alike = max(scales) - min(scales) < 1e-9
        return cls(still, flags, whole_factor(min(scales)), scales[0] if alike else None)

    def with_patches(self, patches: Sequence[Patch]) -> Reduced:
        """The same with something laid over it; where patches overlap, each shows what it changed."""
        made, factor, (height, width) = copy(self), self._factor, self._flags.shape
        made._small, made._flags, made._wide = self._small.copy(), self._flags.copy(), {}
        for patch in patches:
            rows, columns = patch.flags.shape
            here = slice(patch.top, patch.top + rows), slice(patch.left, patch.left + columns)
            changed = patch.flags != self._flags[here]
            made._flags[here][changed] = patch.flags[changed]
            first = max(patch.top // factor - _MARGIN, 0), max(patch.left // factor - _MARGIN, 0)
            last = (
                min(-(-(patch.top + rows) // factor) + _MARGIN, -(-height // factor)),
                min(-(-(patch.left + columns) // factor) + _MARGIN, -(-width // factor)),
            )
            around = tuple(slice(low * factor, high * factor) for low, high in zip(first, last, strict=True))
            before = self._still[around]
            after = before.copy()
            part = (
                slice(here[0].start - around[0].start, here[0].stop - around[0].start),
                slice(here[1].start - around[1].start, here[1].stop - around[1].start),
            )
            after[part][changed] = patch.samples[changed]
            old, new = (self._smoothed(reduced(plane, factor)) for plane in (before, after))
            differs = (old != new).any(axis=2)
            made._small[first[0] : last[0], first[1] : last[1], :3][differs] = new[differs]
        return made

    def _smoothed(self, picture: Bytes) -> Bytes:
        return picture if self._scale is None else _smoothed(picture, self._scale / self._factor)

    def seen(self, window: Window, size: tuple[int, int]) -> Seen:
        """What a frame of `size` (rows, columns) shows of a window."""
        rows, columns = size
        scale = window.width / columns
        left, top = window.left + scale / 2 - 0.5, window.top + scale / 2 - 0.5
        if scale == 1 and left.is_integer() and top.is_integer():
            flags = self._flags[int(top) : int(top) + rows, int(left) : int(left) + columns]
            return Seen(size=size, flags=flags, source=self._small, scale=1.0, left=left, top=top)
        flags = self._flags_in(window, size) | _RESAMPLED
        scale, left, top = scale / self._factor, (left + 0.5) / self._factor - 0.5, (top + 0.5) / self._factor - 0.5
        source = self._small
        if self._scale is None and scale > 1:
            height, width = source.shape[:2]
            begin = max(int(top) - _MARGIN, 0), max(int(left) - _MARGIN, 0)
            end = min(int(top + scale * rows) + _MARGIN, height), min(int(left + scale * columns) + _MARGIN, width)
            source = _smoothed(source[begin[0] : end[0], begin[1] : end[1]], scale)
            left, top = left - begin[1], top - begin[0]
        return Seen(size=size, flags=flags, source=source, scale=scale, left=left, top=top)

    def _flags_in(self, window: Window, size: tuple[int, int]) -> Bytes:
        rows, columns = size
        scale = window.width / columns
        filtered = int(_LOBES * scale / self._factor) if scale > self._factor else 0
        reach = self._factor * (REACH + filtered + 1) - 1
        if reach not in self._wide:
            self._wide[reach] = spread(self._flags, reach)
        wide = self._wide[reach]
        x = np.clip(np.rint(window.left + (np.arange(columns) + 0.5) * scale - 0.5), 0, wide.shape[1] - 1)
        y = np.clip(np.rint(window.top + (np.arange(rows) + 0.5) * scale - 0.5), 0, wide.shape[0] - 1)
        return np.asarray(wide[y.astype(int)[:, None], x.astype(int)])


def whole_factor(scale: float) -> int:
    """By what a still can be reduced where a pixel of a frame is at least `scale` of its pixels wide."""
    return max(1, int(scale + 1e-9))


def reduced(still: Bytes, factor: int) -> Bytes:
    """Means of `factor`² pixels: uint8 (⌈H / factor⌉, ⌈W / factor⌉, c)."""
    if factor == 1:
        return still
    over = (-still.shape[0] % factor, -still.shape[1] % factor)
    whole = cv2.copyMakeBorder(still, 0, over[0], 0, over[1], cv2.BORDER_REPLICATE) if any(over) else still
    size = (whole.shape[1] // factor, whole.shape[0] // factor)
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)


def _smoothed(picture: Bytes, scale: float) -> Bytes:
    """A picture without detail finer than a pixel of a frame, which is `scale` of its own wide: about 1 to 2.

    A Lanczos filter: a Gaussian one softens what a frame could show, and more so the more it is reduced.
    """
    if scale <= 1:
        return picture
    reach = int(_LOBES * scale)
    away = np.arange(-reach, reach + 1) / scale
    taps = np.sinc(away) * np.sinc(away / _LOBES)
    taps /= taps.sum()
    return np.asarray(cv2.sepFilter2D(picture, -1, taps, taps, borderType=cv2.BORDER_REPLICATE), np.uint8)


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
    moved = cv2.warpAffine(plane, path, shape[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
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
    places = Places(seen, flow)
    for cells in bands(told):
        part, made = places.sampled(cells)
        here = blown_up(told[cells], made.shape[:2])
        cv2.copyTo(made, here, samples[part])
        if seen.even:
            flags[part] |= here
        else:
            cv2.copyTo(places.flags(cells) | here, here, flags[part])


def bands(cells: Bytes) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of cells, a band at a time, that hold all which are not 0."""
    for first in range(0, len(cells), _BAND):
        rows = slice(first, min(first + _BAND, len(cells)))
        across = np.flatnonzero(cells[rows].any(axis=0))
        if across.size:
            yield rows, slice(int(across[0]), int(across[-1]) + 1)


class Places:
    """Where the pixels of a frame come from."""

    def __init__(self, seen: Seen, flow: Floats) -> None:
        """`flow`: as for `warp`."""
        self._seen = seen
        # A ring of cells around them, so that pixels at the border are interpolated as all others.
        wide = cv2.copyMakeBorder(flow, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        wide[..., 0] += np.arange(-1, wide.shape[1] - 1, dtype=np.float32) * COARSE + np.float32(COARSE / 2 - 0.5)
        wide[..., 1] += np.arange(-1, len(wide) - 1, dtype=np.float32)[:, None] * COARSE + np.float32(COARSE / 2 - 0.5)
        self._in_frame = self._in_source = wide
        if (seen.scale, seen.left, seen.top) != (1, 0, 0):
            self._in_source = wide * np.float32(seen.scale) + np.array([seen.left, seen.top], np.float32)

    def sampled(self, cells: tuple[slice, slice]) -> tuple[tuple[slice, slice], Bytes]:
        """The pixels of some cells, moved: where they lie in the frame, and (h, w, c) of them."""
        part = self._part(cells)
        fine = _fine(self._in_source, cells, part)
        made = cv2.remap(self._seen.source, fine, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return part, np.asarray(made, np.uint8)

    def flags(self, cells: tuple[slice, slice]) -> Bytes:
        """Flags that `sampled` brought along, (h, w)."""
        part = self._part(cells)
        if self._seen.even:
            shape = part[0].stop - part[0].start, part[1].stop - part[1].start
            return np.full(shape, self._seen.flags[0, 0], np.uint8)
        fine = _fine(self._in_frame, cells, part)
        brought = cv2.remap(self._seen.carried, fine, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(brought, np.uint8)

    def _part(self, cells: tuple[slice, slice]) -> tuple[slice, slice]:
        rows, columns = self._seen.size
        return (
            slice(cells[0].start * COARSE, min(cells[0].stop * COARSE, rows)),
            slice(cells[1].start * COARSE, min(cells[1].stop * COARSE, columns)),
        )


def _fine(wide: Floats, cells: tuple[slice, slice], part: tuple[slice, slice]) -> Floats:
    """Values between the middles of cells, for each of the pixels of a part: (h, w, 2)."""
    around = wide[cells[0].start : cells[0].stop + 2, cells[1].start : cells[1].stop + 2]
    size = (around.shape[1] * COARSE, around.shape[0] * COARSE)
    fine = cv2.resize(around, size, interpolation=cv2.INTER_LINEAR)
    rows, columns = part[0].stop - part[0].start, part[1].stop - part[1].start
    return np.asarray(fine[COARSE : COARSE + rows, COARSE : COARSE + columns], np.float32)


def blown_up(cells: Bytes, shape: tuple[int, int]) -> Bytes:
    """Values of cells for each of their pixels, (h, w)."""
    size = (cells.shape[1] * COARSE, cells.shape[0] * COARSE)
    return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST)[: shape[0], : shape[1]])


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
