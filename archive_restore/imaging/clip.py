"""Frames of a clip from one still: warped where it moves, the still itself where it does not, and a map of each frame.

Backward warping with float32 coordinates and bicubic interpolation. Where nothing moves and the camera rests, a frame
holds the still's own samples, so that nothing shimmers. Must never set a pixel without saying so in the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
        scale, begin = window(0).width / size[1], window(0)
        self.geometry = (
            (scale, 0.0, begin.left + scale / 2 - 0.5), (0.0, scale, begin.top + scale / 2 - 0.5), (0.0, 0.0, 1.0),
        )  # fmt: skip
        self._still = ClipFrame(samples=still, flags=flags)
        first = window(0)
        self._resting = first
        self._base = self._view(first, self._still)
        self._base_spread = spread(self._base.flags, REACH)
        y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
        self._x, self._y = x, y

    def frame(self, index: int) -> ClipFrame:
        """See ClipFrames."""
        window = self._window(index)
        base = self._base
        patches = () if self._over is None else self._over(index)
        if window != self._resting or patches:
            base = self._view(window, _laid(self._still, patches))
        if window != self._resting:
            base = ClipFrame(samples=base.samples, flags=base.flags | _MOVED)
        if self._motion is None:
            return base
        return self._warped(base, window, self._motion.at(index).flow)

    def _view(self, window: Window, still: ClipFrame) -> ClipFrame:
        """A still as it lies in a window, without motion."""
        rows, columns = self.size
        scale = window.width / columns
        if scale == 1 and float(window.left).is_integer() and float(window.top).is_integer():
            top, left = int(window.top), int(window.left)
            part = slice(top, top + rows), slice(left, left + columns)
            return ClipFrame(samples=still.samples[part], flags=still.flags[part])
        to_still = np.array(
            [[scale, 0, window.left + scale / 2 - 0.5], [0, scale, window.top + scale / 2 - 0.5]], np.float64
        )
        source, reduced = _prefiltered(still.samples, scale)
        to_still[:, 2] = (to_still[:, 2] + 0.5) * reduced - 0.5
        to_still[:, :2] *= reduced
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(source, to_still, (columns, rows), flags=how, borderMode=cv2.BORDER_REPLICATE)
        return ClipFrame(
            samples=np.asarray(seen, np.uint8), flags=self._view_of_flags(window, still.flags) | _RESAMPLED
        )

    def _view_of_flags(self, window: Window, flags: Bytes) -> Bytes:
        """Each pixel with the flags of all pixels of the still that it may show a part of."""
        rows, columns = self.size
        reach = 2 * max(1, int(np.ceil(window.width / columns)))  # of bicubic interpolation
        wide = spread(flags, reach)
        scale = window.width / columns
        x = np.clip(np.rint(window.left + (np.arange(columns) + 0.5) * scale - 0.5), 0, wide.shape[1] - 1)
        y = np.clip(np.rint(window.top + (np.arange(rows) + 0.5) * scale - 0.5), 0, wide.shape[0] - 1)
        return np.asarray(wide[y.astype(int)[:, None], x.astype(int)])

    def _warped(self, base: ClipFrame, window: Window, flow: Floats) -> ClipFrame:
        rows, columns = self.size
        scale = window.width / columns
        coarse = self._in_frame(flow, window)
        moving = np.abs(coarse).max(axis=2) >= LEAST / 2
        if not moving.any():
            return base
        down, across = (np.flatnonzero(moving.any(axis=axis)) for axis in (1, 0))
        cells = (
            slice(max(down[0] - 1, 0), min(down[-1] + 2, coarse.shape[0])),
            slice(max(across[0] - 1, 0), min(across[-1] + 2, coarse.shape[1])),
        )
        part = (
            slice(cells[0].start * COARSE, min(cells[0].stop * COARSE, rows)),
            slice(cells[1].start * COARSE, min(cells[1].stop * COARSE, columns)),
        )
        small = np.ascontiguousarray(coarse[cells])
        shape = (part[0].stop - part[0].start, part[1].stop - part[1].start)
        fine = cv2.resize(small, (small.shape[1] * COARSE, small.shape[0] * COARSE), interpolation=cv2.INTER_LINEAR)
        dx, dy = fine[: shape[0], : shape[1], 0], fine[: shape[0], : shape[1], 1]
        seen = cv2.remap(
            base.samples, self._x[part] + dx, self._y[part] + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        stays = (np.abs(dx) < LEAST) & (np.abs(dy) < LEAST)
        samples, flags = base.samples.copy(), base.flags.copy()
        still = samples[part]
        samples[part] = np.where(stays[..., None], still, seen)
        made_up = cv2.resize(
            _stretched(small).astype(np.uint8), (fine.shape[1], fine.shape[0]), interpolation=cv2.INTER_NEAREST
        )[: shape[0], : shape[1]]
        carried = self._base_spread if base is self._base else spread(base.flags, REACH)
        here = self._carried(carried, part, dx, dy)
        here |= np.where(made_up > 0, _MADE_UP, _MOVED) | (_RESAMPLED if scale != 1 else np.uint8(0))
        flags[part] = np.where(stays, flags[part], here)
        return ClipFrame(samples=samples, flags=flags)

    def _carried(self, flags: Bytes, part: tuple[slice, slice], dx: Floats, dy: Floats) -> Bytes:
        """Flags of what moves, moved with it."""
        if not flags.any():
            return np.zeros(dx.shape, np.uint8)
        return np.asarray(
            cv2.remap(flags, self._x[part] + dx, self._y[part] + dy, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        )

    def _in_frame(self, flow: Floats, window: Window) -> Floats:
        """Flow over the still as flow over the frame: its place and its length in pixels of the frame."""
        rows, columns = self.size
        scale = window.width / columns
        shape = (-(-rows // COARSE), -(-columns // COARSE))
        if scale == 1 and window.left == 0 and window.top == 0 and flow.shape[:2] == shape:
            return flow
        across = (window.left + (np.arange(shape[1]) + 0.5) * COARSE * scale) / COARSE - 0.5
        down = (window.top + (np.arange(shape[0]) + 0.5) * COARSE * scale) / COARSE - 0.5
        x, y = np.meshgrid(across.astype(np.float32), down.astype(np.float32))
        moved = cv2.remap(flow, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        return np.asarray(moved / np.float32(scale))


def _laid(still: ClipFrame, patches: Sequence[Patch]) -> ClipFrame:
    """A still with patches over it; where they overlap, each shows what it changed."""
    if not patches:
        return still
    samples, flags = still.samples.copy(), still.flags.copy()
    for patch in patches:
        rows, columns = patch.flags.shape
        part = slice(patch.top, patch.top + rows), slice(patch.left, patch.left + columns)
        changed = patch.flags != still.flags[part]
        samples[part][changed] = patch.samples[changed]
        flags[part][changed] = patch.flags[changed]
    return ClipFrame(samples=samples, flags=flags)


def _prefiltered(still: Bytes, scale: float) -> tuple[Bytes, float]:
    """A still without detail that `scale` still pixels a pixel cannot show, and its size relative to it."""
    if scale <= 1:
        return still, 1.0
    if scale >= 2:
        factor = 1 / int(scale)
        small = cv2.resize(still, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), small.shape[1] / still.shape[1]
    sigma = 0.5 * float(np.sqrt(scale * scale - 1))
    return np.asarray(cv2.GaussianBlur(still, (0, 0), sigma), np.uint8), 1.0


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
