"""Opens any supported picture for reading by regions: TIFF and DNG directly, JPEG, PNG and JPEG 2000 expanded once.

Expanded samples beyond 64 MiB lie in a scratch file. Peak memory while expanding: PNG a few rows (interlaced PNG,
JPEG and JPEG 2000: the whole picture, the last with 4 bytes a sample more). Must never use Pillow for pixels: it
turns 16-bit colour into 8-bit.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.metadata import RawMetadata
from archive_restore.adapters.picture_finder import JPEG, Picture, find_picture
from archive_restore.adapters.plain_samples import SpooledSource
from archive_restore.adapters.png_structure import SIGNATURE, PngStructure
from archive_restore.adapters.tiff import open_tiff
from archive_restore.errors import PictureUnreadable
from archive_restore.ports import PictureSource
from archive_restore.records.imagery import PictureFacts
from archive_restore.records.provenance import SoftwareAgent

Samples = npt.NDArray[Any]
_BLOCK = 8 << 20


def open_picture(path: Path, facts: PictureFacts | None = None, scratch: Path | None = None) -> PictureSource:
    """Open a file's main picture; `facts` are those of the record, `scratch` a directory for expanded samples.

    Raise PictureUnreadable, in one line, where the file is damaged, of a kind that cannot be restored, or not the
    picture that `facts` describe. Orientation is never applied.
    """
    source = FileBytes(path)
    try:
        picture = _found(source, path.name)
        if picture.reason:
            raise PictureUnreadable(
                f"{path.name!r} cannot be restored: {picture.reason}", hint="Convert a copy to 8- or 16-bit gray or RGB"
            )
        known = picture.facts if facts is None else facts
        if _shape(known) != _shape(picture.facts):
            raise PictureUnreadable(
                f"{path.name!r} is {_shape(picture.facts)} but its record says {_shape(known)}", hint="Run verify"
            )
        if picture.layout is not None:
            source.close()
            return open_tiff(path, picture.directory, known, scratch)
        dtype = np.dtype(f"u{known.bits // 8}")
        return SpooledSource(source, known, dtype, functools.partial(expand, picture=picture), scratch)
    except BaseException:
        source.close()
        raise


def raw_metadata(path: Path, facts: PictureFacts | None = None) -> RawMetadata:
    """Metadata blocks and values of a file, to be carried into a derivative; raise PictureUnreadable."""
    del facts  # the file itself says everything; kept for callers that have both at hand
    with FileBytes(path) as source:
        return _found(source, path.name).metadata


def decoder_agents(facts: PictureFacts) -> tuple[SoftwareAgent, ...]:
    """The libraries that decode a picture with these facts, for the record of a derivation."""
    codecs = {
        "jpeg": imagecodecs.jpeg8_version,
        "jpeg2000": imagecodecs.jpeg2k_version,
        "deflate": imagecodecs.deflate_version,
        "zstd": imagecodecs.zstd_version,
        "lzw": imagecodecs.lzw_version,
    }
    agents = [SoftwareAgent(name="imagecodecs", version=str(imagecodecs.__version__), role="decoding")]
    version = codecs.get(facts.compression)
    if version is not None:
        name, _, number = str(version()).partition(" ")
        agents.append(SoftwareAgent(name=name, version=number, role=f"decoding {facts.compression}"))
    return tuple(agents)


def expand(source: FileBytes, picture: Picture) -> Iterator[Samples]:
    """Decode a JPEG, PNG or JPEG 2000 picture: blocks (rows, width, samples) from the top, native byte order.

    Raise PictureUnreadable where the file does not decode.
    """
    facts = picture.facts
    try:
        if picture.png is not None and not picture.png.interlaced:
            yield from _png_rows(source, picture.png, facts)
            return
        data = source.read(0, source.size)
        if picture.family == JPEG:
            decoded = imagecodecs.jpeg8_decode(data, outcolorspace="GRAYSCALE" if facts.samples == 1 else "RGB")
        elif picture.png is not None:
            decoded = _png_whole(data, picture.png, facts)
        else:
            decoded = imagecodecs.jpeg2k_decode(data)
    except (RuntimeError, ValueError, zlib.error) as exc:
        raise PictureUnreadable(f"{source.name!r} does not decode ({exc})", hint="The file is damaged") from exc
    result = np.asarray(decoded)
    if result.ndim == 2:
        result = result[:, :, None]
    if result.shape != (facts.height, facts.width, facts.samples) or result.dtype != np.dtype(f"u{facts.bits // 8}"):
        raise PictureUnreadable(f"{source.name!r} decodes to {result.shape} {result.dtype}", hint="The file is damaged")
    step = max(1, _BLOCK // max(1, result[0].nbytes))
    for row in range(0, facts.height, step):
        yield result[row : row + step]


def scan_is_short(data: bytes, end: int) -> bool:
    """Say whether a JPEG's last scan ends before the last block of the picture; `end` is the first byte after EOI.

    libjpeg fills what is missing with gray and tells nobody. So the picture is decoded twice, once with noise put
    before EOI: a complete scan leaves no block for the noise to change.
    """
    plain = imagecodecs.jpeg8_decode(data)
    noisy = imagecodecs.jpeg8_decode(data[: end - 2] + _NOISE + data[end - 2 :])
    return plain.shape != noisy.shape or not np.array_equal(plain, noisy)


_NOISE = bytes((i * 73 + (i >> 3) * 41 + 17) % 255 for i in range(512))
"""Any bytes but 0xFF, which would begin a marker."""


def _found(source: FileBytes, name: str) -> Picture:
    found = FindingList(name, may_be_blank=True)
    picture = find_picture(source, found, check=False)
    if picture is None:
        raise PictureUnreadable(f"{name!r}: {found.first_error()}", hint="The file is damaged or not supported")
    return picture


def _shape(facts: PictureFacts) -> str:
    return f"{facts.width}×{facts.height}×{facts.samples} {facts.sample_format}{facts.bits}"


def _png_rows(source: FileBytes, png: PngStructure, facts: PictureFacts) -> Iterator[Samples]:
    """Decode rows as they inflate. libpng undoes the filters of a few rows at a time, wrapped as a PNG of their own.

    The row above is put before them unfiltered, so that filters that look up see what they saw in the whole picture.
    """
    # Packed samples are filtered byte by byte (PNG §9.2): to libpng they may as well be 8-bit gray.
    packed = png.colour == 3 or png.bits < 8
    width, bits, colour = (png.row_bytes, 8, 0) if packed else (png.width, png.bits, png.colour)
    rows_a_block = max(1, _BLOCK // (png.row_bytes + 1))
    above = bytes(png.row_bytes)
    inflated = _Inflated(source, png)
    done = 0
    while done < png.height:
        rows = min(rows_a_block, png.height - done)
        block = inflated.take(rows * (png.row_bytes + 1))
        if len(block) < rows * (png.row_bytes + 1):
            raise ValueError("the compressed samples end too early")
        header = struct.pack(">IIBBBBB", width, rows + 1, bits, colour, 0, 0, 0)
        stored = zlib.compress(b"\0" + above + block, 0)
        wrapped = SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", stored) + _chunk(b"IEND", b"")
        decoded = np.asarray(imagecodecs.png_decode(wrapped)).reshape(rows + 1, width, -1)[1:]
        above = decoded[-1].astype(decoded.dtype.newbyteorder(">")).tobytes()
        yield _unpacked(decoded[:, :, 0], png, facts) if packed else decoded
        done += rows


def _unpacked(rows: Samples, png: PngStructure, facts: PictureFacts) -> Samples:
    """Packed indices or grays, uint8 (rows, row_bytes), as samples (rows, width, samples)."""
    per_byte = 8 // png.bits
    shifts = np.arange(8 - png.bits, -1, -png.bits, dtype=np.uint8)
    values = (rows[:, :, None] >> shifts) & ((1 << png.bits) - 1)
    values = values.reshape(len(rows), -1)[:, : png.width] if per_byte > 1 else rows
    if png.colour != 3:
        return np.asarray(values[:, :, None])
    table = np.zeros((256, facts.samples), np.uint8)
    palette = np.frombuffer(png.kept[b"PLTE"], np.uint8)
    palette = palette[: len(palette) // 3 * 3].reshape(-1, 3)
    table[: len(palette), :3] = palette
    if facts.samples == 4:
        table[:, 3] = 255
        alpha = np.frombuffer(png.kept[b"tRNS"], np.uint8)
        table[: len(alpha), 3] = alpha
    if values.size and int(values.max()) >= len(palette):
        raise ValueError("an index is beyond the palette")
    return np.asarray(table[values])


def _png_whole(data: bytes, png: PngStructure, facts: PictureFacts) -> Samples:
    """Decode an interlaced PNG."""
    decoded = np.asarray(imagecodecs.png_decode(data)).reshape(facts.height, facts.width, -1)
    # libpng turns a colour key into alpha, which the facts do not count.
    return decoded[:, :, : facts.samples] if png.colour in (0, 2) else decoded


class _Inflated:
    """Inflates the IDAT chunks as one stream, a piece at a time."""

    def __init__(self, source: FileBytes, png: PngStructure) -> None:
        self._source = source
        self._parts = iter(png.data)
        self._inflate = zlib.decompressobj()
        self._at, self._left = 0, 0

    def take(self, count: int) -> bytes:
        """Up to `count` bytes; fewer at the end of the stream."""
        parts, have = [], 0
        while have < count and not self._inflate.eof:
            stored = self._inflate.unconsumed_tail
            if not stored:
                if not self._left:
                    self._at, self._left = next(self._parts, (0, 0))
                    if not self._left and not self._at:
                        break
                stored = self._source.read(self._at, min(self._left, 1 << 20))
                self._at, self._left = self._at + len(stored), self._left - len(stored)
            part = self._inflate.decompress(stored, count - have)
            parts.append(part)
            have += len(part)
        return b"".join(parts)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
