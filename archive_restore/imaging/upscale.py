"""Enlarges pictures with a network of super-resolution, tile by tile, in memory that does not grow with their height.

A tile is read with `overlap` pixels of its surroundings, and only what lies inside them is kept. So the result is that
of the whole picture where the overlap is the receptive field of the network, and close to it where it is less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from archive_restore.core.model_contracts import FloatPlanes
from archive_restore.errors import ModelUnusable, UsageError
from archive_restore.imaging.tiles import Tile, grid
from archive_restore.records.imagery import Region

FloatPicture = npt.NDArray[np.float32]
"""(h, w, channels), usually in [0, 1]."""
Enlarge = Callable[[FloatPlanes], FloatPlanes]
"""(1, c, h, w) to (1, c, scale·h, scale·w), for instance `predict` of a ports.Network."""


def upscale_tiles(
    picture: FloatPicture, network: Enlarge, *, scale: int, tile: int, overlap: int, threads: int = 1
) -> FloatPicture:
    """Enlarge float32 (h, w, c) to (scale·h, scale·w, c); see `upscale_bands`."""

    def read(region: Region) -> FloatPicture:
        return picture[region.top : region.bottom, region.left : region.right]

    height, width = picture.shape[:2]
    made = np.empty((height * scale, width * scale, *picture.shape[2:]), np.float32)
    bottom = 0
    for band in upscale_bands(read, height, width, network, scale=scale, tile=tile, overlap=overlap, threads=threads):
        made[bottom : bottom + len(band)] = band
        bottom += len(band)
    return made


def upscale_bands(
    read: Callable[[Region], FloatPicture],
    height: int,
    width: int,
    network: Enlarge,
    *,
    scale: int,
    tile: int,
    overlap: int,
    threads: int = 1,
) -> Iterator[FloatPicture]:
    """Enlarge a picture that is read region by region; gives bands of whole rows from top to bottom, float32.

    `height` and `width` are those of the picture, `tile` and `overlap` pixels of it: the rows and columns that a
    tile answers for, and those read around it; `threads` tiles are in work at once, which changes nothing but time and
    memory. `read` is called from one thread. Raise UsageError for sizes that cannot be, ModelUnusable where the
    network gives a frame of another size.
    """
    if scale < 1 or threads < 1:
        raise UsageError(f"a picture cannot be enlarged {scale} times by {threads} threads")
    with ThreadPoolExecutor(threads) as pool:
        for tiles in grid(height, width, edge=tile, halo=overlap, align=1):
            given = [read(one.read) for one in tiles]
            band = np.empty((tiles[0].core.height * scale, width * scale, given[0].shape[2]), np.float32)
            list(pool.map(partial(_enlarge, network, scale, band), tiles, given))
            yield band


def _enlarge(network: Enlarge, scale: int, band: FloatPicture, tile: Tile, picture: FloatPicture) -> None:
    """Write into the band what the network makes of a tile with its surroundings, without them."""
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32)
    made = network(planes)
    wanted = (1, planes.shape[1], planes.shape[2] * scale, planes.shape[3] * scale)
    if made.shape != wanted:
        raise ModelUnusable(f"the network gave {made.shape} for {planes.shape}, not {scale} times as much")
    rows, columns = (slice(part.start * scale, part.stop * scale) for part in tile.crop)
    band[:, tile.core.left * scale : tile.core.right * scale] = made[0, :, rows, columns].transpose(1, 2, 0)
