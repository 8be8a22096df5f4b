"""Compares a derivative with its master pixel by pixel, band by band, and believes no map (promise P3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from archive_restore.core.synthesis_map import ClaimBreach, PixelDigest, check_claims, class_counts, histogram
from archive_restore.imaging.engine import bands
from archive_restore.ports import PictureSource
from archive_restore.records.imagery import PixelFlag, Region

ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the pixels really say."""

    breaches: tuple[ClaimBreach, ...]
    """Places where the map's claim does not hold, in coordinates of the frame; one a rule, pixels summed."""
    master_sha256: str
    """Digest of the master's decoded samples."""
    derivative_sha256: str
    """Digest of the derivative's decoded samples."""
    map_sha256: str
    """Digest of the decoded map."""
    histogram: tuple[int, ...]
    """Pixels a map value, 256 numbers."""

    @property
    def counts(self) -> dict[str, int]:
        """Pixels a class."""
        return class_counts(np.asarray(self.histogram, np.int64))


def compare(
    master: PictureSource, derivative: PictureSource, synthesis_map: PictureSource, allowed: PixelFlag
) -> Comparison:
    """Read all three once, in bands.

    The frames must agree: the caller checks sizes first. Raises PictureUnreadable from the sources.
    """
    facts = derivative.facts
    of_master, of_derivative, of_map = PixelDigest(), PixelDigest(), PixelDigest()
    total = np.zeros(256, np.int64)
    breaches: dict[str, ClaimBreach] = {}
    for top, bottom in bands(facts.height, ROWS):
        region = Region(top=top, left=0, bottom=bottom, right=facts.width)
        before, after = master.read(region), derivative.read(region)
        flags = synthesis_map.read(region)[:, :, 0].astype(np.uint8, copy=False)
        of_master.update(before)
        of_derivative.update(after)
        of_map.update(flags)
        total += histogram(flags)
        for breach in check_claims(flags, after, before, allowed):
            known = breaches.get(breach.rule)
            breaches[breach.rule] = (
                replace(breach, y=breach.y + top)
                if known is None
                else replace(known, pixels=known.pixels + breach.pixels)
            )
    return Comparison(
        breaches=tuple(breaches.values()),
        master_sha256=of_master.hexdigest(),
        derivative_sha256=of_derivative.hexdigest(),
        map_sha256=of_map.hexdigest(),
        histogram=tuple(int(n) for n in total),
    )
