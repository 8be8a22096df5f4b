"""Identifies a file (PRONOM) and checks it before it is stored: names, structure, a proof that it decodes.

Whatever the file holds, the answer is findings within bounded time and memory, never an exception and never a
change to the file. A finding of severity error means quarantine.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.picture_finder import DNG, JP2, JPEG, PNG, TIFF, Picture, family_of, find_picture
from archive_restore.adapters.rasters import expand, scan_is_short
from archive_restore.adapters.tiff import TiffSource
from archive_restore.errors import PictureUnreadable
from archive_restore.ports import Digests, Inspected
from archive_restore.records.findings import Finding
from archive_restore.records.objects import FileFacts

PROOF_PIXELS = 4_000_000
"""Pictures up to this size are decoded whole as a proof; of larger ones only the structure is checked."""
_HEAD, _TAIL = 12 << 10, 4 << 10
"""Bytes shown to PRONOM's signatures, which lie at both ends: a whole gigabyte took six seconds and 1 GiB of memory."""

_EXTENSIONS = {
    TIFF: ("tif", "tiff", "btf", "tf8"),
    DNG: ("dng",),
    JPEG: ("jpg", "jpeg", "jpe", "jfif"),
    PNG: ("png",),
    JP2: ("jp2", "jpx", "jpf", "j2k", "j2c", "jpc", "jph", "jhc"),
}
_ALL_EXTENSIONS = frozenset(extension for known in _EXTENSIONS.values() for extension in known)
_MEDIA_TYPES = {TIFF: "image/tiff", DNG: "image/x-adobe-dng", JPEG: "image/jpeg", PNG: "image/png", JP2: "image/jp2"}
_PROOF_BYTES = {JPEG: 16 << 20, PNG: 32 << 20, JP2: 6 << 20}
"""And only out of so many stored bytes: arithmetic decoding costs by the byte."""
_TIFF_PUIDS = frozenset(
    {
        "fmt/353", "fmt/1917", "fmt/152", "fmt/153", "fmt/154", "fmt/155", "fmt/156", "fmt/436", "fmt/437", "fmt/438",
        "fmt/730", "x-fmt/387", "x-fmt/388", "x-fmt/399", "fmt/2090", "fmt/2091",
    }
)  # fmt: skip
"""PRONOM's TIFF, its profiles, BigTIFF and DNG; other formats built on TIFF, such as camera raws, are not ours."""
_BIGTIFF = "fmt/1917"
_ZOOMIFY = "fmt/898"
"""Its signature is a BigTIFF header with the first directory at byte 16, which other writers use too."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What PRONOM calls the bytes."""

    puid: str
    mime: str
    name: str


_UNKNOWN = Identity(puid="UNKNOWN", mime="application/octet-stream", name="")


def inspect_file(path: Path, subject: str, *, digests: Digests, name: str) -> Inspected:
    """Identify a file and check it; `subject` names it in findings, `name` is its original file name.

    Never raises for what the file holds. Steps: 1 the name; 2 emptiness; 3 identification; 4 the format's own
    structure; 5 the decoding proof.
    """
    found = FindingList(subject)
    # 1
    names = name_findings(name, subject)
    # 2
    if digests.size == 0:
        found.error("FILE_EMPTY", "the file has no bytes")
        return Inspected(
            file_format=_file_facts(name, digests, _UNKNOWN), picture=None, findings=names + found.findings()
        )
    identity, picture = _UNKNOWN, None
    try:
        with FileBytes(path) as source:
            # 3
            family = family_of(source.read(0, 12))
            identity = identify(source, found)
            if _ours(family, identity, found):
                # 4
                picture = find_picture(source, found)
                family = picture.family if picture is not None else family
                identity = _settled(identity, family, found)
                _check_extension(name, family, found)
                # 5
                if picture is not None and not found.failed:
                    _prove(source, picture, found)
    except PictureUnreadable as exc:
        found.error("FILE_UNREADABLE", str(exc))
    except MemoryError:
        found.error("FILE_UNREADABLE", "checking the file needs more memory than there is")
    return Inspected(
        file_format=_file_facts(name, digests, identity),
        picture=None if picture is None or found.failed else picture.facts,
        findings=names + found.findings(),
    )


def identify(source: FileBytes, found: FindingList) -> Identity:
    """Ask PRONOM's signatures about both ends of a file; its name takes no part (see `_check_extension`)."""
    import pygfried  # loading its signatures takes half a second

    excerpt = source.read(0, _HEAD + _TAIL)
    if source.size > _HEAD + _TAIL:
        excerpt = excerpt[:_HEAD] + source.read(source.size - _TAIL, _TAIL)
    try:
        descriptor = os.memfd_create("excerpt")
        try:
            os.write(descriptor, excerpt)
            answer = pygfried.identify(f"/proc/self/fd/{descriptor}", detailed=True)
        finally:
            os.close(descriptor)
    except (OSError, RuntimeError, ValueError, pygfried.GoError) as exc:
        found.warning("FORMAT_NOT_IDENTIFIED", f"PRONOM identification could not run: {exc}")
        return _UNKNOWN
    return _chosen(answer, found)


def _chosen(answer: Any, found: FindingList) -> Identity:
    matches = [
        match
        for match in answer["files"][0].get("matches", [])
        if match.get("id") not in (None, "", "UNKNOWN") and match.get("warning") != "match on extension only"
    ]
    if not matches:
        return _UNKNOWN
    if len(matches) > 1:
        others = ", ".join(str(match["id"]) for match in matches[:6])
        found.info("FORMAT_AMBIGUOUS", f"PRONOM knows several formats with these bytes: {others}")
    first = matches[0]
    return Identity(
        puid=str(first["id"]),
        mime=str(first.get("mime") or _UNKNOWN.mime).split(",")[0].strip(),
        name=" ".join(f"{first.get('format', '')} {first.get('version', '')}".split()),
    )


def _ours(family: str, identity: Identity, found: FindingList) -> bool:
    """Whether the bytes are of a format whose pixels we understand."""
    foreign = family == TIFF and identity.puid not in _TIFF_PUIDS | {"UNKNOWN", _ZOOMIFY}
    if family and not foreign:
        if identity is _UNKNOWN:
            found.warning("FORMAT_UNIDENTIFIED", f"PRONOM does not know the format; the bytes begin as {family} does")
        return True
    what = f"{identity.name} ({identity.puid})" if identity.name else "of an unknown format"
    found.error("FORMAT_UNSUPPORTED", f"the file is {what}; supported are TIFF, JPEG, PNG, JPEG 2000 and DNG")
    return False


def _settled(identity: Identity, family: str, found: FindingList) -> Identity:
    """The identity with our own media type, and Zoomify's claim on BigTIFF refused."""
    if identity.puid == _ZOOMIFY:
        found.info("FORMAT_AMBIGUOUS", f"PRONOM says Zoomify ({_ZOOMIFY}); the file is a BigTIFF")
        identity = Identity(puid=_BIGTIFF, mime="image/tiff", name="BigTIFF")
    return Identity(puid=identity.puid, mime=_MEDIA_TYPES[family], name=identity.name)


def _check_extension(name: str, family: str, found: FindingList) -> None:
    extension = Path(name).suffix.lower().lstrip(".")
    expected = _EXTENSIONS[family]
    if extension not in expected and not (family == DNG and extension in _EXTENSIONS[TIFF]):
        found.warning(
            "EXTENSION_MISMATCH", f"the file is {family} but its name does not end in .{expected[0]}", "PRONOM"
        )


def _prove(source: FileBytes, picture: Picture, found: FindingList) -> None:
    """Decode as much as is cheap, to see that it decodes."""
    facts = picture.facts
    try:
        if picture.layout is not None:
            if not picture.reason:
                TiffSource(source, picture.layout, facts, None).prove()
        elif _is_cheap(picture, source.size):
            if picture.jpeg is not None and scan_is_short(source.read(0, source.size), picture.jpeg.end):
                found.error(
                    "JPEG_TRUNCATED", "the last scan ends before the picture does; the file is damaged or cut off"
                )
            elif picture.jpeg is None and not picture.reason:
                for _ in expand(source, picture):
                    pass
    except (PictureUnreadable, RuntimeError, ValueError) as exc:
        found.error(f"{_CODES[picture.family]}_UNDECODABLE", f"the picture does not decode: {exc}", "decoding proof")


def _is_cheap(picture: Picture, size: int) -> bool:
    """Whether a whole decode stays well under a second, however the file was made."""
    area = picture.facts.width * picture.facts.height
    if picture.jpeg is not None:
        # Every scan works through the whole picture.
        area *= max(1, picture.jpeg.scans // 10)
    return area <= PROOF_PIXELS and size <= _PROOF_BYTES[picture.family]


_CODES = {TIFF: "TIFF", DNG: "DNG", JPEG: "JPEG", PNG: "PNG", JP2: "JP2"}


def _file_facts(name: str, digests: Digests, identity: Identity) -> FileFacts:
    return FileFacts(
        name=name,
        size=digests.size,
        sha512=digests.sha512,
        sha256=digests.sha256,
        puid=identity.puid,
        mime=identity.mime,
        format_name=identity.name,
    )


def is_picture_name(name: str) -> bool:
    """Whether a file name ends as one of our picture formats does."""
    return Path(name).suffix.lower().lstrip(".") in _ALL_EXTENSIONS


def name_findings(name: str | bytes, subject: str = "") -> tuple[Finding, ...]:
    """Check a file name: control characters, bytes that are not UTF-8, bidirectional overrides and path tricks.

    Quotes, spaces, leading dashes and letters of any script are fine. `name` may hold surrogate escapes as
    `os.fsdecode` makes them.
    """
    found = FindingList(subject or _shown(name))
    clause = "file names"
    text = name
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if any("\udc80" <= c <= "\udcff" for c in text):
        found.error("NAME_UNSAFE", "the file name is not UTF-8; rename a copy", clause)
    elif any(unicodedata.category(c) == "Cc" for c in text):
        found.error(
            "NAME_UNSAFE", "the file name holds control characters, such as a line break; rename a copy", clause
        )
    elif any(c in _BIDI for c in text):
        found.error(
            "NAME_UNSAFE", "the file name holds characters that reverse the direction of text; rename a copy", clause
        )
    elif any(unicodedata.category(c) == "Cs" or c in "\u2028\u2029\ufeff" for c in text):
        found.error("NAME_UNSAFE", "the file name holds characters that are no text; rename a copy", clause)
    if "/" in text or text in ("", ".", ".."):
        found.error("NAME_UNSAFE", "the file name is empty or holds a path", clause)
    elif len(text.encode("utf-8", "surrogateescape")) > 240:
        found.error("NAME_UNSAFE", "the file name is longer than 240 bytes; rename a copy", clause)
    elif text.startswith("-") or text != text.strip() or any(c in "\"'`$\\;|&<>*?" for c in text):
        found.info("NAME_UNUSUAL", "the file name holds characters that some shells treat specially", clause)
    elif text != unicodedata.normalize("NFC", text):
        found.info("NAME_UNUSUAL", "the file name is not in Unicode's composed form (NFC)", clause)
    return found.findings()


_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _shown(name: str | bytes) -> str:
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    return ascii(text)[1:-1]
