"""The boxes and markers of JPEG 2000 (ISO/IEC 15444-1 annexes A and I), read without decoding.

Gives the picture's size, the boxes that hold metadata, and what breaks the structure. Must never trust a length
beyond the file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.plain_samples import implausible

JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM_SIGNATURE = b"\xff\x4f\xff\x51"
MAX_BOXES = 10_000
MAX_TILES = 32_768
MAX_TILE_PARTS = 200_000
MAX_PRECINCTS = 1_000_000
MAX_METADATA = 16 << 20
PIXELS_A_BYTE = 10_000
"""More pixels than this to a stored byte, whatever the size: no scan is so empty."""
_READ = frozenset({b"colr", b"pclr", b"cdef", b"resc", b"resd", b"uuid"})
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF = b"JpgTiffExif->JP2"
_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")


@dataclass(kw_only=True)
class Jp2Structure:
    """What boxes and markers say."""

    width: int = 0
    height: int = 0
    bits: int = 0
    components: int = 0
    uniform: bool = True
    """Whether all components have the picture's size, the same depth, and no sign."""
    colour_space: int = 0
    """EnumCS: 16 sRGB, 17 gray, 18 sYCC; 0 where an ICC profile or nothing says it."""
    palette: bool = False
    opacity: tuple[int, ...] = ()
    """Components that cdef calls opacity."""
    tiles: int = 0
    codestream: tuple[int, int] = (0, 0)
    """Byte and end of the codestream."""
    density: tuple[float, float] | None = None
    """Pixels an inch across and down."""
    blocks: dict[str, bytes] = field(default_factory=dict)
    """`icc`, `xmp`, `exif`, `iptc`."""


def read_jp2(source: FileBytes, found: FindingList) -> Jp2Structure | None:
    """Walk boxes and codestream markers; None where errors make decoding meaningless."""
    result = Jp2Structure()
    if source.read(0, 4) == CODESTREAM_SIGNATURE:
        result.codestream = (0, source.size)
    else:
        _boxes(source, 0, source.size, result, found, depth=0)
    if not result.codestream[1]:
        found.error("JP2_NO_CODESTREAM", "the file holds no codestream; it may be cut off", "ISO 15444-1 §I.5.4")
        return None
    return result if _codestream(source, result, found) and not found.failed else None


def _boxes(source: FileBytes, at: int, end: int, result: Jp2Structure, found: FindingList, depth: int) -> None:
    for _ in range(MAX_BOXES):
        if at >= end:
            return
        head = source.read(at, 16)
        if len(head) < 8:
            found.error("JP2_TRUNCATED", f"a box at byte {at} is cut off", "ISO 15444-1 §I.4")
            return
        length, name = struct.unpack_from(">I4s", head)
        start = at + 8
        if length == 1 and len(head) == 16:
            length, start = struct.unpack_from(">Q", head, 8)[0], at + 16
        stop = end if length == 0 else at + length
        if stop < start or stop > end:
            found.error("JP2_TRUNCATED", f"the box {name!r} at byte {at} reaches beyond its end", "ISO 15444-1 §I.4")
            if name != b"jp2c":
                return
            stop = end
        if name in (b"jp2h", b"res ") and depth < 3:
            _boxes(source, start, stop, result, found, depth + 1)
        elif name == b"jp2c" and not result.codestream[1]:
            result.codestream = (start, stop)
        elif name in _READ and stop - start <= MAX_METADATA:
            _box(name, source.read(start, stop - start), result)
        at = stop
    found.error("JP2_TOO_MANY_BOXES", f"the file has more than {MAX_BOXES} boxes", "ISO 15444-1 §I.4")


def _box(name: bytes, body: bytes, result: Jp2Structure) -> None:
    if name == b"colr" and len(body) >= 7 and body[0] == 1:
        result.colour_space = result.colour_space or struct.unpack_from(">I", body, 3)[0]
    elif name == b"colr" and len(body) > 3 and body[0] in (2, 3):
        result.blocks.setdefault("icc", body[3:])
    elif name == b"pclr":
        result.palette = True
    elif name == b"cdef" and len(body) >= 2:
        entries = [struct.unpack_from(">HHH", body, at) for at in range(2, len(body) - 5, 6)]
        result.opacity = tuple(channel for channel, kind, _ in entries if kind in (1, 2))
    elif name in (b"resc", b"resd") and len(body) >= 10 and (result.density is None or name == b"resc"):
        vertical, below_v, horizontal, below_h, scale_v, scale_h = struct.unpack_from(">HHHHbb", body)
        if below_v and below_h:
            # Points a metre (ISO 15444-1 §I.5.3.7).
            x, y = horizontal / below_h * 10.0**scale_h * 0.0254, vertical / below_v * 10.0**scale_v * 0.0254
            result.density = (x, y) if x and y else None
    elif name == b"uuid":
        for key, mark in (("xmp", _XMP), ("exif", _EXIF), ("iptc", _IPTC)):
            if body[:16] == mark:
                result.blocks.setdefault(key, body[16:])


def _codestream(source: FileBytes, result: Jp2Structure, found: FindingList) -> bool:
    """Check SIZ, COD and the chain of tile-parts up to EOC (ISO 15444-1 §A.4, §A.5)."""
    at, end = result.codestream
    if source.read(at, 4) != CODESTREAM_SIGNATURE:
        found.error("JP2_NO_SIZE", "the codestream does not begin with SOC and SIZ", "ISO 15444-1 §A.5.1")
        return False
    at += 2
    for _ in range(MAX_BOXES):
        head = source.read(at, 4)
        if len(head) < 4 or at + 4 > end:
            found.error("JP2_TRUNCATED", "the codestream ends inside its main header", "ISO 15444-1 §A.4")
            return False
        marker, length = struct.unpack(">HH", head)
        if marker == 0xFF90:
            break
        if length < 2 or marker < 0xFF00:
            found.error("JP2_MARKER_INVALID", f"there is no marker at byte {at}", "ISO 15444-1 §A.1")
            return False
        body = source.read(at + 4, length - 2)
        if len(body) < length - 2:
            found.error("JP2_TRUNCATED", "the codestream ends inside its main header", "ISO 15444-1 §A.4")
            return False
        if marker == 0xFF51 and not _size(body, result, source, found):
            return False
        if marker in (0xFF52, 0xFF53) and not _coding(marker, body, result, found):
            return False
        at += 2 + length
    if not result.width:
        found.error("JP2_NO_SIZE", "the codestream says no size", "ISO 15444-1 §A.5.1")
        return False
    return _tile_parts(source, at, end, result, found)


def _size(body: bytes, result: Jp2Structure, source: FileBytes, found: FindingList) -> bool:
    clause = "ISO 15444-1 §A.5.1"
    number = struct.unpack_from(">H", body, 34)[0] if len(body) >= 36 else 0
    if not 1 <= number <= 16 or len(body) < 36 + 3 * number:
        found.error("JP2_SIZE_INVALID", f"the size marker names {number} components", clause)
        return False
    x1, y1, x0, y0, tile_width, tile_height, tile_x, tile_y = struct.unpack_from(">8I", body, 2)
    result.width, result.height, result.components = x1 - x0, y1 - y0, number
    if result.width <= 0 or result.height <= 0 or not tile_width or not tile_height or tile_x > x0 or tile_y > y0:
        found.error("JP2_SIZE_INVALID", f"the size is {result.width}×{result.height} pixels", clause)
        return False
    result.tiles = -(-(x1 - tile_x) // tile_width) * -(-(y1 - tile_y) // tile_height)
    if result.tiles > MAX_TILES:
        found.error("JP2_TOO_MANY_TILES", f"the picture has {result.tiles} tiles", clause)
        return False
    parts = [body[36 + 3 * i : 39 + 3 * i] for i in range(number)]
    result.bits = (parts[0][0] & 0x7F) + 1
    result.uniform = all(part == bytes((result.bits - 1, 1, 1)) for part in parts)
    area = result.width * result.height
    if area > PIXELS_A_BYTE * source.size or implausible(area * number * -(-result.bits // 8), source.size):
        found.error(
            "PICTURE_BOMB",
            f"{source.size} bytes claim {result.width}×{result.height} pixels: no scan is so empty",
            clause,
        )
        return False
    return True


def _coding(marker: int, body: bytes, result: Jp2Structure, found: FindingList) -> bool:
    """Refuse coding styles that would make a decoder allocate a structure for every few pixels."""
    if marker == 0xFF53:
        skip = 1 if result.components < 257 else 2
        style, body = body[skip : skip + 1], b"\0\0\0\0" + body[skip + 1 :]
    else:
        style = body[:1]
    if len(body) < 10 or not style:
        found.error("JP2_MARKER_INVALID", "a coding style marker is too short", "ISO 15444-1 §A.6.1")
        return False
    levels = body[5]
    sizes = body[10 : 11 + levels] if style[0] & 1 else b"\xff" * (levels + 1)
    precincts = 0
    for level, size in enumerate(sizes):
        down = levels - level
        across = (result.width >> down >> (size & 15)) + 1
        precincts += across * ((result.height >> down >> (size >> 4)) + 1) * result.components
    if levels > 32 or len(sizes) < levels + 1 or precincts > MAX_PRECINCTS:
        found.error("JP2_CODING_ABSURD", f"the picture would be cut into {precincts} precincts", "ISO 15444-1 §A.6.1")
        return False
    return True


def _tile_parts(source: FileBytes, at: int, end: int, result: Jp2Structure, found: FindingList) -> bool:
    seen: set[int] = set()
    for _ in range(MAX_TILE_PARTS):
        head = source.read(at, 12)
        marker = head[:2]
        if marker == b"\xff\xd9":
            break
        if marker != b"\xff\x90" or len(head) < 12 or at >= end:
            found.error(
                "JP2_TRUNCATED",
                f"the codestream ends at byte {min(at, end)} without EOC; it is cut off",
                "ISO 15444-1 §A.4.4",
            )
            return False
        tile, length = struct.unpack_from(">HI", head, 4)
        seen.add(tile)
        if length == 0:
            # The last tile-part reaches up to EOC.
            if source.read(end - 2, 2) != b"\xff\xd9":
                found.error("JP2_TRUNCATED", "the codestream ends without EOC; it is cut off", "ISO 15444-1 §A.4.4")
                return False
            break
        if length < 14 or at + length > end:
            found.error(
                "JP2_TRUNCATED",
                f"the tile-part at byte {at} reaches beyond the file; it is cut off",
                "ISO 15444-1 §A.4.2",
            )
            return False
        at += length
    else:
        found.error("JP2_TOO_MANY_TILES", f"there are more than {MAX_TILE_PARTS} tile-parts", "ISO 15444-1 §A.4.2")
        return False
    if len(seen) < result.tiles:
        found.error(
            "JP2_TILE_MISSING", f"{result.tiles - len(seen)} of {result.tiles} tiles are missing", "ISO 15444-1 §A.4.2"
        )
        return False
    return True
