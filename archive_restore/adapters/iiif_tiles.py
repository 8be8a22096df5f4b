"""Cuts stored pictures into JPEG tiles for IIIF Image API 3, level 0: sRGB of 8 bits, upright, in bounded memory.

A picture is read in bands through the Pictures port. Stories get their caption in a band outside the picture, as access
copies do; the map of a captioned picture gets the same band, so that the two lie over one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt

from archive_restore.adapters import previews
from archive_restore.adapters.durable import WRITABLE, storage_errors, write_hashed
from archive_restore.adapters.picture_files import icc_profile
from archive_restore.core.image_tiles import TiledPicture
from archive_restore.core.synthesis_map import display_table
from archive_restore.errors import PictureUnreadable
from archive_restore.imaging.access import eight_bits, shown_samples, shown_size, stored_region
from archive_restore.imaging.engine import bands, overview
from archive_restore.imaging.planes import upright
from archive_restore.imaging.pyramid import Pyramid, averaged, in_part, united
from archive_restore.ports import Pictures, PictureSource
from archive_restore.records.imagery import PictureFacts, Region
from archive_restore.records.labels import Position

Bytes = npt.NDArray[np.uint8]
_ROWS = 64  # converted at once: a conversion takes eight bytes a sample, several times
QUALITY = 90
"""Of the JPEG encoder; every sample has its own chroma (4:4:4)."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Where a picture lies on what is shown, all upright: the picture in the middle, the caption below or above."""

    width: int
    """Of the picture, pixels."""
    height: int
    wide: int
    """Of the sheet, pixels; at least `width`."""
    caption: Bytes | None = None
    """(rows, wide, 3) the band; None where nothing is to be said in sight."""
    position: Position = Position.BELOW

    @property
    def tall(self) -> int:
        """Height of the sheet, pixels."""
        return self.height + (0 if self.caption is None else len(self.caption))

    @property
    def tiles(self) -> TiledPicture:
        """The sheet, cut."""
        return TiledPicture(width=self.wide, height=self.tall)


Put = Callable[[str, bytes], None]
"""Takes a path below the package and the bytes of the file."""


def shown_facts(pictures: Pictures, path: Path) -> PictureFacts:
    """What the pixels of a picture are; raise PictureUnreadable where they cannot be shown."""
    with pictures.open(path) as source:
        facts = source.facts
    if not shown_samples(facts.roles):
        raise PictureUnreadable(f"{path.name!r} is neither gray nor RGB", hint="Publish gray and RGB pictures")
    return facts


def cut_picture(pictures: Pictures, path: Path, sheet: Sheet, folder: str, put: Put) -> None:
    """Write all tiles of a picture below `folder`."""
    with pictures.open(path) as source:
        facts = source.facts
        convert = _conversion(pictures, path, source)
        colours = 3 if sheet.caption is not None else len(shown_samples(facts.roles))
        writer = _TileWriter(sheet.tiles, folder, put, lambda band: band)
        pyramid = Pyramid(len(sheet.tiles.factors), sheet.tiles.edge, writer.band, averaged)
        rows = (_coloured(convert(part), colours) for part in _upright_bands(source, facts, sheet.tiles.edge))
        for part in _sheet_rows(rows, sheet, colours):
            pyramid.add(part)
        pyramid.finish()
    writer.finish()


def cut_map(pictures: Pictures, path: Path, orientation: int, sheet: Sheet, folder: str, put: Put) -> None:
    """Write all tiles of a synthesis map in its display colours; no reduced tile hides a flag.

    `orientation` is that of the picture it belongs to: a map lies as its picture is stored.
    """
    table = display_table()[:, :3]

    def coloured(band: Bytes) -> Bytes:
        colours = np.asarray(table[band[:, :, 0]])
        if band.shape[2] == 1:
            return colours
        return np.where(band[:, :, 4:] > 127, band[:, :, 1:4], colours)

    with pictures.open(path) as source:
        facts = source.facts
        writer = _TileWriter(sheet.tiles, folder, put, coloured)
        layers = 1 if sheet.caption is None else 5  # flags; colours of the caption and where it lies
        halve = united if layers == 1 else in_part([0])
        pyramid = Pyramid(len(sheet.tiles.factors), sheet.tiles.edge, writer.band, halve)
        rows = _upright_bands(source, facts, sheet.tiles.edge, orientation)
        for part in _sheet_rows((_layered(part[:, :, :1], layers) for part in rows), sheet, layers):
            pyramid.add(part)
        pyramid.finish()
    writer.finish()


# --- reading -----------------------------------------------------------------------------------------


def _upright_bands(
    source: PictureSource, facts: PictureFacts, rows: int, orientation: int = 0
) -> Iterator[npt.NDArray[np.generic]]:
    """The picture from the top as a person sees it, in bands of `rows`: (n, width, samples) as they are stored."""
    turned = orientation or facts.orientation
    height, width = shown_size(facts.height, facts.width, turned)
    for top, bottom in bands(height, rows):
        part = Region(top=top, left=0, bottom=bottom, right=width)
        yield upright(source.read(stored_region(part, (facts.height, facts.width), turned)), turned)


def _conversion(pictures: Pictures, path: Path, source: PictureSource) -> Callable[[npt.NDArray[np.generic]], Bytes]:
    """From stored samples to sRGB of 8 bits, (h, w, 1 or 3)."""
    facts = source.facts
    whole = 0.0 if source.dtype.kind == "f" else float(np.iinfo(source.dtype).max)
    white = whole or overview(source).white
    if not facts.icc_sha256:
        return lambda samples: eight_bits(samples, facts.roles, white)
    space = pictures.colour_space(path, facts)
    if not space.name.endswith("read as sRGB"):
        return lambda samples: np.concatenate(
            [eight_bits(samples[top:bottom], facts.roles, white, space) for top, bottom in bands(len(samples), _ROWS)]
        )
    # A profile of tables: the colour library that previews use understands it, at 8 bits.
    transfer = previews.transfer_for(facts, white, icc_profile(path, facts))
    plain = previews.Transfer(roles=transfer.roles, white=transfer.white, icc=transfer.icc)

    def converted(samples: npt.NDArray[np.generic]) -> Bytes:
        made = previews.display(samples, plain)
        return made[:, :, None] if made.ndim == 2 else made

    return converted


def _coloured(samples: Bytes, colours: int) -> Bytes:
    return samples if samples.shape[2] == colours else np.repeat(samples, colours, axis=2)


def _layered(flags: npt.NDArray[np.generic], layers: int) -> Bytes:
    if layers == 1:
        return np.asarray(flags, np.uint8)
    sheet = np.zeros((*flags.shape[:2], layers), np.uint8)
    sheet[:, :, :1] = flags
    return sheet


def _sheet_rows(rows: Iterator[Bytes], sheet: Sheet, samples: int) -> Iterator[Bytes]:
    """The sheet from the top: the picture with the ground beside it, and the caption."""
    caption = sheet.caption
    if caption is None:
        yield from rows
        return
    if samples == 5:
        caption = np.concatenate([np.zeros_like(caption[:, :, :1]), caption, np.full_like(caption[:, :, :1], 255)], 2)
    if sheet.position is Position.ABOVE:
        yield caption
    left = (sheet.wide - sheet.width) // 2
    for part in rows:
        placed = np.empty((len(part), sheet.wide, samples), np.uint8)
        placed[:] = caption[0, 0]
        placed[:, left : left + sheet.width] = part
        yield placed
    if sheet.position is not Position.ABOVE:
        yield caption


# --- writing -----------------------------------------------------------------------------------------


class _TileWriter:
    """Encodes the bands of each level as tiles, and keeps the levels that are small enough to be one file."""

    def __init__(self, picture: TiledPicture, folder: str, put: Put, colour: Callable[[Bytes], Bytes]) -> None:
        self._picture, self._folder, self._put, self._colour = picture, folder, put, colour
        self._rows: dict[int, dict[int, list[tuple[str, int, int]]]] = {}
        self._whole: dict[int, list[Bytes]] = {}
        self._sizes = set(picture.whole())
        named = {path for size in self._sizes for path in picture.whole_paths(size)}
        for level, factor in enumerate(picture.factors):
            rows = self._rows.setdefault(level, {})
            for tile in picture.tiles(factor):
                if tile.path not in named:
                    rows.setdefault(tile.row, []).append((tile.path, tile.column * picture.edge, tile.width))

    def band(self, level: int, number: int, band: Bytes) -> None:
        """One row of tiles."""
        shown = self._colour(band)
        for path, left, width in self._rows[level].get(number, ()):
            self._put(f"{self._folder}/{path}", encoded(shown[:, left : left + width]))
        if self._picture.scaled(self._picture.factors[level]) in self._sizes:
            self._whole.setdefault(level, []).append(shown)

    def finish(self) -> None:
        """The whole picture at its sizes."""
        for level, parts in self._whole.items():
            data = encoded(np.concatenate(parts))
            for path in self._picture.whole_paths(self._picture.scaled(self._picture.factors[level])):
                self._put(f"{self._folder}/{path}", data)


def encoded(samples: Bytes) -> bytes:
    """JPEG of uint8 (h, w, 1 or 3), sRGB."""
    gray = samples.shape[2] == 1
    return bytes(
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(samples[:, :, 0] if gray else samples),
            level=QUALITY,
            colorspace="GRAYSCALE" if gray else "RGB",
            outcolorspace="GRAYSCALE" if gray else "YCBCR",
            subsampling="444",
        )
    )


def put_in(to: Path, told: dict[str, str]) -> Put:
    """Write files below `to`, each once, and keep their digests (sha512) by path."""

    def put(name: str, data: bytes) -> None:
        target = to / name
        with storage_errors("making", target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        told[name] = write_hashed(target, data, mode=WRITABLE).sha512

    return put
