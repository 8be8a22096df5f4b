"""XMP packets (ISO 16684-1): reading what a hostile file may bring, and writing a derivative's.

A packet with a DTD or entities is never parsed: such declarations have no place in XMP. No network, no expansion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from archive_restore.adapters.finding_list import FindingList
from archive_restore.records.objects import Description

MAX_PACKET = 16 << 20
"""Longest packet that is read, bytes."""

NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}
SOURCE_TYPE_PREFIX = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_DECLARATION = re.compile(rb"<!\s*(doctype|entity|element|attlist|notation)", re.IGNORECASE)
_ENCODING = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([^\"']*)", re.IGNORECASE)
_UNICODE = frozenset({b"UTF-8", b"UTF8", b"UTF-16", b"UTF-16LE", b"UTF-16BE", b"UTF-32", b"UTF-32LE", b"UTF-32BE"})
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class DerivedFrom:
    """The master a derivative comes from (`xmpMM:DerivedFrom`)."""

    ref: str
    """REF in the archive, for instance `NIPOMO-01`."""
    file_name: str
    sha256: str
    """Digest of the master file, lower-case hex."""


@dataclass(frozen=True, kw_only=True)
class HistoryEvent:
    """One entry of `xmpMM:History`."""

    action: str
    """An XMP action, for instance `created`, `edited`, `derived`."""
    when: str
    """UTC, RFC 3339."""
    software_agent: str
    parameters: str = ""
    changed: str = "/"
    """`/` for pixels and metadata."""


def read_packet(packet: bytes, found: FindingList) -> etree._Element | None:
    """Parse a packet and return its `rdf:RDF`; None, with a finding, where it is hostile or malformed."""
    if len(packet) > MAX_PACKET:
        found.error("XMP_TOO_LARGE", f"the XMP packet has {len(packet)} bytes", "ISO 16684-1 §7.3")
        return None
    # Bytes of UTF-16 and UTF-32 read as ASCII once the zeros are gone.
    plain = packet.replace(b"\0", b"").strip(b" \t\r\n")
    if _DECLARATION.search(plain):
        found.error("XMP_HOSTILE", "the XMP packet declares a DTD or entities and is not parsed", "ISO 16684-1 §7.1")
        return None
    encoding = _ENCODING.search(plain[:256])
    if encoding and encoding.group(1).upper() not in _UNICODE:
        found.warning("XMP_MALFORMED", "the XMP packet is not in a Unicode encoding", "ISO 16684-1 §7.1")
        return None
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(packet.strip(b" \t\r\n").rstrip(b"\0"), parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        found.warning("XMP_MALFORMED", f"the XMP packet is not well-formed: {str(exc)[:160]}", "ISO 16684-1 §7.1")
        return None
    rdf = root if root.tag == _name("rdf:RDF") else root.find(_name("rdf:RDF"))
    if rdf is None:
        found.warning("XMP_MALFORMED", "the XMP packet holds no rdf:RDF", "ISO 16684-1 §7.4")
    return rdf


def derivative_xmp(
    master_xmp: bytes,
    *,
    digital_source_type: str,
    derived_from: DerivedFrom,
    history: Sequence[HistoryEvent],
    description: Description | None = None,
    exif: Mapping[str, str] | None = None,
    instance_id: str = "",
    properties: Mapping[str, str] | None = None,
) -> bytes:
    """Build a derivative's packet: the master's properties, and what the derivative must say of itself.

    `digital_source_type` is the last part of an IPTC URI or the whole URI; `exif` are EXIF values by name, as
    `PictureFacts.exif` holds them; `instance_id` is left out where empty, so that the bytes depend on the input alone;
    `properties` are others by their name, for instance `photoshop:Credit`. No source type is written where it is empty.
    A master's packet that cannot be parsed is left behind (its finding was made at ingest). Returns UTF-8 with the
    packet wrapper of ISO 16684-1 §7.3.2.
    """
    rdf = read_packet(master_xmp, FindingList("")) if master_xmp else None
    node = _merged(rdf)
    about = node.get(_name("rdf:about"), "")
    for name, value in _description_properties(description):
        _replace(node, name)
        _write(node, name, value)
    for name, value in (properties or {}).items():
        _replace(node, name)
        if value:
            _write(node, name, value)
    for name, values in exif_properties(exif or {}).items():
        if node.find(_name(name)) is None:
            _write(node, name, values)
    source_type = digital_source_type if "/" in digital_source_type else SOURCE_TYPE_PREFIX + digital_source_type
    original = _find(node, "xmpMM:OriginalDocumentID") or _find(node, "xmpMM:DocumentID")
    original = original or f"urn:sha256:{derived_from.sha256}"
    for name in ("Iptc4xmpExt:DigitalSourceType", "xmpMM:DerivedFrom", "xmpMM:InstanceID", "xmpMM:DocumentID"):
        _replace(node, name)
    _replace(node, "xmpMM:OriginalDocumentID")
    _write(node, "xmpMM:OriginalDocumentID", original)
    if instance_id:
        _write(node, "xmpMM:InstanceID", instance_id)
    if digital_source_type:
        _write(node, "Iptc4xmpExt:DigitalSourceType", source_type)
    parent = etree.SubElement(node, _name("xmpMM:DerivedFrom"), {_name("rdf:parseType"): "Resource"})
    for name, text in (
        ("stRef:documentID", f"urn:sha256:{derived_from.sha256}"),
        ("stRef:originalDocumentID", original),
        ("stRef:filePath", f"{derived_from.ref}/{derived_from.file_name}"),
        ("stRef:alternatePaths", ""),
    ):
        if text:
            etree.SubElement(parent, _name(name)).text = clean(text)
    _append_history(node, history)
    meta = etree.Element(_name("x:xmpmeta"), nsmap={"x": NAMESPACES["x"]})
    holder = etree.SubElement(meta, _name("rdf:RDF"), nsmap={"rdf": NAMESPACES["rdf"]})
    node.set(_name("rdf:about"), about)
    holder.append(node)
    etree.cleanup_namespaces(meta, top_nsmap={k: v for k, v in NAMESPACES.items() if k != "x"})
    body = etree.tostring(meta, encoding="utf-8", pretty_print=False)
    return b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n' + body + b'\n<?xpacket end="r"?>'


def exif_properties(exif: Mapping[str, str]) -> dict[str, str | tuple[str, ...]]:
    """EXIF values by name as XMP properties (CIPA DC-010): tuples are sequences; unknown names are left out."""
    result: dict[str, str | tuple[str, ...]] = {}
    for name, text in exif.items():
        prefix = _EXIF_PREFIXES.get(name)
        if prefix is None:
            continue
        if name in _EXIF_DATES:
            value: str | tuple[str, ...] = _date(text)
        elif name in _EXIF_SEQUENCES:
            value = tuple(text.split())
        else:
            value = text
        if value:
            result[f"{prefix}:{name}"] = value
    for axis, marks in (("GPSLatitude", "NS"), ("GPSLongitude", "EW")):
        coordinate = _coordinate(exif.get(axis, ""), exif.get(axis + "Ref", ""), marks)
        if coordinate:
            result[f"exif:{axis}"] = coordinate
    day, time = exif.get("GPSDateStamp", ""), exif.get("GPSTimeStamp", "")
    if re.fullmatch(r"\d{4}:\d\d:\d\d", day) and time:
        hours = [int(_ratio(part)) for part in time.split()]
        if len(hours) == 3:
            result["exif:GPSTimeStamp"] = f"{day.replace(':', '-')}T{hours[0]:02}:{hours[1]:02}:{hours[2]:02}Z"
    return result


def clean(text: str) -> str:
    """Drop characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("\ufffd", text)


_EXIF_DATES = {"DateTimeOriginal", "DateTimeDigitized"}
_EXIF_SEQUENCES = {"ISOSpeedRatings", "SubjectArea", "ComponentsConfiguration"}
_EXIF_PREFIXES = (
    dict.fromkeys(("Make", "Model", "Software"), "tiff")
    | dict.fromkeys((
        "ExposureTime", "FNumber", "ExposureProgram", "SpectralSensitivity", "ISOSpeedRatings", "ExifVersion",
        "DateTimeOriginal", "DateTimeDigitized", "ComponentsConfiguration", "CompressedBitsPerPixel",
        "ShutterSpeedValue", "ApertureValue", "BrightnessValue", "ExposureBiasValue", "MaxApertureValue",
        "SubjectDistance", "MeteringMode", "LightSource", "FocalLength", "FlashpixVersion", "ColorSpace",
        "RelatedSoundFile", "FlashEnergy", "FocalPlaneXResolution", "FocalPlaneYResolution",
        "FocalPlaneResolutionUnit", "SubjectArea", "ExposureIndex", "SensingMethod", "FileSource", "SceneType",
        "CustomRendered", "ExposureMode", "WhiteBalance", "DigitalZoomRatio", "FocalLengthIn35mmFilm",
        "SceneCaptureType", "GainControl", "Contrast", "Saturation", "Sharpness", "SubjectDistanceRange",
        "ImageUniqueID", "GPSAltitudeRef", "GPSAltitude", "GPSSatellites", "GPSStatus", "GPSMeasureMode",
        "GPSDOP", "GPSSpeedRef", "GPSSpeed", "GPSTrackRef", "GPSTrack", "GPSImgDirectionRef", "GPSImgDirection",
        "GPSMapDatum", "GPSDestBearingRef", "GPSDestBearing", "GPSDifferential",
    ), "exif")
    | dict.fromkeys(("LensMake", "LensModel", "LensSerialNumber", "BodySerialNumber", "CameraOwnerName"), "exifEX")
)  # fmt: skip


def _name(prefixed: str) -> str:
    prefix, local = prefixed.split(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def _merged(rdf: etree._Element | None) -> etree._Element:
    """All top-level rdf:Description of a packet in one; attributes become elements."""
    node = etree.Element(_name("rdf:Description"), nsmap={k: v for k, v in NAMESPACES.items() if k != "x"})
    node.set(_name("rdf:about"), "")
    for part in [] if rdf is None else list(rdf.findall(_name("rdf:Description"))):
        for key, value in part.attrib.items():
            name = str(key)
            if name == _name("rdf:about"):
                node.set(name, value)
            elif not name.startswith(("{http://www.w3.org/XML", "{" + NAMESPACES["rdf"])) and node.find(name) is None:
                etree.SubElement(node, name).text = str(value)
        for child in list(part):
            if isinstance(child.tag, str) and node.find(child.tag) is None:
                child.tail = None
                node.append(child)
    return node


def _find(node: etree._Element, name: str) -> str | None:
    found = node.find(_name(name))
    return None if found is None else (found.text or "").strip() or None


def _replace(node: etree._Element, name: str) -> None:
    for old in node.findall(_name(name)):
        node.remove(old)


def _write(node: etree._Element, name: str, value: str | tuple[str, ...]) -> None:
    element = etree.SubElement(node, _name(name))
    kind = _CONTAINERS.get(name, "Seq" if isinstance(value, tuple) else "")
    if not kind:
        element.text = clean(str(value))
        return
    box = etree.SubElement(element, _name(f"rdf:{kind}"))
    for text in value if isinstance(value, tuple) else (value,):
        item = etree.SubElement(box, _name("rdf:li"))
        item.text = clean(text)
        if kind == "Alt":
            item.set(_XML_LANG, "x-default")


_CONTAINERS = {
    "dc:title": "Alt", "dc:description": "Alt", "dc:rights": "Alt", "dc:creator": "Seq", "dc:date": "Seq",
    "dc:subject": "Bag", "dc:publisher": "Bag", "dc:contributor": "Bag", "dc:type": "Bag", "dc:language": "Bag",
    "dc:relation": "Bag",
}  # fmt: skip
"""Array types of the Dublin Core schema in XMP (ISO 16684-1 §8.3); the others are simple text."""


def _description_properties(description: Description | None) -> list[tuple[str, str]]:
    if description is None:
        return []
    names = "title creator subject description publisher contributor date type identifier source language relation"
    pairs = [(f"dc:{name}", getattr(description, name)) for name in (*names.split(), "coverage", "rights")]
    return [(name, value) for name, value in pairs if value]


def _append_history(node: etree._Element, history: Sequence[HistoryEvent]) -> None:
    holder = node.find(_name("xmpMM:History"))
    if holder is None:
        holder = etree.SubElement(node, _name("xmpMM:History"))
    box = holder.find(_name("rdf:Seq"))
    if box is None:
        box = etree.SubElement(holder, _name("rdf:Seq"))
    for event in history:
        item = etree.SubElement(box, _name("rdf:li"), {_name("rdf:parseType"): "Resource"})
        for name, text in (
            ("stEvt:action", event.action),
            ("stEvt:when", event.when),
            ("stEvt:softwareAgent", event.software_agent),
            ("stEvt:parameters", event.parameters),
            ("stEvt:changed", event.changed),
        ):
            if text:
                etree.SubElement(item, _name(name)).text = clean(text)


def _date(text: str) -> str:
    """EXIF's `YYYY:MM:DD hh:mm:ss` as XMP's ISO 8601; empty where it is no date."""
    match = re.fullmatch(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)", text.strip())
    return f"{match[1]}-{match[2]}-{match[3]}T{match[4]}" if match else ""


def _ratio(text: str) -> float:
    top, _, bottom = text.partition("/")
    try:
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return 0.0


def _coordinate(text: str, mark: str, marks: str) -> str:
    """Three rationals as XMP's `DDD,MM.mmmmmmk` (CIPA DC-010, GPSCoordinate)."""
    parts = [_ratio(part) for part in text.split()]
    if len(parts) != 3 or mark not in tuple(marks):
        return ""
    minutes = parts[0] * 60 + parts[1] + parts[2] / 60
    return f"{int(minutes // 60)},{minutes % 60:.6f}{mark}"
