"""Kinship: which pictures of the archive a picture from outside may come from, and where in them it lies.

Only reads the archive; fingerprints lie in a folder of their own that may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.registration import Registration
from archive_restore.ports import Archive, Kin
from archive_restore.records.findings import Finding
from archive_restore.records.imagery import PictureFacts

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Match:
    """A picture of the archive that a candidate was registered to."""

    kin: Kin
    registration: Registration
    """Between the arrays below."""
    candidate: Picture
    """The candidate as it was compared: uint8 (h, w) or (h, w, 3)."""
    reference: Picture
    """The archive's picture as it was compared."""


def look(archive: Archive, path: Path, facts: PictureFacts | None = None) -> Picture:
    """A picture as a person sees it, upright, longest edge at most 2048: uint8 (h, w) or (h, w, 3).

    Raise PictureUnreadable.
    """
    raise NotImplementedError


def refresh(archive: Archive, progress: Callable[[str], None] = lambda ref: None) -> tuple[Finding, ...]:
    """Fingerprint what came into the archive since the last time; what cannot be read is a finding."""
    raise NotImplementedError


def find_kin(archive: Archive, candidate: Picture, limit: int = 5) -> tuple[Match, ...]:
    """Pictures of the archive that the candidate is registered to, surest first; empty where it has no kin."""
    raise NotImplementedError
