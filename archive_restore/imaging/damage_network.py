"""Detection of damage by a trained network, alone or together with shape and contrast (damage.py).

The network (networks/damage.py) gives calibrated probabilities; here they are added up with the other's, cut at a
threshold, given a class and a polarity. Must never look beyond `halo`, so that tiles agree with the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging import network_frames
from archive_restore.imaging.damage import DamageParameters, Found, Plane
from archive_restore.imaging.network_frames import Cells, Place, Predict
from archive_restore.records.imagery import DamageClass

CLASSES = ("line", "spot", "crack", "thin")
"""Meanings of the network's planes that are used here; a card may have them in any order, and others."""
AROUND = 24
"""Pixels around damage with which its tone is compared."""
_FLAT = 1e-6
_SURE = 0.004  # probabilities nearer to 0 or 1 than this are taken for it
_UNSUSPICIOUS = 0.01  # what shape and contrast say of a pixel that they did not weigh
SHAPES_FROM = 0.2
"""Threshold from which shape and contrast spread over the body of a mark, where both are asked."""


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
) -> Found:
    """Mark damage.

    `luma`: float32 (H, W) in [0, 1], higher is lighter, at `place` in the picture; `order`: of `planes_of`; `needed`:
    rows and columns that count, outside of them all is SOUND; `shapes`: what `damage.search` says of the same pixels,
    to be added up; `least`: probability of thin damage from which a pixel is marked, instead of the parameters' own.
    Codes are SOUND, BRIGHT_LINE, DARK_LINE, BRIGHT_SPOT and DARK_SPOT. Losses and stains are left alone: what is not
    thin cannot be told from a white collar.
    """
    codes = np.zeros(luma.shape, np.uint8)
    likely = np.zeros(luma.shape, np.uint8)
    tile = np.clip(np.nan_to_num(luma), 0, 1).astype(np.float32)
    wide = network_frames.wider(needed, AROUND, luma.shape)
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
    inside = network_frames.inside(needed, wide)
    codes[needed] = np.where(marked, kind, np.uint8(DamageClass.SOUND))[inside]
    likely[needed] = np.rint(thin * 255).astype(np.uint8)[inside]
    return Found(codes=codes, probability=likely)


def _lighter(luma: Plane, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the picture is lighter than its sound surroundings, bool (h, w)."""
    sound = (~marked).astype(np.float32)
    side = (2 * AROUND + 1, 2 * AROUND + 1)
    total = cv2.boxFilter(luma * sound, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT)
    count = cv2.boxFilter(sound, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(luma * np.maximum(count, 1) >= total + _FLAT)


def halo(cells: Cells) -> int:
    """Pixels around a tile that `search` must see."""
    return network_frames.reach(cells) + AROUND
