"""Dust and scratches from a scanner's infrared channel, to which chromogenic dyes are nearly transparent.

Dirt blocks infrared whatever the picture shows (the principle of US patents 4,680,638 and 5,266,805). Must refuse
film whose picture is itself opaque to infrared: silver black-and-white film and, in part, Kodachrome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

HALO = 40
"""Pixels around a tile that `detect_infrared` must see."""
_RADIUS = 17  # dirt wider than 35 px is not told from the background here
_LEVELS = 4095


@dataclass(frozen=True, kw_only=True)
class InfraredParameters:
    """What a recipe may choose."""

    sensitivity: float = 6.0
    """How many standard deviations of the channel's noise a deficit must have; lower finds more."""
    least: float = 0.04
    """Least share of infrared light that dirt must block, 0..1."""


@dataclass(frozen=True, kw_only=True)
class InfraredSurvey:
    """What one look at the whole picture found: plain numbers, recorded with the derivation."""

    usable: bool
    """Whether the channel shows dirt and not the picture."""
    reason: str
    """Why not, in one line; empty when usable."""
    slope: float
    """Crosstalk: infrared change per change of the red plane."""
    correlation: float
    """Pearson's r of infrared and red."""
    offset: float
    """Median deficit against the local background (noise lifts the background), full scale = 1."""
    noise: float
    """Robust standard deviation of that deficit."""


def survey_infrared(infrared: Plane, red: Plane, samples: Sequence[tuple[Plane, Plane]] = ()) -> InfraredSurvey:
    """Decide whether the channel is usable and measure crosstalk and noise.

    `infrared`, `red`: the whole picture reduced, float32 (h, w) in [0, 1]; `samples`: pairs of full-resolution tiles of
    both, for the noise; without any, the reduced ones stand for them.
    """
    ir, visible = np.nan_to_num(infrared).astype(np.float64), np.nan_to_num(red).astype(np.float64)
    low, high = np.percentile(ir, [1, 99])
    if high < 0.02 or high - low < 1e-5:
        return _refused("the infrared channel is empty or constant", 0.0, 0.0)
    # dirt is dark in infrared: the darkest pixels would pull the regression, so it is fitted twice
    slope, correlation, use = 0.0, 0.0, np.ones(ir.shape, np.bool_)
    for _ in range(2):
        x, y = visible[use] - visible[use].mean(), ir[use] - ir[use].mean()
        sxx, syy, sxy = float((x * x).sum()), float((y * y).sum()), float((x * y).sum())
        slope = sxy / sxx if sxx > 0 else 0.0
        correlation = sxy / np.sqrt(sxx * syy) if sxx > 0 and syy > 0 else 0.0
        rest = ir - slope * visible
        middle = np.median(rest)
        use = np.abs(rest - middle) <= 4 * 1.4826 * np.median(np.abs(rest - middle)) + 1e-6
    share = abs(slope) * float(visible.std()) / max(float(ir.mean()), 1e-6)
    if abs(correlation) > 0.5 and share > 0.06:
        return _refused(
            f"the infrared channel shows the picture itself (correlation {correlation:.2f}): silver or Kodachrome film",
            slope,
            correlation,
        )
    deficits = np.concatenate([_deficit(i, r, slope).ravel() for i, r in (samples or ((infrared, red),))])
    offset = float(np.median(deficits))
    noise = float(1.4826 * np.median(np.abs(deficits - offset)))
    return InfraredSurvey(
        usable=True,
        reason="",
        slope=round(slope, 6),
        correlation=round(float(correlation), 4),
        offset=round(offset, 6),
        noise=round(max(noise, 1 / _LEVELS), 6),
    )


def _refused(reason: str, slope: float, correlation: float) -> InfraredSurvey:
    return InfraredSurvey(
        usable=False,
        reason=reason,
        slope=round(slope, 6),
        correlation=round(float(correlation), 4),
        offset=0.0,
        noise=0.0,
    )


def detect_infrared(
    infrared: Plane, red: Plane, parameters: InfraredParameters, overview: InfraredSurvey
) -> NDArray[np.bool_]:
    """Mark what blocks infrared: bool (H, W); nothing where the survey refused the channel.

    `infrared`, `red`: float32 (H, W) in [0, 1] of the same tile.
    """
    if not overview.usable:
        return np.zeros(infrared.shape, np.bool_)
    deficit = _deficit(infrared, red, overview.slope)
    least = overview.offset + max(parameters.sensitivity * overview.noise, parameters.least)
    sure = (deficit >= np.float32(least)).astype(np.uint8)
    # the foot of a sure deficit belongs to it down to half the threshold, two pixels far
    likely = (deficit >= np.float32(overview.offset + (least - overview.offset) / 2)).astype(np.uint8)
    three = np.ones((3, 3), np.uint8)
    for _ in range(2):
        sure = cv2.dilate(sure, three) & likely | sure
    return np.asarray(sure > 0)


def _deficit(infrared: Plane, red: Plane, slope: float) -> Plane:
    """Share of infrared missing against the local background, crosstalk removed; exact in tiles (integers)."""
    clean = np.nan_to_num(infrared) - np.float32(slope) * np.nan_to_num(red)
    clean = np.rint(np.clip(clean - np.float32(min(-slope, 0.0)), 0, 2) * np.float32(_LEVELS)).astype(np.int16)
    wide = cv2.copyMakeBorder(clean, 1, 1, 1, 1, cv2.BORDER_REFLECT_101).astype(np.int32)
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    fine = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    side = 2 * _RADIUS + 1
    background = (
        cv2.morphologyEx(
            np.minimum(fine // 2, 65535).astype(np.uint16), cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)
        ).astype(np.int32)
        * 2
    )
    return np.asarray((background - fine) / np.maximum(background, 16), np.float32)
