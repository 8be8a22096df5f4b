"""What somebody hands in: says what it is by its content, and looks at pictures of any common format.

Reads only, follows no link inside a package, and writes nowhere but into its own scratch folder. Findings, never
tracebacks, whatever the file holds.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from archive_restore.adapters import iscc
from archive_restore.adapters.bagit_validate import validate_bag
from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.ocfl_foreign import validate_object, validate_root
from archive_restore.adapters.picture_files import FilePictures
from archive_restore.adapters.picture_finder import family_of, find_picture
from archive_restore.errors import PictureUnreadable, SourceUnreadable
from archive_restore.imaging.planes import upright
from archive_restore.imaging.seen import seen
from archive_restore.ports import ColourSpace, Foreign, Looked
from archive_restore.records.audits import Subject, SubjectKind
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import PictureFacts

LONGEST = 2048
"""Longest edge of a picture as it is looked at, pixels."""
MAX_PIXELS = 300_000_000
"""Of formats that must be decoded whole."""
_HEAD = 64
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic",
           b"hevc": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif", b"qt  ": "video/quicktime"}  # fmt: skip
_AUDIO_BRANDS = (b"M4A ", b"M4B ")
_JUMBF = b"jumb"
_LENIENT = {"image/jpeg": "JPEG", "image/png": "PNG", "image/tiff": "TIFF", "image/webp": "WEBP", "image/avif": "AVIF",
            "image/gif": "GIF", "image/bmp": "BMP"}  # fmt: skip
"""Formats that Pillow may look at, and its names of them."""
_STOP = frozenset({"PICTURE_BOMB", "PICTURE_TOO_LARGE", "FILE_EMPTY"})
"""Findings after which nothing is decoded."""
_SOUND = "cannot be restored"
"""What our reader says of such a file."""
_UNUSUAL = ("_NOT_RESTORABLE", "_UNSUPPORTED")
"""Ends of codes that say that a file is sound and no picture for an archive, such as a palette or CMYK."""


class ForeignFiles(Foreign):
    """The `Foreign` port on files and folders."""

    def __init__(self, scratch: Path) -> None:
        """`scratch` is where pictures without random access are expanded."""
        self._pictures = FilePictures(scratch)

    def subject(self, path: Path) -> Subject:
        """See ports.Foreign."""
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                return _folder(path)
            if not stat.S_ISREG(mode):
                return Subject(kind=SubjectKind.UNKNOWN, why="It is neither a file nor a folder but a device or pipe.")
            with path.open("rb") as file:
                head = file.read(_HEAD)
        except OSError as exc:
            raise SourceUnreadable(
                f"{str(path)!r} cannot be read: {exc.strerror or exc}", hint="Check the path and its permissions"
            ) from exc
        return _file(head)

    def look(self, path: Path, mime: str, subject: str) -> Looked:
        """See ports.Foreign."""
        found = FindingList(subject)
        shown: _Seen | None = None
        problem = ""
        try:
            with FileBytes(path) as source:
                if family_of(source.read(0, 12)):
                    find_picture(source, found)
        except PictureUnreadable as exc:
            found.error("FILE_UNREADABLE", str(exc))
        except MemoryError:
            found.error("FILE_UNREADABLE", "checking the file needs more memory than there is")
        errors = [finding.code for finding in found.findings() if finding.severity is Severity.ERROR]
        if not _STOP.intersection(errors):
            # What our own reader finds broken is not shown to a decoder in C that checks less.
            lenient = all(code.endswith(_UNUSUAL) for code in errors)
            shown, problem = self._picture(path, mime, lenient)
        findings = found.findings()
        if shown is not None:
            # It can be looked at: what would keep it out of an archive need not keep it from being judged.
            findings = tuple(_milder(finding) for finding in findings)
        elif not any(finding.severity is Severity.ERROR for finding in findings):
            message = f"The picture cannot be decoded: {problem or 'nobody knows why'}."
            findings = (
                *findings,
                Finding(code="AUDIT_PICTURE_UNREADABLE", severity=Severity.ERROR, subject=subject, message=message),
            )
        if shown is None:
            return Looked(picture=None, findings=findings)
        return Looked(picture=shown.picture, findings=findings, width=shown.width, height=shown.height)

    def _picture(self, path: Path, mime: str, lenient: bool) -> tuple[_Seen | None, str]:
        problem = ""
        if mime in ("image/tiff", "image/png", "image/jp2", "image/jpeg"):
            try:
                with self._pictures.open(path) as source:
                    facts = source.facts
                    picture = seen(source, self._space(path, facts), LONGEST)
                size = (facts.width, facts.height) if facts.orientation < 5 else (facts.height, facts.width)
                return _Seen(picture=picture, width=size[0], height=size[1]), ""
            except (PictureUnreadable, MemoryError, ValueError, RuntimeError) as exc:
                problem = " ".join(str(exc).split())
                lenient = lenient and _SOUND in problem
        if lenient and mime in _LENIENT:
            try:
                return _pillow(path, _LENIENT[mime]), ""
            except Exception as exc:  # a decoder of a format with many ways to be wrong
                problem = " ".join(str(exc).split()) or type(exc).__name__
        return None, problem or f"{mime or 'this format'} is not read by this program"

    def _space(self, path: Path, facts: PictureFacts) -> ColourSpace | None:
        """What code values mean; None where that is sRGB, or not understood."""
        if not facts.icc_sha256 or "srgb" in facts.icc_description.lower():
            return None
        space = self._pictures.colour_space(path, facts)
        return None if space.name.endswith("sRGB") else space

    def thumbnail(self, data: bytes) -> npt.NDArray[np.uint8] | None:
        """See ports.Foreign."""
        for name in ("JPEG", "PNG", "WEBP"):
            try:
                return _decoded(data, name).picture
            except Exception:  # noqa: S112  (of another format, or broken in one of many ways)
                continue
        return None

    def image_code(self, picture: npt.NDArray[np.uint8]) -> bytes:
        """See ports.Foreign."""
        gray = picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))
        return iscc.image_code(iscc.normalize(gray))[1]

    def bag(self, path: Path) -> Iterator[Finding]:
        """See ports.Foreign."""
        yield from validate_bag(path, str(path))

    def ocfl_object(self, path: Path) -> Iterator[Finding]:
        """See ports.Foreign."""
        yield from validate_object(path, str(path))

    def ocfl_root(self, path: Path) -> Iterator[Finding]:
        """See ports.Foreign."""
        yield from validate_root(path, str(path))


@dataclass(frozen=True, kw_only=True)
class _Seen:
    picture: npt.NDArray[np.uint8]
    width: int
    height: int


def _folder(path: Path) -> Subject:
    names = set()
    with os.scandir(path) as entries:
        for _, entry in zip(range(10_000), entries, strict=False):
            names.add(entry.name)
    if "archive.toml" in names:
        return Subject(kind=SubjectKind.ARCHIVE)
    if any(name.startswith("0=ocfl_object_") for name in names):
        return Subject(kind=SubjectKind.OCFL_OBJECT)
    if any(name.startswith("0=ocfl_") for name in names):
        return Subject(kind=SubjectKind.OCFL_ROOT)
    if "bagit.txt" in names:
        return Subject(kind=SubjectKind.BAG)
    return Subject(
        kind=SubjectKind.UNKNOWN,
        why="The folder is no bag (bagit.txt), no OCFL object or root (0=ocfl_…) and no archive (archive.toml).",
    )


def _file(head: bytes) -> Subject:
    def image(mime: str) -> Subject:
        return Subject(kind=SubjectKind.IMAGE, mime=mime)

    def unknown(why: str, mime: str = "") -> Subject:
        return Subject(kind=SubjectKind.UNKNOWN, mime=mime, why=why)

    family = family_of(head[:12])
    if family:
        return image({"TIFF": "image/tiff", "JPEG": "image/jpeg", "PNG": "image/png"}.get(family, "image/jp2"))
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return image("image/gif")
    if head[:4] == b"RIFF":
        kinds = {b"WEBP": image("image/webp"), b"AVI ": Subject(kind=SubjectKind.VIDEO, mime="video/x-msvideo")}
        return kinds.get(head[8:12]) or unknown("It is sound or something else in a RIFF container, no picture.")
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return image("image/bmp")
    if head[:12] == b"\0\0\0\x0cJXL \r\n\x87\n" or head[:2] == b"\xff\x0a":
        return image("image/jxl")
    if head[4:8] == _JUMBF:
        return unknown("It is a C2PA manifest by itself. Give the file it belongs to; the manifest is found beside it.")
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(len(head), int.from_bytes(head[:4])), 4))]
        if head[4:8] == b"ftyp":
            for brand in brands:
                mime = _BRANDS.get(brand, "")
                if mime.startswith("image/"):
                    return image(mime)
            if brands[0] in _AUDIO_BRANDS:
                return unknown("It is sound, no picture.", "audio/mp4")
        return Subject(kind=SubjectKind.VIDEO, mime=_BRANDS.get(brands[0], "video/mp4"))
    if head[:4] == b"\x1aE\xdf\xa3":
        return Subject(kind=SubjectKind.VIDEO, mime="video/x-matroska")
    if not head:
        return unknown("The file has no bytes.")
    if head[:5] == b"%PDF-":
        return unknown("It is a PDF; extract its pictures and audit them one by one.", "application/pdf")
    return unknown("Its bytes begin like no image, video or package that this program knows.")


def _milder(finding: Finding) -> Finding:
    if finding.severity is not Severity.ERROR:
        return finding
    return Finding(
        code=finding.code, severity=Severity.WARNING, subject=finding.subject, message=finding.message,
        clause=finding.clause,
    )  # fmt: skip


def _pillow(path: Path, name: str) -> _Seen:
    """Decode with Pillow in bounded memory, upright; may raise anything."""
    with path.open("rb") as file:
        return _decoded(file.read(1 << 30), name)


def _decoded(data: bytes, name: str) -> _Seen:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=[name]) as image:
            size = image.size
            if size[0] * size[1] > MAX_PIXELS:
                raise ValueError(f"{size[0]}×{size[1]} pixels are more than are decoded here")
            if image.format == "JPEG":
                image.draft(image.mode, (2 * LONGEST, 2 * LONGEST))
            orientation = int(image.getexif().get(0x0112, 1) or 1)
            flat = image.convert("RGBA") if image.mode in ("P", "PA", "RGBA", "LA", "RGBX") else image
            if flat.mode == "RGBA":
                ground = Image.new("RGBA", flat.size, (255, 255, 255, 255))
                flat = Image.alpha_composite(ground, flat)
            shown = _in_srgb(flat.convert("L" if flat.mode in ("1", "L", "I", "I;16", "F") else "RGB"), image)
            shown.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    if not 1 <= orientation <= 8:
        orientation = 1
    width, height = size if orientation < 5 else size[::-1]
    return _Seen(picture=np.ascontiguousarray(upright(np.asarray(shown), orientation)), width=width, height=height)


def _in_srgb(shown: Image.Image, image: Image.Image) -> Image.Image:
    """Colours converted by the profile of `image`, where it has one that fits and loads."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or shown.mode != "RGB" or image.mode not in ("RGB", "RGBA"):
        return shown
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(shown, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return shown
    return converted or shown
