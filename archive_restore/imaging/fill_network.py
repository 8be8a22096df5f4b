"""Fill of thin and medium damage by a trained network, in the master's own depth, with the grain of its surroundings.

The network (networks/fill.py) gives what was most probably there and how far that may be off; it gives no grain, so
that a fill would look like plastic. Grain is measured around (its strength) and once in the whole picture (its
coarseness), and made from the seed. Must never change a pixel outside the mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from archive_restore.imaging import network_frames
from archive_restore.imaging.inpaint import Filled, Floats, Mask, Samples
from archive_restore.imaging.network_frames import Cells, Place, Predict

WIDEST = 48
"""Widest damage the network was taught to fill, pixels."""
BLOCK = 448
"""Longest edge of what is filled in one call, pixels: gated layers need half a kilobyte of memory a pixel."""
GRAIN_REACH = 40
"""Pixels around damage from which its grain is measured."""
FINEST, COARSEST = 0.0, 1.5
"""Standard deviation of the blur that makes white noise as coarse as grain, pixels."""
_HIGH = 1.0  # grain is measured in what a Gaussian of this many pixels takes away
_LOW = 2.5  # what is made has nothing that a Gaussian of this many pixels leaves: the network gives that
_MARGIN = 18  # pixels that blurring looks around itself
_QUIET = (15, 15)  # places whose grain is compared, pixels
_CELL = 64
_MEAN_TO_DEVIATION = float(np.sqrt(np.pi / 2))


@dataclass(frozen=True, kw_only=True)
class Grain:
    """What one look at the whole picture says of its grain: plain numbers, recorded with the derivation."""

    blur: float
    """FINEST..COARSEST pixels."""


def survey_grain(crops: Sequence[Floats]) -> Grain:
    """Measure how coarse the grain is in the quietest parts of some luma crops, float32 (h, w) in [0, 1].

    Neighbouring pixels of grain are alike: their correlation, after a high pass, says which blur of white noise it is.
    """
    alike = []
    for crop in crops:
        if min(crop.shape) < 32:
            continue
        high = _high_pass(crop)
        energy = cv2.blur(high * high, (15, 15))
        quiet = (energy <= np.percentile(energy, 20)) & (energy > 1e-9)
        quiet[:, -1] = False
        if quiet.sum() < 100:
            continue
        beside = np.roll(high, -1, axis=1)
        alike.append(float((high * beside)[quiet].mean() / (high * high)[quiet].mean()))
    if not alike:
        return Grain(blur=0.5)
    wanted = float(np.median(alike))
    blurs = np.linspace(FINEST, COARSEST, 31)
    return Grain(blur=round(float(blurs[int(np.argmin([abs(_alike(blur) - wanted) for blur in blurs]))]), 3))


def complete(
    samples: Samples,
    mask: Mask,
    predict: Predict,
    cells: Cells,
    place: Place,
    *,
    grain: Grain,
    unsound: Mask | None = None,
    needed: tuple[slice, slice] | None = None,
    strength: float = 1.0,
    seed: int = 0,
    white: float | None = None,
    inverted: bool = False,
) -> Filled:
    """Fill the masked pixels, as `inpaint.complete` does, with a network.

    `samples`: (H, W, 1 or 3), uint8, uint16 or float32, which lie at `place`; `mask`: bool (H, W), rim included;
    `unsound`: other pixels that must not be learnt from; `needed`: rows and columns whose fill counts; `strength`: 0
    adds no grain, 1 as much as there is around; `seed` fixes it; `white`: value of full scale, by default 255, 65535
    or 1.0; `inverted`: 0 is white. Damage further than WIDEST from anything sound stays as found.
    """
    full = float(white or (np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1.0))
    out, done = samples.copy(), np.zeros(mask.shape, np.bool_)
    error = np.zeros(mask.shape, np.float32)
    counts = mask
    if needed is not None:
        counts = np.zeros_like(mask)
        counts[needed] = mask[needed]
    if not counts.any():
        return Filled(samples=out, done=done, error=error)
    unknown = mask if unsound is None else mask | unsound
    planes = samples.astype(np.float32).transpose(2, 0, 1) / np.float32(full)
    unknown = unknown | ~np.isfinite(planes).all(0)
    planes = np.where(unknown, np.float32(0), np.clip(planes, 0, 1))
    if inverted:
        planes = np.where(unknown, np.float32(0), 1 - planes)
    box = _box(counts)
    hidden = np.zeros_like(unknown)
    hidden[box] = unknown[box]
    given = np.concatenate([np.broadcast_to(planes, (3, *mask.shape)), unknown[None].astype(np.float32)])
    made = network_frames.run(predict, given, place, box, cells, block=BLOCK, only=hidden)
    colour = made[:3] if len(planes) == 3 else made[:3].mean(0, keepdims=True)
    if strength > 0:
        colour = colour + np.float32(strength) * _grain(planes, unknown, colour, box, place, grain, seed)
    colour = np.clip(colour, 0, 1)
    if inverted:
        colour = 1 - colour
    values = colour.transpose(1, 2, 0) * np.float32(full)
    if samples.dtype.kind == "u":
        values = np.rint(values)
    done[box] = counts[box] & _reached(unknown, box)
    out[done] = values[done[box]].astype(samples.dtype)
    error[done] = made[3][done[box]]
    return Filled(samples=out, done=done, error=error)


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _reached(unknown: Mask, box: tuple[slice, slice]) -> Mask:
    """Where something sound lies within WIDEST, for the pixels of `box`."""
    around = network_frames.wider(box, WIDEST + 1, unknown.shape)
    part = unknown[around].astype(np.uint8)
    if part.all():
        return np.zeros((box[0].stop - box[0].start, box[1].stop - box[1].start), np.bool_)
    far = cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(far[network_frames.inside(box, around)] <= WIDEST)


# --- grain ---------------------------------------------------------------------------------------------


def _high_pass(plane: Floats, sigma: float = _HIGH) -> Floats:
    return np.asarray(plane - cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _grain(
    planes: Floats,
    unknown: Mask,
    colour: Floats,
    box: tuple[slice, slice],
    place: Place,
    grain: Grain,
    seed: int,
) -> Floats:
    """Grain for the pixels of `box`, (c, rows, columns): made noise, as strong as in the quiet places around."""
    around = network_frames.wider(box, GRAIN_REACH, unknown.shape)
    hidden = unknown[around]
    # What is blurred into a hole or out of it is no grain.
    far = (cv2.dilate(hidden.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0).astype(np.float32)
    inside = network_frames.inside(box, around)
    made = noise(box, place, grain, seed)
    out = np.empty((len(planes), *made.shape), np.float32)
    for channel, plane in enumerate(planes):
        whole = plane[around].copy()
        whole[inside] = np.where(hidden[inside], colour[channel], whole[inside])
        size = np.abs(_high_pass(whole)) * far
        here = cv2.blur(far, _QUIET)
        level = cv2.blur(size, _QUIET) / np.maximum(here, 1e-3)
        # The harmonic mean listens to the quiet places: edges and texture are not grain.
        trust = (here > 0.3).astype(np.float32)
        side = (2 * GRAIN_REACH + 1, 2 * GRAIN_REACH + 1)
        above = cv2.blur(trust, side)
        below = cv2.blur(trust / (level + np.float32(1e-4)), side)
        quiet = np.where(above > 1e-4, above / np.maximum(below, 1e-6), 0.0)
        out[channel] = made * quiet[inside] * np.float32(_MEAN_TO_DEVIATION)
    return out


def noise(box: tuple[slice, slice], place: Place, grain: Grain, seed: int) -> Floats:
    """Noise whose deviation is 1 after the high pass, one at a place whatever the tiles; (rows, columns)."""
    rows, columns = box
    top, left = rows.start + place.top - _MARGIN, columns.start + place.left - _MARGIN
    bottom, right = rows.stop + place.top + _MARGIN, columns.stop + place.left + _MARGIN
    plane = np.empty((bottom - top, right - left), np.float32)
    for y, x, cell in _noise_cells(top, left, bottom, right, seed):
        t, le = max(y, top), max(x, left)
        b, r = min(y + _CELL, bottom), min(x + _CELL, right)
        plane[t - top : b - top, le - left : r - left] = cell[t - y : b - y, le - x : r - x]
    made = _high_pass(_blurred(plane, grain.blur), _LOW) / np.float32(_deviation(grain.blur))
    return np.asarray(made[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])


def _noise_cells(top: int, left: int, bottom: int, right: int, seed: int) -> Iterator[tuple[int, int, Floats]]:
    """White noise by cells of the picture, each from a stream of its own."""
    for row in range(top // _CELL, -(-bottom // _CELL)):
        for column in range(left // _CELL, -(-right // _CELL)):
            key = np.array([seed & 0xFFFFFFFFFFFFFFFF, (row & 0xFFFFFFFF) << 32 | (column & 0xFFFFFFFF)], np.uint64)
            cell = np.random.Generator(np.random.Philox(key=key)).standard_normal((_CELL, _CELL), np.float32)
            yield row * _CELL, column * _CELL, cell


def _blurred(plane: Floats, blur: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), blur), np.float32) if blur > 0.05 else plane


def _response(blur: float) -> Floats:
    """What blur and the high pass of measuring make of a single pixel."""
    point = np.zeros((49, 49), np.float32)
    point[24, 24] = 1
    return _high_pass(_blurred(point, blur))


def _deviation(blur: float) -> float:
    return float(np.sqrt(np.square(_high_pass(_response(blur), _LOW)).sum()))


def _alike(blur: float) -> float:
    """Correlation of neighbours in high-passed noise of this coarseness."""
    made = _response(blur)
    return float((made[:, :-1] * made[:, 1:]).sum() / np.square(made).sum())
