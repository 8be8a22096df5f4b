"""Luminance as stories keep it: linear light weighed with the primaries, re-encoded with the picture's own curve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archive_restore.ports import ColourSpace, Samples
from archive_restore.records.imagery import PictureFacts, SampleRole

_COLOURS = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


def encoded_luminance(
    samples: Samples, facts: PictureFacts, white: float, space: ColourSpace
) -> npt.NDArray[np.float32]:
    """Luminance of (h, w, samples) as code value, share of full scale: float32 (h, w), 0 is black.

    Of gray it is the gray itself. Raise ValueError where the picture is neither gray nor RGB.
    """
    roles = facts.roles
    for role in (SampleRole.GRAY, SampleRole.GRAY_INVERTED):
        if role in roles:
            gray = _share(samples[:, :, roles.index(role)], white)
            return 1 - gray if role is SampleRole.GRAY_INVERTED else gray
    if not all(role in roles for role in _COLOURS):
        raise ValueError("a picture that is neither gray nor RGB has no luminance")
    light = np.zeros(samples.shape[:2], np.float32)
    last = len(space.curve) - 1
    for role, weight in zip(_COLOURS, space.to_xyz[1], strict=True):
        codes = _share(samples[:, :, roles.index(role)], white)
        light += np.float32(weight) * space.curve[np.rint(codes * last).astype(np.intp)]
    # Where a curve is flat several codes mean the same light; any of them will do.
    codes = np.linspace(0.0, 1.0, len(space.curve), dtype=np.float32)
    return np.interp(light, space.curve, codes).astype(np.float32)


def _share(plane: Samples, white: float) -> npt.NDArray[np.float32]:
    values = plane.astype(np.float32) * np.float32(1 / white)
    return np.asarray(np.clip(np.nan_to_num(values, copy=False, nan=0.0, posinf=1.0, neginf=0.0), 0, 1), np.float32)


def spread_gray(samples: Samples, facts: PictureFacts, white: float) -> tuple[Samples, tuple[SampleRole, ...]]:
    """Gray as RGB of three equal samples, and what each sample then is: (h, w, samples + 2) of the same dtype.

    Where 0 is white it is turned round; alpha, infrared and the like stay as they are, behind the colours. RGB comes
    back as it is.
    """
    roles = facts.roles
    if SampleRole.RED in roles:
        return samples, roles
    inverted = SampleRole.GRAY_INVERTED in roles
    at = roles.index(SampleRole.GRAY_INVERTED if inverted else SampleRole.GRAY)
    gray = samples[:, :, at : at + 1]
    if inverted:
        gray = (samples.dtype.type(white) - gray).astype(samples.dtype)
    rest = [index for index in range(len(roles)) if index != at]
    spread = np.concatenate([gray, gray, gray, samples[:, :, rest]], axis=2)
    return spread, (*_COLOURS, *(roles[index] for index in rest))
