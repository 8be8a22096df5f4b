"""Two layers of a still under one camera: what is near passes over what is far, as it does before a moving lens.

What is near is lifted off (mattes), and where it uncovers something, that was made up beforehand. Layers move by
forward splatting, nearer ones before farther ones (Niklaus & Liu, Softmax Splatting, CVPR 2020); what is splatted is
where pixels come from, so that each is interpolated once, from the still. Must never show a made up pixel without
saying so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.camera import Window
from archive_restore.imaging.clip import (
    Places,
    Reduced,
    bands,
    blown_up,
    geometry_of,
    in_frame,
    warp,
    whole_factor,
)
from archive_restore.imaging.eyelids import Patch
from archive_restore.imaging.mattes import Cutout
from archive_restore.imaging.motion import COARSE, REST
from archive_restore.imaging.motion_regions import NEAR
from archive_restore.ports import ClipFrame, ClipFrames, MotionFrame, MotionSource, Still
from archive_restore.records.imagery import PixelFlag

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_SHARP = 20.0  # how much more a nearest pixel counts than a farthest one that falls onto it, as a power of e
_LEAST = 1e-4  # weight from which a cell counts as covered
_MOVED = np.uint8(PixelFlag.MOVED)
_MADE_UP = np.uint8(PixelFlag.MOVED | PixelFlag.SYNTHESIZED)


def splat(forward: Floats, nearness: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Where the cells of a moved layer come from, and how much of each is covered.

    `forward`: (rows, columns, 2), where each cell goes, in cells; `nearness`, `alpha`: (rows, columns), 0..1. Returns
    the way back, (rows, columns, 2) in cells, and the cover, (rows, columns) 0..1. Where nothing falls the way back is
    that of the nearest cell that is covered; 0 where nothing is.
    """
    rows, columns = alpha.shape
    down, across = np.nonzero(alpha > 0)
    if not down.size:
        return np.zeros((rows, columns, 2), np.float32), np.zeros((rows, columns), np.float32)
    moved = forward[down, across].astype(np.float64)
    share = alpha[down, across].astype(np.float64)
    weight = share * np.exp(_SHARP * (nearness[down, across].astype(np.float64) - 1))
    x, y = across + moved[:, 0], down + moved[:, 1]
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    sums = np.zeros((4, rows * columns))  # weight, weighted way across and down, cover
    for dy in (0, 1):
        for dx in (0, 1):
            part = (1 - np.abs(x - left - dx)) * (1 - np.abs(y - top - dy))
            at_x, at_y = left + dx, top + dy
            here = (part > 0) & (at_x >= 0) & (at_x < columns) & (at_y >= 0) & (at_y < rows)
            place = (at_y * columns + at_x)[here]
            given = part[here] * weight[here]
            for plane, value in zip(
                sums, (given, given * moved[here, 0], given * moved[here, 1], part[here] * share[here]), strict=True
            ):
                plane += np.bincount(place, value, rows * columns)
    covered = sums[0] > _LEAST * np.exp(-_SHARP)
    back = np.zeros((rows * columns, 2), np.float32)
    back[covered] = -(sums[1:3, covered] / sums[0, covered]).T
    cover = np.clip(sums[3], 0, 1).astype(np.float32).reshape(rows, columns)
    return _continued(back.reshape(rows, columns, 2), covered.reshape(rows, columns)), cover


def _blocks(plane: Bytes) -> Bytes:
    """A plane by cells: (rows, COARSE, columns, COARSE)."""
    rows, columns = -(-plane.shape[0] // COARSE), -(-plane.shape[1] // COARSE)
    over = rows * COARSE - plane.shape[0], columns * COARSE - plane.shape[1]
    padded = cv2.copyMakeBorder(plane, 0, over[0], 0, over[1], cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8).reshape(rows, COARSE, columns, COARSE)


def _continued(field: Floats, known: NDArray[np.bool_]) -> Floats:
    """A field with the value of the nearest known cell where it is not known."""
    if known.all() or not known.any():
        return field
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros((int(labels.max()) + 1, field.shape[2]), np.float32)
    values[labels[known]] = field[known]
    return np.asarray(values[labels], np.float32)


class Parallax(MotionSource):
    """How what is near moves against what is far, while a camera passes to the side."""

    def __init__(
        self, nearness: Bytes, passed: Callable[[int], float], *, frames: int, matte: Bytes | None = None
    ) -> None:
        """`nearness`: uint8 (H, W) of the still, 255 is nearest; `passed`: pixels of the still by which the nearest
        falls behind at frame n.

        `matte`: uint8 (H, W), how much of a pixel is near, where that is a layer of its own, which is splatted;
        without, the still is bent, and nothing parts.
        """
        self._frames, self._passed, self._solid = frames, passed, matte is not None
        blocks = _blocks(nearness)
        self._alpha = np.asarray((blocks > 0).mean(axis=(1, 3)), np.float32)
        self._nearness = np.asarray(blocks.mean(axis=(1, 3)) / 255, np.float32)
        if matte is not None:
            self._alpha = np.asarray((_blocks(matte) > 0).mean(axis=(1, 3)), np.float32)
            # The outline may lie beyond the drawn one, and nothing may fall behind there.
            highest = np.asarray(blocks.max(axis=(1, 3)) / 255, np.float32)[..., None]
            self._nearness = _continued(highest, highest[..., 0] > 0)[..., 0]

    @property
    def frames(self) -> int:
        """See MotionSource."""
        return self._frames

    @property
    def kinds(self) -> tuple[str, ...]:
        """See MotionSource."""
        return (REST, NEAR)

    def at(self, frame: int) -> MotionFrame:
        """See MotionSource. Of a solid layer, flow goes on around it, where nothing of it is shown."""
        far = np.float32(self._passed(frame))
        flow = np.zeros((*self._nearness.shape, 2), np.float32)
        alpha = self._alpha
        if self._solid:
            flow[..., 0] = -far / COARSE * self._nearness
            flow, alpha = splat(flow, self._nearness, alpha)
            flow *= COARSE
        else:
            flow[..., 0] = far * self._nearness
        return MotionFrame(flow=flow, alpha=alpha, kind=(alpha > 0).astype(np.uint8))


class Layered(ClipFrames):
    """Renders what is far, and before it what is near."""

    def __init__(
        self,
        still: Still,
        cutout: Cutout,
        size: tuple[int, int],
        near: MotionSource,
        motion: MotionSource | None,
        window: Callable[[int], Window],
        *,
        count: int,
        rate: int,
        loops: bool,
        over: Callable[[int], Sequence[Patch]] | None = None,
    ) -> None:
        """`cutout` is of `reduced(still, factor)` where a window has at least `factor` pixels a pixel of the frame, and
        all windows are alike in size; `near` moves the near layer; the rest as Clip: `motion` is of both layers, and
        `over` is laid over what is near."""
        self.size, self.count, self.rate, self.loops = size, count, rate, loops
        self._moves, self._motion, self._window, self._over = near, motion, window, over
        first = window(0)
        scale = first.width / size[1]
        self.geometry = geometry_of(first, size)
        factor, (rows, columns) = whole_factor(scale), still.flags.shape
        hidden = cv2.resize(
            cutout.made_up.astype(np.uint8), None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST
        )[:rows, :columns]  # fmt: skip
        behind = still.flags | hidden * _MADE_UP
        self._far = Reduced(still.samples, behind, factor, scale, cutout.far)
        self._near = Reduced(still.samples, still.flags, factor, scale, cutout.near)

    def frame(self, index: int) -> ClipFrame:
        """See ClipFrames."""
        window, moved, still = self._window(index), self._moves.at(index), self._near
        if self._over is not None and (patches := self._over(index)):
            still = still.with_patches(patches)
        wind = None if self._motion is None else self._motion.at(index).flow
        far = self._far.seen(window, self.size)
        samples, flags = far.samples.copy(), far.flags.copy()
        if wind is not None:
            warp(far, in_frame(wind, window, self.size), samples, flags)
        passed = window != self._window(0)
        if passed:
            flags |= _MOVED
        flow = moved.flow if wind is None else moved.flow + wind
        word = _MOVED if passed or flow.any() else np.uint8(0)
        shown = in_frame(np.dstack([moved.alpha, moved.alpha]), window, self.size)[..., 0]
        gate = np.asarray(cv2.dilate((shown > 0).astype(np.uint8), np.ones((3, 3), np.uint8)))
        near, flow = still.seen(window, self.size), in_frame(flow, window, self.size)
        places = Places(near, flow)
        for cells in bands(gate):
            part, made = places.sampled(cells)
            alpha = made[..., 3] * blown_up(gate[cells], made.shape[:2])
            _lay(samples[part], flags[part], made[..., :3], alpha, places.flags(cells) | word)
        return ClipFrame(samples=samples, flags=flags)


def _lay(samples: Bytes, flags: Bytes, near: Bytes, alpha: Bytes, near_flags: Bytes) -> None:
    """Lay pixels over a part of a frame; what shows both is made up."""
    whole = cv2.inRange(alpha, 255, 255)
    cv2.copyTo(np.ascontiguousarray(near), whole, samples)
    cv2.copyTo(near_flags, whole, flags)
    mixed = (alpha > 0) & (alpha < 255)
    share = alpha[mixed].astype(np.float32)[:, None] / 255
    behind = samples[mixed].astype(np.float32)
    samples[mixed] = np.rint(behind + (near[mixed] - behind) * share).astype(np.uint8)
    flags[mixed] |= near_flags[mixed] | _MADE_UP
