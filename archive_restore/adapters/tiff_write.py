"""Writes a preservation derivative: one tiled TIFF 6.0 or BigTIFF directory, with the synthesis map as its SubIFD.

Bands of rows come in from top to bottom and leave compressed; only the map's tiles, mostly empty, wait in memory.
The bytes depend on nothing but the input and the versions of the compressor: no time, no path, no thread.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from archive_restore.errors import StorageFailed
from archive_restore.records.imagery import PictureFacts, SampleRole

TILE = 256
"""Side of a tile; bands are multiples of it, but the last."""
_BIG_FROM = 3_900_000_000
"""From this many bytes on BigTIFF: offsets of 32 bits end at 4 GiB, and signing adds to the file."""
_SHORT, _LONG, _RATIONAL, _ASCII, _BYTE, _UNDEFINED, _LONG8 = 3, 4, 5, 2, 1, 7, 16
_SIZES = {_SHORT: 2, _LONG: 4, _RATIONAL: 8, _ASCII: 1, _BYTE: 1, _UNDEFINED: 1, _LONG8: 8}
_FORMATS = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}


@dataclass(frozen=True, kw_only=True)
class DerivativeMetadata:
    """What a derivative carries beside pixels; empty fields are left out."""

    icc: bytes = b""
    """The master's ICC profile, as it is (tag 34675)."""
    xmp: bytes = b""
    """The derivative's XMP packet (tag 700)."""
    iptc: bytes = b""
    """The master's IPTC-IIM block, as it is (tag 33723)."""
    software: str = ""
    description: str = ""
    artist: str = ""
    copyright: str = ""
    x_resolution: float | None = None
    """Pixels an inch."""
    y_resolution: float | None = None
    """Pixels an inch."""
    orientation: int = 1
    """The master's, since pixels are never turned."""
    extra_samples: tuple[int, ...] = ()
    """The master's ExtraSamples values; where empty they follow from the roles."""


_Entry = tuple[int, int, int, bytes]
"""Tag, type, count, value."""


class DerivativeWriter:
    """Writes one derivative; used as a context, a failure inside removes the half-written file."""

    def __init__(self, path: Path, facts: PictureFacts, metadata: DerivativeMetadata) -> None:
        """Begin `path`; samples, depth and meaning are those of the master's `facts`. Raise StorageFailed."""
        self._path = path
        self._facts = facts
        self._metadata = metadata
        self._dtype = np.dtype(f"{'f' if facts.sample_format == 'float' else 'u'}{facts.bits // 8}")
        self._across = -(-facts.width // TILE)
        self._down = -(-facts.height // TILE)
        padded = self._across * self._down * TILE * TILE
        plain = padded * (facts.samples * self._dtype.itemsize + 1)
        self._big = plain + len(metadata.icc) + len(metadata.xmp) + len(metadata.iptc) > _BIG_FROM
        self._row = 0
        self._offsets: list[int] = []
        self._counts: list[int] = []
        self._map_tiles: list[bytes] = []
        self._empty = bytes(imagecodecs.deflate_encode(bytes(TILE * TILE), 6))
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="deflate")
        self._position = 0
        try:
            self._stream = path.open("wb", buffering=1 << 20)
            self._put(b"II" + struct.pack("<HHHQ", 43, 8, 0, 0) if self._big else b"II" + struct.pack("<HI", 42, 0))
        except OSError as exc:
            self._pool.shutdown()
            raise _failed(path, exc) from exc

    def write_band(self, samples: npt.NDArray[Any], flags: npt.NDArray[np.uint8]) -> None:
        """Append rows: `samples` (rows, width, samples) in the master's dtype, `flags` uint8 (rows, width).

        Rows are a multiple of TILE but in the last band. Raise ValueError where shapes do not fit, StorageFailed
        where the disk refuses.
        """
        facts, rows = self._facts, samples.shape[0]
        last = self._row + rows == facts.height
        if (
            samples.shape != (rows, facts.width, facts.samples)
            or flags.shape != (rows, facts.width)
            or samples.dtype != self._dtype
            or flags.dtype != np.uint8
            or rows == 0
            or self._row + rows > facts.height
            or (rows % TILE and not last)
        ):
            raise ValueError(
                f"a band of {samples.shape} {samples.dtype} and {flags.shape} does not fit at row {self._row}"
            )
        try:
            for tile in self._pool.map(self._encode, _tiles(samples)):
                self._offsets.append(self._position)
                self._counts.append(len(tile))
                self._put(tile)
        except OSError as exc:
            raise _failed(self._path, exc) from exc
        for cut in _tiles(flags[:, :, None]):
            self._map_tiles.append(
                bytes(imagecodecs.deflate_encode(_whole(cut).tobytes(), 6)) if cut.any() else self._empty
            )
        self._row += rows

    def close(self) -> None:
        """Write map and directories and finish the file; raise ValueError where rows are missing, StorageFailed."""
        if self._row != self._facts.height:
            self.abort()
            raise ValueError(f"only {self._row} of {self._facts.height} rows were written")
        self._pool.shutdown()
        try:
            with self._stream:
                map_offsets = []
                for tile in self._map_tiles:
                    map_offsets.append(self._position)
                    self._put(tile)
                sub = self._align()
                self._directory(self._map_entries(map_offsets))
                page = self._align()
                self._directory(self._page_entries(sub))
                self._stream.seek(8 if self._big else 4)
                self._stream.write(struct.pack("<Q" if self._big else "<I", page))
        except OSError as exc:
            raise _failed(self._path, exc) from exc

    def abort(self) -> None:
        """Stop and remove the half-written file."""
        self._pool.shutdown(cancel_futures=True)
        with contextlib.suppress(OSError):
            self._stream.close()  # a full disk refuses the last bytes too; the file goes away anyway
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> DerivativeWriter:
        """Use as a context."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the file, or remove it after a failure."""
        if kind is None:
            self.close()
        else:
            self.abort()

    def _encode(self, cut: npt.NDArray[Any]) -> bytes:
        tile = _whole(cut)
        if self._dtype.kind == "f":
            differences = imagecodecs.floatpred_encode(tile, axis=-2)
        else:
            differences = imagecodecs.delta_encode(tile, axis=-2)
        # Deeper samples are mostly noise: a higher level made them larger and slower in measurements.
        return bytes(imagecodecs.deflate_encode(differences.tobytes(), 3 if self._dtype.itemsize == 1 else 1))

    def _put(self, data: bytes) -> None:
        self._stream.write(data)
        self._position += len(data)

    def _align(self) -> int:
        self._put(bytes(-self._position % 8))
        return self._position

    def _numbers(self, code: int, kind: int, *values: int) -> _Entry:
        return code, kind, len(values), struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)

    def _tile_entries(self, offsets: list[int], counts: list[int]) -> list[_Entry]:
        return [
            self._numbers(322, _SHORT, TILE),
            self._numbers(323, _SHORT, TILE),
            self._numbers(324, _LONG8 if self._big else _LONG, *offsets),
            self._numbers(325, _LONG, *counts),
        ]

    def _map_entries(self, offsets: list[int]) -> list[_Entry]:
        return [
            self._numbers(254, _LONG, 1),
            self._numbers(256, _LONG, self._facts.width),
            self._numbers(257, _LONG, self._facts.height),
            self._numbers(258, _SHORT, 8),
            self._numbers(259, _SHORT, 8),
            self._numbers(262, _SHORT, 1),
            _text(270, "synthesis map"),
            self._numbers(277, _SHORT, 1),
            self._numbers(284, _SHORT, 1),
            *self._tile_entries(offsets, [len(tile) for tile in self._map_tiles]),
            self._numbers(339, _SHORT, 1),
        ]

    def _page_entries(self, sub: int) -> list[_Entry]:
        facts, metadata = self._facts, self._metadata
        floating = self._dtype.kind == "f"
        colours = 3 if SampleRole.RED in facts.roles else 1
        photometric = 2 if colours == 3 else 0 if SampleRole.GRAY_INVERTED in facts.roles else 1
        entries = [
            self._numbers(254, _LONG, 0),
            self._numbers(256, _LONG, facts.width),
            self._numbers(257, _LONG, facts.height),
            self._numbers(258, _SHORT, *[facts.bits] * facts.samples),
            self._numbers(259, _SHORT, 8),
            self._numbers(262, _SHORT, photometric),
            self._numbers(274, _SHORT, metadata.orientation),
            self._numbers(277, _SHORT, facts.samples),
            self._numbers(284, _SHORT, 1),
            self._numbers(317, _SHORT, 3 if floating else 2),
            *self._tile_entries(self._offsets, self._counts),
            self._numbers(330, _LONG8 if self._big else _LONG, sub),
            self._numbers(339, _SHORT, *[3 if floating else 1] * facts.samples),
        ]
        for code, resolution in ((282, metadata.x_resolution), (283, metadata.y_resolution)):
            entries.append((code, _RATIONAL, 1, _rational(resolution)))
        # Without a known resolution the unit is "none" and the ratio 1:1 (TIFF 6.0 section 8, ResolutionUnit).
        entries.append(self._numbers(296, _SHORT, 2 if metadata.x_resolution else 1))
        if facts.samples > colours:
            roles = tuple(2 if role is SampleRole.ALPHA else 0 for role in facts.roles[colours:])
            given = metadata.extra_samples
            entries.append(self._numbers(338, _SHORT, *(given if len(given) == len(roles) else roles)))
        for code, text in ((270, metadata.description), (305, metadata.software), (315, metadata.artist)):
            entries.extend([_text(code, text)] if text else [])
        entries.extend([_text(33432, metadata.copyright)] if metadata.copyright else [])
        for code, kind, block in (
            (700, _BYTE, metadata.xmp),
            (33723, _UNDEFINED, metadata.iptc),
            (34675, _UNDEFINED, metadata.icc),
        ):
            entries.extend([(code, kind, len(block), block)] if block else [])
        return sorted(entries)

    def _directory(self, entries: list[_Entry]) -> None:
        """Write one directory at the (aligned) position, its values behind it."""
        room, head, entry = (8, 8, 20) if self._big else (4, 2, 12)
        values_at = self._position + head + entry * len(entries) + room
        values_at += values_at % 2
        table, values = bytearray(struct.pack("<Q" if self._big else "<H", len(entries))), bytearray()
        for code, kind, count, value in entries:
            table += struct.pack("<HHQ" if self._big else "<HHI", code, kind, count)
            if len(value) <= room:
                table += value.ljust(room, b"\0")
            else:
                table += struct.pack("<Q" if self._big else "<I", values_at + len(values))
                values += value + bytes(len(value) % 2)
        table += bytes(room)
        self._put(bytes(table).ljust(values_at - self._position, b"\0"))
        self._put(bytes(values))


def _tiles(band: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Cut (rows, width, samples) into tiles from left to right, top to bottom; edge tiles come smaller."""
    for y in range(0, band.shape[0], TILE):
        for x in range(0, band.shape[1], TILE):
            yield band[y : y + TILE, x : x + TILE]


def _whole(cut: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Pad an edge tile by repeating its last column and row (TIFF 6.0 section 15)."""
    height, width = cut.shape[:2]
    if (height, width) == (TILE, TILE):
        return np.ascontiguousarray(cut)
    return np.pad(cut, ((0, TILE - height), (0, TILE - width), (0, 0)), mode="edge")


def _text(code: int, text: str) -> _Entry:
    value = text.replace("\0", " ").encode() + b"\0"
    return code, _ASCII, len(value), value


def _rational(value: float | None) -> bytes:
    """An unsigned rational to a ten-thousandth; 1 where the value is unknown."""
    number = 1.0 if value is None or not 0 < value < 100_000 else value
    return struct.pack("<II", round(number * 10_000), 10_000)


def _failed(path: Path, exc: OSError) -> StorageFailed:
    return StorageFailed(
        f"{os.fspath(path)!r} cannot be written: {exc.strerror}",
        hint="Free some space or check permissions, then repeat",
    )
