"""Reads what a picture file says about itself: ICC, EXIF, XMP, IPTC-IIM, resolution, orientation.

Never decodes pixels, expands nothing without a limit, and treats every value as possibly hostile: damaged metadata
is a finding, since the picture may still be sound.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from PIL.ExifTags import GPSTAGS, TAGS

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.jpeg_structure import JpegStructure
from archive_restore.adapters.tiff_structure import RATIONAL_TYPES, Directory, TiffStructure, read_structure
from archive_restore.adapters.xmp import read_packet
from archive_restore.records.imagery import PictureFacts

MAX_BLOCK = 16 << 20
"""Longest metadata block that is read, bytes; real ones stay far below."""
_MAX_TEXT = 4096
_IFD0_NAMES = (269, 270, 271, 272, 305, 306, 315, 316, 33432)
"""Texts of the first directory: DocumentName to Copyright."""
_BINARY_TAGS = frozenset({37500, 37510, 40965})
"""MakerNote, UserComment, Interoperability."""
_IIM_NAMES = {
    5: "ObjectName", 7: "EditStatus", 10: "Urgency", 15: "Category", 25: "Keywords", 40: "SpecialInstructions",
    55: "DateCreated", 60: "TimeCreated", 65: "OriginatingProgram", 80: "By-line", 85: "By-lineTitle", 90: "City",
    92: "Sub-location", 95: "Province-State", 100: "CountryCode", 101: "Country", 103: "TransmissionReference",
    105: "Headline", 110: "Credit", 115: "Source", 116: "CopyrightNotice", 118: "Contact", 120: "Caption-Abstract",
    122: "Writer-Editor",
}  # fmt: skip
_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class RawMetadata:
    """Metadata of one file: blocks as they are, and what they say."""

    icc: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    """The IPTC-IIM block."""
    exif: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    """EXIF, GPS and descriptive TIFF values by name; rationals as `n/d`, lists separated by spaces."""
    x_resolution: float | None = None
    """Pixels an inch."""
    y_resolution: float | None = None
    """Pixels an inch."""
    orientation: int = 1
    extra_samples: tuple[int, ...] = ()
    """TIFF ExtraSamples as they are."""


def add_metadata(facts: PictureFacts, metadata: RawMetadata, found: FindingList) -> PictureFacts:
    """Put metadata into picture facts, checking the blocks on the way."""
    description = ""
    if metadata.icc:
        description, problem = icc_facts(metadata.icc)
        if problem:
            found.error("ICC_INVALID", f"the ICC profile {problem}", "ICC.1:2022 §7.2")
    if metadata.xmp:
        read_packet(metadata.xmp, found)
    return replace(
        facts,
        x_resolution=metadata.x_resolution,
        y_resolution=metadata.y_resolution,
        icc_description=description,
        icc_sha256=hashlib.sha256(metadata.icc).hexdigest() if metadata.icc else "",
        orientation=metadata.orientation,
        exif=metadata.exif or None,
        xmp=bool(metadata.xmp),
        iptc=iptc_values(metadata.iptc) or None,
    )


def tiff_metadata(structure: TiffStructure, found: FindingList) -> RawMetadata:
    """Metadata of the first directory of a TIFF and of its EXIF and GPS directories."""
    page = structure.directories[0]
    extra = structure.numbers(page, 338)
    for code, name in ((34675, "ICC profile"), (700, "XMP packet"), (33723, "IPTC block"), (34377, "Photoshop block")):
        tag = page.tags.get(code)
        if tag is not None and tag.size > MAX_BLOCK:
            found.warning(
                "METADATA_TOO_LARGE", f"the {name} has {tag.size} bytes and is not read", "TIFF 6.0 section 8"
            )
    iptc = structure.bytes_of(page, 33723, MAX_BLOCK)
    x, y = tiff_resolution(structure, page)
    orientation = structure.number(page, 274, 1)
    if not 1 <= orientation <= 8:
        found.warning("ORIENTATION_INVALID", f"the orientation is {orientation}, not 1 to 8", "TIFF 6.0 section 8")
        orientation = 1
    return RawMetadata(
        icc=structure.bytes_of(page, 34675, MAX_BLOCK),
        xmp=structure.bytes_of(page, 700, MAX_BLOCK),
        iptc=iptc or iim_of_resources(structure.bytes_of(page, 34377, MAX_BLOCK)),
        exif=exif_values(structure),
        x_resolution=x,
        y_resolution=y,
        orientation=orientation,
        extra_samples=() if extra is None else tuple(int(v) for v in extra),
    )


def jpeg_metadata(structure: JpegStructure, found: FindingList) -> RawMetadata:
    """Metadata of a JPEG's application segments."""
    base = exif_metadata(structure.exif, found)
    x, y = base.x_resolution, base.y_resolution
    if structure.density is not None and structure.density[0] in (1, 2) and x is None:
        scale = 1.0 if structure.density[0] == 1 else 2.54
        x, y = structure.density[1] * scale or None, structure.density[2] * scale or None
    return replace(
        base,
        icc=structure.icc,
        xmp=structure.xmp,
        iptc=iim_of_resources(structure.iptc),
        x_resolution=x,
        y_resolution=y,
    )


def exif_metadata(block: bytes, found: FindingList) -> RawMetadata:
    """What an EXIF block (a small TIFF file) says; damaged ones give a finding and what could be read."""
    if not block:
        return RawMetadata()
    inner = FindingList("")
    structure = read_structure(FileBytes(block), inner)
    if inner.failed:
        found.warning("EXIF_DAMAGED", f"the EXIF block is damaged: {inner.first_error()}", "Exif 2.32 §4.5")
    if structure is None:
        return RawMetadata()
    x, y = tiff_resolution(structure, structure.directories[0])
    orientation = structure.number(structure.directories[0], 274, 1)
    return RawMetadata(
        exif=exif_values(structure),
        x_resolution=x,
        y_resolution=y,
        orientation=orientation if 1 <= orientation <= 8 else 1,
    )


def tiff_resolution(structure: TiffStructure, page: Directory) -> tuple[float | None, float | None]:
    """Pixels an inch across and down; None where the unit is none or the values make no sense."""
    unit = structure.number(page, 296, 2)
    scale = {2: 1.0, 3: 2.54}.get(unit)
    result: list[float | None] = []
    for code in (282, 283):
        tag = page.tags.get(code)
        values = structure.numbers(page, code)
        if scale is None or tag is None or values is None or tag.type not in RATIONAL_TYPES or not values[0, 1]:
            result.append(None)
        else:
            result.append(float(values[0, 0]) / float(values[0, 1]) * scale or None)
    return result[0], result[1]


def exif_values(structure: TiffStructure) -> Mapping[str, str]:
    """Texts of the first directory and all values of its EXIF and GPS directories, by name."""
    result: dict[str, str] = {}
    for directory in structure.directories:
        if directory.parent != 0:
            continue
        if directory.kind == "page":
            codes: list[int] = [code for code in _IFD0_NAMES if code in directory.tags]
        elif directory.kind in ("exif", "gps"):
            codes = [code for code in directory.tags if code not in _BINARY_TAGS]
        else:
            continue
        names: Mapping[int, str] = GPSTAGS if directory.kind == "gps" else TAGS
        for code in codes:
            name = names.get(code)
            text = _text(structure, directory, code) if name else ""
            if name and text:
                result[name] = text
    return MappingProxyType(result) if result else _EMPTY


def _text(structure: TiffStructure, directory: Directory, code: int) -> str:
    tag = directory.tags[code]
    if tag.size > _MAX_TEXT:
        return ""
    if tag.type in (2, 7):
        raw = structure.raw(tag).split(b"\0")[0] if tag.type == 2 else structure.raw(tag)
        return printable(raw) if tag.type == 2 else _undefined(raw)
    values: Any = structure.numbers(directory, code)
    if values is None:
        return ""
    if tag.type in RATIONAL_TYPES:
        return " ".join(f"{int(top)}/{int(bottom)}" for top, bottom in values)
    return " ".join(str(value) for value in values.tolist())


def _undefined(raw: bytes) -> str:
    if all(32 <= byte < 127 for byte in raw):
        return raw.decode("ascii")
    return " ".join(str(byte) for byte in raw) if len(raw) <= 16 else ""


def printable(raw: bytes) -> str:
    """Decode a text of unknown encoding: UTF-8 where it fits, else Latin-1; control characters become spaces."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(c if c.isprintable() else " " for c in text).strip()


def icc_facts(profile: bytes) -> tuple[str, str]:
    """Name of an ICC profile, and what is wrong with it (empty where nothing is; ICC.1:2022 §7.2, §7.3)."""
    if len(profile) < 132:
        return "", f"has only {len(profile)} bytes"
    size, number = struct.unpack_from(">I", profile)[0], struct.unpack_from(">I", profile, 128)[0]
    if size > len(profile):
        return "", f"claims {size} bytes and has {len(profile)}"
    if profile[36:40] != b"acsp":
        return "", "lacks its signature 'acsp'"
    if number > 200 or 132 + 12 * number > len(profile):
        return "", f"claims {number} tags"
    text = ""
    for index in range(number):
        name, at, length = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if at + length > len(profile):
            return "", f"has the tag {printable(name)!r} beyond its end"
        if name == b"desc":
            text = _icc_name(profile[at : at + length])
    return text, ""


def _icc_name(tag: bytes) -> str:
    if tag[:4] == b"desc" and len(tag) > 12:
        length = struct.unpack_from(">I", tag, 8)[0]
        return printable(tag[12 : 12 + length].split(b"\0")[0])
    if tag[:4] == b"mluc" and len(tag) >= 28:
        length, at = struct.unpack_from(">II", tag, 20)
        text = tag[at : at + length].decode("utf-16-be", "replace")
        return "".join(c for c in text if c.isprintable())
    return ""


def iim_of_resources(block: bytes) -> bytes:
    """The IPTC-IIM block inside Photoshop image resources (resource 0x0404); empty where there is none."""
    at = 0
    while block[at : at + 4] == b"8BIM" and at + 12 <= len(block):
        number = struct.unpack_from(">H", block, at + 4)[0]
        name = block[at + 6]
        start = at + 6 + (name + 2 & ~1)
        if start + 4 > len(block):
            break
        length = struct.unpack_from(">I", block, start)[0]
        if number == 0x0404:
            return block[start + 4 : start + 4 + length]
        at = start + 4 + (length + 1 & ~1)
    return b""


def iptc_values(block: bytes) -> Mapping[str, str]:
    """Application record values of an IPTC-IIM block by name (IIM 4.2 §1.5); repeated ones joined by `; `."""
    values: dict[str, list[str]] = {}
    at = 0
    while at + 5 <= len(block) and block[at] == 0x1C:
        record, number, length = block[at + 1], block[at + 2], struct.unpack_from(">H", block, at + 3)[0]
        if length & 0x8000:
            break
        name = _IIM_NAMES.get(number)
        if record == 2 and name:
            raw = block[at + 5 : at + 5 + length]
            values.setdefault(name, []).append(printable(raw)[:_MAX_TEXT])
        at += 5 + length
    return MappingProxyType({name: "; ".join(texts) for name, texts in values.items()})
