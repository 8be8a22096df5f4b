"""The chunks of a PNG file (PNG third edition, W3C 2025; ISO/IEC 15948), checked by their CRCs.

Gives the header, where the compressed samples lie, and the chunks that hold metadata. Must never inflate a chunk
without a limit.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.plain_samples import implausible

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 150_000
"""At libpng's 8 KiB a chunk these hold 1.2 GB."""
MAX_METADATA = 16 << 20
_BLOCK = 1 << 20
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_KEPT = {b"PLTE": 768, b"tRNS": 256, b"iCCP": MAX_METADATA, b"eXIf": MAX_METADATA, b"pHYs": 9, b"iTXt": MAX_METADATA}
_XMP = b"XML:com.adobe.xmp\0"


@dataclass(kw_only=True)
class PngStructure:
    """What the chunks say."""

    width: int = 0
    height: int = 0
    bits: int = 0
    colour: int = 0
    """Colour type: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGB and alpha."""
    interlaced: bool = False
    data: list[tuple[int, int]] = field(default_factory=list)
    """Byte and length of each IDAT's content."""
    kept: dict[bytes, bytes] = field(default_factory=dict)
    """Contents of PLTE, tRNS, iCCP, eXIf, pHYs; of iTXt only the XMP packet."""

    @property
    def channels(self) -> int:
        """Samples a pixel as stored."""
        return CHANNELS[self.colour]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row without its filter byte."""
        return -(-self.width * self.channels * self.bits // 8)

    @property
    def icc(self) -> bytes:
        """The ICC profile; empty where it is absent or does not inflate."""
        block = self.kept.get(b"iCCP", b"")
        return inflate(block[block.find(b"\0") + 2 :]) if b"\0" in block else b""

    @property
    def xmp(self) -> bytes:
        """The XMP packet; empty where it is absent or does not inflate."""
        parts = self.kept.get(b"iTXt", b"")[len(_XMP) :]
        if len(parts) < 4:
            return b""
        text = parts[2:].split(b"\0", 2)[-1]
        return inflate(text) if parts[0] == 1 else text


def inflate(data: bytes) -> bytes:
    """Inflate metadata up to MAX_METADATA bytes; empty where it does not inflate."""
    try:
        return zlib.decompressobj().decompress(data, MAX_METADATA)
    except zlib.error:
        return b""


def read_png(source: FileBytes, found: FindingList, *, check_crc: bool = True) -> PngStructure | None:
    """Walk all chunks; None where errors make decoding meaningless.

    Steps: 1 signature; 2 IHDR; 3 each chunk's length, type and CRC; 4 that IDAT, PLTE and IEND are there; 5 that
    the stored bytes can hold what the header claims (deflate makes 1032 bytes of one at most).
    """
    clause = "PNG §5"
    # 1
    if source.read(0, 8) != SIGNATURE:
        found.error("PNG_BAD_SIGNATURE", "the file does not begin with PNG's signature", "PNG §5.2")
        return None
    # 2
    result = PngStructure()
    head = source.read(8, 25)
    if len(head) < 25 or head[:8] != b"\0\0\0\x0dIHDR":
        found.error("PNG_NO_HEADER", "the first chunk is not IHDR", "PNG §11.2.1")
        return None
    result.width, result.height, result.bits, result.colour, method, filters, interlace = struct.unpack_from(
        ">IIBBBBB", head, 8
    )
    if not 0 < result.width < 1 << 31 or not 0 < result.height < 1 << 31:
        found.error("PNG_ZERO_SIZE", f"the header claims {result.width}×{result.height} pixels", "PNG §11.2.1")
        return None
    if result.bits not in _DEPTHS.get(result.colour, ()) or method or filters or interlace > 1:
        found.error("PNG_HEADER_INVALID", "the header names an unknown depth, colour type or method", "PNG §11.2.1")
        return None
    result.interlaced = interlace == 1
    # 3
    ended = _walk(source, result, found, check_crc=check_crc)
    # 4
    if not ended and not found.failed:
        found.error("PNG_NO_END", "the file ends without IEND; it is cut off", "PNG §11.2.4")
    if not result.data:
        found.error("PNG_NO_DATA", "the file holds no IDAT", "PNG §11.2.3")
        return None
    if result.colour == 3 and b"PLTE" not in result.kept:
        found.error("PNG_NO_PALETTE", "the palette is missing", "PNG §11.2.2")
        return None
    # 5
    stored = sum(length for _, length in result.data)
    expanded = result.height * (1 + result.row_bytes)
    if expanded > 1032 * (stored + 16) or (implausible(expanded, stored) and not found.may_be_blank):
        found.error(
            "PICTURE_BOMB",
            f"the header claims {result.width}×{result.height} pixels in {stored} bytes: no scan is so empty",
            clause,
        )
        return None
    return result


def _walk(source: FileBytes, result: PngStructure, found: FindingList, *, check_crc: bool) -> bool:
    """Visit all chunks; say whether IEND was reached."""
    at = 8
    for _ in range(MAX_CHUNKS):
        head = source.read(at, 8)
        if len(head) < 8:
            return False
        length, name = struct.unpack(">I4s", head)
        if length >= 1 << 31 or at + 12 + length > source.size:
            found.error(
                "PNG_TRUNCATED", f"the chunk {name!r} at byte {at} reaches beyond the file; it is cut off", "PNG §5.3"
            )
            return False
        if not name.isalpha():
            found.error("PNG_CHUNK_INVALID", f"there is no chunk at byte {at}", "PNG §5.4")
            return False
        if check_crc and not _crc_fits(source, at, length):
            found.error("PNG_CRC", f"the chunk {name.decode()} at byte {at} does not match its CRC", "PNG §5.5")
        if name == b"IDAT":
            result.data.append((at + 8, length))
        elif name in _KEPT and length <= _KEPT[name] and name not in result.kept:
            content = source.read(at + 8, length)
            if name != b"iTXt" or content.startswith(_XMP):
                result.kept[name] = content
        elif name == b"IEND":
            if at + 12 < source.size:
                found.info("TRAILING_BYTES", f"{source.size - at - 12} bytes follow the picture's end and are kept")
            return True
        at += 12 + length
    found.error("PNG_TOO_MANY_CHUNKS", f"the file has more than {MAX_CHUNKS} chunks", "PNG §5.3")
    return False


def _crc_fits(source: FileBytes, at: int, length: int) -> bool:
    if length <= _BLOCK:
        whole = source.read(at + 4, length + 8)
        return zlib.crc32(whole[:-4]) == int.from_bytes(whole[-4:], "big")
    crc, done = 0, 0
    while done < length + 4:
        block = source.read(at + 4 + done, min(_BLOCK, length + 4 - done))
        if not block:
            return False
        crc = zlib.crc32(block, crc)
        done += len(block)
    return source.read(at + 8 + length, 4) == struct.pack(">I", crc)
