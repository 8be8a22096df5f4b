"""Access copies as JPEG files (ITU-T T.81) with what they must say in XMP, IPTC-IIM and EXIF; clips with XMP.

Only what describes the item goes along: an access copy leaves the house, and what a scanner or a camera wrote about
itself, its owner or its place stays in the stored file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from lxml import etree

from archive_restore.adapters import icc, mp4_boxes, rasters
from archive_restore.adapters.caption import draw_band
from archive_restore.adapters.durable import storage_errors
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.xmp import NAMESPACES, DerivedFrom, HistoryEvent, derivative_xmp, read_packet
from archive_restore.core.access_claims import DUBLIN_CORE
from archive_restore.core.labels import plain_text
from archive_restore.errors import UsageError
from archive_restore.ports import AccessCopies, AccessMetadata, Lineage, Samples
from archive_restore.records.labels import CaptionStyle
from archive_restore.records.objects import Description

LONGEST_EDGE = 65_500
"""Longest edge of a JPEG that libjpeg writes, pixels (T.81 has room for 65535)."""
_SEGMENT = 65_533  # bytes a segment holds (T.81 §B.1.1.4)
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PUBLIC = frozenset(
    {NAMESPACES["dc"], NAMESPACES["xmpRights"], NAMESPACES["xmpMM"], NAMESPACES["Iptc4xmpExt"],
     "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"}
)  # fmt: skip
"""Properties of the stored packet that go along: what people wrote of the item, its rights and its history."""
_SHORT = 400  # characters of a text, where a packet is too long for its segment


class JpegCopies(AccessCopies):
    """The `AccessCopies` port."""

    def __init__(self, style: CaptionStyle) -> None:
        self._style = style

    def band(self, width: int, height: int, text: str, style: CaptionStyle | None = None) -> npt.NDArray[np.uint8]:
        """See ports.AccessCopies."""
        return draw_band(width, height, text, style or self._style)

    def write(self, path: Path, sheet: Samples, *, quality: int, metadata: AccessMetadata) -> None:
        """See ports.AccessCopies; the encoded picture is held in memory, the sheet may lie in a file."""
        height, width, samples = sheet.shape
        if max(height, width) > LONGEST_EDGE:
            raise UsageError(
                f"a JPEG has at most {LONGEST_EDGE} pixels an edge, and this copy {width}×{height}",
                hint="Publish a reduced story of it, or hand out the stored TIFF",
            )
        space = "GRAYSCALE" if samples == 1 else "RGB"
        encoded = bytes(
            imagecodecs.jpeg8_encode(
                np.ascontiguousarray(sheet[:, :, 0] if samples == 1 else sheet),
                level=quality,
                colorspace=space,
                outcolorspace="GRAYSCALE" if samples == 1 else "YCBCR",
                subsampling="444",
                optimize=True,
            )
        )
        raw = rasters.raw_metadata(metadata.source, metadata.facts)
        profile = raw.icc
        if metadata.srgb or not profile:
            profile = icc.rgb_profile(icc.srgb()) if samples == 3 else b""
        resolution = (raw.x_resolution, raw.y_resolution)
        head = _jfif(encoded, resolution)
        exif = _exif(
            (height, width), raw.orientation, resolution, colours=samples == 3, srgb=metadata.srgb or not raw.icc
        )
        with storage_errors("writing", path), path.open("xb") as file:
            file.write(b"\xff\xd8" + head)
            file.write(_segment(0xE1, b"Exif\0\0" + exif))
            file.write(_segment(0xE1, _XMP + _packet(raw.xmp, metadata)))
            file.write(_segment(0xED, b"Photoshop 3.0\0" + _resource(_iim(metadata))))
            for part in _profile_parts(profile):
                file.write(_segment(0xE2, part))
            file.write(memoryview(encoded)[2 + len(head) :])

    def write_clip(self, path: Path, metadata: AccessMetadata) -> None:
        """See ports.AccessCopies."""
        packet = _xmp(b"", metadata.credit, metadata.lineage, "video/mp4")
        mp4_boxes.write_with_xmp(metadata.source, path, packet)


# --- segments ----------------------------------------------------------------------------------------


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _jfif(encoded: bytes, resolution: tuple[float | None, float | None]) -> bytes:
    """The APP0 segment with the resolution in it (JFIF 1.02); raise ValueError where the encoder wrote none."""
    if encoded[:4] != b"\xff\xd8\xff\xe0" or encoded[6:11] != b"JFIF\0":
        raise ValueError("the encoder wrote no JFIF header")
    (length,) = struct.unpack_from(">H", encoded, 4)
    segment = bytearray(encoded[2 : 4 + length])
    dots = [min(65535, round(value)) for value in resolution if value]
    if len(dots) == 2 and all(dots):
        struct.pack_into(">BHH", segment, 11, 1, *dots)
    return bytes(segment)


def _profile_parts(profile: bytes) -> Iterator[bytes]:
    """The profile in pieces that fit (ICC.1:2022 annex B.4)."""
    room = _SEGMENT - 14
    pieces = [profile[at : at + room] for at in range(0, len(profile), room)]
    if len(pieces) > 255:
        return
    for number, piece in enumerate(pieces, 1):
        yield b"ICC_PROFILE\0" + bytes((number, len(pieces))) + piece


def _exif(
    size: tuple[int, int], orientation: int, resolution: tuple[float | None, float | None], *, colours: bool, srgb: bool
) -> bytes:
    """What Exif 2.32 §4.6.8 demands of a JPEG of `size` (height, width) pixels, and no more: a small TIFF."""
    dots = [round(min(value or 72.0, 400_000.0) * 10_000) for value in resolution]  # 72 stands for an unknown one
    first = [
        (274, _SHORT_INTEGER, struct.pack(">H", orientation)),
        (282, _RATIONAL, struct.pack(">II", dots[0], 10_000)),
        (283, _RATIONAL, struct.pack(">II", dots[1], 10_000)),
        (296, _SHORT_INTEGER, struct.pack(">H", 2)),
        (531, _SHORT_INTEGER, struct.pack(">H", 1)),
    ]
    private = [
        (0x9000, _UNDEFINED, b"0232"),
        (0x9101, _UNDEFINED, bytes((1, 2, 3, 0) if colours else (1, 0, 0, 0))),
        (0xA000, _UNDEFINED, b"0100"),
        (0xA001, _SHORT_INTEGER, struct.pack(">H", 1 if srgb else 0xFFFF)),
        (0xA002, _LONG_INTEGER, struct.pack(">I", size[1])),
        (0xA003, _LONG_INTEGER, struct.pack(">I", size[0])),
    ]
    header = struct.pack(">2sHI", b"MM", 42, 8)
    pointer = len(header) + len(_directory([*first, (34665, _LONG_INTEGER, bytes(4))], 0))
    first.append((34665, _LONG_INTEGER, struct.pack(">I", pointer)))
    return header + _directory(first, len(header)) + _directory(private, pointer)


_SHORT_INTEGER, _LONG_INTEGER, _RATIONAL, _UNDEFINED = 3, 4, 5, 7  # TIFF 6.0 §2
_UNIT = {_SHORT_INTEGER: 2, _LONG_INTEGER: 4, _RATIONAL: 8, _UNDEFINED: 1}


def _directory(entries: list[tuple[int, int, bytes]], start: int) -> bytes:
    """An IFD that begins at byte `start`, its longer values behind it (TIFF 6.0 §2)."""
    rows, values = b"", b""
    behind = start + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        place = value.ljust(4, b"\0")
        if len(value) > 4:
            place = struct.pack(">I", behind + len(values))
            values += value
        rows += struct.pack(">HHI", tag, kind, len(value) // _UNIT[kind]) + place
    return struct.pack(">H", len(entries)) + rows + bytes(4) + values


def _resource(iim: bytes) -> bytes:
    """An IPTC-IIM block as Photoshop image resource 0x0404."""
    return b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iim)) + iim + bytes(len(iim) % 2)


def _iim(metadata: AccessMetadata) -> bytes:
    """Title, creator, credit, rights and description (IIM 4.2, UTF-8), each cut to its greatest length."""
    said = metadata.lineage.description
    datasets = [(1, 90, b"\x1b%G"), (2, 0, b"\0\4")]
    for number, limit, text in (
        (5, 64, said.title),
        (80, 32, said.creator),
        (110, 32, metadata.credit),
        (115, 32, metadata.credit),
        (116, 128, said.rights),
        (120, 2000, said.description),
    ):
        value = _cut(plain_text(text), limit)
        if value:
            datasets.append((2, number, value))
    return b"".join(struct.pack(">BBBH", 0x1C, record, number, len(v)) + v for record, number, v in datasets)


def _cut(text: str, limit: int) -> bytes:
    """UTF-8 of at most `limit` bytes, whole characters."""
    return text.encode()[:limit].decode(errors="ignore").encode()


# --- XMP ---------------------------------------------------------------------------------------------


def _packet(stored: bytes, metadata: AccessMetadata) -> bytes:
    """The packet, with as much of the stored one and of the history as fits into a segment."""
    lineage = metadata.lineage
    short = replace(lineage, description=_shortened(lineage.description))
    packet = b""
    for carried, told in ((_public(stored), lineage), (b"", lineage), (b"", short), (b"", replace(short, history=()))):
        packet = _xmp(carried, metadata.credit, told)
        if len(packet) <= _SEGMENT - len(_XMP):
            break
    return packet


def _xmp(carried: bytes, credit: str, lineage: Lineage, mime: str = "image/jpeg") -> bytes:
    return derivative_xmp(
        carried,
        digital_source_type=lineage.digital_source_type,
        derived_from=DerivedFrom(ref=lineage.parent_ref, sha256=lineage.parent_sha256, file_name=lineage.parent_name),
        history=[
            HistoryEvent(action=action, when=lineage.when, software_agent=lineage.software, parameters=parameters)
            for action, parameters in lineage.history
        ],
        description=lineage.description,
        properties={
            "photoshop:Credit": plain_text(credit),
            "photoshop:Headline": lineage.description.title,
            "dc:format": mime,
            "xmp:CreatorTool": lineage.software,
            "xmp:MetadataDate": lineage.when,
        },
    )


def _public(packet: bytes) -> bytes:
    """A stored packet without the properties that stay in the house; empty where it cannot be read."""
    rdf = read_packet(packet, FindingList("")) if packet else None
    if rdf is None:
        return b""
    for part in rdf:
        for key in [key for key in part.attrib if str(key).startswith("{")]:
            space = etree.QName(str(key)).namespace
            if space not in _PUBLIC and space != NAMESPACES["rdf"]:
                del part.attrib[key]
        for child in list(part):
            if not isinstance(child.tag, str) or etree.QName(child).namespace not in _PUBLIC:
                part.remove(child)
    return etree.tostring(rdf, encoding="utf-8")


def _shortened(description: Description) -> Description:
    texts: dict[str, Any] = {name: plain_text(getattr(description, name), _SHORT) for name in DUBLIN_CORE}
    return Description(**texts)
