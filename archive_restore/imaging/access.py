"""Access copies as arrays: samples of any depth as 8-bit gray or RGB, the caption's place, the encoding's error.

What is rounded here is measured nowhere else: every claim about a copy rests on the 8-bit samples made here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.planes import upright
from archive_restore.ports import ColourSpace, Samples
from archive_restore.records.access import EncodingError
from archive_restore.records.imagery import Region, SampleRole
from archive_restore.records.labels import Position

Bytes = npt.NDArray[np.uint8]
_COLOURS = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)
_TO_SRGB = np.linalg.inv(
    np.array(
        [
            (0.4123907993, 0.3575843394, 0.1804807884),
            (0.2126390059, 0.7151686788, 0.0721923154),
            (0.0193308187, 0.1191947798, 0.9505321522),
        ]
    )
)  # XYZ relative to D65 to linear sRGB (IEC 61966-2-1)


def shown_samples(roles: Sequence[SampleRole]) -> tuple[int, ...]:
    """Positions of the samples that a copy has: one of gray, or red, green and blue; none where there are no such."""
    for role in (SampleRole.GRAY, SampleRole.GRAY_INVERTED):
        if role in roles:
            return (roles.index(role),)
    return tuple(roles.index(role) for role in _COLOURS) if all(role in roles for role in _COLOURS) else ()


def eight_bits(samples: Samples, roles: Sequence[SampleRole], white: float, space: ColourSpace | None = None) -> Bytes:
    """Samples (h, w, samples) up to `white` as uint8 (h, w, 1 or 3), rounded to the nearest; 0 is black.

    With `space`, what the code values mean, they are converted to sRGB first; colours outside it are clipped.
    """
    kept = samples[:, :, shown_samples(roles)]
    if space is not None:
        return _srgb(_share(kept, roles, white), space)
    if kept.dtype == np.uint8 and white == 255:
        result = np.asarray(kept, np.uint8)
        return 255 - result if SampleRole.GRAY_INVERTED in roles else result
    if kept.dtype == np.uint16 and white == 65535:
        table = np.asarray((np.arange(65536, dtype=np.uint32) * 255 + 32767) // 65535, np.uint8)
        return np.asarray(table[65535 - kept if SampleRole.GRAY_INVERTED in roles else kept], np.uint8)
    return np.asarray(np.rint(_share(kept, roles, white) * 255), np.uint8)


def _share(kept: Samples, roles: Sequence[SampleRole], white: float) -> npt.NDArray[np.float64]:
    values = np.nan_to_num(kept.astype(np.float64) / white, nan=0.0, posinf=1.0, neginf=0.0).clip(0.0, 1.0)
    return 1.0 - values if SampleRole.GRAY_INVERTED in roles else values


def _srgb(values: npt.NDArray[np.float64], space: ColourSpace) -> Bytes:
    light: npt.NDArray[np.floating[Any]] = np.interp(values, np.linspace(0.0, 1.0, len(space.curve)), space.curve)
    if light.shape[2] == 3:
        light = light @ np.array(space.to_xyz).T @ _TO_SRGB.T
    light = light.clip(0.0, 1.0)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(coded * 255), np.uint8)


# --- the caption's place -----------------------------------------------------------------------------


def shown_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """(height, width) of a picture once it is turned as its orientation asks."""
    return (width, height) if orientation >= 5 else (height, width)


def sheet_place(
    height: int, width: int, band: tuple[int, int], orientation: int, position: Position
) -> tuple[tuple[int, int], Region, Region]:
    """Where picture and band lie in a sheet that holds both: ((height, width), picture, band) as they are stored.

    `height` and `width` are the stored picture's, `band` is (height, width) of the band as a person sees it. Turned as
    `orientation` asks, the band lies below or above the picture, which stands in its middle.
    """
    tall, wide = shown_size(height, width, orientation)
    across = max(wide, band[1])
    shown = (tall + band[0], across)
    top = band[0] if position is Position.ABOVE else 0
    left = (across - wide) // 2
    picture = Region(top=top, left=left, bottom=top + tall, right=left + wide)
    start = 0 if position is Position.ABOVE else tall
    words = Region(top=start, left=0, bottom=start + band[0], right=band[1])
    stored = shown_size(*shown, orientation)
    return stored, stored_region(picture, stored, orientation), stored_region(words, stored, orientation)


def stored_band(band: Bytes, orientation: int) -> Bytes:
    """A band as a person sees it, turned so that `orientation` turns it back."""
    return upright(band, {6: 8, 8: 6}.get(orientation, orientation))


def stored_region(region: Region, stored: tuple[int, int], orientation: int) -> Region:
    """A rectangle of a picture as it is shown, in the stored one of (height, width) (TIFF 6.0 §8, Orientation)."""
    rows, columns = (region.top, region.bottom), (region.left, region.right)
    if orientation >= 5:
        rows, columns = columns, rows
    # What `upright` turns round after it swapped the axes, undone on the stored ones.
    flip_rows = orientation in ((6, 7) if orientation >= 5 else (3, 4))
    flip_columns = orientation in ((7, 8) if orientation >= 5 else (2, 3))
    height, width = stored
    top, bottom = (height - rows[1], height - rows[0]) if flip_rows else rows
    left, right = (width - columns[1], width - columns[0]) if flip_columns else columns
    return Region(top=top, left=left, bottom=bottom, right=right)


# --- the encoding's error ----------------------------------------------------------------------------


class ErrorMeter:
    """Adds up how far two pictures lie apart, fed in bands of any size."""

    def __init__(self) -> None:
        self._histogram = np.zeros(256, np.int64)

    def add(self, meant: Bytes, decoded: Bytes) -> None:
        """Bands of the same shape; raise ValueError where they are not."""
        if meant.shape != decoded.shape:
            raise ValueError(f"{meant.shape} and {decoded.shape} are not the same rows")
        apart = np.abs(meant.astype(np.int16) - decoded.astype(np.int16))
        self._histogram += np.bincount(apart.ravel(), minlength=256)

    def result(self) -> EncodingError:
        """Of all bands so far."""
        values, count = np.arange(256), max(1, int(self._histogram.sum()))
        squares = float((values**2 * self._histogram).sum()) / count
        return EncodingError(
            psnr=round(10 * math.log10(255**2 / squares), 2) if squares else None,
            maximum=int(np.flatnonzero(self._histogram).max(initial=0)),
            mean=round(float((values * self._histogram).sum()) / count, 4),
        )
