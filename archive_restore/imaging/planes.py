"""One luma plane from samples of any depth and meaning, for looking only: no pixel is ever written from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.records.imagery import SampleRole

# Rec. ITU-R BT.709-6 §3.2: close to what an eye takes for lightness in the usual scanner profiles.
_WEIGHTS = {SampleRole.RED: 0.2126, SampleRole.GREEN: 0.7152, SampleRole.BLUE: 0.0722}
PICTURE_ROLES = (SampleRole.GRAY, SampleRole.GRAY_INVERTED, SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


def luma(samples: npt.NDArray[Any], roles: Sequence[SampleRole], white: float) -> npt.NDArray[np.float32]:
    """Luma in [0, 1], higher is lighter: float32 (h, w) from (h, w, samples) in code values up to `white`.

    Weighted code values, not light: damage is judged as it is seen. What is not finite counts as black.
    """
    total = np.zeros(samples.shape[:2], np.float32)
    for index, role in enumerate(roles):
        if role in (SampleRole.GRAY, SampleRole.GRAY_INVERTED):
            total += samples[:, :, index].astype(np.float32) * np.float32(1.0 / white)
            if role is SampleRole.GRAY_INVERTED:
                total = np.float32(1.0) - total
            break
        if role in _WEIGHTS:
            total += samples[:, :, index].astype(np.float32) * np.float32(_WEIGHTS[role] / white)
    if samples.dtype.kind == "f":
        total = np.nan_to_num(total, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
    return np.clip(total, 0.0, 1.0, out=total)


def colour_indices(roles: Sequence[SampleRole]) -> tuple[int, ...]:
    """Positions of the samples that make the picture: never alpha or infrared."""
    return tuple(index for index, role in enumerate(roles) if role in PICTURE_ROLES)


def upright(image: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn an array (h, w) or (h, w, 3) as EXIF/TIFF orientation 1..8 asks (TIFF 6.0 §8, Orientation)."""
    turned = image.swapaxes(0, 1) if orientation >= 5 else image
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)
