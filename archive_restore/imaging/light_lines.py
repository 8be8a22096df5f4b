"""Long light lines that are part of the picture: a boat's pole, a road, a strand of hair.

A detector that takes a piece of such a line for a scratch contradicts itself where the line goes on: there it is as
plain to see, and called sound. So a piece that stands out from quiet surroundings, of which the detector is not sure
all the same, and which goes on in such a way, is none. Must never look further than REACH.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging import network_frames, ridges

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Whole = NDArray[np.int32]

STANDS_OUT = 2.0
"""Standard deviations of its sound surroundings by which a line is lighter than they are, from which it is plain."""
SURE = 0.85
"""Probability of a plain line, on the average, from which it counts all the same."""
AS_PLAIN = 0.8
"""Share of the contrast of its marked pixels, edges and all, that a line's middle must have where it goes on."""
SOUND = 0.5
"""Probability of damage, on the average, up to which it counts as sound there."""
FOLLOWED = 48
"""Pixels that a line is followed from where it goes on."""
AROUND = 24
"""Pixels around a line that are its surroundings, and over which numbers of it are averaged."""
_TURNS = 16  # directions in which a line may run
_BEND = 2  # turns by which it may go on in another direction
_SIDE = 4  # flanks are looked at 4 px beside a line
_HERE = range(-4, 5)  # pixels along a line that tell its contrast
_OWN = 12  # over whose surroundings, this far, that is averaged
_BEHIND = range(3, 13)  # pixels that must be marked where a line goes on
_BEYOND = (range(4, 9), range(9, 15))  # and those that must not be, in each of which it must be plain
_PAD = 20  # more than any of these reach aside
REACH = FOLLOWED + 16
"""Pixels around a pixel within which marks must be known."""


def part_of_picture(luma: Floats, marked: Mask, chance: Floats, lines: Mask) -> Mask:
    """The pixels of `lines` that are no damage, bool (h, w).

    `luma`: in [0, 1]; `marked`: all that is taken for damage; `chance`: its probability; `lines`: the marks that are
    light lines; all (h, w).
    """
    found = np.zeros(lines.shape, np.bool_)
    if not lines.any():
        return found
    rows, columns = (np.flatnonzero(lines.any(axis=axis)) for axis in (1, 0))
    extent = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    part = network_frames.wider(extent, 2 * AROUND, lines.shape)
    tones = np.ascontiguousarray(ridges.quantize(luma[part]))
    tips = _tips(ridges.smooth(tones).astype(np.int32), marked[part], chance[part], lines[part])
    if not tips.any():
        return found
    way, square = lines[part].astype(np.uint8), np.ones((3, 3), np.uint8)
    reached = tips.astype(np.uint8)
    for _ in range(FOLLOWED):
        reached = cv2.dilate(reached, square) & way
    found[part] = (reached > 0) & _plain(tones, marked[part], lines[part]) & (_mean(chance[part], lines[part]) < SURE)
    return found


def _sum(plane: NDArray[Any], radius: int) -> NDArray[np.float64]:
    side = (2 * radius + 1, 2 * radius + 1)
    whole = plane.astype(np.float64)
    return np.asarray(cv2.boxFilter(whole, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT))


def _mean(plane: NDArray[Any], where: Mask, radius: int = AROUND) -> NDArray[np.float64]:
    """Average over the pixels of a mask around each pixel; 0 where there are none."""
    return _sum(plane * where, radius) / np.maximum(_sum(where, radius), 1)


def _plain(tones: ridges.Int16, marked: Mask, lines: Mask) -> Mask:
    """Where a line is lighter than what is sound around it by STANDS_OUT of its standard deviations."""
    whole = tones.astype(np.float64)
    mean = _mean(whole, ~marked)
    deviation = np.sqrt(np.maximum(_mean(whole * whole, ~marked) - mean * mean, 1))
    return np.asarray(_mean((whole - mean) / deviation, lines) >= STANDS_OUT)


def _tips(smoothed: Whole, marked: Mask, chance: Floats, lines: Mask) -> Mask:
    """Pixels near the end of a mark from which its line goes on, as plain and not marked."""
    tones = cv2.copyMakeBorder(smoothed, *(_PAD,) * 4, cv2.BORDER_REFLECT_101)
    flat, step = tones.reshape(-1), tones.shape[1]
    near = cv2.dilate(lines.astype(np.uint8), np.ones((3, 3), np.uint8))
    # beyond the frame nothing goes on
    taken, line = (
        cv2.copyMakeBorder(plane.astype(np.uint8), *(_PAD,) * 4, cv2.BORDER_CONSTANT, value=outside).reshape(-1) > 0
        for plane, outside in ((marked, 1), (near, 0))
    )
    percent = np.rint(np.clip(chance, 0, 1) * 255).astype(np.int32)
    doubt = cv2.copyMakeBorder(percent, *(_PAD,) * 4, cv2.BORDER_CONSTANT, value=255).reshape(-1)
    rows, columns = np.nonzero(lines)
    base = ((rows + _PAD) * step + columns + _PAD).astype(np.int32)
    heights = np.stack([_height(flat, base, step, turn, _HERE) for turn in range(_TURNS)])
    runs, own = heights.argmax(0), np.maximum(heights.max(0), 0)
    plane = np.zeros(lines.shape, np.float64)
    plane[rows, columns] = own
    least = AS_PLAIN * _mean(plane, lines, _OWN)[rows, columns]
    tips = np.zeros(lines.shape, np.bool_)
    for turn in range(_TURNS):
        for bend in range(-_BEND, _BEND + 1):
            those = np.flatnonzero(runs == (turn + bend) % _TURNS)
            for side in (1, -1):
                at = base[those]
                ahead = at[:, None] + _offsets(step, turn, [side * t for span in _BEYOND for t in span])
                behind = at[:, None] + _offsets(step, turn + bend, [-side * t for t in _BEHIND])
                goes_on = ~taken[ahead].any(axis=1) & line[behind].all(axis=1)
                goes_on &= doubt[ahead].sum(axis=1) <= SOUND * 255 * ahead.shape[1]
                for span in _BEYOND:
                    goes_on &= _height(flat, at, step, turn, [side * t for t in span]) >= least[those]
                tips[rows[those[goes_on]], columns[those[goes_on]]] = True
    return tips


def _height(flat: Whole, base: Whole, step: int, turn: int, along: range | list[int]) -> NDArray[np.float64]:
    """How much lighter a line through each place is than the lighter of its sides, on the average."""
    middle, left, right = (
        flat[base[:, None] + _offsets(step, turn, along, aside)].sum(axis=1) for aside in (0, _SIDE, -_SIDE)
    )
    return np.asarray((middle - np.maximum(left, right)) / len(along), np.float64)


def _offsets(step: int, turn: int, along: range | list[int], aside: int = 0) -> Whole:
    """Flat offsets of points along a line, `aside` to its left, in a plane `step` samples wide."""
    angle = np.pi * turn / _TURNS
    ux, uy = float(np.cos(angle)), float(np.sin(angle))
    return np.array([round(t * uy + aside * ux) * step + round(t * ux - aside * uy) for t in along], np.int32)
