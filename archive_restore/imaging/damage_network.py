"""Detection of damage by a trained network, alone or together with shape and contrast (damage.py).

The network (networks/damage.py) gives calibrated probabilities; here they are added up with the other's, cut at a
threshold, given a class and a polarity. Must never look beyond `halo`, so that tiles agree with the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging import light_lines, network_frames
from archive_restore.imaging.damage import ALIGN, DamageParameters, Found, Plane
from archive_restore.imaging.network_frames import Cells, Place, Predict
from archive_restore.records.imagery import DamageClass

CLASSES = ("line", "spot", "crack", "thin")
"""Meanings of the network's planes that are used here; a card may have them in any order, and others."""
AROUND = 24
"""Pixels around damage with which its tone is compared."""
_FLAT = 1e-6
_SURE = 0.004  # probabilities nearer to 0 or 1 than this are taken for it
_UNSUSPICIOUS = 0.01  # what shape and contrast say of a pixel that they did not weigh
SPARED_REACH = 48
"""Pixels that a mark is followed into a feature of a face, from where it is clear of it."""
SPARED_SURE = 0.9
"""Probability from which a mark counts inside a feature; brows and lips of undamaged portraits came to 0.85."""
_CLEAR = 4  # pixels that it must lie away from the feature there: a brow may be longer than its outline
_FOLLOWED = 0.5  # share of the threshold down to which a mark is followed
LONG = 25
"""Pixels from which a straight dark line is long: a stay, a wire, a seam, more often than a scratch."""
LONG_SURE = 0.92
"""Probability from which a long dark line counts all the same; stays and seams of old photographs came to it."""
_TURNS = 16  # directions in which a line may run
_LONG_FOLLOWED = 8  # pixels that a long line is followed beyond its straight part
_LONG_REACH = LONG + 1 + _LONG_FOLLOWED
SHAPES_FROM = 0.2
"""Threshold from which shape and contrast spread over the body of a mark, where both are asked."""


class LongLight(Enum):
    """What becomes of long light lines."""

    MARK = "mark"
    """They count like all others."""
    WEIGH = "weigh"
    """Those that are part of the picture (light_lines.py) are left to a person."""
    LEAVE = "leave"
    """All are, as long dark ones."""


@dataclass(frozen=True, kw_only=True)
class Spared:
    """Where faces have what a detector easily takes for damage, bool (h, w) like the tile."""

    features: NDArray[np.bool_]
    """Brows, eyes, nostrils and lips."""
    eyes: NDArray[np.bool_]
    """Where also light spots are none, but glints."""


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """How two opinions add up, in log-odds: logistic regression on the validation split."""

    network: float
    """Weight of the network's log-odds."""
    shapes: float
    """Weight of those of shape and contrast."""
    offset: float


def log_odds(probability: Plane) -> Plane:
    """Of probabilities in [0, 1], cut where both opinions are taken for certain."""
    p = np.clip(probability, _SURE, 1 - _SURE)
    return np.asarray(np.log(p / (1 - p)), np.float32)


def shape_odds(probability: NDArray[np.uint8]) -> Plane:
    """Log-odds of what `damage.search` says, (h, w)."""
    return log_odds(np.where(probability > 0, probability / np.float32(255), np.float32(_UNSUSPICIOUS)))


def fused(thin: Plane, shapes: NDArray[np.uint8], fusion: Fusion) -> Plane:
    """Probability of thin damage from the network's and that of `damage.search`, (h, w)."""
    total = fusion.network * log_odds(thin) + fusion.shapes * shape_odds(shapes) + fusion.offset
    return np.asarray(1 / (1 + np.exp(-total)), np.float32)


def planes_of(names: Sequence[str]) -> tuple[int, ...]:
    """Where CLASSES lie among the planes a card names; raise KeyError with the name that is missing."""
    missing = [name for name in CLASSES if name not in names]
    if missing:
        raise KeyError(missing[0])
    return tuple(names.index(name) for name in CLASSES)


def search(
    luma: Plane,
    predict: Predict,
    order: Sequence[int],
    parameters: DamageParameters,
    least: float,
    place: Place,
    needed: tuple[slice, slice],
    cells: Cells,
    shapes: tuple[NDArray[np.uint8], Fusion] | None = None,
    spared: Spared | None = None,
    leave_long: bool = False,
    long_light: LongLight = LongLight.MARK,
) -> Found:
    """Mark damage.

    `luma`: float32 (H, W) in [0, 1], higher is lighter, at `place` in the picture; `order`: of `planes_of`; `needed`:
    rows and columns that count, outside of them all is SOUND; `shapes`: what `damage.search` says of the same pixels,
    to be added up; `least`: probability of thin damage from which a pixel is marked, instead of the parameters' own;
    `spared`: where more than that is asked (`unspared`); `leave_long`: whether long dark lines are left to a person;
    `long_light`: what becomes of long light ones. Codes are SOUND, BRIGHT_LINE, DARK_LINE, BRIGHT_SPOT and DARK_SPOT.
    Losses and stains are left alone: what is not thin cannot be told from a white collar.
    """
    codes = np.zeros(luma.shape, np.uint8)
    likely = np.zeros(luma.shape, np.uint8)
    tile = np.clip(np.nan_to_num(luma), 0, 1).astype(np.float32)
    around = margin(spares=spared is not None, leave_long=leave_long, long_light=long_light)
    wide = network_frames.wider(needed, around, luma.shape)
    chance = network_frames.run(predict, tile[None], place, wide, cells)[list(order)]
    line, spot, crack, thin = chance
    if shapes is not None:
        thin = fused(thin, shapes[0][wide], shapes[1])
    marked = thin > least
    bright = _lighter(tile[wide], marked)
    drawn = np.maximum(line, crack)
    is_line = drawn >= spot
    kind = np.where(
        bright,
        np.where(is_line, np.uint8(DamageClass.BRIGHT_LINE), np.uint8(DamageClass.BRIGHT_SPOT)),
        np.where(is_line, np.uint8(DamageClass.DARK_LINE), np.uint8(DamageClass.DARK_SPOT)),
    )
    marked &= (bright & parameters.bright) | (~bright & parameters.dark)
    marked &= (is_line & parameters.lines) | (~is_line & parameters.spots)
    left = long_lines(marked & ~bright & is_line) if leave_long else np.zeros_like(marked)
    if long_light is not LongLight.MARK:
        light = marked & bright & is_line
        long = long_lines(light)
        if long_light is LongLight.WEIGH and long.any():
            long &= light_lines.part_of_picture(tile[wide], marked, thin, light)
        left |= long
    left &= thin < LONG_SURE
    if spared is not None:
        here = Spared(features=spared.features[wide], eyes=spared.eyes[wide])
        marked = unspared(marked, thin >= _FOLLOWED * least, thin >= SPARED_SURE, bright, is_line, here)
    inside = network_frames.inside(needed, wide)
    codes[needed] = np.where(marked & ~left, kind, np.uint8(DamageClass.SOUND))[inside]
    likely[needed] = np.rint(thin * 255).astype(np.uint8)[inside]
    return Found(codes=codes, probability=likely)


def _lighter(luma: Plane, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the picture is lighter than its sound surroundings, bool (h, w)."""
    sound = (~marked).astype(np.float32)
    side = (2 * AROUND + 1, 2 * AROUND + 1)
    total = cv2.boxFilter(luma * sound, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT)
    count = cv2.boxFilter(sound, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(luma * np.maximum(count, 1) >= total + _FLAT)


def unspared(
    marked: NDArray[np.bool_],
    followed: NDArray[np.bool_],
    sure: NDArray[np.bool_],
    bright: NDArray[np.bool_],
    is_line: NDArray[np.bool_],
    spared: Spared,
) -> NDArray[np.bool_]:
    """The marks that stay, all bool (h, w).

    Inside a feature, dark ones and light spots in an eye go, unless they are `sure`, or reach in from a mark outside
    through pixels that are `followed`, by no more than SPARED_REACH. Other light marks stay: features are dark.
    """
    if not spared.features.any():
        return marked
    rows, columns = (np.flatnonzero(spared.features.any(axis=axis)) for axis in (1, 0))
    extent = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    part = network_frames.wider(extent, _CLEAR + 1, marked.shape)
    near = cv2.dilate(spared.features[part].astype(np.uint8), np.ones((2 * _CLEAR + 1,) * 2, np.uint8))
    way = marked[part].astype(np.uint8) | (followed[part].astype(np.uint8) & near)
    reached = marked[part].astype(np.uint8) & (1 - near)
    square = np.ones((3, 3), np.uint8)
    for _ in range(SPARED_REACH):
        reached = cv2.dilate(reached, square) & way
    kept = marked.copy()
    kept[part] &= (reached > 0) | sure[part] | ~spared.features[part] | (bright & (is_line | ~spared.eyes))[part]
    return kept


def long_lines(lines: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of `lines`, bool (h, w), that belong to a line with a straight part of LONG pixels or more.

    A line may be one pixel off the straight, and is followed by _LONG_FOLLOWED pixels beyond its straight part.
    """
    long = np.zeros(lines.shape, np.bool_)
    if not lines.any():
        return long
    rows, columns = (np.flatnonzero(lines.any(axis=axis)) for axis in (1, 0))
    extent = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    part = network_frames.wider(extent, 1, lines.shape)
    square = np.ones((3, 3), np.uint8)
    way = lines[part].astype(np.uint8)
    broad = cv2.dilate(way, square)
    straight = np.zeros_like(broad)
    for turn in range(_TURNS):
        straight |= cv2.morphologyEx(
            broad, cv2.MORPH_OPEN, _stroke(turn), borderType=cv2.BORDER_CONSTANT, borderValue=0
        )
    reached = straight & way
    for _ in range(_LONG_FOLLOWED):
        reached = cv2.dilate(reached, square) & way
    long[part] = reached > 0
    return long


def _stroke(turn: int) -> NDArray[np.uint8]:
    """A line of LONG pixels through the middle of a square, in one of _TURNS directions."""
    half = LONG // 2
    stroke = np.zeros((LONG, LONG), np.uint8)
    along = np.arange(-half, half + 1)
    angle = np.pi * turn / _TURNS
    longest = max(abs(np.cos(angle)), abs(np.sin(angle)))
    across, down = (np.rint(along * side / longest).astype(int) for side in (np.cos(angle), np.sin(angle)))
    stroke[down + half, across + half] = 1
    return stroke


def margin(*, spares: bool = False, leave_long: bool = False, long_light: LongLight = LongLight.MARK) -> int:
    """Pixels around what is needed of a tile in which marks must be known; even, since shapes pair pixels.

    `spares`: where features of faces may be spared; `leave_long`: where long dark lines are left to a person;
    `long_light`: what becomes of long light ones.
    """
    reaches = [SPARED_REACH] * spares + [_LONG_REACH] * (leave_long or long_light is not LongLight.MARK)
    reach = AROUND + max(reaches + [light_lines.REACH] * (long_light is LongLight.WEIGH), default=0)
    return reach + reach % ALIGN


def halo(
    cells: Cells, *, spares: bool = False, leave_long: bool = False, long_light: LongLight = LongLight.MARK
) -> int:
    """Pixels around a tile that `search` must see; arguments as for `margin`."""
    return network_frames.reach(cells) + margin(spares=spares, leave_long=leave_long, long_light=long_light)
