"""The markers of a JPEG file (ITU-T T.81 annex B), read without decoding.

Gives the frame's size, the segments that hold metadata, and what breaks the structure. Must never trust a length
beyond the file, nor scan a byte twice.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.plain_samples import implausible

MAX_SCANS = 100
"""A decoder works through the whole picture once a scan; encoders write about ten."""
MAX_RESOURCES = 1 << 20
"""Photoshop resources kept, bytes."""
_MAX_SEGMENTS = 20_000
_CHUNK = 1 << 20
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""In entropy-coded data every 0xFF is followed by 0x00 or is a restart marker; 0xFF may fill (T.81 §B.1.1.5)."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SOI, EOI, SOS, APP0, APP1, APP2, APP13, APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xED, 0xEE


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame header (T.81 §B.2.2)."""

    process: int
    """SOF number: 0 baseline, 1 extended, 2 progressive, 3 lossless, from 9 on arithmetic coding."""
    bits: int
    height: int
    width: int
    components: tuple[tuple[int, int, int], ...]
    """Identifier, horizontal and vertical sampling factor of each."""


@dataclass(kw_only=True)
class JpegStructure:
    """What the markers say."""

    frame: Frame | None = None
    scans: int = 0
    complete: bool = False
    """Whether EOI was reached."""
    end: int = 0
    """First byte after EOI, or where reading stopped."""
    density: tuple[int, int, int] | None = None
    """JFIF units (1 inch, 2 centimetre), x, y."""
    adobe_transform: int | None = None
    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    """Photoshop image resources of APP13 (they hold the IPTC-IIM block)."""
    icc_parts: dict[int, bytes] = field(default_factory=dict)
    icc_total: int = 0
    problem: str = ""
    """What broke the structure; empty where nothing did."""

    @property
    def icc(self) -> bytes:
        """The ICC profile put together (ICC.1 annex B.4); empty where it is absent or a part is missing."""
        numbers = range(1, self.icc_total + 1)
        if not self.icc_parts or any(number not in self.icc_parts for number in numbers):
            return b""
        return b"".join(self.icc_parts[number] for number in numbers)


def frame_of(data: bytes) -> Frame | None:
    """Frame header of a JPEG stream in memory; None where there is none before the first scan."""
    return read_jpeg(FileBytes(data), headers_only=True).frame


def read_jpeg(source: FileBytes, *, headers_only: bool = False) -> JpegStructure:
    """Walk the markers from SOI to EOI (to the first SOS with `headers_only`)."""
    result = JpegStructure()
    if source.read(0, 2) != b"\xff\xd8":
        result.problem = "the file does not begin with SOI"
        return result
    at = 2
    for _ in range(_MAX_SEGMENTS):
        at = _skip_fill(source, at)
        head = source.read(at, 4)
        if len(head) < 2 or head[0] != 0xFF:
            result.problem = "the file ends before EOI" if len(head) < 2 else f"there is no marker at byte {at}"
            break
        marker = head[1]
        if marker == EOI:
            result.complete, at = True, at + 2
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        length = struct.unpack(">H", head[2:4])[0] if len(head) == 4 else 0
        if length < 2 or at + 2 + length > source.size:
            result.problem = f"the segment at byte {at} reaches beyond the file"
            break
        _segment(result, marker, source.read(at + 4, length - 2))
        at += 2 + length
        if marker == SOS:
            result.scans += 1
            if headers_only:
                break
            if result.scans > MAX_SCANS:
                result.problem = f"there are more than {MAX_SCANS} scans"
                break
            at = _skip_scan(source, at)
    else:
        result.problem = f"there are more than {_MAX_SEGMENTS} segments"
    result.end = at
    return result


def _skip_fill(source: FileBytes, at: int) -> int:
    """Last 0xFF of a run of fill bytes (T.81 §B.1.1.2)."""
    while source.read(at, 2) == b"\xff\xff":
        block = source.read(at, _CHUNK)
        at += len(block) - len(block.lstrip(b"\xff")) - 1
    return at


def _skip_scan(source: FileBytes, at: int) -> int:
    """First marker after entropy-coded data; the size of the file where there is none."""
    while at < source.size:
        block = source.read(at, _CHUNK)
        hit = _MARKER.search(block)
        if hit:
            return at + hit.start()
        if len(block) < _CHUNK:
            break
        at += len(block) - 1
    return source.size


def _segment(result: JpegStructure, marker: int, body: bytes) -> None:
    if marker in _FRAMES:
        if result.frame is None and len(body) >= 6:
            bits, height, width, number = struct.unpack(">BHHB", body[:6])
            parts = [body[6 + 3 * i : 9 + 3 * i] for i in range(number)]
            result.frame = Frame(
                process=marker - 0xC0,
                bits=bits,
                height=height,
                width=width,
                components=tuple((p[0], p[1] >> 4, p[1] & 15) for p in parts if len(p) == 3),
            )
    elif marker == APP0 and body.startswith(b"JFIF\0") and len(body) >= 12:
        result.density = struct.unpack(">BHH", body[7:12])
    elif marker == APP1 and body.startswith((b"Exif\0\0", b"Exif\0\xff")):
        result.exif = result.exif or body[6:]
    elif marker == APP1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        result.xmp = result.xmp or body[29:]
    elif marker == APP2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
        result.icc_parts.setdefault(body[12], body[14:])
        result.icc_total = body[13]
    elif marker == APP13 and body.startswith(b"Photoshop 3.0\0"):
        result.iptc += body[14:] if len(result.iptc) < MAX_RESOURCES else b""
    elif marker == APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        result.adobe_transform = body[11]


def check_jpeg(structure: JpegStructure, source: FileBytes, found: FindingList) -> Frame | None:
    """Report what breaks a JPEG file; return its frame where decoding makes sense."""
    clause = "ITU-T T.81 §B.2"
    frame = structure.frame
    if structure.scans > MAX_SCANS:
        found.error("JPEG_TOO_MANY_SCANS", f"the file has more than {MAX_SCANS} scans", clause)
        return None
    if structure.problem and not structure.complete:
        found.error("JPEG_TRUNCATED", f"{structure.problem}; the file is damaged or cut off", clause)
    if frame is None:
        found.error("JPEG_NO_FRAME", "the file holds no frame header", "ITU-T T.81 §B.2.2")
        return None
    if structure.scans == 0:
        found.error("JPEG_NO_SCAN", "the file holds no scan", clause)
        return None
    if frame.width == 0 or frame.height == 0:
        found.error("JPEG_ZERO_SIZE", f"the frame is {frame.width}×{frame.height} pixels", "ITU-T T.81 §B.2.2")
        return None
    if frame.process not in (0, 1, 2) or frame.bits != 8:
        found.error(
            "JPEG_UNSUPPORTED",
            f"frames of process SOF{frame.process} with {frame.bits} bits are not supported, only 8-bit Huffman-coded",
            "ITU-T T.81 §B.2.2",
        )
        return None
    if len(frame.components) not in (1, 3, 4) or any(
        not 1 <= h <= 4 or not 1 <= v <= 4 for _, h, v in frame.components
    ):
        found.error("JPEG_UNSUPPORTED", "the frame's components make no picture", "ITU-T T.81 §B.2.2")
        return None
    # A block of 64 samples takes one bit at least (T.81 annex F): 512 to a byte, twice that for subsampled corners.
    area = frame.width * frame.height
    if area > 1024 * source.size or implausible(area * len(frame.components), source.size):
        found.error(
            "PICTURE_BOMB",
            f"the frame claims {frame.width}×{frame.height} pixels in {source.size} bytes: no scan is so empty",
            "ITU-T T.81 §F.1",
        )
        return None
    if structure.icc_parts and not structure.icc:
        found.error("ICC_INVALID", "a part of the ICC profile is missing", "ICC.1:2022 annex B.4")
    if structure.complete and structure.end < source.size:
        found.info("TRAILING_BYTES", f"{source.size - structure.end} bytes follow the picture's end and are kept")
    return frame
