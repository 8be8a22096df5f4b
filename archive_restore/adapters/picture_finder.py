"""Finds the one picture in a file and says what it is: the facts that a record keeps and a reader needs.

Decides by the file's own structure, never by its name. Decodes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.jp2_structure import CODESTREAM_SIGNATURE, JP2_SIGNATURE, Jp2Structure, read_jp2
from archive_restore.adapters.jpeg_structure import JpegStructure, check_jpeg, read_jpeg
from archive_restore.adapters.metadata import RawMetadata, add_metadata, exif_metadata, jpeg_metadata, tiff_metadata
from archive_restore.adapters.plain_samples import MAX_PIXELS
from archive_restore.adapters.png_structure import SIGNATURE as PNG_SIGNATURE
from archive_restore.adapters.png_structure import PngStructure, read_png
from archive_restore.adapters.tiff import unsupported
from archive_restore.adapters.tiff_layout import COLOURS, COMPRESSIONS, PHOTOMETRICS, PageLayout, read_layout
from archive_restore.adapters.tiff_structure import TiffStructure, read_structure
from archive_restore.records.imagery import PictureFacts, SampleRole

TIFF, JPEG, PNG, JP2, DNG = "TIFF", "JPEG", "PNG", "JPEG 2000", "DNG"
_DNG_VERSION = 50706
_RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The main picture of a file."""

    family: str
    """TIFF, JPEG, PNG, JPEG 2000 or DNG."""
    facts: PictureFacts
    metadata: RawMetadata
    reason: str
    """Why its pixels cannot be restored; empty where they can."""
    directory: int = 0
    """TIFF and DNG: which directory holds the picture."""
    layout: PageLayout | None = None
    jpeg: JpegStructure | None = None
    png: PngStructure | None = None
    jp2: Jp2Structure | None = None


def family_of(head: bytes) -> str:
    """Which format family the first 12 bytes promise; empty for none of ours. DNG counts as TIFF here."""
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return TIFF
    if head[:3] == b"\xff\xd8\xff":
        return JPEG
    if head[:8] == PNG_SIGNATURE:
        return PNG
    if head[:12] == JP2_SIGNATURE or head[:4] == CODESTREAM_SIGNATURE:
        return JP2
    return ""


def find_picture(source: FileBytes, found: FindingList, *, check: bool = True) -> Picture | None:
    """Find the picture of a file of one of our families and check its structure; None where errors prevent it.

    With `check` false, what only costs time (CRCs) is left out: for files that were checked when they came in.
    """
    family = family_of(source.read(0, 12))
    if family == TIFF:
        return _tiff(source, found)
    if family == JPEG:
        return _jpeg(source, found)
    if family == PNG:
        return _png(source, found, check=check)
    if family == JP2:
        return _jp2(source, found)
    found.error("FORMAT_UNSUPPORTED", "the file is no TIFF, JPEG, PNG, JPEG 2000 or DNG")
    return None


def _tiff(source: FileBytes, found: FindingList) -> Picture | None:
    structure = read_structure(source, found)
    if structure is None:
        return None
    layouts: dict[int, PageLayout] = {}
    for index, directory in enumerate(structure.directories):
        if directory.kind in ("page", "sub"):
            layout = read_layout(structure, directory, found)
            if layout is not None:
                layouts[index] = layout
    if _DNG_VERSION in structure.directories[0].tags:
        return _dng(structure, layouts, found)
    if 0 not in layouts:
        return None
    layout = layouts[0]
    reason = _support(layout, found)
    if found.failed:
        return None
    facts = _tiff_facts(structure, layouts, 0)
    metadata = tiff_metadata(structure, found)
    facts = add_metadata(facts, metadata, found)
    return Picture(family=TIFF, facts=facts, metadata=metadata, reason=reason, layout=layout)


def _support(layout: PageLayout, found: FindingList) -> str:
    """Why this layout cannot be restored; kinds that are not even understood are errors."""
    reason = unsupported(layout)
    if not reason:
        return ""
    known = COMPRESSIONS.get(layout.compression, str(layout.compression))
    if layout.photometric not in PHOTOMETRICS or layout.photometric in (4, 32803):
        found.error(
            "TIFF_PHOTOMETRIC_UNSUPPORTED",
            f"the photometric interpretation {layout.photometric} is not understood",
            "TIFF 6.0 section 8",
        )
    elif layout.compression not in (1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000):
        found.error("TIFF_COMPRESSION_UNSUPPORTED", f"the compression {known} is not supported", "TIFF 6.0 section 8")
    elif layout.compression in (2, 3, 4) and layout.bits != 1:
        found.error("TIFF_COMPRESSION_UNSUPPORTED", f"{known} is for bilevel pictures only", "TIFF 6.0 section 10")
    elif layout.predictor not in (1, 2, 3):
        found.error("TIFF_PREDICTOR_UNSUPPORTED", f"the predictor {layout.predictor} is unknown", "TIFF 6.0 section 14")
    else:
        found.warning(
            "TIFF_NOT_RESTORABLE", f"the picture is kept but cannot be restored: {reason}", "TIFF 6.0 section 8"
        )
    return reason


def _dng(structure: TiffStructure, layouts: dict[int, PageLayout], found: FindingList) -> Picture | None:
    """The LinearRaw picture of a DNG, or else its largest preview (DNG 1.7, chapter 4)."""
    candidates = [
        (layout.photometric == 34892, layout.width * layout.height, -index)
        for index, layout in layouts.items()
        if not unsupported(layout) and structure.number(structure.directories[index], 254, 0) & ~1 == 0
    ]
    if found.failed:
        return None
    if not candidates:
        found.error(
            "DNG_NO_PICTURE", "the file holds neither linear raw samples nor a preview that can be read", "DNG 1.7"
        )
        return None
    linear, _, place = max(candidates)
    layout = layouts[-place]
    note = "linear raw samples" if linear else f"preview {layout.width}×{layout.height} instead of the raw data"
    if not linear:
        found.info(
            "DNG_PREVIEW_USED",
            f"the raw data are kept as they are; what is shown and restored is the preview of"
            f" {layout.width}×{layout.height} pixels",
            "DNG 1.7",
        )
    facts = _tiff_facts(structure, layouts, -place, note=note)
    metadata = tiff_metadata(structure, found)
    facts = add_metadata(facts, metadata, found)
    return Picture(family=DNG, facts=facts, metadata=metadata, reason="", directory=-place, layout=layout)


def _tiff_facts(structure: TiffStructure, layouts: dict[int, PageLayout], index: int, note: str = "") -> PictureFacts:
    layout = layouts[index]
    main = [
        layouts[i]
        for i, directory in enumerate(structure.directories)
        if i in layouts and directory.kind == "page" and structure.number(directory, 254, 0) & 5 == 0
    ]
    second = next((other for other in main if other is not layout), None)
    if not note and second is not None and (second.width, second.height) == (layout.width, layout.height):
        note = "a second page has the same size: perhaps the scanner's infrared channel"
    return PictureFacts(
        width=layout.width,
        height=layout.height,
        samples=layout.samples,
        bits=layout.bits,
        sample_format={1: "uint", 2: "int", 3: "float"}[layout.sample_format],
        roles=_tiff_roles(layout),
        photometric=PHOTOMETRICS.get(layout.photometric, str(layout.photometric)),
        compression=COMPRESSIONS.get(layout.compression, str(layout.compression)),
        layout=("tiles" if layout.tiled else "strips") + (" planar" if layout.planar else ""),
        pages=max(1, len(main)),
        byte_order="little" if layout.order == "<" else "big",
        note=note,
    )


def _tiff_roles(layout: PageLayout) -> tuple[SampleRole, ...]:
    colours = COLOURS.get(layout.photometric, layout.samples)
    roles: tuple[SampleRole, ...]
    if layout.photometric in (2, 6, 34892):
        roles = _RGB
    elif layout.photometric in (0, 1):
        roles = (SampleRole.GRAY if layout.photometric else SampleRole.GRAY_INVERTED,)
    else:
        roles = (SampleRole.OTHER,) * colours
    unknown = SampleRole.INFRARED if roles == _RGB else SampleRole.OTHER
    extra = [SampleRole.ALPHA if kind in (1, 2) else unknown for kind in layout.extra]
    # One infrared channel a scan: a second unspecified sample is something else.
    for place in [i for i, role in enumerate(extra) if role is SampleRole.INFRARED][1:]:
        extra[place] = SampleRole.OTHER
    return roles + tuple(extra)


def _jpeg(source: FileBytes, found: FindingList) -> Picture | None:
    structure = read_jpeg(source)
    frame = check_jpeg(structure, source, found)
    if frame is None or found.failed:
        return None
    number = len(frame.components)
    reason = ""
    if number == 4:
        reason = "its colours are CMYK"
        found.warning(
            "JPEG_NOT_RESTORABLE", f"the picture is kept but cannot be restored: {reason}", "ITU-T T.872 §6.1"
        )
    facts = PictureFacts(
        width=frame.width,
        height=frame.height,
        samples=number,
        bits=8,
        sample_format="uint",
        roles={1: (SampleRole.GRAY,), 3: _RGB}.get(number, (SampleRole.OTHER,) * 4),
        photometric={1: "minisblack", 3: "rgb" if structure.adobe_transform == 0 else "ycbcr"}.get(number, "separated"),
        compression="jpeg",
        layout="whole",
        pages=1,
    )
    metadata = jpeg_metadata(structure, found)
    facts = add_metadata(facts, metadata, found)
    return Picture(family=JPEG, facts=facts, metadata=metadata, reason=reason, jpeg=structure)


def _png(source: FileBytes, found: FindingList, *, check: bool) -> Picture | None:
    structure = read_png(source, found, check_crc=check)
    if structure is None or found.failed or _too_large(structure.width, structure.height, found):
        return None
    alpha = structure.colour in (4, 6) or (structure.colour == 3 and b"tRNS" in structure.kept)
    colours: tuple[SampleRole, ...] = _RGB if structure.colour in (2, 3, 6) else (SampleRole.GRAY,)
    reason, note = "", ""
    if structure.colour == 0 and structure.bits < 8:
        reason = f"its samples have {structure.bits} bits"
        found.warning("PNG_NOT_RESTORABLE", f"the picture is kept but cannot be restored: {reason}", "PNG §11.2.1")
    elif structure.colour == 3:
        note = "the palette's colours stand for its indices"
    elif b"tRNS" in structure.kept:
        note = "the colour key (tRNS) is kept in the master and not applied"
    roles = colours + ((SampleRole.ALPHA,) if alpha else ())
    facts = PictureFacts(
        width=structure.width,
        height=structure.height,
        samples=len(roles),
        bits=8 if structure.colour == 3 else structure.bits,
        sample_format="uint",
        roles=roles,
        photometric={0: "minisblack", 3: "palette", 4: "minisblack"}.get(structure.colour, "rgb"),
        compression="deflate",
        layout="whole",
        pages=1,
        byte_order="big" if structure.bits == 16 else "",
        note=note,
    )
    base = exif_metadata(structure.kept.get(b"eXIf", b""), found)
    x, y = base.x_resolution, base.y_resolution
    density = structure.kept.get(b"pHYs", b"")
    if len(density) == 9 and density[8] == 1:
        # Pixels a metre (PNG §11.3.4.3).
        x = int.from_bytes(density[:4], "big") * 0.0254 or None
        y = int.from_bytes(density[4:8], "big") * 0.0254 or None
    metadata = RawMetadata(
        icc=structure.icc,
        xmp=structure.xmp,
        exif=base.exif,
        x_resolution=x,
        y_resolution=y,
        orientation=base.orientation,
    )
    if b"iCCP" in structure.kept and not metadata.icc:
        found.error("ICC_INVALID", "the ICC profile does not inflate", "PNG §11.3.2.3")
    facts = add_metadata(facts, metadata, found)
    return Picture(family=PNG, facts=facts, metadata=metadata, reason=reason, png=structure)


def _jp2(source: FileBytes, found: FindingList) -> Picture | None:
    structure = read_jp2(source, found)
    if structure is None or _too_large(structure.width, structure.height, found):
        return None
    reason = ""
    if not structure.uniform or structure.bits not in (8, 16):
        reason = f"its components differ or are not 8 or 16 bits unsigned ({structure.bits} bits)"
    elif structure.palette or structure.colour_space == 18:
        reason = "its colours are neither gray nor RGB"
    number = structure.components
    colours: tuple[SampleRole, ...] = _RGB if number >= 3 and structure.colour_space != 17 else (SampleRole.GRAY,)
    extra = tuple(
        SampleRole.ALPHA if index in structure.opacity else SampleRole.OTHER for index in range(len(colours), number)
    )
    if colours == _RGB and extra == (SampleRole.OTHER,):
        extra = (SampleRole.INFRARED,)
    if reason:
        found.warning(
            "JP2_NOT_RESTORABLE", f"the picture is kept but cannot be restored: {reason}", "ISO 15444-1 §I.5.3"
        )
    facts = PictureFacts(
        width=structure.width,
        height=structure.height,
        samples=number,
        bits=structure.bits,
        sample_format="uint",
        roles=colours + extra,
        photometric="rgb" if colours == _RGB else "minisblack",
        compression="jpeg2000",
        layout="whole" if structure.tiles == 1 else "tiles",
        pages=1,
    )
    base = exif_metadata(structure.blocks.get("exif", b"").removeprefix(b"Exif\0\0"), found)
    x, y = structure.density or (base.x_resolution, base.y_resolution)
    metadata = RawMetadata(
        icc=structure.blocks.get("icc", b""),
        xmp=structure.blocks.get("xmp", b""),
        iptc=structure.blocks.get("iptc", b""),
        exif=base.exif,
        x_resolution=x,
        y_resolution=y,
        orientation=base.orientation,
    )
    facts = add_metadata(facts, metadata, found)
    return Picture(family=JP2, facts=facts, metadata=metadata, reason=reason, jp2=structure)


def _too_large(width: int, height: int, found: FindingList) -> bool:
    if width * height <= MAX_PIXELS:
        return False
    found.error(
        "PICTURE_TOO_LARGE", f"the file claims {width}×{height} pixels; more than {MAX_PIXELS:,} are not accepted"
    )
    return True
