"""What files say about themselves is read and carried along; exiftool is the judge."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from lxml import etree
from PIL import Image, ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.metadata import icc_facts, iim_of_resources, iptc_values
from archive_restore.adapters.rasters import open_picture, raw_metadata
from archive_restore.adapters.tiff_write import DerivativeMetadata, DerivativeWriter
from archive_restore.adapters.xmp import (
    NAMESPACES,
    DerivedFrom,
    HistoryEvent,
    derivative_xmp,
    exif_properties,
    read_packet,
)
from archive_restore.records.findings import Severity
from archive_restore.records.objects import Description
from tests.support.bad_files import GOOD_XMP, LAUGHS
from tests.support.tiff_builder import ASCII, BYTE, LONG, RATIONAL, SHORT, UNDEFINED, gray, ifd, pixels, tiff

EXIFTOOL = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
IIM = b"\x1c\x01\x5a\x00\x03\x1b%G" + b"".join(
    struct.pack(">BBBH", 0x1C, 2, number, len(text.encode())) + text.encode()
    for number, text in ((5, "Dust Bowl"), (25, "drought"), (25, "farm"), (80, "Dorothea Lange"), (120, "Dürre"))
)
RESOURCES = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IIM)) + IIM + b"\0" * (len(IIM) % 2)
MASTER_XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:own="http://museum.example/ns/"
 xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmp:CreatorTool="Scanner 9" own:shelf="B14" xmpMM:DocumentID="urn:uuid:1"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/negativeFilm">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Old title</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>kept</rdf:li></rdf:Bag></dc:subject>
<xmpMM:History><rdf:Seq><rdf:li stEvt:action="scanned" stEvt:when="2001-02-03T04:05:06Z"/></rdf:Seq></xmpMM:History>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def exif_block() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Nikon", "Coolscan 9000", 3
    inner = exif.get_ifd(0x8769)
    inner[0x829A], inner[0x9003], inner[0x8827] = IFDRational(1, 125), "1936:03:09 10:11:12", 100
    inner[0x9000] = b"0232"
    position = exif.get_ifd(0x8825)
    position[1], position[2] = "N", (IFDRational(35), IFDRational(2), IFDRational(67, 2))
    position[3], position[4] = "W", (IFDRational(120), IFDRational(28), IFDRational(12))
    return exif


def tiff_with_everything() -> bytes:
    """Tag by tag: Pillow does not write EXIF directories into TIFFs."""
    tags: dict[int, Any] = gray(60, 40) | {
        271: (ASCII, b"Nikon\0"), 272: (ASCII, b"Coolscan 9000\0"), 274: (SHORT, [3]), 282: (RATIONAL, [300, 1]),
        283: (RATIONAL, [300, 1]), 296: (SHORT, [2]), 700: (BYTE, MASTER_XMP), 33723: (UNDEFINED, IIM),
        34675: (UNDEFINED, PROFILE), 34665: (LONG, [0]), 34853: (LONG, [0]),
    }  # fmt: skip
    inner = {
        33434: (RATIONAL, [1, 125]), 36867: (ASCII, b"1936:03:09 10:11:12\0"), 34855: (SHORT, [100]),
        36864: (UNDEFINED, b"0232"),
    }  # fmt: skip
    position = {
        1: (ASCII, b"N\0"), 2: (RATIONAL, [35, 1, 2, 1, 67, 2]), 3: (ASCII, b"W\0"),
        4: (RATIONAL, [120, 1, 28, 1, 12, 1]),
    }  # fmt: skip
    at = len(tiff(tags, pixels(2400)))
    after = at + len(ifd(inner, at))
    tags |= {34665: (LONG, [at]), 34853: (LONG, [after])}
    return tiff(tags, pixels(2400)) + ifd(inner, at) + ifd(position, after)


def exiftool(path: Path, *options: str) -> dict[str, Any]:
    done = subprocess.run(["exiftool", "-j", "-G1", "-struct", *options, str(path)], capture_output=True, check=True)
    return json.loads(done.stdout)[0]


def masters(folder: Path) -> dict[str, Path]:
    """One file a format, each with ICC, EXIF, XMP and (where the format has it) IPTC."""
    picture = Image.fromarray(np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3))
    paths = {kind: folder / f"master.{kind}" for kind in ("jpg", "png", "tif")}
    picture.save(paths["jpg"], exif=exif_block(), icc_profile=PROFILE, xmp=MASTER_XMP, dpi=(300, 300))
    segment = b"\xff\xed" + struct.pack(">H", len(RESOURCES) + 16) + b"Photoshop 3.0\0" + RESOURCES
    content = paths["jpg"].read_bytes()
    paths["jpg"].write_bytes(content[:2] + segment + content[2:])
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", MASTER_XMP.decode(), zip=True)
    picture.save(paths["png"], exif=exif_block(), icc_profile=PROFILE, pnginfo=text, dpi=(300, 300))
    paths["tif"].write_bytes(tiff_with_everything())
    return paths


@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_every_format_tells_the_same(kind: str, tmp_path: Path) -> None:
    path = masters(tmp_path)[kind]
    raw = raw_metadata(path)
    assert raw.icc == PROFILE
    assert raw.xmp == MASTER_XMP
    assert raw.iptc == (b"" if kind == "png" else IIM)
    with open_picture(path) as source:
        facts = source.facts
    assert facts.x_resolution == pytest.approx(300, abs=0.02) and facts.y_resolution == pytest.approx(300, abs=0.02)
    assert facts.orientation == 3
    assert facts.icc_description == "sRGB built-in"
    assert facts.icc_sha256 == hashlib.sha256(PROFILE).hexdigest()
    assert facts.xmp
    assert facts.exif is not None
    assert facts.exif["Make"] == "Nikon" and facts.exif["DateTimeOriginal"] == "1936:03:09 10:11:12"
    assert facts.exif["ExposureTime"] == "1/125" and facts.exif["ExifVersion"] == "0232"
    assert facts.exif["GPSLatitude"] == "35/1 2/1 67/2" and facts.exif["GPSLatitudeRef"] == "N"
    if kind != "png":
        assert facts.iptc == {
            "ObjectName": "Dust Bowl", "Keywords": "drought; farm", "By-line": "Dorothea Lange",
            "Caption-Abstract": "Dürre",
        }  # fmt: skip


@EXIFTOOL
@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_exiftool_read_the_masters_as_we_did(kind: str, tmp_path: Path) -> None:
    """The masters above are sound: what we read is there for others too."""
    tags = exiftool(masters(tmp_path)[kind])
    flat = {key.split(":")[-1]: value for key, value in tags.items()}
    assert flat["Make"] == "Nikon" and flat["DateTimeOriginal"] == "1936:03:09 10:11:12"
    assert flat["CreatorTool"] == "Scanner 9" and flat["ProfileDescription"] == "sRGB built-in"


def test_resolution_in_centimetres_and_without_unit(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    for unit, expected in (("CENTIMETER", 1000.0), ("NONE", None), ("INCH", 1000 / 2.54)):
        tifffile.imwrite(path, np.zeros((9, 9), np.uint8), resolution=(1000 / 2.54, 1000 / 2.54), resolutionunit=unit)
        with open_picture(path) as source:
            assert source.facts.x_resolution == (None if expected is None else pytest.approx(expected, rel=1e-4))


def test_jpeg_2000_boxes(tmp_path: Path) -> None:
    path = tmp_path / "scan.jp2"
    data = imagecodecs.jpeg2k_encode(np.zeros((20, 30), np.uint8), level=0)
    box = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + MASTER_XMP
    exif = b"JpgTiffExif->JP2" + exif_block().tobytes().removeprefix(b"Exif\0\0")
    extra = b"".join(struct.pack(">I4s", len(body) + 8, b"uuid") + body for body in (box, exif))
    path.write_bytes(data + extra)
    assert raw_metadata(path).xmp == MASTER_XMP
    assert raw_metadata(path).exif["Model"] == "Coolscan 9000"


def test_profile_facts() -> None:
    assert icc_facts(PROFILE) == ("sRGB built-in", "")
    assert icc_facts(PROFILE + b"\0\0") == ("sRGB built-in", "")
    for wrong in (
        b"",
        PROFILE[:100],
        PROFILE[:-50],
        PROFILE[:36] + b"xxxx" + PROFILE[40:],
        PROFILE[:128] + b"\xff" * 300,
    ):
        assert icc_facts(wrong)[1]


def test_iptc_of_resources_and_damaged_blocks() -> None:
    other = b"8BIM\x03\xed\x03abc" + struct.pack(">I", 3) + b"xyz\0"
    assert iim_of_resources(other + RESOURCES) == IIM
    assert iim_of_resources(b"8BIM") == b"" and iim_of_resources(b"") == b""
    assert iptc_values(b"\x1c\x02\x50\0\5M\xfcnch")["By-line"] == "Münch"
    assert iptc_values(IIM[:20]) == {"ObjectName": "Dust Bowl"[:7]} or len(iptc_values(IIM[:20])) <= 1
    assert iptc_values(b"\x1c\x02\x50\x80\4\0\0\0\1x") == {}


SHA = "ab" * 32


def packet(master: bytes = MASTER_XMP, **changes: Any) -> bytes:
    values: dict[str, Any] = {
        "digital_source_type": "algorithmicallyEnhanced",
        "derived_from": DerivedFrom(ref="NIPOMO-01", file_name="nipomo.tif", sha256=SHA),
        "history": [
            HistoryEvent(action="derived", when="2026-11-22T10:00:00Z", software_agent="archive-restore 0.1"),
            HistoryEvent(action="edited", when="2026-11-22T10:00:01Z", software_agent="archive-restore 0.1",
                         parameters="fill radius=4 <&>"),
        ],
        "description": Description(title="Migrant Mother", creator="Dorothea Lange", rights="Public domain"),
        "exif": {
            "ExposureTime": "1/125", "DateTimeOriginal": "1936:03:09 10:11:12", "ISOSpeedRatings": "100",
            "Make": "Nikon", "GPSLatitude": "35/1 2/1 67/2", "GPSLatitudeRef": "N",
            "GPSLongitude": "120/1 28/1 12/1", "GPSLongitudeRef": "W", "GPSDateStamp": "1936:03:09",
            "GPSTimeStamp": "10/1 11/1 12/1", "MakerSecret": "x",
        },
    } | changes  # fmt: skip
    return derivative_xmp(master, **values)


@EXIFTOOL
def test_exiftool_reads_the_derivatives_packet(tmp_path: Path) -> None:
    path = tmp_path / "restored.tif"
    master = masters(tmp_path)["tif"]
    with open_picture(master) as source:
        facts = source.facts
    with DerivativeWriter(path, facts, DerivativeMetadata(xmp=packet(), icc=PROFILE, iptc=IIM)) as writer:
        writer.write_band(np.zeros((40, 60, 1), np.uint8), np.zeros((40, 60), np.uint8))
    tags = exiftool(path)
    assert "ExifTool:Warning" not in tags
    assert tags["XMP-iptcExt:DigitalSourceType"].endswith("/digitalsourcetype/algorithmicallyEnhanced")
    parent = tags["XMP-xmpMM:DerivedFrom"]
    assert parent == {
        "DocumentID": f"urn:sha256:{SHA}", "OriginalDocumentID": "urn:uuid:1", "FilePath": "NIPOMO-01/nipomo.tif",
    }  # fmt: skip
    history = tags["XMP-xmpMM:History"]
    assert [event["Action"] for event in history] == ["scanned", "derived", "edited"]
    assert history[2]["Parameters"] == "fill radius=4 <&>" and history[2]["SoftwareAgent"] == "archive-restore 0.1"
    assert history[1]["When"] == "2026:11:22 10:00:00Z" and history[1]["Changed"] == "/"
    assert (tags["XMP-dc:Title"], tags["XMP-dc:Creator"], tags["XMP-dc:Rights"]) == (
        "Migrant Mother", ["Dorothea Lange"], "Public domain",
    )  # fmt: skip
    assert tags["XMP-dc:Subject"] == ["kept"]
    assert tags["XMP-xmp:CreatorTool"] == "Scanner 9"
    assert tags["XMP-exif:ExposureTime"] == "1/125" and tags["XMP-exif:ISO"] == [100]
    assert tags["XMP-exif:DateTimeOriginal"] == "1936:03:09 10:11:12"
    assert (
        tags["XMP-exif:GPSLatitude"] == "35 deg 2' 33.50\" N"
        and tags["XMP-exif:GPSLongitude"] == "120 deg 28' 12.00\" W"
    )
    assert tags["XMP-exif:GPSDateTime"] == "1936:03:09 10:11:12Z"
    assert tags["XMP-tiff:Make"] == "Nikon"
    assert tags["ICC_Profile:ProfileDescription"] == "sRGB built-in"
    assert tags["IPTC:By-line"] == "Dorothea Lange" and tags["IPTC:Keywords"] == ["drought", "farm"]
    assert "Shelf" in str(tags) or b"museum.example" in packet()


def test_the_packet_is_deterministic_well_formed_and_keeps_foreign_properties() -> None:
    first = packet()
    assert first == packet()
    assert first.startswith(b"<?xpacket begin=") and first.rstrip().endswith(b'<?xpacket end="r"?>')
    rdf = read_packet(first, FindingList(""))
    assert rdf is not None
    assert rdf.findtext(".//{http://museum.example/ns/}shelf") == "B14"
    assert len(rdf.findall(f".//{{{NAMESPACES['Iptc4xmpExt']}}}DigitalSourceType")) == 1
    # A derivative of a derivative: the newest claims replace the older, the history grows.
    second = packet(first, derived_from=DerivedFrom(ref="NIPOMO-01/restoration@1", file_name="r.tif", sha256="cd" * 32))
    again = read_packet(second, FindingList(""))
    assert again is not None
    assert len(again.findall(f".//{{{NAMESPACES['xmpMM']}}}DerivedFrom")) == 1
    assert (
        len(again.findall(f".//{{{NAMESPACES['xmpMM']}}}History/{{{NAMESPACES['rdf']}}}Seq/{{{NAMESPACES['rdf']}}}li"))
        == 5
    )


@pytest.mark.parametrize("master", [b"", LAUGHS, b"not xml", GOOD_XMP, b"<a/>"])
def test_any_master_packet_gives_a_sound_one(master: bytes) -> None:
    result = packet(master)
    assert read_packet(result, FindingList("")) is not None
    assert b"haha" not in result and b"<!" not in result


def test_characters_that_xml_cannot_hold_are_replaced() -> None:
    result = packet(description=Description(title="bell\x07 \ud800 \ufffe <b>&amp;"))
    rdf = read_packet(result, FindingList(""))
    assert rdf is not None
    assert (
        rdf.findtext(f".//{{{NAMESPACES['dc']}}}title//{{{NAMESPACES['rdf']}}}li")
        == "bell\ufffd \ufffd \ufffd <b>&amp;"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32"])
def test_entities_are_refused_in_every_encoding(encoding: str) -> None:
    for text in (LAUGHS.decode(), '<!doctype x SYSTEM "http://x.example/d"><x/>', "<x><!ENTITY a 'b'></x>"):
        found = FindingList("scan.tif")
        assert read_packet(text.encode(encoding), found) is None
        assert [(f.code, f.severity) for f in found.findings()] == [("XMP_HOSTILE", Severity.ERROR)]


@pytest.mark.parametrize(
    "content", [b"<?xml version='1.0' encoding='UTF-7'?><x/>", b"<x>", b"\xff\xfe<", b"<a/>" + b"<b/>"]
)
def test_malformed_packets_are_warnings(content: bytes) -> None:
    found = FindingList("scan.tif")
    assert read_packet(content, found) is None
    assert [(f.code, f.severity) for f in found.findings()] == [("XMP_MALFORMED", Severity.WARNING)]


def test_no_file_is_read_and_nothing_expands(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret words")
    included = f'<x xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{secret.as_uri()}" parse="text"/></x>'
    found = FindingList("scan.tif")
    rdf = f'<rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}"><rdf:Description>{included}</rdf:Description></rdf:RDF>'
    parsed = read_packet(rdf.encode(), found)
    assert parsed is not None and b"secret words" not in etree.tostring(parsed)


def test_exif_values_that_make_no_sense_are_left_out() -> None:
    assert (
        exif_properties({"DateTimeOriginal": "unknown", "GPSLatitude": "1/0 2", "GPSTimeStamp": "x", "Nonsense": "1"})
        == {}
    )
