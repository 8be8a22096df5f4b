"""Geometry of tiles with halos over a frame: which rectangle is worked on, which is read, where it is cut out.

Pure arithmetic. A step that looks `halo` pixels around itself gives on such tiles what it gives on the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archive_restore.errors import UsageError
from archive_restore.records.imagery import Region


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One step of the walk."""

    core: Region
    """Pixels this tile answers for: the cores of a grid cover the frame once."""
    read: Region
    """Core and halo, clipped to the frame."""

    @property
    def crop(self) -> tuple[slice, slice]:
        """Rows and columns of the core inside an array that holds `read`."""
        return self.core.within(self.read)


def grid(height: int, width: int, *, edge: int, halo: int, align: int = 2) -> Iterator[tuple[Tile, ...]]:
    """Bands of tiles from top to bottom, each band from left to right.

    `edge`: rows and columns of a core, pixels; `halo`: least pixels read around it, rounded up to `align`, as is
    demanded of `edge`, so that every `read` starts at a multiple of `align`. Raises UsageError for other sizes.
    """
    if edge < 1 or halo < 0 or align < 1 or edge % align:
        raise UsageError(
            f"tiles of {edge} pixels with a halo of {halo} cannot be laid",
            hint=f"Use an edge that is a multiple of {align}",
        )
    around = -(-halo // align) * align
    for top in range(0, height, edge):
        yield tuple(
            _tile(
                Region(top=top, left=left, bottom=min(top + edge, height), right=min(left + edge, width)),
                height,
                width,
                around,
            )
            for left in range(0, width, edge)
        )


def _tile(core: Region, height: int, width: int, halo: int) -> Tile:
    read = Region(
        top=max(core.top - halo, 0),
        left=max(core.left - halo, 0),
        bottom=min(core.bottom + halo, height),
        right=min(core.right + halo, width),
    )
    return Tile(core=core, read=read)
