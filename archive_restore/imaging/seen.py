"""A picture as a person sees it, small: sRGB of 8 bits, upright. For comparing and looking, never for a claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.errors import PictureUnreadable
from archive_restore.imaging.access import eight_bits, shown_samples
from archive_restore.imaging.engine import bands
from archive_restore.imaging.planes import upright
from archive_restore.imaging.reduce import PictureReducer
from archive_restore.ports import ColourSpace, PictureSource
from archive_restore.records.imagery import Region

LONGEST = 2048
"""Longest edge."""
_ROWS = 512
_WHOLE = 160_000_000
"""Bytes up to which a picture is read whole, which is faster."""


def seen(source: PictureSource, space: ColourSpace | None = None, longest: int = LONGEST) -> npt.NDArray[np.uint8]:
    """Read and reduce a picture: uint8 (h, w) of a gray one, (h, w, 3) of one in colours.

    `space` says what code values mean; sRGB, or their gray, where None. Raise PictureUnreadable.
    """
    facts = source.facts
    kept = shown_samples(facts.roles)
    if not kept:
        raise PictureUnreadable("a picture has neither gray nor red, green and blue")
    roles = [facts.roles[index] for index in kept]
    white = float(np.iinfo(source.dtype).max) if source.dtype.kind in "ui" else 1.0
    small = (
        source.dtype in (np.uint8, np.uint16, np.float32)
        and facts.width * facts.height * len(kept) * source.dtype.itemsize <= _WHOLE
    )
    values = _whole(source, kept, longest) if small else _reduced(source, kept, longest)
    if source.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        white = max(1.0, float(finite.max())) if finite.size else 1.0
    shown = eight_bits(values, roles, white, space)
    return upright(shown[:, :, 0] if shown.shape[2] == 1 else shown, facts.orientation)


def _whole(source: PictureSource, kept: tuple[int, ...], longest: int) -> npt.NDArray[Any]:
    import cv2

    facts = source.facts
    values = np.empty((facts.height, facts.width, len(kept)), source.dtype)
    for top, bottom in bands(facts.height, _ROWS):
        band = source.read(Region(top=top, left=0, bottom=bottom, right=facts.width))
        values[top:bottom] = band if band.shape[2] == len(kept) else band[:, :, list(kept)]
    factor = longest / max(facts.width, facts.height)
    if factor >= 1:
        return values
    size = (max(1, round(facts.width * factor)), max(1, round(facts.height * factor)))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA)).reshape(size[1], size[0], len(kept))


def _reduced(source: PictureSource, kept: tuple[int, ...], longest: int) -> npt.NDArray[Any]:
    facts = source.facts
    reducer = PictureReducer(facts.width, facts.height, len(kept), longest)
    for top, bottom in bands(facts.height, _ROWS):
        band = source.read(Region(top=top, left=0, bottom=bottom, right=facts.width))
        reducer.add(np.ascontiguousarray(band[:, :, list(kept)]))
    return reducer.result()
