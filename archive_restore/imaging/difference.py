"""Difference: what in a candidate departs from an aligned reference beyond what encoding, scale and grading explain.

A region says that pixels differ in a way that no global operation explains; it never says who changed them, or why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.registration import Picture, Registration
from archive_restore.records.imagery import Region


@dataclass(frozen=True, kw_only=True)
class ChangedRegion:
    """A place that was changed."""

    region: Region
    """Rectangle around it in candidate pixels, rounded outwards."""
    share: float
    """Changed area as a share of the candidate's picture area, 0..1."""
    strength: float
    """Mean departure in units of what the encoding explains; 1 is the limit of what is explained."""
    colour_only: bool
    """Only colours differ, not luminance."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What departs, and what was done to the whole picture."""

    strength: npt.NDArray[np.uint8]
    """(h, w) of the candidate reduced by `scale`: 0 where everything is explained, else how far beyond it, to 255."""
    compared: npt.NDArray[np.bool_]
    """(h, w): where both pictures have pixels."""
    scale: float
    """Candidate pixels a pixel of `strength`."""
    regions: tuple[ChangedRegion, ...]
    """Largest first; empty where nothing was found."""
    mirrored: bool
    rotation: float
    """Degrees clockwise, -180..180."""
    resized: float
    """Candidate pixels a reference pixel."""
    shown: float
    """Share of the reference's area that the candidate shows; clearly below 1 is a crop."""
    bordered: bool
    """The candidate has an area beside the picture: letterbox, frame, screen."""
    grayscale: bool
    """The reference has colours and the candidate none."""
    tinted: bool
    """The reference has no colours and the candidate has."""
    graded: bool
    """Tones or colours were changed as a whole."""
    tone: tuple[tuple[int, int], ...]
    """The fitted curve as (reference, candidate) luminance codes 0..255."""
    softness: float
    """Standard deviation in candidate pixels of the blur that explains the candidate best; 0 where it is as sharp."""
    noise: float
    """What the encoding adds, as estimated: standard deviation in code values 0..255."""


def difference(candidate: Picture, reference: Picture, registration: Registration) -> Difference:
    """Compare a candidate with what it was registered to.

    Both must be the arrays that `register` saw. Takes either as gray where the other is.
    """
    raise NotImplementedError
