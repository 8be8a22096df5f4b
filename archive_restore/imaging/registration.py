"""Registration: where in a reference a candidate picture lies, and how sure that is.

Arrays in, facts out. The same arrays give the same answer; nothing here draws a random number of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from archive_restore.records.imagery import Geometry, Region

Picture = npt.NDArray[Any]
"""uint8 (h, w) or (h, w, 3) RGB, upright, as a person sees it."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """How a candidate lies in a reference."""

    matrix: Geometry
    """From candidate to reference pixel centres (x, y, 1)."""
    mirrored: bool
    rotation: float
    """Degrees, -180..180, by which the candidate is turned clockwise against the reference, after any mirroring."""
    scale: float
    """Candidate pixels a reference pixel."""
    content: Region
    """Rectangle of the candidate that shows the reference; outside of it lies a border, or nothing."""
    overlap: tuple[tuple[float, float], ...]
    """Corners (x, y), in candidate pixels, of the area that both show."""
    shown: float
    """Share of the reference's area that the candidate shows, 0..1."""
    matches: int
    """Features that agree on the matrix."""
    correlation: float
    """Normalized cross-correlation of the aligned pictures' detail, -1..1."""
    confidence: float
    """How sure the match is, 0..1; a match is stated from MATCH on."""


MATCH = 0.5
"""Confidence from which two pictures are said to be related."""


def register(candidate: Picture, reference: Picture) -> Registration | None:
    """Find the candidate in the reference; None where they are not related with confidence MATCH or more."""
    raise NotImplementedError
