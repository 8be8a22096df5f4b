"""Writes one 8-bit gray plane as PNG, row by row, so that memory does not grow with it (PNG 3rd edition, W3C 2025).

Deterministic: the same plane gives the same bytes with the same zlib.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archive_restore.errors import StorageFailed
from archive_restore.ports import PlaneWriter

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK = 1 << 20
LEVEL = 6


class PngPlaneWriter(PlaneWriter):
    """One gray plane; rows arrive from the top."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        self._path, self._width, self._left = path, width, height
        self._deflate = zlib.compressobj(LEVEL)
        self._waiting = bytearray()
        try:
            self._stream = path.open("xb")
            self._stream.write(_SIGNATURE)
            # §11.2.1: 8 bits a sample, colour type 0 (gray), no interlace.
            self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        except OSError as exc:
            raise self._failed(exc) from exc

    def write(self, rows: npt.NDArray[np.uint8]) -> None:
        """Add rows: (rows, width) uint8. Raise StorageFailed."""
        if rows.shape[1] != self._width or rows.shape[0] > self._left:
            raise ValueError(f"rows of shape {rows.shape} do not fit: {self._width} wide, {self._left} rows left")
        self._left -= rows.shape[0]
        filtered = np.zeros((rows.shape[0], self._width + 1), np.uint8)  # §9.2: filter type 0 before each row
        filtered[:, 1:] = rows
        self._waiting += self._deflate.compress(filtered.tobytes())
        if len(self._waiting) >= _CHUNK:
            self._flush()

    def close(self) -> None:
        """Finish the file."""
        if self._left:
            raise ValueError(f"{self._left} rows are missing")
        self._waiting += self._deflate.flush()
        self._flush()
        try:
            self._chunk(b"IEND", b"")
            self._stream.close()
        except OSError as exc:
            raise self._failed(exc) from exc

    def _flush(self) -> None:
        try:
            if self._waiting:
                self._chunk(b"IDAT", bytes(self._waiting))
        except OSError as exc:
            raise self._failed(exc) from exc
        self._waiting.clear()

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._stream.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

    def _failed(self, exc: OSError) -> StorageFailed:
        return StorageFailed(f"{self._path.name!r} cannot be written: {exc.strerror}", hint="Free some space")
