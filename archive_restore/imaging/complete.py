"""Completes large losses for stories: from exemplars of the same picture, or by a network of inpainting.

Patches are matched on a reduced picture (see exemplars); at full size whole pieces are copied by the shifts found
there (see pieces). What comes out is one of many plausible pictures, never evidence. Must never change a pixel outside
the mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from archive_restore.errors import ModelUnusable, UsageError
from archive_restore.imaging import exemplars
from archive_restore.imaging.exemplars import Floats, Mask, Taste
from archive_restore.imaging.pieces import Pieces, joined_at_rim
from archive_restore.records.imagery import PixelFlag, Region

Samples = npt.NDArray[Any]
New = Callable[[tuple[int, ...], npt.DTypeLike], Samples]
"""(shape, dtype) to an array that can be written, for instance a memmap."""
Predict = Callable[[Floats], Floats]
"""(1, c + 1, h, w) in [0, 1], picture and mask (1: make anew), to (1, c, h, w)."""

MOST = 0.6
"""Share of a picture that may be missing."""
_MATCHED = 30_000  # pixels of a hole, and of the picture around it, that patches are matched on
_AROUND = 300_000
_LARGEST = 10_000_000  # pixels that are looked at with a hole, unless more are needed to have any
_NEAREST = 64  # least pixels of the picture around a hole that are looked at
_JOINED = 24  # holes nearer to one another than this are completed together, pixels
_MASK_EDGE = 2048  # holes are told apart on a mask of at most this many pixels an edge
_PAD = 2 * (exemplars.RADIUS + 1)
_DEEP = 12.0  # doubt rises with the distance to sound pixels: at this many it is 63 %


@dataclass(frozen=True, kw_only=True)
class Patch:
    """New pixels."""

    region: Region
    mask: Mask
    """(h, w) of the region: which of its pixels are new."""
    samples: Samples
    """(h, w, c) of the picture's dtype; outside the mask they are as found."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Alternatives for the masked pixels, and how little is known of them."""

    alternatives: tuple[tuple[Patch, ...], ...]
    """One tuple of patches for each; the first is the best guess."""
    error: npt.NDArray[np.float32]
    """(h, w): expected absolute error, share of full scale; 0 outside the mask."""
    doubt: npt.NDArray[np.uint8]
    """(h, w): 255 where nothing is known, 0 outside the mask. It only grows where alternatives differ."""
    disagreement: npt.NDArray[np.uint8]
    """(h, w): range of the alternatives in the channel where it is widest, 255 is full scale; 0 with one of them."""
    flags: PixelFlag
    """What every masked pixel is."""


def pasted(samples: Samples, patches: Sequence[Patch], new: New) -> Samples:
    """A copy of the samples (h, w, c) with some patches in it, band by band."""
    made = new(samples.shape, samples.dtype)
    for top in range(0, len(samples), 512):
        made[top : top + 512] = samples[top : top + 512]
    for patch in patches:
        part = made[patch.region.top : patch.region.bottom, patch.region.left : patch.region.right]
        part[patch.mask] = patch.samples[patch.mask]
    return made


def complete(
    samples: Samples,
    mask: Mask,
    *,
    new: New,
    count: int = 1,
    seed: int = 0,
    picture: Sequence[int] | None = None,
    unsound: Mask | None = None,
    white: float | None = None,
) -> Completion:
    """Complete the masked pixels from the rest of the picture, in `count` different ways.

    `samples`: (h, w, c), uint8, uint16 or float, an array or a memmap; `mask`: bool (h, w); `picture`: the channels
    that are looked at, 1 or 3, by default all: others are taken along; `unsound`: other pixels not to copy from;
    `white`: code value of 1.0, by default 255, 65535 or 1; `seed` and the place of a hole fix the result. Raise
    UsageError where too much is missing, or what is asked cannot be.
    """
    _check(samples, mask, count)
    chosen = _picture_channels(samples.shape[2], picture)
    full = float(white or (np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1.0))
    alternatives: list[list[Patch]] = [[] for _ in range(count)]
    outcome = _Outcome(mask.shape, new)
    for hole in _holes(mask):
        sheet = _Sheet.cut(samples, mask, hole, unsound, chosen, full)
        taken: Mask | None = None
        patches = []
        for number in range(count):
            key = _key(seed, number, hole)
            taste = Taste(seed=key, adventure=0.35 * (number > 0), tone=(1.0, 0.3)[number % 2], away=taken)
            patch, used = sheet.completed(taste)
            patches.append(patch)
            if number + 1 < count and used is not None:
                taken = _often(used, taken, key)
        outcome.add(patches, full)
        for alternative, patch in zip(alternatives, patches, strict=True):
            alternative.append(patch)
    return Completion(
        alternatives=tuple(tuple(patches) for patches in alternatives),
        error=outcome.error,
        doubt=outcome.doubt,
        disagreement=outcome.disagreement,
        flags=PixelFlag.INTERPOLATED,
    )


def complete_by_network(
    samples: Samples,
    mask: Mask,
    predict: Predict,
    *,
    new: New,
    multiple: int = 1,
    minimum: int = 1,
    maximum: int | None = None,
    planes: int = 3,
    picture: Sequence[int] | None = None,
    white: float | None = None,
    inverted: bool = False,
) -> Completion:
    """Complete the masked pixels by a network that sees each hole with its surroundings.

    `multiple`, `minimum`, `maximum`: sizes that the network takes, pixels; where hole and surroundings are larger than
    `maximum` it sees them reduced. `planes`: 3, or 1 for luma; a gray picture is given three times and averaged back;
    `inverted`: 0 is white; the rest is as for `complete`. Channels that are no picture stay. Raise ModelUnusable where
    the network gives another frame.
    """
    _check(samples, mask, 1)
    chosen = _picture_channels(samples.shape[2], picture)
    if len(chosen) > planes:
        raise UsageError("a network for gray pictures cannot complete colour", hint="Use another model")
    full = float(white or (np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1.0))
    sizes = _Sizes(multiple=multiple, minimum=minimum, maximum=maximum)
    outcome = _Outcome(mask.shape, new)
    patches = []
    for hole in _holes(mask):
        sheet = _Sheet.cut(samples, mask, hole, None, chosen, full)
        patches.append(sheet.predicted(predict, sizes, planes, inverted))
        outcome.add(patches[-1:], full)
    return Completion(
        alternatives=(tuple(patches),),
        error=outcome.error,
        doubt=outcome.doubt,
        disagreement=outcome.disagreement,
        flags=PixelFlag.SYNTHESIZED,
    )


def _check(samples: Samples, mask: Mask, count: int) -> None:
    if samples.ndim != 3 or mask.shape != samples.shape[:2]:
        raise UsageError(f"a mask of {mask.shape} does not fit a picture of {samples.shape}")
    if count < 1:
        raise UsageError(f"a hole cannot be completed in {count} ways", hint="Ask for 1 or more")
    missing = float(np.count_nonzero(mask)) / max(mask.size, 1)
    if missing > MOST:
        raise UsageError(
            f"{missing:.0%} of the picture is missing: what is left does not say what was there",
            hint=f"At most {MOST:.0%} can be completed; mark less, or cut the picture first",
        )


def _picture_channels(count: int, picture: Sequence[int] | None) -> list[int]:
    chosen = list(range(count)) if picture is None else list(picture)
    if len(chosen) not in (1, 3) or not all(0 <= channel < count for channel in chosen):
        raise UsageError(
            f"channels {chosen} of {count} make no picture that can be completed", hint="Name one or three channels"
        )
    return chosen


def _key(seed: int, number: int, hole: Region) -> int:
    return seed * 1_000_003 + number * 10_007 + hole.top * 131_071 + hole.left


def _often(used: Mask, taken: Mask | None, key: int) -> Mask:
    """What the next alternative keeps away from: much of what others took, in blots."""
    height, width = used.shape
    random = np.random.Generator(np.random.Philox(key=key & 0xFFFFFFFFFFFFFFFF))
    noise = random.random((max(height // 24, 2), max(width // 24, 2)), np.float32)
    blots = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) > 0.4
    near = cv2.dilate(used.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    return np.asarray((near & blots) | (taken if taken is not None else False))


# --- holes -------------------------------------------------------------------------------------------


def _holes(mask: Mask) -> Iterator[Region]:
    """Rectangles around the holes, near ones together, from top to bottom."""
    height, width = mask.shape
    cell = max(1, -(-max(height, width) // _MASK_EDGE))
    rows, columns = -(-height // cell), -(-width // cell)
    small = np.zeros((rows, columns), np.uint8)
    for row in range(rows):
        band = np.asarray(mask[row * cell : (row + 1) * cell]).any(axis=0)
        small[row] = np.add.reduceat(band, np.arange(0, width, cell)) > 0
    reach = -(-_JOINED // (2 * cell))
    wide = cv2.dilate(small, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(wide, connectivity=8)
    for number in range(1, len(stats)):
        left, top, across, down, _ = (int(value) for value in stats[number])
        box = slice(top, top + down), slice(left, left + across)
        own = (labels[box] == number) & (small[box] > 0)
        rows_, columns_ = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        part = Region(
            top=(top + int(rows_[0])) * cell,
            left=(left + int(columns_[0])) * cell,
            bottom=min((top + int(rows_[-1]) + 1) * cell, height),
            right=min((left + int(columns_[-1]) + 1) * cell, width),
        )
        inner = np.asarray(mask[part.top : part.bottom, part.left : part.right])
        rows_, columns_ = np.flatnonzero(inner.any(axis=1)), np.flatnonzero(inner.any(axis=0))
        yield Region(
            top=part.top + int(rows_[0]),
            left=part.left + int(columns_[0]),
            bottom=part.top + int(rows_[-1]) + 1,
            right=part.left + int(columns_[-1]) + 1,
        )


class _Outcome:
    """Collects what is told of the masked pixels."""

    def __init__(self, shape: tuple[int, ...], new: New) -> None:
        self.error: npt.NDArray[np.float32] = new(shape, np.float32)
        self.doubt: npt.NDArray[np.uint8] = new(shape, np.uint8)
        self.disagreement: npt.NDArray[np.uint8] = new(shape, np.uint8)
        for top in range(0, shape[0], 512):
            for plane in (self.error, self.doubt, self.disagreement):
                plane[top : top + 512] = 0

    def add(self, patches: Sequence[Patch], white: float) -> None:
        """Alternatives for one hole."""
        region, mask = patches[0].region, patches[0].mask
        box = slice(region.top, region.bottom), slice(region.left, region.right)
        depth = _depth(mask)
        best = patches[0].samples.astype(np.float32) / np.float32(white)
        error = _expected_error(best, mask, depth)
        doubt = 255 * (1 - np.exp(-depth / _DEEP))
        if len(patches) > 1:
            least = most = best
            for patch in patches[1:]:
                values = patch.samples.astype(np.float32) / np.float32(white)
                least, most = np.minimum(least, values), np.maximum(most, values)
            apart = np.clip(255 * (most - least).max(axis=2), 0, 255)
            self.disagreement[box][mask] = np.rint(apart[mask]).astype(np.uint8)
            doubt = np.maximum(doubt, apart)
        self.doubt[box][mask] = np.clip(np.rint(doubt[mask]), 1, 255).astype(np.uint8)
        self.error[box][mask] = error[mask]


def _depth(mask: Mask) -> Floats:
    """Distance of each masked pixel to the nearest that is not; the edge of the picture is no support."""
    inner = np.pad(mask, 1, "edge").astype(np.uint8)
    if inner.all():
        return np.full(mask.shape, max(mask.shape), np.float32)
    return np.asarray(cv2.distanceTransform(inner, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1], np.float32)


def _expected_error(picture: Floats, mask: Mask, depth: Floats) -> Floats:
    """A share of the deviation around, near the rim less: fitted on holes in five photographs, right on four others."""
    luma = picture.mean(axis=2)
    reach = int(min(max(2 * depth.max(), 8), 96))
    size = (2 * reach + 1, 2 * reach + 1)
    mean = cv2.blur(luma, size)
    deviation = np.sqrt(np.maximum(cv2.blur(luma * luma, size) - mean * mean, 0))
    return np.asarray(0.75 * deviation * (1 - np.exp(-depth / 8)) + 0.004, np.float32)


# --- one hole ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    """What a network takes."""

    multiple: int
    minimum: int
    maximum: int | None

    def fitting(self, length: int) -> int:
        """The least size that holds `length` pixels."""
        return max(-(-length // self.multiple), -(-self.minimum // self.multiple), 1) * self.multiple


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """A hole with its surroundings, padded so that nothing here has to ask for the picture's edge."""

    region: Region
    """Of the picture, without the padding."""
    raw: Samples
    """(h, w, c) of the region, as found."""
    own: Mask
    """(h, w) of the region: the pixels to be made."""
    picture: Floats
    """(H, W, 1 or 3) with padding, share of full scale; what is not known is a guess."""
    hole: Mask
    """(H, W)."""
    usable: Mask
    """(H, W): what may be copied."""
    channels: list[int]
    white: float
    times: int
    """How often the sheet is halved before patches are matched."""

    @staticmethod
    def cut(
        samples: Samples, mask: Mask, hole: Region, unsound: Mask | None, channels: list[int], white: float
    ) -> _Sheet:
        """Cut a hole out of the picture."""
        height, width = mask.shape
        own = np.asarray(mask[hole.top : hole.bottom, hole.left : hole.right])
        depth = float(_depth(own).max())
        margin = int(max(_NEAREST, min(max(own.shape), 6 * depth)))
        while margin > _NEAREST and (hole.height + 2 * margin) * (hole.width + 2 * margin) > _LARGEST:
            margin //= 2
        while True:
            region = Region(
                top=max(hole.top - margin, 0),
                left=max(hole.left - margin, 0),
                bottom=min(hole.bottom + margin, height),
                right=min(hole.right + margin, width),
            )
            box = slice(region.top, region.bottom), slice(region.left, region.right)
            free = np.count_nonzero(~np.asarray(mask[box]))
            if free >= own.sum() or (region.height, region.width) == (height, width):
                break
            margin *= 2
        masked = np.array(mask[box], np.bool_)
        mine = np.zeros_like(masked)
        mine[hole.within(region)] = masked[hole.within(region)]
        barred = masked if unsound is None else masked | np.asarray(unsound[box])
        raw = np.asarray(samples[box])
        planes = raw[:, :, channels].astype(np.float32) * np.float32(1 / white)
        if samples.dtype.kind == "f":
            barred = barred | ~np.isfinite(planes).all(axis=2)
            planes = np.nan_to_num(planes, nan=0, posinf=1, neginf=0)
        times = 0
        while mine.sum() / 4**times > _MATCHED or min(mine.size, 4 * free) / 4**times > _AROUND:
            times += 1
        edge = 1 << times
        pad = _PAD * edge
        pads = ((pad, pad + -region.height % edge), (pad, pad + -region.width % edge))
        # What may not be learnt from is made anew too where patches would see it, and thrown away.
        reach = 2 * exemplars.RADIUS * edge + 1
        near = cv2.dilate(mine.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
        hollow = np.pad(mine | (barred & near), pads, "edge")
        inner = np.pad(np.ones_like(mine), pads)
        usable = np.pad(~barred, pads) & inner
        guess = _spanned(planes, barred)
        return _Sheet(
            region=region,
            raw=raw,
            own=mine,
            picture=np.pad(guess, (*pads, (0, 0)), "edge"),
            hole=hollow,
            usable=usable,
            channels=channels,
            white=white,
            times=times,
        )

    def completed(self, taste: Taste) -> tuple[Patch, Mask | None]:
        """Complete it from exemplars; what was taken, at the size that patches are matched at."""
        scales = [(self.picture, self.hole, self.usable)]
        for _ in range(self.times):
            planes, hole, usable = scales[-1]
            scales.append((exemplars.halved(planes, ~hole), ~exemplars.all_of(~hole), exemplars.all_of(usable)))
        found = exemplars.match(*scales[-1], taste)
        if found is None:
            return self._patch(self.picture, None), None
        voted = found.voted
        steps = Pieces.start(found, *scales[-1])
        made, change = steps.joined(None)
        for planes, hole, usable in reversed(scales[:-1]):
            voted, change = (
                cv2.resize(plane, hole.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(planes.shape)
                for plane in (voted, change)
            )
            steps = steps.doubled(np.where(hole[:, :, None], voted, planes), hole, usable)
            made, change = steps.joined(change)
        return self._patch(made, steps), found.used

    def _patch(self, made: Floats, steps: Pieces | None) -> Patch:
        """The finished pixels within the region."""
        pad = _PAD << self.times
        box = slice(pad, pad + self.region.height), slice(pad, pad + self.region.width)
        values = made[box] * np.float32(self.white)
        out = self.raw.copy()
        if out.dtype.kind == "u":
            values = np.rint(np.clip(values, 0, self.white))
        if steps is not None and len(self.channels) < out.shape[2]:
            rows, columns = np.nonzero(self.own)
            place = (rows + pad) * self.hole.shape[1] + columns + pad
            down, across = np.divmod(place + steps.steps[place], self.hole.shape[1])
            out[rows, columns] = self.raw[down - pad, across - pad]
        for index, channel in enumerate(self.channels):
            out[:, :, channel][self.own] = values[:, :, index][self.own].astype(out.dtype)
        rows, columns = (np.flatnonzero(self.own.any(axis=axis)) for axis in (1, 0))
        part = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        region = Region(
            top=self.region.top + part[0].start,
            left=self.region.left + part[1].start,
            bottom=self.region.top + part[0].stop,
            right=self.region.left + part[1].stop,
        )
        return Patch(region=region, mask=self.own[part].copy(), samples=out[part].copy())

    def predicted(self, predict: Predict, sizes: _Sizes, planes: int, inverted: bool) -> Patch:
        """Complete it by a network."""
        pad = _PAD << self.times
        box = slice(pad, pad + self.region.height), slice(pad, pad + self.region.width)
        shown = np.clip(self.picture[box], 0, 1)
        shown = 1 - shown if inverted else shown
        given = shown.repeat(planes, axis=2) if shown.shape[2] == 1 else shown
        height, width = self.own.shape
        longest = max(height, width)
        share = min(1.0, sizes.maximum / longest) if sizes.maximum is not None else 1.0
        small = max(1, round(width * share)), max(1, round(height * share))
        covered = self.own.astype(np.float32)
        if share < 1:
            given = cv2.resize(given, small, interpolation=cv2.INTER_AREA).reshape(small[1], small[0], -1)
            covered = (cv2.resize(covered, small, interpolation=cv2.INTER_AREA) > 0).astype(np.float32)
        frame = np.concatenate([given * (1 - covered[:, :, None]), covered[:, :, None]], axis=2)
        more = [(0, sizes.fitting(length) - length) for length in frame.shape[:2]]
        frame = np.pad(frame, (*more, (0, 0)), "symmetric")
        made = predict(np.ascontiguousarray(frame.transpose(2, 0, 1)[None]))
        if made.shape != (1, planes, *frame.shape[:2]):
            raise ModelUnusable(f"the network gave {made.shape} for {frame.shape[:2]} pixels of {planes} planes")
        drawn = made[0].transpose(1, 2, 0)[: small[1], : small[0]]
        if share < 1:
            drawn = cv2.resize(np.ascontiguousarray(drawn), (width, height), interpolation=cv2.INTER_CUBIC)
            drawn = drawn.reshape(height, width, planes)
        drawn = drawn.mean(axis=2, keepdims=True) if shown.shape[2] == 1 else drawn
        drawn = 1 - drawn if inverted else drawn
        joined = self.picture.copy()
        joined[box] = joined_at_rim(self.picture[box], drawn, self.own)
        return self._patch(joined, None)


def _spanned(planes: Floats, masked: Mask) -> Floats:
    """The picture with a smooth guess where it is masked: means of ever wider surroundings."""
    if not masked.any():
        return planes
    if masked.all():
        return np.full_like(planes, 0.5)
    if min(masked.shape) < 2:
        return np.where(masked[:, :, None], planes[~masked].mean(axis=0), planes).astype(np.float32)
    height, width = masked.shape
    even = ((0, height % 2), (0, width % 2))
    hidden = np.pad(masked, even, "edge")
    coarse = exemplars.halved(np.pad(planes, (*even, (0, 0)), "edge"), ~hidden)
    coarse = _spanned(coarse, exemplars.all_of(hidden))
    wide = cv2.resize(coarse, hidden.shape[::-1], interpolation=cv2.INTER_LINEAR)
    wide = wide.reshape(*hidden.shape, -1)[:height, :width]
    return np.where(masked[:, :, None], wide, planes).astype(np.float32)
